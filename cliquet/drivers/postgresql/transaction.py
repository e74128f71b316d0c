"""Statements and transactions in as few round trips as possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg2
import psycopg2.extensions
from sqlalchemy.pool import Pool

from cliquet.drivers.postgresql.watchdog import TOGETHER

_IDLE = psycopg2.extensions.TRANSACTION_STATUS_IDLE
_IN_TRANSACTION = psycopg2.extensions.TRANSACTION_STATUS_INTRANS

_SAVEPOINT = "SAVEPOINT mark"

# Maximum number of statements sent together, to bound the memory of both sides.
_MOST_TOGETHER = 100

Rows = list[tuple[Any, ...]]


class Transaction:
    """A transaction, which begins with the first statement."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._borrowed: Any = None
        self._marks = 0
        # The number of savepoints that belong to earlier transactions.
        self._gone = 0
        self._later: list[tuple[str, Sequence[Any]]] = []
        #: Cache for the users of the transaction, cleared if it is rolled back, even in part.
        self.cache: dict[Any, Any] = {}

    @property
    def is_open(self) -> bool:
        return self._borrowed is not None

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement in the transaction."""
        if self._borrowed is not None:
            return self._run(statement, parameters)
        borrowed: Any = self.pool.connect()
        try:
            # Both in one round trip.
            rows = _execute(borrowed.dbapi_connection.cursor(), "BEGIN;" + statement, parameters)
        except BaseException:
            _undo(borrowed)
            raise
        self._borrowed = borrowed
        return rows

    def begin(self) -> Any:
        """Begin the transaction if needed, and return its pooled connection."""
        if self._borrowed is None:
            self.run("")
        return self._borrowed

    def enqueue(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Send a statement along with the next one; it is dropped if nothing is saved."""
        self._later.append((statement, parameters))
        if len(self._later) == _MOST_TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Send the deferred statements, and check that a commit is possible."""
        if self._later:
            self._run(*self._later.pop())
        self._check()

    def commit(self) -> None:
        """Commit the transaction. If that fails, the caller must still roll back."""
        if self._borrowed is None:
            return
        self._check()
        self._run("COMMIT", ())
        self._gone = self._marks
        borrowed, self._borrowed = self._borrowed, None
        _give_back(borrowed)

    def rollback(self) -> None:
        """Roll back the transaction."""
        self._later.clear()
        self.cache.clear()
        borrowed, self._borrowed = self._borrowed, None
        if borrowed is not None:
            _undo(borrowed)

    def savepoint(self) -> int:
        """Create a savepoint, and return its number."""
        if self._later and self._later[-1][0].startswith(_SAVEPOINT):
            return int(self._later[-1][0].removeprefix(_SAVEPOINT))
        self._marks += 1
        self.enqueue(f"{_SAVEPOINT}{self._marks}")
        return self._marks

    def rollback_to(self, number: int) -> None:
        """Roll back to the savepoint, except for committed work."""
        if number <= self._gone:
            self.rollback()
            return
        self.cache.clear()
        waiting = [statement for statement, _ in self._later]
        savepoint = f"{_SAVEPOINT}{number}"
        if savepoint in waiting:
            del self._later[waiting.index(savepoint) + 1 :]
            return
        self._later.clear()
        self.run(f"ROLLBACK TO mark{number}")

    def _check(self) -> None:
        connection = self._borrowed.dbapi_connection
        # After a failed statement, PostgreSQL reports success for COMMIT but rolls back.
        if connection.get_transaction_status() != _IN_TRANSACTION:
            raise psycopg2.OperationalError("the transaction was rolled back after a failure")

    def _run(self, statement: str, parameters: Sequence[Any]) -> Rows:
        if self._later:
            later = [*self._later, (statement, parameters)]
            statement = TOGETHER.join(each for each, _ in later)
            parameters = [value for _, values in later for value in values]
        cursor = self._borrowed.dbapi_connection.cursor()
        try:
            return _execute(cursor, statement, parameters)
        finally:
            # If parameters can't be bound, nothing is sent: the deferred statements remain.
            if cursor.query is not None:
                self._later.clear()


def run_alone(pool: Pool, statement: str, parameters: Sequence[Any] = ()) -> Rows:
    """Run a statement that commits itself."""
    borrowed: Any = pool.connect()
    try:
        return _execute(borrowed.dbapi_connection.cursor(), statement, parameters)
    finally:
        _give_back(borrowed)


def _execute(cursor: Any, statement: str, parameters: Sequence[Any] | None = None) -> Rows:
    """Run statements in one round trip, and return the rows of the last one."""
    with cursor:
        cursor.execute(statement, parameters)
        rows: Rows = cursor.fetchall() if cursor.description else []
        return rows


def _undo(borrowed: Any) -> None:
    """Roll back a connection if it still works, and return it to the pool."""
    try:
        _execute(borrowed.dbapi_connection.cursor(), "ROLLBACK")
    except psycopg2.Error:
        pass  # closing the connection rolls back as well
    finally:
        _give_back(borrowed)


def _give_back(borrowed: Any) -> None:
    """Return a connection to its pool, which discards it unless it is healthy."""
    connection = borrowed.dbapi_connection
    if connection.closed or connection.get_transaction_status() != _IDLE:
        borrowed.invalidate()
    borrowed.close()
