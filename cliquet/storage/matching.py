"""Which records a query finds, and in which order.

Every engine gives these answers. Those that have no language for such questions
use the functions below; the others say the same in theirs.

*Order.* Values of all types are ordered as PostgreSQL orders them: null, texts (by code
point), numbers, booleans, arrays, objects, and last what is missing. Integers beyond 64
bits compare as floats; arrays and objects compare as their compact JSON text. Sorting
and pagination rules follow this order.

*Filters* compare within a type. Nothing but ``None`` equals null, nothing equals
what is missing, and neither is in a range.
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

#: The rank of a value's type, and what to compare within it.
Key = tuple[int, Any]

_INT64 = 1 << 63

#: The comparisons that pagination rules make, in the order of values.
COMPARE: dict[Any, Callable[[Any, Any], bool]] = {
    COMPARISON.EQ: operator.eq,
    COMPARISON.LT: operator.lt,
    COMPARISON.MAX: operator.le,
    COMPARISON.MIN: operator.ge,
    COMPARISON.GT: operator.gt,
}


def order_key(value: Any) -> Key:
    """Return what ``value``, or :data:`~cliquet.storage.MISSING`, is compared by."""
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
    raise TypeError(f"{value!r} is no JSON value")


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def range_bound(filter_: Filter) -> Key | None:
    """Return what the values in the range of ``filter_`` compare with; None: there are none."""
    key = order_key(filter_.value)
    return key if key[0] in _RANGED else None


def accepted_keys(filter_: Filter) -> set[Key]:
    """Return the keys of the values that ``filter_`` names: to be equal to, or not."""
    several = filter_.operator in (COMPARISON.IN, COMPARISON.EXCLUDE)
    return set(map(order_key, filter_.value if several else [filter_.value]))


#: Whether a filter names what is found, or what is not.
NEGATIVE = frozenset((COMPARISON.NOT, COMPARISON.EXCLUDE))
RANGES = frozenset((COMPARISON.LT, COMPARISON.MAX, COMPARISON.MIN, COMPARISON.GT))


def key_test(filter_: Filter) -> Callable[[Key], bool]:
    """Return a function that tells whether the value with some key is what ``filter_`` finds."""
    if filter_.operator in RANGES:
        compare, bound = COMPARE[filter_.operator], range_bound(filter_)
        if bound is None:
            return lambda key: False
        return lambda key: key[0] == bound[0] and compare(key, bound)
    accepted = accepted_keys(filter_)
    if filter_.operator in NEGATIVE:
        return lambda key: key not in accepted
    return accepted.__contains__


class Names(NamedTuple):
    """What the records call their id, their timestamp, and the mark of tombstones."""

    id: str
    modified: str
    deleted: str


class Span(NamedTuple):
    """Timestamps from ``low`` to ``high``, in milliseconds, both included."""

    low: int = -_INT64
    high: int = _INT64 - 1

    def meet(self, other: Span) -> Span:
        """Return the timestamps that are in both."""
        return Span(max(self.low, other.low), min(self.high, other.high))

    def join(self, other: Span) -> Span:
        """Return the least span that has the timestamps of both."""
        return Span(min(self.low, other.low), max(self.high, other.high))


ALWAYS = Span()


class Query(NamedTuple):
    """What is asked of a collection.

    ``span`` and ``filters`` are the filters, those that delimit the timestamp
    apart; ``page_span`` is all that is known of the timestamps of the page.
    ``sorting`` is a total order; it ends at the first field that is different in
    every record.
    """

    names: Names
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
        """Whether the order is that of the timestamps."""
        return self.sorting[0].field == self.names.modified


def query(
    names: Names,
    filters: Sequence[Filter] | None = None,
    sorting: Sequence[Sort] | None = None,
    rules: Sequence[Sequence[Filter]] | None = None,
    limit: int | None = None,
    include_deleted: bool = False,
    max_bytes: int | None = None,
) -> Query:
    """Return the query with the parameters of :meth:`cliquet.storage.StorageBase.get_page`."""
    span, others = ALWAYS, []
    for filter_ in filters or ():
        limits = _limits(filter_, names.modified)
        if limits is None:
            others.append(filter_)
        else:
            span = span.meet(limits)
    page_span = span.meet(_hull(rules, names.modified)) if rules else span
    order = _total(sorting or (), names)
    rules = rules or ()
    return Query(names, span, others, rules, page_span, order, limit, include_deleted, max_bytes)


def _limits(filter_: Filter, modified_field: str) -> Span | None:
    """Return the timestamps that the filter finds, None if it isn't as simple as that."""
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


def _hull(rules: Sequence[Sequence[Filter]], modified_field: str) -> Span:
    """Return a span in which are all timestamps that the rules find."""
    hull: Span | None = None
    for rule in rules:
        span = ALWAYS
        for filter_ in rule:
            span = span.meet(_limits(filter_, modified_field) or ALWAYS)
        hull = span if hull is None else hull.join(span)
    return hull or ALWAYS


def _total(sorting: Iterable[Sort], names: Names) -> list[Sort]:
    order: dict[str, Sort] = {}
    for sort in sorting:
        order.setdefault(sort.field, sort)
        if sort.field in (names.id, names.modified):
            return list(order.values())
    return [*order.values(), Sort(names.modified, -1)]


def matcher(asked: Query, deleted: bool = False) -> Callable[[Record], bool]:
    """Return a function that tells whether a record is in the span and matches the filters.

    :param deleted: whether the records are tombstones: for filters, the live ones
        have the mark too, and it is false.
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
    """Return a function that tells whether a record matches all filters of any of ``rules``."""
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
    """Answer the query by looking at everything.

    :param tombstones: left out unless the query includes them.
    :returns: the page, and how many of ``records`` match the filters.
    """
    found = list(filter(matcher(asked), records))
    total = len(found)
    if asked.include_deleted:
        found.extend(filter(matcher(asked, deleted=True), tombstones))
    if asked.rules:
        found = list(filter(on_page(asked.rules), found))
    sort_records(found, asked.sorting)
    return found[: asked.limit], total
