"""Interface of the storage backends.

A record is a JSON object. Records belong to a collection, identified by a
``collection_id`` (the resource) and a ``parent_id`` (usually the user). Every
collection has a timestamp: the time of its last change in milliseconds.
"""

from __future__ import annotations

import random as random  # tests of 3.1 replace its functions
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from cliquet.drivers.backend import Backend, health_check
from cliquet.loggers import get_logger
from cliquet.storage import exceptions, generators
from cliquet.storage.checksums import Checksum
from cliquet.storage.combined import combined_checksum, combined_page
from cliquet.storage.filtering import FieldNames, build_query
from cliquet.storage.operations import (
    StorageOperations,
    before_or_latest,
    build_change,
    check_timestamp,
    read_record,
)
from cliquet.storage.rows import rows_to_records
from cliquet.storage.types import (
    DEFAULT_DELETED_FIELD,
    DEFAULT_ID_FIELD,
    DEFAULT_MODIFIED_FIELD,
    MISSING,
    Deleted,
    Filter,
    Mismatch,
    Missing,
    Page,
    Record,
    Selection,
    Sort,
)
from cliquet.utils.overrides import detects_overrides, is_inherited

logger = get_logger(__name__)

# Only measure pages whose records would exceed the limit with this many bytes of JSON each.
_LARGE_RECORD = 1 << 18


@detects_overrides
class StorageBase(StorageOperations, Backend):
    """Base class of the storage backends, including those of other packages.

    Parameters have the same meaning in every method:

    - ``collection_id``, ``parent_id``: the collection;
    - ``id_field``, ``modified_field``, ``deleted_field``: the names in the records of
      the id, the timestamp and the mark of tombstones;
    - ``unique_fields``: the fields whose values must be unique in the collection;
      ``None``, missing and empty values are exempt;
    - ``auth``: the ``Authorization`` header of the request, for backends that
      pass it on.

    Every method is atomic. Methods raise
    :class:`~cliquet.storage.exceptions.BackendError` if the backend fails.

    Backends implement either these methods, or the operations that they call (see
    :class:`~cliquet.storage.engine.StorageEngine`).
    """

    #: Whether aborting the transaction of a request undoes its changes.
    supports_rollback = False
    #: Creates the ids of records without one, unless the caller passes a generator.
    id_generator: Callable[[], str] = generators.UUID4()

    def flush(self, auth: str | None = None) -> None:
        """Delete every record, tombstone and timestamp."""
        raise NotImplementedError

    def lock(self, collection_id: str, parent_id: str, auth: str | None = None) -> None:
        """Lock the collection against other writers until the transaction ends.

        Resources call this before they read records in order to check and then write them.
        Engines without transactions need not override it.
        """
        self._lock((parent_id, collection_id))

    def create(
        self,
        collection_id: str,
        parent_id: str,
        record: Record,
        id_generator: Callable[[], str] | None = None,
        unique_fields: Sequence[str] | None = None,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        auth: str | None = None,
    ) -> Record:
        """Add a record, and return it with its id and timestamp.

        :param record: its id and timestamp are kept if it has them; if the timestamp
            is taken, the next free one is used. A tombstone with the same id is
            removed.
        :param id_generator: creates the id of a record without one.
        :raises ~cliquet.storage.exceptions.UnicityError: if a record with that id,
            or with the same value of a unique field, exists.
        :raises ValueError: if the record can't be stored: see
            :func:`~cliquet.storage.operations.build_change`.
        """
        object_id, is_new_id = record.get(id_field), False
        if object_id is None:
            generator = id_generator or self.id_generator
            object_id, is_new_id = generator(), type(generator) is generators.UUID4
        names = FieldNames(id_field, modified_field, "")
        change = build_change(object_id, record, unique_fields, names, is_new_id)
        collection = parent_id, collection_id
        return self._write_record(collection, change, record, names, replace=False)

    def get(
        self,
        collection_id: str,
        parent_id: str,
        object_id: str,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        auth: str | None = None,
    ) -> Record:
        """Return the record.

        :raises ~cliquet.storage.exceptions.RecordNotFoundError: if it doesn't exist
            or is deleted.
        """
        stored = self._get((parent_id, collection_id), object_id)
        return read_record(object_id, stored, id_field, modified_field)

    def get_for_update(
        self,
        collection_id: str,
        parent_id: str,
        object_id: str,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        auth: str | None = None,
    ) -> Record:
        """Lock the collection with :meth:`lock`, then :meth:`get` the record."""
        if is_inherited(self, StorageBase, "lock", "get"):
            stored = self._get_for_update((parent_id, collection_id), object_id)
            return read_record(object_id, stored, id_field, modified_field)
        place: Any = {"collection_id": collection_id, "parent_id": parent_id, "auth": auth}
        self.lock(**place)
        names = {"id_field": id_field, "modified_field": modified_field}
        return self.get(**place, object_id=object_id, **names)

    def update(
        self,
        collection_id: str,
        parent_id: str,
        object_id: str,
        record: Record,
        unique_fields: Sequence[str] | None = None,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        auth: str | None = None,
    ) -> Record:
        """Replace the record, or create it; return it with its timestamp.

        :param record: its timestamp is kept (or the next free one used), unless it is missing
            or equals that of the replaced record.
        :raises ~cliquet.storage.exceptions.UnicityError: if another record has the
            same value of a unique field.
        :raises ValueError: if the record can't be stored, as in :meth:`create`.
        """
        names = FieldNames(id_field, modified_field, "")
        change = build_change(object_id, record, unique_fields, names)
        collection = parent_id, collection_id
        return self._write_record(collection, change, record, names, replace=True)

    def delete(
        self,
        collection_id: str,
        parent_id: str,
        object_id: str,
        with_deleted: bool = True,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        deleted_field: str = DEFAULT_DELETED_FIELD,
        auth: str | None = None,
        last_modified: int | None = None,
    ) -> Record:
        """Delete the record, and return its tombstone: id, timestamp and deleted mark.

        :param with_deleted: whether to keep the tombstone.
        :param last_modified: the time of the deletion in milliseconds, kept (or the next free one
            used) unless it equals that of the record.
        :raises ~cliquet.storage.exceptions.RecordNotFoundError: if the record doesn't
            exist.
        :raises ValueError: if the time isn't an integer between -2 ** 62 and 2 ** 62.
        """
        requested = check_timestamp(modified_field, last_modified)
        timestamp = self._delete((parent_id, collection_id), object_id, requested, with_deleted)
        if timestamp is None:
            raise exceptions.RecordNotFoundError(object_id)
        return {id_field: object_id, modified_field: timestamp, deleted_field: True}

    def delete_all(
        self,
        collection_id: str,
        parent_id: str,
        filters: Sequence[Filter] | None = None,
        with_deleted: bool = True,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        deleted_field: str = DEFAULT_DELETED_FIELD,
        auth: str | None = None,
    ) -> list[Record]:
        """Delete the records that match all ``filters``, and return their tombstones.

        Each tombstone gets a distinct timestamp.

        :param with_deleted: whether to keep the tombstones.
        """
        names = FieldNames(id_field, modified_field, deleted_field)
        query = build_query(names, filters)
        rows = self._delete_all((parent_id, collection_id), query, with_deleted)
        return rows_to_records(rows, names)

    def purge_deleted(
        self,
        collection_id: str,
        parent_id: str,
        before: int | None = None,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        auth: str | None = None,
        limit: int | None = None,
    ) -> int:
        """Purge the tombstones older than ``before``, and return their number.

        Clients that poll for changes since an earlier time no longer see these deletions.

        :param before: a timestamp in milliseconds; None: all tombstones.
        :param limit: the maximum number to purge, oldest first; None: all. Only passed to
            backends that have :meth:`count_deleted`.
        """
        return self._purge((parent_id, collection_id), before_or_latest(before), limit)

    def count_deleted(self, before: int | None = None) -> list[Deleted]:
        """Return the number of tombstones older than ``before`` in each collection.

        The list is sorted by id and omits collections without tombstones. Backends can lack this
        method: their tombstones must then be purged by other means than the command
        ``cliquet purge-deleted``.

        :param before: a timestamp in milliseconds; None: all tombstones.
        """
        return sorted(
            Deleted(collection_id, parent_id, count)
            for (parent_id, collection_id), count in self._count_deleted(before_or_latest(before))
            if count
        )

    def get_all(
        self,
        collection_id: str,
        parent_id: str,
        filters: Sequence[Filter] | None = None,
        sorting: Sequence[Sort] | None = None,
        pagination_rules: Sequence[Sequence[Filter]] | None = None,
        limit: int | None = None,
        include_deleted: bool = False,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        deleted_field: str = DEFAULT_DELETED_FIELD,
        auth: str | None = None,
    ) -> tuple[list[Record], int]:
        """Return the records that match all ``filters``, and their total number.

        :param filters: a filter compares values of one type; to filters, ``deleted_field`` is
            True in tombstones and False in all other records.
        :param sorting: the sort orders, the most significant first.
        :param pagination_rules: lists of filters: a record is on the page if it
            matches all filters of any list. They compare in the order of
            ``sorting``, which includes all types (see ``cliquet.storage.ordering``).
        :param limit: the maximum number of records to return; None: all; 0: none.
        :param include_deleted: whether to include tombstones in the list.
        :returns: the records, and the number of records that match ``filters``,
            regardless of tombstones, rules and limit.
        """
        names = FieldNames(id_field, modified_field, deleted_field)
        query = build_query(names, filters, sorting, pagination_rules, limit, include_deleted)
        page = self._page((parent_id, collection_id), query, with_timestamp=False)
        return page.records, page.total

    def get_page(
        self,
        collection_id: str,
        parent_id: str,
        filters: Sequence[Filter] | None = None,
        sorting: Sequence[Sort] | None = None,
        pagination_rules: Sequence[Sequence[Filter]] | None = None,
        limit: int | None = None,
        include_deleted: bool = False,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        deleted_field: str = DEFAULT_DELETED_FIELD,
        auth: str | None = None,
        max_bytes: int | None = None,
        with_total: bool = True,
        with_checksum: bool = False,
        checksum_ids: Sequence[str] | None = None,
    ) -> Page:
        """Return the page for :meth:`get_all`, with the collection's timestamp.

        The timestamp is read first, so that a client that then polls for changes since that
        time misses none.

        :param max_bytes: the size in bytes of JSON at which the page ends, after at least one
            record; None: no limit. Storages can ignore it.
        :param with_total: whether the total is needed; otherwise it can be wrong.
        :param with_checksum: whether to include :meth:`checksum`, of the same snapshot if possible.
        :param checksum_ids: the ``ids`` of the checksum.
        """
        names = FieldNames(id_field, modified_field, deleted_field)
        selection = Selection(filters, sorting, pagination_rules, limit, include_deleted)
        view: Any = {"with_checksum": with_checksum, "checksum_ids": checksum_ids}
        if not is_inherited(self, StorageBase, "get_all", "collection_timestamp"):
            place = {"collection_id": collection_id, "parent_id": parent_id, "auth": auth}
            return combined_page(self, place, names, selection, **view)
        if max_bytes is not None and limit is not None and limit * _LARGE_RECORD <= max_bytes:
            max_bytes = None
        query = build_query(names, *selection, max_bytes, with_total, **view)
        return self._page_with_checksum((parent_id, collection_id), query)

    def checksum(
        self,
        collection_id: str,
        parent_id: str,
        ids: Sequence[str] | None = None,
        id_field: str = DEFAULT_ID_FIELD,
        modified_field: str = DEFAULT_MODIFIED_FIELD,
        auth: str | None = None,
    ) -> Checksum:
        """Return the checksum of the records (:mod:`cliquet.storage.checksums`).

        :param ids: the ids of the records to include, some of which can be missing; None: all.
        """
        if is_inherited(self, StorageBase, "get_all"):
            return self._checksum((parent_id, collection_id), ids)
        return combined_checksum(
            self, collection_id, parent_id, ids, id_field, modified_field, auth
        )


_HEARTBEAT_COLLECTION_ID = "__heartbeat__"
_HEART_PARENT_ID = _HEARTBEAT_COLLECTION_ID
_HEARTBEAT_RECORD = {"__heartbeat__": True}


def probe(backend: StorageBase, readonly: bool) -> None:
    """Check that ``backend`` works, or raise the exception of the failing operation.

    Write a record and delete it, in a separate collection; only read if ``readonly``.
    """
    collection = _HEARTBEAT_COLLECTION_ID, _HEART_PARENT_ID
    backend.check_durability()
    if readonly:
        backend.get_all(*collection, limit=1)
    else:
        record = backend.create(*collection, dict(_HEARTBEAT_RECORD))
        backend.delete(*collection, record["id"], with_deleted=False)


def heartbeat(backend: StorageBase) -> Callable[[Any], bool]:
    """Return the health check of ``backend`` for ``registry.heartbeats``: see :func:`probe`."""
    return health_check("storage", partial(probe, backend))


__all__ = [
    "DEFAULT_DELETED_FIELD",
    "DEFAULT_ID_FIELD",
    "DEFAULT_MODIFIED_FIELD",
    "MISSING",
    "Deleted",
    "Filter",
    "Mismatch",
    "Missing",
    "Page",
    "Record",
    "Sort",
    "StorageBase",
    "exceptions",
    "heartbeat",
    "probe",
]
