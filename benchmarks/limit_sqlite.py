"""The records of the limit in SQLite: the statements that the tables need, and no layer above.

Durability is that of the toolkit: write-ahead logging, and a synchronous commit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from benchmarks.limit_protocol import Row, now

_COLLECTION = """
SELECT id, last_modified, count FROM collections
 WHERE parent_id = ? AND collection_id = 'mushroom'"""

_ADD_COLLECTION = """
INSERT OR IGNORE INTO collections (parent_id, collection_id, last_modified)
 VALUES (?, 'mushroom', ?)"""

_GET = """
SELECT r.last_modified, CAST(r.data AS BLOB)
 FROM collections AS c JOIN records AS r ON r.collection = c.id AND r.id = ?
 WHERE parent_id = ? AND collection_id = 'mushroom'"""

_PAGE = """
SELECT id, last_modified, CAST(data AS BLOB) FROM records WHERE collection = ?
 ORDER BY last_modified DESC LIMIT ?"""

_FILTERED = """
SELECT id, last_modified, CAST(data AS BLOB), count(*) OVER () FROM records
 WHERE collection = ? AND data ->> '$.edible' = ? ORDER BY {} last_modified DESC LIMIT ?"""

_BY_TIME = _FILTERED.format("")
_BY_SIZE = _FILTERED.format("data ->> '$.size' DESC,")

_STATE = """
SELECT c.id, c.last_modified, r.last_modified, CAST(r.data AS BLOB), t.last_modified
 FROM collections AS c
 LEFT JOIN records AS r ON r.collection = c.id AND r.id = ?
 LEFT JOIN tombstones AS t ON t.collection = c.id AND t.id = ?
 WHERE parent_id = ? AND collection_id = 'mushroom'"""

_TAKEN = """
SELECT EXISTS (SELECT 1 FROM records WHERE collection = :c AND last_modified = :at)
 OR EXISTS (SELECT 1 FROM tombstones WHERE collection = :c AND last_modified = :at)"""

_MOVE = "UPDATE collections SET last_modified = ?, count = count + ? WHERE id = ?"
_ADD = "INSERT INTO records (collection, last_modified, id, data) VALUES (?, ?, ?, CAST(? AS TEXT))"
_CHANGE = """
UPDATE records SET last_modified = ?, data = CAST(? AS TEXT) WHERE collection = ? AND id = ?"""
_REMOVE = "DELETE FROM records WHERE collection = ? AND id = ?"
_BURY = "INSERT INTO tombstones (collection, last_modified, id) VALUES (?, ?, ?)"
_UNBURY = "DELETE FROM tombstones WHERE collection = ? AND id = ?"


class Store:
    """Operations of the views.

    :param path: of the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._writer = self._connect()
        self._writer.execute("PRAGMA synchronous = FULL")
        self._mutex = threading.Lock()

    def close(self) -> None:
        for connection in (self._writer, *self._idle):
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[_Work]:
        with self._mutex:
            db = self._writer
            db.execute("BEGIN IMMEDIATE")
            try:
                yield _Work(db)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def timestamp(self, user: str) -> int:
        with self._reading() as work:
            row = work.find_collection(user)
        if row is None:
            with self.transaction() as work:
                return work.timestamp(user)
        return row[1]

    def get(self, user: str, object_id: str) -> tuple[int, bytes] | None:
        with self._reading() as work:
            return work.get(user, object_id)

    def page(
        self, user: str, limit: int, edible: bool | None, by_size: bool
    ) -> tuple[list[Row], int, int]:
        with self._reading() as work:
            page = work.page(user, limit, edible, by_size)
        return page or ([], 0, self.timestamp(user))

    def create(
        self, user: str, object_id: str, document: bytes, requested: int | None
    ) -> tuple[int | None, Row | None]:
        with self.transaction() as work:
            return work.create(user, object_id, document, requested)

    def replace(
        self,
        user: str,
        object_id: str,
        document: bytes,
        requested: int | None,
        match: int | None = None,
        new: bool = False,
        seen: int | None = None,
    ) -> tuple[int | None, Row | None]:
        with self.transaction() as work:
            return work.replace(user, object_id, document, requested, match, new, seen)

    def delete(
        self, user: str, object_id: str, requested: int | None, match: int | None
    ) -> tuple[int | None, Row | None]:
        with self.transaction() as work:
            return work.delete(user, object_id, requested, match)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)

    @contextmanager
    def _reading(self) -> Iterator[_Work]:
        connection = self._idle.pop() if self._idle else self._connect()
        yield _Work(connection)
        self._idle.append(connection)


class _State(NamedTuple):
    """The state of an id in a collection: a record, a tombstone, or neither."""

    collection: int
    collection_time: int
    record_time: int | None = None
    data: bytes | None = None
    tombstone_time: int | None = None


class _Work:
    """The same methods on one connection; to write, it is in a transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @contextmanager
    def transaction(self) -> Iterator[_Work]:
        yield self

    def lock(self, user: str) -> int:
        return self.timestamp(user)  # no other connection writes

    def find_collection(self, user: str) -> tuple[int, int, int] | None:
        row: tuple[int, int, int] | None = self._db.execute(_COLLECTION, (user,)).fetchone()
        return row

    def timestamp(self, user: str) -> int:
        return self._collection(user)[1]

    def get(self, user: str, object_id: str) -> tuple[int, bytes] | None:
        row: tuple[int, bytes] | None = self._db.execute(_GET, (object_id, user)).fetchone()
        return row

    def page(
        self, user: str, limit: int, edible: bool | None, by_size: bool
    ) -> tuple[list[Row], int, int] | None:
        row = self.find_collection(user)
        if row is None:
            return None
        number, timestamp, total = row
        if edible is None:
            return self._db.execute(_PAGE, (number, limit)).fetchall(), total, timestamp
        statement = _BY_SIZE if by_size else _BY_TIME
        rows = self._db.execute(statement, (number, edible, limit)).fetchall()
        return [row[:3] for row in rows], rows[0][3] if rows else 0, timestamp

    def create(
        self, user: str, object_id: str, document: bytes, requested: int | None
    ) -> tuple[int | None, Row | None]:
        state = self._state(user, object_id)
        if state.record_time is not None:
            return None, _row(object_id, state)
        return self._write(state, object_id, document, requested), None

    def replace(
        self,
        user: str,
        object_id: str,
        document: bytes,
        requested: int | None,
        match: int | None = None,
        new: bool = False,
        seen: int | None = None,
    ) -> tuple[int | None, Row | None]:
        state = self._state(user, object_id)
        old = _row(object_id, state)
        current = state.record_time or state.tombstone_time or 0
        refused = (
            (match is not None and current > match)
            or (new and state.record_time is not None)
            or (seen is not None and state.record_time != seen)
        )
        return None if refused else self._write(state, object_id, document, requested), old

    def delete(
        self, user: str, object_id: str, requested: int | None, match: int | None
    ) -> tuple[int | None, Row | None]:
        state = self._state(user, object_id)
        if state.record_time is None or (match is not None and state.record_time > match):
            return None, _row(object_id, state)
        new_timestamp = self._move(state, requested, -1)
        self._db.execute(_REMOVE, (state.collection, object_id))
        self._db.execute(_BURY, (state.collection, new_timestamp, object_id))
        return new_timestamp, None

    def _collection(self, user: str) -> tuple[int, int, int]:
        self._db.execute(_ADD_COLLECTION, (user, now()))
        row = self.find_collection(user)
        assert row is not None
        return row

    def _state(self, user: str, object_id: str) -> _State:
        row = self._db.execute(_STATE, (object_id, object_id, user)).fetchone()
        return _State(*(row or self._collection(user)[:2]))

    def _write(self, state: _State, object_id: str, document: bytes, requested: int | None) -> int:
        if state.record_time is not None:
            new_timestamp = self._move(state, requested, 0)
            self._db.execute(_CHANGE, (new_timestamp, document, state.collection, object_id))
            return new_timestamp
        if state.tombstone_time is not None:
            self._db.execute(_UNBURY, (state.collection, object_id))
        new_timestamp = self._move(state, requested, 1)
        self._db.execute(_ADD, (state.collection, new_timestamp, object_id, document))
        return new_timestamp

    def _move(self, state: _State, requested: int | None, change: int) -> int:
        """Return the timestamp of a change, once the collection has moved on."""
        new_timestamp = collection_time = max(now(), state.collection_time + 1)
        if requested is not None and requested > (state.record_time or 0):
            new_timestamp = requested
            while self._db.execute(_TAKEN, {"c": state.collection, "at": new_timestamp}).fetchone()[
                0
            ]:
                new_timestamp += 1
            collection_time = (
                new_timestamp if new_timestamp > state.collection_time else collection_time
            )
        self._db.execute(_MOVE, (collection_time, change, state.collection))
        return new_timestamp


def _row(object_id: str, state: _State) -> Row | None:
    if state.record_time is None or state.data is None:
        return None
    return object_id, state.record_time, state.data
