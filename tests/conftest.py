"""Fixtures of all tests."""

import os
import signal

import pytest
import structlog
import webtest
from hypothesis import HealthCheck, settings

from cliquet.drivers.postgresql import transaction
from cliquet.settings import SETTINGS
from cliquet.testing import get_request_class, get_user_headers
from tests import postgresql_server, testapp

#: Tests of whole applications, which are three times slower when coverage is measured. Those of
#: the modules reach every line and branch without them.
WITHOUT_COVERAGE = {
    *("applications", "conformance", "docs", "seeds"),
    *("test_benchmarks.py", "test_example.py", "test_guarantees.py", "test_guarantees_http.py"),
    *("test_growth.py", "test_hostile.py", "test_load.py", "test_outages.py"),
    *("test_properties.py", "test_serving.py", "test_truth.py"),
}

# The same few examples each time, however slow the computer is. A longer run with other examples:
# ``dev.py test --hypothesis-profile=thorough tests/...``.
settings.register_profile(
    "tests",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=20,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "thorough", settings.get_profile("tests"), derandomize=False, max_examples=500
)
settings.load_profile("tests")

# A process that was started in the background ignores the signal, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside():
    """Without the variables that settings come from, as plain as ``BACKOFF`` or ``HTTP_HOST``."""
    read = {setting.key.replace(".", "_").upper() for setting in SETTINGS}
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in list(os.environ):
            ours = name.startswith(("CLIQUET_", "TESTAPP_"))
            if name in read or (ours and not name.startswith("CLIQUET_TEST_")):
                monkeypatch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def no_logs_from_other_tests():
    """Restore the configuration of structlog, which belongs to the process."""
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def alice():
    return get_user_headers("alice")


@pytest.fixture
def bob():
    return get_user_headers("bob")


@pytest.fixture
def serve():
    """A function of settings, which returns a client of the test application."""

    def serve(settings=None, setup=None, prefix="v0", **options):
        includes = () if setup is None else (setup,)
        client = webtest.TestApp(testapp.main(settings, None, *includes, **options))
        client.RequestClass = get_request_class(prefix)
        client.registry = client.app.registry
        return client

    return serve


@pytest.fixture
def statements(monkeypatch):
    """The SQL that is sent to PostgreSQL, each string in one round trip."""
    found, execute = [], transaction._execute

    def recorded(cursor, batch):
        found.append(";".join(statement.sql for statement in batch))
        return execute(cursor, batch)

    monkeypatch.setattr(transaction, "_execute", recorded)
    return found


def pytest_collection_modifyitems(items):
    for item in items:
        if not WITHOUT_COVERAGE.isdisjoint(item.path.parts):
            item.add_marker("no_cover")


def pytest_sessionfinish(session, exitstatus):
    postgresql_server.stop()
