"""Listeners: callables that the setting ``event_listeners`` subscribes to events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator

from cliquet import events
from cliquet.loggers import get_logger
from cliquet.settings import load_default_settings
from cliquet.settings.types import MODULE
from cliquet.settings.validation import ErrorCollector, invalid, parse
from cliquet.types import Settings
from cliquet.utils import forget_variables, setting_list

logger = get_logger(__name__)


class ListenerBase:
    """Base class of listeners; their module has ``load_from_config(config, prefix)``.

    A listener can be any callable. By default it is called inside the transaction, before the
    commit, with :class:`~cliquet.events.ResourceChanged` and
    :class:`~cliquet.events.ResourceRead` events: an exception cancels the change.
    """

    #: If True, the listener is called after the commit, with
    #: :class:`~cliquet.events.AfterResourceChanged` and
    #: :class:`~cliquet.events.AfterResourceRead` events: an exception is only logged.
    after_commit = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, event: Any) -> None:
        """Process an event of :mod:`cliquet.events`."""
        raise NotImplementedError


def setup_listeners(config: Configurator) -> None:
    """Subscribe the listeners of the setting ``event_listeners``.

    :raises pyramid.exceptions.ConfigurationError: with all errors in their settings.
    """
    problems = ErrorCollector()
    for name in setting_list(config.get_settings()["event_listeners"]):
        with problems.collect():
            _subscribe(config, name)
    problems.raise_if_any()


def _subscribe(config: Configurator, name: str) -> None:
    prefix = _prefix(config, name)
    settings, statsd = config.get_settings(), getattr(config.registry, "statsd", None)
    key = f"{prefix}use"
    listener = parse(settings, key, MODULE, settings[key] or name).load_from_config(config, prefix)
    if not callable(listener):
        expected = "a module whose load_from_config() returns a callable"
        raise invalid(settings, key, expected)
    actions, resources = _filters(settings, prefix)
    after_commit = getattr(listener, "after_commit", False)
    if statsd is not None:
        listener = statsd.timer(f"listeners.{name}")(listener.__call__)
    classes: tuple[type, type] = (events.ResourceRead, events.ResourceChanged)
    if after_commit:
        listener = _guarded(name, listener)
        classes = (events.AfterResourceRead, events.AfterResourceChanged)
    for class_ in classes:
        config.add_subscriber(listener, class_, for_actions=actions, for_resources=resources)


def _prefix(config: Configurator, name: str) -> str:
    """Return the prefix of the settings of a listener, and load their defaults.

    A listener named by its module ``a.b.c``, without ``use``, has ``event_listeners.c.*``.
    """
    keys = ("use", "actions", "resources")
    for prefix in (f"event_listeners.{name}.", f"event_listeners.{name.rpartition('.')[2]}."):
        load_default_settings(config, {f"{prefix}{key}": "" for key in keys})
        if config.get_settings()[f"{prefix}use"]:
            break
    return prefix


def _filters(settings: Settings, prefix: str) -> tuple[Any, list[str]]:
    """Return the actions and resources of a listener; no resource means all."""
    names = setting_list(settings[f"{prefix}actions"]) or ("create", "update", "delete")
    try:
        actions = events.ACTIONS.from_string_list(names)
    except ValueError as error:
        choices = ", ".join(action.value for action in events.ACTIONS)
        raise invalid(settings, f"{prefix}actions", f"some of {choices}") from error
    return actions, setting_list(settings[f"{prefix}resources"])


def _guarded(name: str, listener: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return a subscriber that logs failures of a listener."""

    def on_event(event: Any) -> None:
        try:
            listener(event)
        except Exception as error:
            forget_variables(error)
            logger.exception("The listener %s failed on %s", name, event)

    return on_event
