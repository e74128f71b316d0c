"""The client waits as it is asked to, and sends again what does no harm twice."""

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from cliquet.client import (
    AlertWarning,
    BackoffError,
    NotFound,
    PreconditionFailed,
    ServerError,
    ServiceUnavailable,
    TooManyRequests,
    TransportError,
    new_id,
)
from tests.client.fault_proxy import DROP, PASS, Response, error, success
from tests.processes import free_port

DONE = success(None)


@pytest.fixture
def spores(client):
    return client.resource("/spores")


# Answers that are lost


@pytest.mark.parametrize("path", ["/spores", "/bookmarks", "/articles"])
def test_creation_whose_answer_is_lost_creates_once(client, proxy, path):
    proxy.script(DROP, DROP)
    created = client.resource(path).create({"url": "https://example.com"})
    assert proxy.methods == ["POST"] * 3
    (tombstone,) = client.resource(path).delete_all().data
    assert tombstone["id"] == created.data["id"]


def test_creation_whose_id_the_server_makes_is_sent_once(client, spores, proxy):
    proxy.script(DROP)
    with pytest.raises(TransportError, match="POST /spores: "):
        client.resource("/spores", id_factory=None).create({})
    assert proxy.methods == ["POST"]
    assert spores.list().total == 1


def test_request_of_ones_own_is_sent_again_unless_it_is_a_post(client, proxy):
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


def test_error_tells_that_an_earlier_attempt_may_have_had_its_effect(spores, proxy):
    record = spores.create({"name": "x"})
    id_ = record.data["id"]
    proxy.script(DROP)
    with pytest.raises(PreconditionFailed) as caught:
        spores.patch(id_, {"name": "y"}, if_match=record.timestamp)
    assert caught.value.existing["name"] == "y"
    assert caught.value.__notes__ == ["Sent 2 times: it may have had its effect before."]
    with pytest.raises(NotFound) as caught:
        spores.get(new_id())
    assert not hasattr(caught.value, "__notes__")


def test_answer_that_is_no_json_is_as_none_at_all(spores, proxy, clock):
    proxy.script(Response(200, {"Content-Type": "text/html"}, b"<h1>Please log in</h1>"))
    assert list(spores.list()) == []
    proxy.script(*[Response(200, {"Content-Type": "text/html"}, b"<")] * 5)
    with pytest.raises(
        TransportError, match="GET /spores: the body is no JSON, but text/html"
    ) as caught:
        spores.list()
    assert caught.value.__notes__ == ["Sent 5 times."]


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"{}"])
def test_answer_of_another_service_is_none(client, spores, proxy, clock, body):
    asked = {
        "GET /: the body has no 'settings'": client.server_info,
        "GET /spores: the body has no 'data'": spores.list,
        "POST /spores: the body has no 'data'": lambda: spores.create({"name": "x"}),
        "DELETE /spores: the body has no 'data'": spores.delete_all,
    }
    for message, ask in asked.items():
        proxy.script(Response(200, {}, body))
        with pytest.raises(TransportError, match=message):
            ask()
    client.server_info()
    proxy.script(PASS, Response(200, {}, body))
    with pytest.raises(TransportError, match="POST /batch: the body has no 'responses'"):
        with client.batch() as batch:
            batch.resource("/spores").delete_all()
    assert clock.slept == []


def test_answer_that_may_have_no_body_has_no_data(spores, proxy):
    proxy.script(Response(204, {}, b""))
    assert spores.delete_all().data is None


def test_server_that_is_not_there_is_no_answer(connect, clock):
    client = connect(f"http://127.0.0.1:{free_port()}/v1", retries=2)
    with pytest.raises(
        TransportError, match="^GET /: HTTPConnection.* refused\nSent 3 times.$"
    ) as caught:
        client.server_info()
    assert caught.value.__cause__ is not None
    assert len(clock.slept) == 2


def test_server_that_does_not_answer_in_time_is_no_answer(connect):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(
            f"http://127.0.0.1:{silent.getsockname()[1]}", attempt_timeout=0.05, retries=0
        )
        with pytest.raises(TransportError, match="GET /: .*timed out"):
            client.server_info()


def test_failure_that_lasts_is_not_tried_again(connect, proxy, clock):
    secure = connect(proxy.url.replace("http:", "https:"))
    with pytest.raises(TransportError, match="GET /: .*SSL"):
        secure.server_info()
    client = connect(proxy.url)
    proxy.script(*[Response(307, {"Location": f"{proxy.url}/"}, b"")] * 40)
    with pytest.raises(TransportError, match="GET /: Exceeded 30 redirects"):
        client.server_info()
    with pytest.raises(TransportError, match="Invalid"):
        client.request("GET", "/", headers={"If-Match": "\n"})
    assert clock.slept == []


# Delays


def test_delays_grow_and_differ_and_end(connect, proxy, clock):
    client = connect(proxy.url, retries=3, delay=2)
    proxy.script(*[error(503, 201)] * 10)
    with pytest.raises(ServiceUnavailable):
        client.server_info()
    assert len(proxy.requests) == 4
    assert all(2 * 2**n * 0.5 <= slept <= 2 * 2**n * 1.5 for n, slept in enumerate(clock.slept))
    assert len({slept / 2**n for n, slept in enumerate(clock.slept)}) > 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_status_that_may_pass_is_tried_again(client, proxy, status):
    proxy.script(error(status), DONE)
    client.request("GET", "/spores")
    assert len(proxy.requests) == 2


@pytest.mark.parametrize("status", [400, 403, 500, 501])
def test_other_status_is_not_tried_again(client, proxy, clock, status):
    proxy.script(error(status))
    with pytest.raises(Exception, match=f"GET /spores: {status} Error"):
        client.request("GET", "/spores")
    assert len(proxy.requests) == 1
    assert clock.slept == []


# Retry-After and Backoff


def test_retry_after_is_waited_for(client, proxy, clock):
    proxy.script(error(503, 201, {"Retry-After": "30"}), DONE)
    client.request("GET", "/spores")
    assert clock.slept == [30]


def test_retry_after_can_be_a_date(client, proxy, clock):
    now = datetime.now(UTC) - timedelta(days=3)  # the server's clock needn't be right
    dates = [format_datetime(time, usegmt=True) for time in (now, now + timedelta(seconds=40))]
    headers = dict(zip(("Date", "Retry-After"), dates, strict=True))
    proxy.script(error(503, 201, headers), DONE)
    client.request("GET", "/spores")
    assert clock.slept == [40]


@pytest.mark.parametrize("value", ["soon", "-5", "", "9" * 5000, "Sat, 21 Nov 2026 12:00:00 GMT"])
def test_retry_after_that_tells_no_time_is_as_none(client, proxy, clock, value):
    proxy.script(error(503, 201, {"Retry-After": value}), DONE)
    client.request("GET", "/spores")
    assert len(clock.slept) == 1
    assert 0.5 <= clock.slept[0] <= 1.5


def test_server_that_asks_for_too_long_a_pause_is_not_waited_for(connect, proxy, clock):
    client = connect(proxy.url, timeout=10)
    proxy.script(error(429, 117, {"Retry-After": "3600"}))
    with pytest.raises(TooManyRequests):
        client.request("GET", "/spores")
    with pytest.raises(BackoffError, match="requested a pause: 3600 s remain") as caught:
        client.request("GET", "/spores")
    assert caught.value.seconds == 3600
    assert len(proxy.requests) == 1
    assert clock.slept == []
    clock.now += 3590
    client.request("GET", "/spores")
    assert clock.slept == [10]


def test_backoff_is_waited_for_before_the_next_request(client, proxy, clock):
    proxy.script(DONE._replace(headers={"Backoff": "20"}), DONE, DONE)
    client.request("GET", "/spores")
    assert clock.slept == []
    clock.now += 5
    client.request("GET", "/spores")
    assert clock.slept == [15]
    client.request("GET", "/spores")
    assert clock.slept == [15]


def test_backoff_of_a_failure_counts_for_what_is_sent_once(client, proxy, clock):
    proxy.script(error(500, 999, {"Backoff": "20"}))
    with pytest.raises(ServerError):
        client.request("GET", "/spores")
    client.request("POST", "/batch", {"requests": []})
    assert clock.slept == [20]


# Alert


def test_alert_is_a_warning_once(client, proxy):
    alert = '{"code": "soft-eol", "message": "It ends.", "url": "https://example.com"}'
    response = DONE._replace(headers={"Alert": alert})
    proxy.script(response, response, DONE._replace(headers={"Alert": "watch out"}))
    with pytest.warns(AlertWarning, match="127.0.0.1: soft-eol, It ends., https://example.com"):
        client.request("GET", "/spores")
    client.request("GET", "/spores")
    with pytest.warns(AlertWarning, match="127.0.0.1: watch out"):
        client.request("GET", "/spores")


def test_nothing_is_waited_for_where_nothing_is_wrong(spores, proxy, clock):
    spores.create({})
    assert clock.slept == []
