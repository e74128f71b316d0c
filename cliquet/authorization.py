"""Authorization of requests (protocol, "Shared resources")."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable
from typing import Any
from urllib.parse import unquote

from pyramid.authorization import Authenticated
from pyramid.decorator import reify
from pyramid.interfaces import IAuthorizationPolicy, IRoutesMapper
from zope.interface import implementer

from cliquet import utils
from cliquet.authentication import prefixed_userid as prefixed_userid  # plugins import it here
from cliquet.permission import PermissionBase
from cliquet.permission_settings import principals_by_settings, settings_principals
from cliquet.principals import entry_principals as entry_principals
from cliquet.principals import groupfinder as groupfinder
from cliquet.storage import exceptions
from cliquet.types import Request
from cliquet.utils import strip_uri_prefix
from cliquet.utils.overrides import detects_overrides

#: The view permission of shareable resources; the required one depends on the request.
DYNAMIC = "dynamic"
#: The view permission of records that are private to each user.
PRIVATE = "private"

BoundPermissions = Callable[[str, str], Iterable[tuple[str, str]]]


def has_record_permission(request: Request, context: Any, object_id: str, permission: str) -> bool:
    """Return whether the user has a permission on a given record.

    :param context: the context of the request, for the resource of the record.
    :param object_id: the object id of the record.
    """
    context = copy.copy(context)
    context.on_collection = False
    context.permission_object_id = object_id
    context.required_permission = permission
    context.allowed_principals = settings_principals(request, context.resource_name, permission)
    return bool(request.has_permission(DYNAMIC, context))


@detects_overrides
@implementer(IAuthorizationPolicy)
class AuthorizationPolicy:
    """Authorization by the settings or the permission backend.

    Applications can set :attr:`get_bound_permissions`: a function of an object id
    and a permission, which returns the pairs of object id and permission that
    grant it.
    """

    get_bound_permissions: BoundPermissions | None = None
    #: Whether users who change a record are added to its ``write`` principals, as its creator is.
    grants_write_to_editors = True

    def permits(self, context: Any, principals: Iterable[str], permission: str) -> bool:
        """Return whether the principals have the permission on the context."""
        principals = list(principals)
        if permission == PRIVATE:
            return Authenticated in principals
        if Authenticated in principals:
            principals = entry_principals(principals, context.get_prefixed_userid())
        if permission == DYNAMIC:
            self.prefetch_check(context, principals, reads_record=True)
            permission = context.required_permission
        permission = _stored_name(context, permission)
        bound = {"get_bound_permissions": self._stored_grants(context)}
        allowed = self._allowed_by_settings(context, permission, principals)
        if allowed is None:
            allowed = context.check_permission(permission, principals, **bound)
        if not allowed and context.on_collection and not permission.endswith("create"):
            # The user can list or delete the records that are shared with them.
            allowed = context.fetch_shared_records(permission, principals, **bound)
        return bool(allowed)

    def prefetch_check(
        self, context: Any, principals: list[str], reads_record: bool = False
    ) -> None:
        """Let the permission backend prepare the decision in the statement that it sends next.

        That statement reads the groups of the user, or the record of a PUT, because the permission
        that a PUT requires depends on whether the record exists.

        :param principals: those of the user in access control entries, maybe without groups.
        """
        if not isinstance(context, RouteFactory) or context._is_put != reads_record:
            return
        backend, user_id = context._request.registry.permission, context.get_prefixed_userid()
        # A copy: computing the attributes of the context itself now would be too early.
        for each in copy.copy(context)._possible_checks():
            object_id, permission = each.permission_object_id, each.required_permission
            if object_id is None or not permission or not isinstance(backend, PermissionBase):
                return
            permission = _stored_name(each, permission)
            if not self._allowed_by_settings(each, permission, principals):
                backend.prefetch_check(
                    object_id,
                    permission,
                    principals,
                    user_id or "",
                    get_bound_permissions=self._stored_grants(each),
                    object_id_match=each._shared_pattern(permission),
                )

    def principals_allowed_by_permission(self, context: Any, permission: str) -> Any:
        raise NotImplementedError

    def _allowed_by_settings(
        self, context: Any, permission: str, principals: list[str]
    ) -> bool | None:
        """Return the decision of the settings, None if the permission backend decides."""
        if not context.allowed_principals:
            return None
        return not set(principals).isdisjoint(context.allowed_principals)

    def _stored_grants(self, context: Any) -> BoundPermissions | None:
        """Return the function that lists the stored entries that grant a permission."""
        return self.get_bound_permissions


class InheritingAuthorizationPolicy(AuthorizationPolicy):
    """Authorization where ``write`` implies ``read`` and records inherit permissions.

    Enable it with::

        cliquet.multiauth.authorization_policy =
            cliquet.authorization.InheritingAuthorizationPolicy

    - ``write`` on an object also grants ``read`` and, on a collection, ``create``.
    - A permission on a URL also applies to all URLs below it: to the records of a collection, and
      to the collections and records nested below a record.
    - Permissions of the settings (``{resource}_{permission}_principals``) imply others and are
      inherited in the same way. They still replace the stored entries for that permission.
    - Users who change a record aren't added to its ``write`` principals unless the request
      replaces these. Otherwise, members of a group would keep access after leaving it.

    :param inherits_from_parents: whether a permission applies to the URLs below it; for the
        policy of the settings, the setting ``inherit_permissions``.
    """

    grants_write_to_editors = False

    def __init__(self, inherits_from_parents: bool = True) -> None:
        self.inherits_from_parents = inherits_from_parents

    def get_bound_permissions(self, object_id: str, permission: str) -> Iterable[tuple[str, str]]:
        """Return the pairs of object and permission that grant a permission."""
        names = [permission]
        if permission == "read" or permission.endswith(":create"):
            names.append("write")
        objects = [object_id]
        if self.inherits_from_parents and "*" not in object_id:  # patterns only match records
            objects += _parents(object_id)
        return [(each, name) for each in objects for name in names]

    def _allowed_by_settings(
        self, context: Any, permission: str, principals: list[str]
    ) -> bool | None:
        object_id = context.permission_object_id
        if object_id is not None:
            for pair in self.get_bound_permissions(object_id, permission):
                if not set(principals_by_settings(context, *pair)).isdisjoint(principals):
                    return True
        return None

    def _stored_grants(self, context: Any) -> BoundPermissions:
        def stored(object_id: str, permission: str) -> Iterable[tuple[str, str]]:
            pairs = self.get_bound_permissions(object_id, permission)
            return [pair for pair in pairs if not principals_by_settings(context, *pair)]

        return stored


def _stored_name(context: Any, permission: str) -> str:
    """Return the name of a permission in access control entries."""
    return f"{context.resource_name}:create" if permission == "create" else permission


def _parents(object_id: str) -> list[str]:
    """Return the URLs above an object, from the nearest to the first segment."""
    segments = object_id.split("/")
    return ["/".join(segments[:end]) for end in range(len(segments) - 1, 1, -1)]


class RouteFactory:
    """The context of a request: the object that requires a permission.

    Expensive attributes are computed on first access, and every attribute can be
    set. (``functools.cached_property`` isn't used because, before Python 3.12, it has one
    lock for all requests, also while one of them waits for the database.)
    """

    #: The permission that a method requires (for PUT, see :attr:`required_permission`).
    method_permissions = {
        "head": "read",
        "get": "read",
        "post": "create",
        "delete": "write",
        "patch": "write",
    }
    #: The ids of the records shared with the user, if the user can only see these.
    shared_ids: list[str] | None = None
    on_collection = False

    def __init__(self, request: Request) -> None:
        self._request = request
        self._service = utils.current_service(request)
        self._is_on_resource = getattr(self._service, "viewset", None) is not None
        if self._is_on_resource:
            self.on_collection = self._service.type == "collection"

    @reify
    def resource_name(self) -> str | None:
        """The name of the resource, None for other services."""
        return self._request.current_resource_name if self._is_on_resource else None

    @reify
    def current_record(self) -> dict[str, Any] | None:
        """The record that a PUT replaces; None if it creates one, and for other methods.

        It is locked, so that it remains the current one until the end of the request.
        """
        if not self._is_put:
            return None
        resource = self._service.resource(request=self._request, context=self)
        resource.model.locking = True
        try:
            record: dict[str, Any] = resource.model.get_record(resource.record_id)
        except exceptions.RecordNotFoundError:
            return None
        return record

    @reify
    def record_is_new(self) -> bool:
        """Whether the request is a PUT that creates its record."""
        return self._is_put and self.current_record is None

    @property
    def _is_put(self) -> bool:
        return self._is_on_resource and self._request.method.upper() == "PUT"

    @reify
    def required_permission(self) -> str | None:
        """The permission that the request requires: ``read``, ``write`` or ``create``.

        PUT requires ``write`` on an existing record, otherwise ``create`` on the collection.
        None for services that aren't resources, unless a subclass sets it.
        """
        if not self._is_on_resource:
            return None
        if self._is_put:
            return "create" if self.record_is_new else "write"
        return self.method_permissions.get(self._request.method.lower())

    @reify
    def allowed_principals(self) -> list[str] | None:
        """The principals that have the permission by the settings.

        None or an empty list: the permission backend decides.
        """
        if not self._is_on_resource:
            return None
        return settings_principals(self._request, self.resource_name, self.required_permission)

    @reify
    def permission_object_id(self) -> str | None:
        """The id of the object that requires the permission: a collection or a record.

        None for services that aren't resources, unless a subclass sets it.
        """
        if not self._is_on_resource:
            return None
        if self.record_is_new:
            return self._uri("collection", self._request.matchdict)
        return self.get_permission_object_id(self._request)

    def _shared_pattern(self, permission: str) -> str | None:
        """Return the pattern of the objects that can be shared with a user, if any.

        :param permission: its name in access control entries.
        """
        if not self.on_collection or permission.endswith("create"):
            return None
        return self.get_permission_object_id(self._request, "*")

    def _possible_checks(self) -> Iterable[RouteFactory]:
        """Yield contexts with the permissions that the request can require."""
        if not self._is_put:
            yield self
            return
        for is_new in (False, True):
            each = copy.copy(self)
            each.record_is_new = is_new
            yield each

    def get_prefixed_userid(self) -> str | None:
        """Return the user id that access control entries contain."""
        userid: str | None = self._request.prefixed_userid
        return userid

    def get_permission_object_id(self, request: Request, record_id: str | None = None) -> str:
        """Return the id of the requested object in the permission backend.

        It is the URL without its version prefix.

        :param record_id: the id of a record of the resource, or ``*`` for all records.
        """
        if record_id is not None and self._is_on_resource:
            if record_id != request.matchdict.get("id"):
                return self._uri("record", {**request.matchdict, "id": record_id})
        return strip_uri_prefix(request.path_info)

    def extract_object_id(self, object_uri: str) -> str:
        """Return the record id in an object id."""
        return object_uri.rsplit("/", 1)[-1]

    def check_permission(
        self,
        permission: str,
        principals: Collection[str],
        get_bound_permissions: BoundPermissions | None = None,
    ) -> bool:
        """Return True if one of the principals has the permission."""
        object_id = self.permission_object_id
        return object_id is not None and bool(
            self._request.registry.permission.check_permission(
                object_id, permission, principals, get_bound_permissions=get_bound_permissions
            )
        )

    def get_shared_ids(
        self,
        permission: str,
        principals: Collection[str],
        get_bound_permissions: BoundPermissions | None = None,
    ) -> list[str]:
        """Return the ids of the records of this collection that the principals can see."""
        uris = self._accessible_objects(permission, principals, get_bound_permissions)
        # ``*`` also matches objects below a record, and can occur in the URL of the collection.
        before, _, after = self.get_permission_object_id(self._request, "*").rpartition("*")
        end = -len(after) or None
        return [
            self.extract_object_id(uri)
            for uri in uris
            if uri.startswith(before) and uri.endswith(after) and "/" not in uri[len(before) : end]
        ]

    def fetch_shared_records(
        self,
        perm: str,
        principals: Collection[str],
        get_bound_permissions: BoundPermissions | None = None,
    ) -> list[str]:
        """Restrict the request to the records shared with the principals.

        Set :attr:`shared_ids` and return it. If it is empty, return the ids of the shared objects
        below the records: if there are any, the user can list the collection.
        """
        self.shared_ids = self.get_shared_ids(perm, principals, get_bound_permissions)
        return self.shared_ids or list(
            self._accessible_objects(perm, principals, get_bound_permissions)
        )

    def _accessible_objects(
        self,
        permission: str,
        principals: Collection[str],
        get_bound_permissions: BoundPermissions | None,
    ) -> Collection[str]:
        """Return the ids of visible objects below this collection."""
        accessible: Collection[str] = (
            self._request.registry.permission.principals_accessible_objects(
                principals=principals,
                permission=permission,
                object_id_match=self.get_permission_object_id(self._request, "*"),
                get_bound_permissions=get_bound_permissions,
            )
        )
        return accessible

    def _uri(self, endpoint_type: str, matchdict: dict[str, Any]) -> str:
        service = self._service
        name = service.viewset.get_service_name(endpoint_type, service.resource)
        mapper = self._request.registry.getUtility(IRoutesMapper)
        return strip_uri_prefix(unquote(mapper.generate(name, matchdict)))
