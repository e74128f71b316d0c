"""What happens to the records of resources, told to subscribers (python-api, "events")."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, NamedTuple

from pyramid.tweens import EXCVIEW
from zope.interface import implementedBy

from cliquet import transactions
from cliquet.utils import forget_variables, strip_uri_prefix

logger = logging.getLogger(__name__)


class ACTIONS(Enum):
    """What was done."""

    CREATE = "create"
    DELETE = "delete"
    READ = "read"
    UPDATE = "update"

    @staticmethod
    def from_string_list(elements: Iterable[str]) -> tuple[ACTIONS, ...]:
        """Return the actions of these names."""
        return tuple(ACTIONS(element) for element in elements)


class _ResourceEvent:
    """Base of the events.

    :param payload: ``timestamp`` (of the collection, in milliseconds),
        ``action``, ``uri``, ``user_id``, ``resource_name``, the parts of the URL.
    """

    def __init__(self, payload: dict[str, Any], records: list[Any], request: Any) -> None:
        self.payload = payload
        self.request = request
        self._records = records

    def __str__(self) -> str:
        return f"<{type(self).__name__} {self.payload['action']} {self.payload['uri']}>"


class _Read(_ResourceEvent):
    @property
    def read_records(self) -> list[Any]:
        """The records that were read."""
        return self._records


class _Changed(_ResourceEvent):
    @property
    def impacted_records(self) -> list[dict[str, Any]]:
        """For each of the records ``{"new"}``, ``{"new", "old"}`` or ``{"old"}``."""
        return self._records


class ResourceRead(_Read):
    """Records were read; inside of the transaction."""


class ResourceChanged(_Changed):
    """Records were changed, which is about to be committed; what a subscriber raises cancels it."""


class AfterResourceRead(_Read):
    """Records were read, and the transaction is over."""


class AfterResourceChanged(_Changed):
    """Records were changed, and it is committed; what a subscriber raises is only logged."""


class _Notification(NamedTuple):
    """A part of an event to come, whose payload is made if somebody listens to it.

    :param matchdict: the parts of the URL, which views may change for a moment.
    """

    request: Any
    matchdict: dict[str, Any]
    resource_name: str
    timestamp: int
    action: ACTIONS
    records: list[Any]

    def payload(self) -> dict[str, Any]:
        request, matchdict = self.request, dict(self.matchdict)
        if "id" in matchdict:
            matchdict[f"{self.resource_name}_id"] = matchdict.pop("id")
        return {
            "timestamp": self.timestamp,
            "action": self.action.value,
            "uri": strip_uri_prefix(request.path),
            "user_id": request.prefixed_userid,
            "resource_name": self.resource_name,
            **matchdict,
        }


def _notifications(request: Any) -> list[_Notification]:
    """Return what was notified so far, in the request and the batch that it is part of."""
    notified: list[_Notification] = request.bound_data.setdefault("resource_events", [])
    return notified


def count_notifications(request: Any) -> int:
    """Return how many notifications there are so far, for :func:`forget_notifications`."""
    return len(_notifications(request))


def forget_notifications(request: Any, count: int) -> None:
    """Forget what was notified after the first ``count`` notifications."""
    del _notifications(request)[count:]


def notify_resource_event(
    request: Any, timestamp: int, data: Any, action: ACTIONS, old: Any = None
) -> None:
    """Tell, once the request has succeeded, that something was done to records.

    :param timestamp: of the collection, in milliseconds.
    :param data: the record, or the list of records, as it is now.
    :param old: the record as it was before.
    """
    records = data if isinstance(data, list) else [data]
    if action is not ACTIONS.READ:
        records = [_impact(action, record, old) for record in records]
    matchdict = dict(request.matchdict or {})
    name = request.current_resource_name
    _notifications(request).append(
        _Notification(request, matchdict, name, timestamp, action, list(records))
    )


def _impact(action: ACTIONS, record: Any, old: Any) -> dict[str, Any]:
    if action is ACTIONS.CREATE:
        return {"new": record}
    if action is ACTIONS.DELETE:
        return {"old": record if old is None else old}
    return {"new": record, "old": old}


def get_resource_events(request: Any, after_commit: bool = False) -> list[Any]:
    """Return the events of the request: one per resource and action.

    :param after_commit: whether to return those that fire after the commit.
    """
    return _merge(_notifications(request), after_commit)


def _class_of(action: ACTIONS, after_commit: bool) -> type[Any]:
    if action is ACTIONS.READ:
        return AfterResourceRead if after_commit else ResourceRead
    return AfterResourceChanged if after_commit else ResourceChanged


def _merge(notified: Iterable[_Notification], after_commit: bool) -> list[Any]:
    events: dict[tuple[str, ACTIONS], Any] = {}
    for item in notified:
        key = item.resource_name, item.action
        event = events.get(key)
        if event is None:
            class_ = _class_of(item.action, after_commit)
            events[key] = class_(item.payload(), list(item.records), item.request)
        else:
            event._records.extend(item.records)
    return list(events.values())


def _heard(
    request: Any, notified: Iterable[_Notification], after_commit: bool
) -> list[_Notification]:
    """Return the notifications for whose events there are subscribers."""
    find = request.registry.adapters.subscriptions
    return [
        item
        for item in notified
        if find((implementedBy(_class_of(item.action, after_commit)),), None)
    ]


def _fire(request: Any, start: int = 0) -> None:
    """Fire the events that were notified from the ``start``-th on.

    A subscriber may notify further ones, which are fired in turn.
    """
    notified = _notifications(request)
    count = len(notified)
    if count > start:
        for event in _merge(_heard(request, notified[start:], False), after_commit=False):
            request.registry.notify(event)
        _fire(request, count)


def _fire_after(request: Any, response: Any) -> None:
    if not request.bound_data.get("committed"):
        return
    for event in _merge(_heard(request, _notifications(request), True), after_commit=True):
        try:
            request.registry.notify(event)
        except Exception as error:
            forget_variables(error)
            logger.exception("A subscriber of %s failed", event)


def _on_commit(success: bool, request: Any) -> None:
    request.bound_data["committed"] = success


def _fire_once_committed(request: Any) -> None:
    txn = transactions.current()
    if txn is None:
        _on_commit(True, request)
    else:
        txn.addAfterCommitHook(_on_commit, args=(request,))
    request.add_response_callback(_fire_after)


def resource_events_tween_factory(
    handler: Callable[[Any], Any], registry: Any
) -> Callable[[Any], Any]:
    """Fire the events of a request: before its transaction is committed, and after it was."""

    def resource_events_tween(request: Any) -> Any:
        response = handler(request)
        if "resource_events" in request.bound_data:
            _fire(request)
            if _heard(request, _notifications(request), after_commit=True):
                _fire_once_committed(request)
        return response

    return resource_events_tween


def setup_transaction_hook(config: Any) -> None:
    """Make each request one transaction, and fire its events around the commit.

    A request that backends ask to be run again is: at most as often as the
    setting ``retry.attempts`` says.
    """
    config.include("pyramid_retry")
    config.include("pyramid_tm")
    config.add_tween(
        "cliquet.transactions.committing_tween_factory", over="pyramid_tm.tm_tween_factory"
    )
    config.add_tween(
        "cliquet.transactions.serving_tween_factory",
        under="pyramid_tm.tm_tween_factory",
        over=EXCVIEW,
    )
    config.add_tween("cliquet.events.resource_events_tween_factory", under=EXCVIEW)


class _PayloadPredicate:
    """A subscriber predicate that looks at a value of the payload of events."""

    name = ""
    key = ""

    def __init__(self, val: Any, config: Any) -> None:
        values = val if isinstance(val, (list, tuple, set, frozenset)) else (val,)
        self.values = frozenset(str(getattr(value, "value", value)) for value in values)

    def text(self) -> str:
        return f"{self.name} = {sorted(self.values)}"

    phash = text

    def __call__(self, event: Any) -> bool:
        return not self.values or event.payload.get(self.key) in self.values


class ForActions(_PayloadPredicate):
    """``for_actions=(ACTIONS.CREATE, …)``: only events of these actions; empty: all."""

    name = "for_actions"
    key = "action"


class ForResources(_PayloadPredicate):
    """``for_resources=("article", …)``: only events of these resources; empty: all."""

    name = "for_resources"
    key = "resource_name"
