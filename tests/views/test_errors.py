import json
import logging

import pytest
import webob
import webtest
from pyramid.config import Configurator
from pyramid.httpexceptions import (
    HTTPForbidden,
    HTTPMethodNotAllowed,
    HTTPNotFound,
    HTTPPaymentRequired,
    HTTPServiceUnavailable,
)
from pyramid.response import Response

from cliquet.errors import ERRORS, http_error
from cliquet.storage.exceptions import BackendError
from cliquet.testing import DummyRequest, FormattedErrorMixin
from cliquet.views import errors
from tests import testapp

ORIGIN = {"Origin": "http://page.example"}
check = FormattedErrorMixin().assertFormattedError


RECORD = "/toadstools/3e6a3a0c-2c0c-4d4e-8a5f-5d1d8ad0a3a1"
OTHER = "/toadstools/71f2ad4c-79f9-4e9a-8d2e-3a8a3d9b0d11"
URL = {"data": {"url": "http://a.example/"}}
BUG = "A programmatic error occured, developers have been informed."
BUSY = "Service temporary unavailable due to overloading or maintenance, please retry later."

TABLE = [
    # method, path, headers, body, status, number, title, message
    (
        *("GET", "/toadstools", {"Authorization": ""}, None),
        *(401, 104, "Unauthorized", "Please authenticate yourself to use this endpoint."),
    ),
    (
        *("GET", "/toadstools?_since=x", {}, None),
        *(400, 107, "Invalid parameters", "Invalid value for _since"),
    ),
    ("GET", "/toadstools/x", {}, None, 400, 107, "Invalid parameters", "Invalid record id"),
    ("POST", "/toadstools", {}, {"data": {}}, 400, 107, "Invalid parameters", "data.url"),
    ("GET", "/toadstools", {"Accept": "text/x"}, None, 406, 107, "Invalid parameters", "Accept"),
    (
        *("POST", "/toadstools", {"Content-Type": "text/x"}, URL),
        *(415, 107, "Invalid parameters", "Content-Type"),
    ),
    (
        *("GET", OTHER, {}, None),
        *(404, 111, "Not Found", "The resource you are looking for could not be found."),
    ),
    ("GET", "/fail/length", {}, None, 411, 112, "Length Required", "Content-Length"),
    ("GET", "/fail/large", {}, None, 413, 113, "Request Entity Too Large", "too large"),
    (
        *("PUT", RECORD, {"If-Match": '"1"'}, URL),
        *(412, 114, "Precondition Failed", "Resource was modified meanwhile"),
    ),
    (
        *("PUT", "/toadstools", {}, URL),
        *(405, 115, "Method Not Allowed", "Method not allowed on this endpoint."),
    ),
    (
        *("GET", "/psilos/3e6a3a0c-2c0c-4d4e-8a5f-5d1d8ad0a3a1", {}, None),
        *(403, 121, "Forbidden", "This user cannot access this resource."),
    ),
    ("PUT", OTHER, {}, URL, 409, 122, "Conflict", "Conflict of field url on record"),
    ("GET", "/fail/backend", {}, None, 503, 201, "Service Unavailable", BUSY),
    ("GET", "/fail/bug", {}, None, 500, 999, "Internal Server Error", BUG),
    ("GET", "/fail/integrity", {}, None, 500, 999, "Internal Server Error", BUG),
    ("GET", "/fail/unicity", {}, None, 500, 999, "Internal Server Error", BUG),
]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "number", "title", "message"), TABLE
)
def test_every_error_is_json_and_has_the_common_headers(
    serve, alice, method, path, headers, body, status, number, title, message
):
    client = serve({"backoff": "9"})
    client.put_json(RECORD, URL, headers=alice)
    response = client.request(
        path,
        method=method,
        body=b"" if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **alice, **ORIGIN, **headers},
        status=status,
    )
    content = response.json
    assert (content["code"], content["errno"], content["error"]) == (status, number, title)
    assert message in content["message"]
    assert ("info" in content) == (status == 500)
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert response.headers["Backoff"] == "9"
    assert response.headers["Vary"] == "Authorization"
    exposed = response.headers.get("Access-Control-Expose-Headers", "")
    assert ("Retry-After" in exposed) == (status != 405)  # the service has no such method
    if status < 500:
        assert response.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN["Origin"])


def test_bug_is_500_and_its_traceback_goes_to_the_log_only(serve, caplog):
    response = serve({"error_info_link": "http://bugs"}).get("/fail/bug", status=500)
    message = "A programmatic error occured, developers have been informed."
    check(response, 500, ERRORS.UNDEFINED, "Internal Server Error", message, "http://bugs")
    assert "ValueError" not in response.text
    assert "ValueError: bug" in caplog.text


def test_backend_failure_is_503_with_the_time_to_wait(serve):
    response = serve({"retry_after_seconds": "7"}).get("/fail/backend", status=503)
    check(response, 503, ERRORS.BACKEND, "Service Unavailable", "please retry later")
    assert response.headers["Retry-After"] == "7"


def test_unavailability_that_the_application_raises_is_like_a_backend_s(serve):
    response = serve().get("/fail/busy", status=503)
    check(response, 503, ERRORS.BACKEND, "Service Unavailable")
    assert response.headers["Retry-After"] == "30"


def test_unavailability_keeps_its_json_body_and_has_the_time_to_wait():
    request = DummyRequest()
    own = HTTPServiceUnavailable(json_body={"own": 1}, content_type="application/json")
    response = errors.service_unavailable(own, request)
    assert response.json == {"own": 1}
    assert response.headers["Retry-After"] == "30"
    waiting = HTTPServiceUnavailable(headers={"Retry-After": "5"})
    assert errors.service_unavailable(waiting, request).headers["Retry-After"] == "5"


@pytest.mark.parametrize(
    ("context", "status", "number"),
    [
        (ValueError("bug"), 500, 999),
        (BackendError(), 503, 201),
        (HTTPServiceUnavailable(), 503, 201),
        (HTTPMethodNotAllowed(), 405, 115),
    ],
)
def test_application_can_call_the_error_view_itself(context, status, number):
    response = errors.error(context, DummyRequest())
    assert (response.status_code, response.json["errno"]) == (status, number)


def test_application_can_call_the_view_of_each_error_itself():
    assert errors.method_not_allowed(HTTPMethodNotAllowed(), DummyRequest()).json["errno"] == 115
    assert errors.authorization_required(DummyRequest()).json["errno"] == 121
    assert errors.page_not_found(DummyRequest(path="/v0/nothing")).json["errno"] == 111


def test_view_of_the_application_can_have_the_cors_headers_of_the_toolkit():
    @errors.cors
    def view(request, status):
        return Response(status=status)

    response = view(DummyRequest(headers={"Origin": "http://page.example"}), status=418)
    assert response.status_code == 418
    assert response.headers["Access-Control-Allow-Origin"] == "http://page.example"


def test_any_http_exception_becomes_json(serve):
    response = serve().get("/fail/full", status=507)
    check(response, 507, ERRORS.UNDEFINED, "Insufficient Storage", "not enough space")


def test_forbidden_asks_anonymous_users_to_authenticate(serve, alice):
    client = serve()
    response = client.get("/fail/detail", status=401)
    check(response, 401, ERRORS.MISSING_AUTH_TOKEN, "Unauthorized", "Please authenticate")
    assert response.headers["WWW-Authenticate"] == 'Basic realm="Realm"'
    response = client.get("/fail/detail", headers=alice, status=403)
    check(response, 403, ERRORS.FORBIDDEN, "Forbidden", "cannot access")


def test_errors_that_the_application_has_formatted_are_left_as_they_are(serve, alice):
    raised = {
        "402": http_error(HTTPPaymentRequired(), errno=1000, message="Pay"),
        "403": http_error(HTTPForbidden(), errno=1001, message="No", code=499),
        "404": http_error(HTTPNotFound(), errno=1002, error="Nothing", details=[1]),
    }

    def view(request):
        raise raised[request.matchdict["code"]]

    def setup(config):
        config.add_route("r", "/r/{code}")
        config.add_view(view, route_name="r")

    client = serve(setup=setup)
    check(client.get("/r/402", headers=ORIGIN, status=402), 402, 1000, "Payment Required", "Pay")
    check(client.get("/r/403", headers=ORIGIN, status=403), 499, 1001, "Forbidden", "No")
    response = client.get("/r/404", headers=ORIGIN, status=404)
    assert response.json == {"code": 404, "errno": 1002, "error": "Nothing", "details": [1]}
    assert response.headers["Access-Control-Allow-Origin"] == "http://page.example"


@pytest.mark.parametrize("make", [HTTPNotFound, lambda: http_error(HTTPNotFound(), errno=1)])
def test_not_found_at_a_url_with_trailing_slash_redirects(serve, make):
    def view(request):
        raise make()

    def setup(config):
        config.add_route("slash", "/slash/")
        config.add_view(view, route_name="slash")

    response = serve(setup=setup).get("/slash/?a=1", status=307)
    assert response.headers["Location"] == "http://localhost/v0/slash?a=1"
    settings = {"trailing_slash_redirect_enabled": "false"}
    assert serve(settings, setup=setup).get("/slash/", status=404).json["error"] == "Not Found"


def test_redirection_that_the_application_raises_keeps_its_location(serve):
    response = serve().get("/fail/elsewhere", headers=ORIGIN, status=302)
    assert response.headers["Location"] == "http://elsewhere.example/"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_method_not_allowed_lists_the_allowed_ones(serve):
    response = serve().put("/echo", status=405)
    check(response, 405, ERRORS.METHOD_NOT_ALLOWED, "Method Not Allowed")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}


@pytest.mark.parametrize(
    ("url", "location"), [("/echo?a=%FF", "querystring"), ("/%FF", "path"), ("/fail/%FF", "path")]
)
def test_url_that_is_not_utf_8_is_refused(serve, url, location):
    response = serve().get(url, headers=ORIGIN, status=400)
    check(response, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", "encoded in UTF-8")
    assert response.json["details"][0]["location"] == location


def test_text_that_the_application_cannot_decode_is_its_bug(serve):
    check(serve().get("/fail/unicode", status=500), 500, 999, "Internal Server Error", info="http")


def test_wrong_version_and_unknown_pages_differ(serve):
    client = serve(prefix="")
    check(client.get("/v7/echo", status=404), 404, ERRORS.VERSION_NOT_AVAILABLE, "Not Found")
    check(client.get("/v0/nothing", status=404), 404, ERRORS.MISSING_RESOURCE, "Not Found")


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/", "/v0/"),
        ("/echo?a=1&b=%C3%A9", "/v0/echo?a=1&b=%C3%A9"),
        ("/v0", "/v0/"),
        ("/v0/echo/?a=1", "/v0/echo?a=1"),
        ("/v0//", "/v0"),
        ("/v0//echo//", "/v0//echo"),
        ("/vx/echo", "/v0/vx/echo"),
        ("/%0D%0Ax", "/v0/%0D%0Ax"),
        ("//evil.example/", "/v0//evil.example/"),
    ],
)
def test_url_without_version_or_with_a_slash_redirects(serve, url, location):
    response = serve(prefix="").get(url, headers=ORIGIN, status=307)
    assert response.headers["Location"] == "http://localhost" + location
    assert response.headers["Access-Control-Allow-Origin"] == "http://page.example"


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("/v0a/echo", 111),
        ("/v00/echo", 111),
        ("/v0.1/echo", 111),
        ("/v0;a=b", 111),
        ("/v1/echo", 116),
        ("/v1a", 116),
    ],
)
def test_url_that_begins_like_a_version_is_not_redirected(serve, url, number):
    assert serve(prefix="").get(url, status=404).json["errno"] == number


@pytest.mark.parametrize("target", ["*", "evil.example/", "@evil.example/", "v0/echo/", ""])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_request_target_without_slash_is_not_part_of_a_location(serve, method, target):
    request = webob.Request.blank("/", method=method, environ={"PATH_INFO": target})
    response = request.get_response(serve(prefix="").app)
    location = response.headers.get("Location")
    assert location == "http://localhost/v0/" if target == "" else location is None
    assert response.status_code == 307 if target == "" else response.status_code in (400, 404)


def test_trailing_slash_never_turns_a_segment_into_a_host():
    config = Configurator(settings=dict(testapp.SETTINGS))
    config.include("cliquet")
    client = webtest.TestApp(config.make_wsgi_app())
    for url in ("//evil.example/", "///evil.example//"):
        response = client.get(url, status=307)
        assert response.headers["Location"] == "http://localhost/evil.example"


@pytest.mark.parametrize("url", ["/v0//", "/v0/echo/"])
def test_redirections_can_be_off(serve, url):
    settings = {"trailing_slash_redirect_enabled": "false"}
    serve(settings, prefix="").get(url, status=404)


def test_url_without_version_is_unknown_when_redirections_are_off(serve):
    client = serve({"version_prefix_redirect_enabled": "false"}, prefix="")
    for url in ("/", "/echo", "/echo/"):
        check(client.get(url, status=404), 404, ERRORS.VERSION_NOT_AVAILABLE, "Not Found")
    client.get("/v0/echo")


def test_redirection_of_a_write_keeps_its_method(serve, alice):
    client = serve(prefix="")
    redirection = client.post_json("/spores", {"data": {}}, headers=alice, status=307)
    assert redirection.headers["Location"] == "http://localhost/v0/spores"
    assert redirection.headers["Vary"] == "Authorization"


def test_redirect_under_a_mount_point_keeps_it(serve):
    response = serve(prefix="").get("/echo", extra_environ={"SCRIPT_NAME": "/mount"}, status=307)
    assert response.headers["Location"] == "http://localhost/mount/v0/echo"


def test_origin_that_is_not_allowed_gets_no_header_on_unknown_pages(serve):
    client = serve({"cors_origins": "http://friend.example"})
    response = client.get("/nothing", headers=ORIGIN, status=404)
    assert "Access-Control-Allow-Origin" not in response.headers
    friend = client.get("/nothing", headers={"Origin": "http://friend.example"}, status=404)
    assert friend.headers["Access-Control-Allow-Origin"] == "http://friend.example"


def test_failure_of_a_resource_can_be_read_by_pages_of_other_origins(serve, alice, monkeypatch):
    client = serve()

    def fail(*args, **kwargs):
        raise ValueError("no")

    monkeypatch.setattr(client.registry.storage, "get_page", fail)
    response = client.get("/mushrooms", headers={**ORIGIN, **alice}, status=500)
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_failure_in_a_batch_is_logged_once(serve, caplog):
    body = {"requests": [{"path": "/fail/bug"}]}
    with caplog.at_level(logging.ERROR):
        serve().post_json("/batch", body, status=500)
    assert len(caplog.records) == 1
