"""Participation of the backends in the transaction of a request.

``pyramid_tm`` begins, commits or aborts one transaction per request. A backend that writes
joins it with an :class:`EngineDataManager`. Outside of requests (in scripts, shells and after the
commit) each operation commits itself.

``pyramid_retry`` retries a request if a backend fails with an error marked as retryable:
two requests conflicted, although both are valid. To guarantee progress, locks are acquired in a
global order as far as they are known: each attempt begins with all the locks that the
previous one requested.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from contextvars import ContextVar
from enum import Enum
from typing import Any, TypeVar

import transaction
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid_retry import is_error_retryable, is_last_attempt, mark_error_retryable
from transaction import Transaction, TransactionManager
from transaction.interfaces import IDataManager, ISavepointDataManager, NoTransaction
from zope.interface import implementer

from cliquet.utils.http import is_subrequest

E = TypeVar("E", bound=Exception)

#: The latest attempt at a request in this context, also if it doesn't accept writes any more.
_latest: ContextVar[RequestAttempt | None] = ContextVar("cliquet_request_attempt", default=None)

#: The WSGI variable with the locks that the latest attempt requested, by engine. Attempts at a
#: request have only their environment in common.
_REQUESTED_LOCKS = "cliquet.requested_locks"

#: The name of a lock; names have an order.
LockName = tuple[str, str]

#: The status of a transaction that is neither committed nor doomed.
ACTIVE = "Active"

#: The key of the participants among the data of a transaction.
_PARTICIPANTS = object()


class _Phase(Enum):
    """The phases of an attempt: backends can't join while the transaction is suspended."""

    HANDLING = "handling"
    SUSPENDED = "suspended"
    COMMITTING = "committing"


class RequestAttempt:
    """Context manager of an attempt at a request, in which writes belong to its transaction.

    :param manager: the transaction manager, whose transaction has begun.
    :param request: None if the request can't be retried.
    """

    def __init__(self, manager: TransactionManager, request: Request | None = None) -> None:
        self._manager = manager
        self._request = request
        self._thread = threading.get_ident()
        self._phase = _Phase.SUSPENDED
        #: The outer attempt, if this request is nested.
        self.outer = current_attempt()
        self._initial: Transaction = manager.get()
        #: The locks by engine that the previous attempt requested, and those of this one.
        self.previous_locks: dict[Hashable, set[LockName]] = self._environ.get(_REQUESTED_LOCKS, {})
        self.requested_locks: dict[Hashable, set[LockName]] = {}
        self._environ[_REQUESTED_LOCKS] = self.requested_locks
        #: Whether any engine has joined: most requests only read.
        self.has_participants = False
        #: Whether each write commits itself, as outside of requests.
        self.autocommits = False
        #: Values that engines read ahead, by engine.
        self.prefetched: dict[Hashable, Any] = {}

    def __enter__(self) -> None:
        self._phase = _Phase.HANDLING
        self._initial.addBeforeCommitHook(self._begin_commit)
        _latest.set(self)

    def __exit__(self, *failure: object) -> None:
        self._phase = _Phase.SUSPENDED
        if self.ended_by_application():
            self.disable_retry()

    @property
    def _environ(self) -> dict[str, Any]:
        return {} if self._request is None else self._request.environ

    def transaction(self) -> Transaction | None:
        """Return the current transaction; None if the application has ended it."""
        try:
            return self._manager.get()
        except NoTransaction:
            return None

    def ended_by_application(self) -> bool:
        """Return whether the application has ended the transaction; writes remain."""
        return self.transaction() is not self._initial

    def _begin_commit(self) -> None:
        """Include the writes of hooks before the commit in the transaction."""
        if self._phase is not _Phase.HANDLING:  # otherwise a view commits the transaction
            self._phase = _Phase.COMMITTING

    def accepts_writes(self) -> bool:
        """Return whether backends can join the transaction, in this thread."""
        if self._thread != threading.get_ident():
            return False  # the context was copied: transactions belong to one thread
        if self._phase is _Phase.COMMITTING:
            return str(self._initial.status) == ACTIVE
        return self._phase is _Phase.HANDLING

    def end(self) -> None:
        """Clean up if ``pyramid_tm`` left the transaction open after a failed hook."""
        if self._phase is _Phase.COMMITTING and self._initial.status == ACTIVE:
            self._initial.abort()

    def can_retry(self) -> bool:
        """Return whether another attempt is possible."""
        request = self._request
        return request is not None and not (is_last_attempt(request) or self.ended_by_application())

    def disable_retry(self) -> None:
        """Disable retries of this request, and of the outer request that sends it."""
        if "retry.attempt" in self._environ:
            self._environ["retry.attempts"] = self._environ["retry.attempt"] + 1
        if self.outer is not None:
            self.outer.disable_retry()


def current_attempt() -> RequestAttempt | None:
    """Return the innermost attempt that accepts writes, None outside of requests."""
    attempt = _latest.get()
    while attempt is not None and not attempt.accepts_writes():
        attempt = attempt.outer
    return attempt


def current() -> Transaction | None:
    """Return the transaction of the current request, None outside of requests."""
    attempt = current_attempt()
    return None if attempt is None else attempt.transaction()


def prefetched() -> dict[Hashable, Any] | None:
    """Return the values that engines read ahead; None outside of requests."""
    attempt = current_attempt()
    return None if attempt is None else attempt.prefetched


def can_retry() -> bool:
    """Return whether the current request can be retried without side effects."""
    attempt = current_attempt()
    return attempt is not None and attempt.can_retry()


def retryable(failure: E) -> E:
    """Mark the failure as retryable if another attempt is possible, and return it."""
    if can_retry():
        mark_error_retryable(failure)
    return failure


def disable_retry() -> None:
    """Disable retries, because a write of the request can't be rolled back."""
    attempt = current_attempt()
    if attempt is not None:
        attempt.disable_retry()


def will_retry(request: Request) -> bool:
    """Return whether the request failed with a retryable error and has attempts left.

    The requests of a batch are retried with it.
    """
    error = getattr(request, "exception", None)
    while is_subrequest(request):
        request = request.parent
    return error is not None and is_error_retryable(request, error)


def request_manager(request: Request) -> TransactionManager:
    """Return the transaction manager for ``request`` (``tm.manager_hook``).

    It is the thread-local one of the ``transaction`` package, except for nested requests in
    the same thread: if an application calls another one, that must not end the caller's
    transaction.
    """
    if current_attempt() is None:
        return transaction.manager
    return TransactionManager(explicit=True)


def serving_tween_factory(
    handler: Callable[[Any], Any], registry: Registry
) -> Callable[[Any], Any]:
    """Include the writes of backends in the transaction that ``pyramid_tm`` has begun."""

    def serving_tween(request: Request) -> Any:
        if "tm.active" not in request.environ:  # disabled by the application's ``tm.activate_hook``
            return handler(request)
        with RequestAttempt(request.tm, request):
            return handler(request)

    return serving_tween


def committing_tween_factory(
    handler: Callable[[Any], Any], registry: Registry
) -> Callable[[Any], Any]:
    """Clean up if ``pyramid_tm`` left the transaction open."""

    def committing_tween(request: Request) -> Any:
        outer = _latest.get()
        try:
            return handler(request)
        finally:
            attempt = _latest.get()
            _latest.set(outer)
            if attempt is not None and attempt is not outer:
                attempt.end()

    return committing_tween


@implementer(IDataManager, ISavepointDataManager)
class EngineDataManager:
    """An engine's part in a transaction, from its first write or lock on.

    Subclasses implement :meth:`save`, :meth:`undo` and :meth:`create_savepoint`. The work is saved
    when the transaction votes, the last moment when it can fail.
    """

    transaction_manager = None
    _attempt: RequestAttempt

    def __init__(self) -> None:
        self._ended = False
        #: The names of the locks held, maintained by subclasses.
        self.held_locks: set[LockName] = set()
        # The locks requested by this attempt, and those of the previous one.
        self._requested: set[LockName] = set()
        self._previous: set[LockName] = set()

    def save(self) -> None:
        """Make the work durable and visible, and release the locks."""
        raise NotImplementedError

    def undo(self) -> None:
        """Discard the work, and release the locks. Called once, unless save() was."""
        raise NotImplementedError

    def create_savepoint(self) -> Callable[[], None]:
        """Create a savepoint: return a function that rolls back to it, possibly twice."""
        raise NotImplementedError

    def join(self, attempt: RequestAttempt, owner: Hashable) -> None:
        """Join an attempt to handle a request, on behalf of ``owner``."""
        self._attempt = attempt
        self._requested = attempt.requested_locks.setdefault(owner, set())
        self._previous = attempt.previous_locks.get(owner, set())

    def can_retry(self) -> bool:
        """Return whether the request can be retried."""
        return self._attempt.can_retry()

    def is_alone(self, transaction: Transaction) -> bool:
        """Return whether no other engine takes part in the transaction."""
        return len(_participants(transaction)) == 1

    def has_ended(self) -> bool:
        """Return whether a savepoint from before it joined was rolled back."""
        return self._ended

    def pending_locks(self, name: LockName) -> Iterable[LockName]:
        """Return the locks to acquire, in this order, before another one.

        These are, once per retried request, all the locks that the previous attempt requested;
        otherwise none.

        :param name: the next lock; names are sortable.
        """
        self._requested.add(name)
        if not self._previous:
            return ()
        names = sorted(self._previous | {name})
        self._previous = set()
        self._requested.update(names)
        return names

    def is_in_order(self, name: LockName) -> bool:
        """Return whether the lock ``name`` comes after all held ones in the order.

        Requests that only wait for such locks can't deadlock.
        """
        return name in self.held_locks or all(lock < name for lock in self.held_locks)

    # The data manager interface of the transaction package.

    def sortKey(self) -> str:
        return f"~cliquet:{id(self):x}"

    def tpc_begin(self, transaction: Transaction) -> None:
        pass

    def commit(self, transaction: Transaction) -> None:
        pass

    def tpc_vote(self, transaction: Transaction) -> None:
        self.save()
        self._ended = True
        self._attempt.disable_retry()

    def tpc_finish(self, transaction: Transaction) -> None:
        pass

    def tpc_abort(self, transaction: Transaction) -> None:
        self.abort(transaction)

    def abort(self, transaction: Transaction) -> None:
        if not self._ended:
            self._ended = True
            self.undo()

    def savepoint(self) -> _Savepoint:
        return _Savepoint(self.create_savepoint())


class _Savepoint:
    def __init__(self, rollback: Callable[[], None]) -> None:
        self.rollback = rollback


M = TypeVar("M", bound=EngineDataManager)


def participant(owner: Hashable, factory: Callable[[], M]) -> M | None:
    """Return the data manager of ``owner`` in the current transaction.

    It is created by ``factory`` and joins the transaction the first time.

    :param owner: the key of the data manager: any object of the application.
    :returns: None outside of requests, and if writes commit themselves.
    """
    attempt = current_attempt()
    txn = None if attempt is None else attempt.transaction()
    if attempt is None or txn is None or attempt.autocommits:
        return None
    participants = _participants(txn)
    manager: M | None = participants.get(owner)
    if manager is None or manager.has_ended():
        manager = participants[owner] = factory()
        manager.join(attempt, owner)
        txn.join(manager)
        attempt.has_participants = True
    return manager


def current_participant(owner: Hashable) -> Any:
    """Return the data manager that ``owner`` already has, or None."""
    attempt = current_attempt()
    if attempt is None or not attempt.has_participants:
        return None
    txn = attempt.transaction()
    manager = None if txn is None else _participants(txn).get(owner)
    return None if manager is None or manager.has_ended() else manager


def _participants(txn: Transaction) -> dict[Hashable, Any]:
    """Return the data managers of a transaction by owner."""
    try:
        participants: dict[Hashable, EngineDataManager] = txn.data(_PARTICIPANTS)
    except KeyError:
        participants = {}
        txn.set_data(_PARTICIPANTS, participants)
    return participants
