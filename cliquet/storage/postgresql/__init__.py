"""PostgreSQL storage backend, for any number of processes and machines.

Every write locks the row of its collection until the transaction ends. Timestamps are
computed under that lock, so they grow in the order in which changes become visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyramid.config import Configurator

from cliquet import transactions
from cliquet.drivers.escaping import escape, unescape
from cliquet.drivers.postgresql.client import Client
from cliquet.drivers.postgresql.config import create_from_config
from cliquet.drivers.postgresql.schema import PostgreSQLBackend
from cliquet.drivers.postgresql.schema import logger as logger
from cliquet.drivers.postgresql.transaction import Kind, Statement
from cliquet.storage import DEFAULT_DELETED_FIELD as DEFAULT_DELETED_FIELD
from cliquet.storage import DEFAULT_ID_FIELD as DEFAULT_ID_FIELD
from cliquet.storage import DEFAULT_MODIFIED_FIELD as DEFAULT_MODIFIED_FIELD
from cliquet.storage import Page
from cliquet.storage import StorageBase as StorageBase
from cliquet.storage.checksums import Checksum
from cliquet.storage.exceptions import BackendError
from cliquet.storage.filtering import Query
from cliquet.storage.operations import Change, Collection, Conflict
from cliquet.storage.postgresql import conditions
from cliquet.storage.postgresql.collection_state import CollectionState
from cliquet.storage.postgresql.dialect import PostgreSQL, key_of, storable
from cliquet.storage.postgresql.indexes import Indexes
from cliquet.storage.postgresql.single_statements import SingleStatements
from cliquet.storage.rows import Row, rows_to_records, take
from cliquet.storage.timestamps import far_future, next_epoch, next_time
from cliquet.storage.types import Filter as Filter
from cliquet.storage.types import Mismatch
from cliquet.utils import COMPARISON as COMPARISON

_TIMESTAMP = """
SELECT last_modified FROM cliquet_collections WHERE parent_id = %s AND collection_id = %s"""

_TIMESTAMPS = """
SELECT parent_id, collection_id, last_modified FROM cliquet_collections
 JOIN unnest(%s::text[], %s::text[]) AS wanted (parent_id, collection_id)
 USING (parent_id, collection_id)"""

_EPOCH = "SELECT coalesce(max(moment), 0) FROM cliquet_epoch"

_GET = """
SELECT records.last_modified, data{}
 FROM cliquet_collections AS collections JOIN cliquet_records AS records USING (collection)
 WHERE parent_id = %s AND collection_id = %s AND id = %s"""

_LOCK = "SELECT FROM cliquet_lock(%s, %s, %s)"

# False if another transaction has locked the collection: it doesn't wait.
_TRY_LOCK = """
WITH locked AS MATERIALIZED (
 SELECT FROM cliquet_collections WHERE parent_id = %s AND collection_id = %s
  FOR UPDATE SKIP LOCKED
)
SELECT EXISTS (SELECT FROM locked) OR NOT EXISTS (
 SELECT FROM cliquet_collections WHERE parent_id = %s AND collection_id = %s)"""

_GET_FOR_UPDATE = "SELECT latest, last_modified, data{} FROM cliquet_get_for_update(%s, %s, %s, %s)"

_WRITE = "SELECT * FROM cliquet_write(%s, %s, %s, %s, %s, %s, %s, NULL, NULL)"

_WRITE_UNIQUE = """
SELECT * FROM cliquet_write(
 %s, %s, %s, %s, %s, %s, %s, %s::text[], ARRAY[{}]::cliquet_key[])"""

_KEY = "ROW(%s, %s, %s)::cliquet_key"

_DELETE = "SELECT cliquet_delete(%s, %s, %s, %s, %s, %s)"

# Delete by ctid, because a join would read the whole collection for each batch. The condition on
# the collection is needed if the table is partitioned: ctids repeat across partitions.
_PURGE = """
WITH locked AS (
 SELECT collection FROM cliquet_collections WHERE parent_id = %s AND collection_id = %s FOR UPDATE
), purged AS (
 DELETE FROM cliquet_tombstones WHERE collection = (SELECT collection FROM locked)
 AND ctid = ANY (ARRAY(
  SELECT oldest.ctid FROM locked CROSS JOIN LATERAL (
   SELECT ctid FROM cliquet_tombstones AS tombstones
    WHERE tombstones.collection = locked.collection AND last_modified < %s::bigint
    ORDER BY last_modified LIMIT %s::bigint
  ) AS oldest
 )) RETURNING 1
)
SELECT count(*) FROM purged"""

_COLLECTIONS = "SELECT parent_id, collection_id FROM cliquet_collections"

_COUNT_DELETED = """
SELECT parent_id, collection_id, number FROM cliquet_collections JOIN (
 SELECT collection, count(*) AS number FROM cliquet_tombstones
  WHERE last_modified < %s::bigint GROUP BY collection
) AS tombstones USING (collection)"""

_MISMATCHES = """
SELECT * FROM (
 SELECT parent_id, collection_id, count, time_sum, cube_sum, coalesce(number, 0) AS number,
  cliquet_remainder(coalesce(times, 0), 67108859) AS times,
  cliquet_remainder(coalesce(cubes, 0), 67108837) AS cubes
  FROM cliquet_collections LEFT JOIN (
   SELECT collection, count(*) AS number, sum(mod(last_modified, 67108859))::bigint AS times,
    sum(cliquet_cube(last_modified))::bigint AS cubes FROM cliquet_records GROUP BY collection
  ) AS sums USING (collection)
) AS compared WHERE (count, time_sum, cube_sum) <> (number, times, cubes)"""

# Longer changes are not deferred: an id (in characters) can be too long for an index, and next to
# a large document (in bytes) a round trip is cheap.
_LONGEST_ID = 500
_LONGEST_DOCUMENT = 1 << 16

# Readers are not blocked.
_FLUSH_LOCK = "LOCK TABLE cliquet_collections IN EXCLUSIVE MODE"

_LATEST = """
SELECT coalesce(max(time), 0) FROM (
 SELECT moment AS time FROM cliquet_epoch UNION ALL SELECT last_modified FROM cliquet_collections
) AS times WHERE time < %s"""

_SET_EPOCH = "UPDATE cliquet_epoch SET moment = %s"

_FLUSH = (
    "DELETE FROM cliquet_records",
    "DELETE FROM cliquet_tombstones",
    "DELETE FROM cliquet_collections",
)


class Storage(PostgreSQLBackend, SingleStatements):
    """PostgreSQL storage backend.

    Enable it with::

        cliquet.storage_backend = cliquet.storage.postgresql
        cliquet.storage_url = postgresql://user:password@host:5432/database

    :param client: the database client.
    :param max_fetch_size: accepted for subclasses written for 3.1 and ignored: resources
        apply the setting of that name.
    """

    supports_rollback = True
    _package = __name__

    def __init__(
        self, client: Client, max_fetch_size: int | None = None, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(client)
        indexes = Indexes(lambda statement: self._client.read(statement))
        self._dialect = PostgreSQL(indexes.has)

    def flush(self, auth: str | None = None) -> None:
        with self._client.grouped_writes() as run:
            run(_FLUSH_LOCK)
            ((latest,),) = run(_LATEST, [far_future()])
            run(_SET_EPOCH, [next_epoch(latest)])
            for statement in _FLUSH:
                run(statement)
        (self._client.transaction_cache() or {}).clear()

    def _lock(self, collection: Collection) -> None:
        self._client.lock(_LOCK, [*self._acquire_lock(collection), next_time(0)])

    def _get_for_update(self, collection: Collection, object_id: str) -> tuple[int, bytes] | None:
        # One statement, if a transaction keeps the lock.
        if not storable(object_id):
            return super()._get_for_update(collection, object_id)
        ids = self._acquire_lock(collection)
        lock = [*ids, next_time(0)]
        row = Statement(_GET_FOR_UPDATE, [*lock, object_id])
        rows = self._client.lock_row(Statement(_LOCK, lock), row)
        if rows is None:
            return self._get(collection, object_id)
        ((latest, timestamp, data),) = rows
        self._state(ids).record_change(latest, object_id, data is not None)
        return None if data is None else (timestamp, data)

    def _timestamp(self, collection: Collection) -> int:
        rows = self._client.read(_TIMESTAMP, _escaped(collection), Kind.FREQUENT)
        return (rows[0][0] if rows else 0) or self._epoch()

    def _timestamps(self, collections: Sequence[Collection]) -> list[int]:
        pairs = [_escaped(collection) for collection in collections]
        ids = [list(values) for values in zip(*pairs, strict=True)] or [[], []]
        rows = self._client.read(_TIMESTAMPS, ids)
        timestamps = {(parent_id, collection_id): time for parent_id, collection_id, time in rows}
        epoch = 0 if all(map(timestamps.get, pairs)) else self._epoch()
        return [timestamps.get(pair) or epoch for pair in pairs]

    def _epoch(self) -> int:
        """Return the timestamp of collections that were never written."""
        return int(self._client.read(_EPOCH)[0][0])

    def _get(self, collection: Collection, object_id: str) -> tuple[int, bytes] | None:
        if not storable(object_id):
            return None
        rows = self._client.read_row(_GET, [*_escaped(collection), object_id])
        return (rows[0][0], rows[0][1]) if rows else None

    def _write(self, collection: Collection, change: Change, replace: bool) -> int:
        ids = self._acquire_lock(collection)
        state = self._state(ids)
        id_, requested_timestamp, data, unique, is_new_id = change
        timestamp = state.next_time()
        parameters: list[Any] = [*ids, timestamp, replace, id_, requested_timestamp, data.decode()]
        is_free = replace or is_new_id or state.contains(id_) is False
        if (
            state.timestamp_is_predictable(requested_timestamp)
            and is_free
            and not unique
            and _is_short(change)
        ):
            self._client.execute_deferred(_WRITE, parameters)
        else:
            timestamp = self._write_now(parameters, unique)
        state.record_change(timestamp if requested_timestamp is None else None, id_, True)
        return timestamp

    def _write_now(self, parameters: list[Any], unique: Mapping[str, Any]) -> int:
        statement, kind = _WRITE, Kind.FREQUENT
        if unique:
            kind = Kind.QUERY
            keys = [key_of(value) for value in unique.values()]
            statement = _WRITE_UNIQUE.format(", ".join([_KEY] * len(keys)))
            parameters += [list(unique), *(part for key in keys for part in key)]
        ((timestamp, field_number, *row),) = self._client.write(statement, parameters, kind)
        if field_number is not None:
            raise Conflict(tuple(row), [None, *unique][field_number])
        return int(timestamp)

    def _delete(
        self,
        collection: Collection,
        object_id: str,
        requested_timestamp: int | None,
        keep_tombstone: bool,
    ) -> int | None:
        if not storable(object_id):
            return None
        ids = self._acquire_lock(collection)
        state = self._state(ids)
        timestamp: int | None = state.next_time()
        parameters = [*ids, timestamp, object_id, requested_timestamp, keep_tombstone]
        if state.timestamp_is_predictable(requested_timestamp) and state.contains(object_id):
            self._client.execute_deferred(_DELETE, parameters)
        else:
            timestamp = self._client.write(_DELETE, parameters, Kind.FREQUENT)[0][0]
        state.record_change(timestamp if requested_timestamp is None else None, object_id, False)
        return timestamp

    def _delete_all(self, collection: Collection, query: Query, keep_tombstone: bool) -> list[Row]:
        ids, now = self._acquire_lock(collection), next_time(0)
        text, parameters = conditions.delete_all(ids, query, self._dialect, now, keep_tombstone)
        # Sent together, but the deletion takes a new snapshot after the lock is acquired.
        rows = self._client.write_together(
            Statement(_LOCK, [*ids, now]), Statement(text, parameters)
        )
        self._state(ids).reset()
        return rows

    def _state(self, ids: Collection) -> CollectionState:
        """Return the transaction's state of a collection, empty without one."""
        states = self._client.transaction_cache()
        return CollectionState() if states is None else states.setdefault(ids, CollectionState())

    def _acquire_lock(self, collection: Collection) -> Collection:
        """Return the ids of a collection for a statement that locks it.

        If the request is being retried, first take the locks that it is known to need. If
        waiting could cause a deadlock, the request is retried instead, if possible.
        """
        ids = _escaped(collection)
        manager = self._client.join_transaction()
        if manager is None:
            return ids
        for each in manager.pending_locks(ids):
            self._client.lock(_LOCK, [*each, next_time(0)])
            manager.held_locks.add(each)
        if not manager.is_in_order(ids) and manager.can_retry():
            self._try_lock(ids)
        manager.held_locks.add(ids)
        return ids

    def _try_lock(self, ids: Collection) -> None:
        if self._client.lock(_TRY_LOCK, [*ids, *ids]) != [(True,)]:
            raise transactions.retryable(
                BackendError(message="the collection is locked by another request")
            )

    def _purge(self, collection: Collection, before: int, limit: int | None) -> int:
        parameters = [*_escaped(collection), before, limit]
        return int(self._client.write(_PURGE, parameters)[0][0])

    def _count_deleted(self, before: int) -> Iterator[tuple[Collection, int]]:
        for *ids, count in self._client.read(_COUNT_DELETED, [before]):
            parent_id, collection_id = map(unescape, ids)
            yield (parent_id, collection_id), count

    def find_mismatches(self) -> Iterator[Mismatch]:
        for parent_id, collection_id, *sums in self._client.read(_MISMATCHES):
            checksums = Checksum(*sums[:3]), Checksum(*sums[3:])
            yield Mismatch(unescape(collection_id), unescape(parent_id), *checksums)

    def _known_collections(self) -> list[Collection]:
        rows = self._client.read(_COLLECTIONS)
        return [(unescape(parent_id), unescape(name)) for parent_id, name in rows]

    def _page(self, collection: Collection, query: Query, with_timestamp: bool) -> Page:
        statement = conditions.page(_escaped(collection), query, self._dialect)
        rows = self._client.read(*statement, _kind(query))
        if query.max_bytes is not None and conditions.OMITTED in [row[2] for row in rows]:
            measured = conditions.page(_escaped(collection), query, self._dialect, measured=True)
            rows = self._client.read(*measured)
        number, timestamp, total, *sums = rows[0][3:] if rows else (0, 0, 0)
        if total is None:
            total = rows[-1][5]
        checksum = Checksum(*sums) if query.with_checksum else None
        if not timestamp:
            return Page([], 0, self._epoch() if with_timestamp else 0, checksum=checksum)
        page, is_cut, size = take(
            [] if rows[0][0] is None else [row[:3] for row in rows], query.max_bytes
        )
        if total is None:
            total = self._total(number, query, page, is_cut)
        records = rows_to_records(page, query.names)
        return Page(records, total, timestamp, is_cut, size, checksum)

    def _total(self, number: int, query: Query, page: Sequence[Row], is_cut: bool) -> int:
        """Return how many records match the filters, given the rows of the page."""
        is_last = not is_cut and (query.limit is None or len(page) < query.limit)
        if is_last and not query.rules:
            return sum(data is not None for _, _, data in page)
        return int(self._client.read(*conditions.count(number, query, self._dialect))[0][0])


def _kind(query: Query) -> Kind:
    """Return the kind of a page's statement; without filters, it has only a few variants."""
    return Kind.FREQUENT if query.by_time and not query.filters else Kind.QUERY


def _is_short(change: Change) -> bool:
    """Return whether a change is certain to fit, and quick to send."""
    fits = len(change.id) <= _LONGEST_ID and storable(change.id)
    return fits and len(change.data) <= _LONGEST_DOCUMENT


def _escaped(collection: Collection) -> Collection:
    """Return the parent id and the collection id in the encoding of the database."""
    parent_id, collection_id = collection
    return escape(parent_id), escape(collection_id)


def load_from_config(config: Configurator) -> Storage:
    """Return the storage of an application, in the database of ``storage_url``.

    :raises pyramid.exceptions.ConfigurationError: if that isn't a PostgreSQL URL.
    """
    return Storage(create_from_config(config, "storage_"))
