"""State of a collection that a transaction has locked.

Only the holder of the lock changes the collection. From its timestamp, the timestamp of the
next change is known in advance, and from a record that was read, whether it can be created or
deleted. Such a change needs no response and is sent along with the next statement
(:meth:`.client.Client.execute_deferred`): a PUT takes two round trips instead of three, and a batch
of 25 POSTs takes two instead of fifty, and half of the time.
"""

from __future__ import annotations

from cliquet.storage.timestamps import next_time


class CollectionState:
    """A collection that a transaction has locked."""

    def __init__(self) -> None:
        self._timestamp: int | None = None
        self._exists: dict[str, bool] = {}

    def next_time(self) -> int:
        """Return the earliest time of the next change in milliseconds."""
        return next_time(self._timestamp or 0)

    def timestamp_is_predictable(self, requested_timestamp: int | None) -> bool:
        """Return whether the next change is certain to take place at :meth:`next_time`.

        :param requested_timestamp: the requested timestamp, if any.
        """
        return self._timestamp is not None and requested_timestamp is None

    def contains(self, object_id: str) -> bool | None:
        """Return whether a record exists, or None if that isn't known."""
        return self._exists.get(object_id)

    def record_change(self, timestamp: int | None, object_id: str, exists: bool) -> None:
        """Record the timestamp, None if unknown, and whether a record exists."""
        self._timestamp = timestamp
        self._exists[object_id] = exists

    def reset(self) -> None:
        """Discard the state."""
        self._timestamp = None
        self._exists.clear()
