"""Semantics of queries: the records that match, and their order.

All engines return the same results. Engines without a query language use the functions
below; the others express the same rules in their own language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cliquet.storage.operators import OPERATORS
from cliquet.storage.ordering import COMPARE, INT64, Key, field_getter, order_key
from cliquet.storage.types import Filter, Record, Sort
from cliquet.utils import COMPARISON


class FieldNames(NamedTuple):
    """The field names of the id, the timestamp and the mark of tombstones."""

    id: str
    modified: str
    deleted: str


class Span(NamedTuple):
    """Timestamps from ``low`` to ``high`` in milliseconds, both included."""

    low: int = -INT64
    high: int = INT64 - 1

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
    with_total: bool = True

    @property
    def by_time(self) -> bool:
        """Whether records are sorted by timestamp."""
        return self.sorting[0].field == self.names.modified


def build_query(
    names: FieldNames,
    filters: Sequence[Filter] | None = None,
    sorting: Sequence[Sort] | None = None,
    pagination_rules: Sequence[Sequence[Filter]] | None = None,
    limit: int | None = None,
    include_deleted: bool = False,
    max_bytes: int | None = None,
    with_total: bool = True,
) -> Query:
    """Return the query for the arguments of ``StorageBase.get_page()``."""
    span, others = ALWAYS, []
    for filter_ in filters or ():
        limits = _bounds(filter_, names.modified)
        if limits is None:
            others.append(filter_)
        else:
            span = span.intersect(limits)
    rules = pagination_rules or ()
    page_span = span.intersect(timestamp_bounds(rules, names.modified)) if rules else span
    order = _total(sorting or (), names)
    return Query(
        names,
        span,
        others,
        rules,
        page_span,
        order,
        limit,
        include_deleted,
        max_bytes,
        with_total,
    )


def _bounds(filter_: Filter, modified_field: str) -> Span | None:
    """Return the span that a filter on the timestamp accepts; None: not one span."""
    field, value, operator_ = filter_
    if field != modified_field or type(value) is not int or abs(value) >= INT64 - 1:
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


def timestamp_bounds(rules: Sequence[Sequence[Filter]], modified_field: str) -> Span:
    """Return a span that contains all timestamps that match the rules."""
    bounds: Span | None = None
    for rule in rules:
        span = ALWAYS
        for filter_ in rule:
            span = span.intersect(_bounds(filter_, modified_field) or ALWAYS)
        bounds = span if bounds is None else bounds.hull(span)
    return bounds or ALWAYS


def _total(sorting: Iterable[Sort], names: FieldNames) -> list[Sort]:
    order: dict[str, Sort] = {}
    for sort in sorting:
        order.setdefault(sort.field, sort)
        if sort.field in (names.id, names.modified):
            return list(order.values())
    return [*order.values(), Sort(names.modified, -1)]


#: Returns whether a record matches.
Predicate = Callable[[Mapping[str, Any]], bool]

_NO_CONSTANTS: Mapping[str, Any] = {}


def filter_test(filter_: Filter, constants: Mapping[str, Any] = _NO_CONSTANTS) -> Predicate:
    """Return a predicate: does a record match a filter.

    :param constants: the values of fields that are the same in all records.
    """
    if filter_.operator is COMPARISON.OR:
        alternatives = [[filter_test(each, constants) for each in some] for some in filter_.value]
        return lambda record: any(all(test(record) for test in tests) for tests in alternatives)
    test = OPERATORS[filter_.operator].test(filter_.value)
    if filter_.field in constants:
        result = test(constants[filter_.field])
        return lambda record: result
    get = field_getter(filter_.field)
    return lambda record: test(get(record))


def matcher(query: Query, deleted: bool = False) -> Callable[[Record], bool]:
    """Return a predicate: is a record in the span, and does it match the filters.

    :param deleted: whether the records are tombstones: to filters, live records
        have the deleted mark too, with the value false.
    """
    low, high = query.span
    modified = query.names.modified
    constants = {query.names.deleted: deleted}
    tests = [filter_test(filter_, constants) for filter_ in query.filters]

    def matches(record: Record) -> bool:
        for test in tests:
            if not test(record):
                return False
        time: int = record[modified]
        return low <= time <= high

    return matches


def on_page(rules: Sequence[Sequence[Filter]]) -> Callable[[Record], bool]:
    """Return a predicate: does a record match all filters of any rule."""
    alternatives = [
        [
            (field_getter(field), COMPARE[comparison], order_key(value))
            for field, value, comparison in rule
        ]
        for rule in rules
    ]

    def matches(record: Record) -> bool:
        return any(
            all(compare(order_key(get(record)), key) for get, compare, key in rule)
            for rule in alternatives
        )

    return matches if alternatives else lambda record: True


def sort_records(records: list[Record], sorting: Iterable[Sort]) -> None:
    """Sort ``records`` in place."""
    for field, direction in reversed(list(sorting)):
        records.sort(key=_field_key(field), reverse=direction < 0)


def _field_key(field: str) -> Callable[[Record], Key]:
    get = field_getter(field)
    return lambda record: order_key(get(record))


def select(
    query: Query, records: Iterable[Record], tombstones: Iterable[Record] = ()
) -> tuple[list[Record], int]:
    """Return the page for a query, by a scan of all records.

    :param tombstones: ignored unless the query includes them.
    :returns: the page, and the number of ``records`` that match the filters.
    """
    matching = list(filter(matcher(query), records))
    total = len(matching)
    if query.include_deleted:
        matching.extend(filter(matcher(query, deleted=True), tombstones))
    if query.rules:
        matching = list(filter(on_page(query.rules), matching))
    sort_records(matching, query.sorting)
    return matching[: query.limit], total
