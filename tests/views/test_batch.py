"""Several requests in one."""

import itertools
import logging

import pytest
from pyramid import httpexceptions
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet.events import ResourceChanged
from cliquet.storage.exceptions import BackendError
from cliquet.utils.http import MAX_REDIRECTIONS
from cliquet.views.batch import MAX_PATH_LENGTH, BatchPayloadSchema
from tests.resource import apps
from tests.resource.apps import ENGINES, Note, Page

every_engine = pytest.mark.parametrize("engine", ENGINES)

ID = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f1{}"


def write_note(request, **record):
    return request.registry.storage.create("note", request.prefixed_userid, record)


def redirects():
    """Services that redirect."""
    redirect = cliquet.Service(name="redirect", path="/redirect")

    @redirect.get(permission=NO_PERMISSION_REQUIRED)
    @redirect.post(permission=NO_PERMISSION_REQUIRED)
    def redirect_view(request):
        if "returned" in request.GET:
            return httpexceptions.HTTPTemporaryRedirect(request.GET["to"])
        raise httpexceptions.HTTPTemporaryRedirect(request.GET["to"])

    loop = cliquet.Service(name="loop", path="/loop")

    @loop.get(permission=NO_PERMISSION_REQUIRED)
    def get_loop(request):
        redirection = httpexceptions.HTTPTemporaryRedirect(request.path_qs)
        if "returned" in request.GET:
            return redirection
        raise redirection

    return redirect, loop


def failing_services():
    """Services that write, and then fail in several ways."""
    fail = cliquet.Service(name="fail", path="/fail/{how}/{status}")

    @fail.get(permission=NO_PERMISSION_REQUIRED)
    @fail.post(permission=NO_PERMISSION_REQUIRED)
    def fail_view(request):
        write_note(request, n="failed")
        request.registry.permission.add_principal_to_ace("/fail", "read", "x")
        status = int(request.matchdict["status"])
        if request.matchdict["how"] == "returned":
            return httpexceptions.exception_response(status)
        if request.matchdict["how"] == "response":
            return Response(status=status, json_body={"own": True})
        raise httpexceptions.exception_response(status)

    bug = cliquet.Service(name="bug", path="/bug")

    @bug.post(permission=NO_PERMISSION_REQUIRED)
    def post_bug(request):
        write_note(request, n="failed")
        raise BackendError(message="down") if "backend" in request.GET else ValueError("bug")

    return fail, bug


def services():
    """Services that respond in several ways."""
    echo = cliquet.Service(name="echo", path="/echo/{part:.*}")

    @echo.get(permission=NO_PERMISSION_REQUIRED)
    @echo.post(permission=NO_PERMISSION_REQUIRED)
    def echo_view(request):
        return {
            "headers": dict(request.headers),
            "body": request.body.decode("utf-8"),
            "query": dict(request.GET),
            "part": request.matchdict["part"],
            "method": request.method,
            "host": request.host,
        }

    text = cliquet.Service(name="text", path="/text")

    @text.get(permission=NO_PERMISSION_REQUIRED)
    def get_text(request):
        return Response(b"caf\xe9", content_type="text/plain", charset="latin-1")

    return *failing_services(), echo, text


@pytest.fixture
def engine():
    return "memory"


EVENTS = []


@pytest.fixture
def events():
    EVENTS.clear()
    return EVENTS


def setup(config):
    for service in (*services(), *redirects()):
        config.add_cornice_service(service)
    config.add_subscriber(EVENTS.append, ResourceChanged)


@pytest.fixture
def build(engine, applications, tmp_path_factory):
    def build(**settings):
        def new():
            backends = apps.backends(engine, tmp_path_factory.mktemp("batch"))
            return apps.build(Note, Page, settings={**backends, **settings}, setup=setup)

        return applications.get((setup, engine, repr(sorted(settings.items()))), new)

    return build


@pytest.fixture
def api(build):
    return build()


@pytest.fixture
def alice(api):
    return api.user("alice")


def put(n, **others):
    return {"method": "PUT", "path": "/notes/" + ID.format(n), "body": {"data": {"n": n}}, **others}


# Requests and responses


@every_engine
def test_responses_are_in_the_order_of_the_requests(alice):
    responses = alice.batch(
        put(1),
        put(2),
        {"path": "/notes?_sort=n"},
        {"method": "PATCH", "path": put(1)["path"], "body": {"data": {"n": 3}}},
        {"method": "DELETE", "path": put(2)["path"]},
        {"method": "POST", "path": "/notes", "body": {"data": {"n": 4}}},
        {"path": "/notes?_sort=n"},
    )
    assert [item["status"] for item in responses] == [201, 201, 200, 200, 200, 201, 200]
    assert [note["n"] for note in responses[2]["body"]["data"]] == [1, 2]
    assert [note["n"] for note in responses[6]["body"]["data"]] == [3, 4]
    assert responses[0]["path"] == "/v1/notes/" + ID.format(1)
    assert responses[2]["path"] == "/v1/notes"
    assert responses[6]["body"] == alice.get("/notes?_sort=n").json
    assert responses[6]["headers"]["ETag"] == alice.get("/notes").headers["ETag"]


def test_response_has_four_keys(alice):
    (response,) = alice.batch({"path": "/notes"})
    assert set(response) == {"status", "path", "headers", "body"}
    assert response["headers"]["Content-Type"].startswith("application/json")


def test_anonymous_users_can_send_a_batch(api):
    responses = api.batch({"path": "/"}, {"path": "/notes"})
    assert [item["status"] for item in responses] == [200, 401]


def test_version_prefix_can_be_left_out(alice):
    responses = alice.batch({"path": "/"}, {"path": "/v1/"}, {"path": "/v1"}, {"path": "/v1/notes"})
    assert [item["status"] for item in responses] == [200] * 4
    assert {item["path"] for item in responses} == {"/v1/", "/v1/notes"}


@pytest.mark.parametrize("path", ["/v1x", "/v10/notes", "/v1notes"])
def test_path_that_begins_like_the_prefix_is_kept(alice, path):
    (response,) = alice.batch({"path": path})
    assert (response["status"], response["path"]) == (404, path)


def test_defaults_are_merged_deeply_under_every_request(alice):
    defaults = {
        "method": "POST",
        "path": "/notes",
        "headers": {"X-A": "default", "X-B": "default"},
        "body": {"data": {"a": 1, "o": {"b": 1, "c": 1}}},
    }
    responses = alice.batch(
        {},
        {"body": {"data": {"a": 2, "o": {"b": 2}}}},
        {"method": "GET", "path": "/echo/x", "headers": {"X-A": "own"}, "body": {}},
        defaults=defaults,
    )
    first, second = (item["body"]["data"] for item in responses[:2])
    assert (first["a"], first["o"]) == (1, {"b": 1, "c": 1})
    assert (second["a"], second["o"]) == (2, {"b": 2, "c": 1})
    headers = responses[2]["body"]["headers"]
    assert (headers["X-A"], headers["X-B"]) == ("own", "default")


@pytest.mark.parametrize("requests", [[], [{"path": "/"}]])
def test_defaults_can_be_null(alice, requests):
    assert len(alice.batch(*requests, defaults=None)) == len(requests)


@pytest.mark.parametrize(
    "defaults, description",
    [
        ({"method": "FOO"}, '"FOO" is not one of GET, HEAD'),
        ({"path": "echo"}, "String does not match expected pattern"),
        ({"path": "/" + "a" * MAX_PATH_LENGTH}, "Longer than 8192 bytes"),
        ({"headers": {"X": 1}}, "{'X': 1} contains non string value"),
        ({"headers": "x"}, '"x" is not a mapping type'),
        ({"headers": {"Host": "["}}, "Host should be a host name, with or without a port"),
        ({"body": 3}, '"3" is not a mapping type'),
    ],
)
@pytest.mark.parametrize("others", [{"requests": []}, {"requests": [{"path": "/"}]}, {}])
def test_wrong_defaults_are_refused_whatever_the_requests(alice, defaults, description, others):
    (key,) = defaults
    response = alice.send("POST", "/batch", {"defaults": defaults, **others}, status=400)
    errors = details(response)
    assert errors[f"defaults.{key}"].startswith(description)
    assert ("requests" in errors) is (not others)
    assert f"defaults.{key} in body: " in response.json["message"]


def test_headers_default_to_those_of_the_batch(alice):
    (response,) = alice.batch(
        {"path": "/echo/"}, headers={"X-Seen": "yes", "Accept-Language": "fr"}
    )
    headers = response["body"]["headers"]
    assert headers["X-Seen"] == "yes"
    assert headers["Accept-Language"] == "fr"
    assert headers["Authorization"].startswith("Basic ")


def test_request_can_have_other_credentials(api, alice):
    bob = api.user("bob")
    alice.batch(put(1, headers=bob._headers), put(2))
    assert bob.values("/notes") == [1]
    assert alice.values("/notes") == [2]


@pytest.mark.parametrize("name", ["Host", "host"])
@pytest.mark.parametrize("value", ["[", "a b", "a\r\nb", "a/b", "é"])
def test_host_is_checked_as_in_other_requests(alice, name, value):
    body = {"requests": [{"path": "/"}, {"path": "/", "headers": {name: value}}]}
    response = alice.send("POST", "/batch", body, status=400)
    assert details(response) == {
        "requests.1.headers": "Host should be a host name, with or without a port"
    }


@pytest.mark.parametrize("value", ["example.org", "[::1]:8888", ""])
def test_request_can_have_its_own_host(alice, value):
    (response,) = alice.batch({"path": "/echo/", "headers": {"Host": value}})
    assert response["body"]["headers"]["Host"] == value


def test_headers_contain_any_string(alice):
    (response,) = alice.batch({"path": "/notes", "headers": {"If-None-Match": '"1"', "X-Y": "é"}})
    assert response["status"] == 200


@pytest.mark.parametrize(
    "name", ["Content-Length", "content-length", "Transfer-Encoding", "CONTENT_LENGTH"]
)
@pytest.mark.parametrize("value", ["0", "5", "1000000", "chunked", "x"])
def test_headers_that_frame_the_body_are_not_taken(alice, name, value):
    headers = {name: value}
    responses = alice.batch(
        {"method": "POST", "path": "/echo/", "headers": headers, "body": {"a": 1}}, put(1)
    )
    assert responses[0]["body"]["body"] == '{"a":1}'
    assert responses[1]["status"] == 201


@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
@pytest.mark.parametrize("value", ["text/plain", "application/x-www-form-urlencoded", "x", ""])
def test_body_is_sent_as_json_whatever_the_content_type(alice, name, value):
    responses = alice.batch(
        put(1, headers={name: value}),
        {"method": "POST", "path": "/echo/", "body": {"a": 1}, "headers": {name: value}},
        {"method": "POST", "path": "/echo/", "headers": {name: value}},
    )
    assert responses[0]["status"] == 201
    types = [item["body"]["headers"].get("Content-Type", "") for item in responses[1:]]
    assert types == ["application/json", value]


def test_sub_request_without_content_that_is_raised_describes_it(alice):
    (response,) = alice.batch({"method": "POST", "path": "/fail/raised/204"})
    body = {"code": 204, "errno": 999, "error": "No Content"}
    assert (response["status"], response["body"]) == (204, body)


def test_body_of_the_batch_is_not_that_of_its_requests(alice):
    (response,) = alice.batch({"method": "POST", "path": "/echo/"})
    assert response["body"]["body"] == ""
    (response,) = alice.batch({"method": "POST", "path": "/notes"})
    assert set(response["body"]["data"]) == {"id", "last_modified"}


def test_large_body_is_sent_whole(alice):
    body = {"data": {"text": "é" * 100_000}}
    (response,) = alice.batch({"method": "POST", "path": "/notes", "body": body})
    assert response["body"]["data"]["text"] == "é" * 100_000


def test_body_that_is_not_json_is_a_string(alice):
    (response,) = alice.batch({"path": "/text"})
    assert response["body"] == "caf\ufffd"


def test_head_has_no_body(alice):
    responses = alice.batch(put(1), {"method": "HEAD", "path": "/notes"})
    assert responses[1]["status"] == 200
    assert responses[1]["body"] == ""
    assert responses[1]["headers"]["Total-Records"] == "1"


def test_not_modified_is_one_of_the_responses(alice):
    note = alice.batch(put(1))[0]["body"]["data"]
    seen = {"If-None-Match": '"{last_modified}"'.format(**note)}
    responses = alice.batch({"path": "/notes", "headers": seen}, {"path": "/notes"})
    assert [item["status"] for item in responses] == [304, 200]
    assert responses[0]["headers"]["ETag"] == seen["If-None-Match"]
    assert responses[0]["body"] == ""


def test_querystring_is_kept(alice):
    path = "/echo/?a=1&b=%C3%A9%26&c=é&d=a+b&e="
    (response,) = alice.batch({"path": path})
    assert response["body"]["query"] == {"a": "1", "b": "é&", "c": "é", "d": "a b", "e": ""}


@pytest.mark.parametrize("part", ["é", "%C3%A9", "a b", "a%20b", "😀", "%25", "a/b", "a%2Fb"])
def test_path_can_hold_any_character_encoded_or_not(alice, part):
    (response,) = alice.batch({"path": f"/echo/{part}"})
    decoded = {"%C3%A9": "é", "a%20b": "a b", "%25": "%", "a%2Fb": "a/b"}.get(part, part)
    assert response["body"]["part"] == decoded
    assert response["path"] == f"/v1/echo/{decoded}"


@pytest.mark.parametrize("path", ["/echo/%FF", "/notes/%FF", "/%FF", "/v1/%ff", "/notes?n=%FF"])
def test_path_that_is_not_utf8_is_a_400_among_others(alice, path):
    responses = alice.batch(put(1), {"path": path}, {"path": "/notes"})
    assert [item["status"] for item in responses] == [201, 400, 200]
    assert responses[1]["body"]["errno"] == 107


def test_preconditions_hold_within_a_batch(alice):
    star = {"If-None-Match": "*"}
    responses = alice.batch(put(1, headers=star), put(1, headers=star), put(2, headers=star))
    assert [item["status"] for item in responses] == [201, 412, 201]


# Refused requests


def details(response):
    assert response.status_code == 400
    assert response.json["errno"] == 107
    return {item["name"]: item["description"] for item in response.json["details"]}


def test_requests_are_limited_by_the_setting(build):
    alice = build(batch_max_requests="3").user("alice")
    assert len(alice.batch(*[{"path": "/"}] * 3)) == 3
    errors = details(alice.batch(*[{"path": "/"}] * 4, status=400))
    assert errors == {"requests": "Number of requests is limited to 3"}
    assert details(build().user("alice").batch(*[{"path": "/"}] * 26, status=400))


def test_body_is_validated_once_and_not_at_all_with_too_many_requests(build, monkeypatch):
    validated = []
    deserialize = BatchPayloadSchema.deserialize

    def counting(schema, body):
        validated.append(body)
        return deserialize(schema, body)

    monkeypatch.setattr(BatchPayloadSchema, "deserialize", counting)
    alice = build(batch_max_requests="3").user("alice")
    alice.batch(*[{"path": "/"}] * 4, status=400)
    assert validated == []
    alice.batch(*[{"path": "/"}] * 3)
    assert len(validated) == 1


@pytest.mark.parametrize("unlimited", ["", "0", "None", 0])
def test_empty_setting_or_0_means_no_limit(build, unlimited):
    app = build(batch_max_requests=unlimited)
    assert len(app.batch(*[{"path": "/"}] * 30)) == 30
    assert app.batch({"path": "/"})[0]["body"]["settings"]["batch_max_requests"] is None


def test_batch_can_be_empty(alice):
    assert alice.batch() == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"requests": None},
        {"requests": {}},
        {"requests": "/"},
        {"requests": [1]},
        {"requests": [None]},
        {"requests": [[]]},
        {"requests": [{}]},
        {"requests": [{"path": 1}]},
        {"requests": [{"path": None}]},
        {"requests": [{"path": ""}]},
        {"requests": [{"path": "notes"}]},
        {"requests": [{"path": "http://a.example/"}]},
        {"requests": [{"path": "/", "method": "FETCH"}]},
        {"requests": [{"path": "/", "method": "get"}]},
        {"requests": [{"path": "/", "method": 1}]},
        {"requests": [{"path": "/", "headers": {"a": 1}}]},
        {"requests": [{"path": "/", "headers": {"a": None}}]},
        {"requests": [{"path": "/", "headers": []}]},
        {"requests": [{"path": "/", "headers": "a: b"}]},
        {"requests": [{"path": "/", "body": "x"}]},
        {"requests": [{"path": "/", "body": []}]},
        {"requests": [{"path": "/"}], "defaults": []},
        {"requests": [{"path": "/"}], "defaults": "x"},
        {"requests": [{}], "defaults": {"path": "x"}},
        {"requests": [{}], "defaults": {"path": "/", "headers": {"a": 1}}},
        {"requests": 1, "defaults": {"path": "/"}},
        {"requests": [1], "defaults": {"path": "/"}},
        {"requests": [{"headers": 1}], "defaults": {"path": "/", "headers": {"a": "b"}}},
    ],
)
def test_batch_of_another_form_is_a_400(alice, body):
    response = alice.send("POST", "/batch", body, status=400)
    assert response.json["errno"] == 107
    assert response.json["details"]


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ([], ["Invalid JSON: Should be a JSON object, got []", "requests is missing"]),
        (3, ["Invalid JSON: Should be a JSON object, got 3", "requests is missing"]),
        ({}, ["requests is missing"]),
        ({"requests": [{}]}, ["Required"]),
    ],
)
def test_each_error_of_a_batch_is_reported_once(alice, body, errors):
    response = alice.send("POST", "/batch", body, status=400)
    assert [error["description"] for error in response.json["details"]] == errors


def test_batch_of_another_type_is_one_error(alice):
    headers = {"Content-Type": "text/plain"}
    response = alice.raw("POST", "/batch", b'{"requests": []}', status=415, **headers)
    assert [error["name"] for error in response.json["details"]] == ["Content-Type"]


@pytest.mark.parametrize("body", [b"", b"[]", b"x", b'{"requests": [{"path": "/\\ud800"}]}'])
def test_body_that_is_not_a_json_object_is_a_400(alice, body):
    alice.raw("POST", "/batch", body, status=400, **{"Content-Type": "application/json"})


def test_path_is_at_most_eight_kilobytes_before_it_is_decoded(alice):
    longest = "/echo/" + "a" * (MAX_PATH_LENGTH - len("/echo/"))
    assert MAX_PATH_LENGTH == 8192
    assert alice.batch({"path": longest})[0]["status"] == 200
    for path in (
        longest + "a",
        "/echo/" + "é" * 4095,
        "/echo/" + "%41" * 3000,
        "/echo/?" + longest,
    ):
        errors = details(alice.batch({"path": path}, status=400))
        assert errors == {"requests.0.path": "Longer than 8192 bytes"}


DISGUISES = [
    "/batch",
    "/batch/",
    "/batch//",
    "/v1/batch",
    "/v1/batch/",
    "/batch?a=1",
    "/batch?",
    "/v1/batch?a#b",
    "/%62atch",
    "/%62%61%74%63%68",
    "/v1/%62atch/",
    "/v1%2Fbatch",
    "/%76%31/batch",
    "/batch%2F",
    "/v2/batch",
    "/v1/v1/batch",
    "//batch",
    "/./batch",
    "/notes/../batch",
    "/batch;a",
    "/batch%00",
    "/batch%20",
    "/notes/batch",
    "/echo?x=/batch",
    "/redirect?to=/v1/batch",
    "/redirect?returned=1&to=/v1/%62atch",
    "/redirect?to=//localhost:80/v1/batch",
]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
@pytest.mark.parametrize("path", DISGUISES)
def test_batch_in_a_batch_is_refused_however_its_path_is_written(alice, path, method):
    inner = {"path": path, "method": method, "body": {"requests": [put(2)]}}
    errors = details(alice.batch(put(1), inner, status=400))
    assert errors == {"requests": "Recursive call on /batch endpoint is forbidden."}
    assert alice.list("/notes") == []


@pytest.mark.parametrize(
    "path",
    [
        "/%2562atch",
        "/redirect?to=/v1/%2562atch",
        "/redirect?to=/%2562atch",
        "/redirect?to=/v1/%2562atch/",
        "/redirect?returned=1&to=/v1/%252562atch",
        "/redirect?to=http://localhost:80/v1/%2562atch",
        "/redirect?to=//localhost:80/v1/%2562atch",
    ],
)
def test_batch_is_not_reached_by_other_ways(alice, path):
    inner = {"path": path, "method": "POST", "body": {"requests": [put(2)]}}
    _, response = alice.batch(put(1), inner, status=200)
    assert 400 <= response["status"] < 500
    assert 2 not in alice.values("/notes")


# Redirections.


def test_redirections_are_followed(alice):
    alice.batch(put(1))
    responses = alice.batch({"path": "/notes/"}, {"path": "/redirect?to=/v1/notes%3F_sort%3Dn"})
    assert [item["status"] for item in responses] == [200, 200]
    assert [item["path"] for item in responses] == ["/v1/notes", "/v1/notes"]
    assert responses[0]["body"]["data"][0]["n"] == 1


def test_redirection_that_is_returned_is_followed_too(alice):
    (response,) = alice.batch({"path": "/redirect?returned=1&to=/v1/notes"})
    assert (response["status"], response["path"]) == (200, "/v1/notes")


def test_redirection_keeps_method_headers_body_and_query(alice):
    request = {
        "method": "POST",
        "path": "/redirect?to=/v1/echo/%25C3%25A9%3Fa%3D1",
        "headers": {"X-A": "b"},
        "body": {"c": "d"},
    }
    (response,) = alice.batch(request)
    body = response["body"]
    assert (body["method"], body["body"], body["query"]) == ("POST", '{"c":"d"}', {"a": "1"})
    assert body["headers"]["X-A"] == "b"
    assert body["part"] == "é"


@pytest.mark.parametrize(
    "to", ["http://elsewhere.example/v1/notes", "//elsewhere.example/x", "http://[/"]
)
def test_redirect_to_another_site_is_returned(alice, to):
    (response,) = alice.batch({"path": f"/redirect?to={to}"})
    assert response["status"] == 307
    assert response["headers"]["Location"] == to


def test_redirections_without_end_end(alice):
    to = "/v1/redirect?to=/v1/redirect"
    for _ in range(MAX_REDIRECTIONS + 1):
        to = "/v1/redirect?to=" + to.replace("%", "%25").replace("?", "%3F").replace("&", "%26")
    (response,) = alice.batch({"path": to})
    assert response["status"] == 307


# Transactions.


def written(client):
    return sorted(str(note["n"]) for note in client.list("/notes"))


@every_engine
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("how", ["raised", "returned", "response"])
@pytest.mark.parametrize("status", [400, 403, 409, 412, 404, 503])
def test_refused_request_leaves_nothing_behind(alice, events, method, how, status):
    responses = alice.batch(put(1), {"method": method, "path": f"/fail/{how}/{status}"}, put(2))
    assert [item["status"] for item in responses] == [201, status, 201]
    assert written(alice) == ["1", "2"]
    assert alice.permission.object_permissions("/fail") == {}
    (event,) = events
    assert [change["new"]["n"] for change in event.impacted_records] == [1, 2]


@every_engine
def test_refused_request_before_any_write_leaves_nothing_behind(alice):
    refused = {"method": "POST", "path": "/fail/raised/400"}
    assert [item["status"] for item in alice.batch(refused, refused, put(1))] == [400, 400, 201]
    assert written(alice) == ["1"]


@every_engine
def test_batch_of_refused_requests_alone_writes_nothing(alice, events):
    alice.batch(*[{"method": "POST", "path": "/fail/raised/400"}] * 3)
    assert written(alice) == []
    assert events == []


def test_refusals_are_formatted_as_everywhere(alice):
    (response,) = alice.batch({"method": "POST", "path": "/fail/raised/403"})
    assert response["body"]["errno"] == 121
    assert response["body"]["message"] == "This user cannot access this resource."
    (response,) = alice.batch({"path": "/unknown"})
    assert (response["status"], response["body"]["errno"]) == (404, 111)
    (response,) = alice.batch({"method": "PUT", "path": "/notes"})
    assert (response["status"], response["body"]["errno"]) == (405, 115)


@every_engine
@pytest.mark.parametrize("how", ["raised", "returned", "response"])
@pytest.mark.parametrize("status", [500, 501, 503, 507])
def test_server_error_of_a_view_is_one_response_among_others(alice, events, how, status):
    path = f"/fail/{how}/{status}"
    responses = alice.batch(put(1), {"method": "POST", "path": path}, put(2), status=200)
    assert [item["status"] for item in responses] == [201, status, 201]
    assert responses[1]["body"] == {"own": True} or responses[1]["body"]["code"] == status
    if (how, status) == ("raised", 503):
        assert responses[1]["body"]["errno"] == 201
        assert responses[1]["headers"]["Retry-After"] == "30"
    assert written(alice) == ["1", "2"]
    assert alice.permission.object_permissions("/fail") == {}
    (event,) = events
    assert [change["new"]["n"] for change in event.impacted_records] == [1, 2]


@pytest.mark.parametrize("returned", ["", "&returned=1"])
@pytest.mark.parametrize("path", ["/redirect?to=http://elsewhere.example/", "/loop?a=1"])
def test_redirect_that_is_not_followed_is_json(alice, path, returned):
    (response,) = alice.batch({"path": path + returned})
    assert response["status"] == 307
    assert response["headers"]["Location"]
    assert response["headers"]["Content-Type"].startswith("application/json")
    assert response["body"] == {"code": 307, "errno": 999, "error": "Temporary Redirect"}


@every_engine
@pytest.mark.parametrize("path, status", [("/bug", 500), ("/bug?backend=1", 503)])
def test_bug_fails_the_whole_batch(alice, events, caplog, path, status):
    response = alice.batch(put(1), {"method": "POST", "path": path}, put(2), status=status)
    assert response.json["code"] == status
    if status == 503:
        assert response.headers["Retry-After"] == "30"
    assert written(alice) == []
    assert events == []
    failures = [record for record in caplog.records if record.exc_info]
    assert len(failures) == 1


@every_engine
@pytest.mark.parametrize("path", ["/bug", "/bug?backend=1"])
def test_failure_without_transactions_fails_the_batch_too(build, path):
    alice = build(transaction_per_request="false").user("alice")
    response = alice.batch(put(1), {"method": "POST", "path": path}, put(2), status="5*")
    assert "responses" not in response.json
    assert "1" in written(alice)
    assert "2" not in written(alice)


@pytest.mark.parametrize("path", ["/bug", "/bug?backend=1"])
def test_failure_without_a_transaction_manager_fails_the_batch_too(build, path):
    sequence = [
        step
        for step in cliquet.DEFAULT_SETTINGS["initialization_sequence"]
        if step != "cliquet.events.setup_transaction_hook"
    ]
    alice = build(initialization_sequence=" ".join(sequence)).user("alice")
    alice.batch(put(1), {"method": "POST", "path": path}, put(2), status="5*")
    assert written(alice) == ["1", "failed"]
    refused = {"method": "POST", "path": "/fail/raised/400"}
    assert [item["status"] for item in alice.batch(refused, put(2))] == [400, 201]


@every_engine
def test_timestamps_of_a_batch_are_distinct(alice):
    responses = alice.batch(*[put(n) for n in range(5)])
    times = [item["body"]["data"]["last_modified"] for item in responses]
    assert times == sorted(set(times))


@every_engine
def test_shared_records_of_a_batch_have_their_permissions(alice):
    bodies = itertools.repeat({"data": {}, "permissions": {"read": ["x"]}}, 2)
    requests = [{"method": "POST", "path": "/pages", "body": body} for body in bodies]
    for item in alice.batch(*requests):
        assert item["status"] == 201
        assert item["body"]["permissions"] == {"read": ["x"], "write": [alice.id]}


# Logs.


def test_requests_of_a_batch_are_logged_one_by_one(alice, caplog):
    caplog.set_level(logging.INFO)
    alice.batch(put(1), {"path": "/notes?a=1"}, {"path": "/notes?_sort=%FF"})
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if "subrequest.summary" in line]) == 3
    (summary,) = [line for line in lines if " request.summary" in line]
    assert "batch_size=3" in summary
