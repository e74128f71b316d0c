"""Fields and columns in the conditions of PostgreSQL.

Data fields are compared by their keys (see ``cliquet_key`` in ``migrations/001.sql``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from cliquet.storage.operators import folded
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
)
from cliquet.storage.postgresql.indexes import ELEMENTS, KEYS, TRIGRAMS
from cliquet.storage.sql_fragments import FALSE, SQL_SIGNS, Sql, all_of, any_of
from cliquet.utils import COMPARISON, json
from cliquet.utils.arrays import element_keys, is_nested
from cliquet.utils.fields import path_of

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

#: Returns whether an index of a kind contains the field with these names.
HasIndex = Callable[[str, Sequence[str]], bool]

#: Templates of the expressions of a JSON value that operators compare, by their ``comparable``.
COMPARED: dict[Callable[[Any], Any], str] = {
    order_key: "cliquet_key({})",
    folded: "cliquet_fold({})",
    element_keys: "({})::jsonb",
}

#: The JSON of the elements of an array that contains arrays or objects, which compare as JSON.
ELEMENT_TEXTS = """(SELECT ARRAY(SELECT element::text FROM json_array_elements(value) AS element)
 FROM (SELECT {} AS value OFFSET 0) AS field
 WHERE json_typeof(value) = 'array' AND value::text ~ '.[[{{]')"""

#: The templates of the expressions that convert an array, which is slow.
ARRAY_EXPRESSIONS = {COMPARED[element_keys], ELEMENT_TEXTS}


def template_of_element(value: object) -> str:
    """Return the template of the expression in which to look for an element."""
    return ELEMENT_TEXTS if is_nested(value) else COMPARED[element_keys]


class PostgreSQL:
    """The SQL of PostgreSQL (see :class:`cliquet.storage.sql_conditions.Dialect`).

    :param has_index: see :meth:`cliquet.storage.postgresql.indexes.Indexes.has`.
    """

    def __init__(self, has_index: HasIndex = lambda kind, names: False) -> None:
        self._has_index = has_index

    def field(self, name: str, columns: Mapping[str, str] | None = None) -> Field:
        """Return a field of the data.

        :param columns: the columns that contain expressions of :data:`COMPARED`.
        """
        return Field(name, columns, self._has_index)

    def one_of(self, column: str, rank: int, values: Sequence[Any]) -> Sql:
        if rank == TEXT:
            return Sql(f"{column} = ANY(%s::text[])", [text_array(values)])
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
    :param has_index: see :class:`PostgreSQL`.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, str] | None = None,
        has_index: HasIndex = lambda kind, names: False,
    ) -> None:
        self._names = names = [name, *path_of(name)]
        self._has_index = has_index
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

    def has_index(self, kind: str) -> bool:
        """Return whether an index of a kind contains the field."""
        return self._has_index(kind, self._names)

    def expression(self, template: str) -> Sql:
        """Return an expression of :data:`COMPARED`."""
        if template in self._columns:
            return Sql(self._columns[template], [])
        return Sql(template.format(self._value.text), self._value.parameters)

    def is_any_of(self, keys: Collection[Key]) -> Sql:
        if not keys:
            return FALSE
        guard = self._guard(keys)
        if self._is_computed and all(storable(_text_of(key)) for key in keys):
            has_text = self._has_text(keys)
            if not self.has_index(KEYS):
                return has_text
            guard = [has_text]  # redundant, but fast
        field, parameters = self.key, [part for key in keys for part in key_parameters(key)]
        equal = f"= {_KEY}" if len(keys) == 1 else f"= ANY({_array(keys)})"
        condition = Sql(f"{field.text} {equal}", [*field.parameters, *parameters])
        return all_of([*guard, condition])

    def _has_text(self, keys: Collection[Key]) -> Sql:
        """Return the condition for strings and booleans, which is faster than their keys."""
        value, conditions = self._value, []
        for rank in sorted({rank for rank, _ in keys}):
            text = f"({value.text}) #>> '{{}}' = ANY(%s::text[])"
            text += f" AND json_typeof({value.text}) = '{_TYPES[rank]}'"
            texts = [_text_of(key) for key in keys if key[0] == rank]
            parameters = [*value.parameters, texts, *value.parameters]
            # Not NULL, because conditions can be negated.
            conditions.append(Sql(f"coalesce({text}, false)", parameters))
        return any_of(conditions)

    def compares(self, comparison: COMPARISON, key: Key) -> Sql:
        guard, bound = self._guard([key]), self.is_ordered(comparison, key)
        # Values of other types are beyond the other end of this type's keys.
        is_lower_bound = comparison in (COMPARISON.MIN, COMPARISON.GT)
        rank, operator = (key[0] + 1, "<") if is_lower_bound else (key[0], ">=")
        text = f"({bound.text} AND {self.key.text} {operator} {_KEY})"
        parameters = [*bound.parameters, *self.key.parameters, rank, -_HUGE, b""]
        return all_of([*guard, Sql(text, parameters)])

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
        if not trigrams or not self.has_index(TRIGRAMS):
            return like
        # Redundant and expensive, but the index serves it.
        text = f"({like.text} AND cliquet_trigrams({self._value.text}) @> %s::text[])"
        return Sql(text, [*like.parameters, *self._value.parameters, trigrams])

    def has_elements(self, values: Sequence[Any], every: bool) -> Sql:
        nested = list(filter(is_nested, values))
        others = [value for value in values if not is_nested(value)]
        conditions = [self._has_nested(nested, every)] if nested else []
        if others or not nested:
            conditions.append(self._contains(others, every))
        is_array = Sql(f"json_typeof({self._value.text}) = 'array'", self._value.parameters)
        return all_of([is_array, all_of(conditions) if every else any_of(conditions)])

    def _contains(self, values: Sequence[Any], every: bool) -> Sql:
        """Return the condition that jsonb contains all of the values, or any."""
        array = self.expression(COMPARED[element_keys])
        groups = [values] if every else [[value] for value in values]
        parameters = [json.dumps(group) for group in groups]
        if len(parameters) == 1:
            return Sql(f"{array.text} @> %s::jsonb", [*array.parameters, *parameters])
        return Sql(f"{array.text} @> ANY(%s::jsonb[])", [*array.parameters, parameters])

    def _has_nested(self, values: Sequence[Any], every: bool) -> Sql:
        """Return the condition that all of some arrays and objects are elements, or any."""
        texts = self.expression(ELEMENT_TEXTS)
        parameters = [*texts.parameters, [json.dumps(value) for value in values]]
        are_equal = Sql(f"{texts.text} {'@>' if every else '&&'} %s::text[]", parameters)
        if ELEMENT_TEXTS in self._columns or not self.has_index(ELEMENTS):
            return are_equal
        # The first condition is redundant and slow, because it also finds objects with further
        # fields, but the index serves it.
        return all_of([self._contains(values, every), are_equal])


def _array(keys: Collection[Key]) -> str:
    return f"ARRAY[{', '.join([_KEY] * len(keys))}]::cliquet_key[]"


def _like(text: Sql, pattern: str) -> Sql:
    """Return the condition that a casefolded string matches a pattern."""
    parts = pattern.casefold().split("*")
    if len(parts) == 1:
        return Sql(f"strpos({text.text}, %s) > 0", [*text.parameters, *parts])
    return Sql(f"cliquet_consists_of({text.text}, %s::text[])", [*text.parameters, parts])


def _trigrams(pattern: str) -> list[str]:
    """Return trigrams that cover the fixed parts of a pattern.

    The other trigrams would make the index slower, and exclude only a few more strings.
    """
    trigrams: set[str] = set()
    for part in pattern.casefold().split("*"):
        last = len(part) - 3
        if last >= 0:
            trigrams.update(part[start : start + 3] for start in (*range(0, last, 3), last))
    return sorted(trigrams)


def text_array(values: Iterable[str]) -> str:
    """Return the array of those strings that the database can store.

    psycopg2 takes longer to write a list, string by string.
    """
    texts = [value.replace("\\", r"\\").replace('"', r"\"") for value in filter(storable, values)]
    return '{"' + '","'.join(texts) + '"}' if texts else "{}"


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
