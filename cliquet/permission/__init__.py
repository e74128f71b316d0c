"""The contract of the permission backends, and what they have in common.

A principal is a user id, or whatever else stands for somebody: a group, or
``system.Everyone``. A backend keeps the principals that users have beside their
own id, and the access control entries (ACE): which principals have a permission
on an object. The id of an object is the URL of the record without the prefix of
the version. All of these are text of any characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import uuid4

from pyramid.settings import asbool

from cliquet.loggers import get_logger
from cliquet.migrations import Migrated
from cliquet.permission.text import Pattern

logger = get_logger(__name__)

#: Given an object id and a permission, tells which (object id, permission) give it.
BoundPermissions = Callable[[str, str], Iterable[tuple[str, str]]]


class PermissionBase(Migrated):
    """What a permission backend must do; a class of somebody else's derives from this one.

    Each method either takes place as a whole or not at all, and belongs to the
    transaction of the request where the engine has transactions. What is added
    twice is there once, and what is missing can be removed.

    Several methods take ``get_bound_permissions``: a function of an object id
    and a permission, which returns the ``(object_id, permission)`` couples any
    of which gives that permission on that object; nothing is granted if there
    are none. Without the function, it is that couple alone.

    Methods raise :class:`~cliquet.storage.exceptions.BackendError` when the
    backend fails.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Arguments are for the engines: none is looked at here."""

    def flush(self) -> None:
        """Delete the principals of every user, and every access control entry."""
        raise NotImplementedError

    def add_user_principal(self, user_id: str, principal: str) -> None:
        """Give the user one more principal."""
        raise NotImplementedError

    def remove_user_principal(self, user_id: str, principal: str) -> None:
        """Take a principal from the user."""
        raise NotImplementedError

    def remove_principal(self, principal: str) -> None:
        """Take a principal from every user."""
        raise NotImplementedError

    def user_principals(self, user_id: str) -> set[str]:
        """Return the principals that were given to the user."""
        raise NotImplementedError

    def add_principal_to_ace(self, object_id: str, permission: str, principal: str) -> None:
        """Grant the permission on the object to one more principal."""
        raise NotImplementedError

    def remove_principal_from_ace(self, object_id: str, permission: str, principal: str) -> None:
        """Withdraw the permission on the object from a principal."""
        raise NotImplementedError

    def object_permission_principals(self, object_id: str, permission: str) -> set[str]:
        """Return the principals that were granted the permission on the object."""
        return self.object_permission_authorized_principals(object_id, permission)

    def principals_accessible_objects(
        self,
        principals: Iterable[str],
        permission: str,
        object_id_match: str | None = None,
        get_bound_permissions: BoundPermissions | None = None,
    ) -> set[str]:
        """Return the ids of the objects on which one of the principals has the permission.

        :param object_id_match: pattern of the object ids to return; a ``*`` in it stands
            for any text, slashes included. None: all of them.
        :param get_bound_permissions: called with this pattern and the permission; returns
            couples of a pattern and a permission. Objects on which a couple gives the
            permission are only returned if they match ``object_id_match`` too.
        """
        raise NotImplementedError

    def object_permission_authorized_principals(
        self,
        object_id: str,
        permission: str,
        get_bound_permissions: BoundPermissions | None = None,
    ) -> set[str]:
        """Return the principals that have the permission on the object."""
        raise NotImplementedError

    def check_permission(
        self,
        object_id: str,
        permission: str,
        principals: Iterable[str],
        get_bound_permissions: BoundPermissions | None = None,
    ) -> bool:
        """Tell whether one of the principals has the permission on the object."""
        authorized = self.object_permission_authorized_principals(
            object_id, permission, get_bound_permissions
        )
        return not authorized.isdisjoint(principals)

    def object_permissions(
        self, object_id: str, permissions: Iterable[str] | None = None
    ) -> dict[str, set[str]]:
        """Return the principals of each permission that was granted on the object.

        :param permissions: the permissions that matter; None: all of them.
            Those that nobody was granted are not in the result.
        """
        raise NotImplementedError

    def replace_object_permissions(
        self, object_id: str, permissions: Mapping[str, Iterable[str]]
    ) -> None:
        """Grant each of these permissions to its principals, and to nobody else.

        Other permissions on the object stay; one without principals is removed.
        """
        raise NotImplementedError

    def delete_object_permissions(self, *object_id_list: str) -> None:
        """Withdraw every permission on these objects. A ``*`` is no wildcard here."""
        raise NotImplementedError


def bound_permissions(
    object_id: str, permission: str, get_bound_permissions: BoundPermissions | None
) -> list[tuple[str, str]]:
    """Return the (object id, permission) couples that give the permission, for the engines."""
    if get_bound_permissions is None:
        return [(object_id, permission)]
    return [(bound_id, bound) for bound_id, bound in get_bound_permissions(object_id, permission)]


def bound_patterns(
    object_id_match: str | None, permission: str, get_bound_permissions: BoundPermissions | None
) -> list[tuple[Pattern, str]]:
    """Return the patterns of object ids to look for, each with its permission, for the engines."""
    match = "*" if object_id_match is None else object_id_match
    if get_bound_permissions is None:
        return [(Pattern(match), permission)]
    couples = bound_permissions(match, permission, get_bound_permissions)
    return [(Pattern(pattern, within=Pattern(match)), bound) for pattern, bound in couples]


def probe(backend: PermissionBase, readonly: bool) -> None:
    """Try whether ``backend`` works, by writing unless ``readonly``: it raises what fails."""
    backend.check_durability()
    name = f"__heartbeat__:{uuid4()}"  # its own: heartbeats may meet
    if not readonly:
        backend.add_user_principal(name, name)
        backend.remove_user_principal(name, name)
    backend.user_principals(name)


def heartbeat(backend: PermissionBase) -> Callable[[Any], bool]:
    """Return the function of the request that tells whether the permission backend works.

    It writes, unless the setting ``readonly`` is on.
    """

    def ping(request: Any) -> bool:
        try:
            probe(backend, asbool(request.registry.settings.get("readonly", False)))
        except Exception:
            logger.exception("The permission backend doesn't work.")
            return False
        return True

    return ping
