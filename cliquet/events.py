"""Events about records of resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, NamedTuple

from pyramid.config import Configurator
from pyramid.registry import Registry as PyramidRegistry
from pyramid.response import Response
from pyramid.tweens import EXCVIEW
from zope.interface import implementedBy

from cliquet import transactions
from cliquet.loggers import get_logger
from cliquet.types import Registry, Request
from cliquet.utils import forget_variables, strip_uri_prefix
from cliquet.utils.overrides import detects_overrides, is_inherited

logger = get_logger(__name__)

detects_overrides(PyramidRegistry)


class ACTIONS(Enum):
    """The actions on records."""

    CREATE = "create"
    DELETE = "delete"
    READ = "read"
    UPDATE = "update"

    @staticmethod
    def from_string_list(elements: Iterable[ACTIONS | str]) -> tuple[ACTIONS, ...]:
        """Return the actions with these names."""
        return tuple(ACTIONS(element) for element in elements)


class _ResourceEvent:
    """Base class of the events.

    :param timestamp: timestamp of the collection, in milliseconds.
    :param payload: by default, computed from the request: ``timestamp``, ``action``, ``uri``,
        ``user_id``, ``resource_name`` and the variables of the URL.
    """

    def __init__(
        self,
        action: ACTIONS,
        timestamp: int,
        request: Request,
        payload: dict[str, Any] | None = None,
    ) -> None:
        self.request = request
        if payload is None:
            name, matchdict = request.current_resource_name, request.matchdict or {}
            payload = _payload(action, timestamp, request, name, matchdict)
        self.payload = payload

    def __str__(self) -> str:
        return f"<{type(self).__name__} {self.payload['action']} {self.payload['uri']}>"


def _payload(
    action: ACTIONS, timestamp: int, request: Request, resource_name: str, matchdict: dict[str, Any]
) -> dict[str, Any]:
    parts = dict(matchdict)
    if "id" in parts:
        parts[f"{resource_name}_id"] = parts.pop("id")
    return {
        "timestamp": timestamp,
        "action": action.value,
        "uri": strip_uri_prefix(request.path),
        "user_id": request.prefixed_userid,
        "resource_name": resource_name,
        **parts,
    }


class _ReadEvent(_ResourceEvent):
    """Base class of the events about reads."""

    def __init__(
        self,
        action: ACTIONS,
        timestamp: int,
        read_records: list[Any],
        request: Request,
        **kwargs: Any,
    ) -> None:
        super().__init__(action, timestamp, request, **kwargs)
        self.read_records = read_records


class _ChangeEvent(_ResourceEvent):
    """Base class of the events about changes."""

    def __init__(
        self,
        action: ACTIONS,
        timestamp: int,
        impacted_records: list[Any],
        request: Request,
        **kwargs: Any,
    ) -> None:
        super().__init__(action, timestamp, request, **kwargs)
        self.impacted_records = impacted_records


class ResourceRead(_ReadEvent):
    """Records were read; sent inside the transaction.

    :param read_records: the list of records.
    """


class ResourceChanged(_ChangeEvent):
    """Records were changed; sent before the commit.

    An exception of a subscriber cancels the change.

    :param impacted_records: for each record ``{"new"}``, ``{"new", "old"}`` or ``{"old"}``.
    """


class AfterResourceRead(_ReadEvent):
    """Records were read; sent after the transaction.

    :param read_records: the list of records.
    """


class AfterResourceChanged(_ChangeEvent):
    """Records were changed; sent after the commit.

    Exceptions of subscribers are only logged.

    :param impacted_records: for each record ``{"new"}``, ``{"new", "old"}`` or ``{"old"}``.
    """


class _Notification(NamedTuple):
    """A part of a future event.

    The payload is only computed if there is a subscriber.

    :param matchdict: the variables of the URL, copied because views can change them temporarily.
    """

    request: Any
    matchdict: dict[str, Any]
    resource_name: str
    timestamp: int
    action: ACTIONS
    records: list[Any]

    def key(self) -> tuple[Any, ...]:
        """Return the key of the event: resource, parent, user and action.

        The parent of the records is determined by the URL, without the id, and the user.
        """
        parent = tuple(sorted((k, str(v)) for k, v in self.matchdict.items() if k != "id"))
        return self.resource_name, parent, self.request.prefixed_userid, self.action

    def event(self, records: list[Any], after_commit: bool) -> Any:
        """Create the event whose first notification this is."""
        request, timestamp, action = self.request, self.timestamp, self.action
        payload = _payload(action, timestamp, request, self.resource_name, self.matchdict)
        class_ = _class_of(action, after_commit)
        return class_(action, timestamp, records, request, payload=payload)


def _notifications(request: Request) -> list[_Notification]:
    """Return the notifications so far, of the request and of its batch."""
    notified: list[_Notification] = request.bound_data.setdefault("resource_events", [])
    return notified


def count_notifications(request: Request) -> int:
    """Return the number of notifications so far, for :func:`forget_notifications`."""
    return len(_notifications(request))


def forget_notifications(request: Request, count: int) -> None:
    """Discard all but the first ``count`` notifications."""
    del _notifications(request)[count:]


def notify_resource_event(
    request: Request, timestamp: int, data: object, action: ACTIONS, old: object = None
) -> None:
    """Schedule an event about an action on records, if the request succeeds.

    :param timestamp: timestamp of the collection, in milliseconds.
    :param data: the current record, or the list of records.
    :param old: the record before the change.
    """
    records = data if isinstance(data, list) else [data]
    if action is not ACTIONS.READ:
        records = [_impact(action, record, old) for record in records]
    matchdict = dict(request.matchdict or {})
    name = request.current_resource_name
    _notifications(request).append(
        _Notification(request, matchdict, name, timestamp, action, list(records))
    )


def _impact(action: ACTIONS, record: object, old: object) -> dict[str, Any]:
    if action is ACTIONS.CREATE:
        return {"new": record}
    if action is ACTIONS.DELETE:
        return {"old": record if old is None else old}
    return {"new": record, "old": old}


def get_resource_events(request: Request, after_commit: bool = False) -> list[Any]:
    """Return the events of the request: one per resource, parent, user and action.

    :param after_commit: whether to return the events sent after the commit.
    """
    return _merge(_notifications(request), after_commit)


def _class_of(action: ACTIONS, after_commit: bool) -> type[Any]:
    if action is ACTIONS.READ:
        return AfterResourceRead if after_commit else ResourceRead
    return AfterResourceChanged if after_commit else ResourceChanged


def _merge(notifications: Iterable[_Notification], after_commit: bool) -> list[Any]:
    merged: dict[tuple[Any, ...], tuple[_Notification, list[Any]]] = {}
    for item in notifications:
        merged.setdefault(item.key(), (item, []))[1].extend(item.records)
    return [item.event(records, after_commit) for item, records in merged.values()]


def _with_subscribers(
    request: Request, notified: Iterable[_Notification], after_commit: bool
) -> list[_Notification]:
    """Return the notifications whose events have subscribers.

    A ``registry.notify()`` that a test has replaced receives all of them.
    """
    if not is_inherited(request.registry, PyramidRegistry, "notify"):
        return list(notified)
    find = request.registry.adapters.subscriptions
    return [
        item
        for item in notified
        if find((implementedBy(_class_of(item.action, after_commit)),), None)
    ]


def _fire(request: Request, start: int = 0) -> None:
    """Send the events of the notifications from index ``start`` on.

    Subscribers can notify further events, which are sent afterwards.
    """
    notified = _notifications(request)
    count = len(notified)
    subscribed = _with_subscribers(request, notified[start:], after_commit=False)
    if subscribed:
        for event in _merge(subscribed, after_commit=False):
            request.registry.notify(event)
        _fire(request, count)


def _fire_after(request: Request, response: Response) -> None:
    if not request.bound_data.get("committed"):
        return
    notified = _with_subscribers(request, _notifications(request), after_commit=True)
    for event in _merge(notified, after_commit=True):
        try:
            request.registry.notify(event)
        except Exception as error:
            forget_variables(error)
            logger.exception("A subscriber of %s failed", event)


def _on_commit(success: bool, request: Request) -> None:
    request.bound_data["committed"] = success


def _forget_all(request: Request) -> None:
    """Discard the notifications, whose references to the request would keep it in memory."""
    request.bound_data.pop("resource_events", None)


def _forget_last(request: Request) -> None:
    """Discard the notifications after the other finished callbacks, which can read them."""
    request.add_finished_callback(_forget_all)


def _fire_once_committed(request: Request) -> None:
    txn = transactions.current()
    if txn is None:
        _on_commit(True, request)
    else:
        txn.addAfterCommitHook(_on_commit, args=(request,))
    request.add_response_callback(_fire_after)


def resource_events_tween_factory(
    handler: Callable[[Any], Any], registry: Registry
) -> Callable[[Any], Any]:
    """Send the events of a request, before its transaction commits and after."""

    def resource_events_tween(request: Request) -> Any:
        response = handler(request)
        if "resource_events" in request.bound_data:
            _fire(request)
            if _with_subscribers(request, _notifications(request), after_commit=True):
                _fire_once_committed(request)
            if getattr(request, "parent", None) is None:  # a batch discards those of its requests
                request.add_finished_callback(_forget_last)
        return response

    return resource_events_tween


def setup_transaction_hook(config: Configurator) -> None:
    """Run each request in one transaction, and send its events around the commit.

    Requests that fail with a retryable error of a backend are attempted at most
    ``retry.attempts`` times.
    """
    config.get_settings().setdefault("retry.activate_hook", "cliquet.http.bodies.read_body_once")
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


class EventActionFilter:
    """``for_actions=(ACTIONS.CREATE, …)``: events of these actions, none if empty.

    :param actions: actions or their names.
    :raises ValueError: for an unknown action.
    """

    def __init__(self, actions: Any, config: Configurator) -> None:
        self.actions = ACTIONS.from_string_list(_as_tuple(actions))

    def phash(self) -> str:
        return f"for_actions = {sorted(action.value for action in self.actions)}"

    text = phash

    def __call__(self, event: Any) -> bool:
        return any(event.payload.get("action") == action.value for action in self.actions)


class EventResourceFilter:
    """``for_resources=("article", …)``: only events of these resources, all if empty.

    :param resources: names of resources.
    """

    def __init__(self, resources: Any, config: Configurator) -> None:
        self.resources = _as_tuple(resources)

    def phash(self) -> str:
        return f"for_resources = {sorted(self.resources)}"

    text = phash

    def __call__(self, event: Any) -> bool:
        return not self.resources or event.payload.get("resource_name") in self.resources


def _as_tuple(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)
