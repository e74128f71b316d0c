"""Operators of filters: one object for each comparison.

An operator defines how a filter evaluates a value, in Python and in SQL. All filters compare
within a type. Only ``None`` equals null, no value equals a missing one, and neither is in
any range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from cliquet.storage.ordering import COMPARE, RANGED, Key, order_key
from cliquet.storage.sql_fragments import FALSE, Column, Sql, negated
from cliquet.storage.types import MISSING
from cliquet.utils import COMPARISON
from cliquet.utils.text import matches_pattern

#: Returns whether a value, which can be ``MISSING``, matches a filter.
Test = Callable[[Any], bool]


class Operator(NamedTuple):
    """An operator of filters.

    :param test: returns the test of values for the value of a filter.
    :param sql: returns the condition that a column matches the value of a filter.
    """

    test: Callable[[Any], Test]
    sql: Callable[[Column, Any], Sql]


def _equality(several: bool, negative: bool) -> Operator:
    def keys_of(value: Any) -> set[Key]:
        return set(map(order_key, value if several else [value]))

    def test(value: Any) -> Test:
        keys = keys_of(value)
        if negative:
            return lambda item: order_key(item) not in keys
        return lambda item: order_key(item) in keys

    def sql(column: Column, value: Any) -> Sql:
        condition = column.is_any_of(keys_of(value))
        return negated(condition) if negative else condition

    return Operator(test, sql)


def _range(comparison: COMPARISON) -> Operator:
    compare = COMPARE[comparison]

    def bound_of(value: Any) -> Key | None:
        """Return the key of the bound, None if no value is in the range."""
        key = order_key(value)
        is_nan = isinstance(key[1], float) and math.isnan(key[1])
        return key if key[0] in RANGED and not is_nan else None

    def test(value: Any) -> Test:
        bound = bound_of(value)
        if bound is None:
            return lambda item: False

        def is_in_range(item: Any) -> bool:
            key = order_key(item)
            return key[0] == bound[0] and compare(key, bound)

        return is_in_range

    def sql(column: Column, value: Any) -> Sql:
        bound = bound_of(value)
        return FALSE if bound is None else column.compares(comparison, bound)

    return Operator(test, sql)


def _presence() -> Operator:
    def test(value: Any) -> Test:
        return lambda item: (item is not MISSING) == bool(value)

    def sql(column: Column, value: Any) -> Sql:
        return column.exists() if value else negated(column.exists())

    return Operator(test, sql)


def _pattern() -> Operator:
    def test(value: Any) -> Test:
        return lambda item: isinstance(item, str) and matches_pattern(item, value)

    return Operator(test, lambda column, value: column.is_like(value))


def _elements(every: bool) -> Operator:
    def test(value: Any) -> Test:
        keys = set(map(order_key, value))

        def has_elements(item: Any) -> bool:
            if not isinstance(item, (list, tuple)):
                return False
            elements = set(map(order_key, item))
            return keys <= elements if every else not keys.isdisjoint(elements)

        return has_elements

    def sql(column: Column, value: Any) -> Sql:
        return column.has_elements(set(map(order_key, value)), every)

    return Operator(test, sql)


#: The operators by comparison. ``OR`` isn't one: its value is alternative lists of filters.
OPERATORS: dict[Any, Operator] = {
    COMPARISON.EQ: _equality(several=False, negative=False),
    COMPARISON.NOT: _equality(several=False, negative=True),
    COMPARISON.IN: _equality(several=True, negative=False),
    COMPARISON.EXCLUDE: _equality(several=True, negative=True),
    **{
        comparison: _range(comparison)
        for comparison in (COMPARISON.MIN, COMPARISON.MAX, COMPARISON.GT, COMPARISON.LT)
    },
    COMPARISON.HAS: _presence(),
    COMPARISON.LIKE: _pattern(),
    COMPARISON.CONTAINS: _elements(every=True),
    COMPARISON.CONTAINS_ANY: _elements(every=False),
}
