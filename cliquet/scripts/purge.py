"""The command ``cliquet purge-deleted``: tombstones are forgotten when they are old."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from pyramid.settings import asbool

from cliquet.kinds import parse_date
from cliquet.scripts.terminal import FAILED, MISUSED, Mistake, Progress
from cliquet.storage import Deleted, StorageBase
from cliquet.utils import msec_time

#: How many tombstones a transaction forgets at most: writers don't wait for more.
BATCH = 1000

_MILLISECONDS = {"h": 3600_000, "d": 24 * 3600_000, "w": 7 * 24 * 3600_000}

_AGE = re.compile(r"([0-9]{1,6})([hdw])")
_TIMESTAMP = re.compile(r"[0-9]{12,15}")

_EXPECTED = (
    "expected an age as 12h, 30d or 2w, a date as 2026-01-31 (UTC), or a timestamp in milliseconds"
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of :func:`purge_deleted`."""
    parser.add_argument(
        "--before",
        metavar="AGE",
        required=True,
        type=moment,
        help="purge what was deleted longer ago: 12h (hours), 30d (days), 2w (weeks);"
        " or before a date, as 2026-01-31, or a timestamp in milliseconds",
    )
    parser.add_argument(
        "--resource", metavar="NAME", help="purge the tombstones of this resource alone"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="count the tombstones, and change nothing"
    )


def moment(text: str) -> int:
    """Return the timestamp, in milliseconds, that an argument tells.

    :param text: an age, a date of ISO 8601, in UTC unless it tells a zone, or a timestamp.
    :raises argparse.ArgumentTypeError: when it is none of these, or still to come.
    """
    try:
        timestamp = _timestamp(text)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r}: {_EXPECTED}") from None
    if timestamp > msec_time():
        raise ArgumentTypeError(f"{text!r} is still to come")
    return max(0, timestamp)


def _timestamp(text: str) -> int:
    age = _AGE.fullmatch(text)
    if age:
        return msec_time() - int(age[1]) * _MILLISECONDS[age[2]]
    if _TIMESTAMP.fullmatch(text):
        return int(text)
    return int(parse_date(text).timestamp() * 1000)


def purge_deleted(options: Namespace, registry: Any) -> None:
    """Forget the tombstones of records that were deleted long ago.

    A client that asks for what changed since an earlier time is not told of these
    deletions any more: AGE has to be longer than clients are ever offline.
    """
    storage = _storage(registry, options.dry_run)
    counts = _counts(registry, storage, options)
    date = datetime.fromtimestamp(options.before / 1000, UTC).isoformat(" ", "seconds")
    print(f"tombstones from before {date}:", flush=True)
    total = 0
    for collection_id, group in groupby(counts, key=lambda deleted: deleted.collection_id):
        places = list(group)
        number = _number(places)
        if not options.dry_run:
            number = _purge(storage, options.before, places)
        total += number
        print(f"{collection_id}: {number}, of {len(places)} parents", flush=True)
    print(f"{total} in all {'would be' if options.dry_run else 'were'} purged")


def _storage(registry: Any, dry_run: bool) -> StorageBase:
    storage: StorageBase | None = getattr(registry, "storage", None)
    if storage is None:
        raise Mistake("no storage is configured: storage_backend is empty", FAILED)
    if asbool(registry.settings.get("readonly")) and not dry_run:
        raise Mistake("the service is read-only: nothing is purged", FAILED)
    return storage


def _counts(registry: Any, storage: StorageBase, options: Namespace) -> list[Deleted]:
    """Return what there is to purge, in the order of the collection ids."""
    try:
        counts = storage.count_deleted(options.before)
    except NotImplementedError:
        name = registry.settings["storage_backend"]
        raise Mistake(f"{name} can't tell where it has tombstones", FAILED) from None
    if options.resource is None:
        return counts
    known = {deleted.collection_id: deleted.collection_id for deleted in counts}
    known.update(_resources(registry))
    if options.resource not in known:
        names = ", ".join(sorted(known)) or "none"
        raise Mistake(f"there is no resource {options.resource!r}, but: {names}", MISUSED)
    return [item for item in counts if item.collection_id == known[options.resource]]


def _resources(registry: Any) -> dict[str, str]:
    """Return the collection ids of the resources, by name and by themselves."""
    ids: dict[str, str] = {}
    for service in getattr(registry, "cornice_services", {}).values():
        if hasattr(service, "viewset"):
            collection_id = service.resource.__name__.lower()
            ids.setdefault(collection_id, collection_id)
            ids[service.viewset.get_name(service.resource)] = collection_id
    return ids


def _purge(storage: StorageBase, before: int, places: Sequence[Deleted]) -> int:
    """Purge the tombstones of one resource, and return how many there were."""
    purged = 0
    with Progress(places[0].collection_id, _number(places)) as progress:
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
