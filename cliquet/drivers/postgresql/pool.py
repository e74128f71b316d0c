"""The pool of connections of one process to a PostgreSQL database."""

from __future__ import annotations

import logging
import math
import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import Any
from weakref import WeakValueDictionary

import psycopg2
import psycopg2.extensions
from sqlalchemy import event, exc
from sqlalchemy.pool import ConnectionPoolEntry, Pool, PoolProxiedConnection, QueuePool

from cliquet.drivers.postgresql.watchdog import Connection, Cursor, Watchdog, statement_timeout

# Test a connection that was idle for longer, in seconds, even if it looks healthy: a firewall
# or proxy can have dropped it.
_TRUSTED_IDLE = 30.0

_JSON_OID = 114

# SQLAlchemy names the logger after the class. At INFO it reports each pool that is closed.
logging.getLogger(f"{__name__}.QueuePoolWithMaxBacklog").setLevel(logging.WARNING)


class QueuePoolWithMaxBacklog(QueuePool):
    """A pool that limits how many threads wait for a connection.

    :param max_backlog: how many threads can wait; -1: any number.
    """

    def __init__(self, creator: Any, max_backlog: int = -1, **kwds: Any) -> None:
        super().__init__(creator, **kwds)
        self.max_backlog = max_backlog
        size, overflow = kwds.get("pool_size", 5), kwds.get("max_overflow", 10)
        # SQLAlchemy: a size of 0 and an overflow of -1 mean that there is no limit.
        self._capacity = size + overflow if size > 0 and overflow >= 0 else math.inf
        self._waiting = 0
        self._mutex = threading.Lock()

    def connect(self) -> PoolProxiedConnection:
        if self.max_backlog < 0 or self.checkedout() < self._capacity:
            return super().connect()
        with self._mutex:
            if self._waiting >= self.max_backlog:
                raise exc.TimeoutError(f"{self._waiting} threads are waiting for a connection")
            self._waiting += 1
        try:
            return super().connect()
        finally:
            with self._mutex:
                self._waiting -= 1

    def recreate(self) -> QueuePoolWithMaxBacklog:
        pool = super().recreate()
        assert isinstance(pool, QueuePoolWithMaxBacklog)
        pool.max_backlog = self.max_backlog
        return pool


class SharedPool:
    """A pool of one process, closed with the last client that uses it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        weakref.finalize(self, _dispose, pool, os.getpid())


# One per process: several applications on one database, as in a test suite, use no more
# connections than one. A fork doesn't use inherited pools.
_shared: WeakValueDictionary[Any, SharedPool] = WeakValueDictionary()


def share_pool(key: Hashable, connect: Callable[[], Pool]) -> SharedPool:
    """Return the pool of this process with that key, created if needed."""
    key = (os.getpid(), key)
    shared = _shared.get(key)
    if shared is None:
        shared = _shared[key] = SharedPool(connect())
    return shared


def _dispose(pool: Pool, pid: int) -> None:
    if pid == os.getpid():
        pool.dispose()


def make_pool(
    poolclass: type[Pool], options: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Pool:
    """Return a pool of connections, which commit each statement by default.

    :param options: arguments of the class.
    :param parameters: libpq parameters.
    """
    timeout = statement_timeout(parameters.get("options", ""))
    watchdog = Watchdog(timeout) if timeout else None
    # Not a partial, whose repr would show the password.
    pool = poolclass(lambda: _connect(parameters, watchdog), reset_on_return=None, **options)
    event.listen(pool, "checkin", _record_check_in)
    event.listen(pool, "checkout", _test)
    return pool


def _connect(parameters: Mapping[str, Any], watchdog: Watchdog | None) -> Connection:
    connection: Connection = psycopg2.connect(
        connection_factory=Connection, cursor_factory=Cursor, **parameters
    )
    connection.autocommit = True
    connection.watchdog = watchdog
    connection.prepared = set()
    # JSON as bytes: it is parsed elsewhere, if at all.
    connection.string_types[_JSON_OID] = psycopg2.extensions.BYTES
    return connection


def _record_check_in(connection: Connection, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = time.monotonic()


def _test(
    connection: Connection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection
) -> None:
    """Raise DisconnectionError for a broken connection; the pool replaces it."""
    since = record.info.get("idle_since")
    if since is None or (time.monotonic() - since < _TRUSTED_IDLE and not _readable(connection)):
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error as error:
        raise exc.DisconnectionError(str(error)) from error


def _readable(connection: Connection) -> bool:
    """Return whether unexpected data arrived, usually a notice of closing."""
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))
