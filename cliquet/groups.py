"""Groups of users over HTTP, at ``/groups``.

Enable them with::

    cliquet.includes = cliquet.groups

A group is a shareable record with a list of members. The principal ``group:{id}`` stands for all
of them in the permissions of other records and in the settings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import colander
from pyramid.config import Configurator

from cliquet.errors import raise_invalid
from cliquet.principals import forget_groups
from cliquet.resource import (
    ResourceSchema,
    ShareableModel,
    ShareableResource,
    ShareableViewSet,
    register,
)
from cliquet.storage import Filter, Record
from cliquet.storage.generators import UUID4
from cliquet.types import Request
from cliquet.utils.text import MAX_ID_LENGTH, is_long_id

#: Principals that aren't users.
_NOT_USERS = ("group:", "system.")


def principal_of(group_id: str) -> str:
    """Return the principal of the members of a group."""
    return f"group:{group_id}"


class GroupModel(ShareableModel):
    """Groups, whose members have the principal of their group in the permission backend.

    The principals are written along with the record: in the same transaction, if storage and
    permission backend share a database.
    """

    #: Called after changes of members.
    on_members_changed: Callable[[], None] | None = None

    def _save(self, *args: Any, **options: Any) -> Record:
        """Write a group; former members lose its principal."""
        group = super()._save(*args, **options)
        self._set_members({group[self.id_field]: group.get("members") or ()})
        return group

    def delete_record(
        self, record_id: Record, parent_id: str | None = None, last_modified: int | None = None
    ) -> Record:
        """Delete a group; its members lose its principal."""
        tombstone = super().delete_record(record_id, parent_id, last_modified)
        self._set_members({tombstone[self.id_field]: ()})
        return tombstone

    def delete_records(
        self, filters: Sequence[Filter] | None = None, parent_id: str | None = None
    ) -> list[Record]:
        """Delete the matching groups; their members lose their principals."""
        tombstones = super().delete_records(filters, parent_id)
        self._set_members({tombstone[self.id_field]: () for tombstone in tombstones})
        return tombstones

    def _set_members(self, members: dict[str, Iterable[str]]) -> None:
        """Give the principal of each of these groups to exactly its members."""
        users = {principal_of(group_id): user_ids for group_id, user_ids in members.items()}
        self.permission.replace_principal_users(users)
        if self.on_members_changed is not None:
            self.on_members_changed()


def _check_user_id(node: colander.SchemaNode, user_id: str) -> None:
    policy, _, bare = user_id.partition(":")
    if not (policy and bare) or user_id.startswith(_NOT_USERS):
        raise colander.Invalid(node, "Should be a user id, such as the one at the root URL")
    if is_long_id(user_id):
        raise colander.Invalid(node, f"Should not be longer than {MAX_ID_LENGTH} bytes")


def _unique(members: object) -> Any:
    return list(dict.fromkeys(members)) if isinstance(members, list) else members


class GroupSchema(ResourceSchema):
    """A group."""

    title = colander.SchemaNode(
        colander.String(), missing="", description="Name of the group for people."
    )
    members = colander.SequenceSchema(
        colander.SchemaNode(colander.String(), name="member", validator=_check_user_id),
        missing=(),
        preparer=_unique,
        description="Ids of the users, with the prefix of their authentication policy.",
    )


class GroupViewSet(ShareableViewSet):
    """The endpoints of groups; without PUT, which could recreate a deleted group."""

    record_methods = ("GET", "PATCH", "DELETE")


@register()
class Group(ShareableResource):
    """Groups of users.

    The members of a group have the principal `group:` followed by its id. Use this principal in
    the permissions of records.
    """

    default_model = GroupModel
    default_viewset = GroupViewSet
    mapping = GroupSchema()

    def __init__(self, request: Request, context: Any = None) -> None:
        super().__init__(request, context)
        # Ids must never be used again: permissions can still name the principal of a deleted
        # group, and other generators can have few ids.
        self.model.id_generator = UUID4()
        self.model.on_members_changed = functools.partial(forget_groups, request)

    def _find_posted(self, new: Record) -> Record | None:
        """Return the existing group with the posted id, and refuse other ids."""
        existing = super()._find_posted(new)
        id_field = self.model.id_field
        if existing is None and id_field in self._posted_data():
            description = "Should be omitted, because the service chooses the ids of groups"
            raise_invalid(self.request, name=f"data.{id_field}", description=description)
        return existing


def includeme(config: Configurator) -> None:
    """Add the endpoints, and announce them to clients."""
    config.scan(__name__)
    config.add_api_capability(
        "groups", description="Groups of users, at a URL relative to this one.", url="groups"
    )
