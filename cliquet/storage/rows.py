"""Rows of the storage engines: serialized records, and pages of them."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cliquet.drivers.documents import read_document
from cliquet.storage.filtering import Columns, FieldNames, Query, field_key, on_page
from cliquet.storage.ordering import Key
from cliquet.storage.types import Record

#: The id, the timestamp, and the other fields as JSON in UTF-8; None for a tombstone.
Row = tuple[str, int, bytes | None]

# The number of rows that are parsed together, which limits the memory for their records.
_BLOCK = 1000


def rows_to_records(rows: Sequence[Row], names: FieldNames) -> list[Record]:
    """Return the records and tombstones of rows."""
    # Parsing one document is faster than parsing many.
    documents = [b"{}" if data is None else data for _, _, data in rows]
    records: list[Record] = read_document(b"[" + b",".join(documents) + b"]")
    for record, (object_id, timestamp, data) in zip(records, rows, strict=True):
        record[names.id] = object_id
        record[names.modified] = timestamp
        if data is None:
            record[names.deleted] = True
    return records


class Part(NamedTuple):
    """The first rows of a page.

    :param is_cut: whether later rows are left out because of the size.
    :param size: size of the rows in bytes of JSON, 0 if it wasn't measured.
    """

    rows: Sequence[Row]
    is_cut: bool = False
    size: int = 0


def take(rows: Sequence[Row], max_bytes: int | None) -> Part:
    """Return the first rows of a page.

    :param max_bytes: size in bytes of JSON at which the page ends; None: no limit.
    """
    if max_bytes is None:
        return Part(rows)
    size = sum([len(row[2] or b"") for row in rows])
    if size < max_bytes:
        return Part(rows, size=size)
    sizes = list(itertools.accumulate(len(row[2] or b"") for row in rows))
    count = 1 + bisect_left(sizes, max_bytes)
    return Part(rows[:count], count < len(rows), sizes[count - 1])


def matching_rows(
    query: Query, rows: Sequence[Row], deleted: bool = False
) -> Iterator[tuple[Row, Record]]:
    """Yield the rows in the span of a query that match its filters, and their records.

    :param deleted: whether the rows are tombstones. For filters, live records also have the deleted
        mark, with the value false.
    """
    low, high = query.span
    in_span = [row for row in rows if low <= row[1] <= high]
    for start in range(0, len(in_span), _BLOCK):
        block = in_span[start : start + _BLOCK]
        records = rows_to_records(block, query.names)
        columns = Columns(records, {query.names.deleted: deleted})
        for number in columns.matching(query.filters, range(len(block))):
            yield block[number], records[number]


def select(
    query: Query, live: Sequence[Row], tombstones: Sequence[Row] = ()
) -> tuple[list[Record], int, Part]:
    """Return the page for a query, by a scan of all rows.

    :param tombstones: ignored unless the query includes them.
    :returns: the records, the number of ``live`` rows that match the filters, and the page's rows.
    """
    keys_of = [field_key(sort.field) for sort in query.sorting]
    is_on_page = on_page(query.rules)
    total = 0
    # Keep only the sort keys of records, which take much more memory than rows.
    selected: list[tuple[Row, list[Key]]] = []
    for rows, deleted in ((live, False), (tombstones if query.include_deleted else (), True)):
        for row, record in matching_rows(query, rows, deleted):
            total += not deleted
            if is_on_page(record):
                selected.append((row, [key_of(record) for key_of in keys_of]))
    for number, sort in reversed(list(enumerate(query.sorting))):
        selected.sort(key=lambda each: each[1][number], reverse=sort.direction < 0)
    part = take([row for row, _ in selected[: query.limit]], query.max_bytes)
    return rows_to_records(part.rows, query.names), total, part
