import json

import pytest
from cornice.errors import Errors
from pyramid.httpexceptions import HTTPBadRequest, HTTPTooManyRequests
from pyramid.response import Response

from cliquet.errors import ERRORS, http_error, json_error_handler, raise_invalid, send_alert
from cliquet.testing import DummyRequest

NUMBERS = {
    "MISSING_AUTH_TOKEN": 104,
    "INVALID_AUTH_TOKEN": 105,
    "BADJSON": 106,
    "INVALID_PARAMETERS": 107,
    "MISSING_PARAMETERS": 108,
    "INVALID_POSTED_DATA": 109,
    "INVALID_RESOURCE_ID": 110,
    "MISSING_RESOURCE": 111,
    "MISSING_CONTENT_LENGTH": 112,
    "REQUEST_TOO_LARGE": 113,
    "MODIFIED_MEANWHILE": 114,
    "METHOD_NOT_ALLOWED": 115,
    "VERSION_NOT_AVAILABLE": 116,
    "CLIENT_REACHED_CAPACITY": 117,
    "FORBIDDEN": 121,
    "CONSTRAINT_VIOLATED": 122,
    "FAILED_DEPENDENCY": 125,
    "BACKEND": 201,
    "SERVICE_DEPRECATED": 202,
    "UNDEFINED": 999,
}


def test_numbers_are_stable():
    assert {error.name: error.value for error in ERRORS} == NUMBERS


def test_error_contains_only_the_given_members():
    response = http_error(HTTPTooManyRequests())
    assert response.json == {"code": 429, "errno": 999, "error": "Too Many Requests"}
    assert http_error(HTTPTooManyRequests(), errno=0).json["errno"] == 999
    response = http_error(
        HTTPTooManyRequests(), 117, code=1, error="e", message="m", info="i", details={}
    )
    assert response.json == {
        "code": 1,
        "errno": 117,
        "error": "e",
        "message": "m",
        "info": "i",
        "details": {},
    }
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"


@pytest.mark.parametrize(
    ("name", "description", "message"),
    [
        ("field", "Wrong", "field in body: Wrong"),
        ("field", "The field is wrong", "The field is wrong"),
        (None, "Wrong", "body: Wrong"),
        ("", b"\xc3\xa9", "body: é"),
    ],
)
def test_message_describes_the_first_error(name, description, message):
    request = DummyRequest()
    with pytest.raises(HTTPBadRequest) as raised:
        raise_invalid(request, name=name, description=description)
    assert raised.value.json["message"] == message
    assert raised.value.json["details"][0]["name"] == (name or None)


def test_first_error_is_the_first_by_name_and_all_are_listed():
    errors = Errors(status=415)
    errors.add("body", "z", "Last")
    errors.add("header", "a", "First")
    response = json_error_handler(errors)
    assert response.status_code == response.json["code"] == 415
    assert response.json["message"] == "a in header: First"
    assert [detail["name"] for detail in response.json["details"]] == ["z", "a"]


@pytest.mark.parametrize(
    ("message", "text"), [("a/b", r"a\/b"), ("é", r"\u00e9"), ("\U0001f344", r"\ud83c\udf44")]
)
def test_body_of_an_error_is_json_in_ascii_with_escaped_slashes(message, text):
    response = http_error(HTTPBadRequest(), message=message)
    body = '{"code":400,"errno":999,"error":"Bad Request","message":"%s"}'
    assert response.body == (body % text).encode()
    assert response.json["message"] == message


def test_request_that_has_no_errors_yet_is_refused_too():
    request = DummyRequest()
    del request.errors
    with pytest.raises(HTTPBadRequest):
        raise_invalid(request, "headers", description="Wrong")
    assert request.errors[0]["location"] == "headers"


def test_alert_is_json_in_ascii_with_the_documentation_by_default():
    request = DummyRequest()
    request.registry.settings["project_docs"] = "http://docs"
    send_alert(request, "Fini, c’est fini")
    alert = request.response.headers["Alert"]
    assert alert.isascii()
    assert r'"url":"http:\/\/docs"' in alert
    assert json.loads(alert) == {
        "code": "soft-eol",
        "message": "Fini, c’est fini",
        "url": "http://docs",
    }


def test_alert_can_have_a_url_and_be_on_any_response():
    request, response = DummyRequest(), Response()
    send_alert(request, url="http://page", code="hard-eol", response=response)
    expected = {"code": "hard-eol", "message": None, "url": "http://page"}
    assert json.loads(response.headers["Alert"]) == expected
    assert "Alert" not in request.response.headers


def test_error_without_description_has_none():
    request = DummyRequest()
    with pytest.raises(HTTPBadRequest) as raised:
        raise_invalid(request)
    assert raised.value.json["details"] == [{"location": "body", "name": None, "description": None}]
    assert raised.value.json["message"] == "body: None"
