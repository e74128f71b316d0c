"""What the conditions of the SQL engines are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cliquet.utils import COMPARISON


class Sql(NamedTuple):
    """A text of SQL, and its parameters."""

    text: str
    parameters: list[Any]


TRUE, FALSE = Sql("true", []), Sql("false", [])

#: The operators of the comparisons of two values.
OPERATORS: dict[Any, str] = {
    COMPARISON.EQ: "=",
    COMPARISON.LT: "<",
    COMPARISON.MAX: "<=",
    COMPARISON.MIN: ">=",
    COMPARISON.GT: ">",
}


def all_of(conditions: Sequence[Sql]) -> Sql:
    """Return the condition that all of these hold."""
    return _combined(" AND ", conditions) if conditions else TRUE


def any_of(conditions: Sequence[Sql]) -> Sql:
    """Return the condition that one of these holds."""
    return _combined(" OR ", conditions) if conditions else FALSE


def _combined(word: str, conditions: Sequence[Sql]) -> Sql:
    """Return a tree of conditions, as high as the logarithm of their number: SQLite has a limit."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    left, right = _combined(word, conditions[:half]), _combined(word, conditions[half:])
    return Sql(f"({left.text}{word}{right.text})", left.parameters + right.parameters)
