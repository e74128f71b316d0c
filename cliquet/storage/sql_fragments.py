"""SQL fragments of the conditions that the SQL engines share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cliquet.utils import COMPARISON


class Sql(NamedTuple):
    """An SQL fragment and its parameters."""

    text: str
    parameters: list[Any]


TRUE, FALSE = Sql("true", []), Sql("false", [])

#: The SQL operators of the comparisons.
OPERATORS: dict[Any, str] = {
    COMPARISON.EQ: "=",
    COMPARISON.LT: "<",
    COMPARISON.MAX: "<=",
    COMPARISON.MIN: ">=",
    COMPARISON.GT: ">",
}


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
