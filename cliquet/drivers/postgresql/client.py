"""PostgreSQL client that the backends of an application share.

Reads, and writes that commit themselves, are single statements without a transaction. The
writes of a request form one transaction on one connection, which begins along with its first
statement. A write whose outcome is known in advance is sent along with the next statement, at
the latest the ``COMMIT``. Exceptions of psycopg2 and the pool are translated into
:class:`~cliquet.storage.exceptions.BackendError`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2 import errorcodes
from pyramid_retry import mark_error_retryable
from sqlalchemy import exc
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool, QueuePool

from cliquet import transactions
from cliquet.drivers import connectivity
from cliquet.drivers.exceptions import BackendError
from cliquet.drivers.postgresql.pool import (
    QueuePoolWithMaxBacklog,
    SharedPool,
    make_pool,
    share_pool,
)
from cliquet.drivers.postgresql.session import Session, make_engine, make_session
from cliquet.drivers.postgresql.transaction import Rows, Transaction, run_alone
from cliquet.settings.types import BOOLEAN
from cliquet.settings.validation import invalid
from cliquet.utils import forget_variables

#: The libpq parameters unless the URL overrides them (``?connect_timeout=10&options=…``). The
#: time-outs bound connecting to a server that is gone (in seconds, except ``tcp_user_timeout`` in
#: milliseconds), statements, waits for locks, and the time that others wait if a process stops in
#: the middle of a request. If a server can't end a statement in time, the client closes the
#: connection shortly afterwards (see ``watchdog``). Poolers that refuse ``options`` need
#: ``?options=``.
DEFAULT_PARAMETERS = {
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "40000",
    "client_encoding": "UTF8",
    "application_name": "cliquet",
    "options": (
        r"-c default_transaction_isolation=read\ committed -c statement_timeout=30s"
        " -c lock_timeout=20s -c idle_in_transaction_session_timeout=60s"
    ),
}

# In other URLs, libpq can mistake a part of the password for the host or port, and report it.
_URL = re.compile(r"postgres(?:ql)?(?:\+psycopg2)?(://([^@/?]*@)?[^@?]*(\?.*)?)", re.DOTALL)

_EXPECTED = (
    "postgresql://user:password@host:port/database, with %40 for @ and %2F for / in a password"
)

_MISSING = (errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_FUNCTION, errorcodes.UNDEFINED_OBJECT)
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
        self, connect: Callable[[], Pool], per_request: bool = True, key: Any = None
    ) -> None:
        self.translated = _Translated(transactions.is_repeatable)
        self._connect = connect
        self._per_request = per_request
        self._key = object() if key is None else key
        # Also those of parent processes: a forked process must neither use nor close inherited
        # connections.
        self._shared: list[SharedPool] = []
        self._engine: Engine | None = None
        self._open()

    def read(self, query: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a query, in the request's transaction if it has begun, and return the rows."""
        part: _DataManager | None = transactions.current_participant(self)
        if part is None or not part.transaction.is_open:
            return self.execute_autocommit(query, parameters)
        with self.translated:
            return part.transaction.run(query, parameters)

    def write(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run an atomic statement and return its rows.

        In a request it belongs to the request's transaction, and begins it if needed; outside of
        a request it is committed immediately.
        """
        part = self.join_transaction()
        if part is None or not (self._per_request or part.transaction.is_open):
            rows = self.execute_autocommit(statement, parameters)
            transactions.disable_retry()
            return rows
        with self._transaction(part) as transaction:
            return transaction.run(statement, parameters)

    def execute_deferred(self, statement: str, parameters: Sequence[Any]) -> None:
        """Run a statement like :meth:`write`, without waiting for the outcome.

        Once the request's transaction has begun, it is sent along with its next statement.
        """
        part: _DataManager | None = transactions.current_participant(self)
        if part is not None and self._per_request and part.transaction.is_open:
            with self.translated:
                part.transaction.enqueue(statement, parameters)
        else:
            self.write(statement, parameters)

    def transaction_cache(self) -> dict[Any, Any] | None:
        """Return the cache about locked collections of the request's transaction.

        It is cleared if the transaction is rolled back, even in part.

        :returns: None outside of requests, and if each operation commits itself.
        """
        part: _DataManager | None = transactions.current_participant(self)
        return part.transaction.cache if part is not None and self._per_request else None

    @contextmanager
    def grouped_writes(self) -> Iterator[Run]:
        """Yield a function that runs statements like :meth:`write`, as one atomic group."""
        with self._transaction(self.join_transaction()) as transaction:
            yield transaction.run

    @contextmanager
    def connect(self, readonly: bool = False, force_commit: bool = False) -> Iterator[Session]:
        """Yield a session for the application's own SQL: a SQLAlchemy connection.

        In a request, the statements belong to the request's transaction. Outside of requests,
        they are committed at the end of the block, unless it raises an exception.

        :param readonly: whether to roll back at the end.
        :param force_commit: whether to commit the request's transaction at the end of the block.
        :raises BackendError: for any error of SQLAlchemy or the driver.
        """
        part: _DataManager | None = transactions.current_participant(self)
        block: AbstractContextManager[Transaction]
        if not readonly:
            block = self._transaction(self.join_transaction())
        elif part is not None and part.transaction.is_open:
            block = nullcontext(part.transaction)
        else:
            block = self._undone()
        with self.translated, block as transaction:
            if self._engine is None or self._engine.pool is not transaction.pool:
                self._engine = make_engine(transaction.pool)
            yield make_session(self._engine, transaction.begin(), transaction.flush)
        current = transactions.current()
        if force_commit and current is not None:
            current.commit()

    def execute_autocommit(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement that commits itself, regardless of the request's transaction."""
        with self.translated:
            return run_alone(self._of_this_process(), statement, parameters)

    def lock(self, statement: str, parameters: Sequence[Any]) -> Rows | None:
        """Run a statement whose locks last until the request's transaction ends.

        If each operation commits itself, the locks last until the next write. Outside of
        requests, do nothing and return None.
        """
        part = self.join_transaction()
        if part is None:
            return None
        with self.translated:
            return part.transaction.run(statement, parameters)

    def join_transaction(self) -> _DataManager | None:
        """Return this client's part in the request's transaction, if any."""
        return transactions.participant(
            self, lambda: _DataManager(self, Transaction(self._of_this_process()))
        )

    def connections(self) -> tuple[int, int]:
        """Return the number of connections of this process in use, and of idle ones."""
        pool = self._of_this_process()
        # Other pool classes keep no connections or don't report them.
        return (pool.checkedout(), pool.checkedin()) if isinstance(pool, QueuePool) else (0, 0)

    def ping(self) -> None:
        """Check that the server responds within the time-out; keep no connection.

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

    @contextmanager
    def _undone(self) -> Iterator[Transaction]:
        """Yield a separate transaction, and roll it back at the end of the block."""
        transaction = Transaction(self._of_this_process())
        try:
            yield transaction
        finally:
            transaction.rollback()

    @contextmanager
    def _transaction(self, part: _DataManager | None) -> Iterator[Transaction]:
        transaction = Transaction(self._of_this_process()) if part is None else part.transaction
        with self.translated:
            if part is not None and self._per_request:
                yield transaction
                return
            try:
                yield transaction
                transaction.commit()
            except BaseException:
                transaction.rollback()
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


class _Translated:
    """Context manager that translates driver and pool errors into BackendError.

    :param is_repeatable: returns whether the request can be retried.
    """

    def __init__(self, is_repeatable: Callable[[], bool]) -> None:
        self._is_repeatable = is_repeatable

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if not isinstance(error, (psycopg2.Error, exc.SQLAlchemyError)):
            return
        forget_variables(error)
        message = f"{type(error).__name__}: {error}"
        code = getattr(getattr(error, "orig", error), "pgcode", None)
        if code in _MISSING:
            message += "; has `cliquet migrate` been run?"
        failure = BackendError(original=error, message=message)
        if code in _RETRYABLE and self._is_repeatable():
            mark_error_retryable(failure)
        raise failure from error


class _DataManager(transactions.EngineDataManager):
    """The part of a client in a request's transaction."""

    def __init__(self, client: Client, transaction: Transaction) -> None:
        super().__init__()
        self.transaction = transaction
        self._client = client

    def commit(self, transaction: Any) -> None:
        # Before other databases commit: their work would remain if this one failed.
        if self.transaction.is_open and not self.is_alone():
            with _Translated(self.is_repeatable):
                self.transaction.flush()

    def save(self) -> None:
        with _Translated(self.is_repeatable):
            self.transaction.commit()

    def undo(self) -> None:
        self.transaction.rollback()

    def create_savepoint(self) -> Callable[[], None]:
        if not self.transaction.is_open:
            return self.transaction.rollback
        with self._client.translated:
            number = self.transaction.savepoint()
        held = frozenset(self.held)
        return lambda: self._rollback_to(number, held)

    def _rollback_to(self, number: int, held: Iterable[Any]) -> None:
        self.held = set(held)
        if self.transaction.is_open:
            with self._client.translated:
                self.transaction.rollback_to(number)


def create_from_config(config: Any, prefix: str = "") -> Client:
    """Return the client for the setting ``{prefix}url``, shared per database.

    The first backend of a database determines the size of the pool.

    :param prefix: ``storage_``, ``permission_`` or ``cache_``.
    :raises pyramid.exceptions.ConfigurationError: if it isn't a PostgreSQL URL.
    """
    settings = config.get_settings()
    parameters = DEFAULT_PARAMETERS | _parse(settings, f"{prefix}url")
    clients: dict[Any, Client] | None = getattr(config.registry, "postgresql_clients", None)
    if clients is None:
        clients = config.registry.postgresql_clients = {}
    database = tuple(sorted(parameters.items()))
    if database not in clients:
        poolclass = config.maybe_dotted(
            settings.get(f"{prefix}poolclass") or QueuePoolWithMaxBacklog
        )
        options = _pool_options(settings, prefix, poolclass)
        per_request = BOOLEAN.get(settings, "transaction_per_request", True)
        # Hashed, because the parameters include a password.
        digest = hashlib.sha256(repr((sorted(options.items()), database)).encode()).hexdigest()
        clients[database] = Client(
            lambda: make_pool(poolclass, options, parameters), per_request, (poolclass, digest)
        )
    connectivity.register(config.registry, f"{prefix}url", clients[database])
    return clients[database]


def _parse(settings: Any, key: str) -> dict[str, str]:
    url = str(settings.get(key))
    try:
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError
            # libpq doesn't know SQLAlchemy's schemes, which name a driver.
        parameters: dict[str, str] = psycopg2.extensions.parse_dsn(f"postgresql{found[1]}")
    except (ValueError, psycopg2.Error):
        raise invalid(settings, key, _EXPECTED) from None
    return parameters


def _pool_options(settings: Any, prefix: str, poolclass: type[Pool]) -> dict[str, Any]:
    """Return the options in the settings that the pool class supports."""
    known: dict[str, tuple[str, int | None]] = {"recycle": ("pool_recycle", None)}
    if issubclass(poolclass, QueuePool):
        known["pool_size"] = ("pool_size", 25)
        known["max_overflow"] = ("max_overflow", None)
        known["timeout"] = ("pool_timeout", None)
    if issubclass(poolclass, QueuePoolWithMaxBacklog):
        known["max_backlog"] = ("max_backlog", None)
    options = {}
    for option, (key, default) in known.items():
        value = settings.get(prefix + key)
        value = default if value in (None, "") else value
        if value is not None:
            try:
                options[option] = int(value)
            except ValueError:
                raise invalid(settings, f"{prefix}{key}", "an integer") from None
    return options
