"""Listeners: what the settings have called after changes (setting ``event_listeners``)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from cliquet import events
from cliquet.checks import Problems, invalid, load_module
from cliquet.settings import load_default_settings
from cliquet.utils import forget_variables, setting_list

logger = logging.getLogger(__name__)


class ListenerBase:
    """What a listener must do; its module has ``load_from_config(config, prefix)``."""

    def __call__(self, event: Any) -> None:
        """Be told of an event.

        :param event: of :mod:`cliquet.events`, once the change is committed.
        """
        raise NotImplementedError


def setup_listeners(config: Any) -> None:
    """Subscribe the listeners of the setting ``event_listeners``.

    :raises pyramid.exceptions.ConfigurationError: tells all that is wrong with their settings.
    """
    problems = Problems()
    for name in setting_list(config.get_settings()["event_listeners"]):
        with problems.noted():
            _subscribe(config, name)
    problems.tell()


def _subscribe(config: Any, name: str) -> None:
    settings, registry = config.get_settings(), config.registry
    prefix = f"event_listeners.{name}."
    keys = ("use", "actions", "resources")
    load_default_settings(config, {f"{prefix}{key}": "" for key in keys})
    listener = load_module(config, f"{prefix}use", default=name).load_from_config(config, prefix)
    if not isinstance(listener, ListenerBase):
        expected = (
            "a module whose load_from_config returns an instance of cliquet.listeners.ListenerBase"
        )
        raise invalid(settings, f"{prefix}use", expected)
    actions, resources = _filters(settings, prefix)
    if registry.statsd is not None:
        listener = registry.statsd.timer(f"listeners.{name}")(listener.__call__)
    listener = _guarded(name, listener)
    for event in (events.AfterResourceRead, events.AfterResourceChanged):
        config.add_subscriber(listener, event, for_actions=actions, for_resources=resources)


def _filters(settings: Any, prefix: str) -> tuple[Any, list[str]]:
    """Return the actions and the resources that a listener hears; no resource means all."""
    names = setting_list(settings[f"{prefix}actions"]) or ("create", "update", "delete")
    try:
        actions = events.ACTIONS.from_string_list(names)
    except ValueError as error:
        known = ", ".join(action.value for action in events.ACTIONS)
        raise invalid(settings, f"{prefix}actions", f"some of {known}") from error
    return actions, setting_list(settings[f"{prefix}resources"])


def _guarded(name: str, listener: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return a subscriber that calls a listener: its failure is logged, and hurts no other one."""

    def hear(event: Any) -> None:
        try:
            listener(event)
        except Exception as error:
            forget_variables(error)
            logger.exception("The listener %s failed on %s", name, event)

    return hear
