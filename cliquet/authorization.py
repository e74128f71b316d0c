"""Authorization of requests (protocol, "Shared resources")."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable
from typing import Any
from urllib.parse import unquote

from pyramid.authorization import Authenticated, Everyone
from pyramid.decorator import reify
from pyramid.interfaces import (
    IAuthenticationPolicy,
    IAuthorizationPolicy,
    IRoutesMapper,
    ISecurityPolicy,
)
from pyramid.security import LegacySecurityPolicy
from zope.interface import implementer

from cliquet.authentication import prefixed_userid as prefixed_userid  # plugins import it here
from cliquet.storage import exceptions
from cliquet.utils import current_service, setting_list, strip_uri_prefix

#: The view permission of shareable resources; the required one depends on the request.
DYNAMIC = "dynamic"
#: The view permission of records that are private to each user.
PRIVATE = "private"

BoundPermissions = Callable[[str, str], Iterable[tuple[str, str]]]


def groupfinder(userid: str, request: Any) -> Collection[str]:
    """Return the groups of the user from the permission backend, read once per batch."""
    backend = getattr(request.registry, "permission", None)
    if backend is None:
        return []
    userid = request.prefixed_userid or userid
    key = f"{userid}_principals"
    if key not in request.bound_data:
        request.bound_data[key] = backend.user_principals(userid)
    groups: Collection[str] = request.bound_data[key]
    return groups


def authentication_policy(registry: Any) -> Any:
    """Return the policy that authenticates users, or None.

    It is the registered authentication policy, or the application's security policy.
    """
    policy = registry.queryUtility(ISecurityPolicy)
    if isinstance(policy, LegacySecurityPolicy):
        return registry.queryUtility(IAuthenticationPolicy)
    return policy


def effective_principals(request: Any) -> list[str]:
    """Return the principals of the request, including groups.

    Pyramid's own attribute ignores other security policies than its own.
    """
    policy = authentication_policy(request.registry)
    principals = getattr(policy, "effective_principals", None)
    return [Everyone] if principals is None else list(principals(request))


def entry_principals(principals: Iterable[str], userid: str | None) -> list[str]:
    """Return the principals of a request in the form of access control entries.

    Entries contain the prefixed user id, or its older form ``policy_id``. The bare id is
    omitted, because two policies can authenticate different users with the same one.

    :param principals: the effective principals.
    :param userid: the prefixed user id, None for anonymous requests.
    """
    if userid is None:
        return list(principals)
    policy, _, bare = userid.partition(":")
    others = [principal for principal in principals if principal != bare]
    return [*others, userid, f"{policy}_{bare}"]


def has_record_permission(request: Any, context: Any, object_id: str, permission: str) -> bool:
    """Return whether the user has a permission on a given record.

    :param context: the context of the request, for the resource of the record.
    :param object_id: the object id of the record.
    """
    context = copy.copy(context)
    context.on_collection = False
    context.permission_object_id = object_id
    context.required_permission = permission
    context.allowed_principals = _settings_principals(request, context.resource_name, permission)
    return bool(request.has_permission(DYNAMIC, context))


def _settings_principals(
    request: Any, resource_name: str | None, permission: str | None
) -> list[str]:
    """Return the principals that have a permission on a resource by the settings."""
    setting = f"{resource_name}_{permission}_principals"
    return setting_list(request.registry.settings.get(setting))


@implementer(IAuthorizationPolicy)
class AuthorizationPolicy:
    """Authorization by the settings or the permission backend.

    Applications can set :attr:`get_bound_permissions`: a function of an object id
    and a permission, which returns the pairs of object id and permission that
    grant it.
    """

    get_bound_permissions: BoundPermissions | None = None

    def permits(self, context: Any, principals: Iterable[str], permission: str) -> bool:
        """Return whether the principals have the permission on the context."""
        principals = list(principals)
        if permission == PRIVATE:
            return Authenticated in principals
        if Authenticated in principals:
            principals = entry_principals(principals, context.get_prefixed_userid())
        if permission == DYNAMIC:
            permission = context.required_permission
        if permission == "create":
            permission = f"{context.resource_name}:create"
        bound = {"get_bound_permissions": self.get_bound_permissions}
        if context.allowed_principals:
            allowed = not set(principals).isdisjoint(context.allowed_principals)
        else:
            allowed = context.check_permission(permission, principals, **bound)
        if not allowed and context.on_collection and not permission.endswith("create"):
            # The user can list or delete the records that are shared with them.
            allowed = context.fetch_shared_records(permission, principals, **bound)
        return bool(allowed)

    def principals_allowed_by_permission(self, context: Any, permission: str) -> Any:
        raise NotImplementedError


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

    def __init__(self, request: Any) -> None:
        self._request = request
        self._service = current_service(request)
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
        return self._is_on_resource and self._request.method == "PUT"

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
        return _settings_principals(self._request, self.resource_name, self.required_permission)

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

    def get_prefixed_userid(self) -> str | None:
        """Return the user id that access control entries contain."""
        return self._request.prefixed_userid

    def get_permission_object_id(self, request: Any, record_id: str | None = None) -> str:
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
