"""Values that are read along with a row, to save a round trip."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from cliquet.drivers.postgresql.transaction import Kind, Rows, Statement


class Prefetch:
    """The values that one request reads ahead.

    A value is requested before the statement that reads a row, and is available until the next
    statement, so that it is never older than the caller expects.
    """

    def __init__(self) -> None:
        self._requested: dict[Hashable, tuple[Statement, Callable[[Any], Any]]] = {}
        self._values: dict[Hashable, Any] = {}

    def __bool__(self) -> bool:
        return bool(self._requested)

    def request(self, key: Hashable, scalar: Statement, convert: Callable[[Any], Any]) -> None:
        """Request a value.

        :param scalar: an SQL expression.
        :param convert: called with its result, returns the value.
        """
        self._requested[key] = scalar, convert

    def put(self, key: Hashable, value: Any) -> None:
        """Store a value that the latest statement has read."""
        self._values[key] = value

    def get(self, key: Hashable, default: Any) -> Any:
        """Return the value, or the default if it isn't available."""
        return self._values.get(key, default)

    def take(self, key: Hashable) -> tuple[Any] | None:
        """Return the value in a tuple, once; None if it isn't available."""
        return (self._values.pop(key),) if key in self._values else None

    def discard(self) -> None:
        """Discard the values and the requests, because another statement is sent."""
        self._requested = {}
        self._values = {}

    def read(self, run: Callable[[Statement], Rows], query: str, parameters: Sequence[Any]) -> Rows:
        """Run a query of at most one row, along with the requested values.

        :param query: ``{}`` is the place of further columns, before all of its parameters.
        """
        requested = self._requested
        self.discard()
        if not requested:  # as for most reads
            return run(Statement(query.format(""), parameters, Kind.FREQUENT))
        scalars = [scalar for scalar, _ in requested.values()]
        columns = "".join(f", {scalar.sql}" for scalar in scalars)
        ahead = [value for scalar in scalars for value in scalar.parameters or ()]
        rows = run(Statement(query.format(columns), [*ahead, *parameters], Kind.FREQUENT))
        first = len(rows[0]) - len(requested) if rows else 0
        for row in rows:
            for (key, (_, convert)), value in zip(requested.items(), row[first:], strict=True):
                self._values[key] = convert(value)
        return [row[:first] for row in rows]
