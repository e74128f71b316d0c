"""Resources whose records users can share."""

from __future__ import annotations

import functools
from typing import Any

import colander
from pyramid import httpexceptions
from pyramid.interfaces import IAuthorizationPolicy

from cliquet.authorization import RouteFactory, has_record_permission
from cliquet.errors import ERRORS, describe_invalid, http_error, raise_invalid
from cliquet.events import ACTIONS
from cliquet.http.negotiation import media_type
from cliquet.refusals import explain
from cliquet.resource.base import UserResource
from cliquet.resource.model import ShareableModel
from cliquet.resource.schema import PermissionsSchema
from cliquet.resource.viewset import ShareableViewSet
from cliquet.storage import Filter, Record
from cliquet.types import Request
from cliquet.utils import COMPARISON, DeprecatedMeta
from cliquet.utils.http import JSON_PATCH


class ShareableResource(UserResource):
    """A resource whose records have permissions (protocol, "Shared resources")."""

    default_viewset = ShareableViewSet
    default_model = ShareableModel
    #: The names of the permissions of records.
    permissions: tuple[str, ...] = ("read", "write")

    def __init__(self, request: Request, context: Any = None) -> None:
        super().__init__(request, RouteFactory(request) if context is None else context)
        # Users who change a record can get write access, so even an empty change is saved.
        self.force_patch_update = True
        self.model.permission = request.registry.permission
        self.model.current_principal = request.prefixed_userid
        policy = request.registry.queryUtility(IAuthorizationPolicy)
        self.model.grants_write_to_editors = getattr(policy, "grants_write_to_editors", True)
        self.model.get_permission_object_id = functools.partial(
            self.context.get_permission_object_id, request
        )

    def get_parent_id(self, request: Request) -> str:
        """Return an empty string: all users share the records."""
        return ""

    def process_record(self, new: Record, old: Record | None = None) -> Record:
        """Return the record with the permissions in the body; PUT replaces all of them."""
        field = self.model.permissions_field
        processed = dict(super().process_record(new, old))
        processed.pop(field, None)
        permissions = self.request.validated.get("permissions")
        if permissions:
            all_of_them = self.permissions if self.request.method == "PUT" else ()
            processed[field] = {**dict.fromkeys(all_of_them, []), **permissions}
        return processed

    def postprocess(self, result: Any, action: ACTIONS = ACTIONS.READ, old: Any = None) -> Any:
        """Return the body of the response, with the permissions next to the ``data``."""
        if isinstance(result, list):
            return super().postprocess(result, action, old)
        permissions = result.get(self.model.permissions_field)
        old = None if old is None else self._serialize(old)
        body = super().postprocess(self._serialize(result), action, old)
        if permissions is not None:
            body["permissions"] = {
                name: sorted(principals) for name, principals in permissions.items()
            }
        return body

    def patch(self) -> Any:
        """Modify some fields or permissions of a record."""
        if not (self.request.validated or self.request.body or self._posted_data()):
            raise_invalid(
                self.request,
                name="data",
                description="Provide at least one of data or permissions",
            )
        return super().patch()

    def _apply_patch(self, document: dict[str, Any], existing: Record) -> dict[str, Any]:
        """Apply a partial update also to the permissions, and validate those that change."""
        stored = existing.get(self.model.permissions_field, {})
        permissions: dict[str, Any] = {
            name: sorted(stored.get(name, ())) for name in (*self.permissions, *stored)
        }
        by_principal = media_type(self.request) == JSON_PATCH  # its paths end with principals
        if by_principal:
            permissions = {name: dict.fromkeys(some, True) for name, some in permissions.items()}
        patched = super()._apply_patch({**document, "permissions": permissions}, existing)
        requested = patched["permissions"]
        changed = {
            name: [*requested.get(name, [])] if by_principal else requested.get(name, [])
            for name in {*permissions, *requested}
            if permissions.get(name) != requested.get(name)
        }
        schema = PermissionsSchema(name="permissions", permissions=self.permissions)
        try:
            self.request.validated["permissions"] = schema.deserialize(changed)
        except colander.Invalid as invalid:
            name, description = next(describe_invalid(invalid))
            name = f"permissions.{name}" if name else "permissions"
            raise_invalid(self.request, name=name, description=description)
        return patched

    def _readable_ids(self) -> list[str] | None:
        shared: list[str] | None = self.context.shared_ids
        return shared

    def _extract_filters(self, queryparams: object = None) -> list[Filter]:
        filters = super()._extract_filters(queryparams)
        shared = self.context.shared_ids
        if shared is not None:
            filters.insert(0, Filter(self.model.id_field, shared, COMPARISON.IN))
        return filters

    def _serialize(self, record: Record) -> Record:
        field = self.model.permissions_field
        return {key: value for key, value in record.items() if key != field}

    def _raise_403_if_hidden(self, record: Record) -> None:
        object_id = self.model.get_permission_object_id(record[self.model.id_field])
        if not any(
            has_record_permission(self.request, self.context, object_id, permission)
            for permission in ("read", "write")
        ):
            explain(self.request, self.context, "read", object_id)
            raise http_error(
                httpexceptions.HTTPForbidden(),
                errno=ERRORS.FORBIDDEN,
                message="This user cannot access this resource.",
            )


class ProtectedResource(ShareableResource, metaclass=DeprecatedMeta):
    """The deprecated name of :class:`ShareableResource`."""
