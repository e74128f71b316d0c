"""Order of values.

Values of all types have the order of PostgreSQL: null, strings (by code point), numbers,
booleans, arrays, objects, and missing values last. Integers beyond 64 bits compare as
floats; arrays and objects compare as their compact JSON.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from cliquet.storage.types import MISSING
from cliquet.utils import COMPARISON, json

#: Ranks of the types in the order of values.
NULL, TEXT, NUMBER, BOOLEAN, ARRAY, OBJECT, ABSENT = range(7)

#: The types whose values can be in a range.
RANGED = (TEXT, NUMBER, BOOLEAN)

#: The rank of a value's type, and a sort key within the type.
Key = tuple[int, Any]

#: The key of a missing value.
ABSENT_KEY: Key = ABSENT, 0
_NULL_KEY: Key = NULL, 0

INT64 = 1 << 63

#: The comparisons in pagination rules, in the order of values.
COMPARE: dict[Any, Callable[[Any, Any], bool]] = {
    COMPARISON.EQ: operator.eq,
    COMPARISON.LT: operator.lt,
    COMPARISON.MAX: operator.le,
    COMPARISON.MIN: operator.ge,
    COMPARISON.GT: operator.gt,
}


def order_key(value: Any) -> Key:
    """Return the sort key of ``value``, which can be ``MISSING``."""
    kind = type(value)
    if kind is str:
        return TEXT, value
    if kind is int:
        return NUMBER, value if -INT64 <= value < INT64 else _as_float(value)
    if kind is float:
        return NUMBER, value
    if kind is bool:
        return BOOLEAN, value
    if value is MISSING:
        return ABSENT_KEY
    if value is None:
        return _NULL_KEY
    return _other_key(value)


def _other_key(value: object) -> Key:
    if isinstance(value, dict):
        return OBJECT, json.dumps(value)
    if isinstance(value, (list, tuple)):
        return ARRAY, json.dumps(value)
    for plain in (str, int, float):
        if isinstance(value, plain):
            return order_key(plain(value))
    raise TypeError(f"{value!r} is not a JSON value")


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
