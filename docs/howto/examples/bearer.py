"""Who has a token of an OAuth2 provider is the user that the provider says."""

import json
from base64 import b64encode
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
    """Subclasses say how to :meth:`check` a token. Arguments come from the settings of the policy.

    :param seconds: for how long an answer of the provider is believed.
    """

    def __init__(self, client_id, client_secret, seconds=300, timeout=5):
        self.client_id = client_id
        self.seconds = int(seconds)
        self._timeout = float(timeout)
        self._basic = b64encode(f"{client_id}:{client_secret}".encode()).decode()

    def check(self, token):
        """Return the id of the user, None if the token is good for nothing."""
        raise NotImplementedError

    def unauthenticated_userid(self, request):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        # Neither in the cache nor in its keys can the token itself be read.
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

    def ask(self, url, body, content_type):
        """Return the JSON that the provider answers, None if it doesn't know the token.

        :raises cliquet.storage.exceptions.BackendError: when it fails: the answer is 503.
        """
        headers = {
            "Accept": "application/json",
            "Authorization": f"Basic {self._basic}",
            "Content-Type": content_type,
        }
        try:
            with urlopen(Request(url, body.encode(), headers), timeout=self._timeout) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                if error.code in (404, 422):
                    return None
                raise BackendError(original=error) from error
        except (OSError, ValueError) as error:
            raise BackendError(original=error) from error


class GitHubPolicy(BearerPolicy):
    """Asks GitHub whether it gave the token to *this* application, and for which user."""

    def __init__(self, *args, api_url="https://api.github.com", **kwargs):
        super().__init__(*args, **kwargs)
        self._url = f"{api_url}/applications/{self.client_id}/token"

    def check(self, token):
        body = json.dumps({"access_token": token})
        found = self.ask(self._url, body, "application/json")
        # The number: names of users can change hands.
        return None if found is None else str(found["user"]["id"])


class IntrospectionPolicy(BearerPolicy):
    """Asks any provider that offers token introspection (RFC 7662)."""

    def __init__(self, *args, url, scope="", **kwargs):
        super().__init__(*args, **kwargs)
        self._url = url
        self._scope = scope

    def check(self, token):
        body = urlencode({"token": token, "token_type_hint": "access_token"})
        found = self.ask(self._url, body, "application/x-www-form-urlencoded")
        if not found or not found.get("active"):
            return None
        if self._scope and self._scope not in found.get("scope", "").split():
            return None
        return found.get("sub")
