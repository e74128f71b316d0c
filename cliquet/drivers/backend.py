"""Common base classes and health checks of the storage, permission and cache backends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from pyramid.request import Request

from cliquet.drivers.exceptions import BackendError
from cliquet.drivers.outages import should_log
from cliquet.settings.types import BOOLEAN


class Backend:
    """A storage, permission or cache backend, which might need a database schema."""

    def initialize_schema(self) -> None:
        """Create or upgrade the database schema; safe to run repeatedly."""
        raise NotImplementedError

    def pending_migrations(self) -> list[str] | None:
        """Return the steps that :meth:`initialize_schema` would take now, one line each.

        Nothing is changed. If a backend lacks this method or returns None, the steps can't
        be listed in advance.
        """
        return None

    def check_durability(self) -> None:
        """Check that the server never deletes data on its own; by default, do nothing.

        Heartbeats call it.

        :raises ~cliquet.storage.exceptions.BackendError: if it can.
        """

    def verify(self) -> None:
        """Check the stored data for damage; by default, do nothing.

        ``cliquet check`` calls it.

        :raises ~cliquet.storage.exceptions.BackendError: if there is damage.
        """


class SchemalessBackend(Backend):
    """A backend that needs no schema."""

    def initialize_schema(self) -> None:
        """Do nothing: there is no schema."""

    def pending_migrations(self) -> list[str] | None:
        return []


def pending_migrations(backend: Backend) -> list[str] | None:
    """Return the steps of ``backend.initialize_schema()``, None if unknown.

    They are unknown if a subclass overrides ``initialize_schema`` but not
    ``pending_migrations``, and for a mock.
    """
    names = {"initialize_schema", "pending_migrations"}
    defined = (names & vars(cls).keys() for cls in type(backend).__mro__)
    latest = next(filter(None, defined), set())
    return backend.pending_migrations() if "pending_migrations" in latest else None


def health_check(kind: str, probe: Callable[[bool], None]) -> Callable[[Any], bool]:
    """Return the health check of a backend for ``registry.heartbeats``, which logs failures.

    :param kind: the kind of backend, such as ``storage``. Its module contains the logger.
    :param probe: checks the backend; called with the setting ``readonly``.
    """

    def logger() -> Any:
        return sys.modules[f"cliquet.{kind}"].logger  # tests of applications replace it

    def check(request: Request) -> bool:
        try:
            probe(BOOLEAN.get(request.registry.settings, "readonly", False))
        except Exception as error:
            outage = error.outage if isinstance(error, BackendError) else ""
            if not outage:
                logger().exception(f"The {kind} backend failed")
            elif should_log(request.registry, f"{kind}: {outage}"):
                reason = " ".join(str(error).split())
                message = f"The {kind} backend failed; logged once per minute: {reason}"
                logger().exception(message, show_traceback=False)
            return False
        return True

    return check
