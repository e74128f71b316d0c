"""The checks of documents and responses notice what is wrong."""

import copy

import pytest
from jsonschema.exceptions import ValidationError

from tests.openapi.openapi_checker import DocumentValidator

RESPONSES = {"200": {"$ref": "#/components/responses/ok"}}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Plants", "version": "1.0"},
    "paths": {
        "/plants": {"get": {"operationId": "list", "responses": RESPONSES}},
        "/plants/{id}": {
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "get": {"operationId": "get", "responses": RESPONSES},
        },
    },
    "components": {
        "parameters": {
            "id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        },
        "responses": {
            "ok": {
                "description": "OK",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/plant"}}},
            }
        },
        "schemas": {"plant": {"type": "object"}, "unused": {"type": "object"}},
    },
}


@pytest.fixture
def validator():
    validator = DocumentValidator()
    validator.validate(DOCUMENT)
    return validator


def test_document_that_was_validated_is_still_valid(validator):
    validator.validate(copy.deepcopy(DOCUMENT))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("info", "title"), 1),
        (("tags",), [{}]),
        (("paths", "/plants", "get", "responses", "200"), {}),
        (("paths", "/plants/{id}", "parameters"), []),
        (("paths", "/plants", "get", "operationId"), "get"),
        (("components", "parameters", "id", "required"), False),
        (("components", "schemas", "plant", "type"), "unknown"),
        (("components", "schemas", "plant", "default"), "no object"),
        (("components", "schemas", "unused", "type"), "unknown"),
        (("components", "responses", "ok", "content"), []),
        (
            ("components", "responses", "ok", "content", "application/json", "schema", "$ref"),
            "#/components/schemas/missing",
        ),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_invalid_part_of_a_document_that_was_valid_is_noticed(validator, place, value):
    document = copy.deepcopy(DOCUMENT)
    part = document
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    with pytest.raises((ValidationError, AssertionError)):
        validator.validate(document)
