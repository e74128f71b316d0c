"""Records and their permissions, independent of HTTP."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from cliquet.permission import PermissionBase
from cliquet.storage import Filter, Record, Sort, StorageBase
from cliquet.storage.checksums import Checksum
from cliquet.storage.generators import UUID4
from cliquet.utils import DeprecatedMeta
from cliquet.utils.overrides import detects_overrides, is_inherited


@detects_overrides
class Model:
    """The records of one collection.

    :param storage: the storage backend.
    :param id_generator: creates the ids of new records; None: the generator of the storage.
    :param collection_id: usually the name of the resource.
    :param parent_id: usually the user id.
    :param auth: the ``Authorization`` header, for backends that pass it on.
    """

    id_field = "id"
    modified_field = "last_modified"
    deleted_field = "deleted"

    #: Whether reads lock the collection until the end of the transaction, so that checks
    #: still hold when the record is written.
    locking = False
    #: Size in bytes of JSON at which :meth:`get_records` cuts a page; None: no limit.
    max_page_bytes: int | None = None
    #: Whether :meth:`get_records` must count the matching records.
    counting = True
    #: Whether the latest page was cut for that reason, and its size in bytes.
    page_is_cut, page_bytes = False, 0
    #: The timestamp read along with the latest page, None before the first one.
    known_timestamp: int | None = None
    #: Whether :meth:`get_records` must read the checksum too, and the ids of the records that it
    #: includes; None: all of them.
    with_checksum: bool = False
    checksum_ids: Sequence[str] | None = None
    #: The checksum read along with the latest page.
    known_checksum: Checksum | None = None

    def __init__(
        self,
        storage: StorageBase,
        id_generator: Callable[[], str] | None = None,
        collection_id: str = "",
        parent_id: str = "",
        auth: str | None = None,
    ) -> None:
        self.storage = storage
        self.id_generator = id_generator
        self.collection_id = collection_id
        self.parent_id = parent_id
        self.auth = auth

    @property
    def pages_with_timestamp(self) -> bool:
        """Whether :meth:`get_records` also reads the timestamp: if neither is overridden."""
        return is_inherited(self, Model, "get_records", "timestamp")

    def _arguments(self, parent_id: str | None = None) -> dict[str, Any]:
        """Return the arguments that all methods of the storage for records have."""
        return {
            "collection_id": self.collection_id,
            "parent_id": parent_id or self.parent_id,
            "id_field": self.id_field,
            "modified_field": self.modified_field,
            "auth": self.auth,
        }

    def _reading(self, name: str) -> Callable[..., Any]:
        """Return a read method that 3.1 storages lack, built from those they have.

        Proxies that override get() or get_all() must see every read.
        """
        storage: Any = self.storage
        if isinstance(storage, StorageBase):
            method: Callable[..., Any] = getattr(storage, name)
            return method
        return functools.partial(getattr(StorageBase, name), storage)

    def timestamp(self, parent_id: str | None = None) -> int:
        """Return the timestamp of the collection, in milliseconds."""
        parent_id = parent_id or self.parent_id
        if self.locking:
            self.storage.lock(self.collection_id, parent_id, auth=self.auth)
        return self.storage.collection_timestamp(
            collection_id=self.collection_id, parent_id=parent_id, auth=self.auth
        )

    def get_records(
        self,
        filters: Sequence[Filter] | None = None,
        sorting: Sequence[Sort] | None = None,
        pagination_rules: Sequence[Sequence[Filter]] | None = None,
        limit: int | None = None,
        include_deleted: bool = False,
        parent_id: str | None = None,
    ) -> tuple[list[Record], int]:
        """Return the matching records and their total number.

        See :meth:`cliquet.storage.StorageBase.get_all`.
        """
        page = self._reading("get_page")(
            filters=filters,
            sorting=sorting,
            pagination_rules=pagination_rules,
            limit=limit,
            include_deleted=include_deleted,
            deleted_field=self.deleted_field,
            max_bytes=self.max_page_bytes,
            **self._arguments(parent_id),
            **({} if self.counting else {"with_total": False}),
            **self._checksum_arguments(),
        )
        self.known_timestamp, self.known_checksum = page.timestamp, page.checksum
        self.page_is_cut, self.page_bytes = page.is_cut, page.size
        return page.records, page.total

    def checksum(self) -> Checksum:
        """Return the checksum of the records, or of those in :attr:`checksum_ids`."""
        read = self._reading("checksum")
        checksum: Checksum = read(ids=self.checksum_ids, **self._arguments())
        return checksum

    def _checksum_arguments(self) -> dict[str, Any]:
        if not self.with_checksum:
            return {}
        return {"with_checksum": True, "checksum_ids": self.checksum_ids}

    def get_record(self, record_id: str, parent_id: str | None = None) -> Record:
        """Return a record.

        :raises ~cliquet.storage.exceptions.RecordNotFoundError: if it doesn't exist.
        """
        get = self._reading("get_for_update") if self.locking else self.storage.get
        return get(object_id=record_id, **self._arguments(parent_id))

    def create_record(
        self,
        record: Record,
        parent_id: str | None = None,
        unique_fields: Sequence[str] | None = None,
    ) -> Record:
        """Add a record, and return it with its id and timestamp.

        :raises ~cliquet.storage.exceptions.UnicityError: if its id or the value of
            a unique field is taken.
        """
        return self.storage.create(
            record=record,
            id_generator=self.id_generator,
            unique_fields=unique_fields,
            **self._arguments(parent_id),
        )

    def update_record(
        self,
        record: Record,
        parent_id: str | None = None,
        unique_fields: Sequence[str] | None = None,
    ) -> Record:
        """Replace or create the record with that id, and return it with its timestamp.

        :raises ~cliquet.storage.exceptions.UnicityError: if the value of a unique
            field is taken.
        """
        return self.storage.update(
            object_id=record[self.id_field],
            record=record,
            unique_fields=unique_fields,
            **self._arguments(parent_id),
        )

    def delete_record(
        self, record: Record, parent_id: str | None = None, last_modified: int | None = None
    ) -> Record:
        """Delete a record, and return its tombstone.

        :param last_modified: the time of the deletion, in milliseconds.
        :raises ~cliquet.storage.exceptions.RecordNotFoundError: if it doesn't exist.
        """
        return self.storage.delete(
            object_id=record[self.id_field],
            deleted_field=self.deleted_field,
            last_modified=last_modified,
            **self._arguments(parent_id),
        )

    def delete_records(
        self, filters: Sequence[Filter] | None = None, parent_id: str | None = None
    ) -> list[Record]:
        """Delete the matching records, and return their tombstones."""
        return self.storage.delete_all(
            filters=filters, deleted_field=self.deleted_field, **self._arguments(parent_id)
        )


def has_own_get_records(model: object) -> bool:
    """Return whether a model overrides get_records().

    Such a model expects the limit of the request, and lacks the attributes about the latest page.
    """
    return not is_inherited(model, Model, "get_records")


class ShareableModel(Model):
    """Records that contain their permissions in :attr:`permissions_field`."""

    permissions_field = "__permissions__"

    #: The permission backend, set by the resource.
    permission: Any = None
    #: Returns the object id in the permission backend for a record id.
    get_permission_object_id: Callable[..., str]
    #: The prefixed id of the user of the request, None for anonymous requests.
    current_principal: str | None = None
    #: Whether users who change a record are added to its ``write`` principals, as its creator is.
    grants_write_to_editors = True

    def _object_id(self, record: Record) -> str:
        return self.get_permission_object_id(record[self.id_field])

    def _with_permissions(self, record: Record, object_id: str) -> Record:
        backend = self.permission
        is_locked = self.locking and isinstance(backend, PermissionBase)
        read = backend.object_permissions_for_update if is_locked else backend.object_permissions
        permissions = read(object_id)
        record[self.permissions_field] = {
            name: set(principals) for name, principals in permissions.items()
        }
        return record

    def _save(
        self,
        write: Callable[..., Record],
        record: Record,
        parent_id: str | None,
        unique_fields: Sequence[str] | None,
        is_new: bool = False,
    ) -> Record:
        """Write a record and then its permissions."""
        data = dict(record)
        permissions = dict(data.pop(self.permissions_field, None) or {})
        saved = write(data, parent_id, unique_fields)
        object_id = self._object_id(saved)
        if is_new and self._is_new_object(object_id, data, saved):
            self.permission.expect_no_permissions(object_id)
        if permissions:
            self.permission.replace_object_permissions(object_id, permissions)
        if is_new or self.grants_write_to_editors or "write" in permissions:
            self._allow_write(object_id)
        return self._with_permissions(saved, object_id)

    def _is_new_object(self, object_id: str, record: Record, saved: Record) -> bool:
        """Return whether an object was never used: its id contains the one just generated."""
        generator = self.id_generator or self.storage.id_generator
        is_generated = record.get(self.id_field) is None and type(generator) is UUID4
        is_own = saved[self.id_field] in object_id  # applications can combine records
        return is_generated and is_own and isinstance(self.permission, PermissionBase)

    def _allow_write(self, perm_object_id: str) -> None:
        """Grant the current user write access to an object."""
        if self.current_principal is not None:
            self.permission.add_principal_to_ace(perm_object_id, "write", self.current_principal)

    def get_record(self, record_id: str, parent_id: str | None = None) -> Record:
        """Return a record with its permissions."""
        if isinstance(self.permission, PermissionBase):
            object_id = self.get_permission_object_id(record_id)
            self.permission.prefetch_object_permissions(object_id, for_update=self.locking)
        record = super().get_record(record_id, parent_id)
        return self._with_permissions(record, self._object_id(record))

    def create_record(
        self,
        record: Record,
        parent_id: str | None = None,
        unique_fields: Sequence[str] | None = None,
    ) -> Record:
        """Add a record and its permissions; its creator gets write access."""
        return self._save(super().create_record, record, parent_id, unique_fields, is_new=True)

    def update_record(
        self,
        record: Record,
        parent_id: str | None = None,
        unique_fields: Sequence[str] | None = None,
    ) -> Record:
        """Replace a record and the given permissions.

        The user gets write access, depending on :attr:`grants_write_to_editors`; in any case if the
        ``write`` principals are replaced, so that users can't lock themselves out.
        """
        return self._save(super().update_record, record, parent_id, unique_fields)

    def delete_record(
        self, record_id: Record, parent_id: str | None = None, last_modified: int | None = None
    ) -> Record:
        """Delete a record and its permissions.

        :param record_id: the whole record, despite the parameter name, which is that of 3.1.
        """
        tombstone = super().delete_record(record_id, parent_id, last_modified)
        self.permission.delete_object_permissions(self._object_id(tombstone))
        return tombstone

    def delete_records(
        self, filters: Sequence[Filter] | None = None, parent_id: str | None = None
    ) -> list[Record]:
        """Delete the matching records and their permissions."""
        tombstones = super().delete_records(filters, parent_id)
        self.permission.delete_object_permissions(*map(self._object_id, tombstones))
        return tombstones


class ProtectedModel(ShareableModel, metaclass=DeprecatedMeta):
    """The deprecated name of :class:`ShareableModel`."""
