import gc
import json
import weakref

import pytest
import webtest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet import testing
from cliquet.utils import build_request
from tests import testapp


def add_view(config, view, path="/show"):
    config.add_route("show", path)
    config.add_view(view, route_name="show", renderer="json", permission=NO_PERMISSION_REQUIRED)


def test_request_has_the_documented_attributes(serve, alice):
    seen = {}

    def view(request):
        seen.update(vars(type(request)))
        return [
            request.prefixed_userid.split(":")[0],
            request.current_service,
            dict(request.bound_data),
            request.get_user_info()["id"] == request.prefixed_userid,
            request.get_resource_events(),
        ]

    client = serve(setup=lambda config: add_view(config, view))
    assert client.get("/show", headers=alice).json == ["basicauth", None, {}, True, []]
    assert {"prefixed_userid", "current_service", "follow_subrequest", "tm"} <= set(seen)


@pytest.mark.parametrize("name", ["authn_type", "selected_userid"])
def test_attributes_of_the_selected_policy_are_missing_before(serve, alice, name):
    def view(request):
        before = hasattr(request, name)
        return [before, request.authenticated_userid is not None, hasattr(request, name)]

    client = serve(setup=lambda config: add_view(config, view))
    assert client.get("/show", headers=alice).json == [False, True, True]
    assert client.get("/show").json == [False, False, False]


def test_class_of_requests_can_be_looked_into(serve):
    def view(request):
        return [hasattr(type(request), name) for name in ("prefixed_userid", "bound_data")]

    assert serve(setup=lambda config: add_view(config, view)).get("/show").json == [True, True]


def test_request_class_is_created_once(serve):
    classes = []
    client = serve(
        setup=lambda config: add_view(config, lambda request: classes.append(type(request)))
    )
    client.get("/show")
    client.get("/show")
    assert classes[0] is classes[1]


def test_request_created_by_the_application_has_the_attributes(serve, alice):
    def view(request):
        inner = Request.blank("/v0/echo?a=1", headers=alice)
        return request.invoke_subrequest(inner).json

    echoed = serve(setup=lambda config: add_view(config, view)).get("/show").json
    assert echoed["authn_type"] == "basicauth"
    assert echoed["service"] == "echo"
    assert echoed["params"] == {"a": "1"}


@pytest.mark.parametrize(
    ("url", "status"), [("/echo", 200), ("/mushrooms", 401), ("/fail/bug", 500)]
)
def test_such_a_request_can_be_sent_through_the_tweens(serve, url, status):
    def view(request):
        inner = Request.blank("/v0" + url)
        return request.invoke_subrequest(inner, use_tweens=True).status_code

    assert serve(setup=lambda config: add_view(config, view)).get("/show").json == status


def test_such_a_request_can_be_followed(serve):
    def view(request):
        response, followed = request.follow_subrequest(Request.blank("/v0/echo/"))
        return [response.json["service"], followed.path]

    client = serve(setup=lambda config: add_view(config, view))
    assert client.get("/show").json == ["echo", "/v0/echo"]


def test_request_of_another_class_of_the_application_keeps_its_class(serve):
    class Special(Request):
        special = True

    def view(request):
        inner = Special.blank("/v0/show/me")
        return request.invoke_subrequest(inner).json

    def me(request):
        return [request.special, request.bound_data]

    def setup(config):
        add_view(config, view)
        config.add_route("me", "/show/me")
        config.add_view(me, route_name="me", renderer="json")

    client = serve(setup=setup)
    assert client.get("/show").json == client.get("/show").json == [True, {}]


@pytest.mark.parametrize("made_by", [type, lambda *args: lambda environ: type(*args)(environ)])
def test_application_can_have_a_request_factory(made_by, alice):
    factory = made_by("Own", (Request,), {"own": "mine"})
    config = Configurator(settings=testapp.SETTINGS, request_factory=factory)
    cliquet.initialize(config, version="1.0")

    def view(request):
        request.current_resource_name = "set"
        return [request.own, request.prefixed_userid is not None, request.current_resource_name]

    add_view(config, view)
    client = webtest.TestApp(config.make_wsgi_app())
    assert client.get("/v1/show", headers=alice).json == ["mine", True, "set"]


def test_attributes_can_be_added_before_after_and_once_committed(serve):
    config = Configurator(settings=testapp.SETTINGS)
    config.add_request_method(lambda request: "before", "one", reify=True)
    cliquet.initialize(config, version="1.0")
    config.add_request_method(lambda request, what: what + "!", "two")
    config.commit()
    config.add_request_method(lambda request: "late", "three", property=True)
    add_view(config, lambda request: [request.one, request.two("after"), request.three])
    client = webtest.TestApp(config.make_wsgi_app())
    for _ in range(2):
        assert client.get("/v1/show").json == ["before", "after!", "late"]


def test_classes_of_requests_do_not_pile_up(alice):
    config = Configurator(settings=testapp.SETTINGS)
    cliquet.initialize(config, version="1.0")
    config.commit()
    config.add_request_method(lambda request: "late", "late", property=True)
    made = []

    def view(request):
        for _ in range(200):
            inner = Request.blank("/v1/")
            request.invoke_subrequest(inner)
            made.append(weakref.ref(type(inner)))
        return [inner.late, inner.prefixed_userid]

    add_view(config, view)
    client = webtest.TestApp(config.make_wsgi_app())
    assert client.get("/v1/show").json == ["late", None]
    gc.collect()
    assert sum(ref() is not None for ref in made) <= 100


def test_body_is_read_exactly(serve):
    number = 2**70
    text = f'{{"a": {number}}}'
    client = serve()
    response = client.post("/echo", text, headers={"Content-Type": "application/json"})
    assert response.json == {"a": number}


def test_json_is_that_of_the_body_as_it_is(serve):
    def view(request):
        results = [request.json, request.json is request.json_body]
        request.body = b'{"n": 2}'
        results.append(request.json_body)
        request.json = {"n": 3}
        results += [request.json_body, request.text]
        request.json_body = {"n": 4}
        return [*results, request.json, request.text]

    client = serve(setup=lambda config: add_view(config, view))
    results = client.post_json("/show", {"n": 1}).json
    assert results == [{"n": 1}, True, {"n": 2}, {"n": 3}, '{"n":3}', {"n": 4}, '{"n":4}']


HOSTS = {
    "example.com": True,
    "example.com:8443": True,
    "example.com:": True,
    "my_host": True,
    "127.0.0.1:8888": True,
    "[::1]:8888": True,
    "b%C3%BCcher.example": True,
    "": True,
    "evil.example/path": False,
    "evil.example?a=b": False,
    "evil.example#fragment": False,
    "user@evil.example": False,
    "evil.example\\x": False,
    "example.com, evil.example": False,
    "example.com,evil.example": False,
    "example.com evil.example": False,
    "example.com:80:80": False,
    "example.com:port": False,
    "[::1": False,
    "%zz": False,
    "bücher.example": False,
}


@pytest.fixture(scope="module")
def application():
    """A client of one test application, whose URLs include the version."""
    return webtest.TestApp(testapp.main())


@pytest.mark.parametrize(
    "path", ["v0/", "v0/mushrooms", "v0/mushrooms/", "v0/nothing", "v0", "mushrooms"]
)
@pytest.mark.parametrize(("host", "is_valid"), HOSTS.items())
def test_host_header_that_is_not_valid_in_a_url_is_400(application, host, is_valid, path):
    response = application.get(
        f"/{path}",
        extra_environ={"HTTP_HOST": host.encode().decode("latin-1")},
        headers={"Origin": "https://page.example"},
        expect_errors=True,
    )
    assert (response.status_int == 400) is not is_valid
    if not is_valid:
        assert response.json["details"][0]["name"] == "Host"
        assert "Access-Control-Allow-Origin" in response.headers
        assert "Location" not in response.headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", b"Basic YWxpY2U6c2VjcmV0"),
        ("Accept", b"application/json"),
        ("Content-Type", b"application/json"),
        ("Origin", b"http://page.example"),
        ("If-Match", b'"1234567890123"'),
        ("If-None-Match", b'"1234567890123"'),
        ("Response-Behavior", b"light"),
        ("User-Agent", "Navigateur été".encode()),
        ("Host", b"localhost:80"),
        ("X-Own", b"own"),
    ],
)
@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", "/", None),
        ("GET", "/mushrooms", None),
        ("POST", "/mushrooms", {"data": {"name": "n"}}),
        ("POST", "/batch", {"requests": [{"path": "/mushrooms"}]}),
        ("GET", "/unknown", None),
    ],
)
def test_headers_can_be_bytes(serve, alice, name, value, method, url, body):
    client = serve()

    def send(value):
        headers = {"Content-Type": "application/json", **alice, name: value}
        content = b"" if body is None else json.dumps(body).encode()
        return client.request(url, method=method, headers=headers, body=content, status="*")

    expected = send(value.decode()).status_code
    assert expected < 500
    assert send(value).status_code == expected


def test_header_of_a_sub_request_can_be_bytes():
    request = testing.DummyRequest()
    made = build_request(request, {"path": "/", "headers": {"X-Own": b"own", "X-Other": "other"}})
    assert (made.headers["X-Own"], made.headers["X-Other"]) == ("own", "other")
