import colander
import cornice
import pytest
import webtest
from cornice.validators import colander_body_validator
from pyramid.config import Configurator

import cliquet
from cliquet.resource.schema import ResourceSchema
from tests import testapp


class Strict(colander.MappingSchema):
    def schema_type(self, **kw):
        return colander.Mapping(unknown="raise")


class Address(Strict):
    town = colander.SchemaNode(colander.String())


class Payload(Strict):
    """A schema that refuses unknown keys, with a record in it."""

    name = colander.SchemaNode(colander.String())
    sizes = colander.SchemaNode(
        colander.Sequence(), colander.SchemaNode(colander.Integer()), missing=()
    )
    address = Address(missing=None)
    record = ResourceSchema(missing=colander.drop)
    page = colander.SchemaNode(colander.Integer(), location="querystring", missing=1)
    agent = colander.SchemaNode(colander.String(), location="header", name="X-Agent", missing="")


@pytest.fixture
def client():
    service = cliquet.Service(name="s", path="/s")
    service.add_view("post", lambda request: request.validated, schema=Payload)
    service.add_view("put", lambda request: request.validated, schema=Payload())
    service.add_view("get", lambda request: {}, accept=("application/json", "text/csv"))
    service.add_view("delete", lambda request: {}, content_type="text/csv")
    late = cliquet.Service(name="late", path="/late", cors_origins=("http://own",), cors_max_age=5)
    late.add_view("get", lambda request: {})
    plain = cornice.Service(name="plain", path="/plain")
    plain.add_view("get", lambda request: {"plain": True})
    return served(service, late, plain)


def served(*services, **settings):
    config = Configurator(settings={**testapp.SETTINGS, **settings})
    cliquet.initialize(config, version="0.1")
    for service in services:
        config.add_cornice_service(service)
    client = webtest.TestApp(config.make_wsgi_app())
    client.RequestClass = cliquet.testing.get_request_class("v0")
    return client


def details(response):
    return [(d["location"], d["name"], d["description"]) for d in response.json["details"]]


@pytest.mark.parametrize("method", ["post_json", "put_json"])
def test_schema_class_or_instance_fills_validated_flatly(client, method):
    body = {"name": "n", "sizes": ["1"], "record": {"x": 1}}
    response = getattr(client, method)("/s?page=3", body, headers={"X-Agent": "me"})
    assert response.json == {
        "name": "n",
        "sizes": [1],
        "address": None,
        "record": {},
        "page": 3,
        "X-Agent": "me",
    }


def test_errors_tell_where_and_what(client):
    body = {"sizes": [1, "x"], "address": {"town": "t", "zip": 1}}
    response = client.post_json("/s?page=no", body, status=400)
    assert details(response) == [
        ("body", "name", "name is missing"),
        ("body", "sizes.1", '"x" is not a number'),
        ("body", "address.zip", "zip is not allowed"),
        ("querystring", "page", '"no" is not a number'),
    ]
    assert response.json["errno"] == 107
    assert response.json["message"] == "address.zip in body: zip is not allowed"


def test_all_unknown_keys_are_told(client):
    response = client.post_json("/s", {"more": 1, "less": 2}, status=400)
    assert sorted(details(response)) == [
        ("body", "less", "less is not allowed"),
        ("body", "more", "more is not allowed"),
    ]
    assert response.json["message"] == "less is not allowed"


def test_validators_that_the_view_brings_are_left_alone():
    service = cliquet.Service(name="s", path="/s")
    service.add_view(
        "post",
        lambda request: request.validated,
        schema=Address(),
        validators=(colander_body_validator,),
    )
    client = served(service)
    assert client.post_json("/s", {"town": "t"}).json == {"town": "t"}
    assert details(client.post_json("/s", {}, status=400)) == [("body", "town", "Required")]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "Invalid JSON request body"),
        (b"\xff", "Invalid JSON request body"),
        (b"[]", "Should be a JSON object"),
        (b"null", "Should be a JSON object"),
        (b'{"name": "\\u0000"}', "null character"),
        (b'{"name": ' + b"[" * 101 + b"]" * 101 + b"}", "nested deeper than 100"),
    ],
)
def test_body_that_cannot_be_kept_is_refused(client, body, told):
    headers = {"Content-Type": "application/json"}
    response = client.post("/s", body, headers=headers, status=400)
    assert told in response.json["message"]
    assert response.json["message"].startswith("body: ")


def test_escaped_backslash_is_no_null_character(client):
    headers = {"Content-Type": "application/json"}
    response = client.post("/s", b'{"name": "\\\\u0000"}', headers=headers)
    assert response.json["name"] == "\\u0000"


def test_body_of_another_type_is_refused(client):
    response = client.post("/s", "x=1", headers={"Content-Type": "text/plain"}, status=415)
    assert (response.json["code"], response.json["details"][0]["name"]) == (415, "Content-Type")


def test_body_without_type_is_not_read(client):
    response = client.post("/s", b"{}", headers={"Content-Type": ""}, status=400)
    assert response.json["message"] == "name is missing"


def test_types_of_a_view_are_negotiated(client):
    client.get("/s", headers={"Accept": "text/csv"})
    client.get("/s", headers={"Accept": "text/html, application/*;q=0.1"})
    refused = client.get("/s", headers={"Accept": "text/html"}, status=406)
    assert refused.json["errno"] == 107
    client.delete("/s", headers={"Content-Type": "text/csv; charset=utf-8"})
    client.delete("/s", headers={"Content-Type": "application/json"}, status=415)


@pytest.mark.filterwarnings("ignore:The .custom_predicates. argument")
def test_types_may_depend_on_the_request_as_cornice_has_it():
    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", lambda request: {}, accept=lambda request: ["text/x"])
    client = served(service)
    client.get("/s", headers={"Accept": "text/x"})
    client.get("/s", headers={"Accept": "text/y"}, status=406)


def test_service_may_have_origins_and_age_of_its_own(client):
    headers = {"Origin": "http://own", "Access-Control-Request-Method": "GET"}
    preflight = client.options("/late", headers=headers)
    assert preflight.headers["Access-Control-Max-Age"] == "5"
    assert preflight.headers["Access-Control-Allow-Origin"] == "http://own"
    client.get("/late", headers={"Origin": "http://other"}, status=400)


@pytest.mark.parametrize("age", ["0", ""])
def test_age_of_preflight_answers_may_be_untold(age):
    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", lambda request: {})
    client = served(service, cors_max_age_seconds=age)
    headers = {"Origin": "http://a", "Access-Control-Request-Method": "GET"}
    assert "Access-Control-Max-Age" not in client.options("/s", headers=headers).headers


def test_plain_cornice_service_works_beside(client):
    response = client.get("/plain")
    assert response.json == {"plain": True}
    assert "Access-Control-Expose-Headers" not in response.headers
    assert client.post("/plain", status=405).json["errno"] == 115


def test_service_is_not_changed_by_the_applications_that_it_is_part_of():
    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", lambda request: {}, schema=Address, accept="application/json")
    before = [dict(arguments) for _, _, arguments in service.definitions]
    served(service)
    served(service, cors_origins="http://one")
    assert [dict(arguments) for _, _, arguments in service.definitions] == before
    assert service.defined_methods == ["GET", "HEAD"]
