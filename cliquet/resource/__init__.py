"""Resources: a schema and the endpoints for its records."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import venusian
from pyramid.exceptions import ConfigurationError

from cliquet.errors import ERRORS, http_error, raise_invalid, send_alert
from cliquet.events import ACTIONS
from cliquet.http.service import Service
from cliquet.logs import logger
from cliquet.resource.base import UserResource
from cliquet.resource.model import Model, ProtectedModel, ShareableModel
from cliquet.resource.schema import ResourceSchema
from cliquet.resource.shareable import ProtectedResource, ShareableResource
from cliquet.resource.viewset import ProtectedViewSet, ShareableViewSet, ViewSet
from cliquet.settings import add_resource_keys
from cliquet.storage import Filter, Sort
from cliquet.types import Registry, Request, Settings
from cliquet.utils import (
    COMPARISON,
    DeprecatedMeta,
    classname,
    decode64,
    decode_header,
    dict_subset,
    encode64,
    encode_header,
    native_value,
)

_METHODS_WITH_BODY = ("POST", "PUT", "PATCH")

#: The name that most applications use.
BaseResource = UserResource


def register(depth: int = 1, **kwargs: Any) -> Callable[[type], type]:
    """Register a resource class when the application scans its module.

    :param depth: number of stack frames between this call and the module.
    :param kwargs: attributes of the viewset: ``name``, ``collection_path``,
        ``record_methods``…
    :raises pyramid.exceptions.ConfigurationError: during the scan, if there is no
        storage backend, or no permission backend for a shareable resource.
    """

    def wrapped(resource_cls: type) -> type:
        register_resource(resource_cls, depth=depth + 1, **kwargs)
        return resource_cls

    return wrapped


def _require_backends(registry: Registry, resource_cls: type) -> None:
    needed = ["storage"]
    if issubclass(resource_cls, ShareableResource):
        needed.append("permission")
    for kind in needed:
        if getattr(registry, kind, None) is None:
            key, expected = f"{kind}_backend", f"a module such as cliquet.{kind}.memory"
            problem = f"{key} is not set"
            if registry.settings.get(key):
                key, expected = "initialization_sequence", f"cliquet.initialization.setup_{kind}"
                problem = f"{key} lacks a step"
            raise ConfigurationError(
                f"{resource_cls.__name__} needs a {kind} backend: {problem}, expected {expected}"
            )


class Registration:
    """The registration of a resource class.

    Like the function that 3.1 returned, it is the callback of the scan, and adds the services to
    the application. Iterating over it builds the services.
    """

    def __init__(
        self,
        resource_cls: type[Any],
        settings: Settings | None,
        viewset: Any,
        depth: int,
        arguments: dict[str, Any],
    ) -> None:
        self._resource_cls = resource_cls
        self._settings = settings
        self._viewset = viewset
        self._depth = depth
        self._arguments = arguments
        self._info = venusian.attach(resource_cls, self, category="pyramid", depth=depth + 1)

    def __call__(self, context: Any, name: str, ob: Any) -> None:
        config = context.config.with_package(self._info.module)
        _require_backends(config.registry, self._resource_cls)
        for service in self._services(config.registry.settings):
            config.add_cornice_service(service)

    def __iter__(self) -> Iterator[Service]:
        return self._services(self._settings or {})

    def _services(self, settings: Settings) -> Iterator[Service]:
        viewset = self._viewset
        if viewset is None:
            viewset = self._resource_cls.default_viewset(**self._arguments)
        else:
            viewset.update(**self._arguments)
        for endpoint_type in ("collection", "record"):
            yield _service(endpoint_type, self._resource_cls, settings, viewset, self._depth)


def register_resource(
    resource_cls: type[Any],
    settings: Settings | None = None,
    viewset: object = None,
    depth: int = 1,
    **kwargs: Any,
) -> Registration:
    """Register a resource class as :func:`register` does, without a decorator.

    An application that doesn't scan the module of the class can iterate over the result and
    add the services itself.

    :param settings: settings of the application, which can disable endpoints.
    :param viewset: replaces the default viewset of the class.
    :param depth: number of stack frames between this call and the module.
    :param kwargs: attributes of the viewset.
    :return: the callback of the scan, ``(context, name, ob)``. Iterating over it yields the
        services of the collection and of the records.
    """
    return Registration(resource_cls, settings, viewset, depth, kwargs)


def _service(
    endpoint_type: str, resource_cls: type[Any], settings: Settings, viewset: Any, depth: int
) -> Service:
    resource_name = viewset.get_name(resource_cls)
    add_resource_keys(settings, resource_name)
    resource_cls = _with_context(resource_cls)
    paths = {
        kind: getattr(viewset, f"{kind}_path").format(resource_name=resource_name)
        for kind in ("collection", "record")
    }
    service = Service(
        viewset.get_service_name(endpoint_type, resource_cls),
        paths[endpoint_type],
        depth=depth,
        **viewset.get_service_arguments(),
    )
    service.viewset = viewset
    service.resource = resource_cls
    service.type = endpoint_type
    service.collection_path = paths["collection"]
    service.record_path = paths["record"]
    for method in getattr(viewset, f"{endpoint_type}_methods"):
        if viewset.is_endpoint_enabled(endpoint_type, resource_name, method.lower(), settings):
            arguments = getattr(viewset, f"{endpoint_type}_arguments")(resource_cls, method)
            if method.upper() not in _METHODS_WITH_BODY:
                arguments = _without_body(arguments)
            view = viewset.get_view(endpoint_type, method.lower())
            service.add_view(method, view, klass=resource_cls, **arguments)
    return service


def _without_body(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a view without the part of the schema about the body."""
    given: Any = arguments.get("schema")
    if given is None:
        return arguments
    schema: Any = given() if inspect.isclass(given) else given.clone()
    schema.children = [
        node for node in schema.children if getattr(node, "location", "body") != "body"
    ]
    others = {name: value for name, value in arguments.items() if name != "schema"}
    return {**others, "schema": schema} if schema.children else others


def _with_context(resource_cls: type[Any]) -> Any:
    """Return a class that accepts a context, unlike older resources."""
    parameters = inspect.signature(resource_cls).parameters
    if "context" in parameters or inspect.Parameter.VAR_KEYWORD in {
        parameter.kind for parameter in parameters.values()
    }:
        return resource_cls

    def __init__(self: Any, request: Request, context: Any = None) -> None:
        resource_cls.__init__(self, request)
        self.context = context

    return type(resource_cls.__name__, (resource_cls,), {"__init__": __init__})


__all__ = [
    "ACTIONS",
    "COMPARISON",
    "DeprecatedMeta",
    "ERRORS",
    "BaseResource",
    "Filter",
    "Model",
    "ProtectedModel",
    "ProtectedResource",
    "ProtectedViewSet",
    "ResourceSchema",
    "ShareableModel",
    "ShareableResource",
    "ShareableViewSet",
    "Sort",
    "UserResource",
    "ViewSet",
    "classname",
    "decode64",
    "decode_header",
    "dict_subset",
    "encode64",
    "encode_header",
    "http_error",
    "logger",
    "native_value",
    "raise_invalid",
    "register",
    "register_resource",
    "send_alert",
]
