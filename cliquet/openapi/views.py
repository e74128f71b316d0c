"""Views of the OpenAPI document (``/__api__``) and of its page (``/__api__/``).

The page is Swagger UI. Its files and its licence are in the folder ``static``.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.static import static_view

from cliquet.errors import JSON_TYPE
from cliquet.http.service import Service
from cliquet.openapi.document import make
from cliquet.utils import json
from cliquet.utils.http import set_header
from cliquet.views import descriptions

#: The page can load its own files and call the service, nothing else.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_CACHE_SECONDS = 3600

openapi = Service(name="openapi", path="/__api__", description="OpenAPI document")
_files = static_view("cliquet.openapi:static", cache_max_age=_CACHE_SECONDS, use_subpath=True)


class _Made(NamedTuple):
    body: bytes
    etag: str


def includeme(config: Any) -> None:
    """Add the document and the page, and announce them to clients."""
    config.registry.openapi_document = None
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
def get_document(request: Any) -> Any:
    """Return the OpenAPI document of this service."""
    made = request.registry.openapi_document
    if made is None:
        # Made at the first request, when all services are there, and kept.
        body = json.dumps_bytes(make(request))
        made = _Made(body, hashlib.sha256(body).hexdigest())
        request.registry.openapi_document = made
    response = request.response
    set_header(response, "Content-Type", JSON_TYPE)
    set_header(response, "Cache-Control", "no-cache")
    response.body = made.body
    response.etag = made.etag
    response.conditional_response = True
    return response


def get_page(context: Any, request: Any) -> Any:
    """Return the page or one of its files."""
    response = _files(context, request)
    set_header(response, "Content-Security-Policy", CONTENT_SECURITY_POLICY)
    return response
