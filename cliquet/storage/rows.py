"""Rows of the storage engines: serialized records, and pages of them."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cliquet.drivers.documents import read_document
from cliquet.storage.filtering import FieldNames, Query
from cliquet.storage.types import Record

#: The id, the timestamp, and the other fields as JSON in UTF-8; None for a tombstone.
Row = tuple[str, int, bytes | None]


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


def take_records(
    records: list[Record], rows: Iterable[Row], query: Query
) -> tuple[list[Record], Part]:
    """Cut a page like :func:`take`, for records that correspond to some of the rows."""
    if query.max_bytes is None:
        return records, Part(())
    by_id = {row[0]: row for row in rows}
    nothing = ("", 0, None)
    part = take([by_id.get(record[query.names.id], nothing) for record in records], query.max_bytes)
    return records[: len(part.rows)], part
