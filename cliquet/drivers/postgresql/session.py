"""Sessions for the application's own SQL, over the connections of the backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg2
import psycopg2.extensions
from sqlalchemy import event, text
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import Connection, CursorResult, Engine, make_url
from sqlalchemy.engine import Row as SQLAlchemyRow
from sqlalchemy.pool import Pool, PoolProxiedConnection
from sqlalchemy.sql import Executable

from cliquet.drivers.postgresql.watchdog import Cursor


class Session:
    """A SQLAlchemy connection that also accepts SQL as a plain string.

    Its other methods are those of :class:`sqlalchemy.engine.Connection`, except that
    ``commit()``, ``rollback()`` and ``close()`` do nothing: the client ends the transaction.

    :param connection: the SQLAlchemy connection.
    :param prepare: called before each statement.
    """

    def __init__(self, connection: Connection, prepare: Callable[[], None]) -> None:
        self._connection = connection
        self._prepare = prepare

    def execute(self, statement: str | Executable, *args: Any, **kwargs: Any) -> Result:
        """Run a statement: ``execute("SELECT :name", {"name": "value"})``."""
        self._prepare()
        statement = text(statement) if isinstance(statement, str) else statement
        return Result(self._connection.execute(statement, *args, **kwargs))

    def scalar(self, statement: str | Executable, *args: Any, **kwargs: Any) -> Any:
        """Run a statement, and return the first column of the first row."""
        return self.execute(statement, *args, **kwargs).scalar()

    def _do_nothing(self) -> None:
        """Leave the transaction as it is."""

    commit = rollback = close = _do_nothing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Result:
    """The result of a statement, with rows of the class :class:`Row`.

    Its other methods are those of :class:`sqlalchemy.engine.CursorResult`.
    """

    def __init__(self, result: CursorResult[Any]) -> None:
        self._result = result

    def __iter__(self) -> Iterator[Row]:
        return map(Row, self._result)

    def fetchone(self) -> Row | None:
        """Return the next row, or None."""
        return next(map(Row, self._result.fetchmany(1)), None)

    def first(self) -> Row | None:
        """Return the first row, or None, and discard the others."""
        row = self._result.first()
        return None if row is None else Row(row)

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return the next rows."""
        return [Row(row) for row in self._result.fetchmany(size)]

    def fetchall(self) -> list[Row]:
        """Return the remaining rows."""
        return list(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)


class Row(tuple[Any, ...]):
    """A row: a tuple whose columns are also items and attributes by name."""

    _mapping: Mapping[Any, Any]

    def __new__(cls, source: SQLAlchemyRow[Any]) -> Row:
        """Create a row from a SQLAlchemy row."""
        row = super().__new__(cls, source)
        row._mapping = source._mapping
        return row

    def __getitem__(self, key: Any) -> Any:
        return self._mapping[key] if isinstance(key, str) else super().__getitem__(key)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._mapping[name]
        except KeyError:
            raise AttributeError(name) from None

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._mapping)

    def values(self) -> list[Any]:
        """Return the values of the columns."""
        return list(self)

    def items(self) -> list[tuple[str, Any]]:
        """Return the names and the values of the columns."""
        return list(self._mapping.items())


class _Dialect(PGDialect_psycopg2):
    supports_statement_cache = True

    def is_disconnect(self, e: Exception, connection: object, cursor: object) -> bool:
        """Return False: the owner of the connection detects disconnections."""
        return False


def make_engine(pool: Pool) -> Engine:
    """Return the SQLAlchemy engine of the sessions on connections of a pool.

    In psycopg2 these connections autocommit, so SQLAlchemy doesn't end transactions.
    """
    dialect = _Dialect(dbapi=psycopg2, use_native_hstore=False)  # type: ignore[no-untyped-call]
    engine = Engine(pool, dialect, make_url("postgresql+psycopg2://"))
    event.listen(engine, "before_cursor_execute", _decode_json)
    return engine


def _decode_json(connection: Connection, cursor: Cursor, *args: object) -> None:
    """Decode JSON, although the backends read it as bytes."""
    psycopg2.extensions.register_type(psycopg2.extensions.JSON, cursor)


def make_session(
    engine: Engine, borrowed: PoolProxiedConnection, prepare: Callable[[], None]
) -> Session:
    """Return the session on a connection borrowed from the pool."""
    return Session(Connection(engine, connection=borrowed), prepare)
