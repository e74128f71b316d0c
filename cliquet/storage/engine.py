"""Base class of the storage engines.

An engine implements the operations of :class:`~cliquet.storage.operations.StorageOperations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cliquet.storage import StorageBase
from cliquet.storage.filtering import FieldNames
from cliquet.storage.operations import Change, Collection
from cliquet.storage.timestamps import change_timestamps
from cliquet.storage.types import Filter, Record
from cliquet.utils.overrides import detects_overrides, is_inherited


@detects_overrides
class StorageEngine(StorageBase):
    """A storage whose arguments have the order of the engines of 3.1.

    They had the field name before the flag, and the base class the reverse. Here, either order is
    accepted.
    """

    def delete(  # type: ignore[override]
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
        return StorageBase.delete(
            self,
            collection_id,
            parent_id,
            object_id,
            *_in_order(id_field, with_deleted),
            modified_field,
            deleted_field,
            auth,
            last_modified,
        )

    def delete_all(  # type: ignore[override]
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
        return StorageBase.delete_all(
            self,
            collection_id,
            parent_id,
            filters,
            *_in_order(id_field, with_deleted),
            modified_field,
            deleted_field,
        )

    def _bump_timestamp(
        self,
        collection_id: str,
        parent_id: str,
        record: Record | None = None,
        modified_field: str | None = None,
        last_modified: int | None = None,
    ) -> int:
        """Return the timestamp of a record to create or update, if a subclass overrides this."""
        current = self.collection_timestamp(collection_id, parent_id)
        return change_timestamps(current, last_modified)[0]

    def _write_record(
        self,
        collection: Collection,
        change: Change,
        record: Record,
        names: FieldNames,
        replace: bool,
    ) -> Record:
        if not is_inherited(self, StorageEngine, "_bump_timestamp"):
            timestamp = self._bump_timestamp(
                *collection[::-1], record, names.modified, change.requested_timestamp
            )
            change = change._replace(requested_timestamp=timestamp)
        return super()._write_record(collection, change, record, names, replace)


def _in_order(id_field: Any, with_deleted: Any) -> tuple[bool, str]:
    """Return the flag and the field name, in either order of the arguments."""
    if isinstance(id_field, str):
        return with_deleted, id_field
    return id_field, with_deleted if isinstance(with_deleted, str) else "id"
