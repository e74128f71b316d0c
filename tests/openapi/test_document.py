"""OpenAPI documents of services and resources, and changes by applications."""

import colander
import pytest
from cornice import Service as CorniceService
from cornice import validators
from pyramid.exceptions import ConfigurationError
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet import Service
from cliquet.authentication import BasicAuthAuthenticationPolicy
from cliquet.openapi.document import merge, parse_pattern
from cliquet.resource import ResourceSchema, ShareableResource, UserResource, register_resource


class FieldsSchema(ResourceSchema):
    """All that is kept of a plant."""

    name = colander.SchemaNode(colander.String(), description="In Latin.")
    size = colander.SchemaNode(colander.Integer(), missing=0)
    _hidden = colander.SchemaNode(colander.String(), missing="", name="_hidden")

    class Options:
        unique_fields = ("name",)
        readonly_fields = ("name", "unknown")


class Plant(UserResource):
    """Plants of a garden."""

    mapping = FieldsSchema()

    def collection_get(self):
        """List the plants.

        The oldest ones are first.
        """

    def get(self):
        return super().get()


def with_resource(class_, **options):
    """A setup that registers a resource."""

    def setup(config):
        for service in register_resource(class_, config.get_settings(), **options):
            config.add_cornice_service(service)

    return setup


def with_services(*services):
    def setup(config):
        for service in services:
            config.add_cornice_service(service)

    return setup


def parameters(document, path, method):
    """The parameters of an operation, by name, wherever they are."""
    return {
        parameter["name"]: parameter
        for parameter in (
            followed(document, item) for item in document["paths"][path][method]["parameters"]
        )
    }


def followed(document, value):
    while "$ref" in value:
        part_of_document = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            part_of_document = part_of_document[part]
        value = part_of_document
    return value


def body(document, path, method, *fields):
    schema = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    for field in fields:
        schema = followed(document, followed(document, schema)["properties"][field])
    return schema


def response_schema(document, path, method, status="200"):
    response = followed(document, document["paths"][path][method]["responses"][status])
    return followed(document, response["content"]["application/json"]["schema"])


def test_service_describes_itself(described):
    document = described({"project_version": "1.4.2", "http_api_version": "1.4"}, prefix="v1")
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": "testapp", "version": "1.4"}
    assert document["externalDocs"] == {"url": "https://docs.example/"}
    assert document["servers"] == [{"url": "http://localhost/v1"}]
    assert {"hello", "batch"} & {tag["name"] for tag in document["tags"]} == set()
    assert document["tags"][-2]["name"] == "utility"


def test_service_can_say_little(described):
    document = described({"cliquet.project_docs": ""})
    assert "externalDocs" not in document


def test_every_service_and_method_is_there(described):
    paths = described()["paths"]
    utility = {"/", "/__heartbeat__", "/__lbheartbeat__", "/__api__", "/batch"}
    resources = {"/mushrooms", "/mushrooms/{id}", "/spores", "/spores/{id}", "/psilos"}
    assert utility | resources | {"/psilos/{id}", "/toadstools", "/echo", "/fail/{how}"} < set(
        paths
    )
    assert set(paths["/mushrooms"]) == {"get", "head", "post", "delete", "options"}
    record = {"get", "head", "put", "patch", "delete", "options", "parameters"}
    assert set(paths["/mushrooms/{id}"]) == record
    for path in ("/mushrooms", "/mushrooms/{id}"):
        assert paths[path]["options"]["summary"] == "CORS preflight"


def test_deployed_version_is_there_if_it_is_served(described, tmp_path):
    path = tmp_path / "version.json"
    path.write_text("{}")
    assert "/__version__" in described({"version_json_path": str(path)})["paths"]


def test_endpoints_that_settings_disable_are_not_there(described):
    paths = described({"collection_mushroom_delete_enabled": "false"})["paths"]
    assert "delete" not in paths["/mushrooms"]


def test_readonly_service_has_no_links_to_missing_operations(described):
    document = described({"readonly": "true"})
    assert set(document["paths"]["/mushrooms/{id}"]) == {"get", "head", "options", "parameters"}


# Words.


def test_words_are_those_of_docstrings_and_schemas(described):
    document = described(setup=with_resource(Plant))
    get = document["paths"]["/plants"]["get"]
    assert get["summary"] == "List the plants"
    assert get["description"].startswith("The oldest ones are first.\n\nRequires authentication")
    assert document["paths"]["/plants/{id}"]["get"]["summary"] == "Return a record"
    assert {"name": "plant", "description": "Plants of a garden."} in document["tags"]
    schema = document["components"]["schemas"]["plant"]
    assert schema["description"] == "All that is kept of a plant."
    assert schema["properties"]["name"]["description"] == "In Latin."


def test_resource_that_takes_no_context_is_described_too(described):
    class Old(UserResource):
        """As in the old days."""

        def __init__(self, request):
            super().__init__(request)

    document = described(setup=with_resource(Old))
    assert {"name": "old", "description": "As in the old days."} in document["tags"]


def test_service_without_docstring_is_summed_up_by_its_description(described):
    service = Service("plain", "/plain", description="Plain service")
    service.get(permission=NO_PERMISSION_REQUIRED)(lambda request: {})
    document = described(setup=with_services(service))
    assert document["paths"]["/plain"]["get"]["summary"] == "Plain service"
    assert document["paths"]["/plain"]["head"]["summary"] == "Plain service (headers only)"


# Resources.


def test_parameters_of_lists_are_described(described):
    document = described({"paginate_by": "20"}, setup=with_resource(Plant))
    declared = parameters(document, "/plants", "get")
    paging = {"_sort", "_limit", "_token", "_fields", "_since", "_before", "_to"}
    assert paging | {"If-Match", "If-None-Match"} < set(declared)
    assert declared["_limit"]["schema"] == {"type": "integer", "minimum": 0, "default": 20}
    assert declared["_to"]["deprecated"]
    sorts = declared["_sort"]["schema"]["items"]["enum"]
    assert {"name", "-name", "last_modified", "-id"} < set(sorts)


@pytest.mark.parametrize("prefix", ["", "not_", "min_", "max_", "gt_", "lt_", "in_", "exclude_"])
def test_filters_of_each_field_are_described(described, prefix):
    declared = parameters(described(setup=with_resource(Plant)), "/plants", "get")
    for field, type_ in (("name", "string"), ("size", "integer"), ("id", "string")):
        schema = declared[prefix + field]["schema"]
        if prefix in ("in_", "exclude_"):
            assert declared[prefix + field]["explode"] is False
            schema = schema["items"]
        assert schema["type"] == type_
    assert prefix + "_hidden" not in declared


def mapping(name, *children):
    return colander.SchemaNode(colander.Mapping(), *children, name=name, missing=colander.drop)


LON = colander.SchemaNode(colander.Float(), name="lon")
DEEP = mapping("a", mapping("b", mapping("c", mapping("d", LON))))


class GardenSchema(ResourceSchema):
    place = mapping("place", LON)
    deep = mapping("deep", DEEP)


class Garden(UserResource):
    mapping = GardenSchema()


def test_filters_of_nested_fields_and_of_added_operators_are_described(described):
    def setup(config):
        schema = {"type": "string", "pattern": "^box$"}
        config.add_filter_operator("within", lambda field, text: [], "is in a box", schema)
        with_resource(Garden)(config)

    declared = parameters(described(setup=setup), "/gardens", "get")
    assert declared["min_place.lon"]["schema"]["type"] == "number"
    assert declared["within_place"]["schema"] == {"type": "string", "pattern": "^box$"}
    assert {"place.lon", "-place.lon"} < set(declared["_sort"]["schema"]["items"]["enum"])
    assert "has_deep.a" in declared
    assert "has_deep.a.b.c.d" not in declared


def test_filters_can_be_on_any_field_where_the_schema_is_open(described):
    document = described()
    assert parameters(document, "/spores", "get")["fields"]["explode"]
    assert "enum" not in parameters(document, "/spores", "get")["_sort"]["schema"]["items"]
    assert "fields" not in parameters(document, "/mushrooms", "get")


def test_record_ids_have_the_pattern_of_the_generator(described):
    (parameter,) = described()["paths"]["/mushrooms/{id}"]["parameters"]
    assert parameter["schema"]["pattern"].startswith("^[0-9a-f]{8}-")


def test_id_of_a_generator_without_expression_is_any_string(described):
    def setup(config):
        config.registry.id_generator = object()

    (parameter,) = described(setup=setup)["paths"]["/mushrooms/{id}"]["parameters"]
    assert parameter["schema"] == {"type": "string"}


def test_id_of_a_resource_that_can_set_its_generator_is_any_string(described):
    class Country(UserResource):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    (parameter,) = described(setup=with_resource(Country))["paths"]["/countrys/{id}"]["parameters"]
    assert parameter["schema"] == {"type": "string"}


def test_parts_of_a_nested_path_are_parameters(described):
    setup = with_resource(
        Plant, collection_path="/g/{{garden}}/plants", record_path="/g/{{garden}}/plants/{{id}}"
    )
    document = described(setup=setup)
    names = [each["name"] for each in document["paths"]["/g/{garden}/plants/{id}"]["parameters"]]
    assert names == ["garden", "id"]
    link = document["paths"]["/g/{garden}/plants"]["post"]["responses"]["201"]["links"]["patch"]
    assert link["operationId"] == "plant-record-patch"
    assert link["parameters"] == {
        "garden": "$request.path.garden",
        "id": "$response.body#/data/id",
    }


def test_request_and_response_bodies_are_described(described):
    document = described(setup=with_resource(Plant))
    new = body(document, "/plants", "post", "data")
    assert new["required"] == ["name"]
    assert {"id", "last_modified", "name", "size"} <= set(new["properties"])
    assert new["properties"]["name"]["description"] == "In Latin. Unique."
    assert body(document, "/plants/{id}", "put", "data") == new
    changes = body(document, "/plants/{id}", "patch", "data")
    assert "required" not in changes
    assert changes["properties"]["name"]["description"] == "In Latin. Unique. Read-only."
    assert "default" not in changes["properties"]["size"]
    record = document["components"]["schemas"]["plant"]
    assert record["properties"]["size"] == {"type": "integer"}
    assert record["required"] == ["id", "last_modified"]


def test_body_of_a_resource_can_have_no_data(described):
    class PlantsSchema(colander.MappingSchema):
        plants = colander.SchemaNode(colander.Integer())

    setup = with_resource(Plant, collection_post_arguments={"schema": PlantsSchema()})
    document = described(setup=setup)
    assert set(body(document, "/plants", "post")["properties"]) == {"plants"}


def test_schema_of_a_resource_can_be_a_plain_one(described):
    class Bare(UserResource):
        mapping = colander.MappingSchema()

    document = described(setup=with_resource(Bare))
    assert set(document["components"]["schemas"]["bare"]["properties"]) == {"id", "last_modified"}


def test_conflicts_are_described_if_fields_are_unique(described):
    document = described(setup=with_resource(Plant))
    assert "409" in document["paths"]["/plants/{id}"]["put"]["responses"]
    assert "409" not in document["paths"]["/mushrooms/{id}"]["put"]["responses"]


def test_response_headers_are_described(described):
    settings = {"backoff": "3", "eos": "2069-01-01", "mushroom_cache_expires_seconds": "60"}
    document = described(settings)
    headers = document["paths"]["/mushrooms"]["get"]["responses"]["200"]["headers"]
    assert set(headers) == {
        *("ETag", "Last-Modified", "Checksum", "Total-Records", "Next-Page"),
        *("Cache-Control", "Expires"),
        *("Access-Control-Expose-Headers", "X-Request-Id", "Vary", "Backoff", "Alert"),
    }
    assert followed(document, headers["ETag"])["required"]
    assert not followed(document, headers["Next-Page"])["required"]
    assert "410" in document["paths"]["/mushrooms"]["get"]["responses"]
    few = described()["paths"]["/mushrooms"]["get"]["responses"]
    assert not {"Backoff", "Alert", "Expires"} & set(few["200"]["headers"])
    assert "410" not in few


def test_method_unknown_to_the_protocol_is_described(described):
    class Moving(UserResource):
        def move(self):
            """Move the record."""

    setup = with_resource(Moving, record_methods=("GET", "OPTIONS"), record_options_arguments={})
    Moving.options = Moving.move
    options = described(setup=setup)["paths"]["/movings/{id}"]["options"]
    assert options["summary"] == "Move the record"


def test_two_resources_of_one_name_keep_their_schemas(described):
    class Other(UserResource):
        pass

    def setup(config):
        with_resource(Plant)(config)
        paths = {"collection_path": "/others", "record_path": "/others/{{id}}"}
        with_resource(Other, name="plant", service_name="other-{endpoint_type}", **paths)(config)

    schemas = described(setup=setup)["components"]["schemas"]
    assert set(schemas["plant"]["properties"]) > {"size"}
    assert set(schemas["plant-2"]["properties"]) == {"id", "last_modified"}


# Permissions.


@pytest.mark.parametrize(
    "path, method, words",
    [
        ("/psilos", "get", "permission `read` on the collection; without"),
        ("/psilos", "post", "permission `create` on the collection."),
        ("/psilos", "delete", "permission `write` on the collection; without"),
        ("/psilos/{id}", "get", "permission `read` on the record."),
        ("/psilos/{id}", "put", "permission `write` on the record, or `create` on the collection"),
        ("/psilos/{id}", "patch", "permission `write` on the record."),
    ],
)
def test_required_permission_is_described(described, path, method, words):
    operation = described()["paths"][path][method]
    assert words in operation["description"]
    assert {"401", "403"} <= set(operation["responses"])


def test_shared_records_are_returned_with_their_permissions(described):
    document = described()
    properties = response_schema(document, "/psilos/{id}", "get")["properties"]
    assert set(properties["permissions"]["properties"]) == {"read", "write"}
    assert set(response_schema(document, "/psilos", "get")["properties"]) == {"data"}
    assert set(response_schema(document, "/mushrooms/{id}", "get")["properties"]) == {"data"}


def test_authentication_is_that_of_the_policies(described):
    document = described()
    (scheme,) = document["components"]["securitySchemes"].items()
    assert scheme[0] == "basicauth"
    assert (scheme[1]["type"], scheme[1]["scheme"]) == ("http", "basic")
    assert "any password" in scheme[1]["description"]
    assert document["paths"]["/mushrooms"]["get"]["security"] == [{"basicauth": []}]
    assert document["paths"]["/psilos"]["get"]["security"] == [{}, {"basicauth": []}]
    assert document["paths"]["/"]["get"]["security"] == [{}, {"basicauth": []}]
    assert document["paths"]["/__heartbeat__"]["get"]["security"] == []


class OwnBasicAuth(BasicAuthAuthenticationPolicy):
    """Accepts some passwords only."""


def test_passwords_of_other_policies_are_not_described(described):
    policy = {"multiauth.policy.basicauth.use": f"{__name__}.OwnBasicAuth"}
    (scheme,) = described(policy)["components"]["securitySchemes"].values()
    assert scheme == {"type": "http", "scheme": "basic"}


def test_filters_name_their_field(described):
    document = described()
    filters = {
        parameter["name"]: parameter["x-filter"]
        for parameter in document["components"]["parameters"].values()
        if "x-filter" in parameter
    }
    assert filters["min_last_modified"] == filters["last_modified"] == "last_modified"
    assert not {"_since", "_limit", "_sort", "If-Match"} & filters.keys()


@pytest.mark.parametrize("name, arguments", [("RemoteUser", {}), ("AuthTkt", {"secret": "x"})])
def test_policy_without_challenge_has_no_scheme(described, name, arguments):
    """One that only the server knows of, and one by cookies."""
    use = {"use": f"pyramid.authentication.{name}AuthenticationPolicy"}
    if arguments:
        use["hashalg"] = "sha512"
    policy = {f"multiauth.policy.p.{key}": value for key, value in {**use, **arguments}.items()}
    document = described({"multiauth.policies": "p", **policy})
    assert document["components"]["securitySchemes"] == {}
    assert "security" not in document["paths"]["/mushrooms"]["get"]


def test_custom_permission_is_described(described):
    setup = with_resource(Plant, default_arguments={"permission": "garden"})
    operation = described(setup=setup)["paths"]["/plants"]["get"]
    assert operation["description"].endswith("Requires the permission `garden`.")
    assert {"401", "403"} <= set(operation["responses"])
    assert "406" not in operation["responses"]


def test_default_permission_of_the_application_counts(described):
    service = Service("plain", "/plain")
    service.get()(lambda request: {})

    def setup(config):
        config.set_default_permission("garden")
        config.add_cornice_service(service)
        with_resource(Plant, default_arguments={})(config)

    paths = described(setup=setup)["paths"]
    assert "403" in paths["/plain"]["get"]["responses"]
    assert "403" in paths["/plants"]["get"]["responses"]


def test_permission_of_a_factory_without_a_table_is_described(described):
    class Thing(ShareableResource):
        pass

    setup = with_resource(Thing, factory=lambda request: None)
    description = described(setup=setup)["paths"]["/things"]["get"]["description"]
    assert description == "Requires a permission."


# Services of applications.


class ScoreSchema(colander.MappingSchema):
    """A score."""

    points = colander.SchemaNode(colander.Integer())
    level = colander.SchemaNode(colander.Integer(), missing=1)
    trace = colander.SchemaNode(colander.String(), location="header", missing=colander.drop)
    page = colander.SchemaNode(colander.String(), location="querystring", description="Which.")


def test_schema_of_a_service_describes_body_and_parameters(described):
    service = Service("score", r"/score/{game:[a-z]{2}}/*rest")
    service.post(schema=ScoreSchema, permission=NO_PERMISSION_REQUIRED)(lambda request: {})
    document = described(setup=with_services(service))
    item = document["paths"]["/score/{game}/{rest}"]
    assert [each["name"] for each in item["parameters"]] == ["game", "rest"]
    assert item["parameters"][0]["schema"]["pattern"] == "^(?:[a-z]{2})$"
    schema = body(document, "/score/{game}/{rest}", "post")
    assert set(schema["properties"]) == {"points", "level"}
    assert schema["required"] == ["points"]
    declared = parameters(document, "/score/{game}/{rest}", "post")
    assert (declared["trace"]["in"], declared["trace"]["required"]) == ("header", False)
    assert (declared["page"]["in"], declared["page"]["required"]) == ("query", True)
    assert declared["page"]["description"] == "Which."
    assert {"400", "404", "415"} <= set(item["post"]["responses"])


def test_body_can_be_optional(described):
    class Optional(colander.MappingSchema):
        level = colander.SchemaNode(colander.Integer(), missing=1)

    service = Service("score", "/score")
    service.post(schema=Optional(), permission=NO_PERMISSION_REQUIRED)(lambda request: {})
    document = described(setup=with_services(service))
    assert document["paths"]["/score"]["post"]["requestBody"]["required"] is False


class PartsSchema(colander.MappingSchema):
    @colander.instantiate()
    class body(colander.MappingSchema):
        points = colander.SchemaNode(colander.Integer())

    @colander.instantiate()
    class querystring(colander.MappingSchema):
        page = colander.SchemaNode(colander.Integer())


class PageSchema(colander.MappingSchema):
    page = colander.SchemaNode(colander.Integer())


@pytest.mark.parametrize("factory", [Service, CorniceService])
@pytest.mark.parametrize(
    "schema, validator, place, has_body",
    [
        (PartsSchema, validators.colander_validator, "query", True),
        (PageSchema, validators.colander_body_validator, None, True),
        (PageSchema, validators.colander_querystring_validator, "query", False),
        (PageSchema, validators.colander_headers_validator, "header", False),
        (PageSchema, validators.colander_path_validator, "path", False),
    ],
)
def test_validators_of_cornice_are_known(described, factory, schema, validator, place, has_body):
    service = factory("pages", "/pages/{page}" if place == "path" else "/pages")
    options = {"schema": schema(), "validators": (validator,), "renderer": "json"}
    service.post(permission=NO_PERMISSION_REQUIRED, **options)(lambda request: {})
    document = described(setup=with_services(service))
    (path,) = [path for path in document["paths"] if path.startswith("/pages")]
    operation = document["paths"][path]["post"]
    assert ("requestBody" in operation) == has_body
    places = [parameter["in"] for parameter in operation.get("parameters", [])]
    assert places == ([place] if place else [])


def test_schema_that_is_not_of_colander_is_left_out(described):
    service = Service("other", "/other")
    service.post(schema=object(), validators=(lambda request, **kwargs: None,))(lambda request: {})
    operation = described(setup=with_services(service))["paths"]["/other"]["post"]
    assert "requestBody" not in operation
    assert "400" in operation["responses"]


def test_service_can_be_on_a_route_of_pyramid(described):
    service = Service("routed", pyramid_route="routed")
    service.get(permission=NO_PERMISSION_REQUIRED)(lambda request: {})

    def setup(config):
        config.add_route("routed", "/routed/{part}")
        config.add_cornice_service(service)

    document = described(setup=setup)
    assert document["paths"]["/routed/{part}"]["get"]["operationId"] == "routed-get"


def test_negotiated_types_are_described(described):
    service = Service("typed", "/typed")
    options = {"accept": "application/json", "content_type": "application/json"}
    service.post(permission=NO_PERMISSION_REQUIRED, **options)(lambda request: {})
    responses = described(setup=with_services(service))["paths"]["/typed"]["post"]["responses"]
    assert {"406", "415"} <= set(responses)


def test_service_without_input_has_no_400(described):
    get = "/__lbheartbeat__", "get"
    assert "400" not in described()["paths"][get[0]][get[1]]["responses"]
    restricted = described({"cors_origins": "https://www.example.com"})
    assert "400" in restricted["paths"][get[0]][get[1]]["responses"]


def test_limit_of_batches_is_described(described):
    schema = body(described(), "/batch", "post", "requests")
    assert schema["maxItems"] == 25
    for unlimited in ("", "0"):
        document = described({"batch_max_requests": unlimited})
        assert "maxItems" not in body(document, "/batch", "post", "requests")


# Additions by applications


class AnswerSchema(colander.MappingSchema):
    """Scores, the best first."""

    total = colander.SchemaNode(colander.Integer(), missing=None)


FRAGMENT = {
    "summary": "Keep a score",
    "deprecated": True,
    "parameters": [
        {"name": "trace", "in": "header", "schema": colander.SchemaNode(colander.Integer())},
        {"name": "X-Other", "in": "header", "schema": {"type": "string"}},
    ],
    "responses": {
        200: AnswerSchema,
        202: {
            "description": "Later.",
            "content": {"application/json": {"schema": AnswerSchema()}},
        },
        503: None,
    },
}


@pytest.mark.parametrize("left_to_cornice", [False, True])
@pytest.mark.parametrize("on_service", [False, True])
def test_service_adds_to_its_description(described, left_to_cornice, on_service):
    """Also one that asks more of Cornice than the toolkit understands."""
    more = {"header": "X-Seen"} if left_to_cornice else {}
    of_service, of_method = (
        ({"openapi": FRAGMENT}, {}) if on_service else ({}, {"openapi": FRAGMENT})
    )
    service = Service("score", "/score", **of_service)
    service.post(schema=ScoreSchema(), permission=NO_PERMISSION_REQUIRED, **of_method, **more)(
        lambda request: {}
    )
    document = described(setup=with_services(service))
    operation = document["paths"]["/score"]["post"]
    assert (operation["summary"], operation["deprecated"]) == ("Keep a score", True)
    declared = parameters(document, "/score", "post")
    assert declared["trace"]["schema"] == {"type": ["integer", "string"], **INTEGER_TEXT}
    assert set(declared) == {"trace", "page", "X-Other"}
    assert operation["responses"]["200"]["description"] == "Scores, the best first."
    for status in ("200", "202"):
        properties = response_schema(document, "/score", "post", status)["properties"]
        assert properties == {"total": {"type": ["integer", "null"]}}
    assert "503" not in operation["responses"]


INTEGER_TEXT = {"pattern": "^[-+]?[0-9]{1,300}$"}


def test_service_with_more_description_still_responds(serve):
    service = Service("score", "/score", openapi=FRAGMENT)
    service.get(permission=NO_PERMISSION_REQUIRED)(lambda request: {"total": 3})
    for enabled in ("true", "false"):
        client = serve({"openapi_enabled": enabled}, with_services(service))
        assert client.get("/score").json == {"total": 3}


def test_resource_adds_to_the_description_of_a_method(described):
    arguments = {"openapi": {"summary": "Look", "x-cost": 3}}
    document = described(setup=with_resource(Plant, collection_get_arguments=arguments))
    operation = document["paths"]["/plants"]["get"]
    assert (operation["summary"], operation["x-cost"]) == ("Look", 3)
    assert "_since" in parameters(document, "/plants", "get")


def test_application_extends_the_document(described):
    def setup(config):
        config.extend_openapi({"info": {"license": {"name": "MIT"}}, "externalDocs": None})
        config.extend_openapi(lambda document: document["info"].update(title="Changed"))
        config.extend_openapi({"info": {"version": "9"}})

    document = described(setup=setup)
    assert document["info"] == {"title": "Changed", "version": "9", "license": {"name": "MIT"}}
    assert "externalDocs" not in document


def test_application_excludes_services(described):
    def setup(config):
        config.exclude_from_openapi("mushroom-record", "fail")
        config.exclude_from_openapi("batch")

    paths = described(setup=setup)["paths"]
    assert not {"/mushrooms/{id}", "/fail/{how}", "/batch"} & set(paths)
    assert "links" not in paths["/mushrooms"]["post"]["responses"]["201"]


def test_extension_of_another_type_is_refused(serve):
    with pytest.raises(ConfigurationError, match="expected a mapping, or a function"):
        serve(setup=lambda config: config.extend_openapi("info"))


def test_patch_replaces_references_and_lists():
    target = {"a": {"$ref": "#/a"}, "b": {"x": 1}, "c": [1], "d": 1}
    merge(target, {"a": {"x": 1}, "b": {"$ref": "#/b"}, "c": [2], "d": {"x": 1}, "parameters": [1]})
    assert target == {
        "a": {"x": 1},
        "b": {"$ref": "#/b"},
        "c": [2],
        "d": {"x": 1},
        "parameters": [1],
    }


@pytest.mark.parametrize(
    "pattern, path, schemas",
    [
        ("/v1/plain", "/v1/plain", {}),
        ("plain", "/plain", {}),
        ("/a/{id}", "/a/{id}", {"id": {"type": "string", "minLength": 1}}),
        (r"/{n:\d{2}}", "/{n}", {"n": {"type": "string", "pattern": r"^(?:\d{2})$"}}),
        ("/{n:(?i)a}", "/{n}", {"n": {"type": "string", "minLength": 1}}),
        ("/a*rest", "/a/{rest}", {"rest": {"type": "string"}}),
        ("/a/*rest", "/a/{rest}", {"rest": {"type": "string"}}),
    ],
)
def test_patterns_of_routes_become_paths(pattern, path, schemas):
    parsed, parameters = parse_pattern(pattern)
    assert parsed == path
    assert {each["name"]: each["schema"] for each in parameters} == schemas
