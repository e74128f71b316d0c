"""Statements of queries (see :mod:`cliquet.storage.filtering`) in SQLite."""

from __future__ import annotations

from cliquet.storage.filtering import ALWAYS, FieldNames, Query, Span
from cliquet.storage.ordering import order_key
from cliquet.storage.sql_conditions import Conditions
from cliquet.storage.sql_fragments import TRUE, Sql
from cliquet.storage.sqlite.dialect import KEY, Field, SQLite
from cliquet.storage.types import MISSING, Sort
from cliquet.utils import COMPARISON

_DIALECT = SQLite()

_RECORDS = """SELECT id, last_modified, {} AS data{} FROM records{}
 WHERE collection = ? AND {} AND {} AND {}"""
_TOMBSTONES = """SELECT id, last_modified, NULL AS data{} FROM tombstones{}
 WHERE collection = ? AND {} AND {} AND {}"""
# If the filters select ids, look them up one by one.
_RECORDS_BY_ID = " INDEXED BY records_id"
_TOMBSTONES_BY_ID = " INDEXED BY tombstones_id"
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
    by_id = _RECORDS_BY_ID if _by_id(query) else ""
    span = _in_span(query, query.span)
    text = _COUNT.format(by_id, span.text, where.text)
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
    records = _records(collection, query, fields)
    if not query.include_deleted:
        return records
    tombstones = _tombstones(collection, query, list(fields))
    text = f"{records.text} UNION ALL {tombstones.text}"
    return Sql(text, [*records.parameters, *tombstones.parameters])


def _records(collection: int, query: Query, fields: dict[str, Field]) -> Sql:
    keys = [field.key() for field in fields.values()]
    conditions = Conditions(_DIALECT, query)
    span, where = _in_span(query, query.page_span), conditions.filters()
    rules = TRUE if fields else conditions.rules()
    text = _RECORDS.format(
        "data" if fields else "CAST(data AS BLOB)",
        "".join(key.text for key in keys),
        _RECORDS_BY_ID if _by_id(query) else "",
        span.text,
        where.text,
        rules.text,
    )
    parameters = [part for key in keys for part in key.parameters]
    return Sql(
        text,
        [*parameters, collection, *span.parameters, *where.parameters, *rules.parameters],
    )


def _tombstones(collection: int, query: Query, fields: list[str]) -> Sql:
    conditions = Conditions(_DIALECT, query, deleted=True)
    span, where = _in_span(query, query.page_span), conditions.filters()
    rules = TRUE if fields else conditions.rules()
    text = _TOMBSTONES.format(
        "".join(KEY.format("?", "?", number) for number, _ in enumerate(fields)),
        _TOMBSTONES_BY_ID if _by_id(query) else "",
        span.text,
        where.text,
        rules.text,
    )
    mark = query.names.deleted
    keys = [order_key(True if field == mark else MISSING) for field in fields]
    parameters = [part for key in keys for part in key]
    return Sql(
        text,
        [*parameters, collection, *span.parameters, *where.parameters, *rules.parameters],
    )


def _in_span(query: Query, span: Span) -> Sql:
    # With one bound, SQLite prefers the index of the timestamps to one that serves no filter, and
    # one that serves a filter to that of the timestamps.
    if query.filters and span == ALWAYS:
        return Sql("last_modified >= ?", [span.low])
    return Sql("last_modified BETWEEN ? AND ?", [*span])


def _by_id(query: Query) -> bool:
    """Return whether the filters select ids."""
    selects = (COMPARISON.EQ, COMPARISON.IN)
    return any(f.field == query.names.id and f.operator in selects for f in query.filters)


def _order(sort: Sort, names: FieldNames, fields: dict[str, Field]) -> str:
    direction = "DESC" if sort.direction < 0 else "ASC"
    if sort.field in fields:
        return fields[sort.field].order(direction)
    return f"{'id' if sort.field == names.id else 'last_modified'} {direction}"
