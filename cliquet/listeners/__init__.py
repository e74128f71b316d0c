"""Listeners: what the settings have called after changes (setting ``event_listeners``)."""

from __future__ import annotations

from typing import Any


class ListenerBase:
    """What a listener must do; its module has ``load_from_config(config, prefix)``."""

    def __call__(self, event: Any) -> None:
        """Be told of an event.

        :param event: of :mod:`cliquet.events`, once the change is committed.
        """
        raise NotImplementedError
