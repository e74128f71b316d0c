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

#: The keys of some values: values with equal keys are equal.
Keys = frozenset[Hashable]

# Values of these types are their own keys.
_PLAIN = frozenset((str, int, type(None)))
# Floats represent all integers up to this one.
_EXACT = 1 << 53


def element_key(value: object) -> Hashable:
    """Return the key of an element."""
    if isinstance(value, (dict, list, tuple, bool)):
        return (json.dumps_bytes(value),)
    if isinstance(value, float) and math.isfinite(value) and abs(value) > _EXACT:
        return int(Decimal(repr(value)))
    return value


def is_nested(value: object) -> bool:
    """Return whether a value is an array or an object."""
    return isinstance(value, (dict, list, tuple))


def element_keys(value: object) -> Keys | None:
    """Return the keys of the elements of an array, None for other values."""
    if not isinstance(value, (list, tuple)):
        return None
    if _PLAIN.issuperset(map(type, value)):
        return frozenset(value)
    return frozenset(map(element_key, value))


def contains(array: str, values: str) -> bool:
    """Return whether an array contains all of the values; both are JSON arrays."""
    return _keys_of_values(values) <= _keys_of_array(array)


def contains_any(array: str, values: str) -> bool:
    """Return whether an array contains any of the values; both are JSON arrays."""
    return not _keys_of_values(values).isdisjoint(_keys_of_array(array))


def _parsed_keys(text: str) -> Keys:
    return element_keys(json.loads(text)) or frozenset()


# SQLite calls the functions for each record and condition, often with the same large array.
_keys_of_array = lru_cache(maxsize=8)(_parsed_keys)
_keys_of_values = lru_cache(maxsize=128)(_parsed_keys)
