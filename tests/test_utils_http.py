import pytest
from pyramid.httpexceptions import HTTPFound, HTTPNotFound
from pyramid.request import Request
from pyramid.response import Response

from cliquet.testing import DummyRequest
from cliquet.utils import (
    build_request,
    build_response,
    current_resource_name,
    current_service,
    follow_subrequest,
    reapply_cors,
)
from cliquet.utils.http import MAX_REDIRECTIONS, add_vary

ORIGIN = {"Origin": "http://page.example"}


@pytest.fixture
def within(serve):
    """A function that calls another one within a request, and returns what that returns."""

    def within(function, url="/within/a", settings=None, setup=None, **options):
        results = []

        def view(request):
            results.append(function(request))
            return {}

        def go(config):
            config.add_route("within", "/within/*rest")
            config.add_view(view, route_name="within", renderer="json")
            if setup is not None:
                setup(config)

        serve(settings, go).get(url, **options)
        return results[0]

    return within


def test_request_is_built_on_behalf_of_another(within, alice):
    def build(request):
        built = build_request(
            request,
            {
                "method": "post",
                "path": "/echo?a=1&é=ü x",
                "headers": {
                    "X-More": "1",
                    "Content-Length": "9999",
                    "Transfer-Encoding": "chunked",
                },
                "body": {"é": 1},
            },
        )
        assert built.parent is request
        assert built.bound_data is request.bound_data
        assert built.registry is request.registry
        return built

    built = within(build, headers={**alice, "X-Mine": "2"})
    assert (built.method, built.path) == ("POST", "/v0/echo")
    assert dict(built.GET) == {"a": "1", "é": "ü x"}
    assert built.headers["Authorization"] == alice["Authorization"]
    assert (built.headers["X-More"], built.headers["X-Mine"]) == ("1", "2")
    assert "Transfer-Encoding" not in built.headers
    assert built.json == {"é": 1}
    assert built.content_type == "application/json"
    assert built.body == b'{"\\u00e9":1}'
    assert built.content_length == len(built.body)


@pytest.mark.parametrize("empty", [{}, [], 0, False])
def test_body_without_content_is_empty_json(within, empty):
    built = within(lambda request: build_request(request, {"path": "/echo", "body": empty}))
    assert (built.body, built.content_type) == (b"", "application/json")


@pytest.mark.parametrize("body", [b'{"a": 1', '{"a": 1', b"\xff", b"", ""])
def test_body_that_is_text_or_bytes_is_sent_as_it_is(within, body):
    def build(request):
        request.content_type = "application/vnd.x+json"
        return build_request(request, {"path": "/echo", "method": "POST", "body": body})

    built = within(build)
    assert built.body == (body if isinstance(body, bytes) else body.encode())
    assert built.content_length == len(body)
    assert built.content_type == "application/vnd.x+json"


def test_request_is_a_get_without_body_by_default(within):
    built = within(lambda request: build_request(request, {"path": "/v0/echo"}))
    assert (built.method, built.path, built.body) == ("GET", "/v0/echo", b"")


@pytest.mark.parametrize(
    ("path", "decoded"),
    [
        ("/a", "/v0/a"),
        ("/v0", "/v0"),
        ("/v0?a", "/v0"),
        ("/v0x", "/v0x"),
        ("/%C3%A9", "/v0/é"),
        ("/é", "/v0/é"),
        ("/%25", "/v0/%"),
    ],
)
def test_path_can_lack_the_version_and_be_encoded_or_not(within, path, decoded):
    assert within(lambda request: build_request(request, {"path": path})).path_info == decoded


def test_request_can_be_built_of_a_dummy_one():
    built = build_request(DummyRequest(headers={"X-Mine": "1"}), {"path": "/a"})
    assert isinstance(built, Request)
    assert built.path == "/v0/a"
    assert built.url == "http://localhost/v0/a"
    bare = DummyRequest()
    del bare.bound_data
    assert not hasattr(build_request(bare, {"path": "/a"}), "bound_data")


def test_response_is_described(within):
    def describe(request):
        built = build_request(request, {"path": "/é"})
        return build_response(Response(json_body={"a": 1}, status=201), built)

    description = within(describe)
    assert (description["status"], description["path"]) == (201, "/v0/é")
    assert description["body"] == {"a": 1}
    assert description["headers"]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "body", "described"),
    [("GET", b"plain \xff", "plain �"), ("HEAD", b"{}", ""), ("GET", b"", "")],
)
def test_response_that_is_not_json_is_described_as_a_string(method, body, described):
    request = Request.blank("/a", method=method)
    assert build_response(Response(body), request)["body"] == described


def go_to(location):
    def setup(config):
        config.add_route("go", "/go")
        config.add_view(lambda request: HTTPFound(location), route_name="go")

    return setup


def test_redirections_to_the_service_are_followed(within):
    def follow(request):
        subrequest = build_request(request, {"path": "/go"})
        return request.follow_subrequest(subrequest)

    response, followed = within(follow, setup=go_to("/v0/echo?a=1"))
    assert response.json["params"] == {"a": "1"}
    assert (followed.path, followed.query_string) == ("/v0/echo", "a=1")


@pytest.mark.parametrize(
    ("host", "location"),
    [
        ("localhost:80", "http://localhost/v0/echo"),
        ("localhost", "http://localhost:80/v0/echo"),
        ("localhost:80", "//localhost/v0/echo"),
        ("localhost:8888", "http://localhost:8888/v0/echo"),
    ],
)
def test_redirection_to_the_port_of_the_scheme_is_followed(within, host, location):
    def follow(request):
        return request.follow_subrequest(build_request(request, {"path": "/go"}))

    response, _ = within(follow, setup=go_to(location), headers={"Host": host})
    assert response.json["service"] == "echo"


def test_redirection_is_followed_below_where_the_application_is(within):
    def follow(request):
        return request.follow_subrequest(build_request(request, {"path": "/go"}))

    environ = {"SCRIPT_NAME": "/mnt"}
    _, followed = within(follow, setup=go_to("/mnt/v0/echo"), extra_environ=environ)
    assert (followed.script_name, followed.path_info) == ("/mnt", "/v0/echo")


@pytest.mark.parametrize(
    "location",
    ["http://elsewhere.example/v0/echo", "//elsewhere.example/", "http://localhost:8888/", ""],
)
def test_redirect_to_another_site_is_returned(within, location):
    def follow(request):
        return follow_subrequest(request, build_request(request, {"path": "/go"}))

    response, followed = within(follow, setup=go_to(location))
    assert (response.status_code, followed.path) == (302, "/v0/go")


def test_redirections_in_a_circle_end(within):
    seen = []

    def circle(request):
        seen.append(request.url)
        return HTTPFound("/v0/go")

    def setup(config):
        config.add_route("go", "/go")
        config.add_view(circle, route_name="go")

    def follow(request):
        return follow_subrequest(request, build_request(request, {"path": "/go"}))

    response, _ = within(follow, setup=setup)
    assert (response.status_code, len(seen)) == (302, MAX_REDIRECTIONS)


def test_error_of_the_client_is_raised_as_the_service_formats_it(within):
    def follow(request):
        with pytest.raises(HTTPNotFound) as raised:
            follow_subrequest(request, build_request(request, {"path": "/nothing"}))
        return raised.value.json["errno"]

    assert within(follow) == 111


def test_failure_of_a_sub_request_is_raised_as_it_is(within):
    def follow(request):
        with pytest.raises(ValueError, match="bug"):
            follow_subrequest(request, build_request(request, {"path": "/fail/bug"}))
        return True

    assert within(follow)


def test_unmatched_request_has_no_service_or_resource(within):
    def look(request):
        with pytest.raises(AttributeError):
            current_resource_name(request)
        return current_service(request)

    assert within(look) is None
    assert current_service(DummyRequest()) is None


def test_name_of_the_resource_can_be_set(within):
    def name(request):
        request.current_resource_name = "mine"
        return request.current_resource_name

    assert within(name) == "mine"


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [("*", "http://page.example"), ("http://page.example http://b", "http://page.example")]
    + [("http://*.example", "http://page.example"), ("http://b", None), ("", None)],
)
def test_cors_headers_are_added_to_new_responses(within, origins, allowed):
    def apply(request):
        return reapply_cors(request, Response())

    headers = within(apply, settings={"cors_origins": origins}, headers=ORIGIN).headers
    assert headers.get("Access-Control-Allow-Origin") == allowed
    assert set(headers["Access-Control-Expose-Headers"].split(",")) == {
        "Backoff",
        "Retry-After",
        "Alert",
        "Content-Length",
        "Vary",
    }


def test_response_without_origin_has_no_cors_headers(within):
    headers = within(lambda request: reapply_cors(request, Response())).headers
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, "Origin"), ("", "Origin"), ("Accept", "Accept, Origin"), ("a, ORIGIN", "a, ORIGIN")],
)
def test_vary_names_a_header_once(before, after):
    response = Response()
    if before is not None:
        response.headers["Vary"] = before
    add_vary(response, "Origin")
    assert response.headers.getall("Vary") == [after]
