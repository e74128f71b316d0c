"""The connections of one process to an SQLite file, and the transactions of its writer."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# How long SQLite itself waits for the lock of the file, in seconds, before we ask
# again. Left alone it sleeps up to 100 ms between two looks, and a process that
# writes all the time would starve the others.
_PATIENCE = 0.005

_PAUSE = 0.0005
_IDLE_READERS = 25
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Connection(sqlite3.Connection):
    """A connection that recognises its file: another one may take its place on the disk."""

    #: The device and the inode of the file, None if it was removed at once.
    file: tuple[int, int] | None

    def is_current(self, path: str) -> bool:
        """Return whether the file is still the one at ``path``."""
        return self.file is not None and self.file == _identity(path)


class Connections:
    """Idle readers, the one writer, and the lock in front of it.

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
        """Take a connection to read with."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return connect(self._path, self.timeout)
            if connection.is_current(self._path):
                return connection
            connection.close()

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next reader."""
        # The last one used is the next one taken: its cache is warm.
        if len(self._idle) < _IDLE_READERS:
            self._idle.append(connection)
        else:
            connection.close()

    def writer(self) -> Connection:
        """Return the connection of whoever holds the mutex."""
        if self._writer is not None and not self._writer.is_current(self._path):
            self.forget_writer()
        if self._writer is None:
            connection = connect(self._path, _PATIENCE)
            # What was acknowledged survives a crash of the machine too. This reads the file,
            # which a process that ends may have to itself.
            deadline = time.monotonic() + self.timeout
            insist(connection, "PRAGMA synchronous = FULL", deadline)
            self._writer = connection
        return self._writer

    def check_writer(self) -> None:
        """Raise OperationalError if the file that was just written to is gone from its place."""
        if self._writer is None or not self._writer.is_current(self._path):
            raise sqlite3.OperationalError("the database file was removed or replaced")

    def forget_writer(self) -> None:
        """Close the connection of whoever holds the mutex."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def close(self) -> None:
        """Close those that nobody is using. What was inherited by a fork isn't ours to close."""
        if self.pid != os.getpid():
            return
        while self._idle:
            self._idle.pop().close()
        if self.mutex.acquire(blocking=False):
            try:
                self.forget_writer()
            finally:
                self.mutex.release()


class WriteTransaction:
    """A transaction of the writer. Nobody else writes from its beginning to its end."""

    connection: Connection

    def __init__(self, connections: Connections) -> None:
        self.began = False
        self._connections = connections
        self._marks = 0

    def begin(self) -> None:
        """Wait for the other writers, unless it was done already."""
        if self.began:
            return
        timeout = self._connections.timeout
        deadline = time.monotonic() + timeout
        if not self._connections.mutex.acquire(timeout=timeout):
            raise sqlite3.OperationalError("database is locked")
        try:
            self.connection = self._connections.writer()
            insist(self.connection, "BEGIN IMMEDIATE", deadline)
        except BaseException:
            self._connections.mutex.release()
            raise
        self.began = True

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Undo what the block did if it fails, and keep what was done before."""
        self._check()
        execute = self.connection.execute
        execute("SAVEPOINT operation")
        try:
            yield
        except BaseException:
            # After some failures SQLite has undone the whole transaction.
            if self.connection.in_transaction:
                execute("ROLLBACK TO operation")
                execute("RELEASE operation")
            raise
        execute("RELEASE operation")

    def commit(self) -> None:
        """Make it durable and visible. If that fails it is still to be rolled back."""
        self._check()
        self.connection.execute("COMMIT")
        # Nobody would find again what was written to a file that is gone.
        self._connections.check_writer()
        self._end()

    def rollback(self) -> None:
        """Undo it all."""
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._connections.forget_writer()  # which undoes it as well
        finally:
            self._end()

    def mark(self) -> str:
        """Make a savepoint, and return its name."""
        self._check()
        self._marks += 1
        name = f"mark{self._marks}"
        self.connection.execute(f"SAVEPOINT {name}")
        return name

    def rewind(self, name: str) -> None:
        """Undo what was done since the savepoint."""
        self._check()
        self.connection.execute(f"ROLLBACK TO {name}")

    def _check(self) -> None:
        if not self.connection.in_transaction:
            raise sqlite3.OperationalError("the transaction was undone by a failure")

    def _end(self) -> None:
        self.began = False
        self._connections.mutex.release()


def connect(path: str, timeout: float, mode: str = "rw") -> Connection:
    """Open the file, for any thread; statements commit themselves outside of a transaction.

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
    return connection


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def insist(connection: sqlite3.Connection, statement: str, deadline: float) -> None:
    """Run ``statement`` until no other process has the file locked, or time is over.

    :param deadline: a time of :func:`time.monotonic`.
    """
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
