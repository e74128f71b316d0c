"""SQL fragments, and the interface of columns in conditions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

from cliquet.storage.ordering import Key
from cliquet.utils import COMPARISON


class Sql(NamedTuple):
    """An SQL fragment and its parameters."""

    text: str
    parameters: list[Any]


TRUE, FALSE = Sql("true", []), Sql("false", [])

#: The SQL operators of the comparisons.
SQL_SIGNS: dict[Any, str] = {
    COMPARISON.EQ: "=",
    COMPARISON.LT: "<",
    COMPARISON.MAX: "<=",
    COMPARISON.MIN: ">=",
    COMPARISON.GT: ">",
}


class Column(Protocol):
    """A column, or a field of the data, of which operators build conditions."""

    def is_any_of(self, keys: Collection[Key]) -> Sql:
        """Return the condition that the value has one of the keys."""

    def compares(self, comparison: COMPARISON, key: Key) -> Sql:
        """Return the condition that the value is in a range of values of the key's type."""

    def is_ordered(self, comparison: COMPARISON, key: Key) -> Sql:
        """Return the condition on the place of the value in the order of all types."""

    def exists(self) -> Sql:
        """Return the condition that the record has the field."""

    def is_like(self, pattern: str) -> Sql:
        """Return the condition that the value is a string that matches a pattern."""

    def has_elements(self, values: Sequence[Any], every: bool) -> Sql:
        """Return the condition that the value is an array with all of the values, or any."""


def negated(condition: Sql) -> Sql:
    """Return the negation of a condition."""
    return Sql(f"NOT ({condition.text})", condition.parameters)


def all_of(conditions: Sequence[Sql]) -> Sql:
    """Return the conjunction of conditions."""
    return _combined(" AND ", conditions) if conditions else TRUE


def any_of(conditions: Sequence[Sql]) -> Sql:
    """Return the disjunction of conditions."""
    return _combined(" OR ", conditions) if conditions else FALSE


def _combined(word: str, conditions: Sequence[Sql]) -> Sql:
    """Return a balanced tree, because SQLite limits the depth of expressions."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    left, right = _combined(word, conditions[:half]), _combined(word, conditions[half:])
    return Sql(f"({left.text}{word}{right.text})", left.parameters + right.parameters)
