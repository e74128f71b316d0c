"""Conditions of queries (see :mod:`cliquet.storage.filtering`) in SQL.

A dialect object composes the SQL of each engine. Tombstones have no fields but their mark, so
conditions on their fields are evaluated here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from cliquet.storage.filtering import Query
from cliquet.storage.operators import OPERATORS
from cliquet.storage.ordering import COMPARE, NUMBER, TEXT, Key, order_key
from cliquet.storage.sql_fragments import FALSE, TRUE, Column, Sql, all_of, any_of
from cliquet.storage.types import MISSING, Filter
from cliquet.utils import COMPARISON


class Dialect(Protocol):
    """The SQL of an engine."""

    def field(self, name: str) -> Column:
        """Return a field of the data."""

    def one_of(self, column: str, rank: int, values: Sequence[Any]) -> Sql:
        """Return the condition that a column has one of the values, all of that rank."""

    def compared(self, column: str, comparison: COMPARISON, value: Any) -> Sql:
        """Return the comparison of a column with a value of its type."""

    def like(self, column: str, pattern: str) -> Sql:
        """Return the condition that the string in a column matches a pattern."""


class TypedColumn:
    """The column of the ids or of the timestamps, whose values have one type."""

    def __init__(self, dialect: Dialect, name: str, rank: int) -> None:
        self._dialect, self._name, self._rank = dialect, name, rank

    def is_any_of(self, keys: Collection[Key]) -> Sql:
        values = [value for rank, value in keys if rank == self._rank]
        return self._dialect.one_of(self._name, self._rank, values)

    def compares(self, comparison: COMPARISON, key: Key) -> Sql:
        return self.is_ordered(comparison, key) if key[0] == self._rank else FALSE

    def is_ordered(self, comparison: COMPARISON, key: Key) -> Sql:
        rank, value = key
        if rank == self._rank:
            return self._dialect.compared(self._name, comparison, value)
        return _constant(COMPARE[comparison](self._rank, rank))

    def exists(self) -> Sql:
        return TRUE

    def is_like(self, pattern: str) -> Sql:
        return self._dialect.like(self._name, pattern) if self._rank == TEXT else FALSE

    def has_elements(self, values: Sequence[Any], every: bool) -> Sql:
        return FALSE


def _constant(value: bool) -> Sql:
    return TRUE if value else FALSE


class Conditions:
    """The conditions of a query on the records, or on the tombstones.

    :param fields: the fields in the order of the query, if their conditions differ from
        those of the dialect.
    :param shared: likewise the fields in alternatives.
    """

    def __init__(
        self,
        dialect: Dialect,
        query: Query,
        deleted: bool = False,
        fields: Mapping[str, Column] | None = None,
        shared: Mapping[str, Column] | None = None,
    ) -> None:
        self._dialect, self._query, self._deleted = dialect, query, deleted
        self._fields, self._shared = fields or {}, shared or {}
        self._columns = {
            query.names.id: TypedColumn(dialect, "id", TEXT),
            query.names.modified: TypedColumn(dialect, "last_modified", NUMBER),
        }

    def filters(self) -> Sql:
        """Return the condition that the filters match."""
        return all_of([self._matches(filter_, {}) for filter_ in self._query.filters])

    def _matches(self, filter_: Filter, shared: Mapping[str, Column]) -> Sql:
        if filter_.operator is COMPARISON.OR:
            return any_of(
                [
                    all_of([self._matches(each, self._shared) for each in some])
                    for some in filter_.value
                ]
            )
        operator = OPERATORS[filter_.operator]
        column = self._columns.get(filter_.field)
        if column is None:
            mark = filter_.field == self._query.names.deleted
            if mark or self._deleted:
                # To filters, live records have the deleted mark too, with the value false.
                value = self._deleted if mark else MISSING
                return _constant(operator.test(filter_.value)(operator.comparable(value)))
        field = shared.get(filter_.field) or self._dialect.field(filter_.field)
        return operator.sql(column or field, filter_.value)

    def rules(self) -> Sql:
        """Return the condition that a record is on the page."""
        rules = self._query.rules
        if not rules:
            return TRUE
        alternatives = any_of([all_of([self._is_ordered(f) for f in rule]) for rule in rules])
        return all_of([*self._page_boundary(), alternatives])

    def _page_boundary(self) -> list[Sql]:
        """Return the bound that all rules imply for the first field of the order.

        It is redundant, but an index can't find the start of a disjunction.
        """
        if self._query.by_time:
            return []  # the span covers it
        first = self._query.sorting[0]
        inclusive = COMPARISON.MIN if first.direction > 0 else COMPARISON.MAX
        strict = COMPARISON.GT if first.direction > 0 else COMPARISON.LT
        bounds = {}
        for rule in self._query.rules:
            bound = next(
                (
                    f
                    for f in rule
                    if f.field == first.field and f.operator in (strict, COMPARISON.EQ)
                ),
                None,
            )
            if bound is None:
                return []
            bounds[order_key(bound.value)] = bound._replace(operator=inclusive)
        return [self._is_ordered(*bounds.values())] if len(bounds) == 1 else []

    def _is_ordered(self, filter_: Filter) -> Sql:
        """Return the condition for a filter in a pagination rule."""
        field, value, comparison = filter_
        key = order_key(value)
        column = self._columns.get(field) or self._fields.get(field)
        if column is None:
            if self._deleted:
                constant = order_key(True if field == self._query.names.deleted else MISSING)
                return _constant(COMPARE[comparison](constant, key))
            column = self._dialect.field(field)
        return column.is_ordered(comparison, key)
