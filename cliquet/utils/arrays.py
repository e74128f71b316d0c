"""Comparison of the elements of arrays.

Numbers are equal if their JSON is the same decimal number, as in PostgreSQL's jsonb. Arrays and
objects are equal if their compact JSON is.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from decimal import Decimal
from functools import lru_cache

from cliquet.utils import json
from cliquet.utils.fields import field_getter

#: The keys of some values: values with equal keys are equal.
Keys = frozenset[Hashable]

# Values of these types are their own keys.
_PLAIN = frozenset((str, int, type(None)))
_NESTED = (dict, list, tuple)
_COMPARED_AS_JSON = (*_NESTED, bool)
# Floats represent all integers up to this one.
_EXACT = 1 << 53


def is_nested(value: object) -> bool:
    """Return whether a value is an array or an object."""
    return isinstance(value, _NESTED)


def element_keys(value: object) -> Keys | None:
    """Return the keys of the elements of an array, None for other values."""
    if not isinstance(value, (list, tuple)):
        return None
    if _PLAIN.issuperset(map(type, value)):
        return frozenset(value)
    return frozenset(
        [
            json.dumps_bytes(each) if isinstance(each, _COMPARED_AS_JSON) else _plain_key(each)
            for each in value
        ]
    )


def _plain_key(value: Hashable) -> Hashable:
    if isinstance(value, float) and math.isfinite(value) and abs(value) > _EXACT:
        return int(Decimal(repr(value)))
    return value


def contains(document: str, field: str, values: str) -> bool:
    """Return whether an array in a JSON document contains all values of a JSON array."""
    keys = _keys_of_field(document, field)
    return keys is not None and _keys_of_values(values) <= keys


def contains_any(document: str, field: str, values: str) -> bool:
    """Return whether an array in a JSON document contains any value of a JSON array."""
    keys = _keys_of_field(document, field)
    return keys is not None and not keys.isdisjoint(_keys_of_values(values))


# SQLite calls the functions for each record and condition. The conditions on a record share its
# parsed document and the keys of its fields.
_document = lru_cache(maxsize=1)(json.loads)


@lru_cache(maxsize=32)
def _keys_of_field(document: str, field: str) -> Keys | None:
    return element_keys(field_getter(field)(_document(document)))


@lru_cache(maxsize=128)
def _keys_of_values(values: str) -> Keys:
    return element_keys(json.loads(values)) or frozenset()
