"""Permissions that the settings grant (``{resource}_{permission}_principals``)."""

from __future__ import annotations

from typing import Any

from cliquet.state import state_of
from cliquet.types import Registry, Request
from cliquet.utils import setting_list
from cliquet.utils.http import resource_services


def settings_principals(
    request: Request, resource_name: str | None, permission: str | None
) -> list[str]:
    """Return the principals that have a permission on a resource by the settings."""
    setting = f"{resource_name}_{permission}_principals"
    return setting_list(request.registry.settings.get(setting))


def principals_by_settings(context: Any, object_id: str, permission: str) -> list[str]:
    """Return the principals to whom the settings grant a permission on an object.

    :param object_id: the URL of the request, or one above it.
    :param permission: ``read``, ``write``…, or ``{resource}:create``.
    """
    name = permission.rpartition(":")[2]
    if object_id == context.permission_object_id and name == context.required_permission:
        return context.allowed_principals or []
    registry = context._request.registry
    value = registry.settings.get(setting_key(registry, object_id, permission))
    return setting_list(value) if value else []


def setting_key(registry: Registry, object_id: str, permission: str) -> str:
    resource_name, _, name = permission.rpartition(":")
    return f"{resource_name or _resource_name(registry, object_id)}_{name}_principals"


def _resource_name(registry: Registry, object_id: str) -> str | None:
    """Return the name of the resource with that URL, None if there is none."""
    state = state_of(registry)
    if state.resource_patterns is None:
        state.resource_patterns = _resource_patterns(registry)
    segments = object_id.split("/")
    for pattern, name in state.resource_patterns.get(len(segments), ()):
        if all(map(_matches, pattern, segments)):
            return name
    return None


def _resource_patterns(registry: Registry) -> dict[int, list[tuple[list[str], str]]]:
    """Return the segments of the URL of each resource with its name, by number of segments."""
    patterns: dict[int, list[tuple[list[str], str]]] = {}
    for name, service in resource_services(registry):
        segments = getattr(service, f"{service.type}_path").split("/")
        patterns.setdefault(len(segments), []).append((segments, name))
    return patterns


def _matches(pattern: str, segment: str) -> bool:
    return pattern == segment or "{" in pattern
