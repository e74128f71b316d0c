"""Example values of JSON Schemas, for the bodies of requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cliquet.openapi.schemas import Schema

#: Example strings by format.
_FORMATS = {
    "uri": "https://www.example.com/",
    "email": "alice@example.com",
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00+00:00",
    "uuid": "6f0a4c5e-7b9d-4e21-8c3f-0d5a1b2e4f60",
}


class NoExample(Exception):
    """No valid value of a schema is known."""


def example(schema: Schema) -> Any:
    """Return a value that matches a schema.

    Optional properties without a known example are omitted.

    :raises NoExample: if no value is known, for example because of a pattern.
    """
    if "const" in schema:
        return schema["const"]
    if schema.get("default") not in (None, "", [], {}):
        return schema["default"]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "anyOf" in schema and "type" not in schema:
        return example(schema["anyOf"][0])
    if "allOf" in schema or "anyOf" in schema or "not" in schema:
        raise NoExample
    types = schema.get("type", [])
    first = types if isinstance(types, str) else next(iter(types), "")
    if first not in _EXAMPLES:
        raise NoExample
    return _EXAMPLES[first](schema)


def _object(schema: Schema) -> dict[str, Any]:
    values = {}
    for name, property_ in schema.get("properties", {}).items():
        try:
            values[name] = example(property_)
        except NoExample:
            if name in schema.get("required", ()):
                raise
    return values


def _array(schema: Schema) -> list[Any]:
    if "prefixItems" in schema:
        return [example(item) for item in schema["prefixItems"]]
    size = schema.get("minItems", 0)
    try:
        item = example(schema.get("items", {}))
    except NoExample:
        if size:
            raise
        return []
    return [item] * min(max(size, 1), schema.get("maxItems", 1))


def _number(schema: Schema) -> Any:
    value = max(schema.get("minimum", 0), 0)
    return min(value, schema.get("maximum", value))


def _string(schema: Schema) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if "pattern" in schema:
        raise NoExample
    text = "string".ljust(schema.get("minLength", 0), ".")
    return text[: schema.get("maxLength")]


_EXAMPLES: dict[str, Callable[[Schema], Any]] = {
    "object": _object,
    "array": _array,
    "integer": _number,
    "number": _number,
    "string": _string,
    "boolean": lambda schema: True,
    "null": lambda schema: None,
}
