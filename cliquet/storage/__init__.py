"""The contract of the storage backends.

A record is a JSON object. Records live in a collection, which is named by a
``collection_id`` (the resource) and a ``parent_id`` (usually the user). Every
collection has a timestamp, the time in milliseconds of its last change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from pyramid.settings import asbool

from cliquet.loggers import get_logger
from cliquet.migrations import Migrated
from cliquet.storage import exceptions, generators

logger = get_logger(__name__)

Record = dict[str, Any]


class Filter(NamedTuple):
    """A condition on a field; ``operator`` is a :data:`cliquet.utils.COMPARISON`."""

    field: str
    value: Any
    operator: Enum


class Sort(NamedTuple):
    """An order by a field; ``direction`` is 1 (ascending) or -1."""

    field: str
    direction: int


class Missing(Enum):
    """The value, in a pagination rule, of a field that the record lacks."""

    MISSING = "missing"


MISSING = Missing.MISSING


class Page(NamedTuple):
    """A part of a collection, and what is known of the whole of it.

    ``total`` counts what the filters match, tombstones left out; ``timestamp``
    is the collection's, not later than the records were read. ``is_cut`` is true if the page
    ends early because its records are large; ``size`` is how many bytes of JSON these have, 0 if
    that wasn't measured.
    """

    records: list[Record]
    total: int
    timestamp: int
    is_cut: bool = False
    size: int = 0


class Deleted(NamedTuple):
    """How many tombstones a collection has."""

    collection_id: str
    parent_id: str
    number: int


DEFAULT_ID_FIELD = "id"
DEFAULT_MODIFIED_FIELD = "last_modified"
DEFAULT_DELETED_FIELD = "deleted"


class StorageBase(Migrated):
    """What a storage backend must do; a class of somebody else's derives from this one.

    Parameters have the same meaning in every method:

    - ``collection_id``, ``parent_id``: the collection;
    - ``id_field``, ``modified_field``, ``deleted_field``: the names that the
      id, the timestamp and the mark of tombstones have in the records;
    - ``unique_fields``: the fields whose value no other record of the
      collection may have; ``None``, missing and empty values don't count;
    - ``auth``: the ``Authorization`` header of the request, for backends that
      pass it on.

    Each method either takes place as a whole or not at all. Methods raise
    :class:`~cliquet.storage.exceptions.BackendError` when the backend fails.
    """

    #: Creates the id of a record that has none, unless the caller passes a generator.
    id_generator: Callable[[], str] = generators.UUID4()

    def flush(self, auth: str | None = None) -> None:
        """Delete every record, tombstone and timestamp."""
        raise NotImplementedError

    def lock(self, collection_id: str, parent_id: str, auth: str | None = None) -> None:
        """Keep others from changing the collection, until the transaction ends.

        Resources ask for it before they read what they check and then write.
        An engine without transactions has nothing to do.
        """

    def collection_timestamp(
        self, collection_id: str, parent_id: str, auth: str | None = None
    ) -> int:
        """Return the timestamp of the collection, in milliseconds.

        A collection that was never written has one too, which is the same for all of
        them: the time when the schema was created or last flushed. Reading it writes nothing.
        The first write is later, unless it asks for an earlier time.
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

        :param record: its id and timestamp are taken as they are if it has
            them (a timestamp that is taken gives the next free one). A
            tombstone with that id disappears.
        :param id_generator: makes the id of a record that has none.
        :raises ~cliquet.storage.exceptions.UnicityError: when a record with
            that id, or with that value of a unique field, exists.
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

        :raises ~cliquet.storage.exceptions.RecordNotFoundError: when there is
            none, or only a tombstone.
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
        """Take the :meth:`lock` of the collection, then :meth:`get` the record."""
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
        """Replace the record, or create it if it is missing; return it with its timestamp.

        :param record: its timestamp is taken as it is (or the next free one), unless it is
            missing, or that of the record it replaces.
        :raises ~cliquet.storage.exceptions.UnicityError: when another record
            has that value of a unique field.
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
        """Delete the record, and return its tombstone: id, timestamp, and the deleted mark.

        :param with_deleted: whether to keep the tombstone.
        :param last_modified: the time of the deletion, taken as it is (or the next free
            one), unless it is the record's.
        :raises ~cliquet.storage.exceptions.RecordNotFoundError: when there is
            no such record.
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

        Each gets a timestamp of its own.

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
        """Forget the tombstones that are older than ``before``, and return how many.

        Who asks what changed since an earlier time is not told of these deletions any more.

        :param before: a timestamp in milliseconds; None: all of them.
        :param limit: how many to forget at most, the oldest first; None: all. Only given
            to backends that have :meth:`count_deleted`.
        """
        raise NotImplementedError

    def count_deleted(self, before: int | None = None) -> list[Deleted]:
        """Return where there are tombstones that are older than ``before``, and how many.

        Collections without any are not in the list, which is in the order of the ids. A
        backend may lack this method: its tombstones are then purged by other means than
        the command ``cliquet purge-deleted``.

        :param before: a timestamp in milliseconds; None: all of them.
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
        """Return the records that match all ``filters``, and how many there are in all.

        :param sorting: the orders, the most important first.
        :param pagination_rules: lists of filters: a record is on the page if
            it matches all filters of any of the lists. They compare in the
            order of ``sorting`` (see ``cliquet.storage.matching``).
        :param limit: how many records to return at most; None: all.
        :param include_deleted: whether tombstones are in the list too.
        :returns: the records, and the number of those that match ``filters``,
            tombstones, rules and limit left out.
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
        """Do as :meth:`get_all`, and return the timestamp of the collection too.

        The timestamp is read first, so that a client that asks later for the changes
        since then misses nothing.

        :param max_bytes: bytes of JSON after which the page ends; it has a record at
            least, if there is one. None: no limit. A storage may ignore it.
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


_HEARTBEAT = "__heartbeat__"


def probe(backend: StorageBase, readonly: bool) -> None:
    """Try whether ``backend`` works: it raises what fails.

    It writes a record and deletes it, in a collection of its own; it only reads if ``readonly``.
    """
    backend.check_durability()
    if readonly:
        backend.get_all(_HEARTBEAT, _HEARTBEAT, limit=1)
    else:
        record = backend.create(_HEARTBEAT, _HEARTBEAT, {})
        backend.delete(_HEARTBEAT, _HEARTBEAT, record["id"], with_deleted=False)


def heartbeat(backend: StorageBase) -> Callable[[Any], bool]:
    """Return the function that tells whether ``backend`` works (``registry.heartbeats``).

    It does what :func:`probe` does, with the setting ``readonly``. What fails is logged.
    """

    def ping(request: Any) -> bool:
        try:
            probe(backend, asbool(request.registry.settings.get("readonly", False)))
        except Exception:
            logger.exception("the storage does not work")
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
