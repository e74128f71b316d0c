"""The ``cliquet purge-deleted`` command."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby

from cliquet.scripts.cli_output import FAILED, MISUSED, CommandError, Progress
from cliquet.scripts.records import collection_id_of, resource_classes
from cliquet.settings.types import BOOLEAN, parse_date
from cliquet.storage import Deleted, StorageBase
from cliquet.types import Registry
from cliquet.utils import msec_time

#: Greatest number of tombstones purged in one transaction, so that writers wait briefly.
BATCH = 1000

_MILLISECONDS = {"h": 3600_000, "d": 24 * 3600_000, "w": 7 * 24 * 3600_000}

_AGE = re.compile(r"([0-9]{1,6})([hdw])")
_TIMESTAMP = re.compile(r"[0-9]{12,15}")

_EXPECTED = (
    "expected an age such as 12h, 30d or 2w, a date such as 2026-01-31 (UTC), "
    "or a timestamp in milliseconds"
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of :func:`purge_deleted`."""
    parser.add_argument(
        "--before",
        metavar="AGE",
        required=True,
        type=parse_cutoff,
        help="Purge tombstones older than an age such as 12h (hours), 30d (days) or 2w (weeks),"
        " a date such as 2026-01-31, or a timestamp in milliseconds.",
    )
    parser.add_argument(
        "--resource", metavar="NAME", help="Purge only the tombstones of this resource."
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="Count the tombstones without purging them."
    )


def parse_cutoff(text: str) -> int:
    """Return an argument as a timestamp in milliseconds.

    :param text: an age, an ISO 8601 date (UTC by default), or a timestamp.
    :raises argparse.ArgumentTypeError: when the argument is invalid or in the future.
    """
    try:
        timestamp = _timestamp(text)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r}: {_EXPECTED}") from None
    if timestamp > msec_time():
        raise ArgumentTypeError(f"{text!r} is in the future: expected a time in the past")
    return max(0, timestamp)


def _timestamp(text: str) -> int:
    age = _AGE.fullmatch(text)
    if age:
        return msec_time() - int(age[1]) * _MILLISECONDS[age[2]]
    if _TIMESTAMP.fullmatch(text):
        return int(text)
    return int(parse_date(text).timestamp() * 1000)


def purge_deleted(options: Namespace, registry: Registry) -> None:
    """Purge the tombstones of records that were deleted long ago.

    Clients that last synchronized before that time miss these deletions, unless they
    verify their copies. Choose an AGE longer than any client stays offline.
    """
    storage = _storage(registry, options.dry_run)
    counts = _counts(registry, storage, options)
    date = datetime.fromtimestamp(options.before / 1000, UTC).isoformat(" ", "seconds")
    print(f"Tombstones older than {date}:", flush=True)
    total = 0
    for collection_id, group in groupby(counts, key=lambda deleted: deleted.collection_id):
        places = list(group)
        number = _number(places)
        if not options.dry_run:
            number = _purge(storage, options.before, places)
        total += number
        print(f"{collection_id}: {_tombstones(number)} (parents: {len(places)})", flush=True)
    print(f"{_tombstones(total)} {'would be purged' if options.dry_run else 'purged'}")


def _tombstones(number: int) -> str:
    return f"{number} tombstone{'' if number == 1 else 's'}"


def _storage(registry: Registry, dry_run: bool) -> StorageBase:
    storage: StorageBase | None = getattr(registry, "storage", None)
    if storage is None:
        raise CommandError("No storage backend. Set storage_backend.", FAILED)
    if BOOLEAN.get(registry.settings, "readonly") and not dry_run:
        raise CommandError(
            "The service is read-only. Set readonly to false or use --dry-run.", FAILED
        )
    return storage


def _counts(registry: Registry, storage: StorageBase, options: Namespace) -> list[Deleted]:
    """Return the number of tombstones to purge by collection and parent, sorted by collection."""
    try:
        counts = storage.count_deleted(options.before)
    except NotImplementedError:
        name = registry.settings["storage_backend"]
        raise CommandError(f"{name} does not implement count_deleted()", FAILED) from None
    if options.resource is None:
        return counts
    collection_ids = {deleted.collection_id: deleted.collection_id for deleted in counts}
    for name, resource in resource_classes(registry).items():
        collection_ids[name] = collection_id_of(resource)
    if options.resource not in collection_ids:
        names = ", ".join(sorted(collection_ids)) or "none"
        message = f"Unknown resource {options.resource!r}: expected one of {names}"
        raise CommandError(message, MISUSED)
    return [item for item in counts if item.collection_id == collection_ids[options.resource]]


def _purge(storage: StorageBase, before: int, places: Sequence[Deleted]) -> int:
    """Purge the tombstones of one resource and return their number."""
    purged = 0
    progress = Progress(places[0].collection_id, _number(places))
    for place in places:
        batch = BATCH
        while batch == BATCH:
            batch = storage.purge_deleted(
                place.collection_id, place.parent_id, before=before, limit=BATCH
            )
            progress.advance(batch)
            purged += batch
    return purged


def _number(places: Iterable[Deleted]) -> int:
    return sum(place.number for place in places)
