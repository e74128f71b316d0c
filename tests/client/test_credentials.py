"""Credentials: which are sent, to which server, and when they are renewed."""

import base64
import json

import httpx
import pytest

from cliquet.client import (
    Client,
    ClientError,
    ProtocolError,
    ResponseError,
    TransportError,
    Unauthorized,
    new_id,
)
from tests.client.fault_proxy import FaultProxy, Response, error, success

DONE = success({})


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def sent(proxy):
    """The credentials of each request that the proxy received."""
    return [headers["Authorization"] for _, _, headers, _ in proxy.requests]


@pytest.fixture
def other():
    """Another server."""
    with FaultProxy().running() as other:
        yield other


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_read_follows_redirects_on_the_same_server(client, proxy, status):
    proxy.script(Response(status, {"Location": "/v1/spores?_limit=1"}))
    client.request("GET", "/other")
    assert [path for _, path, *_ in proxy.requests] == ["/v1/other", "/v1/spores?_limit=1"]
    assert len(set(sent(proxy))) == 1


@pytest.mark.parametrize("status", [307, 308])
def test_write_follows_redirects_that_keep_the_method(client, proxy, status):
    proxy.script(Response(status, {"Location": proxy.url + "/spores/x"}), DONE)
    client.resource("/spores").update("y", {"name": "x"})
    assert proxy.methods == ["PUT", "PUT"]
    assert proxy.requests[0][3] == proxy.requests[1][3] != b""


@pytest.mark.parametrize("status", [301, 307, 308])
def test_request_that_is_redirected_to_another_server_is_refused(client, proxy, other, status):
    proxy.script(*[Response(status, {"Location": other.url})] * 3)
    for call in (client.server_info, client.resource("/spores").list):
        with pytest.raises(ProtocolError, match=f"redirected to {other.url[:-3]}, .* change the"):
            call()
    assert len(proxy.requests) == 2
    with pytest.raises(ResponseError if status == 301 else ProtocolError):
        client.request("PUT", "/spores/x", {})
    assert other.requests == []


@pytest.mark.parametrize("location", ["https://{}", "//{}.example.com", "ftp://{}", "http://["])
def test_origin_has_scheme_host_and_port(client, proxy, location):
    address = proxy.url.removeprefix("http://").removesuffix("/v1")
    proxy.script(Response(307, {"Location": location.format(address)}))
    with pytest.raises(TransportError, match="^GET /: "):
        client.server_info()


# Renewal


def test_callable_is_called_before_each_attempt(connect, proxy, clock):
    tokens = iter(["first", "second"])
    client = connect(proxy.url, auth=with_token(lambda: next(tokens)))
    proxy.script(error(503, 201), DONE)
    client.request("GET", "/spores")
    assert sent(proxy) == ["Bearer first", "Bearer second"]


def test_callable_is_called_once_more_after_a_401(connect, proxy, clock):
    tokens = iter(["expired", "fresh", "expired", "wrong"])
    client = connect(proxy.url, auth=with_token(lambda: next(tokens)))
    proxy.script(error(401, 104), DONE)
    client.request("POST", "/spores", {"data": {}})
    proxy.steps[:] = [error(401, 104)] * 2
    with pytest.raises(Unauthorized):
        client.request("POST", "/spores", {"data": {}})
    assert sent(proxy) == ["Bearer expired", "Bearer fresh", "Bearer expired", "Bearer wrong"]
    assert clock.slept == []


@pytest.mark.parametrize("options", [{}, {"id_factory": None}])
@pytest.mark.parametrize("atomic", [False, True])
def test_callable_is_called_once_more_if_a_batch_is_unauthorized(connect, proxy, options, atomic):
    tokens = iter(["expired", *[None] * 3])

    def add(request):
        token = next(tokens)
        request.headers["Authorization"] = f"Bearer {token}" if token else basic("alice", "x")
        return request

    client = connect(proxy.url, auth=add)
    with client.batch(size=2, atomic=atomic) as batch:
        spores = batch.resource("/spores", **options)
        created = [spores.create({}) for _ in range(2)]
    assert [future.result().status for future in created] == [201, 201]
    assert len(set(sent(proxy))) == 2


@pytest.mark.parametrize(
    ("statuses", "id_factory", "number"),
    [
        ((201, 401), None, 1),
        ((201, 401), new_id, 2),
        ((401, 401), None, 2),
        (("401", None), None, 1),
    ],
    ids=["mixed", "idempotent", "unauthorized", "invalid"],
)
def test_unauthorized_batch_is_repeated_unless_it_could_create_records_twice(
    connect, proxy, statuses, id_factory, number
):
    client = connect(proxy.url, auth=with_token(lambda: "x"))
    items = [{"status": status, "headers": {}, "body": {"data": {}}} for status in statuses]
    proxy.script(Response(200, {}, json.dumps({"responses": [*items, None]}).encode()))
    with pytest.raises(ClientError), client.batch(size=5) as batch:
        spores = batch.resource("/spores", id_factory)
        [spores.create({}) for _ in range(len(statuses) + 1)]
    assert len(proxy.requests) == number


def test_password_is_sent_once(client, proxy):
    proxy.script(error(401, 104))
    with pytest.raises(Unauthorized):
        client.server_info()
    assert len(proxy.requests) == 1


def test_asynchronous_client_accepts_coroutine_functions_and_auth_of_httpx(connect, proxy, library):
    if library == "requests":
        return

    async def with_fresh_token(request):
        request.headers["Authorization"] = "Bearer token"
        return request

    proxy.script(DONE, DONE)
    connect(proxy.url, auth=with_fresh_token).request("GET", "/spores")
    connect(proxy.url, auth=httpx.BasicAuth("alice", "secret")).request("GET", "/spores")
    assert sent(proxy) == ["Bearer token", basic("alice", "secret")]


def with_token(token):
    def add(request):
        request.headers["Authorization"] = f"Bearer {token()}"
        return request

    return add


# Sources


@pytest.fixture
def netrc(tmp_path, monkeypatch):
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login netrc password secret")
    monkeypatch.setenv("NETRC", str(path))


def test_given_credentials_win_over_netrc(connect, proxy, netrc, session):
    proxy.script(Response(307, {"Location": "/v1/spores"}), *[DONE] * 3)
    connect(proxy.url, auth=("alice", "x")).request("GET", "/")
    connect(proxy.url, auth=None).request("GET", "/", headers={"authorization": "Bearer x"})
    session.headers["Authorization"] = "Bearer y"
    connect(proxy.url, auth=None, session=session).request("GET", "/")
    assert sent(proxy) == [basic("alice", "x")] * 2 + ["Bearer x", "Bearer y"]


def test_credentials_of_the_session_are_used_without_others(connect, proxy, session):
    session.auth = ("alice", "x")
    proxy.script(DONE, DONE)
    connect(proxy.url, auth=None, session=session).request("GET", "/")
    connect(proxy.url, auth=("bob", "x"), session=session).request("GET", "/")
    assert sent(proxy) == [basic("alice", "x"), basic("bob", "x")]


def test_netrc_is_used_without_other_credentials_as_requests_does(proxy, netrc):
    proxy.script(DONE)
    with Client(proxy.url) as client:
        client.request("GET", "/")
    assert sent(proxy) == [basic("netrc", "secret")]


def test_credentials_can_have_any_characters(connect, proxy):
    client = connect(proxy.url, auth=("zoë", "пароль"))
    assert client.resource("/spores").create({}).status == 201
    assert sent(proxy) == [basic("zoë", "пароль")]


def test_credentials_in_the_url_are_used_and_never_shown(connect, proxy):
    url = proxy.url.replace("://", "://alice:s%40cret@")
    client = connect(url, auth=None)
    proxy.script(DONE, Response(200, {}, b"<"), DONE)
    client.request("GET", "/spores")
    with pytest.raises(TransportError) as caught:
        client.request("POST", "/spores")
    connect(url, auth=("bob", "x")).request("GET", "/spores")
    assert sent(proxy) == [basic("alice", "s@cret")] * 2 + [basic("bob", "x")]
    assert "cret" not in repr(client) + repr(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "alice:secret@localhost/v1",
        "ftp://alice:secret@localhost",
        "http://alice:secret@localhost:x",
    ],
)
def test_invalid_url_is_refused_without_showing_the_password(url):
    with pytest.raises(ValueError, match="is not a server URL") as caught:
        Client(url)
    assert "secret" not in str(caught.value)
