"""What ends a connection whose server doesn't end its statements in time itself.

PostgreSQL does, unless it can't: its processes are stopped, or wait for a disk. While its machine
answers, libpq waits for as long as that lasts.
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

#: How many seconds more than it should take a statement is waited for, and how often that
#: is looked at.
MARGIN = 5.0
PERIOD = 1.0

#: What separates short statements, which wait for nobody: all together have the time of one.
TOGETHER = ";/* together */"

_TIMEOUT = re.compile(r"statement[-_]timeout=(\d+)(us|ms|s|min|h|d)?(?!\w)")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def statement_timeout(options: str) -> float:
    """Return the seconds that the ``options`` of libpq grant a statement; 0: they don't tell."""
    told = _TIMEOUT.findall(options)
    if not told:
        return 0.0
    number, unit = told[-1]
    return int(number) * _UNITS[unit or "ms"]


class Watchdog:
    """Shuts down connections that have waited for too long, of any threads.

    It has a thread, but only while there are statements.

    :param timeout: how many seconds a statement may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._mutex = threading.Lock()
        self._deadlines: dict[Any, float] = {}
        self._awake = False

    def watch(self, connection: Any, statements: str) -> None:
        """Note that the connection begins to wait for statements, each with its own time-out."""
        # Those within a function or a literal count too: it is a bound.
        number = statements.count(";") - statements.count(TOGETHER) + 1
        seconds = self._timeout * number + MARGIN
        self._deadlines[connection] = time.monotonic() + seconds
        if not self._awake:
            self._wake()

    def leave(self, connection: Any) -> None:
        """Note that it waits no more."""
        if self._deadlines.pop(connection, None) is None:
            # Its socket is being shut down, whose number must not become another one's meanwhile.
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
            # First the one, then the other: who comes meanwhile is seen, or sees that it sleeps.
            self._awake = False
            self._awake = bool(self._deadlines)
            return self._awake

    def _shut_down(self, connection: Any) -> None:
        with self._mutex:
            if self._deadlines.pop(connection, None) is not None:
                with suppress(OSError, psycopg2.Error):
                    with socket.socket(fileno=os.dup(connection.fileno())) as twin:
                        twin.shutdown(socket.SHUT_RDWR)


class Connection(psycopg2.extensions.connection):
    """A connection that a watchdog looks after."""

    watchdog: Watchdog


class Cursor(psycopg2.extensions.cursor):
    """What runs statements on such a connection."""

    def execute(self, query: Any, vars: Any = None) -> None:
        """Run statements.

        :raises psycopg2.OperationalError: also when they take too long.
        """
        connection: Any = self.connection
        watchdog = connection.watchdog
        watchdog.watch(connection, query)
        try:
            super().execute(query, vars)
        finally:
            watchdog.leave(connection)
