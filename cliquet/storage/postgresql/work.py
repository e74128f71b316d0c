"""Statements on a connection of a pool, alone or in a transaction, in the fewest round trips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg2
import psycopg2.extensions
from sqlalchemy.pool import Pool

from cliquet.storage.postgresql.watchdog import TOGETHER

_IDLE = psycopg2.extensions.TRANSACTION_STATUS_IDLE
_IN_TRANSACTION = psycopg2.extensions.TRANSACTION_STATUS_INTRANS

_SAVEPOINT = "SAVEPOINT mark"

# How many statements are sent together at most: neither side keeps more of them in memory.
_MOST_TOGETHER = 100

Rows = list[tuple[Any, ...]]


class Work:
    """A transaction, which begins with the first statement."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._borrowed: Any = None
        self._marks = 0
        # How many of the savepoints were of transactions that are over.
        self._gone = 0
        self._later: list[tuple[str, Sequence[Any]]] = []
        #: What the users of the transaction know of it; empty once it is undone, even in part.
        self.notes: dict[Any, Any] = {}

    @property
    def began(self) -> bool:
        return self._borrowed is not None

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement of the transaction."""
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
        """Begin the transaction, unless it has begun, and return its connection of the pool."""
        if self._borrowed is None:
            self.run("")
        return self._borrowed

    def run_later(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement in one round trip with the next one, or never if nothing is saved."""
        self._later.append((statement, parameters))
        if len(self._later) == _MOST_TOGETHER:
            self.send()

    def send(self) -> None:
        """Run what waits to be run, and fail if there is nothing that can be committed."""
        if self._later:
            self._run(*self._later.pop())
        self._check()

    def commit(self) -> None:
        """Make it durable and visible. If that fails it is still to be rolled back."""
        if self._borrowed is None:
            return
        self._check()
        self._run("COMMIT", ())
        self._gone = self._marks
        borrowed, self._borrowed = self._borrowed, None
        _give_back(borrowed)

    def rollback(self) -> None:
        """Undo it all."""
        self._later.clear()
        self.notes.clear()
        borrowed, self._borrowed = self._borrowed, None
        if borrowed is not None:
            _undo(borrowed)

    def mark(self) -> int:
        """Make a savepoint, and return its number."""
        if self._later and self._later[-1][0].startswith(_SAVEPOINT):
            return int(self._later[-1][0].removeprefix(_SAVEPOINT))
        self._marks += 1
        self.run_later(f"{_SAVEPOINT}{self._marks}")
        return self._marks

    def rewind(self, number: int) -> None:
        """Undo what was done since the savepoint, but for what was committed."""
        if number <= self._gone:
            self.rollback()
            return
        self.notes.clear()
        waiting = [statement for statement, _ in self._later]
        savepoint = f"{_SAVEPOINT}{number}"
        if savepoint in waiting:
            del self._later[waiting.index(savepoint) + 1 :]
            return
        self._later.clear()
        self.run(f"ROLLBACK TO mark{number}")

    def _check(self) -> None:
        connection = self._borrowed.dbapi_connection
        # What PostgreSQL has undone, after a failure, it seems to commit.
        if connection.get_transaction_status() != _IN_TRANSACTION:
            raise psycopg2.OperationalError("the transaction was undone by a failure")

    def _run(self, statement: str, parameters: Sequence[Any]) -> Rows:
        if self._later:
            later = [*self._later, (statement, parameters)]
            statement = TOGETHER.join(each for each, _ in later)
            parameters = [value for _, values in later for value in values]
        cursor = self._borrowed.dbapi_connection.cursor()
        try:
            return _execute(cursor, statement, parameters)
        finally:
            # Parameters that can't be bound keep all of it from being sent: the rest waits on.
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
    """Run statements, in one round trip, and return the rows of the last one."""
    with cursor:
        cursor.execute(statement, parameters)
        rows: Rows = cursor.fetchall() if cursor.description else []
        return rows


def _undo(borrowed: Any) -> None:
    """Undo what a connection did, if it still can be heard, and give it back."""
    try:
        _execute(borrowed.dbapi_connection.cursor(), "ROLLBACK")
    except psycopg2.Error:
        pass  # without the connection it is undone as well
    finally:
        _give_back(borrowed)


def _give_back(borrowed: Any) -> None:
    """Give a connection back to its pool, which forgets it if there is something about it."""
    connection = borrowed.dbapi_connection
    if connection.closed or connection.get_transaction_status() != _IDLE:
        borrowed.invalidate()
    borrowed.close()
