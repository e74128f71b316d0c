"""Records that the contracts store and read, and helpers of their tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from cliquet.storage import Record, StorageBase

#: Decorator of property tests, whose examples share a backend.
on_one_backend = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)

#: A collection: ``collection_id`` and ``parent_id``.
PLACE = ("articles", "alice")


def fill(storage: StorageBase, count: int = 5, place: tuple[str, str] = PLACE) -> list[Record]:
    """Create records with the ids 0, 1, …, and return them."""
    return [storage.create(*place, {"id": str(n), "n": n, "odd": n % 2}) for n in range(count)]


def ids_of(storage: StorageBase, **query: Any) -> list[str]:
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


def in_threads(*functions: Callable[[], None]) -> None:
    """Call functions in a thread each, and check that none fails."""
    failures: list[BaseException] = []

    def run(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
