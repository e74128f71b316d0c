"""Watchdog that closes connections whose server exceeds the statement timeout.

The server normally enforces the timeout itself, unless its processes are stopped or wait for a
disk. As long as the machine still responds, libpq would wait forever.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import psycopg2
import psycopg2.extensions

#: Seconds of grace after the statement timeout, and the interval between checks.
MARGIN = 5.0
PERIOD = 1.0

_TIMEOUT = re.compile(r"statement[-_]timeout=(\d+)(us|ms|s|min|h|d)?(?!\w)")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def statement_timeout(options: str) -> float:
    """Return the statement timeout in libpq ``options`` in seconds, 0 if none."""
    values = _TIMEOUT.findall(options)
    if not values:
        return 0.0
    number, unit = values[-1]
    return int(number) * _UNITS[unit or "ms"]


class Watchdog:
    """Shuts down connections, of any thread, that have waited for too long.

    Its thread only runs while there are statements.

    :param timeout: maximum duration of a statement in seconds.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._mutex = threading.Lock()
        self._deadlines: dict[Connection, float] = {}
        self._awake = False

    def watch(self, connection: Connection, timeouts: float) -> None:
        """Start to watch a connection that runs statements.

        :param timeouts: the number of them that have their own timeout.
        """
        self._deadlines[connection] = time.monotonic() + self._timeout * timeouts + MARGIN
        if not self._awake:
            self._wake()

    def leave(self, connection: Connection) -> None:
        """Stop watching a connection."""
        if self._deadlines.pop(connection, None) is None:
            # Wait until its socket is shut down, lest another socket reuse the descriptor.
            self._mutex.acquire()
            self._mutex.release()

    def _wake(self) -> None:
        with self._mutex:
            if not self._awake:
                threading.Thread(target=self._run, name="watchdog", daemon=True).start()
                self._awake = True

    def _run(self) -> None:
        while self._is_needed():
            time.sleep(PERIOD)
            now = time.monotonic()
            for connection, deadline in self._deadlines.copy().items():
                if deadline < now:
                    self._shut_down(connection)

    def _is_needed(self) -> bool:
        with self._mutex:
            # Clear before checking, to avoid a lost wake-up.
            self._awake = False
            self._awake = bool(self._deadlines)
            return self._awake

    def _shut_down(self, connection: Connection) -> None:
        with self._mutex:
            if self._deadlines.pop(connection, None) is not None:
                with suppress(OSError, psycopg2.Error):
                    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
                        duplicate.shutdown(socket.SHUT_RDWR)


class Connection(psycopg2.extensions.connection):
    """A connection under the control of a watchdog, unless there is no timeout."""

    watchdog: Watchdog | None = None
    #: The names of its prepared statements; None if it can't prepare any.
    prepared: set[str] | None = None


class Cursor(psycopg2.extensions.cursor):
    """A cursor of such a connection."""

    #: The number of its next statements that have their own timeout.
    timeouts: float = 1

    def execute(self, query: Any, vars: Any = None) -> None:
        """Run statements.

        :raises psycopg2.OperationalError: also if they take too long.
        """
        connection: Any = self.connection
        watchdog = connection.watchdog
        if watchdog is None:
            super().execute(query, vars)
            return
        watchdog.watch(connection, self.timeouts)
        try:
            super().execute(query, vars)
        finally:
            watchdog.leave(connection)
