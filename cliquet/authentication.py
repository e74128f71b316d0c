"""User ids of requests, and Basic auth, on top of ``pyramid_multiauth``."""

from __future__ import annotations

import binascii
from typing import Any

from pyramid.authentication import BasicAuthAuthenticationPolicy as PyramidBasicAuth

from cliquet import utils
from cliquet.types import Request


def prefixed_userid(request: Request) -> str | None:
    """Return the user id with the prefix of its policy, None for anonymous requests.

    Records and permissions use this id (protocol, "Authentication").
    """
    # Reading the identity runs the policies if needed, and sets the selected user id.
    if getattr(request, "identity", "") is None:
        return None
    authn_type = getattr(request, "authn_type", None)
    return None if authn_type is None else f"{authn_type}:{request.selected_userid}"


def on_policy_selected(event: Any) -> None:
    """Set ``request.authn_type`` and ``request.selected_userid``."""
    request = event.request
    request.authn_type = (event.policy_name or type(event.policy).__name__).lower()
    request.selected_userid = event.userid


def user_info(request: Request) -> dict[str, Any]:
    """Return the description of an authenticated user in the hello view."""
    return {"id": request.prefixed_userid}


class BasicAuthAuthenticationPolicy(PyramidBasicAuth):
    """Basic auth (RFC 7617) that accepts any user and any password.

    The user id is the HMAC of both with the setting ``userid_hmac_secret``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(lambda username, password, request: [], *args, **kwargs)

    def unauthenticated_userid(self, request: Request) -> str | None:
        header = request.headers.get("Authorization")
        # The requests of a batch usually have the same user.
        outer = getattr(request, "parent", None) or request
        cached: tuple[str | None, str | None] | None = outer.__dict__.get("_basicauth")
        if cached is None or cached[0] != header:
            cached = outer._basicauth = header, self._userid(request, header)
        return cached[1]

    def authenticated_userid(self, request: Request) -> str | None:
        return self.unauthenticated_userid(request)

    def effective_principals(self, request: Request) -> list[str]:
        """Return an empty list: the policy stack adds the principals."""
        return []

    def _userid(self, request: Request, header: str | None) -> str | None:
        credentials = _credentials(header)
        if credentials is None:
            return None
        secret = request.registry.settings.get("userid_hmac_secret") or ""
        return utils.hmac_digest(str(secret), credentials)


def _credentials(header: str | None) -> str | None:
    """Return ``user:password`` from a Basic auth header with a user name, or None."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = binascii.a2b_base64(encoded.strip())
    except (binascii.Error, ValueError):
        return None
    user, colon, _ = raw.partition(b":")
    if not (user and colon):
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
