"""Authentication policies for the bearer tokens of OAuth2 providers."""

import json
from base64 import b64encode
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from pyramid.authentication import CallbackAuthenticationPolicy
from pyramid.interfaces import IAuthenticationPolicy
from zope.interface import implementer

from cliquet.storage.exceptions import BackendError
from cliquet.utils import hmac_digest


@implementer(IAuthenticationPolicy)
class BearerPolicy(CallbackAuthenticationPolicy):
    """Base class of the policies: subclasses implement :meth:`check`.

    The settings of the policy become its arguments.

    :param seconds: how long to cache the provider's response.
    :param timeout: how many seconds to wait for the provider.
    """

    def __init__(self, client_id, client_secret, seconds=300, timeout=5):
        self.client_id = client_id
        self.seconds = int(seconds)
        self._timeout = float(timeout)
        self._basic = b64encode(f"{client_id}:{client_secret}".encode()).decode()

    def check(self, token):
        """Return the id of the user, or None if the token is invalid."""
        raise NotImplementedError

    def unauthenticated_userid(self, request):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        # The cache never contains the token itself, only its digest.
        key = "bearer:" + hmac_digest(request.registry.settings["userid_hmac_secret"], token)
        userid = request.registry.cache.get(key)
        if userid is None:
            userid = self.check(token) or ""
            request.registry.cache.set(key, userid, ttl=self.seconds)
        return userid or None

    def remember(self, request, userid, **kwargs):
        return []

    def forget(self, request):
        return [("WWW-Authenticate", 'Bearer realm="Realm"')]

    def post(self, url, body, content_type):
        """Return the provider's JSON response, or None if the token is unknown.

        :raises cliquet.storage.exceptions.BackendError: if the provider fails; the response is 503.
        """
        headers = {
            "Accept": "application/json",
            "Authorization": f"Basic {self._basic}",
            "Content-Type": content_type,
        }
        try:
            with urlopen(Request(url, body.encode(), headers), timeout=self._timeout) as response:
                return json.load(response)
        except HTTPError as error:
            with error:
                if error.code in (404, 422):
                    return None
                raise BackendError(original=error) from error
        except (OSError, ValueError, HTTPException) as error:
            raise BackendError(original=error) from error


class GitHubPolicy(BearerPolicy):
    """Ask GitHub whether it issued the token to *this* application, and for which user."""

    def __init__(self, *args, api_url="https://api.github.com", **kwargs):
        super().__init__(*args, **kwargs)
        self._url = f"{api_url}/applications/{self.client_id}/token"

    def check(self, token):
        body = json.dumps({"access_token": token})
        token_info = self.post(self._url, body, "application/json")
        # Use the number, because another user can take over a login.
        return None if token_info is None else str(token_info["user"]["id"])


class IntrospectionPolicy(BearerPolicy):
    """Ask a provider that supports token introspection (RFC 7662)."""

    def __init__(self, *args, url, scope="", **kwargs):
        super().__init__(*args, **kwargs)
        self._url = url
        self._scope = scope

    def check(self, token):
        body = urlencode({"token": token, "token_type_hint": "access_token"})
        token_info = self.post(self._url, body, "application/x-www-form-urlencoded")
        if not token_info or not token_info.get("active"):
            return None
        if self._scope and self._scope not in token_info.get("scope", "").split():
            return None
        return token_info.get("sub")
