"""Statements and transactions in as few round trips as possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import psycopg2
import psycopg2.extensions
from sqlalchemy.pool import Pool, PoolProxiedConnection

from cliquet.drivers.postgresql.prepared import execute_prepared

_IDLE = psycopg2.extensions.TRANSACTION_STATUS_IDLE
_IN_TRANSACTION = psycopg2.extensions.TRANSACTION_STATUS_INTRANS

# Maximum number of deferred statements, to bound the memory of both sides.
_MAX_DEFERRED = 100

Rows = list[tuple[Any, ...]]


class Kind(Enum):
    """Kinds of statements, by how long the server can take."""

    #: It can wait for locks, and take as long as the statement timeout.
    QUERY = "query"
    #: Like a query, but sent often enough to be worth preparing.
    FREQUENT = "frequent"
    #: It neither waits nor takes long: it shares the timeout of the others in its batch.
    SHORT = "short"
    #: A short statement that creates a savepoint.
    SAVEPOINT = "savepoint"
    #: Several statements, each with its own timeout.
    SCRIPT = "script"


_TIMEOUTS = {Kind.QUERY: 1, Kind.FREQUENT: 1, Kind.SCRIPT: math.inf}


class Statement(NamedTuple):
    """An SQL statement.

    :param parameters: None: a percent sign in the statement has no meaning.
    """

    sql: str
    parameters: Sequence[Any] | None = ()
    kind: Kind = Kind.QUERY


_BEGIN = Statement("BEGIN", kind=Kind.SHORT)
_COMMIT = Statement("COMMIT")
_ROLLBACK = Statement("ROLLBACK")


class Transaction:
    """A transaction, which begins with the first statement."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        #: Cache for the users of the transaction, cleared if it is rolled back, even in part.
        self.cache: dict[Any, Any] = {}
        self._borrowed: PoolProxiedConnection | None = None
        self._deferred: list[Statement] = []
        # Those of the open transaction; names are never used twice.
        self._savepoints: set[Statement] = set()
        self._last_savepoint = 0

    @property
    def is_open(self) -> bool:
        return self._borrowed is not None

    def run(self, sql: str, parameters: Sequence[Any] | None = (), kind: Kind = Kind.QUERY) -> Rows:
        """Run a statement in the transaction, and return its rows."""
        return self.execute(Statement(sql, parameters, kind))

    def execute(self, *statements: Statement) -> Rows:
        """Run statements in one round trip, and return the rows of the last one."""
        if self._borrowed is not None:
            return self._send(*statements)
        borrowed = self.pool.connect()
        try:
            rows = _execute(_raw(borrowed).cursor(), [_BEGIN, *statements])
        except BaseException:
            _undo(borrowed)
            raise
        self._borrowed = borrowed
        return rows

    def begin(self) -> PoolProxiedConnection:
        """Begin the transaction if needed, and return its pooled connection."""
        if self._borrowed is None:
            self.execute()
        assert self._borrowed is not None
        return self._borrowed

    def enqueue(self, statement: Statement) -> None:
        """Send a short statement along with the next one; it is dropped if nothing is saved."""
        self._deferred.append(statement)
        if len(self._deferred) == _MAX_DEFERRED:
            self.flush()

    def flush(self) -> None:
        """Send the deferred statements, and check that a commit is possible."""
        if self._deferred:
            self._send()
        self._check()

    def commit(self) -> None:
        """Commit the transaction. If that fails, the caller must still roll back."""
        if self._borrowed is None:
            return
        self._check()
        self._send(_COMMIT)
        self._savepoints.clear()
        borrowed, self._borrowed = self._borrowed, None
        _give_back(borrowed)

    def rollback(self) -> None:
        """Roll back the transaction."""
        self._deferred.clear()
        self._savepoints.clear()
        self.cache.clear()
        borrowed, self._borrowed = self._borrowed, None
        if borrowed is not None:
            _undo(borrowed)

    def savepoint(self) -> Statement:
        """Create a savepoint, and return its statement."""
        if self._deferred and self._deferred[-1].kind is Kind.SAVEPOINT:
            return self._deferred[-1]
        self._last_savepoint += 1
        statement = Statement(f"SAVEPOINT s{self._last_savepoint}", kind=Kind.SAVEPOINT)
        self._savepoints.add(statement)
        self.enqueue(statement)
        return statement

    def rollback_to(self, savepoint: Statement) -> None:
        """Roll back to a savepoint, except for committed work."""
        if savepoint not in self._savepoints:  # it belongs to an earlier transaction
            self.rollback()
            return
        self.cache.clear()
        if savepoint in self._deferred:
            del self._deferred[self._deferred.index(savepoint) + 1 :]
            return
        self._deferred.clear()
        self.run(f"ROLLBACK TO {savepoint.sql}")

    def _check(self) -> None:
        connection = _raw(self._borrowed)
        # After a failed statement, PostgreSQL reports success for COMMIT but rolls back.
        if connection.get_transaction_status() != _IN_TRANSACTION:
            raise psycopg2.OperationalError("the transaction was rolled back after a failure")

    def _send(self, *statements: Statement) -> Rows:
        cursor = _raw(self._borrowed).cursor()
        try:
            return _execute(cursor, [*self._deferred, *statements])
        finally:
            # If parameters can't be bound, nothing is sent: the deferred statements remain.
            if cursor.query is not None:
                self._deferred.clear()


def run_alone(pool: Pool, *statements: Statement) -> Rows:
    """Run statements that commit themselves, together."""
    borrowed = pool.connect()
    try:
        return _execute(_raw(borrowed).cursor(), statements)
    finally:
        _give_back(borrowed)


def _execute(cursor: Any, batch: Sequence[Statement]) -> Rows:
    """Run statements in one round trip, and return the rows of the last one."""
    if len(batch) == 1:
        sql, parameters, kind = batch[0]
    else:
        kind = Kind.SCRIPT
        sql = ";".join([statement.sql for statement in batch])
        parameters = [value for each in batch for value in each.parameters or ()]
    with cursor:
        cursor.timeouts = sum(_TIMEOUTS.get(statement.kind, 0) for statement in batch) or 1
        if kind is Kind.FREQUENT and cursor.connection.get_transaction_status() == _IDLE:
            execute_prepared(cursor, sql, parameters or ())
        else:
            cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def _raw(borrowed: PoolProxiedConnection | None) -> Any:
    """Return the driver's connection, for which there are no types."""
    assert borrowed is not None
    return borrowed.dbapi_connection


def _undo(borrowed: PoolProxiedConnection) -> None:
    """Roll back a connection if it still works, and return it to the pool."""
    try:
        _execute(_raw(borrowed).cursor(), [_ROLLBACK])
    except psycopg2.Error:
        pass  # closing the connection rolls back as well
    finally:
        _give_back(borrowed)


def _give_back(borrowed: PoolProxiedConnection) -> None:
    """Return a connection to its pool, which discards it unless it is healthy."""
    connection = _raw(borrowed)
    if connection.closed or connection.get_transaction_status() != _IDLE:
        borrowed.invalidate()
    borrowed.close()
