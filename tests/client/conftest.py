import asyncio
import inspect
import uuid

import httpx
import pytest
import requests

from cliquet.client import AsyncClient, Client
from tests.client.fault_proxy import FaultProxy
from tests.http_servers import http_servers

#: As few as this, so that there are several pages and batches.
PAGE, BATCH = 10, 4


class Clock:
    """A clock that advances when the client sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []
        self.on_sleep = lambda seconds: None

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        self.on_sleep(seconds)


class Blocking:
    """Synchronous facade of an object of the asynchronous client, for tests of both clients."""

    def __init__(self, target, runner):
        self._target = target
        self._runner = runner

    def __getattr__(self, name):
        return self._block(getattr(self._target, name))

    def __repr__(self):
        return repr(self._target).replace("Async", "")

    def __bool__(self):
        return bool(self._target)

    def __enter__(self):
        return self._block(self._target.__aenter__())

    def __exit__(self, *exception):
        self._block(self._target.__aexit__(*exception))

    def __iter__(self):
        iterator = aiter(self._target)
        while (item := self._runner.run(_next_or_none(iterator))) is not None:
            yield item

    def close(self):
        end = getattr(self._target, "aclose", None) or self._target.close
        self._runner.run(_result(end()))

    def _block(self, value):
        if inspect.iscoroutine(value):
            return self._block(self._runner.run(value))
        if inspect.ismethod(value):
            return lambda *args, **options: self._block(value(*args, **options))
        is_asynchronous = hasattr(value, "__aiter__") or type(value).__name__.startswith("Async")
        return Blocking(value, self._runner) if is_asynchronous else value


async def _result(awaitable):
    return await awaitable


async def _next_or_none(iterator):
    return await anext(iterator, None)


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """URL of the application of :mod:`tests.hostile_client`, in another process."""
    settings = {"cliquet.paginate_by": PAGE, "cliquet.batch_max_requests": BATCH}
    with http_servers("memory", "", processes=1, **settings) as (server,):
        yield f"{server.url}/v1"


@pytest.fixture(scope="session")
def _proxy(service):
    with FaultProxy(service).running() as proxy:
        yield proxy


@pytest.fixture
def proxy(_proxy):
    """A proxy of the service, which passes everything on until it has a script."""
    _proxy.script()
    return _proxy


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["requests", "httpx"])
def library(request):
    """The library of the client under test: synchronous or asynchronous."""
    return request.param


@pytest.fixture
def session(library):
    """A session of the caller."""
    return requests.Session() if library == "requests" else httpx.AsyncClient()


@pytest.fixture
def connect(clock, library):
    """A function that returns clients at a URL, all of one new user."""
    user, clients, sessions = str(uuid.uuid4()), [], []
    runner = asyncio.Runner()

    async def sleep(seconds):
        clock.sleep(seconds)

    def connect(url, **options):
        options = {"auth": (user, "secret"), "clock": clock, **options}
        sessions.append(options.get("session"))
        if library == "requests":
            clients.append(Client(url, sleep=clock.sleep, **options))
        else:
            clients.append(Blocking(AsyncClient(url, sleep=sleep, **options), runner))
        return clients[-1]

    with runner:
        yield connect
        for client in clients:
            client.close()
        for session in filter(None, sessions):
            if library == "requests":
                session.close()
            else:
                runner.run(session.aclose())


@pytest.fixture
def client(connect, proxy):
    return connect(proxy.url)
