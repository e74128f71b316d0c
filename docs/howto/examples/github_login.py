"""The way to a token for browsers: to GitHub and back."""

import hmac
import json
import secrets
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from pyramid.httpexceptions import HTTPFound
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet import Service
from cliquet.errors import raise_invalid

login = Service(name="github_login", path="/github/login")
token = Service(name="github_token", path="/github/token")


def includeme(config):
    config.add_cornice_service(login)
    config.add_cornice_service(token)


@login.get(permission=NO_PERMISSION_REQUIRED)
def get_login(request):
    settings = request.registry.settings
    state = secrets.token_urlsafe()
    asked = {
        "client_id": settings["multiauth.policy.github.client_id"],
        "redirect_uri": request.route_url("github_token"),
        "state": state,
    }
    answer = HTTPFound(f"{settings['github.url']}/login/oauth/authorize?{urlencode(asked)}")
    # It comes back from the same browser, or somebody else has begun this.
    answer.set_cookie(
        "state", state, max_age=600, httponly=True, samesite="lax", secure=request.scheme == "https"
    )
    return answer


@token.get(permission=NO_PERMISSION_REQUIRED)
def get_token(request):
    settings = request.registry.settings
    state = request.cookies.get("state", "")
    if not state or not hmac.compare_digest(state, request.GET.get("state", "")):
        raise_invalid(request, "querystring", "state", "Not the one that was given")
    given = {
        "client_id": settings["multiauth.policy.github.client_id"],
        "client_secret": settings["multiauth.policy.github.client_secret"],
        "code": request.GET.get("code", ""),
    }
    url = f"{settings['github.url']}/login/oauth/access_token"
    exchange = Request(url, urlencode(given).encode(), {"Accept": "application/json"})
    with urlopen(exchange, timeout=5) as answer:
        found = json.load(answer)
    if "access_token" not in found:
        raise_invalid(request, "querystring", "code", found.get("error", "Refused"))
    return {"token": found["access_token"]}
