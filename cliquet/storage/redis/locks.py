"""Locks that prevent requests from changing what other requests have read.

A request that locks a collection excludes other writers until its transaction ends. Readers don't
wait.

- A lock expires, in case its process dies. A write under a lock only succeeds if no other request
  has written since, so a request that outlives its lock does no harm: it fails.
- Deadlocks are avoided by a total order of the locks. A request waits, with its locks held, only
  for a lock that comes after them. For any other lock, the request is retried and begins by taking
  all these locks in order. If it can't be retried, because it has already written, it releases its
  locks while it waits; its reads are protected in the same way as after expiry.
- A server that restarts can restore the locks of requests that failed when it stopped. A process
  that failed to release a lock does so along with its next write, before the lock expires.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cliquet import transactions
from cliquet.drivers.redis.client import Client, Script, encode
from cliquet.storage.exceptions import BackendError
from cliquet.storage.operations import Collection
from cliquet.storage.redis.keys import keys, lock_key

_HERE = Path(__file__).parent
_COLLECTION = _HERE / "collection.lua"
_LOCK = Script(_COLLECTION, _HERE / "lock.lua")
_RELEASE = Script(_HERE / "release.lua")

#: Seconds after which a lock expires, unless the request writes in between.
LEASE = 10.0

#: Seconds to wait for a lock: longer than the lease of a dead process.
TIMEOUT = 30.0

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01

#: A key, and the token of the holder.
Lock = tuple[bytes, bytes]

#: Instead of a version: accept any.
_ANY = b"-"


class Locks:
    """The locks of the collections, and the writes that respect them.

    :param lease: seconds after which a lock expires.
    :param timeout: seconds to wait for a lock.
    """

    def __init__(self, client: Client, lease: float = LEASE, timeout: float = TIMEOUT) -> None:
        self.client = client
        self._lease = int(lease * 1000)
        self._timeout = timeout
        self._orphaned = _OrphanedLocks(lease)

    def join_transaction(self) -> HeldLocks | None:
        """Return the locks of this request's transaction, None outside of requests."""
        return transactions.participant(self, self.new_manager)

    def new_manager(self) -> HeldLocks:
        """Return locks that belong to no request: the caller must release them."""
        return HeldLocks(self)

    def lock(self, manager: HeldLocks, collection: Collection, object_id: str = "") -> bytes | None:
        """Lock the collection, then return the record as it is stored."""
        for each in manager.pending_locks(collection):
            self._take(manager, each)
        return self._take(manager, collection, object_id)

    def _take(
        self, manager: HeldLocks, collection: Collection, object_id: str = ""
    ) -> bytes | None:
        collection_keys = keys(collection)
        raw_id = encode(object_id)

        def attempt() -> Any:
            return self.client.run(
                _LOCK, collection_keys, manager.hold(collection), self._lease, raw_id
            )

        reply = self._retry_while_busy(manager, collection, attempt)
        manager.record_version(collection, reply[1])
        record: bytes | None = reply[2]
        return record

    def write(
        self, collection: Collection, script: Script, *args: Any, manager: HeldLocks | None = None
    ) -> list[Any]:
        """Run a script that writes to the collection, once it isn't locked.

        :param manager: the holder of the lock; None: the current request, if it locked any.
        :returns: the reply of the script: the outcome and its details.
        """
        if manager is None:
            manager = transactions.current_participant(self)
        collection_keys = keys(collection)

        def attempt() -> Any:
            token, version = (b"", _ANY) if manager is None else manager.write_token(collection)
            return self.client.run(script, collection_keys, token, version, self._lease, *args)

        reply = self._retry_while_busy(manager, collection, attempt)
        if reply[0] == b"done":
            transactions.disable_retry()
            if manager is not None:
                manager.wrote(collection, reply[1])
        return reply

    def release(self, locks: Iterable[Lock]) -> None:
        """Release locks; if the server doesn't respond, retry along with later commands."""
        locks = list(locks)
        try:
            self.client.run(_RELEASE, [key for key, _ in locks], *[token for _, token in locks])
        except BackendError:
            self._orphaned.add(locks)
            raise

    def release_orphaned(self) -> None:
        """Release the locks that could not be released before."""
        if locks := self._orphaned.take():
            with suppress(BackendError):
                self.release(locks)

    def _retry_while_busy(
        self, manager: HeldLocks | None, collection: Collection, attempt: Callable[[], Any]
    ) -> list[Any]:
        """Retry an attempt until no other request has the lock of the collection."""
        keeps_locks = manager is None or manager.is_in_order(collection)
        deadline = time.monotonic() + self._timeout
        pause = _FIRST_PAUSE
        reply: list[Any] = attempt()
        self.release_orphaned()
        while reply[0] == b"busy":
            if time.monotonic() > deadline:
                raise BackendError(
                    message=f"timed out after {self._timeout:g} s waiting for the lock of "
                    f'collection "{collection[1]}"'
                )
            if manager is not None and not keeps_locks:
                manager.yield_locks(collection)
            time.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 2, _LONGEST_PAUSE)
            reply = attempt()
        if reply[0] == b"lost":
            raise transactions.retryable(
                BackendError(message="the collection was changed by another request")
            )
        return reply


class _OrphanedLocks:
    """Locks that could not be released, kept until they have certainly expired.

    :param lease: seconds until they have.
    """

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._mutex = threading.Lock()
        self._locks: deque[tuple[float, Lock]] = deque()

    def add(self, locks: Iterable[Lock]) -> None:
        now = time.monotonic()
        with self._mutex:
            self._discard_expired(now)
            self._locks.extend((now + self._lease, lock) for lock in locks)

    def take(self) -> list[Lock]:
        """Remove all locks and return them."""
        if not self._locks:
            return []
        with self._mutex:
            self._discard_expired(time.monotonic())
            taken = [lock for _, lock in self._locks]
            self._locks.clear()
        return taken

    def _discard_expired(self, now: float) -> None:
        while self._locks and self._locks[0][0] < now:
            self._locks.popleft()


class HeldLocks(transactions.EngineDataManager):
    """The locks of a request, or of an operation outside of requests.

    There is nothing to save or roll back: writes remain even if the request fails.
    """

    def __init__(self, locks: Locks) -> None:
        super().__init__()
        self.token = os.urandom(16).hex().encode("ascii")
        self._locks = locks
        # The versions of the collections from which something relevant was read.
        self._versions: dict[Collection, bytes] = {}

    def hold(self, collection: Collection) -> bytes:
        """Return the token to acquire or keep the lock of the collection."""
        # Before the command is sent: if it fails, the server might have run it.
        self.held_locks.add(collection)
        return self.token

    def write_token(self, collection: Collection) -> tuple[bytes, bytes]:
        """Return the token and the version for a write."""
        if collection in self.held_locks or collection in self._versions:
            return self.hold(collection), self._versions.get(collection, _ANY)
        return b"", _ANY

    def record_version(self, collection: Collection, version: bytes) -> None:
        """Record the version of a collection read under the lock."""
        self._versions[collection] = version

    def wrote(self, collection: Collection, version: bytes) -> None:
        """Record the version after a write of this request."""
        if collection in self._versions:
            self._versions[collection] = version

    def yield_locks(self, refused: Collection) -> None:
        """Release our locks so that the holder of ``refused`` can proceed.

        :raises BackendError: instead, if the request can be retried.
        """
        self.held_locks.discard(refused)
        if transactions.can_retry():
            raise transactions.retryable(
                BackendError(message="the collection is locked by another request")
            )
        self.release()

    def release(self) -> None:
        """Release all locks."""
        locks = [(lock_key(collection), self.token) for collection in self.held_locks]
        self.held_locks.clear()
        if locks:
            self._locks.release(locks)

    def save(self) -> None:
        try:
            self.release()
        except BackendError:
            pass  # completed writes remain

    def undo(self) -> None:
        self.save()

    def create_savepoint(self) -> Callable[[], None]:
        # A new request of a batch doesn't depend on the reads of the previous ones.
        self._versions.clear()
        return lambda: None
