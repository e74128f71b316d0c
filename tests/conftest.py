"""What the tests of all parts share."""

from tests import servers


def pytest_sessionfinish(session, exitstatus):
    servers.stop()
