"""A plugin that authenticates users with OAuth2 bearer tokens.

Enable it with::

    cliquet.includes = tests.applications.bearer
    multiauth.policies = bearer
    multiauth.policy.bearer.use = tests.applications.bearer.BearerAuthenticationPolicy
    bearer.server_url = https://oauth.example
"""

import logging

import requests
from pyramid import httpexceptions
from pyramid.authentication import CallbackAuthenticationPolicy
from pyramid.interfaces import IAuthenticationPolicy
from zope.interface import implementer

import cliquet
from cliquet.errors import ERRORS, http_error
from cliquet.statsd import statsd_count
from cliquet.utils import hmac_digest

logger = logging.getLogger(__name__)

DEFAULT_SETTINGS = {
    "bearer.cache_ttl_seconds": 300,
    "bearer.required_scope": "profile",
    "bearer.server_url": None,
    "bearer.timeout_seconds": 2,
}


class InvalidToken(Exception):
    """The server doesn't know the token."""


class OAuthClient:
    """Client of the authorization server."""

    def __init__(self, server_url, timeout):
        self.server_url = server_url
        self.timeout = timeout

    def verify(self, token):
        """Return the description of a token: its ``user`` and its ``scope``."""
        url = f"{self.server_url}/verify"
        response = requests.post(url, json={"token": token}, timeout=self.timeout)
        if response.status_code == 400:
            raise InvalidToken(response.text)
        response.raise_for_status()
        return response.json()

    def ping(self):
        requests.get(f"{self.server_url}/heartbeat", timeout=self.timeout).raise_for_status()


@implementer(IAuthenticationPolicy)
class BearerAuthenticationPolicy(CallbackAuthenticationPolicy):
    def __init__(self, realm="Realm", callback=None):
        self.realm = realm
        self.callback = callback

    def unauthenticated_userid(self, request):
        """Return the user of the token, verified once per request or batch."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        verified = request.bound_data.setdefault("bearer_userids", {})
        if token not in verified:
            verified[token] = self.verified_userid(request, token)
        return verified[token]

    def verified_userid(self, request, token):
        try:
            profile = self.verify(request, token)
        except InvalidToken:
            statsd_count(request, "bearer.invalid_token")
            return None
        required = request.registry.settings["bearer.required_scope"]
        return profile["user"] if required in profile["scope"].split() else None

    def verify(self, request, token):
        """Return the description of the token, from the cache or from the server."""
        settings, cache = request.registry.settings, request.registry.cache
        key = "bearer:{}".format(hmac_digest(settings["userid_hmac_secret"], token))
        profile = cache.get(key)
        if profile is None:
            try:
                profile = request.registry.oauth_client.verify(token)
            except requests.RequestException as error:
                logger.error("The authorization server is unavailable: %s", error)
                raise http_error(
                    httpexceptions.HTTPServiceUnavailable(),
                    errno=ERRORS.BACKEND,
                    message="The authorization server is unavailable.",
                ) from error
            cache.set(key, profile, ttl=settings["bearer.cache_ttl_seconds"])
        return profile

    def remember(self, request, principal, **kw):
        return []

    def forget(self, request):
        return [("WWW-Authenticate", f'Bearer realm="{self.realm}"')]


def heartbeat(request):
    """Return True if the authorization server works."""
    try:
        request.registry.oauth_client.ping()
    except requests.RequestException as error:
        logger.error("The authorization server is unavailable: %s", error)
        return False
    return True


def includeme(config):
    if not getattr(config.registry, "cache", None):
        raise ValueError("bearer needs a cache backend")

    cliquet.load_default_settings(config, DEFAULT_SETTINGS)
    settings = config.get_settings()
    config.registry.oauth_client = OAuthClient(
        settings["bearer.server_url"], settings["bearer.timeout_seconds"]
    )
    config.registry.heartbeats["oauth"] = heartbeat
    config.add_api_capability(
        "bearer",
        description="OAuth2 bearer tokens",
        url="https://oauth.example/docs",
        server=settings["bearer.server_url"],
    )
