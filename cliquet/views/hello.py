"""Description of the service: ``GET /``."""

from __future__ import annotations

import functools
from typing import Any

from pyramid.authorization import Authenticated as Authenticated
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet.http import live
from cliquet.http.service import Service
from cliquet.settings import KeyForms, type_of
from cliquet.settings.types import SettingType
from cliquet.types import Request, Settings
from cliquet.views import descriptions

#: The version of the protocol (protocol.md).
PROTOCOL_VERSION = "2"

hello = Service(name="hello", path="/", description="Welcome")


@hello.get(permission=NO_PERMISSION_REQUIRED, openapi=descriptions.HELLO)
def get_hello(request: Request) -> dict[str, Any]:
    """Return the description of the service for clients."""
    registry = request.registry
    settings = registry.settings
    data: dict[str, Any] = {
        key: settings[key]
        for key in ("project_name", "project_version", "http_api_version", "project_docs")
    }
    data["cliquet_protocol_version"] = PROTOCOL_VERSION
    data["url"] = request.route_url(hello.name)
    public = sorted(registry.public_settings)  # a set, whose order differs between processes
    data["settings"] = {key: _public_value(settings, key) for key in public}
    data["capabilities"] = registry.api_capabilities
    if live.is_served(request):
        data["capabilities"] = {**registry.api_capabilities, "live": live.CAPABILITY}
    eos = get_eos(request)
    if eos:
        data["eos"] = eos
    # With policies without a name, users have no prefixed id.
    if request.prefixed_userid is not None or request.authenticated_userid is not None:
        data["user"] = request.get_user_info()
    return data


def _public_value(settings: Settings, key: str) -> Any:
    bare, setting_type = _bare_key(settings["project_name"], key)
    return setting_type.read(settings.get(bare, settings.get(key)))


@functools.lru_cache(maxsize=256)
def _bare_key(project_name: str, key: str) -> tuple[str, SettingType[Any]]:
    """Return the bare key of a setting, and its type."""
    bare = KeyForms(project_name).bare(key)
    return bare, type_of(bare)


def get_eos(request: Request) -> Any:
    """Return the date of the end of service; None or an empty string: none."""
    return request.registry.settings["eos"]
