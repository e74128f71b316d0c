"""Common part of the storage engines: everything except how to store data.

For each record id, an engine stores the timestamp and the JSON of the other fields.
It implements the methods of :class:`StorageEngine` whose names begin with an underscore; the
public methods split records for them and reassemble them. Because engines store serialized
data, callers can't change it through the objects they passed or received.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cliquet.drivers.documents import read_document
from cliquet.storage import Deleted, Filter, Page, Record, Sort, StorageBase, generators
from cliquet.storage.exceptions import RecordNotFoundError, UnicityError
from cliquet.storage.filtering import ALWAYS, FieldNames, Query, build_query
from cliquet.storage.rows import Row, rows_to_records
from cliquet.storage.timestamps import change_timestamps
from cliquet.utils import json
from cliquet.utils.json import unstorable

#: The parent id and the collection id.
Collection = tuple[str, str]

_LATEST = 1 << 62

# Only measure pages whose records would exceed the limit with this many bytes of JSON each.
_LARGE_RECORD = 1 << 18


class Change(NamedTuple):
    """A record to write.

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
    """A record has the same id (``field`` is None) or value of ``field``."""

    def __init__(self, row: Row, field: str | None = None) -> None:
        super().__init__(row, field)
        self.row = row
        self.field = field


class StorageEngine(StorageBase):
    """A storage built on a few primitive operations of an engine.

    In these, ``collection`` is a pair of parent id and collection id. Each operation is
    atomic.
    """

    def _timestamp(self, collection: Collection) -> int:
        """Return the timestamp of the collection, or the epoch if it was never written."""
        raise NotImplementedError

    def _get(self, collection: Collection, object_id: str) -> tuple[int, bytes] | None:
        """Return the timestamp and the other fields of the record, or None."""
        raise NotImplementedError

    def _create(self, collection: Collection, change: Change) -> int:
        """Add a record, replacing its tombstone if any, and return its timestamp.

        :raises Conflict: if the id or a unique value is taken.
        """
        raise NotImplementedError

    def _update(self, collection: Collection, change: Change) -> int:
        """Create or replace a record or tombstone by id, and return the timestamp.

        :raises Conflict: if another record has the same unique value.
        """
        raise NotImplementedError

    def _delete(
        self,
        collection: Collection,
        object_id: str,
        requested_timestamp: int | None,
        keep_tombstone: bool,
    ) -> int | None:
        """Delete the record; return the time, or None if it doesn't exist.

        :param keep_tombstone: whether to keep a tombstone.
        """
        raise NotImplementedError

    def _delete_all(self, collection: Collection, asked: Query, keep_tombstone: bool) -> list[Row]:
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

    def _page(self, collection: Collection, asked: Query, with_timestamp: bool) -> Page:
        """Return the page for a query.

        :param with_timestamp: whether the caller needs the timestamp of the collection.
        """
        raise NotImplementedError

    def collection_timestamp(
        self, collection_id: str, parent_id: str, auth: str | None = None
    ) -> int:
        return self._timestamp((parent_id, collection_id))

    def create(
        self,
        collection_id: str,
        parent_id: str,
        record: Record,
        id_generator: Callable[[], str] | None = None,
        unique_fields: Sequence[str] | None = None,
        id_field: str = "id",
        modified_field: str = "last_modified",
        auth: str | None = None,
    ) -> Record:
        object_id, is_new_id = record.get(id_field), False
        if object_id is None:
            generator = id_generator or self.id_generator
            object_id, is_new_id = generator(), type(generator) is generators.UUID4
        names = FieldNames(id_field, modified_field, "")
        change = _change(object_id, record, unique_fields, names, is_new_id)
        collection = parent_id, collection_id
        change = self._stamped(collection, record, names, change)
        return _written(self._create, collection, change, record, names)

    def update(
        self,
        collection_id: str,
        parent_id: str,
        object_id: str,
        record: Record,
        unique_fields: Sequence[str] | None = None,
        id_field: str = "id",
        modified_field: str = "last_modified",
        auth: str | None = None,
    ) -> Record:
        names = FieldNames(id_field, modified_field, "")
        change = _change(object_id, record, unique_fields, names)
        collection = parent_id, collection_id
        change = self._stamped(collection, record, names, change)
        return _written(self._update, collection, change, record, names)

    def get(
        self,
        collection_id: str,
        parent_id: str,
        object_id: str,
        id_field: str = "id",
        modified_field: str = "last_modified",
        auth: str | None = None,
    ) -> Record:
        found = self._get((parent_id, collection_id), object_id)
        if found is None:
            raise RecordNotFoundError(object_id)
        timestamp, data = found
        record: Record = read_document(data)
        record[id_field] = object_id
        record[modified_field] = timestamp
        return record

    def delete(  # type: ignore[override]  # engines of 3.1 had another order than the contract
        self,
        collection_id: str,
        parent_id: str,
        object_id: str,
        id_field: Any = "id",
        with_deleted: Any = True,
        modified_field: str = "last_modified",
        deleted_field: str = "deleted",
        auth: str | None = None,
        last_modified: int | None = None,
    ) -> Record:
        id_field, with_deleted = _in_order(id_field, with_deleted)
        requested_timestamp = _milliseconds(modified_field, last_modified)
        timestamp = self._delete(
            (parent_id, collection_id), object_id, requested_timestamp, with_deleted
        )
        if timestamp is None:
            raise RecordNotFoundError(object_id)
        return {id_field: object_id, modified_field: timestamp, deleted_field: True}

    def delete_all(  # type: ignore[override]  # as delete()
        self,
        collection_id: str,
        parent_id: str,
        filters: Sequence[Filter] | None = None,
        id_field: Any = "id",
        with_deleted: Any = True,
        modified_field: str = "last_modified",
        deleted_field: str = "deleted",
        auth: str | None = None,
    ) -> list[Record]:
        id_field, with_deleted = _in_order(id_field, with_deleted)
        asked = build_query(FieldNames(id_field, modified_field, deleted_field), filters)
        rows = self._delete_all((parent_id, collection_id), asked, with_deleted)
        return rows_to_records(rows, asked.names)

    def _bump_timestamp(
        self,
        collection_id: str,
        parent_id: str,
        record: Record | None = None,
        modified_field: str | None = None,
        last_modified: int | None = None,
    ) -> int:
        """Return the timestamp of a record to create or update, if a subclass overrides this."""
        return change_timestamps(
            self.collection_timestamp(collection_id, parent_id), last_modified
        )[0]

    def _stamped(
        self, collection: Collection, record: Record, names: FieldNames, change: Change
    ) -> Change:
        bump = self._bump_timestamp
        if getattr(bump, "__func__", None) is StorageEngine._bump_timestamp:
            return change
        time = bump(*collection[::-1], record, names.modified, change.requested_timestamp)
        return change._replace(requested_timestamp=time)

    def purge_deleted(
        self,
        collection_id: str,
        parent_id: str,
        before: int | None = None,
        id_field: str = "id",
        modified_field: str = "last_modified",
        auth: str | None = None,
        limit: int | None = None,
    ) -> int:
        return self._purge((parent_id, collection_id), _moment(before), limit)

    def count_deleted(self, before: int | None = None) -> list[Deleted]:
        return sorted(
            Deleted(collection_id, parent_id, count)
            for (parent_id, collection_id), count in self._count_deleted(_moment(before))
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
        id_field: str = "id",
        modified_field: str = "last_modified",
        deleted_field: str = "deleted",
        auth: str | None = None,
    ) -> tuple[list[Record], int]:
        names = FieldNames(id_field, modified_field, deleted_field)
        asked = build_query(names, filters, sorting, pagination_rules, limit, include_deleted)
        page = self._page((parent_id, collection_id), asked, with_timestamp=False)
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
        id_field: str = "id",
        modified_field: str = "last_modified",
        deleted_field: str = "deleted",
        auth: str | None = None,
        max_bytes: int | None = None,
    ) -> Page:
        if not (is_own(self.get_all) and is_own(self.collection_timestamp)):
            return super().get_page(
                collection_id,
                parent_id,
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
        names = FieldNames(id_field, modified_field, deleted_field)
        if max_bytes is not None and limit is not None and limit * _LARGE_RECORD <= max_bytes:
            max_bytes = None
        asked = build_query(
            names, filters, sorting, pagination_rules, limit, include_deleted, max_bytes
        )
        return self._page((parent_id, collection_id), asked, with_timestamp=True)


def is_own(method: Any) -> bool:
    """Return whether a method is the engine's, not overridden or replaced.

    Operations that combine several methods must not bypass an override.
    """
    function = getattr(inspect.unwrap(method), "__func__", None)  # timing can wrap it
    return function is not None and getattr(StorageEngine, function.__name__, None) is function


def _in_order(id_field: Any, with_deleted: Any) -> tuple[str, bool]:
    """Return the field name and the flag, in either order of the arguments.

    As in 3.1, the base class has the flag first, and the engines the name.
    """
    if isinstance(id_field, str):
        return id_field, with_deleted
    return (with_deleted if isinstance(with_deleted, str) else "id"), id_field


def _moment(before: int | None) -> int:
    """Return the exclusive upper bound for timestamps of tombstones; None means all."""
    return ALWAYS.high if before is None else before


def _change(
    object_id: str,
    record: Record,
    unique_fields: Iterable[str] | None,
    names: FieldNames,
    is_new_id: bool = False,
) -> Change:
    fields = dict(record)
    fields.pop(names.id, None)
    requested_timestamp = _milliseconds(names.modified, fields.pop(names.modified, None))
    unique = _unique(fields, unique_fields) if unique_fields else {}
    return Change(
        _text(names.id, object_id), requested_timestamp, _serialized(fields), unique, is_new_id
    )


def _written(
    write: Callable[[Collection, Change], int],
    collection: Collection,
    change: Change,
    record: Record,
    names: FieldNames,
) -> Record:
    """Run the write operation, and return the record with its id and timestamp."""
    try:
        timestamp = write(collection, change)
    except Conflict as conflict:
        existing = rows_to_records([conflict.row], names)[0]
        field = names.id if conflict.field is None else conflict.field
        raise UnicityError(field, existing) from None
    return {**record, names.id: change.id, names.modified: timestamp}


def _milliseconds(field: str, value: Any) -> int | None:
    if value is None or (type(value) is int and -_LATEST < value < _LATEST):
        return value
    raise ValueError(f"{field} must be an integer of milliseconds, not {value!r}")


def _text(field: str, value: Any) -> str:
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
