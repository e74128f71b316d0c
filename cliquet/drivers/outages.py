"""Throttle for the log lines about a database that is down."""

from __future__ import annotations

import threading
import time

from cliquet.types import Registry

#: Seconds between two log lines about the same outage.
INTERVAL = 60.0

_mutex = threading.Lock()


def is_logged(registry: Registry, outage: str) -> bool:
    """Return whether an outage was logged in the last :data:`INTERVAL`.

    If it wasn't, the caller logs it now: until the interval has passed, other calls return
    True.

    :param outage: identifies the outage.
    """
    now = time.monotonic()
    with _mutex:
        logged: dict[str, float] = registry.__dict__.setdefault("logged_outages", {})
        if now - logged.get(outage, -INTERVAL) < INTERVAL:
            return True
        logged[outage] = now
    return False
