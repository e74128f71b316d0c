"""In-memory storage backend for tests and trials.

Data is lost when the process ends. If a transaction is aborted, its writes are undone;
until it ends, no other request reads.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from functools import partial
from itertools import compress
from typing import Any

from pyramid.config import Configurator

from cliquet.drivers.backend import SchemalessBackend
from cliquet.drivers.memory import MemoryTransactions, UndoLog, transactions_from_config
from cliquet.storage import DEFAULT_DELETED_FIELD as DEFAULT_DELETED_FIELD
from cliquet.storage import DEFAULT_ID_FIELD as DEFAULT_ID_FIELD
from cliquet.storage import DEFAULT_MODIFIED_FIELD as DEFAULT_MODIFIED_FIELD
from cliquet.storage import Filter as Filter
from cliquet.storage import Page, Record
from cliquet.storage import StorageBase as StorageBase
from cliquet.storage.checksums import CUBE_MODULUS, TIME_MODULUS, Checksum
from cliquet.storage.engine import StorageEngine
from cliquet.storage.filtering import Query, Span, on_page
from cliquet.storage.in_memory import MemoryBasedStorage as MemoryBasedStorage
from cliquet.storage.in_memory import apply_sorting as apply_sorting
from cliquet.storage.in_memory import get_unicity_rules as get_unicity_rules
from cliquet.storage.in_memory import tree as tree
from cliquet.storage.operations import Change, Collection, Conflict
from cliquet.storage.ordering import order_key
from cliquet.storage.rows import Part, Row, matching_rows, rows_to_records, select, take
from cliquet.storage.timestamps import change_timestamps, far_future, next_epoch
from cliquet.storage.types import Mismatch
from cliquet.utils import COMPARISON as COMPARISON
from cliquet.utils import json

#: A timestamp, and the JSON of the fields; None for a tombstone.
Entry = tuple[int, bytes | None]

_NOTHING: Entry = (0, None)


class Storage(SchemalessBackend, StorageEngine, MemoryBasedStorage):
    """In-memory storage backend.

    .. code-block:: ini

        cliquet.storage_backend = cliquet.storage.memory

    :param transactions: shared with the other memory backends of the application.
    """

    supports_rollback = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._transactions = kwargs.get("transactions") or MemoryTransactions()
        self._collections: dict[Collection, _Records] = {}
        self._epoch = next_epoch()

    def flush(self, auth: str | None = None) -> None:
        with self._transactions.writing() as log:
            log.append(partial(self._restore, self._collections, self._epoch))
            far = far_future()
            times = [records.timestamp for records in self._collections.values()]
            latest = max(time for time in [0, self._epoch, *times] if time < far)
            self._restore({}, next_epoch(latest))

    def _restore(self, collections: dict[Collection, _Records], epoch: int) -> None:
        self._collections, self._epoch = collections, epoch

    def _lock(self, collection: Collection) -> None:
        self._transactions.lock()

    def _timestamp(self, collection: Collection) -> int:
        with self._transactions.reading():
            records = self._collections.get(collection)
            return self._epoch if records is None else records.timestamp

    def _get(self, collection: Collection, object_id: str) -> tuple[int, bytes] | None:
        with self._transactions.reading():
            records = self._collections.get(collection)
            timestamp, data = _NOTHING if records is None else records.get(object_id)
        return None if data is None else (timestamp, data)

    def _write(self, collection: Collection, change: Change, replace: bool) -> int:
        with self._transactions.writing() as log:
            records = self._collections.get(collection) or self._new(log, collection)
            timestamp, data = records.get(change.id)
            if data is not None and not replace:
                raise Conflict((change.id, timestamp, data))
            records.check_unique(change)
            requested_timestamp = records.other_time(change.id, change.requested_timestamp)
            return records.write(log, change.id, _copy(change.data), requested_timestamp)

    def _delete(
        self,
        collection: Collection,
        object_id: str,
        requested_timestamp: int | None,
        keep_tombstone: bool,
    ) -> int | None:
        with self._transactions.writing() as log:
            records = self._collections.get(collection)
            if records is None or records.get(object_id)[1] is None:
                return None
            requested_timestamp = records.other_time(object_id, requested_timestamp)
            return records.write(log, object_id, None, requested_timestamp, keep_tombstone)

    def _delete_all(self, collection: Collection, query: Query, keep_tombstone: bool) -> list[Row]:
        with self._transactions.writing() as log:
            records = self._collections.get(collection)
            if records is None:
                return []
            matching = matching_rows(query, records.live_rows(query))
            ids = records.in_order_of_creation({row[0] for row, _ in matching})
            return [(id_, records.write(log, id_, None, None, keep_tombstone), None) for id_ in ids]

    def _purge(self, collection: Collection, before: int, limit: int | None) -> int:
        with self._transactions.writing() as log:
            records = self._collections.get(collection)
            if records is None:
                return 0
            ids = records.dead(before)[:limit]
            for object_id in ids:
                records.forget(log, object_id)
            return len(ids)

    def _count_deleted(self, before: int) -> list[tuple[Collection, int]]:
        with self._transactions.reading():
            collections = self._collections.items()
            return [(collection, len(records.dead(before))) for collection, records in collections]

    def find_mismatches(self) -> list[Mismatch]:
        with self._transactions.reading():
            return [
                Mismatch(collection_id, parent_id, stored, actual)
                for (parent_id, collection_id), records in self._collections.items()
                for stored, actual in [(records.checksum(None), records.computed_checksum())]
                if stored != actual
            ]

    def _known_collections(self) -> list[Collection]:
        with self._transactions.reading():
            return list(self._collections)

    def _page(self, collection: Collection, query: Query, with_timestamp: bool) -> Page:
        with self._transactions.reading():
            timestamp = self._timestamp(collection) if with_timestamp else 0
            records = self._collections.get(collection)
            if records is None:
                return Page([], 0, timestamp, checksum=query.empty_checksum)
            if query.by_time and not query.filters:
                page, part = records.by_time(query)
                total = records.count(query.span)
            else:
                page, total, part = records.scan(query)
            checksum = records.checksum(query.checksum_ids) if query.with_checksum else None
            return Page(page, total, timestamp, part.is_cut, part.size, checksum)

    def _new(self, log: UndoLog, collection: Collection) -> _Records:
        log.append(partial(self._collections.pop, collection))
        records = self._collections[collection] = _Records(self._epoch)
        return records


class _Records:
    """The records and tombstones of a collection, with an index by timestamp.

    :param epoch: the timestamp of the collection before the first write.
    """

    def __init__(self, epoch: int) -> None:
        self.timestamp = 0
        self._epoch = epoch
        self._entries: dict[str, Entry] = {}
        self._ids: dict[int, str] = {}
        # The timestamps of records and tombstones, and of records only.
        self._times: list[int] = []
        self._live: list[int] = []
        # Of the checksum, but not reduced, because Python's integers are exact.
        self._time_sum = self._cube_sum = 0

    def get(self, object_id: str) -> Entry:
        return self._entries.get(object_id, _NOTHING)

    def write(
        self,
        log: UndoLog,
        object_id: str,
        data: bytes | None,
        requested_timestamp: int | None,
        keep_tombstone: bool = True,
    ) -> int:
        """Replace the entry by a record, a tombstone (if ``keep_tombstone``) or nothing."""
        log.append(partial(self._restore, object_id, self._entries.get(object_id), self.timestamp))
        self._unindex(object_id)
        free = None if requested_timestamp is None else self._next_free(requested_timestamp)
        current = self.timestamp or (self._epoch if free is None else 0)
        timestamp, self.timestamp = change_timestamps(current, free)
        self._put(object_id, (timestamp, data) if keep_tombstone else None)
        return timestamp

    def forget(self, log: UndoLog, object_id: str) -> None:
        log.append(partial(self._restore, object_id, self._entries[object_id], self.timestamp))
        self._unindex(object_id)
        self._put(object_id, None)

    def other_time(self, object_id: str, requested_timestamp: int | None) -> int | None:
        """Return the timestamp that a change requests, unless it equals the record's."""
        timestamp, data = self.get(object_id)
        return (
            None if data is not None and requested_timestamp == timestamp else requested_timestamp
        )

    def check_unique(self, change: Change) -> None:
        for field, value in change.unique.items():
            # Searching the JSON for a string is faster than parsing it.
            part = json.dumps_bytes(value) if isinstance(value, str) else b""
            key = order_key(value)
            for object_id, (timestamp, data) in self._entries.items():
                if data is None or part not in data or object_id == change.id:
                    continue
                if order_key(json.loads(data).get(field)) == key:
                    raise Conflict((object_id, timestamp, data), field)

    def in_order_of_creation(self, ids: set[str]) -> list[str]:
        return [object_id for object_id in self._entries if object_id in ids]

    def dead(self, before: int) -> list[str]:
        """Return the ids of the tombstones older than ``before``, oldest first."""
        stop = bisect_left(self._times, before)
        return [row[0] for row in self._rows(self._times[:stop]) if row[2] is None]

    def live_rows(self, query: Query) -> list[Row]:
        """Return the records that can match a query."""
        return [row for row in self._candidates(query, self._live) if row[2] is not None]

    def count(self, span: Span) -> int:
        start, stop = _slice(self._live, span)
        return max(0, stop - start)

    def checksum(self, ids: Sequence[str] | None) -> Checksum:
        if ids is None:
            times, cubes = self._time_sum % TIME_MODULUS, self._cube_sum % CUBE_MODULUS
            return Checksum(len(self._live), times, cubes)
        entries = map(self.get, set(ids))
        return Checksum().add(*(time for time, data in entries if data is not None))

    def computed_checksum(self) -> Checksum:
        entries = self._entries.values()
        return Checksum().add(*(time for time, data in entries if data is not None))

    def by_time(self, query: Query) -> tuple[list[Record], Part]:
        """Return the page for a query without filters, sorted by timestamp."""
        timestamps = self._times if query.include_deleted else self._live
        start, stop = _slice(timestamps, query.page_span)
        limit = len(timestamps) if query.limit is None else query.limit
        is_on_page = on_page(query.rules)
        page: list[Record] = []
        kept: list[Row] = []
        while start < stop and len(page) < limit:
            missing = limit - len(page)
            if query.sorting[0].direction > 0:
                rows = self._rows(timestamps[start : min(start + missing, stop)])
                start += missing
            else:
                rows = self._rows(timestamps[max(start, stop - missing) : stop])[::-1]
                stop -= missing
            records = rows_to_records(rows, query.names)
            if query.rules:
                matches = [is_on_page(record) for record in records]
                records, rows = list(compress(records, matches)), list(compress(rows, matches))
            page += records
            kept += rows
        part = take(kept, query.max_bytes)
        return page[: len(part.rows)], part

    def scan(self, query: Query) -> tuple[list[Record], int, Part]:
        """Return the page for any query, the number of matching records, and its rows."""
        rows = self._candidates(query, self._times) if query.include_deleted else []
        return select(query, self.live_rows(query), [row for row in rows if row[2] is None])

    def _candidates(self, query: Query, timestamps: list[int]) -> list[Row]:
        """Return the rows with some timestamps, or ids, that can match a query."""
        if query.ids is None:
            start, stop = _slice(timestamps, query.span)
            return self._rows(timestamps[start:stop])
        return [(id_, *self._entries[id_]) for id_ in query.ids if id_ in self._entries]

    def _rows(self, timestamps: list[int]) -> list[Row]:
        entries, ids = self._entries, map(self._ids.__getitem__, timestamps)
        return [(object_id, *entries[object_id]) for object_id in ids]

    def _next_free(self, timestamp: int) -> int:
        index = bisect_left(self._times, timestamp)
        rest = range(index, len(self._times))
        # While timestamps are consecutive, they grow as their indexes do.
        taken = bisect_right(rest, timestamp - index, key=lambda at: self._times[at] - at)
        return timestamp + taken

    def _restore(self, object_id: str, entry: Entry | None, timestamp: int) -> None:
        self._unindex(object_id)
        self._put(object_id, entry)
        self.timestamp = timestamp

    def _unindex(self, object_id: str) -> None:
        """Free the timestamp of a record or tombstone before it is replaced."""
        timestamp, data = self.get(object_id)
        if self._ids.get(timestamp) != object_id:
            return
        del self._ids[timestamp]
        del self._times[bisect_left(self._times, timestamp)]
        if data is not None:
            del self._live[bisect_left(self._live, timestamp)]
            self._time_sum -= timestamp
            self._cube_sum -= timestamp * timestamp * timestamp

    def _put(self, object_id: str, entry: Entry | None) -> None:
        """Set or remove an entry; live records keep their position in the dictionary."""
        if entry is None or entry[1] is None or self.get(object_id)[1] is None:
            self._entries.pop(object_id, None)
        if entry is not None:
            timestamp, data = self._entries[object_id] = entry
            self._ids[timestamp] = object_id
            insort(self._times, timestamp)
            if data is not None:
                insort(self._live, timestamp)
                self._time_sum += timestamp
                self._cube_sum += timestamp * timestamp * timestamp


def _slice(timestamps: list[int], span: Span) -> tuple[int, int]:
    """Return the slice of a sorted list of timestamps that is in the span."""
    return bisect_left(timestamps, span.low), bisect_right(timestamps, span.high)


def _copy(data: bytes) -> bytes:
    """Return a copy without the 4 KB buffer of the JSON encoder."""
    return bytes(memoryview(data))


def load_from_config(config: Configurator) -> Storage:
    """Return the storage of an application."""
    return Storage(transactions=transactions_from_config(config))
