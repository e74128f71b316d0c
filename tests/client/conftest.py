import uuid

import pytest

from cliquet.client import Client
from tests.client.fault_proxy import FaultProxy
from tests.http_servers import http_servers

#: As few as this, for pages and batches to be several.
PAGE, BATCH = 10, 4


class Clock:
    """A time that passes when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """The application of :mod:`tests.hostile_client`, behind a server; its URL."""
    settings = {"cliquet.paginate_by": PAGE, "cliquet.batch_max_requests": BATCH}
    with http_servers("memory", "", processes=1, **settings) as (server,):
        yield f"{server.url}/v1"


@pytest.fixture(scope="session")
def _proxy(service):
    with FaultProxy(service).running() as proxy:
        yield proxy


@pytest.fixture
def proxy(_proxy):
    """A server that passes everything on, until it is told otherwise."""
    _proxy.script()
    return _proxy


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def connect(clock):
    """A function of a URL that makes clients of one user, whom no other test knows."""
    user, opened = str(uuid.uuid4()), []

    def connect(url, **options):
        options = {"auth": (user, "secret"), "sleep": clock.sleep, "clock": clock, **options}
        opened.append(Client(url, **options))
        return opened[-1]

    yield connect
    for client in opened:
        client.close()


@pytest.fixture
def client(connect, proxy):
    return connect(proxy.url)
