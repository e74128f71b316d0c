"""Throttle for the log lines about a database that is down."""

from __future__ import annotations

import threading
import time

from cliquet.state import state_of
from cliquet.types import Registry

#: Seconds between two log lines about the same outage.
INTERVAL = 60.0

_mutex = threading.Lock()


def should_log(registry: Registry, outage: str) -> bool:
    """Return whether the caller should log an outage, because nothing did in the last interval.

    Other calls return False until :data:`INTERVAL` has passed.

    :param outage: identifies the outage.
    """
    now = time.monotonic()
    with _mutex:
        logged = state_of(registry).logged_outages
        if now - logged.get(outage, -INTERVAL) < INTERVAL:
            return False
        logged[outage] = now
    return True
