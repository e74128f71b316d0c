"""Prepared statements, which the server parses and plans once per connection.

A connection pooler can pass each statement to another connection of the server, which lacks those
that an earlier one prepared. Statements are then sent as they are.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from psycopg2 import errors

from cliquet.drivers.postgresql.watchdog import Cursor

#: The maximum number of statements that are prepared on a connection, which keeps them.
MOST = 100

# A pooler is involved, or the tables have changed. Nothing was executed.
_UNUSABLE = (
    errors.InvalidSqlStatementName,
    errors.DuplicatePreparedStatement,
    errors.FeatureNotSupported,
    errors.UndefinedFunction,  # or operator, for the types of the parameters
)


def execute_prepared(cursor: Cursor, sql: str, parameters: Sequence[Any]) -> None:
    """Run a query outside of transactions, prepared if that is possible.

    :param sql: one of few. Percent signs are only those of the parameters.
    """
    connection: Any = cursor.connection
    names: set[str] | None = connection.prepared
    if names is None:
        cursor.execute(sql, parameters)
        return
    # Tuples become lists of parameters.
    values = [*_values(parameters)]
    name, prepare, execute = _texts(sql % tuple(map(_place, parameters)), *map(_type_of, values))
    is_new = name not in names
    if is_new and len(names) == MOST:
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
    """Return the type to declare, so that numbers are not rounded, and none is out of range.

    PostgreSQL infers the other types from the statement, as those of strings in statements.
    """
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return "unknown" if isinstance(value, bool) else "bigint"
    return "numeric" if isinstance(value, (int, float, Decimal)) else "unknown"


@functools.lru_cache(maxsize=MOST)
def _texts(sql: str, *types: str) -> tuple[str, str, str]:
    """Return the name of a statement, and how to prepare and to execute it.

    Behind a pooler, clients can see the names of others, so equal names stand for equal statements.
    """
    declared = f" ({', '.join(types)})" if types else ""
    numbered = sql % tuple(f"${number}" for number in range(1, len(types) + 1))
    text = f"{declared} AS {numbered}"
    name = f"cliquet_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    arguments = f" ({', '.join('%s' for _ in types)})" if types else ""
    return name, f"PREPARE {name}{text}", f"EXECUTE {name}{arguments}"
