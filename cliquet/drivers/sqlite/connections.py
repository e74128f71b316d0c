"""Connections of a process to an SQLite file, and the transactions of its writer."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cliquet.utils.arrays import contains, contains_any
from cliquet.utils.text import matches_pattern

# How long SQLite itself waits for the lock of the file, in seconds, before we retry. For longer
# waits, it sleeps up to 100 ms between attempts, and a process that writes continuously would
# starve the others.
_BUSY_TIMEOUT = 0.005

_PAUSE = 0.0005
_IDLE_READERS = 25
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


# The functions that SQL conditions call, each with its number of parameters.
_FUNCTIONS: dict[str, tuple[Callable[..., bool], int]] = {
    "cliquet_like": (matches_pattern, 2),
    "cliquet_contains": (contains, 3),
    "cliquet_contains_any": (contains_any, 3),
}


class Connection(sqlite3.Connection):
    """A connection that detects if its file was replaced on the disk."""

    #: The device and the inode of the file, None if it was removed immediately.
    file: tuple[int, int] | None

    def is_current(self, path: str) -> bool:
        """Return whether the file is still the one at ``path``."""
        return self.file is not None and self.file == _identity(path)


class Connections:
    """Idle readers, the one writer, and the lock of the writer.

    :param path: the file.
    :param timeout: how long to wait for other writers, in seconds.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self.pid = os.getpid()
        self.mutex = threading.Lock()
        self.timeout = timeout
        self._path = path
        self._writer: Connection | None = None
        self._idle: list[Connection] = []

    def borrow(self) -> Connection:
        """Take a connection for reads."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return connect(self._path, self.timeout)
            if connection.is_current(self._path):
                return connection
            connection.close()

    def give_back(self, connection: Connection) -> None:
        """Return a connection for the next reader."""
        # Last in, first out: the cache of the last one used is warm.
        if len(self._idle) < _IDLE_READERS:
            self._idle.append(connection)
        else:
            connection.close()

    def writer(self) -> Connection:
        """Return the writer's connection. The caller must hold the mutex."""
        if self._writer is not None and not self._writer.is_current(self._path):
            self.forget_writer()
        if self._writer is None:
            connection = connect(self._path, _BUSY_TIMEOUT)
            # Acknowledged writes must survive a crash of the machine. The statement reads the file,
            # which another process can lock exclusively while it ends.
            deadline = time.monotonic() + self.timeout
            execute_when_unlocked(connection, "PRAGMA synchronous = FULL", deadline)
            self._writer = connection
        return self._writer

    def check_writer(self) -> None:
        """Raise OperationalError if the file that was just written is gone from its path."""
        if self._writer is None or not self._writer.is_current(self._path):
            raise sqlite3.OperationalError("the database file was removed or replaced")

    def forget_writer(self) -> None:
        """Close the writer's connection. The caller must hold the mutex."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def close(self) -> None:
        """Close the idle connections, unless they were inherited by a fork."""
        if self.pid != os.getpid():
            return
        while self._idle:
            self._idle.pop().close()
        if self.mutex.acquire(blocking=False):
            try:
                self.forget_writer()
            finally:
                self.mutex.release()


class Savepoint:
    """A savepoint of a transaction, as long as there is a reference to it.

    :param depth: the number of savepoints before it.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth


class WriteTransaction:
    """A transaction of the writer, which excludes all other writers."""

    connection: Connection

    def __init__(self, connections: Connections) -> None:
        self.is_open = False
        self._connections = connections
        self._savepoints: list[weakref.ref[Savepoint]] = []

    def begin(self) -> None:
        """Wait for the other writers and begin the transaction, unless it has begun."""
        if self.is_open:
            return
        timeout = self._connections.timeout
        deadline = time.monotonic() + timeout
        if not self._connections.mutex.acquire(timeout=timeout):
            raise sqlite3.OperationalError("database is locked")
        try:
            self.connection = self._connections.writer()
            execute_when_unlocked(self.connection, "BEGIN IMMEDIATE", deadline)
        except BaseException:
            self._connections.mutex.release()
            raise
        self.is_open = True

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Roll back the block if it fails, but keep earlier operations."""
        self._check()
        execute = self.connection.execute
        execute("SAVEPOINT operation")
        try:
            yield
        except BaseException:
            # After some failures SQLite has already rolled back the whole transaction.
            if self.connection.in_transaction:
                execute("ROLLBACK TO operation")
                execute("RELEASE operation")
            raise
        execute("RELEASE operation")

    def commit(self) -> None:
        """Commit the transaction. If that fails, the caller must still roll back."""
        self._check()
        self.connection.execute("COMMIT")
        # Writes to a file that is gone would be lost.
        self._connections.check_writer()
        self._end()

    def rollback(self) -> None:
        """Roll back the transaction."""
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._connections.forget_writer()  # which rolls back as well
        finally:
            self._end()

    def savepoint(self) -> Savepoint:
        """Create a savepoint, and release the latest ones that no caller can roll back to.

        The more savepoints there are, the longer SQLite takes to write.
        """
        self._check()
        while self._savepoints and self._savepoints[-1]() is None:
            self._savepoints.pop()
            self.connection.execute(f"RELEASE mark{len(self._savepoints)}")
        savepoint = Savepoint(len(self._savepoints))
        self.connection.execute(f"SAVEPOINT mark{savepoint.depth}")
        self._savepoints.append(weakref.ref(savepoint))
        return savepoint

    def rollback_to(self, savepoint: Savepoint) -> None:
        """Roll back to a savepoint, which ends those after it.

        If it belongs to an earlier transaction, which was committed, roll back all of this one.
        """
        if savepoint not in [reference() for reference in self._savepoints]:
            self.rollback()
            return
        self._check()
        self.connection.execute(f"ROLLBACK TO mark{savepoint.depth}")
        del self._savepoints[savepoint.depth + 1 :]

    def _check(self) -> None:
        if not self.connection.in_transaction:
            raise sqlite3.OperationalError("the transaction was rolled back after a failure")

    def _end(self) -> None:
        self.is_open = False
        self._savepoints.clear()
        self._connections.mutex.release()


def connect(path: str, timeout: float, mode: str = "rw") -> Connection:
    """Open the file for use by any thread, in autocommit mode.

    :param timeout: how long SQLite waits for locks, in seconds.
    :param mode: ``rw``, or ``rwc`` to create the file if needed.
    """
    connection: Connection = sqlite3.connect(
        f"{Path(path).as_uri()}?mode={mode}",
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
        factory=Connection,
    )
    connection.file = _identity(path)
    for name, (function, count) in _FUNCTIONS.items():
        connection.create_function(name, count, function, deterministic=True)
    return connection


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def execute_when_unlocked(connection: sqlite3.Connection, statement: str, deadline: float) -> None:
    """Run ``statement``, and retry while another process has locked the file.

    :param deadline: when to give up, as a time of :func:`time.monotonic`.
    """
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
