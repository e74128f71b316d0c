"""Resources: a schema, and the endpoints to list, create, read, modify and delete records."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import venusian
from pyramid.exceptions import ConfigurationError

from cliquet.resource.base import UserResource
from cliquet.resource.model import Model, ProtectedModel, ShareableModel
from cliquet.resource.schema import ResourceSchema
from cliquet.resource.shareable import ProtectedResource, ShareableResource
from cliquet.resource.viewset import ProtectedViewSet, ShareableViewSet, ViewSet
from cliquet.service import Service
from cliquet.settings import add_resource_keys
from cliquet.storage import Filter, Sort
from cliquet.utils import COMPARISON

#: The name that most applications use.
BaseResource = UserResource


def register(depth: int = 1, **kwargs: Any) -> Callable[[type], type]:
    """Register a resource class when the application scans its module.

    :param depth: how many frames up the module is.
    :param kwargs: attributes of the viewset: ``name``, ``collection_path``,
        ``record_methods``…
    :raises pyramid.exceptions.ConfigurationError: at the scan, when there is
        no storage, or no permission backend for a shareable resource.
    """

    def wrapped(resource_cls: type) -> type:
        def callback(context: Any, name: str, ob: Any) -> None:
            config = context.config.with_package(info.module)
            _require_backends(config.registry, resource_cls)
            settings = config.registry.settings
            for service in register_resource(resource_cls, settings=settings, **kwargs):
                config.add_cornice_service(service)

        info = venusian.attach(resource_cls, callback, category="pyramid", depth=depth)
        return resource_cls

    return wrapped


def _require_backends(registry: Any, resource_cls: type) -> None:
    needed = ["storage"]
    if issubclass(resource_cls, ShareableResource):
        needed.append("permission")
    for kind in needed:
        if getattr(registry, kind, None) is None:
            raise ConfigurationError(
                f"{resource_cls.__name__} needs a {kind} backend: {kind}_backend is not set, "
                f"expected a module such as cliquet.{kind}.memory"
            )


def register_resource(
    resource_cls: Any, settings: Any = None, viewset: Any = None, depth: int = 1, **kwargs: Any
) -> list[Service]:
    """Return the services of a resource: that of the collection, and that of the records.

    :param settings: those of the application, which may disable endpoints.
    :param viewset: the class's own by default.
    :param kwargs: attributes of the viewset.
    """
    if viewset is None:
        viewset = resource_cls.default_viewset(**kwargs)
    else:
        viewset.update(**kwargs)
    return [
        _service(endpoint_type, resource_cls, settings or {}, viewset, depth + 2)
        for endpoint_type in ("collection", "record")
    ]


def _service(
    endpoint_type: str, resource_cls: Any, settings: Any, viewset: Any, depth: int
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
            view = viewset.get_view(endpoint_type, method.lower())
            service.add_view(method, view, klass=resource_cls, **arguments)
    return service


def _with_context(resource_cls: Any) -> Any:
    """Return a class that takes a context too, as resources once didn't."""
    parameters = inspect.signature(resource_cls).parameters
    if "context" in parameters or inspect.Parameter.VAR_KEYWORD in {
        parameter.kind for parameter in parameters.values()
    }:
        return resource_cls

    def __init__(self: Any, request: Any, context: Any = None) -> None:
        resource_cls.__init__(self, request)
        self.context = context

    return type(resource_cls.__name__, (resource_cls,), {"__init__": __init__})


__all__ = [
    "COMPARISON",
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
    "register",
    "register_resource",
]
