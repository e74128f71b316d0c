"""Prepared statements, which the server parses and plans once per connection.

A connection pooler can send each statement to a different server connection, on which the prepared
ones are missing. The client's connection then sends all its statements unprepared.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from psycopg2 import errors

from cliquet.drivers.postgresql.watchdog import Cursor

#: The maximum number of prepared statements of a connection. They are never deallocated.
MAX_STATEMENTS = 100

# A pooler is involved, or the tables have changed. Nothing was executed.
_UNUSABLE = (
    errors.InvalidSqlStatementName,
    errors.DuplicatePreparedStatement,
    errors.FeatureNotSupported,
    errors.UndefinedFunction,  # or operator, for the types of the parameters
)


def execute_prepared(cursor: Cursor, sql: str, parameters: Sequence[Any]) -> None:
    """Run a statement outside of transactions, prepared if possible.

    :param sql: one of a small number of statements, without percent signs other than ``%s``.
    """
    connection: Any = cursor.connection
    names: set[str] | None = connection.prepared
    if names is None:
        cursor.execute(sql, parameters)
        return
    # A tuple becomes several parameters, in parentheses.
    values = [*_values(parameters)]
    name, prepare, execute = _texts(sql % tuple(map(_place, parameters)), *map(_type_of, values))
    is_new = name not in names
    if is_new and len(names) == MAX_STATEMENTS:
        cursor.execute(sql, parameters)
        return
    try:
        if is_new:
            cursor.execute(prepare)
            names.add(name)
        cursor.execute(execute, values)
    except _UNUSABLE:
        connection.prepared = None
        cursor.execute(sql, parameters)


def _place(value: object) -> str:
    return f"({', '.join(map(_place, value))})" if isinstance(value, tuple) else "%s"


def _values(parameters: Sequence[Any]) -> Iterator[Any]:
    for value in parameters:
        if isinstance(value, tuple):
            yield from _values(value)
        else:
            yield value


def _type_of(value: object) -> str:
    """Return the SQL type to declare for a parameter.

    This prevents numbers from being rounded or out of range. PostgreSQL infers the types of other
    values from the statement, as if they were literals in it.
    """
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return "unknown" if isinstance(value, bool) else "bigint"
    return "numeric" if isinstance(value, (int, float, Decimal)) else "unknown"


@functools.lru_cache(maxsize=MAX_STATEMENTS)
def _texts(sql: str, *types: str) -> tuple[str, str, str]:
    """Return the name of a statement, and the SQL that prepares and executes it.

    The name is a hash of the statement, because clients of a pooler share server connections.
    """
    declared = f" ({', '.join(types)})" if types else ""
    numbered = sql % tuple(f"${number}" for number in range(1, len(types) + 1))
    text = f"{declared} AS {numbered}"
    name = f"cliquet_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    arguments = f" ({', '.join('%s' for _ in types)})" if types else ""
    return name, f"PREPARE {name}{text}", f"EXECUTE {name}{arguments}"
