"""Examples of the bodies of requests."""

import colander
import jsonschema
import pytest
import webtest

from cliquet.openapi.examples import NoExample, example
from cliquet.resource import ResourceSchema, UserResource, register_resource

#: Schemas and their examples.
EXAMPLES = [
    ({"const": 1}, 1),
    ({"type": "string", "default": "new"}, "new"),
    ({"type": "boolean", "default": False}, False),
    ({"type": ["string", "null"], "default": ""}, "string"),
    ({"type": "string", "examples": ["12:30"], "pattern": ":"}, "12:30"),
    ({"enum": ["a", "b"]}, "a"),
    ({"type": "string"}, "string"),
    ({"type": "string", "minLength": 8}, "string.."),
    ({"type": "string", "maxLength": 3}, "str"),
    ({"type": "string", "format": "email", "pattern": "@"}, "alice@example.com"),
    ({"type": ["integer", "string"], "pattern": "^[0-9]+$"}, 0),
    ({"type": "integer", "minimum": 3}, 3),
    ({"type": "number", "maximum": -1.5}, -1.5),
    ({"type": "null"}, None),
    ({"type": "array", "items": {"type": "boolean"}}, [True]),
    ({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}, [True, True]),
    ({"type": "array", "items": {"type": "boolean"}, "maxItems": 0}, []),
    ({"type": "array"}, []),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}]}, [0, None]),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 0),
    (
        {"type": "object", "properties": {"a": {"type": "null"}, "b": {"pattern": "^x"}}},
        {"a": None},
    ),
]

#: Schemas of which no valid value is known.
WITHOUT = [
    {},
    {"type": "string", "pattern": "^x"},
    {"type": "string", "not": {"enum": ["string"]}},
    {"type": "string", "allOf": [{"pattern": "^x"}]},
    {"type": "array", "minItems": 1},
    {"type": "object", "properties": {"a": {}}, "required": ["a"]},
]


@pytest.mark.parametrize("schema, expected", EXAMPLES)
def test_example_matches_the_schema(schema, expected):
    assert example(schema) == expected
    jsonschema.validate(expected, schema)


@pytest.mark.parametrize("schema", WITHOUT)
def test_no_example_is_better_than_an_invalid_one(schema):
    with pytest.raises(NoExample):
        example(schema)


def test_bodies_of_the_document_can_be_sent_as_they_are(bookmarks, bookmarks_document):
    """A client that polls for changes sees the records that the examples create."""
    client = webtest.TestApp(bookmarks)
    client.authorization = ("Basic", ("alice", "secret"))
    sent = 0
    for path, item in bookmarks_document["paths"].items():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        if "example" not in content.get("application/json", {}) or path == "/batch":
            continue
        since = client.get(f"/v1{path}", status="*").headers.get("ETag", '"0"')
        record = client.post_json(f"/v1{path}", content["application/json"]["example"]).json["data"]
        changes = client.get(f"/v1{path}?_since={since.strip(chr(34))}", status="*")
        if changes.status_int == 200:
            assert [change["id"] for change in changes.json["data"]] == [record["id"]]
        for method in ("put", "patch"):
            body = bookmarks_document["paths"][f"{path}/{{id}}"][method]["requestBody"]
            data = body["content"]["application/json"]["example"]
            assert not {"id", "last_modified"} & set(data["data"])
            getattr(client, f"{method}_json")(f"/v1{path}/{record['id']}", data, status=200)
        sent += 1
    assert sent == 2


class Plate(UserResource):
    """Records with a field whose pattern has no known example."""

    class PlateSchema(ResourceSchema):
        number = colander.SchemaNode(
            colander.String(), validator=colander.Regex("^[A-Z]{2}-[0-9]+$")
        )

    mapping = PlateSchema()


def test_bodies_have_no_example_if_none_is_known(described):
    def setup(config):
        for service in register_resource(Plate, settings=config.get_settings()):
            config.add_cornice_service(service)

    operation = described(setup=setup)["paths"]["/plates"]["post"]
    assert set(operation["requestBody"]["content"]["application/json"]) == {"schema"}
