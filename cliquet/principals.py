"""Principals of requests: the ids that stand for their user in permissions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pyramid.authorization import Authenticated, Everyone
from pyramid.interfaces import IAuthenticationPolicy, IAuthorizationPolicy, ISecurityPolicy
from pyramid.security import LegacySecurityPolicy

from cliquet.types import Registry, Request


def groupfinder(userid: str, request: Request) -> Collection[str]:
    """Return the groups of the user from the permission backend, read once per batch."""
    backend = getattr(request.registry, "permission", None)
    if backend is None:
        return []
    userid = request.prefixed_userid or userid
    key = f"{userid}_principals"
    if key not in request.bound_data:
        _prefetch_check(request, userid)
        request.bound_data[key] = backend.user_principals(userid)
    groups: Collection[str] = request.bound_data[key]
    return groups


def _prefetch_check(request: Request, userid: str) -> None:
    """Let the permission backend check the request in the statement that reads the groups."""
    context = getattr(request, "context", None)
    if context is None:  # a stub of a request, whose registry can be a stub too
        return
    policy = request.registry.queryUtility(IAuthorizationPolicy)
    if hasattr(policy, "prefetch_check"):
        policy.prefetch_check(context, entry_principals([Everyone, Authenticated], userid))


def forget_groups(request: Request) -> None:
    """Make later requests of the same batch read the groups of their users again."""
    cached = [key for key in request.bound_data if key.endswith("_principals")]
    for key in cached:
        del request.bound_data[key]


def authentication_policy(registry: Registry) -> Any:
    """Return the policy that authenticates users, or None.

    It is the registered authentication policy, or the application's security policy.
    """
    policy = registry.queryUtility(ISecurityPolicy)
    if isinstance(policy, LegacySecurityPolicy):
        return registry.queryUtility(IAuthenticationPolicy)
    return policy


def effective_principals(request: Request) -> list[str]:
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
