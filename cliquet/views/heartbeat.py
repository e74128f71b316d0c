"""Whether the service is up, for those who watch it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet.service import Service

logger = logging.getLogger(__name__)

heartbeat = Service(name="heartbeat", path="/__heartbeat__", description="Server health")
lbheartbeat = Service(name="lbheartbeat", path="/__lbheartbeat__", description="Web head health")


@heartbeat.get(permission=NO_PERMISSION_REQUIRED)
def get_heartbeat(request: Any) -> dict[str, bool | None]:
    """Return whether each backend works; 503 if one doesn't."""
    registry = request.registry
    status = {name: _beat(name, check, request) for name, check in registry.heartbeats.items()}
    if False in status.values():
        request.response.status_code = 503
        request.response.headers["Retry-After"] = str(registry.settings["retry_after_seconds"])
    return status


def _beat(name: str, check: Callable[[Any], bool | None], request: Any) -> bool | None:
    try:
        return check(request)
    except Exception:
        logger.exception("The heartbeat of %s failed", name)
        return False


@lbheartbeat.get(permission=NO_PERMISSION_REQUIRED)
def get_lbheartbeat(request: Any) -> dict[str, Any]:
    """Return nothing: the process is up."""
    return {}
