"""ASGI applications, and clients of them."""

import asyncio
import contextlib
import functools
import json

import pytest

from cliquet import asgi
from cliquet.utils import encode64
from tests.resource import apps
from tests.resource.apps import Note, Page

SETTINGS = {"live_interval_seconds": 0.01}
#: Seconds within which an event arrives, also on a busy machine.
TIMEOUT = 20


def running(test):
    """Run a coroutine function as a test."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


class Event(dict):
    """The fields of an event."""

    @property
    def json(self):
        return json.loads(self["data"])

    @property
    def records(self):
        return self.json["data"]


class Connection:
    """A client of an ASGI application, without a server: it can stop reading."""

    def __init__(self, app, path, headers=(), method="GET", body=b""):
        path, _, query = path.partition("?")
        self.received = asyncio.Queue()
        self.sent = asyncio.Queue()
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost"), *headers],
            "client": ("127.0.0.1", 5000),
            "server": ("localhost", 80),
        }
        self.sent.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.task = asyncio.create_task(app(self.scope, self.sent.get, self._send))

    async def _send(self, message):
        if message["type"] == "http.response.body":
            await self.may_read.wait()
        self.received.put_nowait(message)

    async def _message(self):
        async with asyncio.timeout(TIMEOUT):
            return await self.received.get()

    async def start(self):
        """Return the status and the headers."""
        message = await self._message()
        assert message["type"] == "http.response.start"
        headers = {name.decode(): value.decode() for name, value in message["headers"]}
        return message["status"], headers

    async def body(self):
        """Return the rest of the body."""
        chunks, more_body = [], True
        while more_body:
            message = await self._message()
            chunks.append(message["body"])
            more_body = message.get("more_body", False)
        await self.task
        return b"".join(chunks)

    async def event(self):
        """Return the next event, after any comments; None at the end of the stream."""
        while (block := await self._block()) == ":":
            pass
        if block is None:
            return None
        lines = [line.split(": ", 1) for line in block.split("\n")]
        names = [name for name, _ in lines]
        data = "\n".join(value for name, value in lines if name == "data")
        assert names.count("event") <= 1
        return Event(lines, data=data)

    async def comment(self):
        """Wait for a comment."""
        assert await self._block() == ":"

    async def _block(self):
        """Return the lines of an event, or of a comment."""
        message = await self._message()
        if not message["more_body"]:
            assert message["body"] == b""
            await self.task
            return None
        block, end = message["body"].decode().split("\n\n")
        assert end == ""
        return block

    def disconnect(self):
        self.sent.put_nowait({"type": "http.disconnect"})


class Service:
    """An ASGI application, with a client of the WSGI application.

    It counts the requests that the WSGI application serves.
    """

    def __init__(self, client):
        self.client = client
        self.requests = 0
        self.asgi = asgi.application(self._count, threads=2)

    def _count(self, environ, start_response):
        self.requests += 1
        return self.client.app(environ, start_response)

    def request(self, path, user="alice", headers=None, **others):
        own = {"authorization": f"Basic {encode64(f'{user}:secret')}"} if user else {}
        pairs = {**own, **(headers or {})}.items()
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
        return Connection(self.asgi, f"/v1{path}", encoded, **others)

    def stream(self, path, user="alice", headers=None):
        return self.request(path, user, {"accept": "text/event-stream", **(headers or {})})

    @contextlib.asynccontextmanager
    async def streaming(self, path, user="alice", headers=None):
        """Return a stream that has started."""
        connection = self.stream(path, user, headers)
        status, _ = await connection.start()
        assert status == 200
        try:
            yield connection
        finally:
            connection.disconnect()
            await connection.task


@pytest.fixture
def engine():
    return "memory"


@pytest.fixture
def service(engine, applications, tmp_path_factory):
    def build():
        settings = {**SETTINGS, **apps.backends(engine, tmp_path_factory.mktemp("live"))}
        return apps.build(Note, Page, settings=settings)

    service = Service(applications.get(("live", engine), build))
    yield service
    service.client.flush()  # other tests use the same servers


@pytest.fixture
def alice(service):
    return service.client.user("alice")
