"""Bodies of partial updates in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cliquet.openapi.components import Components
from cliquet.openapi.schemas import Schema
from cliquet.utils.http import JSON_PATCH, MERGE_PATCH

_JSON_PATCH: Schema = {
    "type": "array",
    "description": "JSON Patch (RFC 6902) of paths below `/data/`, and of "
    "`/permissions/{name}/{principal}` if records have permissions.",
    "minItems": 1,
    "maxItems": 100,
    "items": {
        "type": "object",
        "properties": {
            "op": {"enum": ["add", "copy", "move", "remove", "replace", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
        "required": ["op", "path"],
    },
}


def partial_bodies(
    components: Components, name: str, fields: Iterable[str], accepted: Iterable[str]
) -> dict[str, Any]:
    """Return the bodies of partial updates by media type.

    :param name: the name of the resource.
    :param fields: the fields of bodies: ``data``, and ``permissions`` if records have any.
    :param accepted: the media types that the resource accepts.
    """
    merge = {
        "type": "object",
        "properties": dict.fromkeys(fields, {"type": "object"}),
        "additionalProperties": False,
        "minProperties": 1,
    }
    schemas = {
        MERGE_PATCH: components.add("schemas", f"{name}-merge-patch", merge),
        JSON_PATCH: components.add("schemas", "json-patch", _JSON_PATCH),
    }
    return {type_: {"schema": schemas[type_]} for type_ in accepted if type_ in schemas}
