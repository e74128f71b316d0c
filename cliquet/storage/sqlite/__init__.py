"""SQLite storage backend: persistent, without a server.

Several processes can use the file at a time, through this module or otherwise. Only one of
them writes at a time, until its request ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from pyramid.config import Configurator

from cliquet.drivers.sqlite.client import create_from_config
from cliquet.drivers.sqlite.schema import SQLiteBackend
from cliquet.storage.checksums import Checksum, difference
from cliquet.storage.engine import StorageEngine
from cliquet.storage.filtering import ALWAYS, Query
from cliquet.storage.operations import Change, Collection, Conflict
from cliquet.storage.rows import Part, Row, rows_to_records
from cliquet.storage.sql_fragments import Sql
from cliquet.storage.sqlite import conditions
from cliquet.storage.sqlite.dialect import same_value
from cliquet.storage.timestamps import change_timestamps, far_future, next_epoch, next_time
from cliquet.storage.types import Mismatch, Page
from cliquet.utils import json

_FIND_COLLECTION = """
SELECT id, last_modified, count, time_sum, cube_sum FROM collections
 WHERE parent_id = ? AND collection_id = ?"""

_ADD_COLLECTION = """
INSERT INTO collections (parent_id, collection_id, last_modified) VALUES (?, ?, 0)"""

_EPOCH = "SELECT moment FROM epoch"

# Both sums of the checksum are modulo a prime.
_CHANGE_COLLECTION = """
UPDATE collections SET last_modified = ?, count = count + ?,
  time_sum = (time_sum + ?) % 67108859, cube_sum = (cube_sum + ?) % 67108837
 WHERE id = ?"""

_GET = """
SELECT records.last_modified, CAST(records.data AS BLOB)
 FROM collections JOIN records ON records.collection = collections.id AND records.id = ?
 WHERE collections.parent_id = ? AND collections.collection_id = ?"""

# The state that a write depends on.
_STATE = """
SELECT collections.id, collections.last_modified,
  records.last_modified, CAST(records.data AS BLOB), tombstones.last_modified
 FROM collections
 LEFT JOIN records ON records.collection = collections.id AND records.id = ?
 LEFT JOIN tombstones ON tombstones.collection = collections.id AND tombstones.id = ?
 WHERE collections.parent_id = ? AND collections.collection_id = ?"""

# Whether a record or tombstone in the collection has the timestamp :at.
_TAKEN = """
SELECT EXISTS (SELECT 1 FROM records WHERE collection = :collection AND last_modified = :at)
 OR EXISTS (SELECT 1 FROM tombstones WHERE collection = :collection AND last_modified = :at)"""

# The first free timestamp after :at, which is taken: it follows a taken one.
_NEXT_FREE = """
SELECT min(free) FROM (
 SELECT * FROM (
  SELECT last_modified + 1 AS free FROM records
   WHERE collection = :collection AND last_modified >= :at
   AND NOT EXISTS (SELECT 1 FROM records AS r
    WHERE r.collection = :collection AND r.last_modified = records.last_modified + 1)
   AND NOT EXISTS (SELECT 1 FROM tombstones AS t
    WHERE t.collection = :collection AND t.last_modified = records.last_modified + 1)
   ORDER BY last_modified LIMIT 1)
 UNION ALL
 SELECT * FROM (
  SELECT last_modified + 1 AS free FROM tombstones
   WHERE collection = :collection AND last_modified >= :at
   AND NOT EXISTS (SELECT 1 FROM records AS r
    WHERE r.collection = :collection AND r.last_modified = tombstones.last_modified + 1)
   AND NOT EXISTS (SELECT 1 FROM tombstones AS t
    WHERE t.collection = :collection AND t.last_modified = tombstones.last_modified + 1)
   ORDER BY last_modified LIMIT 1))"""

_ADD_RECORD = """
INSERT INTO records (collection, last_modified, id, data) VALUES (?, ?, ?, CAST(? AS TEXT))"""

_DELETE_RECORD = "DELETE FROM records WHERE collection = ? AND id = ?"

_ADD_TOMBSTONE = "INSERT INTO tombstones (last_modified, collection, id) VALUES (?, ?, ?)"

_DELETE_TOMBSTONE = "DELETE FROM tombstones WHERE collection = ? AND id = ?"

_PURGE = """
DELETE FROM tombstones WHERE (collection, last_modified) IN (
 SELECT tombstones.collection, tombstones.last_modified
  FROM collections JOIN tombstones ON tombstones.collection = collections.id
  WHERE parent_id = ? AND collection_id = ? AND tombstones.last_modified < ?
  ORDER BY tombstones.last_modified LIMIT ?)"""

_COUNT_DELETED = """
SELECT parent_id, collection_id, count(*)
 FROM collections JOIN tombstones ON tombstones.collection = collections.id
 WHERE tombstones.last_modified < ? GROUP BY collections.id"""

_FIND_SAME = """
SELECT id, last_modified, CAST(data AS BLOB) FROM records
 WHERE collection = ? AND id <> ? AND"""

_TIMES = """
SELECT last_modified FROM records INDEXED BY records_id
 WHERE collection = ? AND id IN (SELECT value FROM json_each(?))"""

_COLLECTIONS = "SELECT id, parent_id, collection_id, count, time_sum, cube_sum FROM collections"

_ALL_TIMES = "SELECT last_modified FROM records WHERE collection = ?"

_LATEST = """
SELECT max(time) FROM (
 SELECT moment AS time FROM epoch UNION ALL SELECT last_modified FROM collections)
 WHERE time < ?"""

_FLUSH = (
    "DELETE FROM records",
    "DELETE FROM tombstones",
    "DELETE FROM collections",
    "DELETE FROM epoch",
)

_SET_EPOCH = "INSERT INTO epoch (moment) VALUES (?)"


class _State(NamedTuple):
    """The record or tombstone of an id in a collection, or neither."""

    collection: int
    collection_timestamp: int
    record_timestamp: int | None
    data: bytes | None
    tombstone_timestamp: int | None
    epoch: int = 0


class Storage(SQLiteBackend, StorageEngine):
    """SQLite storage backend.

    .. code-block:: ini

        cliquet.storage_backend = cliquet.storage.sqlite
        cliquet.storage_url = sqlite:///path/to/file

    The permission and cache backends can use the same file. An absolute path has four
    slashes in total. ``?timeout=10`` sets how many seconds a writer waits for other writers
    before the request fails (30 by default).

    :param client: the client of the file.
    """

    supports_rollback = True
    _package = __name__

    def flush(self, auth: str | None = None) -> None:
        with self._client.write() as db:
            (latest,) = db.execute(_LATEST, [far_future()]).fetchone()
            for statement in _FLUSH:
                db.execute(statement)
            db.execute(_SET_EPOCH, [next_epoch(latest or 0)])

    def _lock(self, collection: Collection) -> None:
        self._client.lock()

    def _timestamp(self, collection: Collection) -> int:
        with self._client.read() as db:
            row = db.execute(_FIND_COLLECTION, collection).fetchone()
            return _epoch(db) if row is None else int(row[1])

    def _timestamps(self, collections: Sequence[Collection]) -> list[int]:
        # One snapshot, but one statement per collection: JSON can't represent every id.
        with self._client.snapshot() as db:
            rows = [db.execute(_FIND_COLLECTION, each).fetchone() for each in collections]
            epoch = _epoch(db)
        return [epoch if row is None else row[1] for row in rows]

    def _get(self, collection: Collection, object_id: str) -> tuple[int, bytes] | None:
        with self._client.read() as db:
            row: tuple[int, bytes] | None = db.execute(_GET, (object_id, *collection)).fetchone()
            return row

    def _write(self, collection: Collection, change: Change, replace: bool) -> int:
        with self._client.write() as db:
            state = _state(db, collection, change.id) or _new(db, collection)
            if state.record_timestamp is not None and not replace:
                raise Conflict((change.id, state.record_timestamp, state.data))
            _check_unique(db, state, change)
            # Delete first, so that the record can keep its own timestamp.
            if state.record_timestamp is not None:
                db.execute(_DELETE_RECORD, (state.collection, change.id))
            if state.tombstone_timestamp is not None:
                db.execute(_DELETE_TOMBSTONE, (state.collection, change.id))
            timestamp, collection_timestamp = _timestamps(db, state, change.requested_timestamp)
            db.execute(_ADD_RECORD, (state.collection, timestamp, change.id, change.data))
            changes = difference(timestamp, state.record_timestamp)
            db.execute(_CHANGE_COLLECTION, (collection_timestamp, *changes, state.collection))
            return timestamp

    def _delete(
        self,
        collection: Collection,
        object_id: str,
        requested_timestamp: int | None,
        keep_tombstone: bool,
    ) -> int | None:
        with self._client.write() as db:
            state = _state(db, collection, object_id)
            if state is None or state.record_timestamp is None:
                return None
            db.execute(_DELETE_RECORD, (state.collection, object_id))
            timestamp, collection_timestamp = _timestamps(db, state, requested_timestamp)
            if keep_tombstone:
                db.execute(_ADD_TOMBSTONE, (timestamp, state.collection, object_id))
            changes = difference(None, state.record_timestamp)
            db.execute(_CHANGE_COLLECTION, (collection_timestamp, *changes, state.collection))
            return timestamp

    def _delete_all(self, collection: Collection, query: Query, keep_tombstone: bool) -> list[Row]:
        with self._client.write() as db:
            row = db.execute(_FIND_COLLECTION, collection).fetchone()
            if row is None:
                return []
            number, current, *_ = row
            old = db.execute(*conditions.oldest_first(number, query)).fetchall()
            if not old:
                return []
            first = next_time(current)
            rows: list[Row] = [(row[0], time, None) for time, row in enumerate(old, first)]
            db.executemany(_DELETE_RECORD, ((number, row[0]) for row in rows))
            if keep_tombstone:
                db.executemany(_ADD_TOMBSTONE, ((row[1], number, row[0]) for row in rows))
            removed = Checksum().subtract(*(row[1] for row in old))
            db.execute(_CHANGE_COLLECTION, (rows[-1][1], *removed, number))
            return rows

    def _purge(self, collection: Collection, before: int, limit: int | None) -> int:
        at_most = -1 if limit is None else limit
        with self._client.write() as db:
            return db.execute(_PURGE, (*collection, before, at_most)).rowcount

    def _count_deleted(self, before: int) -> list[tuple[Collection, int]]:
        with self._client.read() as db:
            rows = db.execute(_COUNT_DELETED, [before]).fetchall()
        return [((parent_id, collection_id), count) for parent_id, collection_id, count in rows]

    def find_mismatches(self) -> list[Mismatch]:
        mismatches = []
        with self._client.snapshot() as db:
            for number, parent_id, collection_id, *stored in db.execute(_COLLECTIONS).fetchall():
                times = (time for (time,) in db.execute(_ALL_TIMES, [number]))
                checksums = Checksum(*stored), Checksum().add(*times)
                if checksums[0] != checksums[1]:
                    mismatches.append(Mismatch(collection_id, parent_id, *checksums))
        return mismatches

    def _known_collections(self) -> list[Collection]:
        with self._client.read() as db:
            rows = db.execute(_COLLECTIONS).fetchall()
        return [(parent_id, collection_id) for _, parent_id, collection_id, *_ in rows]

    def _page(self, collection: Collection, query: Query, with_timestamp: bool) -> Page:
        with self._client.snapshot() as db:
            row = db.execute(_FIND_COLLECTION, collection).fetchone()
            if row is None:
                timestamp = _epoch(db) if with_timestamp else 0
                return Page([], 0, timestamp, checksum=query.empty_checksum)
            number, timestamp, *checksum = row
            total = checksum[0]
            rows, is_cut, size = _first_rows(db, conditions.page(number, query), query)
            if query.with_total and (query.filters or query.span != ALWAYS):
                total = _total(db, number, query, None if is_cut else len(rows))
            page = Page(rows_to_records(rows, query.names), total, timestamp, is_cut, size)
            if not query.with_checksum:
                return page
            if query.checksum_ids is None:
                return page._replace(checksum=Checksum(*checksum))
            return page._replace(checksum=_checksum_of(db, number, query.checksum_ids))


def _first_rows(db: sqlite3.Connection, statement: Sql, query: Query) -> Part:
    """Return the rows of a page; don't read more rows than its size allows."""
    if query.max_bytes is None:
        return Part(db.execute(*statement).fetchall())
    rows: list[Row] = []
    size = 0
    with closing(db.execute(*statement)) as cursor:
        for row in cursor:
            rows.append(row)
            size += len(row[2] or b"")
            if size >= query.max_bytes:
                return Part(rows, cursor.fetchone() is not None, size)
    return Part(rows, size=size)


def _checksum_of(db: sqlite3.Connection, number: int, ids: Sequence[str]) -> Checksum:
    """Return the checksum of the records with the given ids."""
    stored = [id_ for id_ in ids if json.unstorable(id_) is None]
    rows = db.execute(_TIMES, [number, json.dumps(stored)])
    return Checksum().add(*(timestamp for (timestamp,) in rows))


def _state(db: sqlite3.Connection, collection: Collection, object_id: str) -> _State | None:
    row = db.execute(_STATE, (object_id, object_id, *collection)).fetchone()
    return None if row is None else _State(*row)


def _new(db: sqlite3.Connection, collection: Collection) -> _State:
    number = db.execute(_ADD_COLLECTION, collection).lastrowid
    assert number is not None
    return _State(number, 0, None, None, None, _epoch(db))


def _epoch(db: sqlite3.Connection) -> int:
    """Return the timestamp of collections that were never written."""
    (epoch,) = db.execute(_EPOCH).fetchone()
    return int(epoch)


def _timestamps(
    db: sqlite3.Connection, state: _State, requested_timestamp: int | None
) -> tuple[int, int]:
    """Return the timestamps of a change and of its collection afterwards."""
    if requested_timestamp is None or requested_timestamp == state.record_timestamp:
        return change_timestamps(state.collection_timestamp or state.epoch, None)
    query = {"collection": state.collection, "at": requested_timestamp}
    if db.execute(_TAKEN, query).fetchone()[0]:
        requested_timestamp = db.execute(_NEXT_FREE, query).fetchone()[0]
    return change_timestamps(state.collection_timestamp, requested_timestamp)


def _check_unique(db: sqlite3.Connection, state: _State, change: Change) -> None:
    for field, value in change.unique.items():
        same = same_value(field, value)
        conflicting = db.execute(
            " ".join((_FIND_SAME, same.text, "LIMIT 1")),
            (state.collection, change.id, *same.parameters),
        ).fetchone()
        if conflicting is not None:
            raise Conflict(conflicting, field)


def _total(db: sqlite3.Connection, number: int, query: Query, count: int | None) -> int:
    """Return the number of records that match the filters.

    :param count: the number of records on the page, None if it is cut.
    """
    is_last = count is not None and (query.limit is None or count < query.limit)
    if count is not None and is_last and not query.rules and not query.include_deleted:
        return count
    return int(db.execute(*conditions.count(number, query)).fetchone()[0])


def load_from_config(config: Configurator) -> Storage:
    """Return the storage of an application, in the file of ``storage_url``.

    :raises pyramid.exceptions.ConfigurationError: if that isn't an SQLite URL.
    """
    return Storage(create_from_config(config, "storage_"))
