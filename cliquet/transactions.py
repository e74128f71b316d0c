"""How the backends take part in the transaction of a request.

``pyramid_tm`` begins, commits or aborts one transaction per request. A backend
that writes joins it with a :class:`Participant`; outside of a request (a
script, a shell, what happens after the commit) each operation commits itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import transaction
from transaction.interfaces import IDataManager, ISavepointDataManager, NoTransaction
from zope.interface import implementer

_serving = threading.local()


def current() -> transaction.Transaction | None:
    """Return the transaction of the request that this thread serves, if any."""
    manager = getattr(_serving, "manager", None)
    try:
        return None if manager is None else manager.get()
    except NoTransaction:  # the application has ended it
        return None


@contextmanager
def serving(manager: Any) -> Iterator[None]:
    """Within this block, what the thread writes belongs to ``manager``'s transaction."""
    previous = getattr(_serving, "manager", None)
    _serving.manager = manager
    try:
        yield
    finally:
        _serving.manager = previous


def request_manager(request: Any) -> Any:
    """Return the transaction manager for ``request`` (``tm.manager_hook``).

    It is the thread's own, as everywhere with the ``transaction`` package, but
    for a request that is served while another one of the same thread is: an
    application called by another must not end the caller's transaction.
    """
    if getattr(_serving, "manager", None) is None:
        return transaction.manager
    return transaction.TransactionManager(explicit=True)


def serving_tween_factory(handler: Callable[[Any], Any], registry: Any) -> Callable[[Any], Any]:
    """Let the backends know the transaction that ``pyramid_tm`` has begun."""

    def serving_tween(request: Any) -> Any:
        if "tm.active" not in request.environ:  # the application's ``tm.activate_hook`` said no
            return handler(request)
        with serving(request.tm):
            return handler(request)

    return serving_tween


@implementer(IDataManager, ISavepointDataManager)
class Participant:
    """One engine's part in a transaction, from its first write or lock on.

    Subclasses say how to :meth:`save`, :meth:`undo` and :meth:`mark`. The work
    is saved when the transaction votes, the last moment when it may fail.
    """

    transaction_manager = None

    def save(self) -> None:
        """Make the work durable and visible, and let go of the locks."""
        raise NotImplementedError

    def undo(self) -> None:
        """Forget the work, and let go of the locks. Called once at most, never after a save."""
        raise NotImplementedError

    def mark(self) -> Callable[[], None]:
        """Return a function that undoes what is done from now on; it may be called twice."""
        raise NotImplementedError

    # The protocol of the transaction package.

    def __init__(self) -> None:
        self._ended = False

    def sortKey(self) -> str:
        return f"~cliquet:{id(self):x}"

    def tpc_begin(self, transaction: Any) -> None:
        pass

    def commit(self, transaction: Any) -> None:
        pass

    def tpc_vote(self, transaction: Any) -> None:
        self.save()
        self._ended = True

    def tpc_finish(self, transaction: Any) -> None:
        pass

    def tpc_abort(self, transaction: Any) -> None:
        self.abort(transaction)

    def abort(self, transaction: Any) -> None:
        if not self._ended:
            self._ended = True
            self.undo()

    def savepoint(self) -> _Savepoint:
        return _Savepoint(self.mark())


class _Savepoint:
    def __init__(self, rollback: Callable[[], None]) -> None:
        self.rollback = rollback


P = TypeVar("P", bound=Participant)


def participant(owner: Any, factory: Callable[[], P]) -> P | None:
    """Return the part that ``owner`` takes in the current transaction.

    It is made by ``factory`` and joined the first time.

    :param owner: what the part is kept for: any object of the application.
    :returns: None outside of a request.
    """
    txn = current()
    if txn is None:
        return None
    part: P | None = joined(owner)
    if part is None:
        part = factory()
        txn.join(part)
        txn.set_data(owner, part)
    return part


def joined(owner: Any) -> Any:
    """Return the part that ``owner`` already takes in the current transaction, or None."""
    txn = current()
    if txn is None:
        return None
    try:
        part = txn.data(owner)
    except KeyError:
        return None
    # It ends before the transaction when a savepoint from before it joined is rolled back.
    return None if part._ended else part
