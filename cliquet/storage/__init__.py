"""Interface of the storage backends.

A record is a JSON object. Records belong to a collection, identified by a
``collection_id`` (the resource) and a ``parent_id`` (usually the user). Every
collection has a timestamp: the time of its last change in milliseconds.
"""

from __future__ import annotations

import random as random  # tests of 3.1 replace its functions
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from cliquet.drivers.migrations import Migrated
from cliquet.loggers import get_logger
from cliquet.settings.types import BOOLEAN
from cliquet.storage import exceptions, generators
from cliquet.utils import COMPARISON

logger = get_logger(__name__)

Record = dict[str, Any]


class Filter(NamedTuple):
    """A condition on a field; ``operator`` is a ``cliquet.utils.COMPARISON``."""

    field: str
    value: Any
    operator: COMPARISON


class Sort(NamedTuple):
    """A sort order by a field; ``direction`` is 1 (ascending) or -1 (descending)."""

    field: str
    direction: int


class Missing(Enum):
    """The value of a missing field in a pagination rule."""

    MISSING = "missing"


MISSING = Missing.MISSING


class Page(NamedTuple):
    """One page of a collection, with totals of the whole collection.

    ``total`` counts the records that match the filters, without tombstones. ``timestamp`` is
    that of the collection, read no later than the records. ``is_cut`` is True if the page ends
    early because its records are large. ``size`` is the size of the records in bytes of JSON,
    0 if it wasn't measured.
    """

    records: list[Record]
    total: int
    timestamp: int
    is_cut: bool = False
    size: int = 0


class Deleted(NamedTuple):
    """The number of tombstones in a collection."""

    collection_id: str
    parent_id: str
    number: int


DEFAULT_ID_FIELD = "id"
DEFAULT_MODIFIED_FIELD = "last_modified"
DEFAULT_DELETED_FIELD = "deleted"


class StorageBase(Migrated):
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

    def collection_timestamp(
        self, collection_id: str, parent_id: str, auth: str | None = None
    ) -> int:
        """Return the timestamp of the collection in milliseconds.

        All collections that were never written share one: the time when the schema was created
        or last flushed. Reading it writes nothing. The first write gets a later timestamp, unless
        it requests an earlier one.
        """
        raise NotImplementedError

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
        """
        raise NotImplementedError

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
        raise NotImplementedError

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
        self.lock(collection_id, parent_id, auth=auth)
        return self.get(
            collection_id=collection_id,
            parent_id=parent_id,
            object_id=object_id,
            id_field=id_field,
            modified_field=modified_field,
            auth=auth,
        )

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
        """
        raise NotImplementedError

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
        """
        raise NotImplementedError

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
        raise NotImplementedError

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
        raise NotImplementedError

    def count_deleted(self, before: int | None = None) -> list[Deleted]:
        """Return the number of tombstones older than ``before`` in each collection.

        The list is sorted by id and omits collections without tombstones. Backends can lack this
        method: their tombstones must then be purged by other means than the command
        ``cliquet purge-deleted``.

        :param before: a timestamp in milliseconds; None: all tombstones.
        """
        raise NotImplementedError

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

        :param sorting: the sort orders, the most significant first.
        :param pagination_rules: lists of filters: a record is on the page if it
            matches all filters of any list. They compare in the order of
            ``sorting`` (see ``cliquet.storage.filtering``).
        :param limit: the maximum number of records to return; None: all.
        :param include_deleted: whether to include tombstones in the list.
        :returns: the records, and the number of records that match ``filters``,
            regardless of tombstones, rules and limit.
        """
        raise NotImplementedError

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
    ) -> Page:
        """Return the page for :meth:`get_all`, with the collection's timestamp.

        The timestamp is read first, so that a client that then polls for changes since that
        time misses none.

        :param max_bytes: the size in bytes of JSON at which the page ends, after at least one
            record; None: no limit. Storages can ignore it.
        """
        timestamp = self.collection_timestamp(
            collection_id=collection_id, parent_id=parent_id, auth=auth
        )
        records, total = self.get_all(
            collection_id=collection_id,
            parent_id=parent_id,
            filters=filters,
            sorting=sorting,
            pagination_rules=pagination_rules,
            limit=limit,
            include_deleted=include_deleted,
            id_field=id_field,
            modified_field=modified_field,
            deleted_field=deleted_field,
            auth=auth,
        )
        return Page(records, total, timestamp)


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
    """Return the health check of ``backend`` for ``registry.heartbeats``.

    It calls :func:`probe` with the setting ``readonly``, and logs failures.
    """

    def ping(request: Any) -> bool:
        try:
            probe(backend, BOOLEAN.get(request.registry.settings, "readonly", False))
        except Exception:
            logger.exception("The storage backend failed")
            return False
        return True

    return ping


__all__ = [
    "DEFAULT_DELETED_FIELD",
    "DEFAULT_ID_FIELD",
    "DEFAULT_MODIFIED_FIELD",
    "MISSING",
    "Deleted",
    "Filter",
    "Missing",
    "Page",
    "Record",
    "Sort",
    "StorageBase",
    "exceptions",
    "heartbeat",
    "probe",
]
