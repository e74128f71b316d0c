"""Contract of the storage backends: deletions, and the tombstones that they leave."""

from __future__ import annotations

from typing import Any

import pytest

from cliquet.storage import Filter, Page, StorageBase
from cliquet.storage.exceptions import RecordNotFoundError
from cliquet.testing.contracts.samples import PLACE, everything, fill, require
from cliquet.utils import COMPARISON


class DeletionContract:
    """Tests of the deletions in a storage backend."""

    def test_deleted_record_leaves_a_tombstone(self, storage: StorageBase) -> None:
        _, second = fill(storage, 2)
        deleted = storage.delete(*PLACE, "0")
        timestamp = storage.collection_timestamp(*PLACE)
        assert deleted == {"id": "0", "last_modified": timestamp, "deleted": True}
        assert timestamp > second["last_modified"]
        assert storage.get_all(*PLACE) == ([second], 1)
        assert everything(storage) == {"0": deleted, "1": second}
        for read in (storage.get, storage.get_for_update, storage.delete):
            with pytest.raises(RecordNotFoundError):
                read(*PLACE, "0")

    def test_record_can_be_deleted_without_tombstone(self, storage: StorageBase) -> None:
        fill(storage, 2)
        deleted = storage.delete(*PLACE, "0", with_deleted=False)
        timestamp = storage.collection_timestamp(*PLACE)
        assert deleted == {"id": "0", "last_modified": timestamp, "deleted": True}
        assert set(everything(storage)) == {"1"}

    @pytest.mark.parametrize("again", ["create", "update"])
    def test_record_replaces_its_tombstone(self, storage: StorageBase, again: str) -> None:
        fill(storage, 1)
        deleted = storage.delete(*PLACE, "0")
        if again == "create":
            record = storage.create(*PLACE, {"id": "0"})
        else:
            record = storage.update(*PLACE, "0", {})
        assert record["last_modified"] > deleted["last_modified"]
        assert everything(storage) == {"0": record}
        assert storage.purge_deleted(*PLACE) == 0
        assert storage.get(*PLACE, "0") == record

    def test_each_of_the_deleted_records_leaves_a_tombstone(self, storage: StorageBase) -> None:
        fill(storage)
        before = storage.delete(*PLACE, "2")
        tombstones = storage.delete_all(*PLACE)
        assert {record["id"] for record in tombstones} == set("0134")
        timestamps = [record["last_modified"] for record in tombstones]
        assert len(set(timestamps)) == 4
        assert min(timestamps) > before["last_modified"]
        assert storage.collection_timestamp(*PLACE) == max(timestamps)
        assert storage.get_all(*PLACE) == ([], 0)
        assert everything(storage) == {record["id"]: record for record in [before, *tombstones]}

    def test_all_records_can_be_deleted_without_tombstones(self, storage: StorageBase) -> None:
        fill(storage)
        tombstones = storage.delete_all(*PLACE, with_deleted=False)
        assert {record["id"] for record in tombstones} == set("01234")
        assert everything(storage) == {}
        latest = max(record["last_modified"] for record in tombstones)
        assert storage.collection_timestamp(*PLACE) == latest

    def test_matching_records_are_deleted(self, storage: StorageBase) -> None:
        cases = [
            (Filter("odd", 1, COMPARISON.EQ), "13"),
            (Filter("odd", 1, COMPARISON.NOT), "024"),
            (Filter("id", ["4", "1", "9"], COMPARISON.IN), "14"),
            (Filter("deleted", False, COMPARISON.EQ), "01234"),
            (Filter("deleted", True, COMPARISON.EQ), ""),
            (Filter("n", 3, COMPARISON.MIN), "34"),
        ]
        for number, (filter_, expected) in enumerate(cases):
            place = ("articles", str(number))
            fill(storage, place=place)
            tombstones = storage.delete_all(*place, filters=[filter_])
            assert {record["id"] for record in tombstones} == set(expected), filter_
            left, total = storage.get_all(*place)
            assert {record["id"] for record in left} == set("01234") - set(expected), filter_
            assert total == len(left)

    def test_records_changed_since_a_time_are_deleted(self, storage: StorageBase) -> None:
        records = fill(storage)
        since = Filter("last_modified", records[2]["last_modified"], COMPARISON.GT)
        tombstones = storage.delete_all(*PLACE, filters=[since])
        assert {record["id"] for record in tombstones} == {"3", "4"}

    def test_deleting_all_records_of_an_empty_collection_changes_nothing(
        self, storage: StorageBase
    ) -> None:
        assert storage.delete_all(*PLACE) == []
        fill(storage, 1)
        deleted = storage.delete(*PLACE, "0")
        assert storage.delete_all(*PLACE) == []
        assert everything(storage) == {"0": deleted}

    def test_tombstones_before_a_time_are_purged(self, storage: StorageBase) -> None:
        fill(storage)
        deleted = [storage.delete(*PLACE, object_id) for object_id in "012"]
        timestamp = storage.collection_timestamp(*PLACE)
        before = deleted[1]["last_modified"]
        assert storage.purge_deleted(*PLACE, before=before) == 1
        assert set(everything(storage)) == set("1234")
        assert storage.purge_deleted(*PLACE, before=before) == 0
        assert storage.purge_deleted(*PLACE) == 2
        assert set(everything(storage)) == set("34")
        assert storage.get_page(*PLACE)[1:] == Page([], 2, timestamp)[1:]
        assert storage.purge_deleted("never", "written") == 0

    def test_deletions_and_purges_concern_one_collection(self, storage: StorageBase) -> None:
        others = [("articles", "bob"), ("other", "alice")]
        for place in (*others, PLACE):
            storage.create(*place, {"id": "a"})
            storage.create(*place, {"id": "b"})
            storage.delete(*place, "b")
        storage.delete_all(*PLACE)
        assert storage.purge_deleted(*PLACE) == 2
        for place in others:
            records, total = storage.get_all(*place, include_deleted=True)
            assert (len(records), total) == (2, 1)

    def test_oldest_tombstones_are_purged_first_up_to_a_limit(self, storage: StorageBase) -> None:
        require(storage.count_deleted)
        fill(storage)
        for object_id in "31402":
            storage.delete(*PLACE, object_id, last_modified=100 + int(object_id))
        before = 104
        assert storage.purge_deleted(*PLACE, before=before, limit=3) == 3
        assert set(everything(storage)) == set("34")
        assert storage.purge_deleted(*PLACE, before=before, limit=3) == 1
        assert storage.purge_deleted(*PLACE, before=before, limit=3) == 0
        assert storage.purge_deleted(*PLACE, limit=3) == 1
        assert everything(storage) == {}

    def test_tombstones_are_counted_by_collection(self, storage: StorageBase) -> None:
        require(storage.count_deleted)
        assert storage.count_deleted() == []
        collection = ("arti:cles\0é", "bo:b*")
        for place in (("other", "alice"), collection, ("without", "tombstone"), PLACE):
            for object_id in "abc":
                storage.create(*place, {"id": object_id})
        first = min(record["last_modified"] for record in storage.delete_all(*PLACE))
        storage.delete(*collection, "a")
        storage.delete("other", "alice", "a", last_modified=first + 10**6)
        expected: list[Any] = [(*collection, 1), (*PLACE, 3), ("other", "alice", 1)]
        assert storage.count_deleted() == expected
        storage.purge_deleted(*collection)
        assert storage.count_deleted(before=first + 1) == [(*PLACE, 1)]
        assert storage.count_deleted(before=first) == []
