"""Listener that pushes events to a Redis list for other programs.

Enable it with::

    cliquet.event_listeners = queue
    cliquet.event_listeners.queue.use = cliquet.listeners.redis
    cliquet.event_listeners.queue.server_url = redis://localhost:6379/0
    cliquet.event_listeners.queue.listname = articles

Further settings are ``pool_size`` (25 connections at most), ``include_records`` (false), and
``actions`` and ``resources`` as for any listener.
"""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator

from cliquet.drivers import connectivity
from cliquet.drivers.redis.client import DEFAULT_POOL_SIZE, EXPECTED, Client, create_from_config
from cliquet.listeners import ListenerBase
from cliquet.loggers import get_logger
from cliquet.settings import load_default_settings
from cliquet.settings.types import BOOLEAN, POSITIVE
from cliquet.settings.validation import invalid, parse
from cliquet.storage.exceptions import BackendError
from cliquet.utils import json

logger = get_logger(__name__)

#: Maximum delay of a response in seconds, for each step: get a connection from the pool,
#: connect, receive the reply.
TIMEOUT = 1.0

_DEFAULTS = {
    "server_url": "",
    "url": "",
    "pool_size": DEFAULT_POOL_SIZE,
    "listname": "cliquet.events",
    "include_records": False,
}


class Listener(ListenerBase):
    """Pushes the payload of each event, as a JSON object, to the left of a list.

    :param client: the client of the server.
    :param listname: the key of the list.
    :param include_records: whether to add the list ``impacted_records`` of changes.
    """

    after_commit = True

    def __init__(
        self,
        client: Client,
        listname: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._client = client
        self.listname = listname
        self._include_records = kwargs.get("include_records", False)

    def __call__(self, event: Any) -> None:
        message = dict(event.payload)
        if self._include_records and hasattr(event, "impacted_records"):
            message["impacted_records"] = event.impacted_records
        try:
            self._client.call("LPUSH", self.listname, json.dumps_bytes(message))
        except BackendError as error:
            logger.error("Cannot push %s to %s: %s", event, self.listname, error)


def load_from_config(config: Configurator, prefix: str) -> Listener:
    """Return the listener for the settings that begin with ``prefix``.

    The URL is in ``server_url`` or ``url``.

    :raises pyramid.exceptions.ConfigurationError: if a setting is invalid.
    """
    load_default_settings(config, {prefix + key: value for key, value in _DEFAULTS.items()})
    settings = config.get_settings()
    pool_size = parse(settings, f"{prefix}pool_size", POSITIVE)
    include_records = parse(settings, f"{prefix}include_records", BOOLEAN)
    key = f"{prefix}url" if settings[f"{prefix}url"] else f"{prefix}server_url"
    try:
        client = Client(str(settings[key]), pool_size, TIMEOUT)
    except (TypeError, ValueError):
        raise invalid(settings, key, EXPECTED) from None
    connectivity.register(config.registry, key, client)
    return Listener(client, str(settings[f"{prefix}listname"]), include_records=include_records)


__all__ = ["Listener", "ListenerBase", "create_from_config", "load_from_config"]
