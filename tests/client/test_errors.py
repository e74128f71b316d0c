"""Errors of the protocol as exceptions."""

import pickle

import pytest

from cliquet import client as module
from cliquet.errors import ERRORS
from tests.client.fault_proxy import Response, error

ERRNOS = {410: ERRORS.SERVICE_DEPRECATED.value}


def failure(client, *steps, proxy):
    """Return the error that responses cause."""
    proxy.script(*steps)
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
def test_each_status_has_an_exception_class(client, proxy, status, kind):
    raised = failure(client, error(status, ERRNOS.get(status, 999)), proxy=proxy)
    assert type(raised) is kind
    assert isinstance(raised, module.ResponseError)
    assert raised.code == status


@pytest.mark.parametrize("status", [400, 406, 415])
def test_errno_107_is_invalid_parameters_whatever_the_status(client, proxy, status):
    raised = failure(client, error(status, ERRORS.INVALID_PARAMETERS.value), proxy=proxy)
    assert type(raised) is module.InvalidParameters


def test_error_has_the_attributes_of_the_response(client):
    with pytest.raises(module.InvalidParameters) as caught:
        client.resource("/mushrooms", id_factory=None).create({"size": 1})
    error = caught.value
    assert str(error) == (
        "POST /mushrooms: 400 Invalid parameters (errno 107): data.name in body: Required"
    )
    assert error.errno == ERRORS.INVALID_PARAMETERS.value
    assert [detail["name"] for detail in error.details] == ["data.name"]
    assert error.info is None
    assert error.existing is None
    assert error.request.method == "POST"
    assert error.response.headers["content-type"].startswith("application/json")


def test_conflict_has_the_existing_record(client):
    bookmarks = client.resource("/bookmarks")
    first = bookmarks.create({"url": "https://example.com"}).data
    with pytest.raises(module.Conflict) as caught:
        bookmarks.update(module.new_id(), {"url": "https://example.com"})
    assert caught.value.existing == first
    assert caught.value.details["field"] == "url"


@pytest.mark.parametrize(
    "body",
    [b"", b"<h1>no</h1>", b"[]", b'"text"', b"[" * 100_000],
    ids=["empty", "HTML", "array", "string", "nested"],
)
def test_error_without_a_body_of_the_protocol_is_described_by_its_status(client, proxy, body):
    raised = failure(client, Response(500, {}, body), proxy=proxy)
    assert str(raised) == "POST /spores: 500 Internal Server Error"
    assert (raised.errno, raised.message, raised.details) == (None, None, None)
    raised = failure(client, Response(599, {}, body), proxy=proxy)
    assert str(raised) == "POST /spores: 599 Unknown"


def test_errno_that_is_not_a_number_is_ignored(client, proxy):
    assert failure(client, error(400, "107"), proxy=proxy).errno is None


def test_missing_credentials_are_unauthorized(connect, proxy):
    with pytest.raises(module.Unauthorized) as caught:
        connect(proxy.url, auth=None).resource("/spores").list()
    assert caught.value.errno == ERRORS.MISSING_AUTH_TOKEN.value


@pytest.mark.parametrize("auth", ["alice:secret", ("alice",), ["alice", "secret"], {}])
def test_invalid_auth_is_refused_without_showing_it(connect, auth):
    with pytest.raises(TypeError, match=r"^auth: expected .*, or a callable$"):
        connect("http://localhost", auth=auth)


def test_errors_can_be_pickled(client, proxy):
    raised = failure(client, error(404, 111, message="none"), proxy=proxy)
    assert str(pickle.loads(pickle.dumps(raised))) == str(raised)


def test_transport_errors_can_be_pickled():
    original = module.TransportError("GET /: refused", is_transient=False, is_sent=False)
    for each in (original, module.ProtocolError("GET /: the body has no 'settings'")):
        copy = pickle.loads(pickle.dumps(each))
        assert (type(copy), str(copy), vars(copy)) == (type(each), str(each), vars(each))


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("body", [b"<h1>Gone fishing</h1>", b'{"message": "No such API"}'])
def test_missing_page_of_a_gateway_is_not_a_missing_record(client, proxy, status, body):
    raised = failure(client, Response(status, {}, body), proxy=proxy)
    assert type(raised) is module.ResponseError
    assert raised.errno is None


def test_gone_is_only_the_end_of_life_of_the_service(client, proxy):
    assert type(failure(client, error(410, 999), proxy=proxy)) is module.ResponseError
