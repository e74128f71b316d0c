"""Common part of the permission engines: the decisions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cliquet.permission import BoundPermissions, PermissionBase, bound_permissions

#: An object id and a permission.
Entry = tuple[str, str]


class PermissionEngine(PermissionBase):
    """A permission backend that decides with one query, which a subclass implements.

    If an application's class overrides a step of the decision, for example to grant more
    principals, the decision uses that step instead.
    """

    _has_own_principals = False
    _has_own_authorized_principals = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._has_own_principals = (
            cls.object_permission_principals is not PermissionEngine.object_permission_principals
        )
        cls._has_own_authorized_principals = cls._has_own_principals or (
            cls.object_permission_authorized_principals
            is not PermissionEngine.object_permission_authorized_principals
        )

    def _authorized_principals(self, entries: list[Entry]) -> set[str]:
        """Return the principals of any of the entries."""
        raise NotImplementedError

    def _check(self, entries: list[Entry], principals: Iterable[str]) -> bool:
        """Return whether one of the principals is in any of the entries."""
        raise NotImplementedError

    def object_permission_principals(self, object_id: str, permission: str) -> set[str]:
        return self._authorized_principals([(object_id, permission)])

    def object_permission_authorized_principals(
        self,
        object_id: str,
        permission: str,
        get_bound_permissions: BoundPermissions | None = None,
    ) -> set[str]:
        entries = bound_permissions(object_id, permission, get_bound_permissions)
        if self._has_own_principals:
            return set().union(*(self.object_permission_principals(*entry) for entry in entries))
        return self._authorized_principals(entries)

    def check_permission(
        self,
        object_id: str,
        permission: str,
        principals: Iterable[str],
        get_bound_permissions: BoundPermissions | None = None,
    ) -> bool:
        if self._has_own_authorized_principals:
            return super().check_permission(
                object_id, permission, principals, get_bound_permissions
            )
        entries = bound_permissions(object_id, permission, get_bound_permissions)
        return self._check(entries, principals)
