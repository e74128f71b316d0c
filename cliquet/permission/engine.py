"""Common part of the permission engines: the decisions."""

from __future__ import annotations

from collections.abc import Iterable

from cliquet.permission import BoundPermissions, PermissionBase, bound_patterns, bound_permissions
from cliquet.utils.overrides import is_inherited

#: An object id and a permission.
Entry = tuple[str, str]

# The steps of a decision that subclasses can override.
_PRINCIPALS = "object_permission_principals"
_AUTHORIZED_PRINCIPALS = "object_permission_authorized_principals"


class PermissionEngine(PermissionBase):
    """A permission backend that decides with one query, which a subclass implements.

    If an application's class overrides a step of the decision, for example to grant more
    principals, the decision uses that step instead.
    """

    def _authorized_principals(self, entries: list[Entry]) -> set[str]:
        """Return the principals of any of the entries."""
        raise NotImplementedError

    def _check(self, entries: list[Entry], principals: Iterable[str]) -> bool:
        """Return whether one of the principals is in any of the entries."""
        raise NotImplementedError

    def _object_entries(self, object_id: str) -> Iterable[tuple[str, str]]:
        """Return the permissions granted on an object, each with a principal."""
        raise NotImplementedError

    def _accessible_objects(
        self, ranges: list[Entry], principals: set[str]
    ) -> Iterable[tuple[int, str]]:
        """Return the ids in any of the ranges on which a principal has a permission.

        :param ranges: the beginning of the ids, and the permission.
        :returns: the ids, each after the number of its range.
        """
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
        if not is_inherited(self, PermissionEngine, _PRINCIPALS):
            return set().union(*(self.object_permission_principals(*entry) for entry in entries))
        return self._authorized_principals(entries)

    def check_permission(
        self,
        object_id: str,
        permission: str,
        principals: Iterable[str],
        get_bound_permissions: BoundPermissions | None = None,
    ) -> bool:
        if not is_inherited(self, PermissionEngine, _PRINCIPALS, _AUTHORIZED_PRINCIPALS):
            return super().check_permission(
                object_id, permission, principals, get_bound_permissions
            )
        entries = bound_permissions(object_id, permission, get_bound_permissions)
        return self._check(entries, principals)

    def object_permissions(
        self, object_id: str, permissions: Iterable[str] | None = None
    ) -> dict[str, set[str]]:
        requested = None if permissions is None else set(permissions)
        result: dict[str, set[str]] = {}
        for permission, principal in self._object_entries(object_id):
            if requested is None or permission in requested:
                result.setdefault(permission, set()).add(principal)
        return result

    def principals_accessible_objects(
        self,
        principals: Iterable[str],
        permission: str,
        object_id_match: str | None = None,
        get_bound_permissions: BoundPermissions | None = None,
    ) -> set[str]:
        patterns = bound_patterns(object_id_match, permission, get_bound_permissions)
        ranges = [(pattern.prefix, bound) for pattern, bound in patterns]
        candidates = self._accessible_objects(ranges, set(principals)) if ranges else ()
        return {
            object_id for number, object_id in candidates if patterns[number][0].matches(object_id)
        }
