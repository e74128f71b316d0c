"""Semantics of queries: the records that match, and their order.

All engines return the same results. Engines without a query language use the functions
below; the others express the same rules in their own language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

from cliquet.storage.checksums import Checksum
from cliquet.storage.operators import OPERATORS, cost_of
from cliquet.storage.ordering import COMPARE, INT64, Key, order_key
from cliquet.storage.types import MISSING, Filter, Record, Sort
from cliquet.utils import COMPARISON
from cliquet.utils.fields import field_getter


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

#: Functions that return the values that a filter accepts, by operator.
_EQUAL: dict[Any, Callable[[Any], Sequence[Any]]] = {
    COMPARISON.EQ: lambda value: [value],
    COMPARISON.IN: list,
}


class Query(NamedTuple):
    """A query on a collection.

    ``span`` is the bounds of the timestamp in the filters, ``filters`` the other filters.
    ``page_span`` is the tightest known bounds of the timestamps on the page. ``sorting`` is a
    total order, which ends at the first field that is distinct in every record.
    ``checksum_ids`` are the ids of the records in the checksum, None for all of them.
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
    with_checksum: bool = False
    checksum_ids: Sequence[str] | None = None

    @property
    def by_time(self) -> bool:
        """Whether records are sorted by timestamp."""
        return self.sorting[0].field == self.names.modified

    @property
    def ids(self) -> list[str] | None:
        """The ids of the only records that can match, None if any can."""
        for field, value, operator in self.filters:
            if field == self.names.id and operator in _EQUAL:
                values = _EQUAL[operator](value)
                return list(dict.fromkeys(each for each in values if isinstance(each, str)))
        return None

    @property
    def empty_checksum(self) -> Checksum | None:
        """The checksum on the page of a collection without records, if it was requested."""
        return Checksum() if self.with_checksum else None


def build_query(
    names: FieldNames,
    filters: Sequence[Filter] | None = None,
    sorting: Sequence[Sort] | None = None,
    pagination_rules: Sequence[Sequence[Filter]] | None = None,
    limit: int | None = None,
    include_deleted: bool = False,
    max_bytes: int | None = None,
    with_total: bool = True,
    with_checksum: bool = False,
    checksum_ids: Sequence[str] | None = None,
) -> Query:
    """Return the query for the arguments of ``StorageBase.get_page()``."""
    span = ALWAYS
    others: list[Filter] = []
    for filter_ in filters or ():
        limits = _bounds(filter_, names.modified)
        if limits is None:
            others.append(filter_)
        else:
            span = span.intersect(limits)
    others += [each for other in others for each in _implied(other)]
    others = _cheapest_first(others)
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
        with_checksum,
        checksum_ids,
    )


def _implied(filter_: Filter) -> list[Filter]:
    """Return the filter that alternatives imply if each of them requires values of the same field.

    It is redundant, but an index can serve it, whatever else the alternatives contain.
    """
    if filter_.operator is not COMPARISON.OR:
        return []
    alternatives = [
        {each.field: _EQUAL[each.operator](each.value) for each in some if each.operator in _EQUAL}
        for some in filter_.value
    ]
    for field in alternatives[0] if alternatives else ():
        if all(field in values for values in alternatives):
            values = [value for each in alternatives for value in each[field]]
            return [Filter(field, values, COMPARISON.IN)]
    return []


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


class Columns:
    """Values of fields of some records, each computed once for all filters.

    :param constants: the values of fields that are the same in all records.
    """

    def __init__(
        self, records: Sequence[Mapping[str, Any]], constants: Mapping[str, Any] | None = None
    ) -> None:
        self._records, self._constants = records, constants or {}
        self._columns: dict[Any, list[Any]] = {}

    def matching(self, filters: Iterable[Filter], rows: Sequence[int]) -> Sequence[int]:
        """Return those of the rows that match all filters, in the same order."""
        for filter_ in filters:
            if not rows:
                break
            if filter_.operator is COMPARISON.OR:
                rows = self._matching_any(filter_.value, rows)
                continue
            operator = OPERATORS[filter_.operator]
            column = self._column(filter_.field, operator.comparable)
            # A built-in test avoids calling a Python function for each record.
            tests = map(operator.test(filter_.value), map(column.__getitem__, rows))
            rows = list(compress(rows, tests))
        return rows

    def _matching_any(
        self, alternatives: Iterable[Sequence[Filter]], rows: Sequence[int]
    ) -> Sequence[int]:
        matching: set[int] = set()
        others = rows
        for filters in alternatives:
            found = self.matching(filters, others)
            if found:
                matching.update(found)
                others = [row for row in others if row not in matching]
        return [row for row in rows if row in matching]

    def _column(self, field: str, comparable: Callable[[Any], Any]) -> list[Any]:
        column = self._columns.get((field, comparable))
        if column is None:
            column = self._columns[field, comparable] = self._read(field, comparable)
        return column

    def _read(self, field: str, comparable: Callable[[Any], Any]) -> list[Any]:
        count = len(self._records)
        if field in self._constants:
            return [comparable(self._constants[field])] * count
        values = list(map(field_getter(field, MISSING), self._records))
        if values.count(MISSING) == count:
            return [comparable(MISSING)] * count
        return list(map(comparable, values))


def _cheapest_first(filters: Iterable[Filter]) -> list[Filter]:
    """Return the filters in the order in which to evaluate them."""
    ordered = [
        filter_._replace(value=list(map(_cheapest_first, filter_.value)))
        if filter_.operator is COMPARISON.OR
        else filter_
        for filter_ in filters
    ]
    return sorted(ordered, key=cost_of)


def on_page(rules: Sequence[Sequence[Filter]]) -> Callable[[Record], bool]:
    """Return a function that returns whether a record matches all filters of any rule."""
    alternatives = [
        [
            (field_getter(field, MISSING), COMPARE[comparison], order_key(value))
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
        records.sort(key=field_key(field), reverse=direction < 0)


def field_key(field: str) -> Callable[[Record], Key]:
    """Return a function that returns the sort key of a field of a record."""
    get = field_getter(field, MISSING)
    return lambda record: order_key(get(record))
