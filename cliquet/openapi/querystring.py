"""Parameters of resource endpoints (protocol, "Query string" and "Preconditions")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cliquet.openapi.components import Components
from cliquet.openapi.schemas import Schema
from cliquet.resource.query import PREFIXES
from cliquet.settings.types import LIMIT
from cliquet.utils import COMPARISON

_TAG = '(W/)?"[0-9]{1,20}"'
_TAGS: Schema = {"type": "string", "pattern": rf"^(\*|{_TAG}(, ?{_TAG})*)$"}
_QUOTED_TIMESTAMP: Schema = {"type": "string", "pattern": '^("[0-9]{1,14}"|[0-9]{1,14})$'}
_ANY_TIMESTAMP: Schema = {
    "type": "string",
    "pattern": '^((W/)?"-?[0-9]{1,300}"|-?[0-9]{1,300})$',
}

_MEANINGS = {
    COMPARISON.MIN: "at least this",
    COMPARISON.MAX: "at most this",
    COMPARISON.NOT: "different from this",
    COMPARISON.LT: "below this",
    COMPARISON.GT: "above this",
    COMPARISON.IN: "one of these",
    COMPARISON.EXCLUDE: "none of these",
}
_LISTS = (COMPARISON.IN, COMPARISON.EXCLUDE)

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


class Filters:
    """Query parameters of a collection.

    :param resource_name: prefix of the names of the components.
    :param fields: the response schemas of the fields that have filters.
    :param is_open: whether clients can filter by other fields.
    :param modified_field: the name of the field that contains the timestamp.
    """

    def __init__(
        self,
        components: Components,
        resource_name: str,
        fields: dict[str, Schema],
        is_open: bool,
        modified_field: str,
    ) -> None:
        self._components = components
        self._name = resource_name
        self._fields = {name: fields[name] for name in fields if not name.startswith("_")}
        self._fields[modified_field] = _ANY_TIMESTAMP
        self._is_open = is_open

    def filters(self) -> Iterator[dict[str, str]]:
        """Return the parameters that select records."""
        yield from (self._shared(parameter) for parameter in _time_limits())
        fields = list(self._comparable_fields())
        filters = {name: _filter(name, name, "equal to this", schema) for name, schema in fields}
        for name, schema in fields:
            for prefix, comparison in PREFIXES.items():
                full, meaning = f"{prefix}_{name}", _MEANINGS[comparison]
                filters[full] = _filter(full, name, meaning, schema, comparison in _LISTS)
        yield from (self._own(parameter) for parameter in filters.values())
        if self._is_open:
            yield self._shared(_OTHERS)

    def paging(self, settings: Any, lists_fields: bool = True) -> Iterator[dict[str, str]]:
        """Return the parameters that sort records and select a page.

        :param lists_fields: whether ``_fields`` limits the fields of the response.
        """
        yield self._own(self._sort())
        paginate_by = LIMIT.get(settings, "paginate_by")
        default = {"default": paginate_by} if paginate_by else {}
        at_most = f"; {paginate_by} at most" if paginate_by else ""
        limit = {
            "name": "_limit",
            "in": "query",
            "description": f"Page size{at_most}; 0: no other limit.",
            "schema": {"type": "integer", "minimum": 0, **default},
        }
        yield self._shared(limit)
        yield self._shared(_TOKEN)
        if lists_fields:
            yield self._shared(FIELDS)

    def _comparable_fields(self) -> Iterator[tuple[str, Schema]]:
        """Return the fields and the schemas of values to compare, without limits."""
        for name, schema in self._fields.items():
            keys = ("type", "enum", "pattern", "format")
            yield name, {key: schema[key] for key in keys if key in schema}

    def _sort(self) -> dict[str, Any]:
        items: Schema = {"type": "string"}
        if not self._is_open:
            items["enum"] = [f"{sign}{name}" for name in self._fields for sign in ("", "-")]
        return {
            "name": "_sort",
            "in": "query",
            "description": "Sort by these fields; `-` sorts in descending order.",
            "schema": {"type": "array", "items": items},
            "style": "form",
            "explode": False,
        }

    def _own(self, parameter: dict[str, Any]) -> dict[str, str]:
        return self._components.add("parameters", f"{self._name}.{parameter['name']}", parameter)

    def _shared(self, parameter: dict[str, Any]) -> dict[str, str]:
        return self._components.add("parameters", parameter["name"], parameter)


def _filter(
    name: str, field: str, meaning: str, schema: Schema, in_list: bool = False
) -> dict[str, Any]:
    found = {
        "x-filter": field,  # the page of the API shows filters together
        "name": name,
        "in": "query",
        "description": f"Only records whose value is {meaning}.",
        "schema": {"type": "array", "items": schema} if in_list else schema,
    }
    return {**found, "style": "form", "explode": False} if in_list else found


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
