import pytest
import webtest

from cliquet import testing
from cliquet.errors import ERRORS, http_error, raise_invalid
from cliquet.events import ACTIONS
from cliquet.permission.memory import Permission
from cliquet.storage.memory import Storage
from cliquet.views.heartbeat import get_heartbeat
from cliquet.views.hello import get_hello
from tests.testapp import Mushroom, Psilo


def test_request_classes_add_the_prefix(serve):
    client = webtest.TestApp(serve().app)
    client.RequestClass = testing.get_request_class("v0")
    assert client.get("/").json["url"] == "http://localhost/v0/"
    client.RequestClass = testing.get_request_class("")
    assert client.get("/v0/").json["url"] == "http://localhost/v0/"


def test_dummy_request_is_enough_for_a_resource():
    request = testing.DummyRequest(
        method="POST", json_body={"data": {"name": "n"}}, validated={"data": {"name": "n"}}
    )
    request.registry.storage = Storage()
    resource = Mushroom(request)
    assert resource.collection_post()["data"]["name"] == "n"
    assert request.notified[0]["action"].value == "create"
    assert [r["name"] for r in resource.collection_get()["data"]] == ["n"]
    assert request.get_resource_events() == []
    assert "bob" in request.effective_principals


def test_dummy_request_is_enough_for_a_shared_resource():
    body = {"data": {"a": 1}, "permissions": {"read": ["system.Everyone"]}}
    request = testing.DummyRequest(method="POST", json_body=body, validated=body)
    request.registry.storage = Storage()
    request.registry.permission = Permission()
    created = Psilo(request).collection_post()
    request.matchdict = {"id": created["data"]["id"]}
    assert Psilo(request).get()["data"] == created["data"]
    assert created["permissions"] == {
        "read": ["system.Everyone"],
        "write": [request.prefixed_userid],
    }


def test_dummy_request_is_enough_for_views():
    request = testing.DummyRequest()
    hello = get_hello(request)
    assert hello["url"] == "http://example.com/hello"
    assert hello["user"] == {"id": "basicauth:bob"}
    request.registry.heartbeats["plugin"] = lambda request: False
    assert get_heartbeat(request) == {"plugin": False}
    assert request.response.status_code == 503


def test_urls_of_a_dummy_request_are_those_of_its_application(serve):
    request = testing.DummyRequest(registry=serve().registry)
    assert request.route_url("hello") == "http://example.com/v0/"


def test_headers_of_a_dummy_request_can_be_in_any_case():
    request = testing.DummyRequest(headers={"if-match": '"1"'}, params={"a": "1"})
    assert request.headers["If-Match"] == '"1"'
    assert request.GET == {"a": "1"}


def test_events_are_noted_as_they_are_notified():
    request = testing.DummyRequest()
    request.notify_resource_event(1, {"id": "a"}, ACTIONS.UPDATE, old={})
    expected = {"timestamp": 1, "data": {"id": "a"}, "action": ACTIONS.UPDATE, "old": {}}
    assert request.notified == [expected]


def test_missing_package_is_reported(monkeypatch):
    monkeypatch.setattr(testing, "TestRequest", None)
    with pytest.raises(ImportError, match="pip install webtest"):
        testing.get_request_class("v0")


def test_dummy_request_collects_errors():
    with pytest.raises(Exception) as raised:
        raise_invalid(testing.DummyRequest(), "path", "id", "Wrong")
    testing.FormattedErrorMixin().assertFormattedError(
        raised.value, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", "id in path: Wrong"
    )


@pytest.mark.parametrize(
    "expected",
    [
        (401, 115, "Method Not Allowed"),
        (405, 116, "Method Not Allowed"),
        (405, 115, "Not Found"),
        (405, 115, "Method Not Allowed", "other"),
        (405, 115, "Method Not Allowed", "no", "http"),
        (405, 115, "Method Not Allowed", "no", None),
    ],
)
def test_check_of_errors_fails_on_another_error(expected):
    from pyramid.httpexceptions import HTTPMethodNotAllowed

    info = "ftp" if expected[-1] in ("http", None) else None
    error = http_error(HTTPMethodNotAllowed(), ERRORS.METHOD_NOT_ALLOWED, message="no", info=info)
    with pytest.raises(AssertionError):
        testing.FormattedErrorMixin().assertFormattedError(error, *expected)


def test_user_headers_are_basic_auth():
    assert testing.get_user_headers("bob") == {"Authorization": "Basic Ym9iOnNlY3JldA=="}


def test_json_of_a_dummy_request_is_that_of_its_body():
    request = testing.DummyRequest(json={"n": 1})
    assert request.json_body == {"n": 1}
    request.json_body = {"n": 2}
    assert request.json == {"n": 2}
    request.json = {}
    assert request.json_body == {}
