"""Security schemes and requirements of operations."""

from __future__ import annotations

from typing import Any

from pyramid.interfaces import IDefaultPermission
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet.authentication import BasicAuthAuthenticationPolicy
from cliquet.authorization import DYNAMIC, PRIVATE
from cliquet.http.security import named_policies
from cliquet.types import Registry, Request

Requirement = dict[str, list[str]]


def schemes(request: Request) -> dict[str, Any]:
    """Return the security schemes of the authentication policies, by the name of the policy.

    The scheme is that of the policy's challenge (RFC 9110, 11.6.1). Applications describe
    policies without a challenge with ``extend_openapi``.
    """
    result = {}
    for name, each in named_policies(request.registry):
        for header, value in each.forget(request) or ():
            if header.lower() == "www-authenticate":
                scheme = value.partition(" ")[0].lower()
                result[name] = {"type": "http", "scheme": scheme, **_description(each)}
    return result


def _description(policy: object) -> dict[str, str]:
    """Return a description for developers who try the service, if the policy is ours."""
    if type(policy) is not BasicAuthAuthenticationPolicy:
        return {}
    return {
        "description": "Any user name with any password. Each combination is a separate user, so "
        "use the same password every time."
    }


class Security:
    """Security requirements of the permissions of views.

    :param names: the names of the security schemes.
    """

    def __init__(self, registry: Registry, names: list[str]) -> None:
        self._default = registry.queryUtility(IDefaultPermission)
        self._requirements: list[Requirement] = [{name: []} for name in names]

    def permission(self, arguments: dict[str, Any]) -> str | None:
        """Return the permission that a view requires, None if it requires none."""
        permission: str | None = arguments.get("permission")
        if permission is None:
            permission = self._default
        return None if permission == NO_PERMISSION_REQUIRED else permission

    def requirements(self, permission: str | None) -> list[Requirement]:
        """Return the alternative requirements; an empty one allows anonymous requests."""
        anonymous: list[Requirement] = [{}] if permission in (None, DYNAMIC) else []
        return [*anonymous, *self._requirements]


def refusals(permission: str | None) -> tuple[str, ...]:
    """Return the statuses of the responses to users without the permission."""
    if permission is None:
        return ()
    return ("401",) if permission == PRIVATE else ("401", "403")
