"""The ``cliquet check`` command."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cliquet import cache, permission, storage
from cliquet.http.limits import Limits
from cliquet.scripts.cli_output import FAILED, CommandError, format_error
from cliquet.scripts.records import check_records
from cliquet.scripts.schema import backend_name
from cliquet.settings.types import BOOLEAN
from cliquet.types import Registry
from cliquet.utils import without_password

_PROBES: dict[str, Callable[[Any, bool], None]] = {
    "storage": storage.probe,
    "permission": permission.probe,
    "cache": cache.probe,
}

_TITLES = ("KIND", "BACKEND", "URL", "TIME", "RESULT")

_OK = "ok"

# `cliquet new` generates 64 hexadecimal digits.
_SHORTEST_SECRET = 16  # characters


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of :func:`check`."""
    parser.add_argument(
        "--deep",
        action="store_true",
        help="Also read all records, to compare them with the counts and checksums of collections.",
    )
    parser.add_argument(
        "--records",
        metavar="RESOURCE",
        help="Only list the records of this resource that its schema refuses.",
    )


def check(options: Namespace, registry: Registry) -> None:
    """Check the configuration and each backend.

    Writes to each backend and deletes what it wrote; in read-only mode, only reads from storage
    and permission. Reads the whole of an SQLite file to find damage. Settings that are risky in
    production are warnings; an empty userid_hmac_secret is an error.
    """
    if options.records is not None:
        check_records(registry, options.records)
        return
    settings = registry.settings
    mode = ", read-only" if BOOLEAN.get(settings, "readonly", False) else ""
    prefix = registry.route_prefix if hasattr(registry, "route_prefix") else ""
    print(f"{settings['project_name']} {settings['project_version']}, at /{prefix}{mode}")
    rows = [_row(registry, kind) for kind in _PROBES]
    for line in _table([_TITLES, *rows]):
        print(line)
    for warning in _warnings(settings):
        print(f"warning: {warning}")
    failed = [row[0] for row in rows if row[-1].startswith("error")]
    if options.deep and rows[0][-1] == _OK:
        failed += _print_mismatches(registry.storage)
    if not settings.get("userid_hmac_secret"):
        print("error: userid_hmac_secret is empty: anyone can compute user ids")
        failed.append("userid_hmac_secret")
    if failed:
        raise CommandError(f"Checks failed: {', '.join(failed)}", FAILED)


def _print_mismatches(backend: Any) -> list[str]:
    """Print the collections whose count or checksum is wrong; return what failed."""
    try:
        # Storages of 3.1 lack the method.
        mismatches = sorted(getattr(backend, "find_mismatches", tuple)())
    except Exception as error:  # third-party backends can raise anything
        print(f"error: checksums: {format_error(error)}")
        return ["checksums"]
    for collection_id, parent_id, stored, actual in mismatches:
        print(
            f'error: collection "{collection_id}" of "{parent_id}": its checksum is {stored}, but '
            f"that of its records is {actual}"
        )
    print(f"{len(mismatches)} wrong counts or checksums")
    return ["checksums"] if mismatches else []


def _warnings(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield a warning for each setting that is risky in production."""
    if not settings.get("http_host"):
        yield (
            "http_host is empty: URLs in responses use the host of the request. "
            "Set it to the public host."
        )
    if 0 < len(settings.get("userid_hmac_secret") or "") < _SHORTEST_SECRET:
        yield f"userid_hmac_secret is shorter than {_SHORTEST_SECRET} characters: it can be guessed"
    for key in (f"{kind}_backend" for kind in _PROBES):
        if settings.get(key) == f"cliquet.{key.removesuffix('_backend')}.memory":
            yield f"{key} is in memory: processes share no data, and a restart loses it"
    if BOOLEAN.get(settings, "profiler_enabled"):
        yield "profiler_enabled is true: each request writes a file"
    for key in Limits._fields:
        if key in settings and not settings[key]:
            yield f"{key} is empty: the cost of a request is unlimited"


def _row(registry: Registry, kind: str) -> tuple[str, ...]:
    backend, settings = getattr(registry, kind, None), registry.settings
    if backend is None:
        return kind, "-", "-", "-", "not configured"
    started, result = time.perf_counter(), _OK
    try:
        _PROBES[kind](backend, BOOLEAN.get(settings, "readonly", False))
        backend.verify()
    except Exception as error:  # third-party backends can raise anything
        result = f"error: {format_error(error)}"
    duration = f"{(time.perf_counter() - started) * 1000:.1f} ms"
    url = without_password(str(settings.get(f"{kind}_url") or "-"))
    return kind, backend_name(registry, kind), url, duration, result


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
