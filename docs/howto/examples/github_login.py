"""Login for browsers: redirect to GitHub, then exchange the code for a token."""

import hmac
import json
import secrets
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from pyramid.httpexceptions import HTTPFound
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet import Service
from cliquet.errors import raise_invalid
from cliquet.storage.exceptions import BackendError

login = Service(name="github_login", path="/github/login")
token = Service(name="github_token", path="/github/token")


def includeme(config):
    config.add_cornice_service(login)
    config.add_cornice_service(token)


@login.get(permission=NO_PERMISSION_REQUIRED)
def get_login(request):
    settings = request.registry.settings
    state = secrets.token_urlsafe()
    query = {
        "client_id": settings["multiauth.policy.github.client_id"],
        "redirect_uri": request.route_url("github_token"),
        "state": state,
    }
    response = HTTPFound(f"{settings['github.url']}/login/oauth/authorize?{urlencode(query)}")
    # The callback checks that the same browser started the login.
    response.set_cookie(
        "state", state, max_age=600, httponly=True, samesite="lax", secure=request.scheme == "https"
    )
    return response


@token.get(permission=NO_PERMISSION_REQUIRED)
def get_token(request):
    settings = request.registry.settings
    state = request.cookies.get("state", "")
    if not state or not hmac.compare_digest(state, request.GET.get("state", "")):
        raise_invalid(request, "querystring", "state", "Does not match the cookie")
    form = {
        "client_id": settings["multiauth.policy.github.client_id"],
        "client_secret": settings["multiauth.policy.github.client_secret"],
        "code": request.GET.get("code", ""),
    }
    url = f"{settings['github.url']}/login/oauth/access_token"
    exchange = Request(url, urlencode(form).encode(), {"Accept": "application/json"})
    try:
        with urlopen(exchange, timeout=5) as response:
            result = json.load(response)
    except HTTPError as error:
        with error:
            raise BackendError(original=error) from error
    except (OSError, ValueError, HTTPException) as error:
        raise BackendError(original=error) from error
    if "access_token" not in result:
        raise_invalid(request, "querystring", "code", result.get("error", "Refused"))
    return {"token": result["access_token"]}
