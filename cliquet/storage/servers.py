"""The servers that the backends of an application need, tried once when it starts."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from cliquet.storage.exceptions import BackendError
from cliquet.utils import without_password

logger = logging.getLogger("cliquet")


class Client(Protocol):
    """The way to a server."""

    def ping(self) -> None:
        """Try the server, in bounded time, and keep no connection.

        :raises BackendError: when it doesn't answer.
        """


def note(registry: Any, key: str, client: Client) -> None:
    """Note that the server of the setting ``key`` is needed, and the way to it."""
    servers: dict[Client, list[str]] | None = getattr(registry, "servers", None)
    if servers is None:
        servers = registry.servers = {}
    servers.setdefault(client, []).append(key)


def tell_those_down(registry: Any) -> None:
    """Log a line for each server that doesn't answer: the service starts all the same.

    No connection stays open: processes that are forked afterwards would share it.
    """
    for client, keys in getattr(registry, "servers", {}).items():
        try:
            client.ping()
        except BackendError as error:
            reason = " ".join(str(error).split())
            url = without_password(str(registry.settings.get(keys[0]) or "the default server"))
            logger.error("%s: %s doesn't answer: %s", ", ".join(keys), url, reason)
