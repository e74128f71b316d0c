"""Fields and columns in the conditions of SQLite.

The functions ``json_type`` and ``json_extract`` look up fields whose names they support: an index
on such an expression serves the conditions. ``json_each`` looks up the others: its ``key`` can be
any string.
"""

from __future__ import annotations

import math
import re
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
)
from cliquet.storage.sql_fragments import FALSE, SQL_SIGNS, Sql, all_of, any_of, negated
from cliquet.utils import COMPARISON, json
from cliquet.utils.fields import path_of

_ABSENT: Key = ABSENT, 0

# Whether a JSON value has a type, by rank. Never NULL, so that it can be negated.
_TYPES = {
    NULL: "{0} IS 'null'",
    TEXT: "{0} IS 'text'",
    NUMBER: "ifnull({0}, '') IN ('integer', 'real')",
    BOOLEAN: "ifnull({0}, '') IN ('true', 'false')",
    ARRAY: "{0} IS 'array'",
    OBJECT: "{0} IS 'object'",
}
# Lists of so few values have a parameter for each, and statistics show SQLite if an index helps.
_FEW = 20
_IN_LIST = " IN (SELECT value FROM json_each(?))"

# The ends of the values of a type, in the order of SQLite: numbers (also for booleans), strings,
# binary values.
_BEGINS_AT = {NUMBER: ">= -9e999", BOOLEAN: ">= -9e999", TEXT: ">= ''"}
_ENDS_BELOW = {NUMBER: "< ''", BOOLEAN: "< ''", TEXT: "< x''"}

# Names that need no quotes or escapes in JSON, in paths or in SQL.
_PLAIN = re.compile("[-A-Za-z0-9_.]+")

# The field before the last of a path, if it is an object.
_OBJECT = "CASE part{0}.type WHEN 'object' THEN part{0}.value ELSE '{{}}' END"

_LOOKUP = "(SELECT part{}.{} FROM {} WHERE {})"

_RANK = """CASE {} WHEN 'null' THEN 0 WHEN 'text' THEN 1 WHEN 'integer' THEN 2 WHEN 'real' THEN 2
 WHEN 'true' THEN 3 WHEN 'false' THEN 3 WHEN 'array' THEN 4 WHEN 'object' THEN 5 ELSE 6 END"""
_VALUE = "CASE {} WHEN 'null' THEN 0 ELSE ifnull({}, 0) END"

#: The columns of a sort key.
KEY = ", {0} AS rank{2}, {1} AS value{2}"


class SQLite:
    """The SQL of SQLite (see :class:`cliquet.storage.sql_conditions.Dialect`)."""

    def field(self, name: str) -> Field:
        return Field(name)

    def one_of(self, column: str, rank: int, values: Sequence[Any]) -> Sql:
        return _one_of(Sql(column, []), values)

    def compared(self, column: str, comparison: COMPARISON, value: Any) -> Sql:
        return Sql(f"{column} {SQL_SIGNS[comparison]} ?", [value])

    def like(self, column: str, pattern: str) -> Sql:
        return Sql(f"cliquet_like({column}, ?)", [pattern])


class Field:
    """A field of the data.

    :param name: its name; dots descend into objects.
    :param number: what the names of the columns of its sort key end with.
    """

    def __init__(self, name: str, number: int = 0) -> None:
        self._name, self._number = name, number
        paths = [[name], path_of(name)] if path_of(name) else [[name]]
        self._type, self._value = map(_first_of, zip(*map(_at, paths), strict=True))

    def key(self) -> Sql:
        """Return the columns of the sort key."""
        rank, value = _sql(_RANK, self._type), _sql(_VALUE, self._type, self._value)
        return _sql(KEY.format("{}", "{}", self._number), rank, value)

    def order(self, direction: str) -> str:
        """Return the order of the sort key."""
        return f"rank{self._number} {direction}, value{self._number} {direction}"

    def is_any_of(self, keys: Collection[Key]) -> Sql:
        condition = _has_key(self._type, self._value, keys)
        if _ABSENT in keys:
            return any_of([condition, negated(self.exists())])
        return condition

    def compares(self, comparison: COMPARISON, key: Key) -> Sql:
        rank, value = key
        parameters = [*self._value.parameters, value]
        in_range = Sql(f"{self._value.text} {SQL_SIGNS[comparison]} ?", parameters)
        # Redundant, but for a range with one end, SQLite reads all records.
        is_lower_bound = comparison in (COMPARISON.MIN, COMPARISON.GT)
        other_end = (_ENDS_BELOW if is_lower_bound else _BEGINS_AT)[rank]
        return all_of(
            [_sql(_TYPES[rank], self._type), in_range, _sql(f"{{}} {other_end}", self._value)]
        )

    def is_ordered(self, comparison: COMPARISON, key: Key) -> Sql:
        number = self._number
        return Sql(f"(rank{number}, value{number}) {SQL_SIGNS[comparison]} (?, ?)", [*key])

    def exists(self) -> Sql:
        return _sql("{} IS NOT NULL", self._type)

    def is_like(self, pattern: str) -> Sql:
        parameters = [*self._value.parameters, pattern]
        matches = Sql(f"cliquet_like({self._value.text}, ?)", parameters)
        return all_of([_sql(_TYPES[TEXT], self._type), matches])

    def has_elements(self, values: Sequence[Any], every: bool) -> Sql:
        function = "cliquet_contains" if every else "cliquet_contains_any"
        # Pass the whole document: extracting a long array takes SQLite longer than the call.
        return Sql(f"{function}(data, ?, ?)", [self._name, json.dumps(values)])


def same_value(field: str, value: object) -> Sql:
    """Return the condition that a data field equals a value, and has the same type."""
    return _has_key(*_at([field]), [order_key(value)])


def _at(path: Sequence[str]) -> tuple[Sql, Sql]:
    """Return the type and the value of the field at a path."""
    if all(map(_PLAIN.fullmatch, path)):
        place = ".".join(f'"{name}"' for name in path)
        return Sql(f"json_type(data, '$.{place}')", []), Sql(f"json_extract(data, '$.{place}')", [])
    objects = ["data", *(_OBJECT.format(number) for number in range(len(path) - 1))]
    tables = ", ".join(f"json_each({part}) AS part{n}" for n, part in enumerate(objects))
    keys = " AND ".join(f"part{number}.key = ?" for number in range(len(path)))
    last = len(path) - 1
    type_, value = (_LOOKUP.format(last, column, tables, keys) for column in ("type", "value"))
    return Sql(type_, [*path]), Sql(value, [*path])


def _first_of(expressions: Sequence[Sql]) -> Sql:
    """Return the first expression that isn't NULL."""
    if len(expressions) == 1:
        return expressions[0]
    return _sql("coalesce({}, {})", *expressions)


def _sql(template: str, *parts: Sql) -> Sql:
    """Return a fragment that consists of others."""
    parameters = [parameter for part in parts for parameter in part.parameters]
    return Sql(template.format(*[part.text for part in parts]), parameters)


def _has_key(type_: Sql, value: Sql, keys: Collection[Key]) -> Sql:
    """Return the condition that a JSON value has one of the keys.

    :param type_: its type, NULL if it is absent.
    """
    values: dict[int, list[Any]] = {}
    for rank, comparable in keys:
        if rank in _TYPES:
            values.setdefault(rank, []).append(comparable)
    conditions = []
    for rank, some in values.items():
        has_type = _sql(_TYPES[rank], type_)
        conditions.append(has_type if rank == NULL else all_of([has_type, _one_of(value, some)]))
    condition = any_of(conditions)
    if len(values) > 1 and not values.keys() & {NULL, ARRAY, OBJECT} and _ABSENT not in keys:
        # Redundant, but an index serves it.
        return all_of(
            [_one_of(value, [item for some in values.values() for item in some]), condition]
        )
    return condition


def _one_of(value: Sql, comparables: Sequence[Any]) -> Sql:
    """Return the condition that a value is one of others, which are not NULL."""
    # NaN, which equals nothing, would become NULL.
    comparables = [
        item for item in comparables if not (isinstance(item, float) and math.isnan(item))
    ]
    if not comparables:
        return FALSE
    if len(comparables) == 1:
        return Sql(f"{value.text} = ?", [*value.parameters, *comparables])
    if len(comparables) <= _FEW:
        places = ", ".join("?" * len(comparables))
        return Sql(f"{value.text} IN ({places})", [*value.parameters, *comparables])
    # One parameter, because SQLite limits their number. JSON has no infinities, and SQLite cuts
    # it at null characters, which no stored string contains.
    listed = [item for item in comparables if json.unstorable(item) is None]
    infinite = [item for item in comparables if isinstance(item, float) and math.isinf(item)]
    in_list = Sql(value.text + _IN_LIST, [*value.parameters, json.dumps(listed)])
    equal = [Sql(f"{value.text} = ?", [*value.parameters, item]) for item in infinite]
    return any_of([in_list, *equal])
