"""Statements of queries (see :mod:`cliquet.storage.filtering`) in SQLite."""

from __future__ import annotations

from collections.abc import Iterable

from cliquet.storage.filtering import ALWAYS, FieldNames, Query, Span
from cliquet.storage.ordering import order_key
from cliquet.storage.sql_conditions import Conditions
from cliquet.storage.sql_fragments import TRUE, Sql
from cliquet.storage.sqlite.dialect import KEY, Field, SQLite
from cliquet.storage.types import MISSING, Sort
from cliquet.utils import COMPARISON

_DIALECT = SQLite()

_PART = """SELECT id, last_modified, {} AS data{} FROM {}{}
 WHERE collection = ? AND {} AND {} AND {}"""
_PAGE = "{} ORDER BY {} LIMIT ?"
# LIMIT -1 prevents SQLite from evaluating a key again for each comparison.
_KEYED_PAGE = """SELECT id, last_modified, CAST(data AS BLOB) FROM ({} LIMIT -1)
 WHERE {} ORDER BY {} LIMIT ?"""
_COUNT = """SELECT count(*) FROM records{}
 WHERE collection = ? AND {} AND {}"""
_OLDEST = """SELECT id, last_modified, NULL FROM records
 WHERE collection = ? AND {} AND {} ORDER BY last_modified"""


def page(collection: int, query: Query) -> Sql:
    """Return the statement that selects the ids, timestamps and data of a page."""
    fields = _data_fields(query)
    order = ", ".join(_order(sort, query.names, fields) for sort in query.sorting)
    union = _union(collection, query, fields)
    limit = -1 if query.limit is None else query.limit
    if not fields:
        return Sql(_PAGE.format(union.text, order), [*union.parameters, limit])
    rules = Conditions(_DIALECT, query, fields=fields).rules()
    text = _KEYED_PAGE.format(union.text, rules.text, order)
    return Sql(text, [*union.parameters, *rules.parameters, limit])


def count(collection: int, query: Query) -> Sql:
    """Return the statement that counts the records that match the filters."""
    where = Conditions(_DIALECT, query).filters()
    span = _in_span(query, query.span)
    text = _COUNT.format(_index(query, "records"), span.text, where.text)
    return Sql(text, [collection, *span.parameters, *where.parameters])


def oldest_first(collection: int, query: Query) -> Sql:
    """Return the statement that selects the ids of the matching records."""
    where = Conditions(_DIALECT, query).filters()
    span = _in_span(query, query.span)
    text = _OLDEST.format(span.text, where.text)
    return Sql(text, [collection, *span.parameters, *where.parameters])


def _data_fields(query: Query) -> dict[str, Field]:
    """Return the data fields (not columns) in the order."""
    names = [sort.field for sort in query.sorting]
    names += [filter_.field for rule in query.rules for filter_ in rule]
    columns = (query.names.id, query.names.modified)
    return {
        name: Field(name, number)
        for number, name in enumerate(dict.fromkeys(names))
        if name not in columns
    }


def _union(collection: int, query: Query, fields: dict[str, Field]) -> Sql:
    """Return the statement for records, and for tombstones if included.

    Without such fields, SQLite reads the tables in order and merges them, up to the end of
    the page.
    """
    records = _part(collection, query, fields)
    if not query.include_deleted:
        return records
    tombstones = _part(collection, query, fields, deleted=True)
    text = f"{records.text} UNION ALL {tombstones.text}"
    return Sql(text, [*records.parameters, *tombstones.parameters])


def _part(collection: int, query: Query, fields: dict[str, Field], deleted: bool = False) -> Sql:
    """Return the statement for the records, or for the tombstones."""
    table = "tombstones" if deleted else "records"
    conditions = Conditions(_DIALECT, query, deleted)
    span, where = _in_span(query, query.page_span), conditions.filters()
    rules = TRUE if fields else conditions.rules()
    if deleted:
        data, keys = "NULL", _tombstone_keys(query, fields)
    else:
        data = "data" if fields else "CAST(data AS BLOB)"
        keys = [field.key() for field in fields.values()]
    columns = "".join(key.text for key in keys)
    text = _PART.format(
        data, columns, table, _index(query, table), span.text, where.text, rules.text
    )
    parameters = [part for key in keys for part in key.parameters]
    parameters += [collection, *span.parameters, *where.parameters, *rules.parameters]
    return Sql(text, parameters)


def _tombstone_keys(query: Query, fields: Iterable[str]) -> list[Sql]:
    """Return the columns of the sort keys of tombstones, which are constant."""
    mark = query.names.deleted
    return [
        Sql(KEY.format("?", "?", number), [*order_key(True if field == mark else MISSING)])
        for number, field in enumerate(fields)
    ]


def _in_span(query: Query, span: Span) -> Sql:
    # With one bound, SQLite prefers the index of the timestamps to one that serves no filter, and
    # one that serves a filter to that of the timestamps.
    if query.filters and span == ALWAYS:
        return Sql("last_modified >= ?", [span.low])
    return Sql("last_modified BETWEEN ? AND ?", [*span])


def _index(query: Query, table: str) -> str:
    """Return the clause that looks up ids one by one, if the filters select ids."""
    selects = (COMPARISON.EQ, COMPARISON.IN)
    by_id = any(f.field == query.names.id and f.operator in selects for f in query.filters)
    return f" INDEXED BY {table}_id" if by_id else ""


def _order(sort: Sort, names: FieldNames, fields: dict[str, Field]) -> str:
    direction = "DESC" if sort.direction < 0 else "ASC"
    if sort.field in fields:
        return fields[sort.field].order(direction)
    return f"{'id' if sort.field == names.id else 'last_modified'} {direction}"
