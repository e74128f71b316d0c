"""Storage backend that keeps collections in a file of the standard library's shelve."""

import dbm
import json
import shelve
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from cliquet import transactions
from cliquet.storage import Page
from cliquet.storage.engine import StorageEngine
from cliquet.storage.exceptions import BackendError
from cliquet.storage.operations import Conflict
from cliquet.storage.ordering import order_key
from cliquet.storage.rows import matching_rows, select
from cliquet.storage.timestamps import change_timestamps, far_future, next_epoch


@dataclass
class Records:
    """A collection: each row is an id, a timestamp, and JSON, which is None in tombstones."""

    epoch: int
    timestamp: int = 0
    rows: dict = field(default_factory=dict)

    def live(self):
        return [row for row in self.rows.values() if row[2] is not None]

    def tombstones(self):
        return [row for row in self.rows.values() if row[2] is None]

    def write(self, object_id, timestamp, data, keep=True):
        """Replace a row, and return its timestamp: the requested or next free one; None: now."""
        old = self.rows.pop(object_id, None)
        if old is not None and old[2] is not None and old[1] == timestamp:
            timestamp = None
        taken = {row[1] for row in self.rows.values()}
        while timestamp in taken:
            timestamp += 1
        current = self.timestamp or (self.epoch if timestamp is None else 0)
        timestamp, self.timestamp = change_timestamps(current, timestamp)
        if keep:
            self.rows[object_id] = (object_id, timestamp, data)
        return timestamp

    def check_unique(self, change):
        others = [row for row in self.live() if row[0] != change.id]
        for name, value in change.unique.items():
            for row in others:
                if order_key(json.loads(row[2]).get(name)) == order_key(value):
                    raise Conflict(row, name)


class Storage(StorageEngine):
    def __init__(self, path):
        self._path = path
        self._mutex = threading.RLock()

    @contextmanager
    def _open(self):
        try:
            with self._mutex, shelve.open(self._path) as db:
                yield db
        except dbm.error as error:
            raise BackendError(error) from error

    @contextmanager
    def _records(self, collection, save=False):
        key = json.dumps(collection)
        with self._open() as db:
            records = db.get(key) or Records(db["epoch"])
            yield records
            if save and records.timestamp:
                db[key] = records
                transactions.disable_retry()

    def initialize_schema(self):
        with self._open() as db:
            db.setdefault("epoch", next_epoch())

    def pending_migrations(self):
        with self._open() as db:
            return [] if "epoch" in db else ["set the timestamp of empty collections"]

    def flush(self, auth=None):
        with self._open() as db:
            times = [db["epoch"], *(db[key].timestamp for key in db if key != "epoch")]
            far = far_future()  # later timestamps were requested by clients
            epoch = next_epoch(max(time for time in times if time < far))
            db.clear()
            db["epoch"] = epoch
        transactions.disable_retry()

    def _timestamp(self, collection):
        with self._records(collection) as records:
            return records.timestamp or records.epoch

    def _get(self, collection, object_id):
        with self._records(collection) as records:
            _, timestamp, data = records.rows.get(object_id, (object_id, 0, None))
        return None if data is None else (timestamp, data)

    def _write(self, collection, change, replace):
        with self._records(collection, save=True) as records:
            row = records.rows.get(change.id)
            if row is not None and row[2] is not None and not replace:
                raise Conflict(row)
            records.check_unique(change)
            return records.write(change.id, change.requested_timestamp, change.data)

    def _delete(self, collection, object_id, requested_timestamp, keep_tombstone):
        with self._records(collection, save=True) as records:
            row = records.rows.get(object_id)
            if row is None or row[2] is None:
                return None
            return records.write(object_id, requested_timestamp, None, keep_tombstone)

    def _delete_all(self, collection, query, keep_tombstone):
        with self._records(collection, save=True) as records:
            ids = [row[0] for row, _ in matching_rows(query, records.live())]
            return [(id_, records.write(id_, None, None, keep_tombstone), None) for id_ in ids]

    def _purge(self, collection, before, limit):
        with self._records(collection, save=True) as records:
            old = [row for row in records.tombstones() if row[1] < before]
            old.sort(key=lambda row: row[1])
            for row in old[:limit]:
                del records.rows[row[0]]
            return len(old[:limit])

    def _count_deleted(self, before):
        for collection in self._known_collections():
            with self._records(collection) as records:
                yield collection, sum(row[1] < before for row in records.tombstones())

    def _known_collections(self):
        with self._open() as db:
            return [tuple(json.loads(key)) for key in db if key != "epoch"]

    def _page(self, collection, query, with_timestamp):
        with self._records(collection) as records:
            page, total, part = select(query, records.live(), records.tombstones())
            timestamp = records.timestamp or records.epoch
            return Page(page, total, timestamp, part.is_cut, part.size)


def load_from_config(config):
    return Storage(config.get_settings()["shelve.path"])
