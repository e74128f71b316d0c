"""What the contracts of storage, permission and cache say of how a schema is made."""

from __future__ import annotations


class Migrated:
    """A backend that may need something to store its data in."""

    def initialize_schema(self) -> None:
        """Create or upgrade what the backend stores its data in; safe to run twice."""
        raise NotImplementedError

    def pending_migrations(self) -> list[str] | None:
        """Return the steps that :meth:`initialize_schema` would take now, in a line each.

        Nothing is changed. A backend may lack this method, or return None: what there is
        to do is then not told before it is done.
        """
        return None

    def check_durability(self) -> None:
        """Check that the server deletes nothing by itself, for heartbeats; by default, do nothing.

        :raises ~cliquet.storage.exceptions.BackendError: when it might.
        """

    def verify(self) -> None:
        """Look for damage in what is stored, for ``cliquet check``; by default, do nothing.

        :raises ~cliquet.storage.exceptions.BackendError: when some is found.
        """


def pending_migrations(backend: Migrated) -> list[str] | None:
    """Return the steps that ``backend.initialize_schema()`` would take, None if it can't tell.

    A class that does more in ``initialize_schema`` than the one it derives from, and nothing
    about the steps, can't.
    """
    names = {"initialize_schema", "pending_migrations"}
    latest = next(cls for cls in type(backend).__mro__ if names & vars(cls).keys())
    return backend.pending_migrations() if "pending_migrations" in vars(latest) else None
