"""Streams of changes, from a server that restarts and from others."""

import asyncio
import socket
import threading
import time
import uuid
from contextlib import ExitStack, aclosing

import httpx
import pytest
import requests
import uvicorn

from cliquet import asgi
from cliquet.client import (
    AsyncClient,
    ProtocolError,
    ResponseError,
    TransportError,
    Unauthorized,
    transport,
)
from cliquet.client.live import IDLE_SECONDS, Changes, ChangeStream
from tests.client.fault_proxy import Response, success
from tests.hostile_client import make_app
from tests.processes import START_TIMEOUT, free_port


class LiveServer:
    """A server in a thread, which can restart on the same port."""

    def __init__(self, app):
        self.app = app
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        self._asgi = asgi.application(self.app, threads=2)
        config = uvicorn.Config(
            self._asgi, port=self.port, log_config=None, access_log=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self):
        """Abort the connections, as the end of a killed process does."""
        self._server.should_exit = True
        for connection in list(self._server.server_state.connections):
            connection.loop.call_soon_threadsafe(connection.transport.abort)
        self._server.config.timeout_graceful_shutdown = 0.1
        self._thread.join(START_TIMEOUT)


@pytest.fixture(scope="module")
def live_server(tmp_path_factory):
    settings = {"cliquet.live_interval_seconds": "0.02", "cliquet.paginate_by": "2"}
    server = LiveServer(make_app("memory", tmp_path_factory.mktemp("live"), **settings))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def live_client(connect, live_server):
    return connect(live_server.url)


@pytest.fixture
def live_spores(live_client):
    return live_client.resource("/spores")


@pytest.fixture
def follow():
    """A function that iterates over the changes of a resource, until the end of the test."""
    with ExitStack() as stack:

        def follow(resource, **options):
            changes = resource.live(**options)
            stack.callback(changes.close)
            return iter(changes)

        yield follow


def test_changes_are_yielded_as_they_happen(live_spores, follow):
    old = live_spores.create({"name": "x"})
    changes = follow(live_spores)
    first = next(changes)
    assert (first, first.timestamp) == ([old.data], old.timestamp)
    assert first.checksum.startswith("1-")
    new = live_spores.create({"name": "y"})
    assert next(changes) == [new.data]
    deleted = live_spores.delete(old.data["id"])
    assert next(changes) == [deleted.data]


def test_stream_starts_at_a_timestamp_with_filters(live_spores, follow):
    old, new = (live_spores.create({"n": n}) for n in range(2))
    changes = follow(live_spores, since=old.timestamp, min_n=1)
    assert next(changes) == [new.data]


def test_only_the_last_of_several_pages_has_a_timestamp(live_spores, follow):
    for n in range(3):
        live_spores.create({"n": n})
    pages = follow(live_spores, _sort="n")
    first, last = next(pages), next(pages)
    assert [record["n"] for record in first + last] == [0, 1, 2]
    assert first.timestamp is None
    assert last.timestamp == live_spores.head().timestamp


def test_stream_continues_after_a_crash_without_a_gap(live_server, live_spores, follow, clock):
    changes = follow(live_spores)
    next(changes)
    live_server.stop()
    live_server.start()
    created = live_spores.create({"name": "x"})
    assert next(changes) == [created.data]
    assert clock.slept  # before it connects again
    created = live_spores.create({"name": "y"})
    assert next(changes) == [created.data]


def test_stream_continues_after_an_outage_that_outlasts_the_retries(
    connect, live_server, follow, clock
):
    def start(seconds):
        if len(clock.slept) == 12:
            live_server.start()
            body = {"data": {"name": "x"}}
            response = requests.post(f"{live_server.url}/spores", auth=user, json=body, timeout=20)
            created.append(response.json()["data"])

    user, created = (str(uuid.uuid4()), "secret"), []
    changes = follow(connect(live_server.url, auth=user).resource("/spores"))
    next(changes)
    live_server.stop()
    clock.on_sleep = start
    assert next(changes) == created


def test_stream_that_was_never_open_is_an_error(connect, follow):
    client = connect(f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(TransportError, match="GET /spores"):
        next(follow(client.resource("/spores")))


def test_client_waits_as_long_as_the_service_requires(live_server, live_spores, follow, clock):
    settings = live_server.app.registry.settings
    settings["backoff"] = 7
    try:
        changes = follow(live_spores)
        next(changes)
        clock.on_sleep = lambda seconds: settings.update(backoff=None)
        created = live_spores.create({"name": "x"})
        assert next(changes) == [created.data]
        assert max(clock.slept) > 6
    finally:
        settings["backoff"] = None


def test_session_of_the_caller_is_used(connect, live_server, session, follow):
    session.headers["X-Client"] = "mine"
    spores = connect(live_server.url, session=session).resource("/spores")
    assert next(follow(spores)) == []
    assert spores.head().total == 0  # the session is still open


@pytest.fixture
def limited(library):
    """A session with one connection, which must be free for the next request."""
    if library == "requests":
        return requests.Session()
    return httpx.AsyncClient(limits=httpx.Limits(max_connections=1))


def test_stream_is_closed_with_its_iterator(connect, live_server, limited):
    client = connect(live_server.url, session=limited, retries=0)
    changes = client.resource("/spores").live()
    assert next(iter(changes)) == []
    changes.close()
    assert client.resource("/spores").head().total == 0


def test_refused_stream_is_closed(connect, proxy, follow, limited):
    client = connect(proxy.url, session=limited, retries=0)
    proxy.script(Response(403, {"Content-Type": "text/event-stream"}, b"event: change\n"))
    with pytest.raises(ResponseError):
        next(follow(client.resource("/spores")))
    assert client.resource("/spores").head().total == 0


def test_stream_that_is_not_opened_in_time_is_an_error(connect, library, follow, monkeypatch):
    monkeypatch.setattr(transport, "IDLE_SECONDS", 0.05)  # requests limits only each read
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = connect(url, attempt_timeout=0.05, retries=0)
        with pytest.raises(TransportError, match="GET /spores: .*timed out") as caught:
            next(follow(client.resource("/spores")))
    limit = requests.Timeout if library == "requests" else TimeoutError  # not that of a read
    assert isinstance(caught.value.__cause__, limit)


def test_asynchronous_stream_can_be_silent_for_longer_than_an_attempt(live_server):
    async def timeouts():
        found = []

        async def note(request):
            found.append(request.extensions["timeout"]["read"])

        session = httpx.AsyncClient(event_hooks={"request": [note]})
        options = {"session": session, "attempt_timeout": 20}
        async with session, AsyncClient(live_server.url, ("alice", "x"), **options) as client:
            async with aclosing(client.resource("/spores").live()) as changes:
                await anext(changes)
        return found

    assert asyncio.run(timeouts()) == [IDLE_SECONDS]


def test_refused_stream_is_an_error(connect, live_server, follow):
    client = connect(live_server.url, auth=lambda request: request)
    with pytest.raises(Unauthorized):
        next(follow(client.resource("/spores")))


def test_service_without_streams_is_an_error(client, proxy, follow):
    spores = client.resource("/spores")
    with pytest.raises(ResponseError) as info:
        next(follow(spores))
    assert info.value.code == 406
    proxy.script(success([]))
    with pytest.raises(ProtocolError, match=r"not support streams of changes. Use client.copy\(\)"):
        next(follow(spores))


# Events


def test_bytes_are_read_in_any_portions():
    content = (
        b': comment\n\nevent: change\r\ndata: {"data": [{"n": 1}],\ndata: "checksum": "c"}\n'
        b'id: "5"\n\nevent: alert\ndata: x\n\nevent: change\ndata: {"data": [{"n": 2}]}\n\n'
    )
    for size in (1, 7, len(content)):
        stream = ChangeStream("/spores", "", None)
        portions = [content[at : at + size] for at in range(0, len(content), size)]
        changes = [each for portion in portions for each in stream.read(portion)]
        assert changes == [[{"n": 1}], [{"n": 2}]]
        assert [each.timestamp for each in changes] == [5, None]
        assert [each.checksum for each in changes] == ["c", None]
        assert stream.request().headers["Last-Event-ID"] == '"5"'


@pytest.mark.parametrize(
    ("retry", "pause"), [(b"5000", 5), (b"soon", 0), (b"-1", 0), (b"9" * 5000, 0), (b"", 0)]
)
def test_pause_is_a_number_of_milliseconds(retry, pause):
    stream = ChangeStream("/spores", "", None)
    stream.read(b"retry: %s\n\n" % retry)
    assert stream.pause == pause


def test_pauses_after_lost_connections_vary():
    streams = [ChangeStream("/spores", "", None) for _ in range(10)]
    for stream in streams:
        stream.end()
    pauses = {stream.pause for stream in streams}
    assert len(pauses) > 1
    assert 0.5 <= min(pauses) <= max(pauses) <= 1.5


def test_empty_event_is_yielded_once():
    event = b'event: change\nid: "5"\ndata: {"data": []}\n\n'
    stream = ChangeStream("/spores", "", 5)
    assert stream.read(event * 2) == [Changes([], 5, None)]


@pytest.mark.parametrize(
    "data", [b"data: no JSON\n", b"data: 1\n", b"data: {}\n", b'data: {"data": 1}\n', b""]
)
def test_event_without_data_is_an_error(data):
    with pytest.raises(ProtocolError, match="GET /spores: an event has no data"):
        ChangeStream("/spores", "", None).read(b"event: change\n%s\n" % data)


def test_stream_with_invalid_events_is_an_error(client, proxy, follow):
    headers = {"Content-Type": "text/event-stream"}
    response = success([], headers)
    proxy.script(response._replace(body=b"event: change\ndata: x\n\n"))
    with pytest.raises(ProtocolError, match="an event has no data"):
        next(follow(client.resource("/spores")))
