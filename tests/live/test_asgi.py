"""ASGI application: requests other than streams."""

import asyncio
import json
import threading

import pytest

from cliquet import asgi
from cliquet.live.polls import Poller
from tests.live.conftest import TIMEOUT, running


async def send(service, path, **options):
    """Return the status, headers and JSON of a response."""
    connection = service.request(path, **options)
    status, headers = await connection.start()
    return status, headers, json.loads(await connection.body() or b"null")


@running
async def test_requests_are_served_by_the_wsgi_application(service, alice):
    body = json.dumps({"data": {"n": 1}}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    status, _, created = await send(service, "/notes", method="POST", headers=headers, body=body)
    assert status == 201
    assert alice.list("/notes") == [created["data"]]
    status, headers, listed = await send(service, "/notes")
    assert headers["etag"] == f'"{created["data"]["last_modified"]}"'
    assert listed == {"data": [created["data"]]}


@running
async def test_body_without_a_length_is_read(service, alice):
    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    body = b'{"data": {"n": 1}}'
    status, _, _ = await send(service, "/notes", method="POST", headers=headers, body=body)
    assert status == 201
    assert alice.values("/notes") == [1]


@running
async def test_slow_bodies_do_not_occupy_threads(service, alice):
    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    slow = [service.request("/notes", method="POST", headers=headers) for _ in range(3)]
    for connection in slow:
        connection.sent.get_nowait()
        connection.sent.put_nowait({"type": "http.request", "body": b'{"data"', "more_body": True})
    assert (await send(service, "/notes"))[0] == 200
    for connection in slow:
        connection.sent.put_nowait({"type": "http.request", "body": b': {"n": 1}}'})
        assert (await connection.start())[0] == 201
        await connection.task
    assert alice.values("/notes") == [1, 1, 1]


@running
async def test_requests_do_not_wait_for_the_polls_of_all_streams(service, monkeypatch):
    def get(poller, scope):
        assert may_poll.wait(TIMEOUT)
        return original(poller, scope)

    original, may_poll = Poller._get, threading.Event()
    monkeypatch.setattr(Poller, "_get", get)
    streams = [service.stream(f"/notes?_limit={number}") for number in (1, 2, 3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(TIMEOUT / 2):
        assert (await send(service, "/notes"))[0] == 200
    may_poll.set()
    for stream in streams:
        assert (await stream.start())[0] == 200
        stream.disconnect()
        await stream.task


@running
async def test_server_that_stops_waits_neither_for_streams_nor_for_bodies(service, alice):
    def begin():
        connections.extend([service.stream("/notes"), service.request("/notes", method="POST")])
        connections[-1].sent.get_nowait()
        message = {"type": "http.request", "body": b'{"data"', "more_body": True}
        connections[-1].sent.put_nowait(message)

    connections = []
    begin()
    await connections[0].start()
    for _ in range(2):  # by a signal and by the server
        service.asgi.close()
    begin()  # just before the server has closed its connections
    assert (await connections[2].start())[0] == 200
    for stream in connections[::2]:
        assert (await stream.body()).startswith(b"event: change")
    for incomplete in connections[1::2]:
        assert (await incomplete.start())[0] == 503
        assert json.loads(await incomplete.body())["errno"] == 201
    assert alice.list("/notes") == []


@running
async def test_complete_requests_are_served_while_the_server_stops(service, alice):
    alice.create("/notes", {"n": 1})
    service.asgi.close()
    connection = service.request("/notes")
    assert (await connection.start())[0] == 200
    assert [record["n"] for record in json.loads(await connection.body())["data"]] == [1]


@running
async def test_request_whose_body_the_server_stops_reading_is_refused(service, alice):
    connection = service.request("/notes", method="POST")
    connection.sent.get_nowait()
    await asyncio.sleep(0)
    connection.task.cancel()
    assert (await connection.start())[0] == 503
    assert alice.list("/notes") == []


@running
async def test_request_of_a_client_that_disconnects_within_the_body_is_not_served(service, alice):
    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    connection = service.request("/notes", method="POST", headers=headers)
    connection.sent.get_nowait()
    connection.sent.put_nowait({"type": "http.request", "body": b'{"data": {}}', "more_body": True})
    connection.disconnect()
    await asyncio.wait_for(connection.task, TIMEOUT)
    assert alice.list("/notes") == []


@pytest.mark.parametrize("length", ["transfer-encoding", "content-length"])
@running
async def test_long_body_is_refused_before_its_end(service, length):
    value = {"transfer-encoding": "chunked", "content-length": "1" + "0" * 9}[length]
    headers = {"content-type": "application/json", length: value}
    connection = service.request("/notes", method="POST", headers=headers)
    connection.sent.get_nowait()
    for _ in range(2):
        message = {"type": "http.request", "body": b" " * (1 << 20), "more_body": True}
        connection.sent.put_nowait(message)
    assert (await connection.start())[0] == 413
    await connection.task


@pytest.mark.parametrize("path", ["/%FF", "/notes/%FF", "/notes/%C3%A9", "/notes?title=%C3%A9"])
@running
async def test_paths_are_those_of_wsgi_servers(service, alice, path):
    status, _, body = await send(service, path)
    response = alice.get(path, status="*")
    assert (status, body) == (response.status_code, response.json)


@running
async def test_path_without_its_raw_form_is_served(service):
    async def without_raw_path(scope, receive, sender):
        await application({**scope, "raw_path": None}, receive, sender)

    application, service.asgi = service.asgi, without_raw_path
    assert (await send(service, "/notes"))[0] == 200


@pytest.mark.parametrize("root", ["", "/root"])
@pytest.mark.parametrize("origin", ["http://localhost", "HTTPS://a.example:8080"])
@running
async def test_request_target_can_be_a_url(service, alice, origin, root):
    """RFC 9112 3.2.2. Servers prepend the root path."""

    async def with_url(scope, receive, sender):
        raw_path = root.encode() + origin.encode() + scope["raw_path"]
        path = root + origin + scope["path"]
        changed = {**scope, "path": path, "raw_path": raw_path, "root_path": root}
        await application(changed, receive, sender)

    note = alice.create("/notes", {"n": 1})
    application, service.asgi = service.asgi, with_url
    assert (await send(service, "/notes?n=1"))[2] == {"data": [note]}
    async with service.streaming("/notes?n=1") as stream:
        assert (await stream.event()).records == [note]


@running
async def test_query_string_that_is_not_ascii_is_read(service, alice):
    note = alice.create("/notes", {"title": "é"})
    connection = service.request("/notes?title=é")
    await connection.start()
    assert json.loads(await connection.body()) == {"data": [note]}


@running
async def test_headers_with_underscores_are_ignored(service):
    headers = {"x_forwarded_proto": "https", "authoriZation_": "x"}
    assert (await send(service, "/", headers=headers))[2]["url"] == "http://localhost/v1/"


@running
async def test_capability_is_shown_on_asgi_servers_only(service, alice):
    assert "live" in (await send(service, "/"))[2]["capabilities"]
    assert "live" not in alice.get("/").json["capabilities"]


@running
async def test_web_sockets_are_refused(service):
    sent = asyncio.Queue()
    await service.asgi({"type": "websocket"}, None, sent.put)
    assert sent.get_nowait()["type"] == "websocket.close"


def test_missing_package_is_reported(monkeypatch):
    monkeypatch.setattr(asgi, "a2wsgi", None)
    with pytest.raises(ImportError, match=r"cliquet\.asgi requires a2wsgi: pip install .*live"):
        asgi.application(lambda environ, start_response: [])
