"""SQLite client that the backends of an application share.

Reads use a small pool of connections, outside of transactions. Writes use one connection
behind a lock of the process, in addition to that of the file, so that threads queue up
instead of polling. Exceptions of ``sqlite3`` are translated into
:class:`~cliquet.storage.exceptions.BackendError`.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

from pyramid.config import Configurator

from cliquet import transactions
from cliquet.drivers import connectivity
from cliquet.drivers.exceptions import BackendError, ErrorTranslation
from cliquet.drivers.migrations import Migrations
from cliquet.drivers.sqlite.connections import (
    Connections,
    Savepoint,
    WriteTransaction,
    connect,
    execute_when_unlocked,
)
from cliquet.drivers.sqlite.url import DEFAULT_TIMEOUT, parse_url
from cliquet.settings.types import BOOLEAN
from cliquet.settings.validation import invalid

_CREATED = re.compile(r"^CREATE (?:UNIQUE )?(TABLE|INDEX) IF NOT EXISTS (\w+)", re.MULTILINE)

# The table with the version of the schema. Only the storage has had several.
_METADATA = "storage_metadata"
_VERSION = "SELECT CAST(value AS INTEGER) FROM storage_metadata WHERE name = 'schema_version'"
_SET_VERSION = "UPDATE storage_metadata SET value = ? WHERE name = 'schema_version'"

_NO_MIGRATIONS: Migrations = {}

_ADVICE = {
    "no such column": "has `cliquet migrate` been run?",
    "no such table": "has `cliquet migrate` been run?",
    "unable to open database file": "does its folder exist, and has `cliquet migrate` been run?",
}


class Client:
    """The client of an SQLite file.

    :param path: the file.
    :param timeout: how long to wait for other writers, in seconds.
    :param per_request: whether the writes of a request are committed as a whole
        (setting ``transaction_per_request``); if not, each operation is committed.
    """

    def __init__(
        self, path: str, timeout: float = DEFAULT_TIMEOUT, per_request: bool = True
    ) -> None:
        self.path = os.path.abspath(path)
        self.translated = ErrorTranslation((sqlite3.Error, OverflowError), self._translate)
        self._timeout = timeout
        self._per_request = per_request
        self._inherited: list[Connections] = []
        self._open()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for reads, the transaction's if it has begun."""
        manager: _DataManager | None = transactions.current_participant(self)
        with self.translated:
            if manager is not None and manager.transaction.is_open:
                yield manager.transaction.connection
                return
            connections = self._of_this_process()
            connection = connections.borrow()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            connections.give_back(connection)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for reads of one state of the database."""
        with self.read() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for writes. The block is atomic.

        In a request it belongs to the request's transaction, and begins it if needed; outside
        of requests it is committed at its end, and can't be nested.
        """
        manager = transactions.participant(self, self._new_manager)
        if manager is None or not self._per_request:
            with self._alone(manager) as connection:
                yield connection
            transactions.disable_retry()
            return
        transaction = manager.transaction
        with self.translated:
            transaction.begin()
            with transaction.operation():
                yield transaction.connection

    @contextmanager
    def write_alone(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for a write that must not make other writers wait.

        It is committed at the end of the block, unless the request's transaction has already
        locked the file.
        """
        manager: _DataManager | None = transactions.current_participant(self)
        is_locked = manager is not None and manager.transaction.is_open
        with self.write() if is_locked else self._alone() as connection:
            yield connection

    def lock(self) -> None:
        """Lock the file against other writers until the request's transaction ends.

        If each operation commits itself, the lock lasts until the next write.
        Do nothing outside of requests.
        """
        manager = transactions.participant(self, self._new_manager)
        if manager is not None:
            with self.translated:
                manager.transaction.begin()

    def run_script(self, script: str, migrations: Migrations = _NO_MIGRATIONS) -> None:
        """Run the statements of ``script`` in one transaction; create the file if needed.

        The file is switched to write-ahead logging, so that readers don't wait for the writer.

        :param migrations: the scripts to run afterwards, unless the file has their version.
        :raises ~cliquet.storage.exceptions.BackendError: also if the version of the file is later.
        """
        with (
            self.translated,
            closing(connect(self.path, self._timeout, mode="rwc")) as connection,
        ):
            deadline = time.monotonic() + self._timeout
            execute_when_unlocked(connection, "PRAGMA journal_mode = WAL", deadline)
            execute_when_unlocked(connection, "BEGIN IMMEDIATE", deadline)
            for statement in _statements(script):
                connection.execute(statement)
            for version in self._pending(connection, migrations):
                for statement in _statements(migrations[version]):
                    connection.execute(statement)
                connection.execute(_SET_VERSION, [version])
            connection.execute("COMMIT")

    def missing(self, script: str, migrations: Migrations = _NO_MIGRATIONS) -> list[str]:
        """Return the steps of :meth:`run_script`: one line per table, index and version."""
        existing = set() if self._is_to_be_created() else self._content()
        steps = [
            f"create {kind.lower()} {name}"
            for kind, name in _CREATED.findall(script)
            if name not in existing
        ]
        if _METADATA in existing and migrations:
            with self.read() as connection:
                pending = self._pending(connection, migrations)
            steps += [f"from version {version - 1} to {version}" for version in pending]
        return steps

    def verify(self) -> None:
        """Read the whole file.

        :raises ~cliquet.storage.exceptions.BackendError: if it is damaged.
        """
        with self.read() as connection:
            for (result,) in connection.execute("PRAGMA quick_check(1)"):
                if result != "ok":
                    raise BackendError(message=f"{self.path} is damaged: {result}")

    def close(self) -> None:
        """Close the idle connections."""
        self._of_this_process().close()

    @contextmanager
    def _alone(self, manager: _DataManager | None = None) -> Iterator[sqlite3.Connection]:
        """Commit the block at its end, under the lock that ``manager`` might already hold."""
        transaction = (
            WriteTransaction(self._of_this_process()) if manager is None else manager.transaction
        )
        with self.translated:
            transaction.begin()
            try:
                yield transaction.connection
                transaction.commit()
            except BaseException:
                transaction.rollback()
                raise

    def _pending(self, connection: sqlite3.Connection, migrations: Migrations) -> list[int]:
        """Return the versions to which the file must be upgraded."""
        if not migrations:
            return []
        (current,) = connection.execute(_VERSION).fetchone()
        latest = max(migrations)
        if current > latest:
            raise BackendError(
                message=f"the schema in {self.path} has version {current}: expected at most"
                f" {latest}. Upgrade the package cliquet"
            )
        return [version for version in sorted(migrations) if version > current]

    def _translate(self, error: Exception) -> BackendError:
        message = f"{type(error).__name__}: {error} ({self.path})"
        for beginning, advice in _ADVICE.items():
            if str(error).startswith(beginning):
                message += f"; {advice}"
        return BackendError(original=error, message=message)

    def _is_to_be_created(self) -> bool:
        return os.path.isdir(os.path.dirname(self.path)) and not os.path.exists(self.path)

    def _content(self) -> set[str]:
        with self.read() as connection:
            return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}

    def _open(self) -> None:
        self._connections = Connections(self.path, self._timeout)
        self._finalizer = weakref.finalize(self, self._connections.close)

    def _of_this_process(self) -> Connections:
        if self._connections.pid != os.getpid():
            # A forked process must neither use nor close inherited connections.
            self._finalizer.detach()
            self._inherited.append(self._connections)
            self._open()
        return self._connections

    def _new_manager(self) -> _DataManager:
        return _DataManager(WriteTransaction(self._of_this_process()), self.translated)


class _DataManager(transactions.EngineDataManager):
    """The part of a client in a request's transaction."""

    def __init__(self, transaction: WriteTransaction, translated: ErrorTranslation) -> None:
        super().__init__()
        self.transaction = transaction
        self._translated = translated

    def save(self) -> None:
        if self.transaction.is_open:
            with self._translated:
                self.transaction.commit()

    def undo(self) -> None:
        if self.transaction.is_open:
            self.transaction.rollback()

    def create_savepoint(self) -> Callable[[], None]:
        if not self.transaction.is_open:
            return lambda: None
        with self._translated:
            savepoint = self.transaction.savepoint()
        return lambda: self._rollback_to(savepoint)

    def _rollback_to(self, savepoint: Savepoint) -> None:
        if self.transaction.is_open:
            with self._translated:
                self.transaction.rollback_to(savepoint)


def create_from_config(config: Configurator, prefix: str = "") -> Client:
    """Return the client for the setting ``{prefix}url``, shared per file.

    :param prefix: ``storage_``, ``permission_`` or ``cache_``.
    :raises pyramid.exceptions.ConfigurationError: if it isn't an SQLite URL.
    """
    settings = config.get_settings()
    key = f"{prefix}url"
    try:
        path, timeout = parse_url(str(settings.get(key) or ""))
    except ValueError as error:
        raise invalid(settings, key, str(error)) from None
    per_request = BOOLEAN.get(settings, "transaction_per_request", True)
    create = partial(Client, path, timeout, per_request)
    return connectivity.shared(config.registry, "sqlite_clients", os.path.realpath(path), create)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
