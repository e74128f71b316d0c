"""Retries, delays and time limits."""

import asyncio
import contextlib
import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from cliquet.client import (
    AlertWarning,
    AsyncClient,
    BackoffError,
    NotFound,
    PreconditionFailed,
    ProtocolError,
    ResponseError,
    ServerError,
    ServiceUnavailable,
    TooManyRequests,
    TransportError,
    new_id,
)
from cliquet.client.messages import HELLO
from cliquet.client.protocol import Protocol
from tests.client.fault_proxy import DROP, PASS, TIMEOUT, Response, error, success
from tests.processes import free_port

DONE = success(None)


@pytest.fixture
def spores(client):
    return client.resource("/spores")


# Lost responses


@pytest.mark.parametrize("path", ["/spores", "/bookmarks", "/articles"])
def test_creation_with_lost_response_creates_one_record(client, proxy, path):
    proxy.script(DROP, DROP)
    created = client.resource(path).create({"url": "https://example.com"})
    assert proxy.methods == ["PUT"] * 3
    assert created.status == 200
    (tombstone,) = client.resource(path).delete_all().data
    assert tombstone["id"] == created.data["id"]


def test_creation_with_the_id_of_the_caller_is_retried(spores, proxy):
    proxy.script(DROP)
    created = spores.create({"id": new_id()})
    assert (proxy.methods, created.status) == (["POST"] * 2, 200)


def test_creation_without_id_is_sent_once(client, spores, proxy):
    proxy.script(DROP)
    with pytest.raises(TransportError, match="POST /spores: "):
        client.resource("/spores", id_factory=None).create({})
    assert proxy.methods == ["POST"]
    assert spores.list().total == 1


def test_creation_with_lost_response_does_not_bring_back_a_deleted_record(spores, proxy, clock):
    def delete_all(seconds):
        headers = {"Authorization": proxy.requests[0][2]["Authorization"]}
        proxy.forward("DELETE", "/v1/spores", headers, b"")

    clock.on_sleep = delete_all
    proxy.script(DROP)
    with pytest.raises(PreconditionFailed) as caught:
        spores.create({"name": "x"})
    assert caught.value.existing["deleted"] is True
    assert caught.value.__notes__ == ["Sent 2 times: the server may have processed it."]
    assert list(spores.list()) == []


def test_creation_of_a_record_with_a_field_named_deleted(client, proxy):
    proxy.script(DROP)
    created = client.resource("/spores").create({"name": "x", "deleted": True})
    assert (created.status, created.data["name"]) == (200, "x")


def test_delete_all_is_sent_once_because_others_can_create_records(spores, proxy):
    spores.create({"name": "x"})
    proxy.script(DROP)
    with pytest.raises(TransportError) as caught:
        spores.delete_all(name="x")
    assert proxy.methods == ["DELETE"]
    assert caught.value.__notes__ == ["Sent once: the server may have processed it."]
    assert list(spores.list()) == []


def test_delete_all_with_if_match_is_retried(spores, proxy):
    spores.create({"name": "x"})
    timestamp = spores.list().timestamp
    proxy.script(error(503, 201))
    assert len(spores.delete_all(if_match=timestamp).data) == 1
    assert proxy.methods == ["DELETE"] * 2
    spores.create({"name": "y"})
    timestamp = spores.list().timestamp
    proxy.script(DROP)
    with pytest.raises(PreconditionFailed) as caught:
        spores.delete_all(if_match=timestamp)
    assert caught.value.__notes__ == ["Sent 2 times: the server may have processed it."]


@pytest.mark.parametrize(
    ("status", "is_unknown"), [(400, False), (502, True), (503, False), (504, True)]
)
def test_error_of_a_gateway_notes_that_the_request_can_have_succeeded(
    client, proxy, status, is_unknown
):
    proxy.script(error(status))
    with pytest.raises(ResponseError) as caught:
        client.request("POST", "/spores", {"data": {}})
    assert hasattr(caught.value, "__notes__") == is_unknown


def test_request_that_never_reached_the_server_is_retried(connect, clock):
    client = connect(f"http://127.0.0.1:{free_port()}/v1", retries=1)
    with pytest.raises(TransportError, match="Sent 2 times") as caught:
        client.request("POST", "/spores", {"data": {}})
    assert not caught.value.is_sent
    assert len(clock.slept) == 1


def test_asynchronous_client_retries_a_connection_that_is_not_opened_in_time(clock):
    def time_out(request):
        raise httpx.ConnectTimeout("", request=request)

    async def request():
        async with httpx.AsyncClient(transport=httpx.MockTransport(time_out)) as session:
            client = AsyncClient(
                "http://127.0.0.1", session=session, sleep=sleep, clock=clock, retries=1
            )
            await client.request("POST", "/spores", {"data": {}})

    async def sleep(seconds):
        clock.sleep(seconds)

    with pytest.raises(TransportError, match="timed out") as caught:
        asyncio.run(request())
    assert not caught.value.is_sent
    assert len(clock.slept) == 1


def test_asynchronous_client_does_not_retry_an_invalid_url(clock):
    async def sleep(seconds):
        clock.sleep(seconds)

    async def request():
        async with AsyncClient("http://127.0.0.1", sleep=sleep, clock=clock) as client:
            await client.request("GET", "/\n")

    with pytest.raises(TransportError, match="Invalid"):
        asyncio.run(request())
    assert clock.slept == []


def test_custom_request_is_retried_unless_it_is_a_post(client, proxy):
    proxy.script(DROP)
    client.request("PUT", f"/spores/{new_id()}", {"data": {}})
    assert proxy.methods == ["PUT"] * 2
    proxy.script(DROP)
    with pytest.raises(TransportError):
        client.request("post", "/spores", {"data": {}})
    assert len(proxy.requests) == 1
    proxy.script(DROP)
    client.request("POST", "/batch", {"requests": []}, idempotent=True)
    assert len(proxy.requests) == 2


def test_json_patch_is_retried_only_with_a_precondition(spores, proxy):
    id_ = spores.create({"tags": []}).data["id"]
    operations = [{"op": "add", "path": "/data/tags/-", "value": "a"}]
    proxy.script(DROP)
    with pytest.raises(TransportError):
        spores.patch(id_, operations)
    record = spores.get(id_)
    assert record.data["tags"] == ["a"]
    proxy.script(DROP)
    with pytest.raises(PreconditionFailed):
        spores.patch(id_, operations, if_match=record.timestamp)
    assert proxy.methods == ["PATCH"] * 2


def test_error_notes_that_an_earlier_attempt_can_have_succeeded(spores, proxy):
    record = spores.create({"name": "x"})
    id_ = record.data["id"]
    proxy.script(DROP)
    with pytest.raises(PreconditionFailed) as caught:
        spores.patch(id_, {"name": "y"}, if_match=record.timestamp)
    assert caught.value.existing["name"] == "y"
    assert caught.value.__notes__ == ["Sent 2 times: the server may have processed it."]
    with pytest.raises(NotFound) as caught:
        spores.get(new_id())
    assert not hasattr(caught.value, "__notes__")


def test_response_that_is_not_json_is_retried(spores, proxy, clock):
    proxy.script(Response(200, {"Content-Type": "text/html"}, b"<h1>Please log in</h1>"))
    assert list(spores.list()) == []
    proxy.script(*[Response(200, {"Content-Type": "text/html"}, b"<")] * 5)
    with pytest.raises(
        TransportError, match="GET /spores: the body is not JSON, but text/html"
    ) as caught:
        spores.list()
    assert caught.value.__notes__ == ["Sent 5 times."]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"text"', b"{}", b'{"data": "", "settings": [], "responses": 1}']
)
def test_response_of_another_service_is_refused(client, spores, proxy, clock, body):
    calls = {
        "GET /: the body has no 'settings'": client.server_info,
        "GET /spores: the body has no 'data'": spores.list,
        "PUT /spores/.*: the body has no 'data'": lambda: spores.create({"name": "x"}),
        "DELETE /spores: the body has no 'data'": spores.delete_all,
    }
    for message, call in calls.items():
        proxy.script(Response(200, {}, body))
        with pytest.raises(ProtocolError, match=message):
            call()
    client.server_info()
    proxy.script(PASS, Response(200, {}, body))
    with pytest.raises(TransportError, match="POST /batch: the body has no 'responses'"):
        with client.batch() as batch:
            batch.resource("/spores").delete_all()
            batch.resource("/spores").delete_all()
    assert clock.slept == []


def test_response_without_body_has_no_data(spores, proxy):
    proxy.script(Response(204, {}, b""))
    assert spores.delete_all().data is None


def test_unreachable_server_is_a_transport_error(connect, clock):
    client = connect(f"http://127.0.0.1:{free_port()}/v1", retries=2)
    with pytest.raises(TransportError, match="^GET /: .*connection.*\nSent 3 times.$") as caught:
        client.server_info()
    assert caught.value.__cause__ is not None
    assert len(clock.slept) == 2


def test_server_that_does_not_respond_in_time_is_a_transport_error(connect):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(
            f"http://127.0.0.1:{silent.getsockname()[1]}", attempt_timeout=0.05, retries=0
        )
        with pytest.raises(TransportError, match="GET /: .*timed out"):
            client.server_info()


def test_permanent_failure_is_not_retried(connect, proxy, clock):
    secure = connect(proxy.url.replace("http:", "https:"))
    with pytest.raises(TransportError, match="GET /: .*SSL"):
        secure.server_info()
    client = connect(proxy.url)
    proxy.script(*[Response(307, {"Location": f"{proxy.url}/"}, b"")] * 40)
    with pytest.raises(TransportError, match="GET /: more than 10 redirects"):
        client.server_info()
    with pytest.raises(TransportError, match="Invalid|Illegal"):
        client.request("GET", "/", headers={"If-Match": "\n"})
    with pytest.raises(TransportError, match="encode"):
        client.request("GET", "/", headers={"If-Match": "\u2713"})
    assert clock.slept == []


# Time limits


@contextmanager
def endless_server(head, interval):
    """URL of a server that sends a head, then some bytes after each interval in seconds."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                connection.sendall(head)
                while not ended.wait(interval):
                    connection.sendall(b"x" * 1000)

    connections, ended = [], threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(TIMEOUT)
            for connection in connections:
                connection.close()


@pytest.mark.parametrize(
    ("head", "interval"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", 0.05),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", 0.05),
        (b"HTTP/1.1 200 OK\r\n\r\n", 0),
    ],
    ids=["slow head", "slow body", "endless body"],
)
def test_response_that_never_ends_is_a_transport_error(connect, head, interval):
    with endless_server(head, interval) as url:
        client = connect(url, attempt_timeout=0.3, retries=0)
        with pytest.raises(TransportError, match="GET /: .*timed out"):
            client.server_info()


def test_call_is_limited_in_all(connect):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = connect(
            url, attempt_timeout=0.1, timeout=0.3, retries=10**6, delay=0, clock=time.monotonic
        )
        with pytest.raises(TransportError, match="GET /: .*timed out"):
            client.server_info()


def test_attempt_is_limited_by_the_rest_of_the_call(clock):
    options = {"auth": None, "retries": 1, "delay": 4, "timeout": 10, "attempt_timeout": 30}
    steps = Protocol("http://localhost", clock=clock, **options).send(HELLO)
    assert next(steps).timeout == 10
    clock.sleep(3)
    pause = steps.throw(TransportError("lost"))
    clock.sleep(pause.seconds)
    assert next(steps).timeout == pytest.approx(7 - pause.seconds)


# Delays


def test_delays_grow_with_jitter_up_to_the_last_retry(connect, proxy, clock):
    client = connect(proxy.url, retries=3, delay=2)
    proxy.script(*[error(503, 201)] * 10)
    with pytest.raises(ServiceUnavailable):
        client.server_info()
    assert len(proxy.requests) == 4
    assert all(2 * 2**n * 0.5 <= slept <= 2 * 2**n * 1.5 for n, slept in enumerate(clock.slept))
    assert len({slept / 2**n for n, slept in enumerate(clock.slept)}) > 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_transient_status_is_retried(client, proxy, status):
    proxy.script(error(status), DONE)
    client.request("GET", "/spores")
    assert len(proxy.requests) == 2


@pytest.mark.parametrize("status", [400, 403, 500, 501])
def test_other_status_is_not_retried(client, proxy, clock, status):
    proxy.script(error(status))
    with pytest.raises(Exception, match=f"GET /spores: {status} Error"):
        client.request("GET", "/spores")
    assert len(proxy.requests) == 1
    assert clock.slept == []


# Retry-After and Backoff


def test_retry_after_delays_the_retry(client, proxy, clock):
    proxy.script(error(503, 201, {"Retry-After": "30"}), DONE)
    client.request("GET", "/spores")
    assert clock.slept == [30]


def test_retry_after_can_be_a_date(client, proxy, clock):
    now = datetime.now(UTC) - timedelta(days=3)  # the server's clock can be wrong
    dates = [format_datetime(time, usegmt=True) for time in (now, now + timedelta(seconds=40))]
    headers = dict(zip(("Date", "Retry-After"), dates, strict=True))
    proxy.script(error(503, 201, headers), DONE)
    client.request("GET", "/spores")
    assert clock.slept == [40]


@pytest.mark.parametrize("value", ["soon", "-5", "", "9" * 5000, "Sat, 21 Nov 2026 12:00:00 GMT"])
def test_invalid_retry_after_is_ignored(client, proxy, clock, value):
    proxy.script(error(503, 201, {"Retry-After": value}), DONE)
    client.request("GET", "/spores")
    assert len(clock.slept) == 1
    assert 0.5 <= clock.slept[0] <= 1.5


def test_pause_longer_than_the_timeout_is_an_error(connect, proxy, clock):
    client = connect(proxy.url, timeout=10)
    proxy.script(error(429, 117, {"Retry-After": "3600"}))
    with pytest.raises(TooManyRequests):
        client.request("GET", "/spores")
    with pytest.raises(BackoffError, match="requested a pause: 3600 s remain") as caught:
        client.request("GET", "/spores")
    assert caught.value.seconds == 3600
    assert len(proxy.requests) == 1
    assert clock.slept == []
    clock.now += 3595
    client.request("GET", "/spores")
    assert clock.slept == [5]


@pytest.mark.parametrize("value", ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_requested_pause_is_at_most_a_day(connect, proxy, clock, value):
    headers = {"Backoff": value, "Date": "Mon, 30 Nov 2026 12:00:00 GMT"}
    client = connect(proxy.url, timeout=24 * 60 * 60 + 1)
    proxy.script(DONE._replace(headers=headers), DONE)
    client.request("GET", "/spores")
    client.request("GET", "/spores")
    assert clock.slept == [24 * 60 * 60]


def test_backoff_delays_the_next_request(client, proxy, clock):
    proxy.script(DONE._replace(headers={"Backoff": "20"}), DONE, DONE)
    client.request("GET", "/spores")
    assert clock.slept == []
    clock.now += 5
    client.request("GET", "/spores")
    assert clock.slept == [15]
    client.request("GET", "/spores")
    assert clock.slept == [15]


def test_backoff_of_an_error_delays_the_next_request(client, proxy, clock):
    proxy.script(error(500, 999, {"Backoff": "20"}))
    with pytest.raises(ServerError):
        client.request("GET", "/spores")
    client.request("POST", "/batch", {"requests": []})
    assert clock.slept == [20]


# Alert


def test_alert_is_warned_about_once(client, proxy):
    alert = '{"code": "soft-eol", "message": "It ends.", "url": "https://example.com"}'
    response = DONE._replace(headers={"Alert": alert})
    proxy.script(response, response, DONE._replace(headers={"Alert": "watch out"}))
    with pytest.warns(AlertWarning, match="127.0.0.1: soft-eol, It ends., https://example.com"):
        client.request("GET", "/spores")
    client.request("GET", "/spores")
    with pytest.warns(AlertWarning, match="127.0.0.1: watch out"):
        client.request("GET", "/spores")


@pytest.mark.filterwarnings("error::cliquet.client.AlertWarning")
def test_alert_that_raises_does_not_hide_the_result_of_a_write(connect, proxy):
    client = connect(proxy.url)
    record = {"id": new_id(), "last_modified": 1}
    headers = {"Alert": "watch out"}
    proxy.script(success(record, headers), success(record), error(404, 111, {"Alert": "hurry"}))
    assert client.resource("/spores").create({}).data == record
    with pytest.raises(AlertWarning, match="127.0.0.1: watch out"):
        client.resource("/spores").create({})
    assert len(proxy.requests) == 1
    client.resource("/spores").create({})
    with pytest.raises(NotFound):
        client.resource("/spores").delete("x")
    with pytest.raises(AlertWarning, match="127.0.0.1: hurry"):
        client.close()


def test_success_causes_no_delay(spores, proxy, clock):
    spores.create({})
    assert clock.slept == []
