"""The clients that backends share, and connectivity checks of their servers at start-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from pyramid.registry import Registry

from cliquet.drivers.exceptions import BackendError
from cliquet.loggers import get_logger
from cliquet.state import state_of
from cliquet.utils import without_password

logger = get_logger("cliquet")

#: Prefixes of the settings of backends that store data permanently.
_DURABLE = ("storage_", "permission_")


class Client(Protocol):
    """The client of a server."""

    def ping(self) -> None:
        """Connect to the server, within a bounded time, and close the connection.

        :raises BackendError: if the server doesn't respond.
        """

    def check_durability(self) -> None:
        """Check that the server never deletes data on its own.

        :raises BackendError: if it can.
        """

    def close(self) -> None:
        """Close the idle connections."""


T = TypeVar("T")


def shared(registry: Registry, kind: str, key: object, create: Callable[[], T]) -> T:
    """Return an object that the backends of an application share, created if needed.

    :param kind: the kind of object, whose objects have distinct keys.
    """
    objects: dict[object, T] = state_of(registry).shared.setdefault(kind, {})
    if key not in objects:
        objects[key] = create()
    return objects[key]


def register(registry: Registry, key: str, client: Client) -> None:
    """Register the client of the server in the setting ``key``."""
    shared(registry, "servers", client, list[str]).append(key)


def log_unreachable(registry: Registry) -> None:
    """Log an error for each server that is down or can lose data.

    No connection stays open, because forked processes would share it.
    """
    for client, keys in state_of(registry).shared.get("servers", {}).items():
        problem = _problem(client, keys)
        if problem is not None:
            url = without_password(str(registry.settings.get(keys[0]) or "the default server"))
            logger.error("%s: %s %s", ", ".join(keys), url, " ".join(problem.split()))


def _problem(client: Client, keys: list[str]) -> str | None:
    """Return the problem of a server, or None."""
    try:
        client.ping()
    except BackendError as error:
        return f"does not respond: {error}"
    try:
        if any(key.startswith(_DURABLE) for key in keys):
            client.check_durability()
    except BackendError as error:
        return f"can lose data: {error}"
    finally:
        client.close()
    return None
