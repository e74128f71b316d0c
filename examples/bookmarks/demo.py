"""The demo page of the JavaScript client, at ``/demo/``: beside the API, not of any version of it.

Its files are those of ``clients/javascript``, which a checkout has; without them there is no page.
"""

import logging
from pathlib import Path

from pyramid.httpexceptions import HTTPFound
from pyramid.response import FileResponse
from pyramid.security import NO_PERMISSION_REQUIRED

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "javascript"

logger = logging.getLogger(__name__)


def includeme(config):
    """Serve the page; to be included before Cliquet, which prefixes the routes that follow."""
    if not (CLIENT / "demo").is_dir():
        logger.warning("There is no demo page, for there is no folder %s", CLIENT / "demo")
        return
    config.add_static_view("demo", str(CLIENT / "demo"), cache_max_age=0)
    add_view(config, "/demo", lambda request: HTTPFound(request.path + "/"))
    # Where it is from the page in the folders too: one above it.
    add_view(config, "/cliquet.js", lambda request: FileResponse(CLIENT / "cliquet.js", request))


def add_view(config, path, view):
    """Serve a path to everybody, who asks for it each time: the service worker has the copies."""
    config.add_route(path, path, request_method="GET")
    config.add_view(view, route_name=path, permission=NO_PERMISSION_REQUIRED, http_cache=0)
