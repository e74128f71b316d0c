"""Statements of queries (see :mod:`cliquet.storage.filtering`) in PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from cliquet.storage.filtering import ALWAYS, FieldNames, Query, Span
from cliquet.storage.operators import OPERATORS, in_alternatives
from cliquet.storage.postgresql.dialect import (
    ARRAY_EXPRESSIONS,
    COMPARED,
    ELEMENT_TEXTS,
    Field,
    PostgreSQL,
    key_of,
    template_of_element,
    text_array,
)
from cliquet.storage.postgresql.indexes import ELEMENTS
from cliquet.storage.sql_conditions import Conditions
from cliquet.storage.sql_fragments import Column, Sql, all_of
from cliquet.storage.types import MISSING, Filter, Sort
from cliquet.utils import COMPARISON

_PART = "(SELECT id, last_modified, {data} AS data{keys} FROM {table}{shared} WHERE "
# Expressions that alternatives often compare are computed once. OFFSET 0 prevents PostgreSQL from
# putting the expressions in the place of the columns.
_SHARED = " CROSS JOIN LATERAL (SELECT {} OFFSET 0) AS shared"
# Expressions are shared only if they occur more often, because indexes don't serve shared ones. The
# second limit is that of arrays, whose conversion is slow.
_FEW, _FEW_ARRAYS = 8, 2
_END = " ORDER BY {order} LIMIT %s)"
_COLUMNS = {"records": "cliquet_records", "tombstones": "cliquet_tombstones"}

_PAGE = """
SELECT id, page.last_modified, {data}, collection, collections.last_modified, {total}{sums}
 FROM cliquet_collections AS collections LEFT JOIN LATERAL {page} AS page ON true{joined}
 WHERE parent_id = %s AND collection_id = %s"""

_UNION = "(SELECT * FROM ({records} UNION ALL {tombstones}) AS part ORDER BY {order} LIMIT %s)"

#: The JSON in place of the fields of a record that can exceed the size of the page.
OMITTED = b"null"
_UNLESS_LARGE = "CASE WHEN octet_length(data::text) > %s THEN 'null'::json ELSE data END"

_SUMS = ", collections.count, collections.time_sum, collections.cube_sum"
_SUMS_OF_IDS = ", chosen.number, chosen.time_sum, chosen.cube_sum"
_CHOSEN = """ CROSS JOIN LATERAL (
 SELECT count(*) AS number,
  cliquet_remainder(coalesce(sum(mod(last_modified, 67108859)), 0)::bigint, 67108859) AS time_sum,
  cliquet_remainder(coalesce(sum(cliquet_cube(last_modified)), 0)::bigint, 67108837) AS cube_sum
 FROM cliquet_records AS records
 WHERE records.collection = collections.collection AND id = ANY(%s::text[])) AS chosen"""

# The first rows whose JSON has fewer than so many bytes, and the next one.
_MEASURED = """(SELECT * FROM (SELECT *, sum(octet_length(data::text))
 OVER (ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before
 FROM {page} AS part) AS measured WHERE before IS NULL OR before < %s ORDER BY {order})"""

_COUNT = "SELECT count(*) FROM cliquet_records{} WHERE {} AND {}"
# The total in a single row, and only computed if that row exists: row_number() doesn't wait for
# further rows if its window is empty.
_TOTAL = "CASE WHEN row_number() OVER () = %s THEN ({}) END"

_IN_COLLECTION = "collection = collections.collection"
_IN_NAMED_COLLECTION = """collection = (SELECT collection FROM cliquet_collections
 WHERE parent_id = %s AND collection_id = %s)"""

# Delete in the order of the timestamps: each record gets the next timestamp after that of the
# collection, which is already locked.
_DELETE_ALL = """
WITH target AS (
 SELECT collection, greatest(%s, last_modified + 1) - 1 AS before FROM cliquet_collections
  WHERE parent_id = %s AND collection_id = %s
), matching AS (
 SELECT id, last_modified, row_number() OVER (ORDER BY last_modified) AS number
  FROM cliquet_records{} WHERE {}
), deleted AS (
 DELETE FROM cliquet_records AS records USING target, matching
  WHERE records.collection = target.collection AND records.id = matching.id
), tombstones AS (
 INSERT INTO cliquet_tombstones (collection, last_modified, id)
  SELECT collection, before + number, id FROM target, matching WHERE %s
), sums AS (
 SELECT count(*) AS number, sum(mod(last_modified, 67108859))::bigint AS times,
  sum(cliquet_cube(last_modified))::bigint AS cubes FROM matching
), updated AS (
 UPDATE cliquet_collections AS collections
  SET last_modified = before + sums.number, count = count - sums.number,
   time_sum = cliquet_remainder(time_sum - times, 67108859),
   cube_sum = cliquet_remainder(cube_sum - cubes, 67108837)
  FROM target, sums WHERE collections.collection = target.collection AND sums.number > 0
)
SELECT id, before + number, NULL FROM target, matching ORDER BY number"""


class _Matching(NamedTuple):
    """The conditions on the records or tombstones that a query finds.

    :param join: the join that computes what alternatives share.
    """

    join: Sql
    filters: Sql
    rules: Sql


def page(
    collection: tuple[str, str], query: Query, dialect: PostgreSQL, measured: bool = False
) -> Sql:
    """Return the statement that selects a page and the state of the collection.

    Each row has an id, a timestamp and data, then the collection's number and timestamp, the
    number of records that match the filters, and the parts of the checksum if it is requested. If
    the page is empty, the id is NULL. If there are filters, the number is only in the first row of
    a page with rules, or in the last row of a page that has the size of the query; elsewhere it is
    NULL.

    :param measured: whether to end the page at the size of the query. That is slow, and few
        pages are so large: otherwise, the data of a record that can exceed the size is
        :data:`OMITTED`.
    """
    fields = _data_fields(query)
    order = ", ".join(_order(sort, query.names, fields) for sort in query.sorting)
    matching = _matching(query, dialect)
    part = _part(query, matching, fields, order, deleted=False)
    if query.include_deleted:
        conditions = Conditions(dialect, query, deleted=True)
        tombstones = _Matching(Sql("", []), conditions.filters(), conditions.rules())
        dead = _part(query, tombstones, fields, order, deleted=True)
        text = _UNION.format(records=part.text, tombstones=dead.text, order=order)
        part = Sql(text, [*part.parameters, *dead.parameters, query.limit])
    data = Sql("data", [])
    if measured:
        text = _MEASURED.format(order=order, page=part.text)
        part = Sql(text, [*part.parameters, query.max_bytes])
    elif query.max_bytes is not None:
        # Records of that size at most can't exceed the size together.
        data = Sql(_UNLESS_LARGE, [query.max_bytes // query.limit if query.limit else 0])
    sums, chosen = _checksum(query)
    total = _total(query, matching, measured)
    text = _PAGE.format(
        data=data.text, total=total.text, page=part.text, sums=sums, joined=chosen.text
    )
    parameters = [*data.parameters, *total.parameters, *part.parameters, *chosen.parameters]
    return Sql(text, [*parameters, *collection])


def _total(query: Query, matching: _Matching, measured: bool) -> Sql:
    """Return the column of the number of records that match the filters."""
    if not query.with_total or not (query.filters or query.span != ALWAYS):
        return Sql("collections.count", [])
    row = 1 if query.rules else query.limit
    if measured or row is None:
        return Sql("NULL::bigint", [])
    counted = _count(query, matching, Sql(_IN_COLLECTION, []))
    return Sql(_TOTAL.format(counted.text), [row, *counted.parameters])


def _checksum(query: Query) -> tuple[str, Sql]:
    """Return the columns of the parts of the checksum, and the join that they need."""
    if not query.with_checksum:
        return "", Sql("", [])
    if query.checksum_ids is None:
        return _SUMS, Sql("", [])
    return _SUMS_OF_IDS, Sql(_CHOSEN, [text_array(query.checksum_ids)])


def count(collection: int, query: Query, dialect: PostgreSQL) -> Sql:
    """Return the statement that counts the records that match the filters."""
    return _count(query, _matching(query, dialect), Sql("collection = %s", [collection]))


def _count(query: Query, matching: _Matching, in_collection: Sql) -> Sql:
    join, where = matching.join, _where(matching, query.span)
    text = _COUNT.format(join.text, in_collection.text, where.text)
    return Sql(text, [*join.parameters, *in_collection.parameters, *where.parameters])


def delete_all(
    collection: tuple[str, str], query: Query, dialect: PostgreSQL, now: int, keep_tombstone: bool
) -> Sql:
    """Return the statement that deletes matching records, and returns tombstones."""
    matching = _matching(query, dialect)
    join, where = matching.join, _where(matching, query.span)
    text = _DELETE_ALL.format(join.text, " AND ".join((_IN_NAMED_COLLECTION, where.text)))
    parameters = [now, *collection, *join.parameters, *collection, *where.parameters]
    return Sql(text, [*parameters, keep_tombstone])


def _matching(query: Query, dialect: PostgreSQL) -> _Matching:
    """Return the conditions on records."""
    query = query._replace(filters=_with_arrays_grouped(query.filters, dialect))
    join, shared = _shared_expressions(query, dialect)
    conditions = Conditions(dialect, query, shared=shared)
    return _Matching(join, conditions.filters(), conditions.rules())


def _with_arrays_grouped(filters: Sequence[Filter], dialect: PostgreSQL) -> list[Filter]:
    """Return equivalent filters, with those on arrays grouped in alternatives.

    PostgreSQL converts an array once for all alternatives. Outside of them remains the first filter
    on each field that an index serves, unless its values include arrays or objects, which are slow.
    """
    kept: list[Filter] = []
    grouped: list[Filter] = []
    indexed: set[str] = set()
    for filter_ in filters:
        field, templates = filter_.field, _templates(filter_)
        if ARRAY_EXPRESSIONS.isdisjoint(templates):
            kept.append(filter_)
        elif (
            ELEMENT_TEXTS in templates
            or field in indexed
            or not dialect.field(field).has_index(ELEMENTS)
        ):
            grouped.append(filter_)
        else:
            indexed.add(field)
            kept.append(filter_)
    return [*kept, Filter("", [grouped], COMPARISON.OR)] if grouped else kept


def _shared_expressions(query: Query, dialect: PostgreSQL) -> tuple[Sql, dict[str, Column]]:
    """Return the join that computes expressions that alternatives share, and their fields."""
    columns = (query.names.id, query.names.modified, query.names.deleted)
    counts = Counter(
        (each.field, template)
        for filter_ in query.filters
        if filter_.operator is COMPARISON.OR
        for each in in_alternatives(filter_)
        if each.field not in columns
        for template in _templates(each)
    )
    names: dict[str, dict[str, str]] = {}
    expressions: list[Sql] = []
    for (field, template), count in counts.items():
        if count > (_FEW_ARRAYS if template in ARRAY_EXPRESSIONS else _FEW):
            name = names.setdefault(field, {})[template] = f"shared{len(expressions)}"
            text, parameters = dialect.field(field).expression(template)
            expressions.append(Sql(f"{text} AS {name}", parameters))
    if not expressions:
        return Sql("", []), {}
    join = Sql(
        _SHARED.format(", ".join(each.text for each in expressions)),
        [parameter for each in expressions for parameter in each.parameters],
    )
    return join, {field: dialect.field(field, shared) for field, shared in names.items()}


def _templates(filter_: Filter) -> Collection[str]:
    """Return the templates of the expressions in the condition of a filter, none for ``OR``."""
    operator = OPERATORS.get(filter_.operator)
    if operator is None:
        return ()
    template = COMPARED[operator.comparable]
    if template not in ARRAY_EXPRESSIONS:
        return (template,)
    return dict.fromkeys(map(template_of_element, filter_.value)) or (template,)


def _data_fields(query: Query) -> dict[str, int]:
    """Return the numbers of the data fields (not columns) in the order."""
    columns = (query.names.id, query.names.modified)
    fields = [sort.field for sort in query.sorting if sort.field not in columns]
    return {field: number for number, field in enumerate(fields)}


def _part(
    query: Query, matching: _Matching, fields: dict[str, int], order: str, deleted: bool
) -> Sql:
    """Return the query for the records, or for the tombstones, of the page.

    It uses an index for the order, if there is one, and stops at the limit.
    """
    selected, parameters = [], []
    for field, number in fields.items():
        key = _field_key(field, query.names, deleted)
        selected.append(f", {key.text} AS key{number}")
        parameters += key.parameters
    where, rules = _where(matching, query.page_span), matching.rules
    text = _PART.format(
        data="NULL::json" if deleted else "data",
        keys="".join(selected),
        table=_COLUMNS["tombstones" if deleted else "records"],
        shared=matching.join.text,
    )
    parameters += matching.join.parameters
    text += " AND ".join((_IN_COLLECTION, where.text, rules.text)) + _END.format(order=order)
    return Sql(text, [*parameters, *where.parameters, *rules.parameters, query.limit])


def _where(matching: _Matching, span: Span) -> Sql:
    bounds = []
    if span.low > ALWAYS.low:
        bounds.append(Sql("last_modified >= %s", [span.low]))
    if span.high < ALWAYS.high:
        bounds.append(Sql("last_modified <= %s", [span.high]))
    return all_of([matching.filters, *bounds])


def _field_key(field: str, names: FieldNames, deleted: bool) -> Sql:
    if deleted:
        value = True if field == names.deleted else MISSING
        return Sql("ROW(%s, %s, %s)::cliquet_key", [*key_of(value)])
    return Field(field).key


def _order(sort: Sort, names: FieldNames, fields: dict[str, int]) -> str:
    column = {names.id: "id", names.modified: "last_modified"}.get(sort.field)
    return f"{column or f'key{fields[sort.field]}'} {'DESC' if sort.direction < 0 else 'ASC'}"
