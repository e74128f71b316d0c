"""Interface of the permission backends, and functions that the engines share.

A principal is a user id, or an id that stands for several users: a group, or
``system.Everyone``. A backend stores the principals of users (in addition to their
own id), and the access control entries (ACE): the principals that have a permission
on an object. The id of an object is the URL of the record without the version
prefix. All of these are strings of any characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

from cliquet.drivers.backend import Backend, health_check
from cliquet.loggers import get_logger
from cliquet.utils.overrides import detects_overrides, is_inherited
from cliquet.utils.text import consists_of

logger = get_logger(__name__)

# The steps of a decision.
_PRINCIPALS = "object_permission_principals"
_AUTHORIZED_PRINCIPALS = "object_permission_authorized_principals"

#: An object id and a permission.
Entry = tuple[str, str]
#: Returns the entries that grant a permission on an object id.
BoundPermissions = Callable[[str, str], Iterable[Entry]]


@detects_overrides
class PermissionBase(Backend):
    """Base class of the permission backends, including those of other packages.

    Every method is atomic, and belongs to the transaction of the request if the engine
    has transactions. Adding an existing item and removing a missing one have no
    effect.

    Several methods accept ``get_bound_permissions``: a function of an object id
    and a permission, which returns ``(object_id, permission)`` pairs, any of which
    grants that permission on that object; without pairs, nothing is granted. Without
    the function, only the original pair grants it.

    Backends implement either the public methods, or the private ones that these call. If a
    subclass overrides a step of a decision, for example to grant more principals, the decision
    uses that step.

    Methods raise :class:`~cliquet.storage.exceptions.BackendError` if the
    backend fails.
    """

    #: Whether aborting the transaction of a request undoes its changes.
    supports_rollback = False

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Accept and ignore any arguments, which are for the engines."""

    def flush(self) -> None:
        """Delete the principals of every user, and every access control entry."""
        raise NotImplementedError

    def add_user_principal(self, user_id: str, principal: str) -> None:
        """Add a principal to the user."""
        raise NotImplementedError

    def remove_user_principal(self, user_id: str, principal: str) -> None:
        """Remove a principal from the user."""
        raise NotImplementedError

    def remove_principal(self, principal: str) -> None:
        """Remove a principal from all users."""
        raise NotImplementedError

    def replace_principal_users(self, users: Mapping[str, Iterable[str]]) -> None:
        """Add each of these principals to exactly the given users.

        Backends written for 3.1 lack this method; the base class combines others.

        :param users: the ids of the users of each principal.
        """
        for principal, user_ids in users.items():
            self.remove_principal(principal)
            for user_id in user_ids:
                self.add_user_principal(user_id, principal)

    def user_principals(self, user_id: str) -> set[str]:
        """Return the principals added to the user."""
        raise NotImplementedError

    def add_principal_to_ace(self, object_id: str, permission: str, principal: str) -> None:
        """Grant the permission on the object to a principal."""
        raise NotImplementedError

    def remove_principal_from_ace(self, object_id: str, permission: str, principal: str) -> None:
        """Withdraw the permission on the object from a principal."""
        raise NotImplementedError

    def object_permission_principals(self, object_id: str, permission: str) -> set[str]:
        """Return the principals that have the permission on the object."""
        return self._authorized_principals([(object_id, permission)])

    def principals_accessible_objects(
        self,
        principals: Iterable[str],
        permission: str,
        object_id_match: str | None = None,
        get_bound_permissions: BoundPermissions | None = None,
    ) -> set[str]:
        """Return the ids of the objects on which a principal has the permission.

        :param object_id_match: pattern of the object ids to return; ``*`` matches any
            string, including slashes. None: all object ids.
        :param get_bound_permissions: called with this pattern and the permission; returns
            pairs of a pattern and a permission that grant it. Only objects that also match
            ``object_id_match`` are returned.
        """
        patterns = bound_patterns(object_id_match, permission, get_bound_permissions)
        ranges = [(pattern.prefix, bound) for pattern, bound in patterns]
        candidates = self._accessible_objects(ranges, set(principals)) if ranges else ()
        return {
            object_id for number, object_id in candidates if patterns[number][0].matches(object_id)
        }

    def object_permission_authorized_principals(
        self,
        object_id: str,
        permission: str,
        get_bound_permissions: BoundPermissions | None = None,
    ) -> set[str]:
        """Return the principals that have the permission on the object."""
        entries = bound_permissions(object_id, permission, get_bound_permissions)
        if not is_inherited(self, PermissionBase, _PRINCIPALS):
            return set().union(*(self.object_permission_principals(*entry) for entry in entries))
        return self._authorized_principals(entries)

    def check_permission(
        self,
        object_id: str,
        permission: str,
        principals: Iterable[str],
        get_bound_permissions: BoundPermissions | None = None,
    ) -> bool:
        """Return whether one of the principals has the permission on the object."""
        if not is_inherited(self, PermissionBase, _PRINCIPALS, _AUTHORIZED_PRINCIPALS):
            authorized = self.object_permission_authorized_principals(
                object_id, permission, get_bound_permissions
            )
            return not authorized.isdisjoint(principals)
        entries = bound_permissions(object_id, permission, get_bound_permissions)
        return self._check(entries, principals)

    def object_permissions(
        self, object_id: str, permissions: Iterable[str] | None = None
    ) -> dict[str, set[str]]:
        """Return the principals of each permission granted on the object.

        :param permissions: the permissions to return; None: all. Permissions without
            principals are omitted.
        """
        requested = None if permissions is None else set(permissions)
        result: dict[str, set[str]] = {}
        for granted, principal in self._object_entries(object_id):
            if requested is None or granted in requested:
                result.setdefault(granted, set()).add(principal)
        return result

    def object_permissions_for_update(self, object_id: str) -> dict[str, set[str]]:
        """Return :meth:`object_permissions` of an object that the request has locked.

        In one transaction, an engine can read them once, and then derive them from the changes.
        """
        return self.object_permissions(object_id)

    def prefetch_object_permissions(self, object_id: str, for_update: bool = False) -> None:
        """Let an engine read :meth:`object_permissions` in the statement that reads the record.

        :param for_update: whether the record is locked at the same time.
        """

    def prefetch_check(
        self,
        object_id: str,
        permission: str,
        principals: Iterable[str],
        user_id: str,
        get_bound_permissions: BoundPermissions | None = None,
        object_id_match: str | None = None,
    ) -> None:
        """Let an engine prepare a :meth:`check_permission` in the statement that it sends next.

        :param principals: those of the check, maybe without the principals added to the user.
        :param object_id_match: the pattern for :meth:`principals_accessible_objects`, which
            follows if the check fails; None: it doesn't.
        """

    def expect_no_permissions(self, object_id: str) -> None:
        """Note that an object is new: the next :meth:`object_permissions_for_update` needn't read.

        Only called for objects whose id was just generated.
        """

    def replace_object_permissions(
        self, object_id: str, permissions: Mapping[str, Iterable[str]]
    ) -> None:
        """Grant each of these permissions to exactly the given principals.

        Other permissions on the object are kept; a permission without principals is removed.
        """
        raise NotImplementedError

    def delete_object_permissions(self, *object_id_list: str) -> None:
        """Remove all permissions on these objects. A ``*`` isn't a wildcard here."""
        raise NotImplementedError

    def _authorized_principals(self, entries: list[Entry]) -> set[str]:
        """Return the principals of any of the entries."""
        if is_inherited(self, PermissionBase, _AUTHORIZED_PRINCIPALS):
            raise NotImplementedError
        return set().union(
            *(self.object_permission_authorized_principals(*each) for each in entries)
        )

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

        :param ranges: pairs of a prefix of ids and a permission.
        :returns: pairs of the number of a range and an id.
        """
        raise NotImplementedError


def bound_permissions(
    object_id: str, permission: str, get_bound_permissions: BoundPermissions | None
) -> list[Entry]:
    """Return the entries that grant a permission."""
    if get_bound_permissions is None:
        return [(object_id, permission)]
    return [(bound_id, bound) for bound_id, bound in get_bound_permissions(object_id, permission)]


class Pattern:
    """A pattern of object ids, in which ``*`` matches any string.

    No other character is special.

    :param within: another pattern that ids must match too.
    """

    def __init__(self, pattern: str, within: Pattern | None = None) -> None:
        self._parts = pattern.split("*")
        #: The common prefix of all matching ids.
        self.prefix = self._parts[0]
        self._within = within

    def matches(self, object_id: str) -> bool:
        """Return whether the pattern matches the whole id."""
        if self._within is not None and not self._within.matches(object_id):
            return False
        return consists_of(object_id, self._parts)


def bound_patterns(
    object_id_match: str | None, permission: str, get_bound_permissions: BoundPermissions | None
) -> list[tuple[Pattern, str]]:
    """Return the patterns of the accessible object ids, each with its permission."""
    match = "*" if object_id_match is None else object_id_match
    if get_bound_permissions is None:
        return [(Pattern(match), permission)]
    pairs = bound_permissions(match, permission, get_bound_permissions)
    return [(Pattern(pattern, within=Pattern(match)), bound) for pattern, bound in pairs]


def probe(backend: PermissionBase, readonly: bool) -> None:
    """Check that ``backend`` works, or raise the exception of the failing operation.

    Write a temporary entry, unless ``readonly``.
    """
    backend.check_durability()
    name = f"__heartbeat__:{uuid4()}"  # unique, because heartbeats can run concurrently
    if not readonly:
        backend.add_user_principal(name, name)
        backend.remove_user_principal(name, name)
    backend.user_principals(name)


def heartbeat(backend: PermissionBase) -> Callable[[Any], bool]:
    """Return the health check of ``backend`` for ``registry.heartbeats``.

    It writes, unless the setting ``readonly`` is on.
    """
    return health_check("permission", partial(probe, backend))
