"""Client of the other service."""

import requests

from cliquet.utils import hmac_digest


class Upstream:
    def __init__(self, url, timeout):
        self.url = url
        self.timeout = timeout

    def request(self, method, path, **kwargs):
        """Return the response; failures raise an exception of ``requests``."""
        kwargs.setdefault("timeout", self.timeout)
        response = requests.request(method, self.url + path, **kwargs)
        response.raise_for_status()
        return response


def get_token(request):
    """Return the user's token, which is kept in the cache."""
    settings, cache = request.registry.settings, request.registry.cache
    authorization = request.headers["Authorization"]
    key = "token:{}".format(hmac_digest(settings["cache_hmac_secret"], authorization))
    credentials = cache.get(key)
    if credentials is None:
        response = request.registry.upstream.request(
            "POST", "/tokens", headers={"Authorization": authorization}
        )
        credentials = response.json()
        cache.set(key, credentials, ttl=settings["token_ttl_seconds"])
    return credentials["token"]


def heartbeat(request):
    """Return True if the other service works."""
    try:
        request.registry.upstream.request("GET", "/heartbeat")
    except requests.RequestException:
        return False
    return True
