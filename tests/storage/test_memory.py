"""In-memory storage backend."""

import tracemalloc

import pytest

from cliquet.drivers.memory import MemoryTransactions, transactions_from_config
from cliquet.storage import Filter
from cliquet.storage.memory import Storage, load_from_config
from cliquet.utils import COMPARISON
from tests.configuration import backend_config

PLACE = ("articles", "alice")


@pytest.fixture
def storage():
    return Storage()


def test_the_engines_of_an_application_share_one_lock():
    config = backend_config({})
    assert transactions_from_config(config) is transactions_from_config(config)
    assert load_from_config(config)._transactions is transactions_from_config(config)
    other = backend_config({})
    assert transactions_from_config(config) is not transactions_from_config(other)


def test_a_write_that_fails_half_way_leaves_nothing_behind(storage, serve, monkeypatch):
    for n in range(4):
        storage.create(*PLACE, {"id": str(n)})
    before = storage.get_page(*PLACE, include_deleted=True)
    calls = []

    def fail_at_the_third(current, free):
        calls.append(current)
        if len(calls) == 3:
            raise ZeroDivisionError
        return current + 1, current + 1

    monkeypatch.setattr("cliquet.storage.memory.change_timestamps", fail_at_the_third)
    with pytest.raises(ZeroDivisionError):
        storage.delete_all(*PLACE)
    assert storage.get_page(*PLACE, include_deleted=True) == before
    calls.clear()
    with serve():
        storage.update(*PLACE, "0", {"n": 1})
        during = storage.get_page(*PLACE, include_deleted=True)
        with pytest.raises(ZeroDivisionError):
            storage.delete_all(*PLACE)
        assert storage.get_page(*PLACE, include_deleted=True) == during
    assert storage.get_page(*PLACE, include_deleted=True) == during


def test_failure_to_undo_releases_the_lock(serve, together):
    shared = MemoryTransactions()

    def cannot():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), serve():
        with shared.writing() as log:
            log.append(cannot)
        raise KeyError
    assert together(lambda: shared.reading().__enter__()) == [True]


def test_a_record_of_five_fields_takes_less_than_two_kilobytes(storage):
    record = {
        "title": "The title of an article",
        "url": "https://example.com/articles/of/some/length",
        "status": 1,
        "unread": True,
        "added_by": "A device with a name",
    }
    storage.create(*PLACE, record)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2000):
            storage.create(*PLACE, record)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown / 2000 < 2000


def test_reading_and_failing_leave_nothing_in_memory(storage, serve):
    with pytest.raises(KeyError), serve():
        storage.create("nothing", "committed", {})
        raise KeyError
    for n in range(10):
        storage.get_all("articles", str(n))
        storage.delete_all("articles", str(n))
        storage.purge_deleted("articles", str(n))
    assert storage._collections == {}


def test_a_page_of_a_large_collection_reads_no_other_records(storage, monkeypatch):
    for n in range(500):
        storage.create(*PLACE, {"last_modified": n + 1})
    read = []
    monkeypatch.setattr(
        "cliquet.storage.memory.rows_to_records",
        lambda rows, names: read.extend(rows) or [{"last_modified": row[1]} for row in rows],
    )
    assert len(storage.get_all(*PLACE, limit=10)[0]) == len(read) == 10
    read.clear()
    since = Filter("last_modified", 495, COMPARISON.GT)
    assert len(storage.get_all(*PLACE, filters=[since], include_deleted=True)[0]) == len(read) == 5


def test_records_are_deleted_in_the_order_of_their_creation(storage):
    for name in "abcd":
        storage.create(*PLACE, {"id": name})
    storage.update(*PLACE, "a", {"n": 1})
    storage.delete(*PLACE, "b")
    storage.create(*PLACE, {"id": "b"})
    assert [tombstone["id"] for tombstone in storage.delete_all(*PLACE)] == list("acdb")
