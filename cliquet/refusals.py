"""Explanations of 403 responses, for developers."""

from __future__ import annotations

import logging
from typing import Any

from pyramid.interfaces import IAuthorizationPolicy

from cliquet.authorization import DYNAMIC, AuthorizationPolicy, RouteFactory
from cliquet.loggers import get_logger
from cliquet.permission_settings import setting_key
from cliquet.principals import entry_principals
from cliquet.settings.types import BOOLEAN
from cliquet.types import Request

logger = get_logger(__name__)

_INHERIT = "multiauth.authorization_policy = cliquet.authorization.InheritingAuthorizationPolicy"


def explain(
    request: Request, context: Any, permission: str, object_id: str | None = None
) -> dict[str, Any] | None:
    """Log why a request is refused, at level DEBUG.

    :param context: the context of the request.
    :param permission: the refused permission.
    :param object_id: the object of the permission; by default, that of the context.
    :returns: the explanation if responses contain it (setting ``error_details``), or None.
    """
    is_shown = BOOLEAN.get(request.registry.settings, "error_details")
    if not (is_shown or logger.isEnabledFor(logging.DEBUG)):
        return None
    principals = sorted(entry_principals(request.effective_principals, request.prefixed_userid))
    settings: list[str] = []
    if isinstance(context, RouteFactory):
        if permission == DYNAMIC:
            permission = context.required_permission or DYNAMIC
            object_id = object_id or context.permission_object_id
        if object_id is not None:
            settings = _settings(request, context, permission, object_id, principals)
    explanation = {
        "permission": permission,
        "object": object_id,
        "principals": principals,
        "settings": settings,
    }
    logger.debug(
        'Permission "%s" on %s refused to %s. Settings that can grant it: %s',
        permission,
        object_id or "the view",
        ", ".join(principals),
        "; ".join(settings) or "none",
    )
    return explanation if is_shown else None


def _settings(
    request: Request, context: Any, permission: str, object_id: str, principals: list[str]
) -> list[str]:
    """Return the settings that can grant a permission on an object."""
    policy = request.registry.queryUtility(IAuthorizationPolicy)
    settings = list(_setting_keys(policy, context, permission, object_id))
    is_plain = type(policy) is AuthorizationPolicy and policy.get_bound_permissions is None
    is_read = (object_id, permission) == (context.permission_object_id, "read")
    if is_plain and is_read and context.check_permission("write", principals):
        settings.append(_INHERIT)
    return [f"cliquet.{setting}" for setting in settings]


def _setting_keys(policy: object, context: Any, permission: str, object_id: str) -> dict[str, None]:
    """Return the settings that can grant a permission on an object, without repetition."""
    if permission == "create":
        permission = f"{context.resource_name}:create"
    get_bound_permissions = getattr(policy, "get_bound_permissions", None)
    pairs = [(object_id, permission)]
    if get_bound_permissions is not None:
        pairs = get_bound_permissions(object_id, permission)
    registry = context._request.registry
    return dict.fromkeys(setting_key(registry, *pair) for pair in pairs)
