"""Semantics of queries: the records that match, and their order.

All engines return the same results. Engines without a query language use the functions
below; the others express the same rules in their own language.

*Order.* Values of all types have the order of PostgreSQL: null, strings (by code point),
numbers, booleans, arrays, objects, and missing values last. Integers beyond 64 bits
compare as floats; arrays and objects compare as their compact JSON. Sorting and
pagination rules follow this order.

*Filters* compare within a type. Only ``None`` equals null, no value equals a missing one,
and neither is in any range.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from cliquet.storage import MISSING, Filter, Record, Sort
from cliquet.utils import COMPARISON, json

#: Ranks of the types in the order of values.
NULL, TEXT, NUMBER, BOOLEAN, ARRAY, OBJECT, ABSENT = range(7)

_RANGED = (TEXT, NUMBER, BOOLEAN)

#: The rank of a value's type, and a sort key within the type.
Key = tuple[int, Any]

_INT64 = 1 << 63

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
        return NUMBER, value if -_INT64 <= value < _INT64 else _as_float(value)
    if kind is float:
        return NUMBER, value
    if kind is bool:
        return BOOLEAN, value
    if value is None:
        return NULL, 0
    if value is MISSING:
        return ABSENT, 0
    return _other_key(value)


def _other_key(value: Any) -> Key:
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


def range_bound(filter_: Filter) -> Key | None:
    """Return the key of the bound of a range filter; None: no value is in the range."""
    key = order_key(filter_.value)
    return key if key[0] in _RANGED else None


def accepted_keys(filter_: Filter) -> set[Key]:
    """Return the keys of the values in ``filter_``, to include or exclude."""
    several = filter_.operator in (COMPARISON.IN, COMPARISON.EXCLUDE)
    return set(map(order_key, filter_.value if several else [filter_.value]))


#: The operators that exclude the values of the filter.
NEGATIVE = frozenset((COMPARISON.NOT, COMPARISON.EXCLUDE))
RANGES = frozenset((COMPARISON.LT, COMPARISON.MAX, COMPARISON.MIN, COMPARISON.GT))


def key_test(filter_: Filter) -> Callable[[Key], bool]:
    """Return a function that returns whether a key matches ``filter_``."""
    if filter_.operator in RANGES:
        compare, bound = COMPARE[filter_.operator], range_bound(filter_)
        if bound is None:
            return lambda key: False
        return lambda key: key[0] == bound[0] and compare(key, bound)
    accepted = accepted_keys(filter_)
    if filter_.operator in NEGATIVE:
        return lambda key: key not in accepted
    return accepted.__contains__


class FieldNames(NamedTuple):
    """The field names of the id, the timestamp and the mark of tombstones."""

    id: str
    modified: str
    deleted: str


class Span(NamedTuple):
    """Timestamps from ``low`` to ``high`` in milliseconds, both included."""

    low: int = -_INT64
    high: int = _INT64 - 1

    def intersect(self, other: Span) -> Span:
        """Return the intersection of both spans."""
        return Span(max(self.low, other.low), min(self.high, other.high))

    def hull(self, other: Span) -> Span:
        """Return the smallest span that contains both."""
        return Span(min(self.low, other.low), max(self.high, other.high))


ALWAYS = Span()


class Query(NamedTuple):
    """A query on a collection.

    ``span`` is the bounds of the timestamp in the filters, ``filters`` the other filters.
    ``page_span`` is the tightest known bounds of the timestamps on the page. ``sorting`` is a
    total order, which ends at the first field that is distinct in every record.
    """

    names: FieldNames
    span: Span
    filters: list[Filter]
    rules: Sequence[Sequence[Filter]]
    page_span: Span
    sorting: list[Sort]
    limit: int | None
    include_deleted: bool
    max_bytes: int | None = None

    @property
    def by_time(self) -> bool:
        """Whether records are sorted by timestamp."""
        return self.sorting[0].field == self.names.modified


def query(
    names: FieldNames,
    filters: Sequence[Filter] | None = None,
    sorting: Sequence[Sort] | None = None,
    rules: Sequence[Sequence[Filter]] | None = None,
    limit: int | None = None,
    include_deleted: bool = False,
    max_bytes: int | None = None,
) -> Query:
    """Return the query for the arguments of ``StorageBase.get_page()``."""
    span, others = ALWAYS, []
    for filter_ in filters or ():
        limits = _limits(filter_, names.modified)
        if limits is None:
            others.append(filter_)
        else:
            span = span.intersect(limits)
    page_span = span.intersect(_timestamp_bounds(rules, names.modified)) if rules else span
    order = _total(sorting or (), names)
    rules = rules or ()
    return Query(names, span, others, rules, page_span, order, limit, include_deleted, max_bytes)


def _limits(filter_: Filter, modified_field: str) -> Span | None:
    """Return the span that a filter on the timestamp accepts; None: not one span."""
    field, value, operator_ = filter_
    if field != modified_field or type(value) is not int or abs(value) >= _INT64 - 1:
        return None
    if operator_ is COMPARISON.MIN:
        return Span(low=value)
    if operator_ is COMPARISON.GT:
        return Span(low=value + 1)
    if operator_ is COMPARISON.MAX:
        return Span(high=value)
    if operator_ is COMPARISON.LT:
        return Span(high=value - 1)
    return Span(value, value) if operator_ is COMPARISON.EQ else None


def _timestamp_bounds(rules: Sequence[Sequence[Filter]], modified_field: str) -> Span:
    """Return a span that contains all timestamps that match the rules."""
    bounds: Span | None = None
    for rule in rules:
        span = ALWAYS
        for filter_ in rule:
            span = span.intersect(_limits(filter_, modified_field) or ALWAYS)
        bounds = span if bounds is None else bounds.hull(span)
    return bounds or ALWAYS


def _total(sorting: Iterable[Sort], names: FieldNames) -> list[Sort]:
    order: dict[str, Sort] = {}
    for sort in sorting:
        order.setdefault(sort.field, sort)
        if sort.field in (names.id, names.modified):
            return list(order.values())
    return [*order.values(), Sort(names.modified, -1)]


def matcher(asked: Query, deleted: bool = False) -> Callable[[Record], bool]:
    """Return a predicate: is a record in the span, and does it match the filters.

    :param deleted: whether the records are tombstones: to filters, live records
        have the deleted mark too, with the value false.
    """
    low, high = asked.span
    modified, mark = asked.names.modified, asked.names.deleted
    tests = []
    for filter_ in asked.filters:
        test = key_test(filter_)
        if filter_.field != mark:
            tests.append((filter_.field, test))
        elif not test(order_key(deleted)):
            return lambda record: False

    def matches(record: Record) -> bool:
        for field, test in tests:
            if not test(order_key(record.get(field, MISSING))):
                return False
        time: int = record[modified]
        return low <= time <= high

    return matches


def on_page(rules: Sequence[Sequence[Filter]]) -> Callable[[Record], bool]:
    """Return a predicate: does a record match all filters of any rule."""
    alternatives = [
        [(field, COMPARE[comparison], order_key(value)) for field, value, comparison in rule]
        for rule in rules
    ]

    def matches(record: Record) -> bool:
        return any(
            all(compare(order_key(record.get(field, MISSING)), key) for field, compare, key in rule)
            for rule in alternatives
        )

    return matches if alternatives else lambda record: True


def sort_records(records: list[Record], sorting: Iterable[Sort]) -> None:
    """Sort ``records`` in place."""
    for field, direction in reversed(list(sorting)):

        def key(record: Record, field: str = field) -> Key:
            return order_key(record.get(field, MISSING))

        records.sort(key=key, reverse=direction < 0)


def select(
    asked: Query, records: Iterable[Record], tombstones: Iterable[Record] = ()
) -> tuple[list[Record], int]:
    """Return the page for a query, by a scan of all records.

    :param tombstones: ignored unless the query includes them.
    :returns: the page, and the number of ``records`` that match the filters.
    """
    found = list(filter(matcher(asked), records))
    total = len(found)
    if asked.include_deleted:
        found.extend(filter(matcher(asked, deleted=True), tombstones))
    if asked.rules:
        found = list(filter(on_page(asked.rules), found))
    sort_records(found, asked.sorting)
    return found[: asked.limit], total
