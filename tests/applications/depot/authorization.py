"""Inherited permissions."""

from pyramid.settings import aslist

from cliquet import authorization

#: Permissions that imply ``read`` on the object.
CREATE_PERMISSIONS = ("collection:create", "group:create", "record:create")


def containers(object_uri):
    """Return the URIs of the objects on the path of a URI, the outermost first.

    The object itself is the last one, unless the URI is that of a list.
    """
    parts = object_uri.split("/")
    return ["/".join(parts[:end]) for end in range(3, len(parts) + 1, 2)]


class AuthorizationPolicy(authorization.AuthorizationPolicy):
    def get_bound_permissions(self, object_uri, permission):
        """Return the (URI, permission) pairs that grant a permission on an object.

        ``write`` grants every permission on an object and its content. ``read`` and the
        ``create`` permissions are inherited too. The setting ``bucket_create_principals``
        decides who may create buckets.
        """
        uris = containers(object_uri)
        bound = {(uri, "write") for uri in uris}
        if permission != "write":
            bound.update((uri, permission) for uri in uris)
        if permission == "read":
            bound.update((object_uri, create) for create in CREATE_PERMISSIONS)
        return bound


class RouteFactory(authorization.RouteFactory):
    """The context of every request; administrators have every permission."""

    def __init__(self, request):
        super().__init__(request)
        self.administrators = aslist(request.registry.settings["administrators"] or "")

    def check_permission(self, permission, principals, get_bound_permissions):
        if set(principals) & set(self.administrators):
            return True
        return super().check_permission(permission, principals, get_bound_permissions)
