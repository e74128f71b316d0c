"""What the service is: ``GET /``."""

from __future__ import annotations

from typing import Any

from pyramid.authorization import Authenticated as Authenticated
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet.service import Service
from cliquet.settings import Names, kind_of

#: The version of the protocol (protocol.md).
PROTOCOL_VERSION = "2"

hello = Service(name="hello", path="/", description="Welcome")


@hello.get(permission=NO_PERMISSION_REQUIRED)
def get_hello(request: Any) -> dict[str, Any]:
    """Return what clients need to know of the service."""
    registry = request.registry
    settings = registry.settings
    data: dict[str, Any] = {
        key: settings[key]
        for key in ("project_name", "project_version", "http_api_version", "project_docs")
    }
    data["cliquet_protocol_version"] = PROTOCOL_VERSION
    data["url"] = request.route_url(hello.name)
    names = Names(settings["project_name"])
    data["settings"] = {
        key: _public_value(settings, key, names.bare(key)) for key in registry.public_settings
    }
    data["capabilities"] = registry.api_capabilities
    eos = get_eos(request)
    if eos:
        data["eos"] = eos
    # Users of policies without a name have no prefixed id.
    if request.prefixed_userid is not None or request.authenticated_userid is not None:
        data["user"] = request.get_user_info()
    return data


def _public_value(settings: Any, key: str, bare: str) -> Any:
    return kind_of(bare).read(settings.get(bare, settings.get(key)))


def get_eos(request: Any) -> Any:
    """Return the date of the end of service, None or an empty string without one."""
    return request.registry.settings["eos"]
