import codecs
import itertools

import colander
import cornice
import pytest
import webtest
from cornice.validators import colander_body_validator
from pyramid.config import Configurator
from pyramid.response import Response

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


@pytest.fixture(scope="module")
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


def test_errors_have_location_and_description(client):
    body = {"sizes": [1, "x"], "address": {"town": "t", "zip": 1}}
    response = client.post_json("/s?page=no", body, status=400)
    assert details(response) == [
        ("body", "name", "name is missing"),
        ("body", "sizes.1", '"x" is not a number'),
        ("body", "address", "Unrecognized keys in mapping: \"{'zip': 1}\""),
        ("querystring", "page", '"no" is not a number'),
    ]
    assert response.json["errno"] == 107
    message = "address in body: Unrecognized keys in mapping: \"{'zip': 1}\""
    assert response.json["message"] == message


def test_unknown_keys_are_listed_after_other_errors(client):
    response = client.post_json("/s", {"more": 1, "less": 2}, status=400)
    assert details(response) == [
        ("body", "name", "name is missing"),
        ("body", "less", "less is not allowed"),
        ("body", "more", "more is not allowed"),
    ]
    assert response.json["message"] == "less is not allowed"


def test_unknown_key_of_a_valid_body_is_the_only_error(client):
    response = client.post_json("/s", {"name": "a", "more": 1}, status=400)
    assert details(response) == [("body", "more", "more is not allowed")]


class Fragile(colander.SchemaType):
    """A type that fails on most values."""

    def deserialize(self, node, cstruct):
        return {colander.null: colander.null, "known": 1}[cstruct]


class FragileSchema(colander.MappingSchema):
    tags = colander.SchemaNode(colander.Set(), missing=())
    own = colander.SchemaNode(Fragile(), missing=0)
    many = colander.SchemaNode(colander.Sequence(), colander.SchemaNode(Fragile()), missing=())
    page = colander.SchemaNode(Fragile(), location="querystring", missing=0)
    agent = colander.SchemaNode(Fragile(), location="header", name="X-Agent", missing=0)


@pytest.mark.parametrize(
    "body, query, headers, location, name",
    [
        ({"tags": [[]]}, "", {}, "body", "tags"),
        ({"tags": [{"a": 1}]}, "", {}, "body", "tags"),
        ({"many": ["known", None]}, "", {}, "body", "many.1"),
        ({"own": "unknown"}, "", {}, "body", "own"),
        ({"own": {}}, "", {}, "body", "own"),
        ({}, "?page=unknown", {}, "querystring", "page"),
        ({}, "", {"X-Agent": "unknown"}, "header", "X-Agent"),
    ],
)
def test_a_value_on_which_a_type_fails_is_a_400(body, query, headers, location, name):
    service = cliquet.Service(name="s", path="/s")
    service.add_view("post", lambda request: {}, schema=FragileSchema)
    client = served(service)
    known = {"tags": ["a"], "own": "known", "many": ["known"]}
    client.post_json("/s?page=known", known, headers={"X-Agent": "known"})
    refused = client.post_json(f"/s{query}", body, headers=headers, status=400)
    ((place, field, _),) = details(refused)
    assert (place, field) == (location, name)


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


class Query(colander.MappingSchema):
    n = colander.SchemaNode(colander.Integer(), location="querystring")
    x = colander.SchemaNode(colander.String(), location="header", name="X-Own", missing="none")


def see(request):
    request.validated["seen"] = sorted(request.validated)


def see_all(request, **kwargs):
    see(request)


class Seeing:
    def __init__(self, request, context=None):
        self.request = request

    def see(self, request):
        see(request)

    def show(self):
        return self.request.validated


VALIDATING = list(
    itertools.product(
        (cliquet.Service, cornice.Service), (Query, Query()), (see, (see_all,), "see", None)
    )
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def validating():
    """A service for each combination in ``VALIDATING``, at the path of its number."""
    services = []
    for number, (class_, schema, validators) in enumerate(VALIDATING):
        options = {} if validators is None else {"validators": validators}
        name = f"s{number}"
        services.append(class_(name=name, path=f"/{name}", renderer="json", **options))
        for method in METHODS:
            services[-1].add_view(method, "show", klass=Seeing, schema=schema)
    return served(*services)


@pytest.mark.parametrize("number", range(len(VALIDATING)))
def test_schema_is_validated_before_the_validators_of_the_view(validating, number):
    *_, validators = VALIDATING[number]
    seen = {} if validators is None else {"seen": ["X-Own", "n"]}
    for method in METHODS:
        response = validating.request(f"/s{number}?n=1", method=method)
        assert response.json == {"n": 1, "X-Own": "none", **seen}
        for query in ("", "?n=x"):
            assert validating.request(f"/s{number}{query}", method=method, status=400)


def test_body_and_validators_report_their_errors_together():
    def refuse(request):
        request.errors.add("querystring", "q", "is wrong")

    service = cliquet.Service(name="s", path="/s", cors_origins=("http://friend",))
    service.add_view("post", lambda request: {}, schema=Address, validators=refuse)
    headers = {"Origin": "http://other"}
    refused = served(service).post_json("/s", {}, headers=headers, status=400)
    assert details(refused) == [
        ("body", "town", "town is missing"),
        ("querystring", "q", "is wrong"),
        ("header", "Origin", "http://other not allowed"),
    ]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[1]", "Invalid JSON: Should be a JSON object, got [1]"),
        (b"null", "Invalid JSON: Should be a JSON object, got None"),
        (b'"' + b"a" * 200 + b'"', f"Invalid JSON: Should be a JSON object, got {'a' * 100}"),
    ],
)
def test_body_that_is_not_an_object_misses_the_required_fields(body, error):
    service = cliquet.Service(name="s", path="/s")
    service.add_view("post", lambda request: {}, schema=Address)
    headers = {"Content-Type": "application/json"}
    refused = served(service).post("/s", body, headers=headers, status=400)
    assert details(refused) == [("body", None, error), ("body", "town", "town is missing")]


@pytest.mark.parametrize("options", [{"schema": Address}, {}])
def test_byte_order_mark_before_a_body_is_ignored(options):
    service = cliquet.Service(name="s", path="/s")
    service.add_view("post", lambda request: request.json_body, **options)
    body = codecs.BOM_UTF8 + b'{"town": "t"}'
    headers = {"Content-Type": "application/json"}
    assert served(service).post("/s", body, headers=headers).json == {"town": "t"}


def test_schema_of_another_library_is_left_to_the_validators():
    service = cliquet.Service(name="s", path="/s")
    service.add_view("post", lambda request: {}, schema=object(), validators=see)
    served(service).post_json("/s", {})


def test_service_can_override_the_error_handler():
    class Teapots(cliquet.Service):
        def error_handler(self, error):
            response = super().error_handler(error)
            response.headers["X-Status"] = str(error.status)
            response.status_code = 418
            return response

    service = Teapots(name="s", path="/s")
    service.add_view("post", lambda request: {}, schema=Address)
    refused = served(service).post_json("/s", {}, status=418)
    assert refused.json["message"] == "town is missing"
    assert refused.headers["X-Status"] == "400"


def test_origins_and_age_can_be_those_of_a_class():
    class Open(cliquet.Service):
        pass

    Open.init_from_settings({"cors_origins": "http://a http://b", "cors_max_age_seconds": "7"})
    service = Open(name="s", path="/s")
    service.add_view("get", lambda request: {})
    headers = {"Origin": "http://b", "Access-Control-Request-Method": "GET"}
    preflight = served(service).options("/s", headers=headers)
    assert preflight.headers["Access-Control-Max-Age"] == "7"
    assert preflight.headers["Access-Control-Allow-Origin"] == "http://b"
    Open.init_from_settings({"cors_origins": "*", "cors_max_age_seconds": ""})
    assert (Open.cors_origins, Open.cors_max_age) == (("*",), None)
    assert not hasattr(cliquet.Service, "cors_max_age")


def test_validator_can_take_the_request_alone():
    def needs_x(request):
        if "x" not in request.GET:
            request.errors.add("querystring", "x", "x is needed")

    class Needing:
        def __call__(self, request):
            request.validated["y"] = request.GET["x"]

    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", lambda request: request.validated, validators=(needs_x, Needing()))
    client = served(service)
    assert client.get("/s?x=1").json == {"y": "1"}
    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", lambda request: {}, validators=needs_x)
    assert details(served(service).get("/s", status=400)) == [("querystring", "x", "x is needed")]


def test_validator_can_be_a_method_that_takes_the_request_alone():
    class Views:
        def __init__(self, request, context=None):
            self.request = request

        def check(self, request):
            request.errors.add("headers", "x", "x is needed")

        def get(self):
            return {}

    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", "get", klass=Views, validators=("check",))
    assert details(served(service).get("/s", status=400)) == [("headers", "x", "x is needed")]


def check_page(request):
    if "page" not in request.GET:
        request.errors.add("querystring", "page", "No page")


def add_marker(response):
    response.headers["X-Marker"] = "set"
    return response


@pytest.mark.parametrize("class_", [cliquet.Service, cornice.Service])
def test_preflights_pass_the_validators_and_filters_of_the_service(class_):
    functions = {"validators": (check_page,), "filters": [add_marker]}
    service = class_(name="v", path="/v", cors_origins=("*",), **functions)
    service.add_view("get", lambda request: {})
    client = served(service)
    headers = {"Origin": "http://page", "Access-Control-Request-Method": "GET"}
    assert client.options("/v?page=1", headers=headers).headers["X-Marker"] == "set"
    assert "No page" in client.options("/v", headers=headers, status=400).text


@pytest.mark.parametrize("class_", [cliquet.Service, cornice.Service])
def test_error_handler_can_take_the_errors(class_):
    def needs_x(request):
        request.errors.add("anywhere", "x", "x is needed")

    def handle(errors):
        body = [errors.status, errors.request.method, *errors]
        return Response(json_body=body, status=418)

    service = class_(name="s", path="/s", error_handler=handle)
    service.add_view("get", lambda request: {}, validators=needs_x)
    error = {"location": "anywhere", "name": "x", "description": "x is needed"}
    assert served(service).get("/s", status=418).json == [400, "GET", error]


def test_views_of_one_method_can_differ_by_accept():
    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", lambda request: {"is": "json"}, accept="application/json")
    service.add_view("get", lambda request: Response("csv"), accept="text/csv")
    client = served(service)
    assert client.get("/s", headers={"Accept": "application/json"}).json == {"is": "json"}
    assert client.get("/s", headers={"Accept": "text/csv"}).text == "csv"


def test_types_are_the_same_in_any_case(client):
    headers = {"Content-Type": "Application/JSON"}
    assert client.post("/s", b'{"name": "n"}', headers=headers).json["name"] == "n"
    client.delete("/s", headers={"Content-Type": "Text/CSV"})


@colander.deferred
def of_request(node, kw):
    return colander.OneOf([kw["request"].matchdict["kind"]])


class Inner(colander.MappingSchema):
    kind = colander.SchemaNode(colander.String(), validator=of_request)


class Outer(colander.MappingSchema):
    inner = Inner()


class Kind(colander.SchemaNode):
    schema_type = colander.String
    validator = of_request


class OfClass(colander.MappingSchema):
    kind = Kind()


class Bound(colander.MappingSchema):
    def after_bind(self, node, kw):
        self["kind"].validator = of_request(node, kw)

    kind = colander.SchemaNode(colander.String())


@pytest.mark.parametrize(
    ("schema", "body", "name"),
    [
        (Inner, {"kind": "a"}, "kind"),
        (Outer(), {"inner": {"kind": "a"}}, "inner.kind"),
        (OfClass, {"kind": "a"}, "kind"),
        (Bound, {"kind": "a"}, "kind"),
    ],
)
def test_schema_can_depend_on_the_request(schema, body, name):
    service = cliquet.Service(name="s", path="/s/{kind}")
    service.add_view("post", lambda request: request.validated, schema=schema)
    client = served(service)
    assert client.post_json("/s/a", body).json == body
    refused = client.post_json("/s/b", body, status=400)
    assert details(refused) == [("body", name, '"a" is not one of b')]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Invalid JSON request body"),
        (b"\xff", "Invalid JSON request body"),
        (b"[]", "Should be a JSON object"),
        (b"null", "Should be a JSON object"),
        (b'{"name": "\\u0000"}', "null character"),
        (b'{"name": ' + b"[" * 101 + b"]" * 101 + b"}", "nested deeper than 100"),
    ],
)
def test_body_that_cannot_be_kept_is_refused(client, body, message):
    headers = {"Content-Type": "application/json"}
    response = client.post("/s", body, headers=headers, status=400)
    assert message in response.json["message"]
    assert response.json["message"].startswith("body: ")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b"{",
            "Expecting property name enclosed in double quotes or '}': line 1 column 2 (char 1)",
        ),
        (
            b"{'a'}",
            "Expecting property name enclosed in double quotes or '}': line 1 column 2 (char 1)",
        ),
        (
            b'{"a": 1,}',
            "Expecting property name enclosed in double quotes: line 1 column 9 (char 8)",
        ),
        (b'{\n"a": x}', "Expecting value: line 2 column 6 (char 7)"),
        (b'{"a', "Unterminated string starting at: line 1 column 2 (char 1)"),
        (b"{}\n x", "Extra data: line 2 column 2 - line 2 column 3 (char 4 - 5)"),
        (b"{\xff", "'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"),
        # The messages of the fast parser:
        (b'["\\ud800"]', "no low surrogate in string: "),
        (b"[" * 50_000, "depth limit exceeded: "),
        (b"[" + b" " * 70_000, "unexpected end of data: line 1 column 70002 (char 70001)"),
    ],
)
def test_syntax_errors_have_the_messages_of_the_standard_library(client, body, message):
    headers = {"Content-Type": "application/json"}
    response = client.post("/s", body, headers=headers, status=400)
    assert response.json["message"].startswith(f"body: Invalid JSON request body: {message}")


def test_escaped_backslash_is_not_a_null_character(client):
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
def test_types_can_depend_on_the_request_as_cornice_has_it():
    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", lambda request: {}, accept=lambda request: ["text/x"])
    client = served(service)
    client.get("/s", headers={"Accept": "text/x"})
    client.get("/s", headers={"Accept": "text/y"}, status=406)


def test_body_is_not_looked_at_when_the_types_are_refused():
    service = cliquet.Service(name="s", path="/s")
    service.add_view("post", lambda request: {}, schema=Address, accept="application/json")
    headers = {"Accept": "text/csv", "Content-Type": "application/json"}
    refused = served(service).post("/s", b"{", headers=headers, status=406)
    assert [location for location, *_ in details(refused)] == ["header"]


@pytest.mark.parametrize("types", [None, (), []])
def test_view_without_types_accepts_any(types):
    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", lambda request: {}, accept=types)
    served(service).get("/s", headers={"Accept": "text/y"})


def test_parts_of_the_path_can_be_validated():
    class InPath(colander.MappingSchema):
        number = colander.SchemaNode(colander.Integer(), location="path")

    service = cliquet.Service(name="s", path="/s/{number}")
    service.add_view("post", lambda request: request.validated, schema=InPath)
    client = served(service)
    assert client.post("/s/12").json == {"number": 12}
    refused = client.post("/s/twelve", status=400)
    assert details(refused) == [("path", "number", '"twelve" is not a number')]


def test_error_of_the_whole_schema_has_no_name():
    def never(node, value):
        raise colander.Invalid(node, "Never")

    service = cliquet.Service(name="s", path="/s")
    service.add_view("post", lambda request: {}, schema=Address(validator=never))
    refused = served(service).post_json("/s", {"town": "t"}, status=400)
    assert details(refused) == [("body", None, "Never")]
    assert refused.json["message"] == "body: Never"


def test_service_can_have_an_error_handler():
    def teapot(request):
        return Response(json_body=len(request.errors), status=418)

    service = cliquet.Service(name="s", path="/s", error_handler=teapot)
    service.add_view("post", lambda request: {}, schema=Address)
    assert served(service).post_json("/s", {}, status=418).json == 1


ORIGIN = {"Origin": "http://a.example"}
PREFLIGHT = {
    **ORIGIN,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "Authorization, X-Own",
}
EXPOSED = {"Backoff", "Retry-After", "Alert", "Content-Length", "Vary"}


def exposed(response):
    return set(response.headers["Access-Control-Expose-Headers"].split(", "))


@pytest.mark.parametrize(
    "url", ["/", "/__heartbeat__", "/__lbheartbeat__", "/echo", "/mushrooms", "/psilos/x"]
)
def test_every_endpoint_responds_to_preflights(serve, url):
    client = serve({"cors_max_age_seconds": "42", "cors_origins": "http://b http://a.example"})
    response = client.options(url, headers=PREFLIGHT)
    assert response.headers["Access-Control-Allow-Origin"] == "http://a.example"
    assert response.headers["Access-Control-Max-Age"] == "42"
    assert "GET" in response.headers["Access-Control-Allow-Methods"].split(",")
    allowed = set(response.headers["Access-Control-Allow-Headers"].split(","))
    assert {"Authorization", "X-Own"} <= allowed
    refused = client.options(url, headers={**PREFLIGHT, "Origin": "http://c"}, status=400)
    assert refused.json["errno"] == 107
    assert "Access-Control-Allow-Origin" not in refused.headers


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_headers_are_listed_in_alphabetical_order(serve, method):
    # The order of a set of strings differs between processes.
    response = serve().request("/mushrooms", method=method, headers=PREFLIGHT, expect_errors=True)
    name = "Allow" if method == "OPTIONS" else "Expose"
    names = response.headers[f"Access-Control-{name}-Headers"].replace(" ", "").split(",")
    assert len(names) > 5
    assert names == sorted(names)


def test_exposed_headers_are_listed(serve, alice):
    client = serve()
    headers = {**ORIGIN, **alice}
    record = client.post_json("/spores", {"data": {}}, headers=headers)
    assert exposed(record) == EXPOSED
    assert record.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN["Origin"])
    of_record = EXPOSED | {"Last-Modified", "ETag", "Cache-Control", "Expires", "Pragma"}
    path = "/spores/" + record.json["data"]["id"]
    assert exposed(client.get(path, headers=headers)) == of_record
    assert exposed(client.get("/spores", headers=headers)) == of_record | {
        "Next-Page",
        "Total-Records",
    }
    assert exposed(client.get("/echo", headers=ORIGIN)) == EXPOSED


def test_view_can_expose_further_headers():
    service = cliquet.Service(name="s", path="/s", cors_headers=("X-One",))
    service.add_view("get", lambda request: {})
    assert "X-One" in exposed(served(service).get("/s", headers=ORIGIN))


def test_service_can_have_its_own_origins_and_age(client):
    headers = {"Origin": "http://own", "Access-Control-Request-Method": "GET"}
    preflight = client.options("/late", headers=headers)
    assert preflight.headers["Access-Control-Max-Age"] == "5"
    assert preflight.headers["Access-Control-Allow-Origin"] == "http://own"
    client.get("/late", headers={"Origin": "http://other"}, status=400)


def vary(response):
    return {name.strip() for name in response.headers.get("Vary", "").split(",")}


FRIENDS = "http://friend.example https://*.example.org"
ORIGINS = [
    {},
    {"Origin": "http://friend.example"},
    {"Origin": "https://a.example.org"},
    {"Origin": "http://foe.example"},
]


@pytest.mark.parametrize("headers", ORIGINS)
@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/"),
        ("GET", "/mushrooms"),
        ("HEAD", "/mushrooms"),
        ("OPTIONS", "/mushrooms"),
        ("PUT", "/mushrooms"),
        ("GET", "/psilos/x"),
        ("GET", "/fail/bug"),
        ("GET", "/fail/backend"),
        ("GET", "/unknown"),
        ("GET", "/mushrooms/"),
        ("POST", "/batch"),
    ],
)
def test_responses_that_depend_on_the_origin_vary(serve, alice, method, url, headers):
    client = serve({"cors_origins": FRIENDS})
    if method == "OPTIONS":
        headers = {**headers, "Access-Control-Request-Method": "GET"}
    response = client.request(url, method=method, headers={**alice, **headers}, status="*")
    assert {"Origin", "Authorization"} <= vary(response)
    assert len(response.headers.getall("Vary")) == 1
    allowed = response.headers.get("Access-Control-Allow-Origin")
    assert allowed in (None, headers.get("Origin"))
    assert allowed != "http://foe.example"


def test_not_modified_and_gone_vary_too(serve, alice):
    client = serve({"cors_origins": FRIENDS})
    etag = client.get("/mushrooms", headers=alice).headers["ETag"]
    headers = {**alice, "If-None-Match": etag}
    assert "Origin" in vary(client.get("/mushrooms", headers=headers, status=304))
    client.registry.settings["eos"] = "2015-01-01"
    assert "Origin" in vary(client.get("/mushrooms", headers=headers, status=410))


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://page.example"}])
@pytest.mark.parametrize("url", ["/", "/mushrooms", "/psilos/x"])
def test_responses_that_are_the_same_for_all_origins_do_not_vary(serve, alice, url, headers):
    response = serve().get(url, headers={**alice, **headers}, status="*")
    assert vary(response) == {"Authorization"}


@pytest.mark.parametrize(
    ("options", "varies"),
    [
        ({"cors_origins": ("http://own",)}, False),
        ({"cors_origins": ("http://own", "http://other")}, True),
        ({"cors_origins": ("http://*own",)}, True),
        ({"cors_origins": ("*",)}, False),
        ({"cors_origins": ("*", "http://own")}, False),
        ({"cors_policy": {"origins": ("*",), "credentials": True}}, True),
        ({}, False),
    ],
)
@pytest.mark.parametrize("of_service", [True, False])
def test_service_varies_as_its_own_origins_do(options, varies, of_service):
    if not of_service and "cors_policy" in options:
        options = {"cors_origins": ("*",), "cors_credentials": True}
    service = cliquet.Service(name="s", path="/s", **(options if of_service else {}))
    service.add_view("get", lambda request: {}, **({} if of_service else options))
    client = served(service)
    for headers in ({}, {"Origin": "http://own"}):
        assert ("Origin" in vary(client.get("/s", headers=headers))) is varies
        assert "Origin" not in vary(client.get("/", headers=headers))


def test_service_without_cors_does_not_vary():
    service = cliquet.Service(name="s", path="/s", cors_enabled=False, cors_origins=("http://own",))
    service.add_view("get", lambda request: {})
    client = served(service, cors_origins=FRIENDS)
    assert "Origin" not in vary(client.get("/s", headers=ORIGIN))
    assert "Origin" in vary(client.get("/"))


@pytest.mark.parametrize("age", ["0", ""])
def test_age_of_preflights_can_be_omitted(age):
    service = cliquet.Service(name="s", path="/s")
    service.add_view("get", lambda request: {})
    client = served(service, cors_max_age_seconds=age)
    headers = {"Origin": "http://a", "Access-Control-Request-Method": "GET"}
    assert "Access-Control-Max-Age" not in client.options("/s", headers=headers).headers


def test_plain_cornice_service_works_as_well(client):
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
