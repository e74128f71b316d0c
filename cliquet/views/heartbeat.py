"""Health checks of the service for monitoring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet.heartbeats import Heartbeats
from cliquet.http.service import Service
from cliquet.settings import DEFAULT_SETTINGS
from cliquet.settings.types import DURATION
from cliquet.types import Request
from cliquet.utils.http import is_subrequest
from cliquet.views import descriptions

heartbeat = Service(name="heartbeat", path="/__heartbeat__", description="Server health")
lbheartbeat = Service(name="lbheartbeat", path="/__lbheartbeat__", description="Web head health")


@heartbeat.get(permission=NO_PERMISSION_REQUIRED, openapi=descriptions.HEARTBEAT)
def get_heartbeat(request: Request) -> dict[str, bool | None]:
    """Return the health of each backend; 503 if a check fails or times out."""
    registry = request.registry
    if not isinstance(registry.heartbeats, Heartbeats):  # replaced by the application
        registry.heartbeats = Heartbeats(registry.heartbeats)
    if is_subrequest(request):
        # In another thread, the checks would wait for locks of the batch's transaction.
        status = registry.heartbeats.check_sequentially(request)
    else:
        status = registry.heartbeats.check(request, _timeout(registry.settings))
    if False in status.values():
        request.response.status_code = 503
        request.response.headers["Retry-After"] = str(registry.settings["retry_after_seconds"])
    return status


def _timeout(settings: Mapping[str, Any]) -> float:
    key = "heartbeat_timeout_seconds"
    return DURATION.get(settings, key, DEFAULT_SETTINGS[key])


@lbheartbeat.get(permission=NO_PERMISSION_REQUIRED, openapi=descriptions.LBHEARTBEAT)
def get_lbheartbeat(request: Request) -> dict[str, Any]:
    """Return an empty object: the process is up."""
    return {}
