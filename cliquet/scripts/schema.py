"""The commands on what the backends keep as a whole: made, upgraded, emptied."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from pyramid.settings import asbool

from cliquet.migrations import Migrated, pending_migrations
from cliquet.scripts.terminal import FAILED, Mistake, tell

#: The kinds of backends, and whether they are left alone in read-only mode.
_KINDS = {"storage": True, "permission": True, "cache": False}


def add_migrate_arguments(parser: ArgumentParser) -> None:
    """Add the options of :func:`migrate`."""
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what there is to do, and change nothing"
    )


def migrate(options: Namespace, registry: Any) -> None:
    """Create or upgrade what the backends store their data in."""
    for kind, name, backend in _writable(registry):
        steps = pending_migrations(backend)
        if options.dry_run:
            print(f"{kind}: {name} {_state(steps)}")
        else:
            print(f"{kind}: preparing {name}")
        for step in steps or []:
            print(f"{kind}: {step}", flush=True)
        if not options.dry_run:
            backend.initialize_schema()
            print(f"{kind}: ready", flush=True)


def _state(steps: list[str] | None) -> str:
    """Return what a dry run tells of a backend, before the steps."""
    if steps is None:
        return "can't tell what there is to do"
    return "has to be prepared" if steps else "is ready"


def init(options: Namespace, registry: Any) -> None:
    """Do as ``migrate``, of which it is the deprecated name."""
    tell("warning: 'init' is deprecated, use 'migrate'")
    migrate(options, registry)


def flush_cache(options: Namespace, registry: Any) -> None:
    """Delete every entry of the cache."""
    cache = getattr(registry, "cache", None)
    if cache is None:
        raise Mistake("no cache is configured: cache_backend is empty", FAILED)
    cache.flush()
    print(f"cache: {backend_name(registry, 'cache')} is empty")


def backend_name(registry: Any, kind: str) -> str:
    """Return the name of the module of a backend, as the settings tell it."""
    backend = getattr(registry, kind)
    return str(registry.settings.get(f"{kind}_backend") or type(backend).__module__)


def _writable(registry: Any) -> Iterator[tuple[str, str, Migrated]]:
    """Yield the kind, the name and the backend, of those that may be written; tell the others."""
    readonly = asbool(registry.settings.get("readonly"))
    for kind, written_by_requests in _KINDS.items():
        backend = getattr(registry, kind, None)
        if backend is None:
            print(f"{kind}: none is configured")
        elif readonly and written_by_requests:
            tell(f"warning: {kind} is skipped, the service is read-only")
        else:
            yield kind, backend_name(registry, kind), backend
