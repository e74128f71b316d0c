"""Names of fields, which can be nested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def path_of(field: str) -> list[str]:
    """Return the keys that lead to a nested field, empty if its name has no dot."""
    return field.split(".") if "." in field else []


def field_getter(field: str, missing: object = None) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function that returns a field of a record, or ``missing``.

    Dots descend into objects, unless a field has the whole name.
    """
    path = path_of(field)
    if not path:
        return lambda record: record.get(field, missing)

    def get(record: Mapping[str, Any]) -> Any:
        if field in record:
            return record[field]
        value: Any = record
        for key in path:
            if not isinstance(value, Mapping) or key not in value:
                return missing
            value = value[key]
        return value

    return get
