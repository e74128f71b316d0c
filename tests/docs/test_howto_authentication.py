"""Tokens of OAuth2 providers, against one on this machine."""

import json
import threading
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from tests.docs.console import Console
from tests.docs.pages import block

CLIENT = ("app", "s3cret")
TOKEN_OF_THE_GUIDE = "gho_16C7e42F292c6912E7710c838347Ae178B4a"
TOKENS = {
    TOKEN_OF_THE_GUIDE: {"id": 583231},
    "token-of-alice": {"id": 1, "login": "alice", "scope": "bookmarks profile"},
    "token-of-bob": {"id": 2, "login": "bob", "scope": "profile"},
}


class Provider(BaseHTTPRequestHandler):
    """GitHub's endpoints, and one of introspection."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        """The page where the user agrees: this one does at once."""
        params = dict(parse_qsl(urlsplit(self.path).query))
        assert params["client_id"] == CLIENT[0]
        back = urlencode({"code": "code-of-alice", "state": params["state"]})
        self.send_response(302)
        self.send_header("Location", f"{params['redirect_uri']}?{back}")
        self.end_headers()

    def do_POST(self):
        self.server.requests.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.server.broken == "status":
            return self.respond(500, {})
        if self.server.broken == "protocol":
            return self.wfile.write(b"nonsense\r\n")
        if self.path == "/login/oauth/access_token":
            return self.exchange(dict(parse_qsl(body)))
        credentials = "Basic " + b64encode(":".join(CLIENT).encode()).decode()
        if self.headers["Authorization"] != credentials:
            return self.respond(401, {})
        if self.path == f"/applications/{CLIENT[0]}/token":
            user = TOKENS.get(json.loads(body)["access_token"])
            return self.respond(200, {"user": user}) if user else self.respond(404, {})
        return self.introspect(parse_qs(body)["token"][0])

    def exchange(self, given):
        assert (given["client_id"], given["client_secret"]) == CLIENT
        if given["code"] == "code-of-alice":
            return self.respond(200, {"access_token": "token-of-alice"})
        return self.respond(200, {"error": "bad_verification_code"})

    def introspect(self, token):
        user = TOKENS.get(token)
        if user is None:
            return self.respond(200, {"active": False})
        return self.respond(200, {"active": True, "sub": user["login"], "scope": user["scope"]})

    def respond(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.requests, server.broken = [], None
    server.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield server


def credentials(policy):
    key = f"multiauth.policy.{policy}.client_"
    return {f"{key}id": CLIENT[0], f"{key}secret": CLIENT[1]}


@pytest.fixture
def github(provider, settings_of):
    """The settings of the guide, but for the places and the credentials."""
    return {
        **settings_of("github.ini"),
        **settings_of("github-login.ini"),
        **credentials("github"),
        "multiauth.policy.github.api_url": provider.url,
        "github.url": provider.url,
    }


@pytest.fixture
def introspection(provider, settings_of):
    return {
        **settings_of("introspection.ini"),
        **credentials("accounts"),
        "multiauth.policy.accounts.url": f"{provider.url}/introspect",
    }


@pytest.fixture(params=["github", "introspection"])
def client(request, serve):
    """A client of an application with each of the policies."""
    settings = request.getfixturevalue(request.param)
    return serve("bookmarks_resource", settings=settings, user=None)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_token_of_github_authenticates_the_user_that_it_was_given_for(serve, github):
    client = serve(settings=github, user=None)
    user = client.get("/", headers=bearer("token-of-alice")).json["user"]
    assert user == {"id": "github:1"}


def test_token_is_introspected(serve, introspection):
    client = serve(settings=introspection, user=None)
    user = client.get("/", headers=bearer("token-of-alice")).json["user"]
    assert user == {"id": "accounts:alice"}


def test_token_without_the_scope_is_refused(serve, introspection):
    client = serve("bookmarks_resource", settings=introspection, user=None)
    client.get("/bookmarks", headers=bearer("token-of-bob"), status=401)
    del introspection["multiauth.policy.accounts.scope"]
    client = serve("bookmarks_resource", settings=introspection, user=None)
    client.get("/bookmarks", headers=bearer("token-of-bob"))


@pytest.mark.parametrize(
    "headers", [{}, bearer("stolen"), bearer(""), {"Authorization": "Basic YTpi"}]
)
def test_request_without_valid_token_is_401(client, headers):
    response = client.get("/bookmarks", headers=headers, status=401)
    assert response.json["errno"] == 104
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="Realm"'


def test_provider_verifies_each_token_once(client, provider):
    for _ in range(3):
        client.get("/bookmarks", headers=bearer("token-of-alice"))
        client.get("/bookmarks", headers=bearer("stolen"), status=401)
    assert len(provider.requests) == 2


def test_token_is_not_in_the_cache(client):
    client.get("/bookmarks", headers=bearer("token-of-alice"))
    assert "token-of-alice" not in repr(vars(client.registry.cache))


@pytest.mark.parametrize("broken", ["status", "protocol"])
def test_failing_provider_causes_a_503(client, provider, broken):
    provider.broken = broken
    response = client.get("/bookmarks", headers=bearer("token-of-alice"), status=503)
    assert response.headers["Retry-After"] == "30"
    provider.broken = None
    client.get("/bookmarks", headers=bearer("token-of-alice"))


def test_browser_gets_a_token_from_github(serve, github, provider):
    client = serve("bookmarks_resource", settings=github, user=None)
    there = client.get("/github/login", status=302).location
    assert there.startswith(f"{provider.url}/login/oauth/authorize?")
    params = dict(parse_qsl(urlsplit(there).query))
    assert params["redirect_uri"] == "http://localhost/v1/github/token"
    back = f"/github/token?code=code-of-alice&state={params['state']}"
    for broken in ("status", "protocol"):
        provider.broken = broken
        client.get(back, status=503)
    provider.broken = None
    token = client.get(back).json["token"]
    client.get("/bookmarks", headers=bearer(token))


def test_wrong_code_is_refused(serve, github):
    client = serve(settings=github, user=None)
    params = dict(parse_qsl(urlsplit(client.get("/github/login").location).query))
    response = client.get(f"/github/token?code=guessed&state={params['state']}", status=400)
    (detail,) = response.json["details"]
    assert (detail["name"], detail["description"]) == ("code", "bad_verification_code")


@pytest.mark.parametrize("state", ["", "&state=", "&state=of-somebody-else"])
def test_state_of_another_user_is_refused(serve, github, state):
    client = serve(settings=github, user=None)
    client.get(f"/github/token?code=code-of-alice{state}", status=400)
    client.get("/github/login")
    client.get(f"/github/token?code=code-of-alice{state}", status=400)


def test_command_of_the_guide_prints_the_user(serve, github, listen, terminal):
    port = listen(serve(settings=github, user=None).app)
    shown = block("howto/authentication", "console", "$ curl -s -H 'Authorization: Bearer")
    assert TOKEN_OF_THE_GUIDE in shown
    assert Console(terminal, {":8888": f":{port}"}).problem(shown) is None
