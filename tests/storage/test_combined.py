"""Reads that combine other reads, in storages that lack or override some of these."""

import copy

import pytest

from cliquet.storage import Page, StorageBase
from cliquet.storage.memory import Storage
from cliquet.testing.contracts.samples import PLACE

READS = ("get", "get_all", "collection_timestamp")


@pytest.fixture
def storage_of_3_1():
    """A storage with the methods for reads that version 3.1 had, and the complete storage."""
    complete = Storage()
    storage = StorageBase()
    for name in READS:
        setattr(storage, name, getattr(complete, name))
    return storage, complete


def with_class(storage, class_):
    changed = copy.copy(storage)
    changed.__class__ = class_
    return changed


def assert_same_checksums(storage, complete):
    created = [complete.create(*PLACE, {}) for _ in range(2)]
    ids = [created[0]["id"]]
    assert storage.checksum(*PLACE) == complete.checksum(*PLACE)
    assert storage.checksum(*PLACE, ids=ids) == complete.checksum(*PLACE, ids=ids)
    page = storage.get_page(*PLACE, with_checksum=True, checksum_ids=ids)
    assert page.checksum == complete.checksum(*PLACE, ids=ids)


def test_storage_of_3_1_reads_pages_locked_records_and_timestamps(storage_of_3_1):
    storage, complete = storage_of_3_1
    created = complete.create(*PLACE, {"n": 1})
    assert storage.get_page(*PLACE) == Page([created], 1, created["last_modified"])
    assert storage.get_for_update(*PLACE, created["id"]) == created
    places = [PLACE, ("never", "written")]
    assert storage.collection_timestamps(places) == complete.collection_timestamps(places)


def test_storage_of_3_1_reads_checksums(storage_of_3_1):
    assert_same_checksums(*storage_of_3_1)


def test_checksums_are_computed_if_pages_lack_them(storage):
    class Without(type(storage)):
        def _page(self, *args, **kwargs):
            return super()._page(*args, **kwargs)._replace(checksum=None)

    assert_same_checksums(with_class(storage, Without), storage)


def test_overridden_reads_are_used_everywhere(storage, monkeypatch):
    class Marking(type(storage)):
        def get(self, *args, **kwargs):
            return {**super().get(*args, **kwargs), "got": True}

        def get_all(self, *args, **kwargs):
            records, total = super().get_all(*args, **kwargs)
            return [{**record, "got": True} for record in records], total

    created = storage.create(*PLACE, {"n": 1})
    marked = {**created, "got": True}
    marking = with_class(storage, Marking)
    assert marking.get_for_update(*PLACE, created["id"]) == marked
    assert marking.get_page(*PLACE) == Page([marked], 1, created["last_modified"])
    monkeypatch.setattr(storage, "collection_timestamp", lambda *args, **kwargs: 5)
    assert storage.get_page(*PLACE) == Page([created], 1, 5)
