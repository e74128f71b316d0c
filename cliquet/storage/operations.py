"""The operations that a storage engine implements.

For each record id, an engine stores the timestamp and the JSON of the other fields. The public
methods of :class:`~cliquet.storage.StorageBase` split records for these operations and reassemble
them. Because engines store serialized data, callers can't change it through the objects they
passed or received.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cliquet.drivers.documents import read_document
from cliquet.storage.checksums import Checksum
from cliquet.storage.exceptions import RecordNotFoundError, UnicityError
from cliquet.storage.filtering import ALWAYS, FieldNames, Query, build_query
from cliquet.storage.rows import Row, rows_to_records
from cliquet.storage.types import (
    DEFAULT_DELETED_FIELD,
    DEFAULT_ID_FIELD,
    DEFAULT_MODIFIED_FIELD,
    Filter,
    Mismatch,
    Page,
    Record,
)
from cliquet.utils import COMPARISON, json
from cliquet.utils.json import unstorable
from cliquet.utils.overrides import detects_overrides, is_inherited

#: The parent id and the collection id.
Collection = tuple[str, str]

_LATEST = 1 << 62
_NAMES = FieldNames(DEFAULT_ID_FIELD, DEFAULT_MODIFIED_FIELD, DEFAULT_DELETED_FIELD)


class Change(NamedTuple):
    """A record to write.

    :param id: the id.
    :param requested_timestamp: the requested timestamp, if any.
    :param data: the other fields as JSON.
    :param unique: the values that must be unique, by field.
    :param is_new_id: whether the id is known to be unused.
    """

    id: str
    requested_timestamp: int | None
    data: bytes
    unique: Mapping[str, Any]
    is_new_id: bool = False


class Conflict(Exception):
    """A record has the same id or unique value as the one to write.

    :param row: the other record.
    :param field: the field with the unique value; None: the id.
    """

    def __init__(self, row: Row, field: str | None = None) -> None:
        super().__init__(row, field)
        self.row = row
        self.field = field


@detects_overrides
class StorageOperations:
    """The operations of an engine; each is atomic.

    A ``collection`` is the tuple of ``parent_id`` and ``collection_id``. A row is the tuple of an
    id, a timestamp, and the other fields as JSON in UTF-8, which are None in a tombstone.

    A written row gets a timestamp that no other row of the collection has: the next free one from
    the requested timestamp on. Without a request, or if the request equals the timestamp of the
    replaced record, it is later than that of the collection. See
    :func:`~cliquet.storage.timestamps.change_timestamps`.
    """

    def collection_timestamp(
        self, collection_id: str, parent_id: str, auth: str | None = None
    ) -> int:
        """Return the timestamp of the collection in milliseconds.

        All collections that were never written share one: the time when the schema was created
        or last flushed. Reading it writes nothing. The first write gets a later timestamp, unless
        it requests an earlier one.
        """
        return self._timestamp((parent_id, collection_id))

    def collection_timestamps(
        self, collections: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], int]:
        """Return the timestamps of several collections, in milliseconds.

        Streams of changes call this to find out what has changed. By default, read them one by one.

        :param collections: the ``collection_id`` and ``parent_id`` of each.
        """
        pairs = list(collections)
        if is_inherited(self, StorageOperations, "collection_timestamp"):
            timestamps = self._timestamps([(parent, collection) for collection, parent in pairs])
            return dict(zip(pairs, timestamps, strict=True))
        return {pair: self.collection_timestamp(*pair) for pair in pairs}

    def get_parents(self, collection_id: str) -> list[str]:
        """Return the ids of the parents that have, or had, records of a resource, sorted.

        Backends can lack this method: ``cliquet check --records`` then doesn't work.
        """
        collections = self._known_collections()
        return sorted(parent_id for parent_id, name in collections if name == collection_id)

    @property
    def supports_single_statements(self) -> bool:
        """Whether resources can write in one statement, without a transaction."""
        return False

    def _lock(self, collection: Collection) -> None:
        """Lock the collection against other writers until the transaction ends."""

    def _timestamp(self, collection: Collection) -> int:
        """Return the timestamp of the collection.

        If it was never written, this is the time when the schema was created or last flushed.
        """
        raise NotImplementedError

    def _timestamps(self, collections: Sequence[Collection]) -> list[int]:
        """Return the timestamps of several collections."""
        return [self._timestamp(collection) for collection in collections]

    def _get(self, collection: Collection, object_id: str) -> tuple[int, bytes] | None:
        """Return the timestamp and the other fields of the record, or None."""
        raise NotImplementedError

    def _get_for_update(self, collection: Collection, object_id: str) -> tuple[int, bytes] | None:
        """Lock the collection, and return the record as :meth:`_get` does."""
        self._lock(collection)
        return self._get(collection, object_id)

    def _write(self, collection: Collection, change: Change, replace: bool) -> int:
        """Write a record, replacing the tombstone with its id, if any, and return its timestamp.

        :param replace: whether it can replace a record with its id.
        :raises ~cliquet.storage.operations.Conflict: if the id or a unique value is taken.
        """
        raise NotImplementedError

    def _delete(
        self,
        collection: Collection,
        object_id: str,
        requested_timestamp: int | None,
        keep_tombstone: bool,
    ) -> int | None:
        """Delete the record; return the time, or None if it doesn't exist."""
        raise NotImplementedError

    def _delete_all(self, collection: Collection, query: Query, keep_tombstone: bool) -> list[Row]:
        """Delete the matching records, and return the tombstones in order."""
        raise NotImplementedError

    def _purge(self, collection: Collection, before: int, limit: int | None) -> int:
        """Purge the tombstones older than ``before``, and return their number.

        :param limit: the maximum number, oldest first; None: all.
        """
        raise NotImplementedError

    def _count_deleted(self, before: int) -> Iterable[tuple[Collection, int]]:
        """Count the tombstones older than ``before`` by collection, also zeros."""
        raise NotImplementedError

    def _known_collections(self) -> Iterable[Collection]:
        """Return the collections that have a timestamp."""
        raise NotImplementedError

    def _page(self, collection: Collection, query: Query, with_timestamp: bool) -> Page:
        """Return the page for a query.

        Engines can ignore ``query.with_checksum``.

        :param with_timestamp: whether the caller needs the timestamp of the collection.
        """
        raise NotImplementedError

    def _page_with_checksum(self, collection: Collection, query: Query) -> Page:
        """Return the page for a query, with the timestamp, and the checksum if requested."""
        page = self._page(collection, query, with_timestamp=True)
        if query.with_checksum and page.checksum is None:
            page = page._replace(checksum=self._checksum(collection, query.checksum_ids))
        return page

    def _checksum(self, collection: Collection, ids: Sequence[str] | None) -> Checksum:
        """Return the checksum of the records, or of those with the given ids.

        Read them all, unless :meth:`_page` has returned it.
        """
        query = build_query(_NAMES, limit=0, with_total=False, with_checksum=True, checksum_ids=ids)
        checksum = self._page(collection, query, with_timestamp=False).checksum
        if checksum is None:
            filters = None if ids is None else [Filter(_NAMES.id, ids, COMPARISON.IN)]
            page = self._page(collection, build_query(_NAMES, filters), with_timestamp=False)
            checksum = Checksum().add(*(record[_NAMES.modified] for record in page.records))
        return checksum

    def find_mismatches(self) -> Iterable[Mismatch]:
        """Compare the stored counts and checksums with the records, all of which are read.

        By default, none differ, because nothing is stored.
        """
        return ()

    def _write_record(
        self,
        collection: Collection,
        change: Change,
        record: Record,
        names: FieldNames,
        replace: bool,
    ) -> Record:
        """Write a record, and return it with its id and timestamp."""
        try:
            timestamp = self._write(collection, change, replace)
        except Conflict as conflict:
            existing = rows_to_records([conflict.row], names)[0]
            field = names.id if conflict.field is None else conflict.field
            raise UnicityError(field, existing) from None
        return {**record, names.id: change.id, names.modified: timestamp}


def build_change(
    object_id: str,
    record: Record,
    unique_fields: Iterable[str] | None,
    names: FieldNames,
    is_new_id: bool = False,
) -> Change:
    """Return the change that writes a record.

    :raises ValueError: if the record can't be stored: its id isn't a string without null
        characters, its timestamp isn't an integer between -2 ** 62 and 2 ** 62, or its other
        fields aren't JSON, or contain null characters or lone surrogates.
    """
    fields = dict(record)
    fields.pop(names.id, None)
    timestamp = check_timestamp(names.modified, fields.pop(names.modified, None))
    unique = _unique(fields, unique_fields) if unique_fields else {}
    object_id = _check_id(names.id, object_id)
    return Change(object_id, timestamp, _serialized(fields), unique, is_new_id)


def check_timestamp(field: str, value: object) -> int | None:
    """Return the timestamp that a change requests, if any.

    :raises ValueError: if it isn't an integer.
    """
    if value is None or (type(value) is int and -_LATEST < value < _LATEST):
        return value
    raise ValueError(f"{field} must be an integer of milliseconds, not {value!r}")


def read_record(
    object_id: str, stored: tuple[int, bytes] | None, id_field: str, modified_field: str
) -> Record:
    """Return a record as it was read.

    :raises ~cliquet.storage.exceptions.RecordNotFoundError: if it doesn't exist.
    """
    if stored is None:
        raise RecordNotFoundError(object_id)
    timestamp, data = stored
    record: Record = read_document(data)
    record[id_field] = object_id
    record[modified_field] = timestamp
    return record


def before_or_latest(before: int | None) -> int:
    """Return the exclusive upper bound for timestamps of tombstones; None means all."""
    return ALWAYS.high if before is None else before


def _check_id(field: str, value: object) -> str:
    if isinstance(value, str) and "\0" not in value:
        return value
    raise ValueError(f"{field} must be a string without null characters, not {value!r}")


def _serialized(fields: Record) -> bytes:
    data = json.dumps_bytes(fields)
    # Either such escapes, or a backslash followed by the same letters.
    if b"\\u0000" in data or b"\\ud" in data:
        reason = unstorable(fields)
        if reason is not None:
            raise ValueError(f"{reason} cannot be stored")
    return data


def _unique(fields: Record, unique_fields: Iterable[str]) -> dict[str, Any]:
    values = ((field, fields.get(field)) for field in unique_fields)
    return {field: value for field, value in values if value is not None and value != ""}
