"""Each kind of error is an exception, with what the protocol tells of it."""

import pickle

import pytest

from cliquet import client as module
from cliquet.errors import ERRORS
from tests.client.fault_proxy import Response, error


def failure(client, *step, proxy):
    proxy.script(*step)
    with pytest.raises(module.ClientError) as caught:
        client.request("POST", "/spores")
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, module.InvalidParameters),
        (401, module.Unauthorized),
        (403, module.Forbidden),
        (404, module.NotFound),
        (405, module.MethodNotAllowed),
        (409, module.Conflict),
        (410, module.Gone),
        (412, module.PreconditionFailed),
        (413, module.ResponseError),
        (418, module.ResponseError),
        (429, module.TooManyRequests),
        (500, module.ServerError),
        (503, module.ServiceUnavailable),
        (507, module.ServerError),
    ],
)
def test_status_is_a_class(client, proxy, status, kind):
    found = failure(client, error(status, 999), proxy=proxy)
    assert type(found) is kind
    assert isinstance(found, module.ResponseError)
    assert (found.code, found.errno) == (status, 999)


@pytest.mark.parametrize("status", [400, 406, 415])
def test_invalid_parameters_are_told_by_their_number(client, proxy, status):
    found = failure(client, error(status, ERRORS.INVALID_PARAMETERS.value), proxy=proxy)
    assert type(found) is module.InvalidParameters


def test_error_of_the_service_tells_all_of_it(client):
    with pytest.raises(module.InvalidParameters) as caught:
        client.resource("/mushrooms").create({"size": 1})
    found = caught.value
    assert str(found) == (
        "POST /mushrooms: 400 Invalid parameters (errno 107): data.name in body: Required"
    )
    assert found.errno == ERRORS.INVALID_PARAMETERS.value
    assert [detail["name"] for detail in found.details] == ["data.name"]
    assert found.info is None
    assert found.existing is None
    assert found.request.method == "POST"
    assert found.response.headers["content-type"].startswith("application/json")


def test_conflict_has_the_record_that_is_in_the_way(client):
    bookmarks = client.resource("/bookmarks")
    first = bookmarks.create({"url": "https://example.com"}).data
    with pytest.raises(module.Conflict) as caught:
        bookmarks.update(module.new_id(), {"url": "https://example.com"})
    assert caught.value.existing == first
    assert caught.value.details["field"] == "url"


@pytest.mark.parametrize("body", [b"", b"<h1>no</h1>", b"[]", b'"text"'])
def test_error_that_is_not_of_the_protocol_is_told_by_its_status(client, proxy, body):
    found = failure(client, Response(500, {}, body), proxy=proxy)
    assert str(found) == "POST /spores: 500 Internal Server Error"
    assert (found.errno, found.message, found.details) == (None, None, None)
    found = failure(client, Response(599, {}, body), proxy=proxy)
    assert str(found) == "POST /spores: 599 Unknown"


def test_credentials_that_are_missing_are_told(connect, proxy):
    with pytest.raises(module.Unauthorized) as caught:
        connect(proxy.url, auth=None).resource("/spores").list()
    assert caught.value.errno == ERRORS.MISSING_AUTH_TOKEN.value


@pytest.mark.parametrize("auth", ["alice:secret", ("alice",), ["alice", "secret"], {}])
def test_credentials_that_requests_does_not_know_are_told_without_them(connect, auth):
    with pytest.raises(TypeError, match=r"^auth: expected .*, or a function$"):
        connect("http://localhost", auth=auth)


def test_errors_can_be_sent_to_other_processes(client, proxy):
    found = failure(client, error(404, 111, message="none"), proxy=proxy)
    assert str(pickle.loads(pickle.dumps(found))) == str(found)
