"""The OpenAPI document: all services of an application and their components."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cornice import Service
from pyramid.interfaces import IRoutesMapper

from cliquet.openapi import security
from cliquet.openapi.components import Components
from cliquet.openapi.operations import (
    Endpoint,
    Operation,
    declared,
    operation,
    preflight,
    without_body,
)
from cliquet.openapi.resources import Resource
from cliquet.openapi.schemas import pattern_of
from cliquet.state import state_of
from cliquet.types import Registry, Request
from cliquet.views.descriptions import TAG as BUILTIN_TAG

#: The version of OpenAPI.
VERSION = "3.1.0"

#: The servers unless the application changes them: the view inserts the URL of the request.
DEFAULT_SERVERS = [{"url": "/"}]

PREFLIGHT_TAG = "cross-origin"

_TAGS = (
    {"name": BUILTIN_TAG, "description": "Service information, health checks and batches."},
    {"name": PREFLIGHT_TAG, "description": "CORS preflight requests of browsers."},
)

# {name}, {name:expression} and, at the end, *name.
_VARIABLE = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}|/?\*(\w+)$")


def make(request: Request) -> dict[str, Any]:
    """Return the document of the application of a request.

    It is the same for all requests: this one is for the authentication policies.
    """
    registry = request.registry
    extensions = state_of(registry).openapi_extensions
    document = Document(registry, security.schemes(request))
    for service in dict.fromkeys(registry.cornice_services.values()):
        if service.name not in extensions.excluded:
            document.add(service)
    content = document.content()
    for addition in extensions.additions:
        if isinstance(addition, Mapping):
            merge(content, addition)
        else:
            addition(content)
    return content


class Document:
    """Builder of a document.

    :param schemes: the security schemes, by name.
    """

    def __init__(self, registry: Registry, schemes: dict[str, Any]) -> None:
        self._registry = registry
        self._components = Components(registry.settings)
        self._components.by_kind["securitySchemes"] = schemes
        self._security = security.Security(registry, list(schemes))
        self._tags: dict[str, str] = {}
        self._paths: dict[str, Any] = {}
        self._resources: list[tuple[Resource, dict[str, Any]]] = []
        self._prefix = f"/{registry.route_prefix}".rstrip("/")

    def add(self, service: Service) -> None:
        """Add a service."""
        mapper = self._registry.getUtility(IRoutesMapper)
        pattern = mapper.get_route(service.pyramid_route or service.name).pattern
        path, parameters = parse_pattern(pattern)
        resource = None
        if hasattr(service, "viewset"):
            resource = Resource(service, self._components, self._registry)
            parameters = [resource.path_parameter(parameter) for parameter in parameters]
        item = self._paths.setdefault(path.removeprefix(self._prefix) or "/", {})
        if parameters:
            item["parameters"] = parameters
        if resource is not None and service.type == "collection":
            self._resources.append((resource, item))
        for method, view, arguments in service.definitions:
            endpoint = Endpoint(service, method, view, arguments)
            item.setdefault(method.lower(), self._operation(endpoint, resource))

    def content(self) -> dict[str, Any]:
        """Return the document."""
        self._link()
        settings = self._registry.settings
        docs = settings["project_docs"]
        builtin = {tag["name"] for tag in _TAGS}
        tags = [
            {"name": name, **({"description": text} if text else {})}
            for name, text in self._tags.items()
            if name not in builtin
        ]
        return {
            "openapi": VERSION,
            "info": {
                "title": settings["project_name"] or "Unnamed",
                "version": str(settings["http_api_version"] or settings["project_version"]),
            },
            **({"externalDocs": {"url": docs}} if docs else {}),
            "servers": DEFAULT_SERVERS,
            "tags": [*tags, *_TAGS],
            "paths": self._paths,
            "components": self._components.by_kind,
        }

    def _link(self) -> None:
        """Link the creation of a record to the operations on the record."""
        for resource, item in self._resources:
            path, _ = parse_pattern(resource.record_path)
            links = resource.links(self._paths.get(path, {}))
            if links and "post" in item:
                for status in ("200", "201"):
                    item["post"]["responses"][status]["links"] = links

    def _operation(self, endpoint: Endpoint, resource: Resource | None) -> Operation:
        if endpoint.is_preflight:
            return {"tags": [PREFLIGHT_TAG], **preflight(endpoint, self._components)}
        result = operation(endpoint, self._components, self._security)
        result["tags"] = [endpoint.service.name]
        if resource is not None:
            merge(result, resource.operation(endpoint, result))
        merge(result, declared(endpoint, self._components))
        description = endpoint.service.description if resource is None else resource.description
        for tag in result["tags"]:
            self._tags[tag] = self._tags.get(tag) or description or ""
        result["responses"] = dict(sorted(result["responses"].items()))
        return without_body(result) if endpoint.method == "HEAD" else result


def merge(target: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """Apply a merge patch (RFC 7396); parameters are added to the existing ones."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif key == "parameters" and isinstance(target.get(key), list):
            target[key] = _merged_parameters(target[key], value)
        elif isinstance(value, Mapping):
            if "$ref" in value or not isinstance(target.get(key), dict) or "$ref" in target[key]:
                target[key] = {}
            merge(target[key], value)
        else:
            target[key] = value


def _merged_parameters(current: list[Any], added: list[Any]) -> list[Any]:
    places = [(parameter.get("in"), parameter.get("name")) for parameter in added]
    unchanged = [
        parameter
        for parameter in current
        if "$ref" in parameter or (parameter["in"], parameter["name"]) not in places
    ]
    return [*unchanged, *added]


def parse_pattern(pattern: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the path of a Pyramid pattern and its parameters."""
    parameters = []

    def placeholder(match: re.Match[str]) -> str:
        name, expression, rest = match.groups()
        limit = pattern_of(expression, end="$") if expression else {}
        if rest is None and not limit:
            limit = {"minLength": 1}
        schema = {"type": "string", **limit}
        parameters.append({"name": name or rest, "in": "path", "required": True, "schema": schema})
        return f"{{{name}}}" if rest is None else f"/{{{rest}}}"

    path = _VARIABLE.sub(placeholder, pattern)
    return path if path.startswith("/") else f"/{path}", parameters
