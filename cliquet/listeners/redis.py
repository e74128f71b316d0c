"""A listener that pushes events on a list of a Redis server, for other programs to take.

Enable it with::

    cliquet.event_listeners = queue
    cliquet.event_listeners.queue.use = cliquet.listeners.redis
    cliquet.event_listeners.queue.server_url = redis://localhost:6379/0
    cliquet.event_listeners.queue.listname = articles

Further settings of it are ``pool_size`` (25 connections at most), and ``actions`` and
``resources`` as of any listener.
"""

from __future__ import annotations

import logging
from typing import Any

from cliquet.checks import invalid
from cliquet.kinds import POSITIVE
from cliquet.listeners import ListenerBase
from cliquet.settings import load_default_settings
from cliquet.storage import servers
from cliquet.storage.exceptions import BackendError
from cliquet.storage.redis.client import DEFAULT_POOL_SIZE, EXPECTED, Client
from cliquet.utils import json

logger = logging.getLogger(__name__)

#: Seconds that an answer may have to wait for the server, at each step: to have a connection of
#: the pool, to make it, to be answered.
TIMEOUT = 1.0

_DEFAULTS = {
    "server_url": "",
    "url": "",
    "pool_size": DEFAULT_POOL_SIZE,
    "listname": "cliquet.events",
}


class Listener(ListenerBase):
    """Pushes each event, as a JSON object, on the left of a list.

    It is the payload of the event; of changes there is the list ``impacted_records`` too.

    :param client: the way to the server.
    :param listname: the key of the list.
    """

    def __init__(self, client: Client, listname: str) -> None:
        self._client = client
        self._listname = listname

    def __call__(self, event: Any) -> None:
        message = dict(event.payload)
        if hasattr(event, "impacted_records"):
            message["impacted_records"] = event.impacted_records
        try:
            self._client.call("LPUSH", self._listname, json.dumps_bytes(message))
        except BackendError as error:
            logger.error("%s is not pushed on %s: %s", event, self._listname, error)


def load_from_config(config: Any, prefix: str) -> Listener:
    """Return the listener of the settings that begin with ``prefix``.

    The URL may be in ``server_url``, or ``url``.

    :raises pyramid.exceptions.ConfigurationError: when it is no URL of a Redis server, or the
        size of the pool no integer.
    """
    load_default_settings(config, {prefix + key: value for key, value in _DEFAULTS.items()})
    settings = config.get_settings()
    try:
        pool_size = POSITIVE.parse(settings[f"{prefix}pool_size"])
    except ValueError:
        raise invalid(settings, f"{prefix}pool_size", POSITIVE.expected) from None
    key = f"{prefix}url" if settings[f"{prefix}url"] else f"{prefix}server_url"
    try:
        client = Client(str(settings[key]), pool_size, TIMEOUT)
    except (TypeError, ValueError):
        raise invalid(settings, key, EXPECTED) from None
    servers.note(config.registry, key, client)
    return Listener(client, str(settings[f"{prefix}listname"]))
