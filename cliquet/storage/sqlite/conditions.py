"""Translation of queries (see :mod:`cliquet.storage.matching`) into SQL.

A condition is an SQL string, composed of the constants below, and the parameters of its
question marks. Fields are looked up by ``json_each``, whose ``key`` can be any string,
unlike the paths of the other JSON functions.
"""

from __future__ import annotations

import math
from typing import Any

from cliquet.storage import Filter, Sort
from cliquet.storage.matching import (
    ARRAY,
    BOOLEAN,
    COMPARE,
    NEGATIVE,
    NULL,
    NUMBER,
    OBJECT,
    RANGES,
    TEXT,
    FieldNames,
    Query,
    Span,
    accepted_keys,
    key_test,
    order_key,
    range_bound,
)
from cliquet.storage.sql_fragments import FALSE, OPERATORS, TRUE, Sql, all_of, any_of
from cliquet.utils import COMPARISON, json

# The types of a data field by rank.
_TYPES = {
    NULL: "type = 'null' AND ",
    TEXT: "type = 'text' AND ",
    NUMBER: "type IN ('integer', 'real') AND ",
    BOOLEAN: "type IN ('true', 'false') AND ",
    ARRAY: "type = 'array' AND ",
    OBJECT: "type = 'object' AND ",
}
_VALUE = "ifnull(value, 0)"
_IN_LIST = " IN (SELECT value FROM json_each(?))"
_FIELD_EXISTS = "EXISTS (SELECT 1 FROM json_each(data) WHERE key = ? AND ({}))"

_WHERE = "WHERE collection = ? AND last_modified BETWEEN ? AND ? AND"

# The rank and the value of a data field, in the order of values.
_KEY = """,
 ifnull((SELECT CASE type WHEN 'null' THEN 0 WHEN 'text' THEN 1 WHEN 'integer' THEN 2
  WHEN 'real' THEN 2 WHEN 'array' THEN 4 WHEN 'object' THEN 5 ELSE 3 END
  FROM json_each(data) WHERE key = ?), 6) AS rank{0},
 ifnull((SELECT value FROM json_each(data) WHERE key = ?), 0) AS value{0}"""

_RECORDS = "SELECT id, last_modified, {} AS data{} FROM records{}"
_TOMBSTONES = """SELECT id, last_modified, {} AS data{} FROM (
 SELECT collection, id, last_modified, json_object(?, json('true')) AS data FROM tombstones{})"""
# If the filters select ids, look them up one by one.
_RECORDS_BY_ID = " INDEXED BY records_id"
_TOMBSTONES_BY_ID = " INDEXED BY tombstones_id"
_KEYED = "SELECT id, last_modified, CAST(data AS BLOB) FROM ("
# LIMIT -1 prevents SQLite from evaluating a key again for each comparison.
_KEYED_WHERE = "LIMIT -1) WHERE"
_COUNT = "SELECT count(*) FROM records"
_OLDEST = "SELECT id, last_modified, NULL FROM records"


def page(collection: int, asked: Query) -> Sql:
    """Return the statement that selects the ids, timestamps and data of a page."""
    names = asked.names
    fields = _data_fields(asked)
    rules = any_of([all_of([_ordered(f, names, fields) for f in r]) for r in asked.rules])
    if not asked.rules:
        rules = TRUE
    order = ", ".join(_order(sort, names, fields) for sort in asked.sorting)
    keyed = bool(fields)
    union = _union(collection, asked, fields, TRUE if keyed else rules)
    limit = -1 if asked.limit is None else asked.limit
    if keyed:
        text = " ".join(
            (_KEYED, union.text, _KEYED_WHERE, rules.text, "ORDER BY", order, "LIMIT ?")
        )
        return Sql(text, [*union.parameters, *rules.parameters, limit])
    text = " ".join((union.text, "ORDER BY", order, "LIMIT ?"))
    return Sql(text, [*union.parameters, limit])


def count(collection: int, asked: Query) -> Sql:
    """Return the statement that counts the records that match the filters."""
    where = _where(collection, asked, asked.span, deleted=False)
    by_id = _RECORDS_BY_ID if _by_id(asked) else ""
    return Sql(" ".join((_COUNT, by_id, where.text)), where.parameters)


def oldest_first(collection: int, asked: Query) -> Sql:
    """Return the statement that selects the ids of the matching records."""
    where = _where(collection, asked, asked.span, deleted=False)
    return Sql(" ".join((_OLDEST, where.text, "ORDER BY last_modified")), where.parameters)


def same_value(field: str, value: Any) -> Sql:
    """Return the condition that a data field equals a value, and has the same type."""
    rank, comparable = order_key(value)
    condition = _FIELD_EXISTS.format(_TYPES[rank] + _VALUE + " = ?")
    return Sql(condition, [field, comparable])


def _data_fields(asked: Query) -> dict[str, int]:
    """Return the numbers of the data fields (not columns) in the order."""
    fields = [sort.field for sort in asked.sorting]
    fields += [filter_.field for rule in asked.rules for filter_ in rule]
    columns = (asked.names.id, asked.names.modified)
    return {name: n for n, name in enumerate(dict.fromkeys(fields)) if name not in columns}


def _union(collection: int, asked: Query, fields: dict[str, int], rules: Sql) -> Sql:
    """Return the statement for records, and for tombstones if included.

    Without such fields, SQLite reads the tables in order and merges them, up to the end of
    the page.
    """
    keys = "".join(_KEY.format(number) for number in fields.values())
    data = "data" if fields else "CAST(data AS BLOB)"
    parameters: list[Any] = [name for name in fields for _ in range(2)]
    where = _where(collection, asked, asked.page_span, deleted=False)
    by_id = _by_id(asked)
    records = _RECORDS.format(data, keys, _RECORDS_BY_ID if by_id else "")
    text = " ".join((records, where.text, "AND", rules.text))
    found = [*parameters, *where.parameters, *rules.parameters]
    if asked.include_deleted:
        where = _where(collection, asked, asked.page_span, deleted=True)
        tombstones = _TOMBSTONES.format(data, keys, _TOMBSTONES_BY_ID if by_id else "")
        text = " ".join((text, "UNION ALL", tombstones, where.text, "AND", rules.text))
        found += [*parameters, asked.names.deleted, *where.parameters, *rules.parameters]
    return Sql(text, found)


def _where(collection: int, asked: Query, span: Span, deleted: bool) -> Sql:
    filters = all_of([_filter(filter_, asked.names, deleted) for filter_ in asked.filters])
    return Sql(" ".join((_WHERE, filters.text)), [collection, *span, *filters.parameters])


def _by_id(asked: Query) -> bool:
    """Return whether the filters select ids."""
    named = (COMPARISON.EQ, COMPARISON.IN)
    return any(f.field == asked.names.id and f.operator in named for f in asked.filters)


def _filter(filter_: Filter, names: FieldNames, deleted: bool) -> Sql:
    if filter_.field == names.deleted:
        return TRUE if key_test(filter_)(order_key(deleted)) else FALSE
    if filter_.field == names.id:
        found = _equal_or_in_range(filter_, "id", {TEXT: ""})
    elif filter_.field == names.modified:
        found = _equal_or_in_range(filter_, "last_modified", {NUMBER: ""})
    else:
        found = _equal_or_in_range(filter_, _VALUE, _TYPES)
        found = Sql(_FIELD_EXISTS.format(found.text), [filter_.field, *found.parameters])
    if filter_.operator in NEGATIVE:
        return Sql(f"NOT ({found.text})", found.parameters)
    return found


def _equal_or_in_range(filter_: Filter, value: str, types: dict[int, str]) -> Sql:
    """Return the condition that a value matches ``filter_``.

    :param types: the conditions of the types that the value can have, by rank.
    """
    if filter_.operator in RANGES:
        bound = range_bound(filter_)
        if bound is None or bound[0] not in types:
            return FALSE
        return Sql(f"{types[bound[0]]}{value} {OPERATORS[filter_.operator]} ?", [bound[1]])
    accepted: dict[int, list[Any]] = {}
    for rank, comparable in accepted_keys(filter_):
        if rank in types:
            accepted.setdefault(rank, []).append(comparable)
    return any_of(
        [_one_of(types[rank] + value, comparables) for rank, comparables in accepted.items()]
    )


def _one_of(value: str, comparables: list[Any]) -> Sql:
    if len(comparables) == 1:
        return Sql(value + " = ?", comparables)
    # One parameter, because SQLite limits their number. JSON has no infinities, and SQLite cuts
    # it at null characters, which no stored string contains.
    listed = [item for item in comparables if json.unstorable(item) is None]
    infinite = [item for item in comparables if isinstance(item, float) and math.isinf(item)]
    in_list = Sql(value + _IN_LIST, [json.dumps(listed)])
    return any_of([in_list, *(Sql(value + " = ?", [item]) for item in infinite)])


def _ordered(filter_: Filter, names: FieldNames, fields: dict[str, int]) -> Sql:
    """Return the condition for a filter in a pagination rule."""
    field, value, comparison = filter_
    rank, comparable = order_key(value)
    if field in fields:
        number = fields[field]
        text = f"(rank{number}, value{number}) {OPERATORS[comparison]} (?, ?)"
        return Sql(text, [rank, comparable])
    column, column_rank = ("id", TEXT) if field == names.id else ("last_modified", NUMBER)
    if rank != column_rank:
        return TRUE if COMPARE[comparison](column_rank, rank) else FALSE
    return Sql(f"{column} {OPERATORS[comparison]} ?", [comparable])


def _order(sort: Sort, names: FieldNames, fields: dict[str, int]) -> str:
    direction = "DESC" if sort.direction < 0 else "ASC"
    if sort.field in fields:
        number = fields[sort.field]
        return f"rank{number} {direction}, value{number} {direction}"
    return f"{'id' if sort.field == names.id else 'last_modified'} {direction}"
