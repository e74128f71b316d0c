"""The records of the limit in PostgreSQL: psycopg2, and one statement per operation.

The functions of ``functions.sql`` belong to the tables: whoever writes uses them. A statement that
reads a record under its lock, decides, and writes, takes place as a whole: it needs no
transaction. Statements are sent as they are, for connection poolers: none is prepared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.extensions

from benchmarks.limit_protocol import Row, now

_JSON_OID = 114

_TIMESTAMP = """
SELECT last_modified FROM cliquet_collections
 WHERE parent_id = %s AND collection_id = 'mushroom'"""

_ADD_COLLECTION = """
INSERT INTO cliquet_collections (parent_id, collection_id, last_modified)
 VALUES (%s, 'mushroom', %s) ON CONFLICT DO NOTHING"""

_GET = """
SELECT r.last_modified, data FROM cliquet_collections JOIN cliquet_records AS r USING (collection)
 WHERE parent_id = %s AND collection_id = 'mushroom' AND id = %s"""

_PAGE = """
SELECT id, r.last_modified, data, c.last_modified, count
 FROM cliquet_collections AS c LEFT JOIN LATERAL (
  SELECT id, last_modified, data FROM cliquet_records WHERE collection = c.collection
   ORDER BY last_modified DESC LIMIT %s) AS r ON true
 WHERE parent_id = %s AND collection_id = 'mushroom'"""

# The types are known from the schema, so only values of one type are compared.
_FILTERED = """
SELECT id, r.last_modified, data, c.last_modified, total
 FROM cliquet_collections AS c LEFT JOIN LATERAL (
  SELECT id, last_modified, data, count(*) OVER () AS total FROM cliquet_records
   WHERE collection = c.collection AND (data->>'edible')::boolean = %s
   ORDER BY {} last_modified DESC LIMIT %s) AS r ON true
 WHERE parent_id = %s AND collection_id = 'mushroom'"""

_BY_TIME = _FILTERED.format("")
_BY_SIZE = _FILTERED.format("(data->>'size')::bigint DESC,")

_LOCK = "SELECT last_modified FROM cliquet_lock(%s, 'mushroom', %s)"

_CREATE = """
SELECT new_timestamp, id, last_modified, data
 FROM cliquet_write(%s, 'mushroom', %s, false, %s, %s, %s, NULL, NULL)"""

# The first function locks the collection: what CASE decides is still true when it is written.
_REPLACE_IF = """
SELECT CASE WHEN {} THEN
  (SELECT new_timestamp FROM cliquet_write(%s, 'mushroom', %s, true, %s, %s, %s, NULL, NULL)) END,
 old.last_modified, old.data
 FROM cliquet_get_for_update(%s, 'mushroom', %s, %s) AS old"""

_REPLACE = _REPLACE_IF.format("true")
_REPLACE_NONE = _REPLACE_IF.format("old.last_modified IS NULL")
_REPLACE_SEEN = _REPLACE_IF.format("old.last_modified = %s")
_TOMBSTONE = """
SELECT t.last_modified FROM cliquet_collections JOIN cliquet_tombstones AS t USING (collection)
 WHERE parent_id = %s AND collection_id = 'mushroom' AND id = %s"""
_REPLACE_UNMODIFIED = _REPLACE_IF.format(f"coalesce(old.last_modified, ({_TOMBSTONE}), 0) <= %s")

_DELETE = "SELECT cliquet_delete(%s, 'mushroom', %s, %s, %s, true)"

_DELETE_UNMODIFIED = """
SELECT CASE WHEN old.last_modified <= %s
  THEN cliquet_delete(%s, 'mushroom', %s, %s, %s, true) END, old.last_modified, old.data
 FROM cliquet_get_for_update(%s, 'mushroom', %s, %s) AS old"""

Run = Callable[[str, Sequence[Any]], list[Any]]


class Pool:
    """Connections that commit each statement, unless it is in a transaction."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Any] = []

    def run(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        cursor = self._borrow()
        cursor.execute(statement, parameters)
        rows = cursor.fetchall() if cursor.description else []
        self._idle.append(cursor)
        return rows

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        cursor = self._borrow()
        begin = "BEGIN;"

        def run(statement: str, parameters: Sequence[Any]) -> list[Any]:
            nonlocal begin
            cursor.execute(begin + statement, parameters)
            begin = ""
            return cursor.fetchall() if cursor.description else []

        # A connection that fails isn't used again.
        yield run
        if not begin:
            cursor.execute("COMMIT")
        self._idle.append(cursor)

    def close(self) -> None:
        for cursor in self._idle:
            cursor.connection.close()

    def _borrow(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            connection = psycopg2.connect(self._url)
            connection.autocommit = True
            connection.string_types[_JSON_OID] = psycopg2.extensions.BYTES
            return connection.cursor()


class Store:
    """Operations of the views. Each method is one statement.

    :param pool: of connections.
    :param run: runs a statement of the transaction, if there is one.
    """

    def __init__(self, pool: Pool, run: Run | None = None) -> None:
        self._pool = pool
        self._run = run or pool.run

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        if self._run != self._pool.run:
            yield self
            return
        with self._pool.transaction() as run:
            yield Store(self._pool, run)

    def close(self) -> None:
        self._pool.close()

    def timestamp(self, user: str) -> int:
        found = self._run(_TIMESTAMP, (user,))
        if not found:
            self._run(_ADD_COLLECTION, (user, now()))
            found = self._run(_TIMESTAMP, (user,))
        return int(found[0][0])

    def get(self, user: str, object_id: str) -> tuple[int, bytes] | None:
        found = self._run(_GET, (user, object_id))
        return found[0] if found else None

    def page(
        self, user: str, limit: int, edible: bool | None, by_size: bool
    ) -> tuple[list[Row], int, int]:
        if edible is None:
            rows = self._run(_PAGE, (limit, user))
        else:
            rows = self._run(_BY_SIZE if by_size else _BY_TIME, (edible, limit, user))
        if not rows:
            return [], 0, self.timestamp(user)
        timestamp, total = rows[0][3:]
        return [row[:3] for row in rows if row[0] is not None], total or 0, timestamp

    def lock(self, user: str) -> int:
        return int(self._run(_LOCK, (user, now()))[0][0])

    def create(
        self, user: str, object_id: str, document: bytes, requested: int | None
    ) -> tuple[int | None, Row | None]:
        written = (user, now(), object_id, requested, document.decode())
        ((new_timestamp, *row),) = self._run(_CREATE, written)
        return new_timestamp, None if row[0] is None else tuple(row)

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
        now_ms = now()
        statement: str = _REPLACE
        known: tuple[Any, ...] = ()
        if seen is not None:
            statement, known = _REPLACE_SEEN, (seen,)
        elif match is not None:
            statement, known = _REPLACE_UNMODIFIED, (user, object_id, match)
        elif new:
            statement = _REPLACE_NONE
        written = (user, now_ms, object_id, requested, document.decode())
        (found,) = self._run(statement, (*known, *written, user, now_ms, object_id))
        return _outcome(object_id, found)

    def delete(
        self, user: str, object_id: str, requested: int | None, match: int | None
    ) -> tuple[int | None, Row | None]:
        now_ms = now()
        if match is None:
            ((new_timestamp,),) = self._run(_DELETE, (user, now_ms, object_id, requested))
            return new_timestamp, None
        (found,) = self._run(
            _DELETE_UNMODIFIED,
            (match, user, now_ms, object_id, requested, user, now_ms, object_id),
        )
        return _outcome(object_id, found)


def _outcome(object_id: str, found: tuple[Any, ...]) -> tuple[int | None, Row | None]:
    new_timestamp, timestamp, data = found
    return new_timestamp, None if timestamp is None else (object_id, timestamp, data)
