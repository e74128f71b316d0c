"""Parameters of resource endpoints (protocol, "Query string" and "Preconditions")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from cliquet.openapi.schemas import Schema
from cliquet.settings.types import LIMIT
from cliquet.storage.operators import Operator
from cliquet.types import Settings
from cliquet.utils.http import JSON

_TAG = '(W/)?"[0-9]{1,20}"'
_TAGS: Schema = {"type": "string", "pattern": rf"^(\*|{_TAG}(, ?{_TAG})*)$"}
_QUOTED_TIMESTAMP: Schema = {"type": "string", "pattern": '^("[0-9]{1,14}"|[0-9]{1,14})$'}
_ANY_TIMESTAMP: Schema = {
    "type": "string",
    "pattern": '^((W/)?"-?[0-9]{1,300}"|-?[0-9]{1,300})$',
}

# How deep fields of fields are described.
_MAX_DEPTH = 3

IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "Fail with 412 if there was a change after these timestamps (`ETag` values). "
    "`*`: fail with 412 if the record doesn't exist.",
    "schema": _TAGS,
}
IF_CHANGED = {
    "name": "If-None-Match",
    "in": "header",
    "description": "Return 304 unless there was a change after these timestamps (`ETag` values).",
    "schema": _TAGS,
}
IF_NEW = {
    "name": "If-None-Match",
    "in": "header",
    "description": "`*`: fail with 412 if a record with this id exists.",
    "schema": _TAGS,
}
RESPONSE_BEHAVIOR = {
    "name": "Response-Behavior",
    "in": "header",
    "description": "Content of the response: `full`, the whole record; `light`, the fields that "
    "changed; `diff`, the fields that differ from the request.",
    "schema": {"type": "string", "enum": ["full", "light", "diff"]},
}
DELETION_TIME = {
    "name": "last_modified",
    "in": "query",
    "description": "Time of the deletion in milliseconds since the epoch, for replication.",
    "schema": _QUOTED_TIMESTAMP,
}
FIELDS = {
    "name": "_fields",
    "in": "query",
    "description": "Fields to return besides the id and the timestamp. Use dots for nested ones.",
    **{"schema": {"type": "array", "items": {"type": "string"}}, "style": "form", "explode": False},
}


def described_fields(
    fields: Mapping[str, Schema], modified_field: str
) -> Iterator[tuple[str, Schema]]:
    """Yield the fields and nested fields for filters and sorting, with their schemas.

    :param fields: the schemas of the fields in responses.
    :param modified_field: the name of the timestamp.
    """
    visible = {name: fields[name] for name in fields if not name.startswith("_")}
    for name, schema in {**visible, modified_field: _ANY_TIMESTAMP}.items():
        yield from _with_nested(name, schema, _MAX_DEPTH)


def filters(
    fields: Sequence[tuple[str, Schema]], is_open: bool, operators: Iterable[Operator]
) -> Iterator[dict[str, Any]]:
    """Yield the parameters that select records.

    :param is_open: whether records can have other fields.
    :param operators: the operators of the application.
    """
    yield from _time_limits()
    parameters: dict[str, dict[str, Any]] = {}
    for operator in sorted(operators, key=attrgetter("prefix")):
        for name, schema in fields:
            if _describes(operator, schema):
                parameter = _filter(operator, name, schema)
                parameters.setdefault(parameter["name"], parameter)
    yield from parameters.values()
    if is_open:
        yield _OTHERS
    yield _ALTERNATIVES


def paging(
    fields: Iterable[tuple[str, Schema]], is_open: bool, settings: Settings
) -> Iterator[dict[str, Any]]:
    """Yield the parameters that sort records and select a page."""
    items: Schema = {"type": "string"}
    if not is_open:
        items["enum"] = [f"{sign}{name}" for name, _ in fields for sign in ("", "-")]
    yield {
        "name": "_sort",
        "in": "query",
        "description": "Sort by these fields; `-` sorts in descending order.",
        "schema": {"type": "array", "items": items},
        "style": "form",
        "explode": False,
    }
    paginate_by = LIMIT.get(settings, "paginate_by")
    default = {"default": paginate_by} if paginate_by else {}
    at_most = f"; {paginate_by} at most" if paginate_by else ""
    yield {
        "name": "_limit",
        "in": "query",
        "description": f"Page size{at_most}; 0: no other limit.",
        "schema": {"type": "integer", "minimum": 0, **default},
    }
    yield _TOKEN
    yield _COUNT


def _with_nested(name: str, schema: Schema, depth: int) -> Iterator[tuple[str, Schema]]:
    yield name, schema
    if depth:
        for child, properties in schema.get("properties", {}).items():
            yield from _with_nested(f"{name}.{child}", properties, depth - 1)


def _describes(operator: Operator, schema: Schema) -> bool:
    type_ = operator.described_type
    return type_ is None or type_ in schema.get("type", type_)


def _filter(operator: Operator, name: str, field: Schema) -> dict[str, Any]:
    # Only types: filters compare with any value.
    keys = ("type", "enum", "pattern", "format", "items")
    schema = operator.schema({key: field[key] for key in keys if key in field})
    parameter = {
        "x-filter": name,  # the page of the API shows filters together
        "name": operator.parameter(name),
        "in": "query",
        "description": f"Only records whose field {operator.meaning}.",
        "schema": {"type": "array", "items": schema} if operator.takes_list else schema,
    }
    return {**parameter, "style": "form", "explode": False} if operator.takes_list else parameter


def _time_limits() -> Iterator[dict[str, Any]]:
    for name, what, deprecated in (
        ("_since", "after", False),
        ("_before", "before", False),
        ("_to", "before", True),
    ):
        yield {
            "name": name,
            "in": "query",
            "description": f"Only records that changed {what} this timestamp or `ETag`, "
            "including deletions.",
            "schema": _ANY_TIMESTAMP,
            **({"deprecated": True} if deprecated else {}),
        }


_TOKEN = {
    "name": "_token",
    "in": "query",
    "description": "Start of the page, from the header `Next-Page`.",
    "schema": {"type": "string"},
}
_OTHERS = {
    "x-filter": "*",
    "name": "fields",
    "in": "query",
    "description": "Filters on any other fields: their names and values.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "style": "form",
    "explode": True,
}
_COUNT = {
    "name": "_count",
    "in": "query",
    "description": "`false`: don't count the matching records, and omit `Total-Records`.",
    "schema": {"type": "boolean", "default": True},
}
CHECKSUM = {
    "name": "_checksum",
    "in": "query",
    "description": "Return the header `Checksum`. If the value is the checksum of the client's "
    "copy, return 304 if it is equal and nothing changed after `_since`, never if it differs.",
    "allowEmptyValue": True,
    "schema": {"type": "string", "pattern": "^([0-9]+-[0-9]+-[0-9]+)?$"},
}
_ALTERNATIVES = {
    "x-filter": "_or",
    "name": "_or",
    "in": "query",
    "description": "Only records that match all filters of any of these objects. The names are "
    "those of the parameters for filters.",
    "content": {
        JSON: {
            "schema": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "minProperties": 1},
            }
        }
    },
}
