"""The servers that the backends of an application need, tried once when it starts."""

from __future__ import annotations

from typing import Any, Protocol

from cliquet.loggers import get_logger
from cliquet.storage.exceptions import BackendError
from cliquet.utils import without_password

logger = get_logger("cliquet")

#: What the keys of settings begin with whose servers keep data for good.
_DURABLE = ("storage_", "permission_")


class Client(Protocol):
    """The way to a server."""

    def ping(self) -> None:
        """Try the server, in bounded time, and keep no connection.

        :raises BackendError: when it doesn't answer.
        """

    def check_durability(self) -> None:
        """Check that the server deletes nothing by itself.

        :raises BackendError: when it might.
        """

    def close(self) -> None:
        """Close the connections that nobody is using."""


def note(registry: Any, key: str, client: Client) -> None:
    """Note that the server of the setting ``key`` is needed, and the way to it."""
    servers: dict[Client, list[str]] | None = getattr(registry, "servers", None)
    if servers is None:
        servers = registry.servers = {}
    servers.setdefault(client, []).append(key)


def tell_those_down(registry: Any) -> None:
    """Log a line for each server that is down or may lose data: the service starts all the same.

    No connection stays open: processes that are forked afterwards would share it.
    """
    for client, keys in getattr(registry, "servers", {}).items():
        problem = _problem(client, keys)
        if problem is not None:
            url = without_password(str(registry.settings.get(keys[0]) or "the default server"))
            logger.error("%s: %s %s", ", ".join(keys), url, " ".join(problem.split()))


def _problem(client: Client, keys: list[str]) -> str | None:
    """Return the problem of a server, None if it has none."""
    try:
        client.ping()
    except BackendError as error:
        return f"doesn't answer: {error}"
    try:
        if any(key.startswith(_DURABLE) for key in keys):
            client.check_durability()
    except BackendError as error:
        return f"may lose data: {error}"
    finally:
        client.close()
    return None
