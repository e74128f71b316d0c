"""How the backends of an application, together, read and write one PostgreSQL database.

Reads, and what commits itself, are single statements without a transaction. What a request
writes is one transaction, on one connection; it begins along with its first statement. What is
written of which the outcome is known is sent along with the next one, the ``COMMIT`` at last.
Whatever psycopg2 or the pool raise leaves this module as a
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
from pyramid.settings import asbool
from pyramid_retry import mark_error_retryable
from sqlalchemy import exc
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool, QueuePool

from cliquet import transactions
from cliquet.checks import invalid
from cliquet.storage import servers
from cliquet.storage.exceptions import BackendError
from cliquet.storage.postgresql.pool import (
    QueuePoolWithMaxBacklog,
    SharedPool,
    make_pool,
    share_pool,
)
from cliquet.storage.postgresql.session import Session, make_engine, make_session
from cliquet.storage.postgresql.work import Rows, Work, run_alone
from cliquet.utils import forget_variables

#: What libpq is told unless the URL says otherwise (``?connect_timeout=10&options=…``). Nothing
#: hangs: neither a connection to a server that is gone (seconds, but for ``tcp_user_timeout``
#: in milliseconds), nor a statement, nor waiting for a lock, nor others when a process stops
#: in the middle of a request. A server that can't end a statement in time is given up a bit later
#: (see ``watchdog``). A connection pooler that refuses ``options`` needs ``?options=``.
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

# In others, libpq takes a part of the password for the host or the port, and tells it.
_URL = re.compile(r"postgres(?:ql)?(?:\+psycopg2)?(://([^@/?]*@)?[^@?]*(\?.*)?)", re.DOTALL)

_EXPECTED = (
    "postgresql://user:password@host:port/database, with %40 for @ and %2F for / in a password"
)

_MISSING = (errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_FUNCTION, errorcodes.UNDEFINED_OBJECT)
_RETRYABLE = (errorcodes.DEADLOCK_DETECTED, errorcodes.SERIALIZATION_FAILURE)

#: A function that runs a statement with its parameters, and returns the rows.
Run = Callable[..., Rows]


class Client:
    """The way to one database.

    :param connect: makes a pool of connections.
    :param per_request: whether what a request writes is committed as a whole
        (setting ``transaction_per_request``); if not, each operation is.
    :param key: what identifies the pool. Clients with the same key, in one process, share it.
    """

    def __init__(
        self, connect: Callable[[], Pool], per_request: bool = True, key: Any = None
    ) -> None:
        self.translated = _Translated(transactions.is_repeatable)
        self._connect = connect
        self._per_request = per_request
        self._key = object() if key is None else key
        # Of the processes that this one was forked from, too: what a fork inherits may be neither
        # used nor closed.
        self._shared: list[SharedPool] = []
        self._engine: Engine | None = None
        self._open()

    def read(self, query: str, parameters: Sequence[Any] = ()) -> Rows:
        """Return the rows that a query finds: in the request's transaction, once it has begun."""
        part: _Part | None = transactions.current_participant(self)
        if part is None or not part.work.began:
            return self.apart(query, parameters)
        with self.translated:
            return part.work.run(query, parameters)

    def write(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement, which takes place as a whole or not at all, and return its rows.

        In a request it belongs to the request's transaction, which begins with
        the first one; elsewhere it is committed at once.
        """
        part = self.part()
        if part is None or not (self._per_request or part.work.began):
            rows = self.apart(statement, parameters)
            transactions.not_repeatable()
            return rows
        with self._work(part) as work:
            return work.run(statement, parameters)

    def write_later(self, statement: str, parameters: Sequence[Any]) -> None:
        """Run a statement, as :meth:`write` does, of which nobody waits for the outcome.

        Once the request's transaction has begun it is sent along with what that does next.
        """
        part: _Part | None = transactions.current_participant(self)
        if part is not None and self._per_request and part.work.began:
            with self.translated:
                part.work.run_later(statement, parameters)
        else:
            self.write(statement, parameters)

    def notes(self) -> dict[Any, Any] | None:
        """Return what is known of what the request's transaction has locked.

        It is forgotten when that is undone, even in part.

        :returns: None where nothing stays locked: no request, or each operation commits itself.
        """
        part: _Part | None = transactions.current_participant(self)
        return part.work.notes if part is not None and self._per_request else None

    @contextmanager
    def writing_several(self) -> Iterator[Run]:
        """Give the function that runs statements, as :meth:`write` does, that belong together."""
        with self._work(self.part()) as work:
            yield work.run

    @contextmanager
    def connect(self, readonly: bool = False, force_commit: bool = False) -> Iterator[Session]:
        """Give a session for SQL of the application: a SQLAlchemy connection.

        In a request, the statements belong to the request's transaction. Elsewhere, they
        are committed at the end of the block, unless it raises an exception.

        :param readonly: whether nothing is to be saved.
        :param force_commit: whether to commit the request's transaction at the end of the block.
        :raises BackendError: for any error of SQLAlchemy or the driver.
        """
        part: _Part | None = transactions.current_participant(self)
        block: AbstractContextManager[Work]
        if not readonly:
            block = self._work(self.part())
        elif part is not None and part.work.began:
            block = nullcontext(part.work)
        else:
            block = self._undone()
        with self.translated, block as work:
            if self._engine is None or self._engine.pool is not work.pool:
                self._engine = make_engine(work.pool)
            yield make_session(self._engine, work.begin(), work.send)
        current = transactions.current()
        if force_commit and current is not None:
            current.commit()

    def apart(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement that commits itself, whatever becomes of the request's transaction."""
        with self.translated:
            return run_alone(self._of_this_process(), statement, parameters)

    def lock(self, statement: str, parameters: Sequence[Any]) -> Rows | None:
        """Run a statement whose locks last until the request's transaction ends.

        Where each operation commits itself, until the next one that writes.
        Outside of a request there is nothing to do: it returns None.
        """
        part = self.part()
        if part is None:
            return None
        with self.translated:
            return part.work.run(statement, parameters)

    def part(self) -> _Part | None:
        """Return the part that this takes in the request, None outside of one."""
        return transactions.participant(self, lambda: _Part(self, Work(self._of_this_process())))

    def connections(self) -> tuple[int, int]:
        """Return how many connections of this process are in use, and how many are idle."""
        pool = self._of_this_process()
        # Pools of other classes keep none, or don't tell.
        return (pool.checkedout(), pool.checkedin()) if isinstance(pool, QueuePool) else (0, 0)

    def ping(self) -> None:
        """Try the server, for as long as a connection may take to be made, and keep none.

        :raises BackendError: when it doesn't answer.
        """
        try:
            self.apart("SELECT 1")
        finally:
            self.close()

    def check_durability(self) -> None:
        """Do nothing: PostgreSQL keeps what was committed."""

    def close(self) -> None:
        """Close the connections, unless some are in use."""
        if not self.connections()[0]:
            self._of_this_process().dispose()

    @contextmanager
    def _undone(self) -> Iterator[Work]:
        """Give a transaction of its own, which is undone at the end of the block."""
        work = Work(self._of_this_process())
        try:
            yield work
        finally:
            work.rollback()

    @contextmanager
    def _work(self, part: _Part | None) -> Iterator[Work]:
        work = Work(self._of_this_process()) if part is None else part.work
        with self.translated:
            if part is not None and self._per_request:
                yield work
                return
            try:
                yield work
                work.commit()
            except BaseException:
                work.rollback()
                raise
            transactions.not_repeatable()

    def _open(self) -> Pool:
        shared, pid = share_pool(self._key, self._connect), os.getpid()
        self._shared.append(shared)
        pool = shared.pool
        # At once: of the threads of a fork, none may take the pool of its parent for its own.
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
    """A context in which what psycopg2 and the pool raise becomes a BackendError.

    :param is_repeatable: tells whether the request may run again.
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


class _Part(transactions.Participant):
    """The part of a client in the transaction of a request."""

    def __init__(self, client: Client, work: Work) -> None:
        super().__init__()
        self.work = work
        self._client = client

    def commit(self, transaction: Any) -> None:
        # Before any other database commits, whose work would stay if this one's failed.
        if self.work.began and not self.is_alone():
            with _Translated(self.is_repeatable):
                self.work.send()

    def save(self) -> None:
        with _Translated(self.is_repeatable):
            self.work.commit()

    def undo(self) -> None:
        self.work.rollback()

    def mark(self) -> Callable[[], None]:
        if not self.work.began:
            return self.work.rollback
        with self._client.translated:
            number = self.work.mark()
        held = frozenset(self.held)
        return lambda: self._rewind(number, held)

    def _rewind(self, number: int, held: Iterable[Any]) -> None:
        self.held = set(held)
        if self.work.began:
            with self._client.translated:
                self.work.rewind(number)


def create_from_config(config: Any, prefix: str = "") -> Client:
    """Return the client for the setting ``{prefix}url``, shared by those of the same database.

    The first of them tells the size of the pool.

    :param prefix: ``storage_``, ``permission_`` or ``cache_``.
    :raises pyramid.exceptions.ConfigurationError: when it is no URL of PostgreSQL.
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
        per_request = asbool(settings.get("transaction_per_request", True))
        # A digest, because the parameters have a password.
        digest = hashlib.sha256(repr((sorted(options.items()), database)).encode()).hexdigest()
        clients[database] = Client(
            lambda: make_pool(poolclass, options, parameters), per_request, (poolclass, digest)
        )
    servers.note(config.registry, f"{prefix}url", clients[database])
    return clients[database]


def _parse(settings: Any, key: str) -> dict[str, str]:
    url = str(settings.get(key))
    try:
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError
        # libpq does not know the schemes of SQLAlchemy, which name a driver.
        parameters: dict[str, str] = psycopg2.extensions.parse_dsn(f"postgresql{found[1]}")
    except (ValueError, psycopg2.Error):
        raise invalid(settings, key, _EXPECTED) from None
    return parameters


def _pool_options(settings: Any, prefix: str, poolclass: type[Pool]) -> dict[str, Any]:
    """Return those options that the settings tell and the class knows."""
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
