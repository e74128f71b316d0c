"""Lock and undo log that the memory engines of an application share.

A single lock for all engines prevents deadlocks between them. A request that
writes holds it until its transaction ends, so that other requests only read
committed data.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from pyramid.config import Configurator

from cliquet import transactions
from cliquet.drivers import connectivity
from cliquet.settings.types import BOOLEAN

UndoLog = list[Callable[[], Any]]


class MemoryTransactions:
    """The lock and the transactions of the memory engines of an application.

    :param per_request: whether the writes of a request are saved or undone as a
        whole (setting ``transaction_per_request``); if not, each operation is.
    """

    def __init__(self, per_request: bool = True) -> None:
        self._mutex = threading.RLock()
        self._per_request = per_request

    def reading(self) -> AbstractContextManager[Any]:
        """Return a context manager that excludes writers; only committed data is visible."""
        return self._mutex

    @contextmanager
    def writing(self) -> Iterator[UndoLog]:
        """Exclude other readers and writers in the block, and until the transaction ends.

        :returns: the undo log: for each change, the block appends a function that
            reverts it. If the block or the transaction fails, they are called in
            reverse order.
        """
        manager = transactions.participant(self, self._new_manager)
        is_separate = manager is None or not self._per_request
        if manager is None:
            manager = self._new_manager()
        manager.hold()
        start = len(manager.log)
        try:
            yield manager.log
        except BaseException:
            manager.undo_to(start)
            raise
        finally:
            if is_separate:
                manager.save()
                transactions.disable_retry()

    def lock(self) -> None:
        """Exclude other readers and writers until the request's transaction ends.

        If each operation commits itself, the lock lasts until the next write.
        Do nothing outside of requests.
        """
        manager = transactions.participant(self, self._new_manager)
        if manager is not None:
            manager.hold()

    def _new_manager(self) -> _DataManager:
        return _DataManager(self)


class _DataManager(transactions.EngineDataManager):
    """The lock while it is held, and the undo log of the changes made under it."""

    def __init__(self, owner: MemoryTransactions) -> None:
        super().__init__()
        self.log: UndoLog = []
        self._owner = owner
        self._holding = False

    def hold(self) -> None:
        if not self._holding:
            self._owner._mutex.acquire()
            self._holding = True

    def undo_to(self, length: int) -> None:
        while len(self.log) > length:
            self.log.pop()()

    def save(self) -> None:
        self.log.clear()
        self._release()

    def undo(self) -> None:
        try:
            self.undo_to(0)
        finally:
            self._release()

    def create_savepoint(self) -> Callable[[], None]:
        length = len(self.log)
        return lambda: self.undo_to(length)

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            self._owner._mutex.release()


def transactions_from_config(config: Configurator) -> MemoryTransactions:
    """Return the transactions that the memory engines of this application share."""
    per_request = BOOLEAN.get(config.get_settings(), "transaction_per_request", True)
    create = partial(MemoryTransactions, per_request)
    return connectivity.shared(config.registry, "memory_transactions", None, create)
