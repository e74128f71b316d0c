import pytest
import webtest

from cliquet import testing
from cliquet.errors import ERRORS, http_error, raise_invalid
from cliquet.storage.memory import Storage
from tests.testapp import Mushroom


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
