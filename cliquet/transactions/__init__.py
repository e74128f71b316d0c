"""Participation of the backends in the transaction of a request.

``pyramid_tm`` begins, commits or aborts one transaction per request. A backend that writes
joins it with a :class:`EngineDataManager`. Outside of requests (in scripts, shells and after the
commit) each operation commits itself.

``pyramid_retry`` retries a request if a backend fails with an error marked as retryable:
two requests conflicted, although both are valid. To guarantee progress, locks are acquired in a
global order as far as they are known: each attempt begins with all the locks that the
previous one requested.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import transaction
from pyramid_retry import is_error_retryable, is_last_attempt, mark_error_retryable
from transaction.interfaces import IDataManager, ISavepointDataManager, NoTransaction
from zope.interface import implementer

E = TypeVar("E", bound=Exception)

_serving = threading.local()

_ASKED = "cliquet.asked_to_lock"
_AWAITED = "cliquet.awaits_commit"

#: The status of a transaction that is neither committed nor doomed.
_ACTIVE = "Active"


class _RequestAttempt:
    """A request that a thread is processing, or one attempt of it.

    :param request: None if it can't be retried.
    """

    def __init__(self, manager: Any, request: Any) -> None:
        self._manager = manager
        self._request = request
        #: The outer request, if this one is nested.
        self.outer = _served()
        self.begun: Any = self.transaction()
        self._is_committing = False
        # The participants by owner.
        self.parts: dict[Any, EngineDataManager] = {}
        # The locks by owner that the previous attempt and this one requested.
        environ = {} if request is None else request.environ
        self.asked_before: dict[Any, set[Any]] = environ.get(_ASKED, {})
        self.asked: dict[Any, set[Any]] = {}
        environ[_ASKED] = self.asked

    def transaction(self) -> transaction.Transaction | None:
        """Return the current transaction; None if the application has ended it."""
        try:
            return self._manager.get()
        except NoTransaction:
            return None

    def ended_by_application(self) -> bool:
        """Return whether the application has ended the transaction; writes remain."""
        return self.transaction() is not self.begun

    def begin_commit(self) -> None:
        """Make the request current again for the hooks before its commit."""
        if _served() is not self:  # otherwise a view commits the transaction
            self._is_committing = True
            _serving.request = self

    def is_over(self) -> bool:
        """Return whether the hooks before the commit have run: then no backend can join."""
        return self._is_committing and self.begun.status != _ACTIVE

    def end(self) -> None:
        """Clean up if ``pyramid_tm`` left the transaction open after a failed hook."""
        if self._is_committing:
            _serving.request = self.outer
            if self.begun.status == _ACTIVE:
                self.begun.abort()

    def is_repeatable(self) -> bool:
        """Return whether another attempt is possible."""
        request = self._request
        return request is not None and not (is_last_attempt(request) or self.ended_by_application())

    def disable_retry(self) -> None:
        """Disable retries of this request, and of the outer request that sends it."""
        environ = {} if self._request is None else self._request.environ
        if "retry.attempt" in environ:
            environ["retry.attempts"] = environ["retry.attempt"] + 1
        if self.outer is not None:
            self.outer.disable_retry()


def _served() -> _RequestAttempt | None:
    served: _RequestAttempt | None = getattr(_serving, "request", None)
    # Code that runs after the commit isn't part of the transaction.
    return served.outer if served is not None and served.is_over() else served


def current() -> transaction.Transaction | None:
    """Return the transaction of the request in this thread, if any."""
    served = _served()
    return None if served is None else served.transaction()


def is_repeatable() -> bool:
    """Return whether the request in this thread can be retried without side effects."""
    served = _served()
    return served is not None and served.is_repeatable()


def retryable(failure: E) -> E:
    """Mark the failure as retryable if another attempt is possible, and return it."""
    if is_repeatable():
        mark_error_retryable(failure)
    return failure


def disable_retry() -> None:
    """Disable retries, because a write of the request can't be rolled back."""
    served = _served()
    if served is not None:
        served.disable_retry()


def will_retry(request: Any) -> bool:
    """Return whether the request failed with a retryable error and has attempts left.

    The requests of a batch are retried with it.
    """
    error = getattr(request, "exception", None)
    while hasattr(request, "parent"):
        request = request.parent
    return error is not None and is_error_retryable(request, error)


class serving:
    """Context manager in which writes belong to ``manager``'s transaction.

    :param request: the request, if it can be retried.
    """

    def __init__(self, manager: Any, request: Any = None) -> None:
        self._served = _RequestAttempt(manager, request)

    def __enter__(self) -> None:
        _serving.request = self._served

    def __exit__(self, *failure: Any) -> None:
        if self._served.ended_by_application():
            self._served.disable_retry()
        _serving.request = self._served.outer

    def await_commit(self, environ: dict[str, Any]) -> None:
        """Include the writes of hooks before the commit in the transaction."""
        environ[_AWAITED] = self._served
        self._served.begun.addBeforeCommitHook(self._served.begin_commit)


def request_manager(request: Any) -> Any:
    """Return the transaction manager for ``request`` (``tm.manager_hook``).

    It is the thread-local one of the ``transaction`` package, except for nested requests in
    the same thread: if an application calls another one, that must not end the caller's
    transaction.
    """
    if _served() is None:
        return transaction.manager
    return transaction.TransactionManager(explicit=True)


def serving_tween_factory(handler: Callable[[Any], Any], registry: Any) -> Callable[[Any], Any]:
    """Make the transaction that ``pyramid_tm`` has begun known to the backends."""

    def serving_tween(request: Any) -> Any:
        if "tm.active" not in request.environ:  # disabled by the application's ``tm.activate_hook``
            return handler(request)
        context = serving(request.tm, request)
        with context:
            context.await_commit(request.environ)
            return handler(request)

    return serving_tween


def committing_tween_factory(handler: Callable[[Any], Any], registry: Any) -> Callable[[Any], Any]:
    """Clean up if ``pyramid_tm`` left the transaction open."""

    def committing_tween(request: Any) -> Any:
        try:
            return handler(request)
        finally:
            served = request.environ.pop(_AWAITED, None)
            if served is not None:
                served.end()

    return committing_tween


@implementer(IDataManager, ISavepointDataManager)
class EngineDataManager:
    """An engine's part in a transaction, from its first write or lock on.

    Subclasses implement :meth:`save`, :meth:`undo` and :meth:`create_savepoint`. The work is saved
    when the transaction votes, the last moment when it can fail.
    """

    transaction_manager = None
    _served: _RequestAttempt

    def save(self) -> None:
        """Make the work durable and visible, and release the locks."""
        raise NotImplementedError

    def undo(self) -> None:
        """Discard the work, and release the locks. Called once, unless save() was."""
        raise NotImplementedError

    def create_savepoint(self) -> Callable[[], None]:
        """Create a savepoint: return a function that rolls back to it, possibly twice."""
        raise NotImplementedError

    # The data manager interface of the transaction package.

    def __init__(self) -> None:
        self._ended = False
        #: The names of the locks held, maintained by subclasses.
        self.held: set[Any] = set()
        # The locks requested by this attempt and by the previous one.
        self._asked: set[Any] = set()
        self._asked_before: set[Any] = set()

    def join(self, served: _RequestAttempt, owner: Any) -> None:
        """Join the transaction of the request, for ``owner``."""
        self._served = served
        served.parts[owner] = self
        self._asked = served.asked.setdefault(owner, set())
        self._asked_before = served.asked_before.get(owner, set())

    def is_repeatable(self) -> bool:
        """Return whether the request can be retried."""
        return self._served.is_repeatable()

    def is_alone(self) -> bool:
        """Return whether no other engine takes part in the transaction."""
        return len(self._served.parts) == 1

    def pending_locks(self, name: Any) -> Iterable[Any]:
        """Return the locks to acquire, in this order, before another one.

        These are, once per retried request, all the locks that the previous attempt requested;
        otherwise none.

        :param name: the next lock; names are sortable.
        """
        self._asked.add(name)
        if not self._asked_before:
            return ()
        names = sorted(self._asked_before | {name})
        self._asked_before = set()
        self._asked.update(names)
        return names

    def is_in_order(self, name: Any) -> bool:
        """Return whether the lock ``name`` comes after all held ones in the order.

        Requests that only wait for such locks can't deadlock.
        """
        return name in self.held or all(held < name for held in self.held)

    def sortKey(self) -> str:
        return f"~cliquet:{id(self):x}"

    def tpc_begin(self, transaction: Any) -> None:
        pass

    def commit(self, transaction: Any) -> None:
        pass

    def tpc_vote(self, transaction: Any) -> None:
        self.save()
        self._ended = True
        self._served.disable_retry()

    def tpc_finish(self, transaction: Any) -> None:
        pass

    def tpc_abort(self, transaction: Any) -> None:
        self.abort(transaction)

    def abort(self, transaction: Any) -> None:
        if not self._ended:
            self._ended = True
            self.undo()

    def savepoint(self) -> _Savepoint:
        return _Savepoint(self.create_savepoint())


class _Savepoint:
    def __init__(self, rollback: Callable[[], None]) -> None:
        self.rollback = rollback


P = TypeVar("P", bound=EngineDataManager)


def participant(owner: Any, factory: Callable[[], P]) -> P | None:
    """Return the participant of ``owner`` in the current transaction.

    It is created by ``factory`` and joins the transaction the first time.

    :param owner: the key of the participant: any object of the application.
    :returns: None outside of requests.
    """
    part: P | None = current_participant(owner)
    if part is not None:
        return part
    served, txn = _served(), current()
    if served is None or txn is None:
        return None
    part = factory()
    part.join(served, owner)
    txn.join(part)
    return part


def current_participant(owner: Any) -> Any:
    """Return the participant that ``owner`` already has, or None."""
    served = _served()
    part = None if served is None else served.parts.get(owner)
    # A participant ends early if a savepoint from before it joined is rolled back.
    return None if part is None or part._ended else part
