"""Redis storage backend.

Every operation is atomic, and its changes become visible together. Redis has no rollback: if a
request fails, or a later request of its batch does, its writes remain. All other guarantees of the
engines hold, with any number of processes.

Lists in the order of the timestamps only read their page. Other filters and orders read the whole
collection (or the part after ``_since``) and are evaluated in Python.

Timestamps are scores of sorted sets, hence integers of 53 bits: at most 9007199254740991
milliseconds, long after the year 9999.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pyramid.config import Configurator

from cliquet.drivers.redis.client import (
    CHUNK,
    Client,
    RedisBackend,
    Script,
    create_from_config,
    decode,
    encode,
    pattern,
)
from cliquet.drivers.redis.client import wrap_redis_error as wrap_redis_error
from cliquet.storage import DEFAULT_DELETED_FIELD as DEFAULT_DELETED_FIELD
from cliquet.storage import DEFAULT_ID_FIELD as DEFAULT_ID_FIELD
from cliquet.storage import DEFAULT_MODIFIED_FIELD as DEFAULT_MODIFIED_FIELD
from cliquet.storage import Page, Record
from cliquet.storage import logger as logger
from cliquet.storage.checksums import Checksum
from cliquet.storage.engine import StorageEngine
from cliquet.storage.filtering import Query, Span, on_page
from cliquet.storage.in_memory import MemoryBasedStorage as MemoryBasedStorage
from cliquet.storage.operations import Change, Collection, Conflict
from cliquet.storage.redis.keys import (
    BEGINNING,
    EPOCH,
    LOCKS,
    PREFIX,
    TIMESTAMPS,
    TOMBSTONES,
    collection_of,
    digest,
    keys,
)
from cliquet.storage.redis.locks import HeldLocks, Locks
from cliquet.storage.rows import Row, matching_rows, rows_to_records, select
from cliquet.storage.timestamps import far_future, next_epoch, next_time
from cliquet.storage.types import Mismatch
from cliquet.utils import json

_script = functools.partial(Path.joinpath, Path(__file__).parent)
_COLLECTION = _script("collection.lua")
_WRITE = Script(_COLLECTION, _script("write.lua"))
_DELETE = Script(_COLLECTION, _script("delete.lua"))
_DELETE_ALL = Script(_COLLECTION, _script("delete_all.lua"))
_PAGE = Script(_COLLECTION, _script("page.lua"))
_PURGE = Script(_COLLECTION, _script("purge.lua"))
_VERIFY = Script(_COLLECTION, _script("verify.lua"))
_TIMESTAMP = Script(_COLLECTION, _script("timestamp.lua"))
_FLUSH = Script(_script("flush_storage.lua"))

_LATEST = (1 << 53) - 1


class Storage(RedisBackend, StorageEngine, MemoryBasedStorage):
    """Redis storage backend.

    Enable it with::

        cliquet.storage_backend = cliquet.storage.redis
        cliquet.storage_url = redis://localhost:6379/0

    :param client: the client of the server.
    :param locks: the locks of the collections, by default those of ``client``.
    """

    def __init__(self, client: Client, *args: Any, **kwargs: Any) -> None:
        super().__init__(client)
        self._locks = kwargs.get("locks") or Locks(client)

    def initialize_schema(self) -> None:
        """Set the timestamp of collections that were never written, unless it is set."""
        self._client.call("SET", EPOCH, next_epoch(), "NX")

    def pending_migrations(self) -> list[str]:
        is_set = self._client.call("EXISTS", EPOCH)
        return [] if is_set else ["set the timestamp of empty collections"]

    def flush(self, auth: str | None = None) -> None:
        scan = (pattern(PREFIX), LOCKS, CHUNK)
        self._client.run(_FLUSH, [EPOCH], *scan, TIMESTAMPS, next_epoch(), far_future())

    def _lock(self, collection: Collection) -> None:
        manager = self._locks.join_transaction()
        if manager is not None:
            self._locks.lock(manager, collection)

    def _get_for_update(self, collection: Collection, object_id: str) -> tuple[int, bytes] | None:
        manager = self._locks.join_transaction()
        if manager is None:
            return self._get(collection, object_id)
        stored = self._locks.lock(manager, collection, object_id)
        return None if stored is None else _parsed(stored)

    def _timestamp(self, collection: Collection) -> int:
        return int(self._client.run(_TIMESTAMP, keys(collection)) or BEGINNING)

    def _timestamps(self, collections: Sequence[Collection]) -> list[int]:
        # Unlike the script, this doesn't rebuild evicted keys. Their timestamps seem to have
        # changed, so the caller reads these collections.
        names = [keys(collection)[0] for collection in collections]
        epoch, *timestamps = self._client.call("MGET", EPOCH, *names)
        return [int(timestamp or epoch or BEGINNING) for timestamp in timestamps]

    def _get(self, collection: Collection, object_id: str) -> tuple[int, bytes] | None:
        stored = self._stored(collection, object_id)
        return None if stored is None else _parsed(stored)

    def _delete(
        self,
        collection: Collection,
        object_id: str,
        requested_timestamp: int | None,
        keep_tombstone: bool,
    ) -> int | None:
        args = (
            next_time(0),
            encode(object_id),
            _timestamp_argument(requested_timestamp),
            int(keep_tombstone),
        )
        timestamp: int | None = self._locks.write(collection, _DELETE, *args)[2]
        return timestamp

    def _delete_all(self, collection: Collection, query: Query, keep_tombstone: bool) -> list[Row]:
        low, high = query.span
        if not query.filters:
            reply = self._locks.write(
                collection, _DELETE_ALL, next_time(0), int(keep_tombstone), low, high
            )
            return _tombstones(reply[2:])
        manager = self._locks.join_transaction()
        if manager is not None:
            return self._delete_some(collection, query, keep_tombstone, manager)
        manager = self._locks.new_manager()
        try:
            return self._delete_some(collection, query, keep_tombstone, manager)
        finally:
            manager.save()

    def _purge(self, collection: Collection, before: int, limit: int | None) -> int:
        args = (f"({before}", "" if limit is None else limit)
        count: int = self._client.run(_PURGE, keys(collection), *args)
        return count

    def _count_deleted(self, before: int) -> Iterator[tuple[Collection, int]]:
        for key in self._client.keys(TOMBSTONES):
            count = self._client.call("ZCOUNT", key, "-inf", f"({before}")
            yield collection_of(key.removeprefix(TOMBSTONES)), count

    def find_mismatches(self) -> Iterator[Mismatch]:
        for key in self._client.keys(TIMESTAMPS):
            parent_id, collection_id = collection_of(key.removeprefix(TIMESTAMPS))
            number, *sums = self._client.run(_VERIFY, keys((parent_id, collection_id)))
            stored, actual = Checksum(number, *sums[:2]), Checksum(number, *sums[2:])
            if stored != actual:
                yield Mismatch(collection_id, parent_id, stored, actual)

    def _known_collections(self) -> list[Collection]:
        names = self._client.keys(TIMESTAMPS)
        return [collection_of(name.removeprefix(TIMESTAMPS)) for name in names]

    def _page(self, collection: Collection, query: Query, with_timestamp: bool) -> Page:
        if not query.by_time or query.filters:
            reply = self._read_page(collection, query._replace(max_bytes=None), query.span, None)
            records, total, part = select(query, reply.live, reply.dead)
            return Page(records, total, reply.timestamp, part.is_cut, part.size, reply.checksum)
        reply = self._read_page(collection, query, query.page_span, query.limit)
        rows = reply.in_order(query)
        records = _on_page(query, rows)
        if len(records) < len(rows) == query.limit:
            # The rules exclude some of these rows: more matching records can follow.
            reply = self._read_page(collection, query, query.page_span, None)
            records = _on_page(query, reply.in_order(query._replace(limit=None)))
        records = records[: query.limit]
        size = 0 if query.max_bytes is None else reply.size
        return Page(records, reply.total, reply.timestamp, reply.is_cut, size, reply.checksum)

    def _stored(self, collection: Collection, object_id: str) -> bytes | None:
        stored: bytes | None = self._client.call("HGET", keys(collection)[1], encode(object_id))
        return stored

    def _write(self, collection: Collection, change: Change, replace: bool) -> int:
        object_id = encode(change.id)
        args = [
            next_time(0),
            object_id,
            _timestamp_argument(change.requested_timestamp),
            change.data,
            int(replace),
        ]
        args.append(len(change.unique))
        for field, value in change.unique.items():
            args += (encode(field), digest(value))
        reply = self._locks.write(collection, _WRITE, *args)
        while reply[0] == b"index":
            entries = _index_entries(reply[1], reply[2:])
            reply = self._locks.write(collection, _WRITE, *args, *entries)
        if reply[0] == b"same":
            taken = decode(reply[3]) if len(reply) > 3 else None
            raise Conflict((decode(reply[1]), *_parsed(reply[2])), taken)
        timestamp: int = reply[2]
        return timestamp

    def _delete_some(
        self, collection: Collection, query: Query, keep_tombstone: bool, manager: HeldLocks
    ) -> list[Row]:
        """Delete the matching records, under a lock that is held since they were read."""
        self._locks.lock(manager, collection)
        oldest_first = query._replace(sorting=[query.sorting[0]._replace(direction=1)])
        rows = self._read_page(collection, oldest_first, query.span, None).live
        ids = [encode(row[0]) for row, _ in matching_rows(query, rows)]
        args = (next_time(0), int(keep_tombstone), *query.span, b"ids", *ids)
        return _tombstones(self._locks.write(collection, _DELETE_ALL, *args, manager=manager)[2:])

    def _read_page(
        self, collection: Collection, query: Query, span: Span, limit: int | None
    ) -> _PageReply:
        """Return the first records in the span, sorted by timestamp."""
        reply = self._client.run(
            _PAGE,
            keys(collection),
            *span,
            int(query.sorting[0].direction > 0),
            -1 if limit is None else limit,
            *query.span,
            int(query.include_deleted),
            b"" if query.max_bytes is None else query.max_bytes,
            *_id_arguments(query),
            *_checksum_arguments(query),
        )
        return _PageReply(reply)


class _PageReply:
    """The result of the page script."""

    def __init__(self, reply: list[Any]) -> None:
        timestamp, self.total, ids, records, dead, is_cut, sums = reply
        self.checksum = Checksum(*sums) if sums else None
        self.is_cut = bool(is_cut)
        self.size = len(records)
        self.timestamp = int(timestamp or BEGINNING)
        parsed = map(_parsed, records.split(b"\0")) if records else ()
        self.live: list[Row] = [
            (object_id, *record)
            for object_id, record in zip(decode(ids).split("\0"), parsed, strict=False)
        ]
        texts = dead.split(b"\0") if dead else []
        pairs = zip(texts[::2], texts[1::2], strict=True)
        self.dead: list[Row] = [(decode(object_id), int(time), None) for object_id, time in pairs]

    def in_order(self, query: Query) -> list[Row]:
        """Return the first rows, records and tombstones in order."""
        if not self.dead:
            return self.live
        newest_first = query.sorting[0].direction < 0
        rows = sorted(self.live + self.dead, key=lambda row: row[1], reverse=newest_first)
        if self.is_cut:  # tombstones after the last record belong to another page
            rows = rows[: rows.index(self.live[-1]) + 1]
        return rows[: query.limit]


def _id_arguments(query: Query) -> list[Any]:
    """Return the arguments of the page script for the ids of the only records on the page."""
    return [b""] if query.ids is None else [len(query.ids), *map(encode, query.ids)]


def _checksum_arguments(query: Query) -> list[bytes]:
    """Return the arguments of the page script for the checksum, if it is requested."""
    if not query.with_checksum:
        return []
    if query.checksum_ids is None:
        return [b"all"]
    return [b"ids", *map(encode, query.checksum_ids)]


def _on_page(query: Query, rows: list[Row]) -> list[Record]:
    records = rows_to_records(rows, query.names)
    return list(filter(on_page(query.rules), records)) if query.rules else records


def _parsed(stored: bytes) -> tuple[int, bytes]:
    timestamp, _, data = stored.partition(b" ")
    return int(timestamp), data


def _tombstones(reply: list[Any]) -> list[Row]:
    pairs = zip(reply[::2], reply[1::2], strict=True)
    return [(decode(object_id), timestamp, None) for object_id, timestamp in pairs]


def _timestamp_argument(timestamp: int | None) -> int | bytes:
    """Return the requested timestamp as an argument of the scripts."""
    if timestamp is None:
        return b""
    if abs(timestamp) > _LATEST:
        raise ValueError(f"Redis cannot store the timestamp {timestamp} exactly")
    return timestamp


def _index_entries(field: bytes, reply: list[bytes]) -> Iterable[Any]:
    """Return the index entries of some records: field, id, timestamp and digest."""
    name = decode(field)
    for object_id, stored in zip(reply[::2], reply[1::2], strict=True):
        timestamp, data = _parsed(stored)
        yield from (field, object_id, timestamp, digest(json.loads(data).get(name)))


def load_from_config(config: Configurator) -> Storage:
    """Return the storage of an application, on the server of ``storage_url``.

    :raises pyramid.exceptions.ConfigurationError: if that isn't a Redis URL.
    """
    return Storage(create_from_config(config, "storage_"))
