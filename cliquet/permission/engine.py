"""The permission engines' base class, which lets subclasses of them override each step."""

from __future__ import annotations

import itertools
from typing import Any

from cliquet.permission import BoundPermissions, PermissionBase, bound_permissions

#: Each of these methods calls the one before it, unless an engine does better.
_STEPS = (
    "object_permission_principals",
    "object_permission_authorized_principals",
    "check_permission",
)


class Engine(PermissionBase):
    """A permission backend that decides in one query.

    A subclass that overrides a step of the decision is not ignored: the methods that depend
    on this step then call it.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for step, decision in itertools.pairwise(_STEPS):
            if _place(cls, step) < _place(cls, decision):
                setattr(cls, decision, getattr(Engine, decision))

    def object_permission_principals(self, object_id: str, permission: str) -> set[str]:
        return self.object_permissions(object_id, [permission]).get(permission, set())

    def object_permission_authorized_principals(
        self,
        object_id: str,
        permission: str,
        get_bound_permissions: BoundPermissions | None = None,
    ) -> set[str]:
        bound = bound_permissions(object_id, permission, get_bound_permissions)
        return set().union(*(self.object_permission_principals(*couple) for couple in bound))


def _place(class_: type, name: str) -> int:
    """Return the place, in the method resolution order, of the class that defines a method."""
    return next(n for n, base in enumerate(class_.__mro__) if name in base.__dict__)
