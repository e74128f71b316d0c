"""Endpoints of a resource: URLs, methods and view arguments."""

from __future__ import annotations

from typing import Any

import colander

from cliquet import authorization
from cliquet.resource.schema import PayloadSchema, PermissionsSchema
from cliquet.settings.types import BOOLEAN
from cliquet.types import Settings
from cliquet.utils import DeprecatedMeta
from cliquet.utils.http import EXPOSED_HEADERS, JSON, PARTIAL_TYPES

_RECORD_HEADERS = ("Last-Modified", "ETag", "Cache-Control", "Expires", "Pragma")
_COLLECTION_HEADERS = (*_RECORD_HEADERS, "Next-Page", "Total-Records")
CONTENT_TYPES = [JSON]
_JSON_BODY: dict[str, Any] = {"content_type": CONTENT_TYPES}
_WITH_BODY = ("POST", "PUT", "PATCH")


class ViewSet:
    """URLs, methods and view arguments of a resource.

    Keyword arguments override the attributes.

    View arguments come from ``default_arguments``,
    ``default_{method}_arguments``, ``default_{collection|record}_arguments``
    and ``{collection|record}_{method}_arguments``: the most specific ones win.
    """

    service_name = "{resource_name}-{endpoint_type}"
    collection_path = "/{resource_name}s"
    record_path = "/{resource_name}s/{{id}}"

    collection_methods: tuple[str, ...] = ("GET", "POST", "DELETE")
    record_methods: tuple[str, ...] = ("GET", "PUT", "PATCH", "DELETE")
    #: The methods whose bodies are validated; the others accept any ``data``.
    validate_schema_for: tuple[str, ...] = ("POST", "PUT", "PATCH")
    readonly_methods: tuple[str, ...] = ("GET", "OPTIONS", "HEAD")

    #: The context factory of requests; None: the root factory of the application.
    factory: Any = None

    service_arguments: dict[str, Any] = {"description": "Collection of {resource_name}"}

    default_arguments: dict[str, Any] = {
        "permission": authorization.PRIVATE,
        "accept": CONTENT_TYPES,
    }

    default_post_arguments: dict[str, Any] = _JSON_BODY
    default_put_arguments: dict[str, Any] = _JSON_BODY
    default_patch_arguments: dict[str, Any] = {"content_type": [*CONTENT_TYPES, *PARTIAL_TYPES]}

    default_collection_arguments: dict[str, Any] = {}
    collection_get_arguments: dict[str, Any] = {
        "cors_headers": (*EXPOSED_HEADERS, *_COLLECTION_HEADERS)
    }

    default_record_arguments: dict[str, Any] = {}
    record_get_arguments: dict[str, Any] = {"cors_headers": (*EXPOSED_HEADERS, *_RECORD_HEADERS)}

    def __init__(self, **kwargs: Any) -> None:
        self.update(**kwargs)

    def update(self, **kwargs: Any) -> None:
        """Set attributes."""
        self.__dict__.update(**kwargs)

    def get_view_arguments(
        self, endpoint_type: str, resource_cls: type[Any], method: str
    ) -> dict[str, Any]:
        """Return the arguments of a view.

        :param endpoint_type: ``collection`` or ``record``.
        :param method: an HTTP method.
        """
        lowered = method.lower()
        arguments: dict[str, Any] = {}
        for name in (
            "default_arguments",
            f"default_{lowered}_arguments",
            f"default_{endpoint_type}_arguments",
        ):
            arguments.update(getattr(self, name, {}))
        # After the defaults, because a schema in these would apply to all resources.
        arguments["schema"] = self.get_record_schema(resource_cls, method)
        arguments.update(getattr(self, f"{endpoint_type}_{lowered}_arguments", {}))
        return arguments

    def get_record_schema(self, resource_cls: type[Any], method: str) -> colander.SchemaNode:
        """Return the schema of a body: a mapping with ``data``.

        The schema of the resource validates ``data`` for the methods in
        :attr:`validate_schema_for`, but for PATCH only after the resource has merged the
        changes. The schema of methods without a body, such as GET, has no ``data``.
        """
        if method.upper() not in _WITH_BODY:
            return _any_body()
        return self._payload(method, self._data_schema(resource_cls, method))

    def _is_validated(self, method: str) -> bool:
        return method.upper() in map(str.upper, self.validate_schema_for)

    def _has_whole_records(self, method: str) -> bool:
        """Return whether the schema of the resource validates the ``data`` of a method."""
        return self._is_validated(method) and method.upper() != "PATCH"

    def _payload(self, method: str, *nodes: colander.SchemaNode) -> PayloadSchema:
        return PayloadSchema(
            *nodes,
            fills_data=self._has_whole_records(method),
            unknown="raise" if self._is_validated(method) else "preserve",
            partial_types=PARTIAL_TYPES if method.upper() == "PATCH" else (),
        )

    def _data_schema(self, resource_cls: type[Any], method: str) -> colander.SchemaNode:
        if self._has_whole_records(method):
            node = resource_cls.mapping.clone()
        else:
            node = colander.SchemaNode(colander.Mapping(unknown="preserve"))
        node.name = "data"
        node.missing = colander.required
        return node

    def get_view(self, endpoint_type: str, method: str) -> str:
        """Return the name of the resource's method for an HTTP method."""
        prefix = "collection_" if endpoint_type == "collection" else ""
        return prefix + method.lower()

    def get_name(self, resource_cls: type[Any]) -> str:
        """Return the name from the viewset, the class or the class name."""
        name = getattr(self, "name", None) or getattr(resource_cls, "name", None)
        return name if name and isinstance(name, str) else str(resource_cls.__name__.lower())

    def get_service_name(self, endpoint_type: str, resource_cls: type[Any]) -> str:
        """Return the name of a service."""
        return self.service_name.format(
            resource_name=self.get_name(resource_cls), endpoint_type=endpoint_type
        )

    def get_service_arguments(self) -> dict[str, Any]:
        """Return the arguments of both services."""
        if self.factory is None:
            return dict(self.service_arguments)
        return {"factory": self.factory, **self.service_arguments}

    def is_endpoint_enabled(
        self, endpoint_type: str, resource_name: str, method: str, settings: Settings
    ) -> bool:
        """Return whether the settings enable an endpoint."""
        if BOOLEAN.get(settings, "readonly") and method.upper() not in self.readonly_methods:
            return False
        name = f"{endpoint_type}_{resource_name}_{method.lower()}_enabled"
        # Set but empty, it disables the endpoint.
        return BOOLEAN.get(settings, name, name not in settings)

    def collection_arguments(self, resource: Any, method: str) -> dict[str, Any]:
        """Return the arguments of a collection view."""
        return self.get_view_arguments("collection", resource, method)

    def record_arguments(self, resource: Any, method: str) -> dict[str, Any]:
        """Return the arguments of a record view."""
        return self.get_view_arguments("record", resource, method)


class ShareableViewSet(ViewSet):
    """The endpoints of a shareable resource, with dynamic permissions."""

    factory = authorization.RouteFactory

    default_arguments: dict[str, Any] = {
        **ViewSet.default_arguments,
        "permission": authorization.DYNAMIC,
    }

    def get_record_schema(self, resource_cls: type[Any], method: str) -> colander.SchemaNode:
        """Return the schema of a body: ``data`` and ``permissions``."""
        if method.upper() not in _WITH_BODY:
            return _any_body()
        data = self._data_schema(resource_cls, method)
        permissions = PermissionsSchema(
            name="permissions", missing=colander.drop, permissions=resource_cls.permissions
        )
        if method.upper() == "PATCH":
            data.missing = colander.drop
        return self._payload(method, data, permissions)


class ProtectedViewSet(ShareableViewSet, metaclass=DeprecatedMeta):
    """The deprecated name of :class:`ShareableViewSet`."""


def _any_body() -> colander.SchemaNode:
    """Return the schema for methods that ignore their body."""
    return colander.SchemaNode(colander.Mapping(unknown="preserve"))
