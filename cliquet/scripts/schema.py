"""The ``cliquet migrate``, ``init`` and ``flush-cache`` commands."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from cliquet.drivers.backend import Backend, pending_migrations
from cliquet.scripts.cli_output import FAILED, CommandError, print_message
from cliquet.settings.types import BOOLEAN
from cliquet.types import Registry

#: The kinds of backends, and whether read-only mode skips them.
_KINDS = {"storage": True, "permission": True, "cache": False}


def add_migrate_arguments(parser: ArgumentParser) -> None:
    """Add the options of :func:`migrate`."""
    parser.add_argument(
        "--dry-run", action="store_true", help="List pending migrations without running them."
    )


def migrate(options: Namespace, registry: Registry) -> None:
    """Create the database schema of each backend, or upgrade it."""
    for kind, name, backend in _writable(registry):
        steps = pending_migrations(backend)
        if options.dry_run:
            print(f"{kind}: {name} {_state(steps)}")
        else:
            print(f"{kind}: migrating {name}")
        for step in steps or []:
            print(f"{kind}: {step}", flush=True)
        if not options.dry_run:
            backend.initialize_schema()
            print(f"{kind}: ready", flush=True)


def _state(steps: list[str] | None) -> str:
    """Return the summary that a dry run prints for a backend."""
    if steps is None:
        return "can't list its pending migrations"
    return "has pending migrations" if steps else "is up to date"


def init(options: Namespace, registry: Registry) -> None:
    """Run ``migrate`` (deprecated name)."""
    print_message("warning: 'init' is deprecated, use 'migrate'; Cliquet 4.0 removes it")
    migrate(options, registry)


def flush_cache(options: Namespace, registry: Registry) -> None:
    """Delete every entry of the cache."""
    cache = getattr(registry, "cache", None)
    if cache is None:
        raise CommandError("No cache backend. Set cache_backend.", FAILED)
    cache.flush()
    print(f"cache: {backend_name(registry, 'cache')} flushed")


def backend_name(registry: Registry, kind: str) -> str:
    """Return the name of a backend's module, from the settings if they include it."""
    backend = getattr(registry, kind)
    return str(registry.settings.get(f"{kind}_backend") or type(backend).__module__)


def _writable(registry: Registry) -> Iterator[tuple[str, str, Backend]]:
    """Yield the kind, name and instance of each writable backend; report the skipped ones."""
    readonly = BOOLEAN.get(registry.settings, "readonly")
    for kind, written_by_requests in _KINDS.items():
        backend = getattr(registry, kind, None)
        if backend is None:
            print(f"{kind}: not configured")
        elif readonly and written_by_requests:
            print_message(f"warning: skipping {kind}: the service is read-only")
        else:
            yield kind, backend_name(registry, kind), backend
