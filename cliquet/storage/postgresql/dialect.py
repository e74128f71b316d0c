"""Fields and columns in the conditions of PostgreSQL.

Data fields are compared by their keys (see ``cliquet_key`` in ``migrations/001.sql``).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from cliquet.storage.ordering import ABSENT, BOOLEAN, INT64, NUMBER, TEXT, Key, order_key, path_of
from cliquet.storage.sql_fragments import FALSE, OPERATORS, Sql
from cliquet.utils import COMPARISON

# Beyond all floats, as in cliquet_key().
_HUGE = Decimal("1e310")

# The key that a field is compared with.
_KEY = "ROW(%s, %s, %s)::cliquet_key"


class PostgreSQL:
    """The SQL of PostgreSQL (see :class:`cliquet.storage.sql_conditions.Dialect`)."""

    def field(self, name: str) -> Field:
        return Field(name)

    def one_of(self, column: str, rank: int, values: Sequence[Any]) -> Sql:
        if rank == TEXT:
            return Sql(f"{column} = ANY(%s::text[])", [list(filter(storable, values))])
        numbers = [_number(number) for number in values if not math.isnan(number)]
        if len(numbers) == 1:
            return Sql(f"{column} = %s", numbers)
        return Sql(f"{column} = ANY(%s::numeric[])", [numbers])

    def compared(self, column: str, comparison: COMPARISON, value: Any) -> Sql:
        operator = OPERATORS[comparison]
        if not isinstance(value, str):
            return Sql(f"{column} {operator} %s", [_number(value)])
        if storable(value):
            return Sql(f"{column} {operator} %s", [value])
        raw = value.encode("utf-8", "surrogatepass")
        return Sql(f"convert_to({column}, 'UTF8') {operator} %s", [raw])

    def like(self, column: str, pattern: str) -> Sql:
        value = Sql(f"to_json({column})", [])
        return _like(value, pattern) if storable(pattern) else FALSE


class Field:
    """A field of the data.

    :param name: its name; dots descend into objects.
    """

    def __init__(self, name: str) -> None:
        names = [name, *path_of(name)]
        if not all(map(storable, names)):  # no record has it
            self._value = Sql("NULL::json", [])
        elif len(names) == 1:
            self._value = Sql("data -> %s::text", names)
        else:
            path = " -> %s::text" * (len(names) - 1)
            self._value = Sql(f"coalesce(data -> %s::text, data{path})", names)
        self.key = Sql(f"cliquet_key({self._value.text})", self._value.parameters)

    def is_any_of(self, keys: Collection[Key]) -> Sql:
        if not keys:
            return FALSE
        field, parameters = self.key, [part for key in keys for part in key_parameters(key)]
        if len(keys) == 1:
            return Sql(f"{field.text} = {_KEY}", [*field.parameters, *parameters])
        text = f"{field.text} = ANY({_array(keys)})"
        return Sql(text, [*field.parameters, *parameters])

    def compares(self, comparison: COMPARISON, key: Key) -> Sql:
        bound = self.is_ordered(comparison, key)
        # Values of other types are beyond the other end of this type's keys.
        is_lower_bound = comparison in (COMPARISON.MIN, COMPARISON.GT)
        rank, operator = (key[0] + 1, "<") if is_lower_bound else (key[0], ">=")
        text = f"({bound.text} AND {self.key.text} {operator} {_KEY})"
        return Sql(text, [*bound.parameters, *self.key.parameters, rank, -_HUGE, b""])

    def is_ordered(self, comparison: COMPARISON, key: Key) -> Sql:
        text = f"{self.key.text} {OPERATORS[comparison]} {_KEY}"
        return Sql(text, [*self.key.parameters, *key_parameters(key)])

    def exists(self) -> Sql:
        return self.is_ordered(COMPARISON.LT, (ABSENT, 0))

    def is_like(self, pattern: str) -> Sql:
        if not storable(pattern):
            return FALSE
        like, trigrams = _like(self._value, pattern), _trigrams(pattern)
        if not trigrams:
            return like
        # Redundant, but an index can serve it.
        text = f"({like.text} AND cliquet_trigrams({self._value.text}) @> %s::text[])"
        return Sql(text, [*like.parameters, *self._value.parameters, trigrams])

    def has_elements(self, keys: Collection[Key], every: bool) -> Sql:
        operator = "@>" if every else "&&"
        text = f"cliquet_elements({self._value.text}) {operator} {_array(keys)}"
        parameters = [part for key in keys for part in key_parameters(key)]
        return Sql(text, [*self._value.parameters, *parameters])


def _array(keys: Collection[Key]) -> str:
    return f"ARRAY[{', '.join([_KEY] * len(keys))}]::cliquet_key[]"


def _like(value: Sql, pattern: str) -> Sql:
    """Return the condition that a JSON value is a string that matches a pattern."""
    escaped = pattern.casefold()
    for special in "\\%_":
        escaped = escaped.replace(special, f"\\{special}")
    escaped = escaped.replace("*", "%") if "*" in pattern else f"%{escaped}%"
    return Sql(f"cliquet_fold({value.text}) LIKE %s", [*value.parameters, escaped])


def _trigrams(pattern: str) -> list[str]:
    """Return the trigrams of the strings that match a pattern."""
    parts = pattern.casefold().split("*")
    return sorted({part[n : n + 3] for part in parts for n in range(len(part) - 2)})


def key_of(value: object) -> tuple[int, Any, bytes]:
    """Return the parameters of the key of ``value``."""
    return key_parameters(order_key(value))


def key_parameters(key: Key) -> tuple[int, Any, bytes]:
    """Return the parameters of a key."""
    rank, value = key
    if rank == NUMBER:
        return rank, _number(value), b""
    if rank == BOOLEAN:
        return rank, int(value), b""
    if isinstance(value, str):
        # In UTF-8 any string can be ordered, even one that the database can't store.
        return rank, 0, value.encode("utf-8", "surrogatepass")
    return rank, 0, b""


def _number(value: float) -> int | Decimal:
    """Return the number that cliquet_key() computes for the JSON of ``value``."""
    if isinstance(value, int):
        return value
    if math.isinf(value):
        return _HUGE if value > 0 else -_HUGE
    if -INT64 <= value < INT64 and value.is_integer():
        return int(value)
    return Decimal(repr(value))


def storable(text: str | None) -> bool:
    """Return whether a string has neither null characters nor surrogates."""
    return text is not None and "\0" not in text and _is_unicode(text)


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
