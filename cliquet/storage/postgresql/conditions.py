"""Translation of queries (see :mod:`cliquet.storage.matching`) into SQL.

A condition is an SQL string, composed of the constants below, with its parameters. Data fields
are compared by their keys (see ``schema.sql``). Tombstones have no data, so conditions on
their fields are evaluated here.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from cliquet.storage import MISSING, Filter, Sort
from cliquet.storage.matching import (
    ALWAYS,
    BOOLEAN,
    COMPARE,
    NEGATIVE,
    NUMBER,
    RANGES,
    TEXT,
    FieldNames,
    Key,
    Query,
    Span,
    accepted_keys,
    key_test,
    order_key,
    range_bound,
)
from cliquet.storage.sql_fragments import FALSE, OPERATORS, TRUE, Sql, all_of, any_of
from cliquet.utils import COMPARISON

_INT64 = 1 << 63
# Beyond all floats, as in cliquet_key().
_HUGE = Decimal("1e310")

# The key of a record's field, and the key it is compared with.
_FIELD = "cliquet_key(data -> %s::text)"
_KEY = "ROW(%s, %s, %s)::cliquet_key"

_PART = "(SELECT id, last_modified, {data} AS data{keys} FROM {table} WHERE "
_END = " ORDER BY {order} LIMIT %s)"
_COLUMNS = {"records": "cliquet_records", "tombstones": "cliquet_tombstones"}

_PAGE = """
SELECT id, page.last_modified, data, collection, collections.last_modified, collections.count
 FROM cliquet_collections AS collections LEFT JOIN LATERAL (SELECT id, last_modified, data FROM
 {page}
 AS found ORDER BY {order} LIMIT %s) AS page ON true
 WHERE parent_id = %s AND collection_id = %s"""

# The first rows whose JSON has fewer than so many bytes, and the next one.
_MEASURED = """(SELECT id, last_modified, data{keys} FROM (SELECT *, sum(octet_length(data::text))
 OVER (ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before
 FROM {page} AS found ORDER BY {order} LIMIT %s) AS measured
 WHERE before IS NULL OR before < %s)"""

_COUNT = "SELECT count(*) FROM cliquet_records WHERE collection = %s AND "

_IN_COLLECTION = "collection = collections.collection"
_IN_NAMED_COLLECTION = """collection = (SELECT collection FROM cliquet_collections
 WHERE parent_id = %s AND collection_id = %s)"""

# Delete in the order of the timestamps: each record gets the next timestamp after that of the
# collection, which is already locked.
_DELETE_ALL = """
WITH place AS (
 SELECT collection, greatest(%s, last_modified + 1) - 1 AS before FROM cliquet_collections
  WHERE parent_id = %s AND collection_id = %s
), doomed AS (
 SELECT id, row_number() OVER (ORDER BY last_modified) AS number FROM cliquet_records WHERE {}
), gone AS (
 DELETE FROM cliquet_records AS records USING place, doomed
  WHERE records.collection = place.collection AND records.id = doomed.id
), kept AS (
 INSERT INTO cliquet_tombstones (collection, last_modified, id)
  SELECT collection, before + number, id FROM place, doomed WHERE %s
), moved AS (
 UPDATE cliquet_collections AS collections
  SET last_modified = before + (SELECT count(*) FROM doomed),
   count = count - (SELECT count(*) FROM doomed)
  FROM place WHERE collections.collection = place.collection AND EXISTS (SELECT FROM doomed)
)
SELECT id, before + number, NULL FROM place, doomed ORDER BY number"""


def page(collection: tuple[str, str], asked: Query) -> Sql:
    """Return the statement that selects a page and the state of the collection.

    Each row has an id, a timestamp and data, then the collection's number, timestamp
    and count of records. If the page is empty, the id is NULL.
    """
    fields = _data_fields(asked)
    order = ", ".join(_order(sort, asked.names, fields) for sort in asked.sorting)
    part = _part(asked, fields, order, deleted=False)
    if asked.include_deleted:
        dead = _part(asked, fields, order, deleted=True)
        part = Sql(f"({part.text} UNION ALL {dead.text})", part.parameters + dead.parameters)
    if asked.max_bytes is not None:
        keys = "".join(f", key{number}" for number in fields.values())
        measured = _MEASURED.format(keys=keys, order=order, page=part.text)
        part = Sql(measured, [*part.parameters, asked.limit, asked.max_bytes])
    text = _PAGE.format(page=part.text, order=order)
    return Sql(text, [*part.parameters, asked.limit, *collection])


def count(collection: int, asked: Query) -> Sql:
    """Return the statement that counts the records that match the filters."""
    where = _where(asked, asked.span, deleted=False)
    return Sql(_COUNT + where.text, [collection, *where.parameters])


def delete_all(collection: tuple[str, str], asked: Query, moment: int, keep_tombstone: bool) -> Sql:
    """Return the statement that deletes matching records, and returns tombstones."""
    where = _where(asked, asked.span, deleted=False)
    text = _DELETE_ALL.format(" AND ".join((_IN_NAMED_COLLECTION, where.text)))
    return Sql(text, [moment, *collection, *collection, *where.parameters, keep_tombstone])


def key(value: Any) -> tuple[int, Any, bytes]:
    """Return the parameters of the key of ``value``."""
    return _parameters(order_key(value))


def storable(text: str | None) -> bool:
    """Return whether a string has neither null characters nor surrogates."""
    return text is not None and "\0" not in text and _is_unicode(text)


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _parameters(key: Key) -> tuple[int, Any, bytes]:
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
    if -_INT64 <= value < _INT64 and value.is_integer():
        return int(value)
    return Decimal(repr(value))


def _data_fields(asked: Query) -> dict[str, int]:
    """Return the numbers of the data fields (not columns) in the order."""
    columns = (asked.names.id, asked.names.modified)
    fields = [sort.field for sort in asked.sorting if sort.field not in columns]
    return {field: number for number, field in enumerate(fields)}


def _part(asked: Query, fields: dict[str, int], order: str, deleted: bool) -> Sql:
    """Return the query for the records, or for the tombstones, of the page.

    It uses an index for the order, if there is one, and stops at the limit.
    """
    selected, parameters = [], []
    for field, number in fields.items():
        found = _field_key(field, asked.names, deleted)
        selected.append(f", {found.text} AS key{number}")
        parameters += found.parameters
    where = _where(asked, asked.page_span, deleted)
    rules = _rules(asked, deleted)
    text = _PART.format(
        data="NULL::json" if deleted else "data",
        keys="".join(selected),
        table=_COLUMNS["tombstones" if deleted else "records"],
    )
    text += " AND ".join((_IN_COLLECTION, where.text, rules.text)) + _END.format(order=order)
    return Sql(text, [*parameters, *where.parameters, *rules.parameters, asked.limit])


def _where(asked: Query, span: Span, deleted: bool) -> Sql:
    conditions = [_filter(filter_, asked.names, deleted) for filter_ in asked.filters]
    if span.low > ALWAYS.low:
        conditions.append(Sql("last_modified >= %s", [span.low]))
    if span.high < ALWAYS.high:
        conditions.append(Sql("last_modified <= %s", [span.high]))
    return all_of(conditions)


def _filter(filter_: Filter, names: FieldNames, deleted: bool) -> Sql:
    if filter_.field == names.id:
        found = _column_filter(filter_, "id", TEXT)
    elif filter_.field == names.modified:
        found = _column_filter(filter_, "last_modified", NUMBER)
    elif deleted or filter_.field == names.deleted:
        # To filters, live records have the deleted mark too, with the value false.
        value = deleted if filter_.field == names.deleted else MISSING
        return TRUE if key_test(filter_)(order_key(value)) else FALSE
    else:
        found = _field_filter(filter_)
    if filter_.operator in NEGATIVE:
        return Sql(f"NOT ({found.text})", found.parameters)
    return found


def _column_filter(filter_: Filter, column: str, rank: int) -> Sql:
    """Return the condition that a column with values of that rank matches the filter."""
    if filter_.operator in RANGES:
        bound = _bound(filter_)
        return _compared(column, filter_.operator, bound[1]) if bound[0] == rank else FALSE
    accepted = [value for found, value in accepted_keys(filter_) if found == rank]
    if rank == TEXT:
        return Sql(f"{column} = ANY(%s::text[])", [[text for text in accepted if storable(text)]])
    numbers = [_number(number) for number in accepted if not math.isnan(number)]
    if len(numbers) == 1:
        return Sql(f"{column} = %s", numbers)
    return Sql(f"{column} = ANY(%s::numeric[])", [numbers])


def _compared(column: str, comparison: Any, value: Any) -> Sql:
    operator = OPERATORS[comparison]
    if not isinstance(value, str):
        return Sql(f"{column} {operator} %s", [_number(value)])
    if storable(value):
        return Sql(f"{column} {operator} %s", [value])
    found = value.encode("utf-8", "surrogatepass")
    return Sql(f"convert_to({column}, 'UTF8') {operator} %s", [found])


def _field_filter(filter_: Filter) -> Sql:
    """Return the condition that a data field matches ``filter_``."""
    field = _field(filter_.field)
    if filter_.operator not in RANGES:
        keys = [_parameters(key) for key in accepted_keys(filter_)]
        if not keys:
            return FALSE
        if len(keys) == 1:
            return Sql(f"{_FIELD} = {_KEY}", [field, *keys[0]])
        text = f"{_FIELD} = ANY(ARRAY[{', '.join([_KEY] * len(keys))}])"
        return Sql(text, [field, *(part for key in keys for part in key)])
    rank, value = _bound(filter_)
    if rank is None:
        return FALSE
    text = f"{_FIELD} {OPERATORS[filter_.operator]} {_KEY}"
    bound = [field, *_parameters((rank, value))]
    # Values of other types are beyond the other end of this type's keys.
    if filter_.operator in (COMPARISON.MIN, COMPARISON.GT):
        return Sql(f"({text} AND {_FIELD} < {_KEY})", [*bound, field, rank + 1, -_HUGE, b""])
    return Sql(f"({text} AND {_FIELD} >= {_KEY})", [*bound, field, rank, -_HUGE, b""])


def _bound(filter_: Filter) -> tuple[int | None, Any]:
    """Return the bound of a range; without a rank, the range is empty."""
    bound = range_bound(filter_)
    if bound is None or bound[1] != bound[1]:  # NaN
        return None, None
    return bound


def _rules(asked: Query, deleted: bool) -> Sql:
    """Return the condition that a record is on the page."""
    if not asked.rules:
        return TRUE
    rules = [all_of([_ordered(f, asked.names, deleted) for f in rule]) for rule in asked.rules]
    return all_of([*_page_boundary(asked, deleted), any_of(rules)])


def _page_boundary(asked: Query, deleted: bool) -> list[Sql]:
    """Return the bound that all rules imply for the first field of the order.

    It is redundant, but an index can't find the start of a disjunction.
    """
    if asked.by_time:
        return []  # the span covers it
    first = asked.sorting[0]
    wanted = COMPARISON.MIN if first.direction > 0 else COMPARISON.MAX
    strict = COMPARISON.GT if first.direction > 0 else COMPARISON.LT
    values = set()
    for rule in asked.rules:
        found = [
            f for f in rule if f.field == first.field and f.operator in (strict, COMPARISON.EQ)
        ]
        if not found:
            return []
        values.add(order_key(found[0].value))
        edge = found[0]._replace(operator=wanted)
    return [_ordered(edge, asked.names, deleted)] if len(values) == 1 else []


def _ordered(filter_: Filter, names: FieldNames, deleted: bool) -> Sql:
    """Return the condition for a filter in a pagination rule."""
    field, value, comparison = filter_
    rank, comparable = order_key(value)
    columns = {names.id: ("id", TEXT), names.modified: ("last_modified", NUMBER)}
    if field in columns:
        column, column_rank = columns[field]
        if rank == column_rank:
            return _compared(column, comparison, comparable)
        return TRUE if COMPARE[comparison](column_rank, rank) else FALSE
    if deleted:
        own = order_key(True if field == names.deleted else MISSING)
        return TRUE if COMPARE[comparison](own, (rank, comparable)) else FALSE
    parameters = [_field(field), *_parameters((rank, comparable))]
    return Sql(f"{_FIELD} {OPERATORS[comparison]} {_KEY}", parameters)


def _field(name: str) -> str | None:
    """Return the parameter for a field name, NULL if no record can have it."""
    return name if storable(name) else None


def _field_key(field: str, names: FieldNames, deleted: bool) -> Sql:
    if deleted:
        return Sql(_KEY, [*key(True if field == names.deleted else MISSING)])
    return Sql(_FIELD, [_field(field)])


def _order(sort: Sort, names: FieldNames, fields: dict[str, int]) -> str:
    column = {names.id: "id", names.modified: "last_modified"}.get(sort.field)
    return f"{column or f'key{fields[sort.field]}'} {'DESC' if sort.direction < 0 else 'ASC'}"
