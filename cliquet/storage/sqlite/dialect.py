"""Fields and columns in the conditions of SQLite.

Fields are looked up by ``json_each``, whose ``key`` can be any string, unlike the paths of the
other JSON functions.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from cliquet.storage.ordering import (
    ABSENT,
    ARRAY,
    BOOLEAN,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    Key,
    order_key,
    path_of,
)
from cliquet.storage.sql_fragments import OPERATORS, TRUE, Sql, all_of, any_of, negated
from cliquet.utils import COMPARISON, json

_ABSENT: Key = ABSENT, 0

# The types of a JSON value by rank.
_TYPES = {
    NULL: "{0}.type = 'null'",
    TEXT: "{0}.type = 'text'",
    NUMBER: "{0}.type IN ('integer', 'real')",
    BOOLEAN: "{0}.type IN ('true', 'false')",
    ARRAY: "{0}.type = 'array'",
    OBJECT: "{0}.type = 'object'",
}
_IN_LIST = " IN (SELECT value FROM json_each(?))"

# The type and value of a field, by its own name or by the path of a nested one.
_OWN = "SELECT type, value FROM json_each(data) WHERE key = ?"
_NESTED = """SELECT child.type, child.value FROM ({}) AS parent,
 json_each(CASE parent.type WHEN 'object' THEN parent.value ELSE '{{}}' END) AS child
 WHERE child.key = ?"""
_EITHER = "{} UNION ALL {} AND NOT EXISTS (SELECT 1 FROM json_each(data) WHERE key = ?)"

_FIELD_EXISTS = "EXISTS (SELECT 1 FROM ({}) AS field WHERE {})"
_ELEMENT_EXISTS = """EXISTS (SELECT 1
 FROM json_each(CASE field.type WHEN 'array' THEN field.value ELSE '[]' END) AS element WHERE {})"""

# The rank and the value of a data field, in the order of values.
_RANK = """ifnull((SELECT CASE type WHEN 'null' THEN 0 WHEN 'text' THEN 1 WHEN 'integer' THEN 2
 WHEN 'real' THEN 2 WHEN 'array' THEN 4 WHEN 'object' THEN 5 ELSE 3 END FROM ({})), 6)"""
_VALUE = "ifnull((SELECT value FROM ({})), 0)"

#: The columns of a sort key.
KEY = ", {0} AS rank{2}, {1} AS value{2}"


class SQLite:
    """The SQL of SQLite (see :class:`cliquet.storage.sql_conditions.Dialect`)."""

    def field(self, name: str) -> Field:
        return Field(name)

    def one_of(self, column: str, rank: int, values: Sequence[Any]) -> Sql:
        return _one_of(column, values)

    def compared(self, column: str, comparison: COMPARISON, value: Any) -> Sql:
        return Sql(f"{column} {OPERATORS[comparison]} ?", [value])

    def like(self, column: str, pattern: str) -> Sql:
        return Sql(f"cliquet_like({column}, ?)", [pattern])


class Field:
    """A field of the data.

    :param name: its name; dots descend into objects.
    :param number: what the names of the columns of its sort key end with.
    """

    def __init__(self, name: str, number: int = 0) -> None:
        self._number = number
        path = path_of(name)
        if not path:
            self._source = Sql(_OWN, [name])
        else:
            nested = _OWN
            for _ in path[1:]:
                nested = _NESTED.format(nested)
            self._source = Sql(_EITHER.format(_OWN, nested), [name, *path, name])

    def key(self) -> Sql:
        """Return the columns of the sort key."""
        source, parameters = self._source
        rank, value = _RANK.format(source), _VALUE.format(source)
        return Sql(KEY.format(rank, value, self._number), [*parameters, *parameters])

    def order(self, direction: str) -> str:
        """Return the order of the sort key."""
        return f"rank{self._number} {direction}, value{self._number} {direction}"

    def is_any_of(self, keys: Collection[Key]) -> Sql:
        condition = self._exists(_has_key("field", keys))
        if _ABSENT in keys:
            return any_of([condition, negated(self.exists())])
        return condition

    def compares(self, comparison: COMPARISON, key: Key) -> Sql:
        rank, value = key
        text = f"{_TYPES[rank].format('field')} AND field.value {OPERATORS[comparison]} ?"
        return self._exists(Sql(text, [value]))

    def is_ordered(self, comparison: COMPARISON, key: Key) -> Sql:
        number = self._number
        return Sql(f"(rank{number}, value{number}) {OPERATORS[comparison]} (?, ?)", [*key])

    def exists(self) -> Sql:
        return self._exists(TRUE)

    def is_like(self, pattern: str) -> Sql:
        return self._exists(Sql("field.type = 'text' AND cliquet_like(field.value, ?)", [pattern]))

    def has_elements(self, keys: Collection[Key], every: bool) -> Sql:
        groups = [[key] for key in keys] if every else [keys]
        conditions = [Sql("field.type = 'array'", [])]
        for group in groups:
            element = _has_key("element", group)
            conditions.append(Sql(_ELEMENT_EXISTS.format(element.text), element.parameters))
        return self._exists(all_of(conditions))

    def _exists(self, condition: Sql) -> Sql:
        text = _FIELD_EXISTS.format(self._source.text, condition.text)
        return Sql(text, [*self._source.parameters, *condition.parameters])


def same_value(field: str, value: object) -> Sql:
    """Return the condition that a data field equals a value, and has the same type."""
    condition = _has_key("field", [order_key(value)])
    return Sql(_FIELD_EXISTS.format(_OWN, condition.text), [field, *condition.parameters])


def _has_key(alias: str, keys: Collection[Key]) -> Sql:
    """Return the condition that a JSON value, which is not absent, has one of the keys."""
    values: dict[int, list[Any]] = {}
    for rank, value in keys:
        if rank in _TYPES:
            values.setdefault(rank, []).append(value)
    conditions = []
    for rank, some in values.items():
        equal = _one_of(f"ifnull({alias}.value, 0)", some)
        text = f"({_TYPES[rank].format(alias)} AND {equal.text})"
        conditions.append(Sql(text, equal.parameters))
    return any_of(conditions)


def _one_of(value: str, comparables: Sequence[Any]) -> Sql:
    if len(comparables) == 1:
        return Sql(value + " = ?", [*comparables])
    # One parameter, because SQLite limits their number. JSON has no infinities, and SQLite cuts
    # it at null characters, which no stored string contains.
    listed = [item for item in comparables if json.unstorable(item) is None]
    infinite = [item for item in comparables if isinstance(item, float) and math.isinf(item)]
    in_list = Sql(value + _IN_LIST, [json.dumps(listed)])
    return any_of([in_list, *(Sql(value + " = ?", [item]) for item in infinite)])
