"""Watcher of the collections that streams show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cliquet.loggers import get_logger
from cliquet.storage.exceptions import BackendError

logger = get_logger(__name__)

#: The ``collection_id`` and ``parent_id`` of a collection.
CollectionKey = tuple[str, str]


class Subscription:
    """The interest of a stream in a collection.

    :param timestamp: that of the latest poll.
    """

    def __init__(self, timestamp: int) -> None:
        #: The timestamp of the latest poll, or of a later call of :meth:`wake`.
        self.timestamp = timestamp
        self._is_changed = False
        self._event = asyncio.Event()

    def wake(self, timestamp: int) -> None:
        """End the current or next wait of the stream, once for each timestamp."""
        self.timestamp = timestamp
        self._is_changed = True
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a change of the collection; return False after some seconds without one."""
        timer = asyncio.get_running_loop().call_later(seconds, self._event.set)
        try:
            await self._event.wait()
        finally:
            timer.cancel()
        # Reset before the poll, so that changes during the poll wake the stream again.
        self._event.clear()
        is_changed, self._is_changed = self._is_changed, False
        return is_changed


class Watcher:
    """Reads the timestamps of all watched collections at once, as long as there are any.

    :param read: returns the timestamps of collections.
    :param interval: seconds between two reads.
    """

    def __init__(
        self,
        read: Callable[[list[CollectionKey]], Awaitable[dict[CollectionKey, int]]],
        interval: float,
    ) -> None:
        self._read = read
        self._interval = interval
        self._subscriptions: dict[CollectionKey, set[Subscription]] = {}
        self._task: asyncio.Task[Any] | None = None

    @contextmanager
    def subscribe(self, collection: CollectionKey, timestamp: int) -> Iterator[Subscription]:
        """Return a subscription, for the time of a block."""
        subscription = Subscription(timestamp)
        self._subscriptions.setdefault(collection, set()).add(subscription)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            yield subscription
        finally:
            self._subscriptions[collection].remove(subscription)
            if not self._subscriptions[collection]:
                del self._subscriptions[collection]

    async def _watch(self) -> None:
        while self._subscriptions:
            await asyncio.sleep(self._interval)
            try:
                timestamps = await self._read(list(self._subscriptions))
            except BackendError:
                continue  # polling clients get an error; streams wait until the storage works again
            except Exception:
                logger.exception("The timestamps of the streamed collections can't be read")
                continue
            self._wake(timestamps)

    def _wake(self, timestamps: dict[CollectionKey, int]) -> None:
        for collection, timestamp in timestamps.items():
            for subscription in self._subscriptions.get(collection, ()):
                # Not only greater ones: a flush resets the timestamp.
                if timestamp != subscription.timestamp:
                    subscription.wake(timestamp)
