"""Records that the contracts of the storage backends store and read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cliquet.storage import Record, StorageBase

#: A collection: ``collection_id`` and ``parent_id``.
PLACE = ("articles", "alice")


def fill(storage: StorageBase, count: int = 5, place: tuple[str, str] = PLACE) -> list[Record]:
    """Create records with the ids 0, 1, …, and return them."""
    return [storage.create(*place, {"id": str(n), "n": n, "odd": n % 2}) for n in range(count)]


def found(storage: StorageBase, **query: Any) -> list[str]:
    """Return the ids on a page, in its order."""
    return [record["id"] for record in storage.get_all(*PLACE, **query)[0]]


def everything(storage: StorageBase) -> dict[str, Record]:
    """Return the records and tombstones by id; an id occurs once."""
    records, _ = storage.get_all(*PLACE, include_deleted=True)
    by_id = {record["id"]: record for record in records}
    assert len(by_id) == len(records)
    return by_id


def require(method: Callable[..., Any], *args: Any) -> None:
    """Skip the test if the backend doesn't implement an optional method."""
    try:
        method(*args)
    except NotImplementedError:
        pytest.skip(f"The backend does not implement {method.__name__}()")
