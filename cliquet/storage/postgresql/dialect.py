"""Fields and columns in the conditions of PostgreSQL.

Data fields are compared by their keys (see ``cliquet_key`` in ``migrations/001.sql``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from cliquet.storage.operators import element_keys, folded
from cliquet.storage.ordering import (
    ABSENT,
    ARRAY,
    BOOLEAN,
    INT64,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    Key,
    order_key,
    path_of,
)
from cliquet.storage.sql_fragments import FALSE, SQL_SIGNS, Sql, all_of, any_of
from cliquet.utils import COMPARISON, json

# Beyond all floats, as in cliquet_key().
_HUGE = Decimal("1e310")

# The types of JSON values by rank.
_TYPES = {
    NULL: "null",
    TEXT: "string",
    NUMBER: "number",
    BOOLEAN: "boolean",
    ARRAY: "array",
    OBJECT: "object",
}

# The key that a field is compared with.
_KEY = "ROW(%s, %s, %s)::cliquet_key"

#: Templates of the expressions of a JSON value that operators compare, by their ``comparable``.
COMPARED: dict[Callable[[Any], Any], str] = {
    order_key: "cliquet_key({})",
    folded: "cliquet_fold({})",
    element_keys: "({})::jsonb",
}

# The greatest number up to which jsonb compares numbers as their keys do: floats represent all
# integers up to it.
_EXACT = 1 << 53


class PostgreSQL:
    """The SQL of PostgreSQL (see :class:`cliquet.storage.sql_conditions.Dialect`).

    :param has_trigrams: returns whether an index contains the trigrams of the field at a path.
    """

    def __init__(self, has_trigrams: Callable[[Sequence[str]], bool] = lambda names: False) -> None:
        self._has_trigrams = has_trigrams

    def field(self, name: str, columns: Mapping[str, str] | None = None) -> Field:
        """Return a field of the data.

        :param columns: the columns that contain expressions of :data:`COMPARED`.
        """
        return Field(name, columns, self._has_trigrams)

    def one_of(self, column: str, rank: int, values: Sequence[Any]) -> Sql:
        if rank == TEXT:
            return Sql(f"{column} = ANY(%s::text[])", [list(filter(storable, values))])
        numbers = [_number(number) for number in values if not math.isnan(number)]
        if len(numbers) == 1:
            return Sql(f"{column} = %s", numbers)
        return Sql(f"{column} = ANY(%s::numeric[])", [numbers])

    def compared(self, column: str, comparison: COMPARISON, value: Any) -> Sql:
        operator = SQL_SIGNS[comparison]
        if not isinstance(value, str):
            return Sql(f"{column} {operator} %s", [_number(value)])
        if storable(value):
            return Sql(f"{column} {operator} %s", [value])
        raw = value.encode("utf-8", "surrogatepass")
        return Sql(f"convert_to({column}, 'UTF8') {operator} %s", [raw])

    def like(self, column: str, pattern: str) -> Sql:
        text = Sql(f"cliquet_fold(to_json({column}))", [])
        return _like(text, pattern) if storable(pattern) else FALSE


class Field:
    """A field of the data.

    :param name: its name; dots descend into objects.
    :param columns: see :meth:`PostgreSQL.field`; the other expressions are computed.
    :param has_trigrams: see :class:`PostgreSQL`.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, str] | None = None,
        has_trigrams: Callable[[Sequence[str]], bool] = lambda names: False,
    ) -> None:
        self._names = names = [name, *path_of(name)]
        self._has_trigrams = has_trigrams
        if not all(map(storable, names)):  # no record has it
            self._value = Sql("NULL::json", [])
        elif len(names) == 1:
            self._value = Sql("data -> %s::text", names)
        else:
            path = " -> %s::text" * (len(names) - 1)
            self._value = Sql(f"coalesce(data -> %s::text, data{path})", names)
        self._columns = columns or {}
        self._is_computed = COMPARED[order_key] not in self._columns
        self.key = self.expression(COMPARED[order_key])

    def expression(self, template: str) -> Sql:
        """Return an expression of :data:`COMPARED`."""
        if template in self._columns:
            return Sql(self._columns[template], [])
        return Sql(template.format(self._value.text), self._value.parameters)

    def is_any_of(self, keys: Collection[Key]) -> Sql:
        if not keys:
            return FALSE
        field, parameters = self.key, [part for key in keys for part in key_parameters(key)]
        equal = f"= {_KEY}" if len(keys) == 1 else f"= ANY({_array(keys)})"
        condition = Sql(f"{field.text} {equal}", [*field.parameters, *parameters])
        return all_of([*self._equality_guard(keys), condition])

    def compares(self, comparison: COMPARISON, key: Key) -> Sql:
        guard, bound = self._guard([key]), self.is_ordered(comparison, key)
        # Values of other types are beyond the other end of this type's keys.
        is_lower_bound = comparison in (COMPARISON.MIN, COMPARISON.GT)
        rank, operator = (key[0] + 1, "<") if is_lower_bound else (key[0], ">=")
        text = f"({bound.text} AND {self.key.text} {operator} {_KEY})"
        parameters = [*bound.parameters, *self.key.parameters, rank, -_HUGE, b""]
        return all_of([*guard, Sql(text, parameters)])

    def _equality_guard(self, keys: Collection[Key]) -> list[Sql]:
        """Return a condition that equal values meet, and that is faster than computing keys."""
        texts = [_text_of(key) for key in keys]
        if not self._is_computed or not all(map(storable, texts)):
            return self._guard(keys)
        text = f"coalesce(({self._value.text}) #>> '{{}}' = ANY(%s::text[]), false)"
        return [Sql(text, [*self._value.parameters, texts])]

    def _guard(self, keys: Collection[Key]) -> list[Sql]:
        """Return a condition that the values of the keys meet, and that is faster than theirs."""
        types = {_TYPES.get(rank) for rank, _ in keys}
        if not self._is_computed or None in types:
            return []
        # Not NULL, because conditions can be negated.
        text = f"coalesce(json_typeof({self._value.text}) = ANY(%s::text[]), false)"
        return [Sql(text, [*self._value.parameters, sorted(map(str, types))])]

    def is_ordered(self, comparison: COMPARISON, key: Key) -> Sql:
        text = f"{self.key.text} {SQL_SIGNS[comparison]} {_KEY}"
        return Sql(text, [*self.key.parameters, *key_parameters(key)])

    def exists(self) -> Sql:
        return self.is_ordered(COMPARISON.LT, (ABSENT, 0))

    def is_like(self, pattern: str) -> Sql:
        if not storable(pattern):
            return FALSE
        like = _like(self.expression(COMPARED[folded]), pattern)
        trigrams = _trigrams(pattern)
        if not trigrams or not self._has_trigrams(self._names):
            return like
        # Redundant and expensive, but the index serves it.
        text = f"({like.text} AND cliquet_trigrams({self._value.text}) @> %s::text[])"
        return Sql(text, [*like.parameters, *self._value.parameters, trigrams])

    def has_elements(self, keys: Collection[Key], every: bool) -> Sql:
        array = self.expression(COMPARED[element_keys])
        exact = [_json_value(key) for key in keys if _is_exact(key)]
        groups = [exact] if every else [[value] for value in exact]
        conditions = [
            Sql(f"{array.text} @> %s::jsonb", [*array.parameters, json.dumps(group)])
            for group in groups
        ]
        if others := [key for key in keys if not _is_exact(key)]:
            conditions.append(self._has_other_elements(array, others, every))
        combined = all_of(conditions) if every else any_of(conditions)
        is_array = Sql(f"json_typeof({self._value.text}) = 'array'", self._value.parameters)
        return all_of([is_array, combined])

    def _has_other_elements(self, array: Sql, keys: Collection[Key], every: bool) -> Sql:
        """Return the condition for keys of values that jsonb compares differently.

        Computing the keys of all elements is slow, so jsonb first excludes most arrays.
        """
        guards = [_may_contain(array, key) for key in keys]
        operator = "@>" if every else "&&"
        text = f"cliquet_elements({self._value.text}) {operator} {_array(keys)}"
        parameters = [part for key in keys for part in key_parameters(key)]
        exact = Sql(text, [*self._value.parameters, *parameters])
        return all_of([all_of(guards) if every else any_of(guards), exact])


def _may_contain(array: Sql, key: Key) -> Sql:
    """Return a condition that arrays with an element of that key meet.

    :param array: the array as jsonb.
    """
    rank, value = key
    if rank == NUMBER and math.isfinite(value):
        # A number that compares as a float differs from it by less than its precision.
        margin = abs(int(value)) >> 52
        path = f"$[*] ? (@ >= {int(value) - margin} && @ <= {int(value) + margin})"
        return Sql(f"{array.text} @? %s::jsonpath", [*array.parameters, path])
    # jsonb has no null characters, whose escape looks like those of other control characters.
    is_convertible = rank in (ARRAY, OBJECT) and "\\u" not in value and storable(value)
    elements = f"[{value}]" if is_convertible else "[]"
    return Sql(f"{array.text} @> %s::jsonb", [*array.parameters, elements])


def _array(keys: Collection[Key]) -> str:
    return f"ARRAY[{', '.join([_KEY] * len(keys))}]::cliquet_key[]"


def _is_exact(key: Key) -> bool:
    """Return whether values with a key are those that jsonb considers equal to its value."""
    rank, value = key
    if rank == NUMBER:
        return bool(abs(value) <= _EXACT)
    return storable(value) if rank == TEXT else rank in (NULL, BOOLEAN)


def _json_value(key: Key) -> Any:
    rank, value = key
    return None if rank == NULL else value


def _like(text: Sql, pattern: str) -> Sql:
    """Return the condition that a casefolded string matches a pattern."""
    parts = pattern.casefold().split("*")
    if len(parts) == 1:
        return Sql(f"strpos({text.text}, %s) > 0", [*text.parameters, *parts])
    return Sql(f"cliquet_consists_of({text.text}, %s::text[])", [*text.parameters, parts])


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


def _text_of(key: Key) -> str | None:
    """Return the text of the values with the key of a string or a boolean; None: of others."""
    rank, value = key
    if rank == BOOLEAN:
        return "true" if value else "false"
    return value if rank == TEXT else None


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
