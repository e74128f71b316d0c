"""How requests keep one another from changing what they have read.

A request that locks a collection has it to itself until its transaction ends: whoever else
writes to it waits, whoever reads doesn't.

- A lock ends by itself after a while, for processes that die. What is written on the
  strength of it is written only if nobody else wrote in between, so a request that was
  slower than that does no harm: it fails.
- Two of them never wait for one another: a request keeps its locks while it waits for one that
  comes after them, in an order that is the same for all. For another one it doesn't wait, but
  runs again, and begins with all those locks in their order. If it can't, for it has written
  something already, it lets go of its locks meanwhile; what it has read is looked after in the
  same way as when locks end.
- When the server ends, it may come back with the locks of the requests that failed then. Who
  failed to let go of a lock does so along with the next write: nobody waits until it ends.
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
from cliquet.storage.engine import Collection
from cliquet.storage.exceptions import BackendError
from cliquet.storage.redis.client import Client, Script, encode
from cliquet.storage.redis.keys import keys, lock_key

_HERE = Path(__file__).parent
_COLLECTION = _HERE / "collection.lua"
_LOCK = Script(_COLLECTION, _HERE / "lock.lua")
_RELEASE = Script(_HERE / "release.lua")

#: After how many seconds a lock ends by itself, unless the request writes meanwhile.
LEASE = 10.0

#: How many seconds to wait for others: for longer than for one that died.
PATIENCE = 30.0

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01

#: A key, and the token of who has locked it.
Lock = tuple[bytes, bytes]

#: Instead of a version: whatever it is.
_ANY = b"-"


class Locks:
    """The locks of the collections, and the writes that respect them.

    :param lease: after how many seconds a lock ends by itself.
    :param patience: how many seconds to wait for others.
    """

    def __init__(self, client: Client, lease: float = LEASE, patience: float = PATIENCE) -> None:
        self.client = client
        self._lease = int(lease * 1000)
        self._patience = patience
        self._stranded = _Stranded(lease)

    def part(self) -> Part | None:
        """Return the part in the transaction of this request, None outside of one."""
        return transactions.participant(self, self.new_part)

    def new_part(self) -> Part:
        """Return a part that belongs to no request: who takes it ends it."""
        return Part(self)

    def lock(self, part: Part, collection: Collection, object_id: str = "") -> bytes | None:
        """Take the lock of the collection, then return the record as it is stored."""
        for each in part.to_lock_before(collection):
            self._take(part, each)
        return self._take(part, collection, object_id)

    def _take(self, part: Part, collection: Collection, object_id: str = "") -> bytes | None:
        names = keys(collection)
        raw_id = encode(object_id)

        def attempt() -> Any:
            return self.client.run(_LOCK, names, part.hold(collection), self._lease, raw_id)

        reply = self._insist(part, collection, attempt)
        part.saw(collection, reply[1])
        record: bytes | None = reply[2]
        return record

    def write(
        self, collection: Collection, script: Script, *args: Any, part: Part | None = None
    ) -> list[Any]:
        """Run a script that writes to the collection, when nobody else has locked it.

        :param part: who has the lock; None: the part of the request, if it locked any.
        :returns: the answer of the script: what became of it, and what it tells.
        """
        if part is None:
            part = transactions.current_participant(self)
        names = keys(collection)

        def attempt() -> Any:
            token, known = (b"", _ANY) if part is None else part.claim(collection)
            return self.client.run(script, names, token, known, self._lease, *args)

        reply = self._insist(part, collection, attempt)
        if reply[0] == b"done":
            transactions.not_repeatable()
            if part is not None:
                part.wrote(collection, reply[1])
        return reply

    def release(self, locks: Iterable[Lock]) -> None:
        """Let go of locks, now or, if the server doesn't answer, when it does again."""
        locks = list(locks)
        try:
            self.client.run(_RELEASE, [key for key, _ in locks], *[token for _, token in locks])
        except BackendError:
            self._stranded.add(locks)
            raise

    def give_back_stranded(self) -> None:
        """Let go of the locks that could not be let go of before."""
        if locks := self._stranded.take():
            with suppress(BackendError):
                self.release(locks)

    def _insist(
        self, part: Part | None, collection: Collection, attempt: Callable[[], Any]
    ) -> list[Any]:
        """Make an attempt until nobody else has the lock of the collection."""
        keeping = part is None or part.is_in_order(collection)
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        reply: list[Any] = attempt()
        self.give_back_stranded()
        while reply[0] == b"busy":
            if time.monotonic() > deadline:
                raise BackendError(message="others have locked the collection for too long")
            if part is not None and not keeping:
                part.give_way(collection)
            time.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 2, _LONGEST_PAUSE)
            reply = attempt()
        if reply[0] == b"lost":
            raise transactions.retryable(
                BackendError(message="the collection was changed by others meanwhile")
            )
        return reply


class _Stranded:
    """Locks that could not be let go of, until they surely have ended by themselves.

    :param lease: after how many seconds they have.
    """

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._mutex = threading.Lock()
        self._locks: deque[tuple[float, Lock]] = deque()

    def add(self, locks: Iterable[Lock]) -> None:
        now = time.monotonic()
        with self._mutex:
            self._forget(now)
            self._locks.extend((now + self._lease, lock) for lock in locks)

    def take(self) -> list[Lock]:
        """Return those that there are, and forget them."""
        if not self._locks:
            return []
        with self._mutex:
            self._forget(time.monotonic())
            taken = [lock for _, lock in self._locks]
            self._locks.clear()
        return taken

    def _forget(self, now: float) -> None:
        while self._locks and self._locks[0][0] < now:
            self._locks.popleft()


class Part(transactions.Participant):
    """The locks of a request, or of an operation outside of one.

    There is nothing to save or undo: what is written stays whatever becomes of the request.
    """

    def __init__(self, locks: Locks) -> None:
        super().__init__()
        self.token = os.urandom(16).hex().encode("ascii")
        self._locks = locks
        # The versions of those of which something was read that matters for what is to come.
        self._known: dict[Collection, bytes] = {}

    def hold(self, collection: Collection) -> bytes:
        """Return the token, to take the lock of the collection, or keep it."""
        # Before it is sent: of what fails on the way it isn't known whether it was done.
        self.held.add(collection)
        return self.token

    def claim(self, collection: Collection) -> tuple[bytes, bytes]:
        """Return the token and the version to write with."""
        if collection in self.held or collection in self._known:
            return self.hold(collection), self._known.get(collection, _ANY)
        return b"", _ANY

    def saw(self, collection: Collection, version: bytes) -> None:
        """Note the version of what was read under the lock."""
        self._known[collection] = version

    def wrote(self, collection: Collection, version: bytes) -> None:
        """Note the version that a write of this request has made."""
        if collection in self._known:
            self._known[collection] = version

    def give_way(self, refused: Collection) -> None:
        """Let others write, who have locked ``refused``.

        :raises BackendError: rather, if the request may run again.
        """
        self.held.discard(refused)
        if transactions.is_repeatable():
            raise transactions.retryable(BackendError(message="others have locked the collection"))
        self.let_go()

    def let_go(self) -> None:
        """Let others write."""
        held = [(lock_key(collection), self.token) for collection in self.held]
        self.held.clear()
        if held:
            self._locks.release(held)

    def save(self) -> None:
        try:
            self.let_go()
        except BackendError:
            pass  # what was written is written

    def undo(self) -> None:
        self.save()

    def mark(self) -> Callable[[], None]:
        # A new part of a batch: what the others read doesn't matter for it.
        self._known.clear()
        return lambda: None
