"""Demo page of the JavaScript client, at ``/demo/``, outside the versioned API.

Its files are in ``clients/javascript``, in a clone of the repository.
"""

import logging
from pathlib import Path

from pyramid.httpexceptions import HTTPFound
from pyramid.response import FileResponse
from pyramid.security import NO_PERMISSION_REQUIRED

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "javascript"

MODULES = ("cliquet.js", "indexeddb.js", "live.js", "query.js")

logger = logging.getLogger(__name__)


def includeme(config):
    """Serve the page. Include it before Cliquet, which adds a prefix to all later routes."""
    if not (CLIENT / "demo").is_dir():
        logger.warning("No demo page: the folder %s does not exist", CLIENT / "demo")
        return
    config.add_static_view("demo", str(CLIENT / "demo"), cache_max_age=0)
    add_view(config, "/demo", lambda request: HTTPFound(request.path + "/"))
    # The page imports them from the folder above, as in the repository.
    for module in MODULES:
        add_module(config, module)


def add_module(config, module):
    add_view(config, f"/{module}", lambda request: FileResponse(CLIENT / module, request))


def add_view(config, path, view):
    """Serve a public path, without HTTP caching: the service worker stores the copies."""
    config.add_route(path, path, request_method="GET")
    config.add_view(view, route_name=path, permission=NO_PERMISSION_REQUIRED, http_cache=0)
