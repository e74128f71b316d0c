"""Views of the OpenAPI document (``/__api__``) and of its page (``/__api__/``).

The page is Swagger UI. Its files and its license are in the folder ``static``.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pyramid.config import Configurator
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.static import static_view

from cliquet.errors import JSON_TYPE
from cliquet.http.service import Service
from cliquet.openapi.document import DEFAULT_SERVERS, make
from cliquet.state import state_of
from cliquet.types import Request
from cliquet.utils import json
from cliquet.views import descriptions

#: The page can load its own files and call the service, nothing else.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_CACHE_SECONDS = 3600


openapi = Service(name="openapi", path="/__api__", description="OpenAPI document")
_files = static_view("cliquet.openapi:static", cache_max_age=_CACHE_SECONDS, use_subpath=True)


def includeme(config: Configurator) -> None:
    """Add the document and the page, and announce them to clients."""
    config.add_api_capability(
        "openapi",
        description="OpenAPI 3.1 description of this API, at a URL relative to this one.",
        url="__api__",
    )
    config.add_cornice_service(openapi)
    config.add_route("openapi-page", "/__api__/*subpath")
    config.add_view(
        get_page,
        route_name="openapi-page",
        request_method=("GET", "HEAD"),
        permission=NO_PERMISSION_REQUIRED,
    )


@openapi.get(permission=NO_PERMISSION_REQUIRED, openapi=descriptions.DOCUMENT)
def get_document(request: Request) -> Any:
    """Return the OpenAPI document of this service."""
    state = state_of(request.registry)
    if state.openapi_document is None:
        # At the first request, because all services exist by then.
        state.openapi_document = json.dumps_bytes(make(request))
    # Unless the application chose its own servers, use the URL of the request. No string in the
    # document contains these bytes, because quotes in strings are escaped.
    servers = [{"url": request.route_url("hello").rstrip("/")}]
    body = state.openapi_document.replace(_member(DEFAULT_SERVERS), _member(servers), 1)
    response = request.response
    response.headers["Content-Type"] = JSON_TYPE
    response.headers["Cache-Control"] = "no-cache"
    response.body = body
    response.etag = hashlib.sha256(body).hexdigest()
    response.conditional_response = True
    return response


def _member(servers: list[dict[str, str]]) -> bytes:
    """Return the member ``servers`` of the document as JSON."""
    return json.dumps_bytes({"servers": servers})[1:-1]


def get_page(context: Any, request: Request) -> Any:
    """Return the page or one of its files."""
    response = _files(context, request)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response
