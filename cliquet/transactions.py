"""How the backends take part in the transaction of a request.

``pyramid_tm`` begins, commits or aborts one transaction per request. A backend
that writes joins it with a :class:`Participant`; outside of a request (a
script, a shell, what happens after the commit) each operation commits itself.

``pyramid_retry`` runs a request again when a backend fails with an error that it has marked:
two requests were in one another's way, and nothing is wrong with either. So that this comes to
an end, what is locked is locked in one order, wherever it is known: the next attempt begins with
all the locks that the former had asked for.
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


class _Served:
    """A request that a thread serves, or one of the attempts to do so.

    :param request: None if it won't run again.
    """

    def __init__(self, manager: Any, request: Any) -> None:
        self._manager = manager
        self._request = request
        #: That of the request which sends this one, if another one does.
        self.outer = _served()
        self.begun: Any = self.transaction()
        self._is_committing = False
        # By their owners.
        self.parts: dict[Any, Participant] = {}
        # By the same: what they asked to lock, in the attempt before and in this.
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

    def was_ended(self) -> bool:
        """Tell whether the application has ended the transaction: what it saved then stays."""
        return self.transaction() is not self.begun

    def begin_commit(self) -> None:
        """Serve the request once more, which was answered: for the hooks before its commit."""
        if _served() is not self:  # or else the application commits, in a view
            self._is_committing = True
            _serving.request = self

    def is_over(self) -> bool:
        """Tell whether the hooks before the commit have run: nothing can join it any more."""
        return self._is_committing and self.begun.status != _ACTIVE

    def end(self) -> None:
        """Let go of all: where such a hook has failed, ``pyramid_tm`` leaves it as it is."""
        if self._is_committing:
            _serving.request = self.outer
            if self.begun.status == _ACTIVE:
                self.begun.abort()

    def is_repeatable(self) -> bool:
        """Tell whether there may be another attempt."""
        request = self._request
        return request is not None and not (is_last_attempt(request) or self.was_ended())

    def settle(self) -> None:
        """Make this attempt the last one, of the request that this one is sent by too."""
        environ = {} if self._request is None else self._request.environ
        if "retry.attempt" in environ:
            environ["retry.attempts"] = environ["retry.attempt"] + 1
        if self.outer is not None:
            self.outer.settle()


def _served() -> _Served | None:
    served: _Served | None = getattr(_serving, "request", None)
    # What happens after the commit is no part of it.
    return served.outer if served is not None and served.is_over() else served


def current() -> transaction.Transaction | None:
    """Return the transaction of the request that this thread serves, if any."""
    served = _served()
    return None if served is None else served.transaction()


def is_repeatable() -> bool:
    """Tell whether this thread serves a request that may run again: it leaves nothing behind."""
    served = _served()
    return served is not None and served.is_repeatable()


def retryable(failure: E) -> E:
    """Return the failure, marked as one that another attempt overcomes, if there is one."""
    if is_repeatable():
        mark_error_retryable(failure)
    return failure


def not_repeatable() -> None:
    """Note that what was just written stays, whatever becomes of the request."""
    served = _served()
    if served is not None:
        served.settle()


def runs_again(request: Any) -> bool:
    """Tell whether the request has failed in a way for which there is another attempt.

    The requests of a batch run again with it.
    """
    error = getattr(request, "exception", None)
    while hasattr(request, "parent"):
        request = request.parent
    return error is not None and is_error_retryable(request, error)


class serving:
    """A context in which what the thread writes belongs to ``manager``'s transaction.

    :param request: the request, if it may run again.
    """

    def __init__(self, manager: Any, request: Any = None) -> None:
        self._served = _Served(manager, request)

    def __enter__(self) -> None:
        _serving.request = self._served

    def __exit__(self, *failure: Any) -> None:
        if self._served.was_ended():
            self._served.settle()
        _serving.request = self._served.outer

    def await_commit(self, environ: dict[str, Any]) -> None:
        """Have what hooks before the commit write belong to the transaction too."""
        environ[_AWAITED] = self._served
        self._served.begun.addBeforeCommitHook(self._served.begin_commit)


def request_manager(request: Any) -> Any:
    """Return the transaction manager for ``request`` (``tm.manager_hook``).

    It is the thread's own, as everywhere with the ``transaction`` package, but
    for a request that is served while another one of the same thread is: an
    application called by another must not end the caller's transaction.
    """
    if _served() is None:
        return transaction.manager
    return transaction.TransactionManager(explicit=True)


def serving_tween_factory(handler: Callable[[Any], Any], registry: Any) -> Callable[[Any], Any]:
    """Let the backends know the transaction that ``pyramid_tm`` has begun."""

    def serving_tween(request: Any) -> Any:
        if "tm.active" not in request.environ:  # the application's ``tm.activate_hook`` said no
            return handler(request)
        context = serving(request.tm, request)
        with context:
            context.await_commit(request.environ)
            return handler(request)

    return serving_tween


def committing_tween_factory(handler: Callable[[Any], Any], registry: Any) -> Callable[[Any], Any]:
    """Let go of the transaction of a request, which ``pyramid_tm`` has ended, or should have."""

    def committing_tween(request: Any) -> Any:
        try:
            return handler(request)
        finally:
            served = request.environ.pop(_AWAITED, None)
            if served is not None:
                served.end()

    return committing_tween


@implementer(IDataManager, ISavepointDataManager)
class Participant:
    """One engine's part in a transaction, from its first write or lock on.

    Subclasses say how to :meth:`save`, :meth:`undo` and :meth:`mark`. The work
    is saved when the transaction votes, the last moment when it may fail.
    """

    transaction_manager = None
    _served: _Served

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
        #: The names of the locks that this part has, which subclasses keep up to date.
        self.held: set[Any] = set()
        # What it asked to lock, and what the attempt before did.
        self._asked: set[Any] = set()
        self._asked_before: set[Any] = set()

    def join(self, served: _Served, owner: Any) -> None:
        """Take part in the request, for ``owner``."""
        self._served = served
        served.parts[owner] = self
        self._asked = served.asked.setdefault(owner, set())
        self._asked_before = served.asked_before.get(owner, set())

    def is_repeatable(self) -> bool:
        """Tell whether the request that this is a part of may run again."""
        return self._served.is_repeatable()

    def is_alone(self) -> bool:
        """Tell whether no other engine takes part in the request."""
        return len(self._served.parts) == 1

    def to_lock_before(self, name: Any) -> Iterable[Any]:
        """Return what to lock, in this order, before something else.

        That is nothing, unless the request runs again: then it is, the first
        time, all that the attempt before has asked for.

        :param name: what is about to be locked; names can be sorted.
        """
        self._asked.add(name)
        if not self._asked_before:
            return ()
        names = sorted(self._asked_before | {name})
        self._asked_before = set()
        self._asked.update(names)
        return names

    def is_in_order(self, name: Any) -> bool:
        """Tell whether the lock of ``name`` comes after all that this part has.

        Those who wait for nothing else never wait for one another.
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
        self._served.settle()

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
    """Return the part that ``owner`` already takes in the current transaction, or None."""
    served = _served()
    part = None if served is None else served.parts.get(owner)
    # It ends before the transaction when a savepoint from before it joined is rolled back.
    return None if part is None or part._ended else part
