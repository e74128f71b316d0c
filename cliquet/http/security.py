"""Pyramid security policy built on the authentication and authorization policies.

As in Pyramid 1, the policies are those of the registry. Applications can replace those of the
settings at any time before start-up ends.
"""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import (
    PHASE2_CONFIG,
    PHASE3_CONFIG,
    IAuthenticationPolicy,
    IAuthorizationPolicy,
    ISecurityPolicy,
)
from pyramid.security import LegacySecurityPolicy
from pyramid_multiauth import MultiAuthenticationPolicy, MultiAuthIdentity, MultiAuthSecurityPolicy
from zope.interface import implementer

from cliquet.authorization import PRIVATE, AuthorizationPolicy, InheritingAuthorizationPolicy
from cliquet.principals import authentication_policy, groupfinder
from cliquet.settings.types import BOOLEAN
from cliquet.types import Registry, Request
from cliquet.utils.overrides import is_inherited, is_of_toolkit


@implementer(IAuthenticationPolicy)
class PolicyStack(MultiAuthSecurityPolicy, MultiAuthenticationPolicy):
    """The authentication policies of the settings. Groups are read only if needed.

    Plugins look it up as ``IAuthenticationPolicy`` and expect a ``MultiAuthenticationPolicy``.

    :param policies: the policies, in the order in which they are tried.
    :param find_groups: a function ``(userid, request)`` that returns the groups, or None to
        refuse the user. An application's own function is called for every access to the user
        or its principals, as in 3.1, because groups can change during a request.
    :param backend: the permission backend, if any.
    """

    def __init__(self, policies: Any, find_groups: Any, backend: Any = None) -> None:
        # The default function refuses no user, so it can wait until the principals are needed.
        self.is_lazy = find_groups is groupfinder and not _has_own_groups(backend)
        self._find_groups = find_groups
        super().__init__(policies, None if self.is_lazy or find_groups is None else self._groups)

    def _groups(self, userid: str, request: Request) -> Any:
        """Call the application's groupfinder, which might itself read the user id."""
        request.identity_in_question = MultiAuthIdentity(userid, [])
        try:
            groups = self._find_groups(userid, request)
        finally:
            del request.identity_in_question
        if groups is None:
            request.__dict__.pop("prefixed_userid", None)
        return groups

    def identity(self, request: Request) -> MultiAuthIdentity | None:
        in_question: MultiAuthIdentity | None = request.__dict__.get("identity_in_question")
        return in_question or super().identity(request)

    def authenticated_userid(self, request: Request) -> str | None:
        self._forget_groups(request)
        userid: str | None = super().authenticated_userid(request)
        return userid

    def unauthenticated_userid(self, request: Request) -> str | None:
        """Return the first user id that a policy reads from the request."""
        userids = (policy.unauthenticated_userid(request) for policy in self._policies)
        return next((userid for userid in userids if userid is not None), None)

    def effective_principals(self, request: Request) -> list[str]:
        self._forget_groups(request)
        principals: set[str] = set(super().effective_principals(request))
        identity = self.identity(request)
        if self.is_lazy and identity is not None:
            principals.update(groupfinder(identity.userid, request))
        return list(principals)

    def _forget_groups(self, request: Request) -> None:
        if not self.is_lazy:
            for cached in ("_multiauth_identity", "_multiauth_principals"):
                request.__dict__.pop(cached, None)


class SecurityPolicy(LegacySecurityPolicy):
    """The security policy that delegates to the policies of the registry."""

    def identity(self, request: Request) -> Any:
        authn = self._get_authn_policy(request)
        if isinstance(authn, PolicyStack):
            return authn.identity(request)
        return authn.authenticated_userid(request)

    def permits(self, request: Request, context: Any, permission: str) -> Any:
        authn, authz = self._get_authn_policy(request), self._get_authz_policy(request)
        if (
            permission == PRIVATE
            and getattr(authn, "is_lazy", False)
            and is_inherited(authz, AuthorizationPolicy, "permits")
        ):
            # Groups are irrelevant here.
            return authn.identity(request) is not None
        principals = list(authn.effective_principals(request))
        return authz.permits(context, principals, permission)

    def forget(self, request: Request, **kw: Any) -> Any:
        return self._get_authn_policy(request).forget(request)


def _has_own_groups(backend: object) -> bool:
    """Return whether a permission backend overrides how groups are read."""
    find = getattr(type(backend), "user_principals", None)
    return find is not None and not is_of_toolkit(find)


def named_policies(registry: Registry) -> list[tuple[str, Any]]:
    """Return the authentication policies in use, with their names.

    Policies without a name have that of their class, as in ``request.authn_type``.
    """
    policy = authentication_policy(registry)
    if isinstance(policy, MultiAuthSecurityPolicy | MultiAuthenticationPolicy):
        policies = policy.get_policies()
    else:
        policies = [] if policy is None else [(None, policy)]
    return [(name or type(policy).__name__.lower(), policy) for name, policy in policies]


def include_policies(config: Configurator) -> None:
    """Set up the policies of the settings, unless the application has its own."""
    registry = config.registry
    registered = {
        interface: registry.queryUtility(interface)
        for interface in (IAuthorizationPolicy, ISecurityPolicy)
    }
    config.include("pyramid_multiauth")
    if registered[IAuthorizationPolicy] is not None:
        registry.registerUtility(registered[IAuthorizationPolicy], IAuthorizationPolicy)
    elif isinstance(
        policy := registry.getUtility(IAuthorizationPolicy), InheritingAuthorizationPolicy
    ):
        policy.inherits_from_parents = BOOLEAN.get(
            config.get_settings(), "inherit_permissions", True
        )
    # After policies are registered (PHASE2), and before the views that use them (PHASE3).
    config.action(
        None, _install, args=(config, registered[ISecurityPolicy]), order=PHASE3_CONFIG - 5
    )


def accept_policies(config: Configurator) -> None:
    """Let the application replace the configured policies until the next commit.

    Pyramid 2 refuses an authentication policy next to a security policy, so ours is removed
    while policies are registered.
    """
    config.action(None, _withdraw, args=(config.registry,), order=PHASE2_CONFIG - 1)
    config.action(None, _install, args=(config,), order=PHASE3_CONFIG - 5)


def _withdraw(registry: Registry) -> None:
    if isinstance(registry.queryUtility(ISecurityPolicy), SecurityPolicy):
        registry.unregisterUtility(provided=ISecurityPolicy)


def _install(config: Configurator, previous: object = None) -> None:
    """Register our security policy, unless the application has its own.

    :param previous: the security policy registered before that of ``pyramid_multiauth``.
    """
    registry = config.registry
    current = registry.queryUtility(ISecurityPolicy)
    if type(current) is MultiAuthSecurityPolicy:
        if registry.queryUtility(IAuthenticationPolicy) is None:
            find_groups = config.maybe_dotted(registry.settings.get("multiauth.groupfinder"))
            policies = [policy for _, policy in current.get_policies()]
            stack = PolicyStack(policies, find_groups, getattr(registry, "permission", None))
            registry.registerUtility(stack, IAuthenticationPolicy)
        current = previous
    if current is not None and not isinstance(current, LegacySecurityPolicy):
        registry.registerUtility(current, ISecurityPolicy)
    elif registry.queryUtility(IAuthenticationPolicy) is not None:
        registry.registerUtility(SecurityPolicy(), ISecurityPolicy)
