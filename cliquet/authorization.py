"""What the user of a request may do (protocol, "Shared resources")."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any
from urllib.parse import unquote

from pyramid.authorization import Authenticated, Everyone
from pyramid.decorator import reify
from pyramid.interfaces import IAuthorizationPolicy, IRoutesMapper, ISecurityPolicy
from pyramid_multiauth import MultiAuthIdentity, MultiAuthSecurityPolicy
from zope.interface import implementer

from cliquet.storage import exceptions
from cliquet.utils import current_service, setting_list, strip_uri_prefix

#: The view permission of shareable resources: which one it is depends on the request.
DYNAMIC = "dynamic"
#: The view permission of records that each user has alone.
PRIVATE = "private"

BoundPermissions = Callable[[str, str], Iterable[tuple[str, str]]]


def groupfinder(userid: str, request: Any) -> Collection[str]:
    """Return the groups of the user, from the permission backend, asked once for a batch."""
    backend = getattr(request.registry, "permission", None)
    if backend is None:
        return []
    userid = request.prefixed_userid or userid
    known: dict[str, Collection[str]] = request.bound_data.setdefault("groups", {})
    if userid not in known:
        known[userid] = backend.user_principals(userid)
    return known[userid]


def effective_principals(request: Any) -> list[str]:
    """Return the principals of the request, its groups included.

    Pyramid's own attribute knows nothing of security policies.
    """
    policy = request.registry.queryUtility(ISecurityPolicy)
    principals = getattr(policy, "effective_principals", None)
    return [Everyone] if principals is None else list(principals(request))


class SecurityPolicy(MultiAuthSecurityPolicy):
    """The stack of policies of the settings, which looks for groups only when they matter.

    :param find_groups: ``(userid, request)`` → groups, or None to refuse the user.
    :param authz_policy: the :class:`AuthorizationPolicy`.
    """

    def __init__(self, policies: Any, find_groups: Any, authz_policy: Any) -> None:
        # Ours refuses nobody: it can wait until the principals are asked for.
        self._lazy = find_groups is groupfinder
        self._find_groups = find_groups
        asked = None if self._lazy or find_groups is None else self._groups
        super().__init__(policies, asked, authz_policy)
        plain = getattr(type(authz_policy), "permits", None) is AuthorizationPolicy.permits
        self._private_is_authenticated = self._lazy and plain

    def _groups(self, userid: str, request: Any) -> Any:
        """Ask a groupfinder of the application, which may ask in turn who the user is."""
        request.identity_in_question = MultiAuthIdentity(userid, [])
        try:
            groups = self._find_groups(userid, request)
        finally:
            del request.identity_in_question
        if groups is None:
            request.__dict__.pop("prefixed_userid", None)
        return groups

    def identity(self, request: Any) -> MultiAuthIdentity | None:
        in_question: MultiAuthIdentity | None = request.__dict__.get("identity_in_question")
        return in_question or super().identity(request)

    def permits(self, request: Any, context: Any, permission: str) -> Any:
        if permission == PRIVATE and self._private_is_authenticated:
            return self.identity(request) is not None
        return super().permits(request, context, permission)

    def effective_principals(self, request: Any) -> set[str]:
        principals: set[str] = set(super().effective_principals(request))
        identity = self.identity(request)
        if self._lazy and identity is not None:
            principals.update(groupfinder(identity.userid, request))
        return principals


@implementer(IAuthorizationPolicy)
class AuthorizationPolicy:
    """Decides from the settings or the permission backend.

    Applications may give :attr:`get_bound_permissions`: a function of an
    object id and a permission, which returns the pairs of object id and
    permission that grant it.
    """

    get_bound_permissions: BoundPermissions | None = None

    def permits(self, context: Any, principals: Iterable[str], permission: str) -> bool:
        """Tell whether the principals have the permission on the context."""
        principals = set(principals)
        if permission == PRIVATE:
            return Authenticated in principals
        if Authenticated in principals:
            principals.add(context.get_prefixed_userid())
        if permission == DYNAMIC:
            permission = context.required_permission
        if permission == "create":
            permission = f"{context.resource_name}:create"
        if context.allowed_principals:
            allowed = not principals.isdisjoint(context.allowed_principals)
        else:
            allowed = context.check_permission(permission, principals, self.get_bound_permissions)
        if not allowed and context.on_collection:
            # Nobody shares a collection's "create": this finds records to list or delete.
            allowed = bool(
                context.fetch_shared_records(permission, principals, self.get_bound_permissions)
            )
        return bool(allowed)

    def principals_allowed_by_permission(self, context: Any, permission: str) -> Any:
        raise NotImplementedError


class RouteFactory:
    """The context of a request: the object that permissions are asked for.

    What costs something is found when it is first asked for; every attribute
    may be set. (Not by ``functools.cached_property``: before Python 3.12 one
    lock makes all requests wait while one of them waits for the database.)
    """

    #: The permission that a method requires (PUT: see :attr:`required_permission`).
    method_permissions = {
        "head": "read",
        "get": "read",
        "post": "create",
        "delete": "write",
        "patch": "write",
    }
    #: The ids of the records that are shared with the user, when only these may be seen.
    shared_ids: list[str] | None = None
    #: The record that a PUT replaces, None if there is none.
    current_record: dict[str, Any] | None = None
    #: Whether a PUT is known to replace none.
    record_is_new = False
    on_collection = False

    def __init__(self, request: Any) -> None:
        self._request = request
        self._service = current_service(request)
        if self._is_on_resource:
            self.on_collection = self._service.type == "collection"

    @property
    def _is_on_resource(self) -> bool:
        return getattr(self._service, "viewset", None) is not None

    @reify
    def resource_name(self) -> str | None:
        """The name of the resource, None elsewhere."""
        return self._request.current_resource_name if self._is_on_resource else None

    @reify
    def required_permission(self) -> str | None:
        """The permission that the request needs: ``read``, ``write`` or ``create``.

        PUT needs ``write`` on the record if it exists, else ``create`` on the
        collection. The record is locked, for that to be true until the end.
        None elsewhere than on a resource, unless a subclass sets it.
        """
        method = self._request.method.lower()
        if not self._is_on_resource:
            return None
        if method != "put":
            return self.method_permissions.get(method)
        resource = self._service.resource(request=self._request, context=self)
        resource.model.locking = True
        try:
            self.current_record = resource.model.get_record(resource.record_id)
        except exceptions.RecordNotFoundError:
            self.record_is_new = True
            self.permission_object_id = self._uri("collection", self._request.matchdict)
            return "create"
        return "write"

    @reify
    def allowed_principals(self) -> list[str] | None:
        """The principals that the settings give the permission to; empty: ask the backend."""
        if not self._is_on_resource:
            return None
        return self._principals_of_settings(str(self.required_permission))

    def _principals_of_settings(self, permission: str) -> list[str]:
        setting = f"{self.resource_name}_{permission}_principals"
        return setting_list(self._request.registry.settings.get(setting))

    def is_granted(
        self,
        object_id: str,
        permission: str,
        principals: Collection[str],
        get_bound_permissions: BoundPermissions | None = None,
    ) -> bool:
        """Tell whether one of the principals has the permission on any object of the resource."""
        allowed = self._principals_of_settings(permission)
        if allowed:
            return not set(principals).isdisjoint(allowed)
        return bool(
            self._request.registry.permission.check_permission(
                object_id, permission, principals, get_bound_permissions
            )
        )

    @reify
    def permission_object_id(self) -> str | None:
        """The id of the object that the permission is asked on, None elsewhere."""
        return self.get_permission_object_id(self._request) if self._is_on_resource else None

    def get_prefixed_userid(self) -> str | None:
        """Return the user id that permissions know."""
        return self._request.prefixed_userid

    def get_permission_object_id(self, request: Any, record_id: str | None = None) -> str:
        """Return the id, for the permission backend, of the object that the request is about.

        It is the URL without its version prefix.

        :param record_id: on a resource: ask for this record of it (``*``: all of them).
        """
        if record_id is not None and self._is_on_resource:
            if record_id != request.matchdict.get("id"):
                return self._uri("record", {**request.matchdict, "id": record_id})
        return strip_uri_prefix(request.path_info)

    def extract_object_id(self, object_uri: str) -> str:
        """Return the id of the record that the object id stands for."""
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
                object_id, permission, principals, get_bound_permissions
            )
        )

    def get_shared_ids(
        self,
        permission: str,
        principals: Collection[str],
        get_bound_permissions: BoundPermissions | None = None,
    ) -> list[str]:
        """Return the ids of the records of this collection that the principals may see."""
        pattern = self.get_permission_object_id(self._request, "*")
        uris = self._request.registry.permission.principals_accessible_objects(
            principals,
            permission,
            object_id_match=pattern,
            get_bound_permissions=get_bound_permissions,
        )
        # ``*`` also matches what is nested under a record, and may be in the URL of the collection.
        before, _, after = pattern.rpartition("*")
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
        """Note in :attr:`shared_ids` the records that the user is limited to, and return them."""
        self.shared_ids = self.get_shared_ids(perm, principals, get_bound_permissions)
        return self.shared_ids

    def _uri(self, endpoint_type: str, matchdict: dict[str, Any]) -> str:
        service = self._service
        name = service.viewset.get_service_name(endpoint_type, service.resource)
        mapper = self._request.registry.getUtility(IRoutesMapper)
        return strip_uri_prefix(unquote(mapper.generate(name, matchdict)))
