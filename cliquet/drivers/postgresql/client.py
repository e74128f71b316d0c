"""PostgreSQL client that the backends of an application share.

Reads, and writes that commit themselves, are single statements without a transaction. The
writes of a request form one transaction on one connection, which begins along with its first
statement. A write whose outcome is known in advance is sent along with the next statement, at
the latest the ``COMMIT``. Exceptions of psycopg2 and the pool are translated into
:class:`~cliquet.storage.exceptions.BackendError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2 import errorcodes
from pyramid_retry import mark_error_retryable
from sqlalchemy import exc
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool, QueuePool
from transaction import Transaction as RequestTransaction

from cliquet import transactions
from cliquet.drivers.exceptions import BackendError, ErrorTranslation
from cliquet.drivers.postgresql.pool import SharedPool, share_pool
from cliquet.drivers.postgresql.prefetch import Prefetch
from cliquet.drivers.postgresql.session import Session, make_engine, make_session
from cliquet.drivers.postgresql.transaction import Kind, Rows, Statement, Transaction, run_alone

_MISSING = (
    errorcodes.UNDEFINED_TABLE,
    errorcodes.UNDEFINED_COLUMN,
    errorcodes.UNDEFINED_FUNCTION,
    errorcodes.UNDEFINED_OBJECT,
)
_RETRYABLE = (errorcodes.DEADLOCK_DETECTED, errorcodes.SERIALIZATION_FAILURE)

#: A function that runs a statement with parameters, and returns the rows.
Run = Callable[..., Rows]


class Client:
    """The client of a database.

    :param connect: creates a pool of connections.
    :param per_request: whether the writes of a request are committed as a whole
        (setting ``transaction_per_request``); if not, each operation is committed.
    :param key: identifies the pool: clients of a process with the same key share it.
    """

    def __init__(
        self, connect: Callable[[], Pool], per_request: bool = True, key: Hashable | None = None
    ) -> None:
        self.translated = _translated(transactions.can_retry)
        self._connect = connect
        self._per_request = per_request
        self._key = object() if key is None else key
        # Also those of parent processes: a forked process must neither use nor close inherited
        # connections.
        self._shared: list[SharedPool] = []
        self._engine: Engine | None = None
        self._open()

    def read(self, query: str, parameters: Sequence[Any] = (), kind: Kind = Kind.QUERY) -> Rows:
        """Run a query, in the request's transaction if it has begun, and return the rows."""
        self.prefetch().discard()
        return self._read(Statement(query, parameters, kind))

    def read_row(self, query: str, parameters: Sequence[Any]) -> Rows:
        """Run a query of at most one row like :meth:`read`, along with the prefetched values.

        :param query: ``{}`` is the place of further columns, before all of its parameters.
        """
        return self.prefetch().read(self._read, query, parameters)

    def prefetch(self) -> Prefetch:
        """Return the values that the request reads ahead."""
        values = transactions.prefetched()
        return Prefetch() if values is None else values.setdefault(self, Prefetch())

    def _read(self, statement: Statement) -> Rows:
        transaction = self._current_transaction()
        with self.translated:
            if transaction is None or not transaction.is_open:
                return run_alone(self._of_this_process(), statement)
            return transaction.execute(statement)

    def write(
        self, statement: str, parameters: Sequence[Any] = (), kind: Kind = Kind.QUERY
    ) -> Rows:
        """Run an atomic statement and return its rows.

        In a request it belongs to the request's transaction, and begins it if needed; outside of
        a request it is committed immediately.
        """
        return self.write_together(Statement(statement, parameters, kind))

    def write_together(self, *statements: Statement) -> Rows:
        """Run statements like :meth:`write`, in one round trip; return the rows of the last."""
        self.prefetch().discard()
        manager = self.join_transaction()
        if manager is None or not (self._per_request or manager.transaction.is_open):
            with self.translated:
                rows = run_alone(self._of_this_process(), *statements)
            transactions.disable_retry()
            return rows
        with self._transaction(manager) as transaction:
            return transaction.execute(*statements)

    def execute_deferred(self, statement: str, parameters: Sequence[Any]) -> None:
        """Run a short statement like :meth:`write`, without waiting for the outcome.

        Once the request's transaction has begun, it is sent along with its next statement.
        """
        self.prefetch().discard()
        transaction = self._current_transaction()
        if transaction is not None and self._per_request and transaction.is_open:
            with self.translated:
                transaction.enqueue(Statement(statement, parameters, Kind.SHORT))
        else:
            self.write(statement, parameters)

    def transaction_cache(self) -> dict[Any, Any] | None:
        """Return the cache about locked collections of the request's transaction.

        It is cleared if the transaction is rolled back, even in part.

        :returns: None outside of requests, and if each operation commits itself.
        """
        transaction = self._current_transaction()
        return transaction.cache if transaction is not None and self._per_request else None

    @contextmanager
    def grouped_writes(self) -> Iterator[Run]:
        """Yield a function that runs statements like :meth:`write`, as one atomic group."""
        self.prefetch().discard()
        with self._transaction(self.join_transaction()) as transaction:
            yield transaction.run

    @contextmanager
    def connect(self, readonly: bool = False, force_commit: bool = False) -> Iterator[Session]:
        """Yield a session for the application's own SQL: a SQLAlchemy connection.

        In a request, the statements belong to the request's transaction. Outside of requests,
        they are committed at the end of the block, unless it raises an exception. Each call can
        take as long as one statement, even if it runs several.

        :param readonly: whether to roll back at the end.
        :param force_commit: whether to commit the request's transaction at the end of the block.
        :raises BackendError: for any error of SQLAlchemy or the driver.
        """
        self.prefetch().discard()
        current = self._current_transaction()
        block: AbstractContextManager[Transaction]
        if not readonly:
            block = self._transaction(self.join_transaction())
        elif current is not None and current.is_open:
            block = nullcontext(current)
        else:
            block = self._rolled_back()
        with self.translated, block as transaction:
            if self._engine is None or self._engine.pool is not transaction.pool:
                self._engine = make_engine(transaction.pool)
            yield make_session(self._engine, transaction.begin(), transaction.flush)
            transaction.cache.clear()  # the statements might have changed the values
        request_transaction = transactions.current()
        if force_commit and request_transaction is not None:
            request_transaction.commit()

    def execute_autocommit(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement that commits itself, regardless of the request's transaction."""
        with self.translated:
            return run_alone(self._of_this_process(), Statement(statement, parameters))

    def lock(self, statement: str, parameters: Sequence[Any]) -> Rows | None:
        """Run a statement whose locks last until the request's transaction ends.

        If each operation commits itself, the locks last until the next write. Outside of
        requests, do nothing and return None.
        """
        self.prefetch().discard()
        manager = self.join_transaction()
        if manager is None:
            return None
        with self.translated:
            return manager.transaction.run(statement, parameters)

    def lock_row(self, lock: Statement, row: Statement) -> Rows | None:
        """Run a query that locks like :meth:`lock`, and reads a row like :meth:`read_row`.

        :param lock: takes the same locks. It is sent before the query if values are prefetched,
            so that these include the changes of the previous holder of the locks.
        """
        prefetch, manager = self.prefetch(), self.join_transaction()
        if manager is None:
            return None
        run = partial(manager.transaction.execute, *([lock] if prefetch else []))
        with self.translated:
            return prefetch.read(run, row.sql, row.parameters or ())

    def join_transaction(self) -> _DataManager | None:
        """Join the request's transaction, and return this client's part in it, if any."""
        return transactions.participant(self, self._new_manager)

    def connections(self) -> tuple[int, int]:
        """Return the number of connections of this process in use, and of idle ones."""
        pool = self._of_this_process()
        # Other pool classes keep no connections or don't report them.
        return (pool.checkedout(), pool.checkedin()) if isinstance(pool, QueuePool) else (0, 0)

    def ping(self) -> None:
        """Check that the server responds within the timeout; keep no connection.

        :raises BackendError: if the server doesn't respond.
        """
        try:
            self.execute_autocommit("SELECT 1")
        finally:
            self.close()

    def check_durability(self) -> None:
        """Do nothing: PostgreSQL keeps committed data."""

    def close(self) -> None:
        """Close the connections, unless some are in use."""
        if not self.connections()[0]:
            self._of_this_process().dispose()

    def _new_manager(self) -> _DataManager:
        return _DataManager(Transaction(self._of_this_process()), self.translated)

    def _current_transaction(self) -> Transaction | None:
        """Return this client's transaction for the request, if it has joined that one."""
        manager: _DataManager | None = transactions.current_participant(self)
        return None if manager is None else manager.transaction

    @contextmanager
    def _rolled_back(self) -> Iterator[Transaction]:
        """Yield a separate transaction, and roll it back at the end of the block."""
        transaction = Transaction(self._of_this_process())
        try:
            yield transaction
        finally:
            transaction.rollback()

    @contextmanager
    def _transaction(self, manager: _DataManager | None) -> Iterator[Transaction]:
        if manager is None:
            manager = self._new_manager()
        elif self._per_request:
            with self.translated:
                yield manager.transaction
            return
        with self.translated:
            try:
                yield manager.transaction
                manager.transaction.commit()
            except BaseException:
                manager.transaction.rollback()
                raise
        transactions.disable_retry()

    def _open(self) -> Pool:
        shared, pid = share_pool(self._key, self._connect), os.getpid()
        self._shared.append(shared)
        pool = shared.pool
        # Immediately, so that no thread of a fork uses the pool of the parent process.
        self._opened = pid, pool
        return pool

    def _of_this_process(self) -> Pool:
        pid, pool = self._opened
        if pid == os.getpid():
            return pool
        return self._open()


#: The name of the class in 3.1.
PostgreSQLClient = Client


def _translated(can_retry: Callable[[], bool]) -> ErrorTranslation:
    """Return a context manager that translates errors of the driver and the pool.

    :param can_retry: returns whether the request can be retried.
    """

    def translate(error: Exception) -> BackendError:
        message = f"{type(error).__name__}: {error}"
        code = getattr(getattr(error, "orig", error), "pgcode", None)
        if code in _MISSING:
            # The other lines show the statement.
            message = message.partition("\n")[0] + "; has `cliquet migrate` been run?"
        failure = BackendError(original=error, message=message)
        if _is_outage(error, code):
            failure.outage = "PostgreSQL"
        if code in _RETRYABLE and can_retry():
            mark_error_retryable(failure)
        return failure

    return ErrorTranslation((psycopg2.Error, exc.SQLAlchemyError), translate)


def _is_outage(error: Exception, code: str | None) -> bool:
    """Return whether the server doesn't respond or ends connections, or the pool is exhausted.

    :param code: the SQLSTATE of the error: without one, the server sent no response. Class 08
        are connection exceptions, 57P01 and following a server that is stopping or starting.
    """
    if isinstance(error, exc.TimeoutError):
        return True
    no_response = (psycopg2.OperationalError, psycopg2.InterfaceError)
    if code is None:
        return isinstance(getattr(error, "orig", error), no_response)
    return code.startswith(("08", "57P"))


class _DataManager(transactions.EngineDataManager):
    """The part of a client in a request's transaction.

    :param translated: the error translation of the client.
    """

    def __init__(self, transaction: Transaction, translated: ErrorTranslation) -> None:
        super().__init__()
        self.transaction = transaction
        self._translated = translated

    def commit(self, transaction: RequestTransaction) -> None:
        # Before other databases commit: their work would remain if this one failed.
        if self.transaction.is_open and not self.is_alone(transaction):
            with _translated(self.can_retry):
                self.transaction.flush()

    def save(self) -> None:
        with _translated(self.can_retry):
            self.transaction.commit()

    def undo(self) -> None:
        self.transaction.rollback()

    def create_savepoint(self) -> Callable[[], None]:
        if not self.transaction.is_open:
            return self.transaction.rollback
        with self._translated:
            savepoint = self.transaction.savepoint()
        return partial(self._rollback_to, savepoint, frozenset(self.held_locks))

    def _rollback_to(
        self, savepoint: Statement, held_locks: Iterable[transactions.LockName]
    ) -> None:
        self.held_locks = set(held_locks)
        if self.transaction.is_open:
            with self._translated:
                self.transaction.rollback_to(savepoint)
