"""What a transaction knows of a collection that it has locked.

Nobody else changes it: who has seen its timestamp knows that of the next change before it is made,
and who has seen a record knows whether it can be created or deleted. Such a change needs no
answer, and is sent along with the next statement (:meth:`.client.Client.write_later`): a PUT takes
two round trips instead of three, a batch of 25 POSTs two instead of fifty, and half of the time.
"""

from __future__ import annotations

from cliquet.storage.timestamps import (
    next_time,
)


class Locked:
    """A collection that a transaction has locked."""

    def __init__(self) -> None:
        self._timestamp: int | None = None
        self._there: dict[str, bool] = {}

    def next_time(self) -> int:
        """Return when the next change takes place, in milliseconds: at this time or later."""
        return next_time(self._timestamp or 0)

    def foresees(self, forced: int | None) -> bool:
        """Tell whether the next change takes place at :meth:`next_time`, neither before nor later.

        :param forced: the timestamp that it asks for, if any.
        """
        return self._timestamp is not None and forced is None

    def has(self, object_id: str) -> bool | None:
        """Tell whether there is a record with an id; None: it isn't known."""
        return self._there.get(object_id)

    def note(self, timestamp: int | None, object_id: str, there: bool) -> None:
        """Note the timestamp of the collection, None if it isn't known, and if it has a record."""
        self._timestamp = timestamp
        self._there[object_id] = there

    def forget(self) -> None:
        """Know nothing any more."""
        self._timestamp = None
        self._there.clear()
