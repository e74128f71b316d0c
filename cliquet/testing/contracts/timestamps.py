"""Contract of the storage backends: timestamps of records and collections."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cliquet.storage import Filter, Page, Record, StorageBase
from cliquet.storage.exceptions import RecordNotFoundError
from cliquet.testing.contracts.samples import PLACE, everything, fill
from cliquet.utils import COMPARISON, msec_time

FUTURE = 32503680000000  # the year 3000
PAST = 1000

EARLIER = (PAST - 1, PAST - 999, 0, -5)


def collection(storage: StorageBase) -> int:
    return storage.collection_timestamp(*PLACE)


def create(storage: StorageBase, timestamp: int | None = None, **fields: Any) -> Record:
    return storage.create(*PLACE, {"last_modified": timestamp, **fields})


def put(storage: StorageBase, timestamp: int) -> Record:
    return storage.update(*PLACE, f"new{timestamp}", {"last_modified": timestamp})


class TimestampContract:
    """Tests of the timestamps in a storage backend."""

    def test_collections_that_were_never_written_share_one_timestamp(
        self, storage: StorageBase
    ) -> None:
        first = collection(storage)
        assert 1_400_000_000_000 < first <= msec_time()
        time.sleep(0.003)
        assert collection(storage) == first
        assert storage.get_page(*PLACE) == Page([], 0, first)
        storage.create("other", "alice", {})
        assert storage.collection_timestamp("other", "bob") == collection(storage) == first
        assert storage.get_page("other", "bob").timestamp == first

    def test_flush_makes_the_timestamps_of_empty_collections_later(
        self, storage: StorageBase
    ) -> None:
        latest = collection(storage)
        for n in range(3):
            latest = max(latest, create(storage, id=f"{n}")["last_modified"])
            storage.flush()
            assert collection(storage) > latest
            latest = collection(storage)
        assert create(storage)["last_modified"] > latest

    def test_flush_ignores_requested_timestamps_in_the_future(self, storage: StorageBase) -> None:
        create(storage, FUTURE)
        latest = storage.create("other", "bob", {})["last_modified"]
        storage.flush()
        assert latest < collection(storage) <= max(msec_time(), latest + 1)

    def test_first_record_of_a_collection_can_be_of_the_past(self, storage: StorageBase) -> None:
        record = {"id": "a", "last_modified": PAST}
        assert storage.create(*PLACE, record) == record
        assert collection(storage) == PAST
        assert storage.update("other", "bob", "a", record) == record
        assert storage.collection_timestamp("other", "bob") == PAST
        assert create(storage)["last_modified"] > PAST

    def test_every_write_is_later_than_the_previous_one(self, storage: StorageBase) -> None:
        seen = [collection(storage)]
        for n in range(8):
            seen.append(create(storage, id=str(n))["last_modified"])
            assert collection(storage) == seen[-1]
            seen.append(storage.update(*PLACE, str(n), {})["last_modified"])
            assert collection(storage) == seen[-1]
            if n % 2:
                deleted = storage.delete(*PLACE, str(n), with_deleted=n % 4 == 1)
                seen.append(deleted["last_modified"])
                assert collection(storage) == seen[-1]
        seen.extend(sorted(record["last_modified"] for record in storage.delete_all(*PLACE)))
        assert collection(storage) == seen[-1]
        assert seen == sorted(set(seen))

    def test_reads_and_failures_change_no_timestamp(self, storage: StorageBase) -> None:
        create(storage, id="a")
        before = collection(storage)
        time.sleep(0.003)
        storage.get(*PLACE, "a")
        storage.get_all(*PLACE)
        storage.purge_deleted(*PLACE)
        storage.delete_all(*PLACE, filters=[Filter("id", "b", COMPARISON.EQ)])
        with pytest.raises(RecordNotFoundError):
            storage.delete(*PLACE, "b")
        assert collection(storage) == before

    def test_creation_in_the_future_moves_the_collection_there(self, storage: StorageBase) -> None:
        assert create(storage, FUTURE)["last_modified"] == FUTURE == collection(storage)
        assert create(storage)["last_modified"] == FUTURE + 1 == collection(storage)

    def test_creation_in_the_past_moves_the_collection_to_now(self, storage: StorageBase) -> None:
        before = create(storage)["last_modified"]
        assert create(storage, PAST, id="a")["last_modified"] == PAST
        assert before < collection(storage) <= max(msec_time(), before + 1)
        assert storage.get(*PLACE, "a")["last_modified"] == PAST

    def test_next_free_timestamp_replaces_one_that_is_taken(self, storage: StorageBase) -> None:
        for place, write in enumerate((create, put)):
            past = PAST * (place + 1)
            create(storage, past, id=f"a{place}")
            create(storage, past + 1, id="b")
            storage.delete(*PLACE, "b", last_modified=past + 2)
            create(storage, past + 1, id=f"c{place}")
            create(storage, past + 4, id=f"d{place}")
            assert write(storage, past)["last_modified"] == past + 3
            assert write(storage, past + 1)["last_modified"] == past + 5
            storage.purge_deleted(*PLACE)

    def test_records_that_request_one_timestamp_get_distinct_ones(
        self, storage: StorageBase
    ) -> None:
        for _ in range(10):
            create(storage, PAST)
        timestamps = [record["last_modified"] for record in everything(storage).values()]
        assert sorted(timestamps) == list(range(PAST, PAST + 10))

    def test_timestamp_of_a_replaced_tombstone_is_free(self, storage: StorageBase) -> None:
        create(storage, PAST, id="a")
        storage.delete(*PLACE, "a", last_modified=PAST + 1)
        assert create(storage, PAST + 1, id="a")["last_modified"] == PAST + 1
        storage.delete(*PLACE, "a", last_modified=PAST + 2)
        assert storage.update(*PLACE, "a", {"last_modified": PAST + 2})["last_modified"] == PAST + 2

    def test_update_takes_a_later_timestamp(self, storage: StorageBase) -> None:
        create(storage, PAST, id="a")
        before = collection(storage)
        assert storage.update(*PLACE, "a", {"last_modified": PAST + 5})["last_modified"] == PAST + 5
        assert collection(storage) > before
        assert storage.update(*PLACE, "a", {"last_modified": FUTURE})["last_modified"] == FUTURE
        assert collection(storage) == FUTURE

    def test_update_takes_an_earlier_timestamp(self, storage: StorageBase) -> None:
        create(storage, PAST, id="a")
        for timestamp in EARLIER:
            before = collection(storage)
            record = {"id": "a", "n": 1, "last_modified": timestamp}
            assert storage.update(*PLACE, "a", record) == storage.get(*PLACE, "a") == record
            assert collection(storage) > before

    def test_record_with_an_earlier_timestamp_can_reuse_its_own(self, storage: StorageBase) -> None:
        create(storage, PAST, id="a")
        create(storage, PAST + 1, id="b")
        assert storage.update(*PLACE, "b", {"last_modified": PAST})["last_modified"] == PAST + 1
        assert storage.delete(*PLACE, "b", last_modified=PAST)["last_modified"] == PAST + 1

    def test_update_with_the_timestamp_of_the_record_gets_a_new_one(
        self, storage: StorageBase
    ) -> None:
        for timestamp in (PAST, None):
            create(storage, PAST, id=str(timestamp))
            before = collection(storage)
            updated = storage.update(*PLACE, str(timestamp), {"last_modified": timestamp})
            assert updated["last_modified"] == collection(storage) > before

    def test_deletion_takes_a_later_timestamp(self, storage: StorageBase) -> None:
        create(storage, PAST, id="a")
        before = collection(storage)
        assert storage.delete(*PLACE, "a", last_modified=PAST + 5)["last_modified"] == PAST + 5
        assert collection(storage) > before
        create(storage, id="b")
        assert storage.delete(*PLACE, "b", last_modified=FUTURE)["last_modified"] == FUTURE
        assert collection(storage) == FUTURE

    def test_deletion_takes_an_earlier_timestamp(self, storage: StorageBase) -> None:
        for timestamp in EARLIER:
            create(storage, PAST, id="a")
            before = collection(storage)
            deleted = storage.delete(*PLACE, "a", last_modified=timestamp)
            assert deleted == {"id": "a", "last_modified": timestamp, "deleted": True}
            assert everything(storage) == {"a": deleted}
            assert collection(storage) > before

    def test_deletion_with_the_timestamp_of_the_record_gets_a_new_one(
        self, storage: StorageBase
    ) -> None:
        for timestamp in (PAST, None):
            create(storage, PAST, id="a")
            before = collection(storage)
            deleted = storage.delete(*PLACE, "a", last_modified=timestamp)
            assert deleted["last_modified"] == collection(storage) > before

    def test_timestamp_is_an_integer(self, storage: StorageBase) -> None:
        (created,) = fill(storage, 1)
        bad_timestamps: list[Any] = ["1000", 1000.0, True, 1 << 62, -(1 << 62)]
        for bad in bad_timestamps:
            with pytest.raises(ValueError, match="last_modified must be an integer"):
                create(storage, bad)
            with pytest.raises(ValueError, match="last_modified must be an integer"):
                storage.update(*PLACE, "0", {"last_modified": bad})
            with pytest.raises(ValueError, match="last_modified must be an integer"):
                storage.delete(*PLACE, "0", last_modified=bad)
        assert storage.get_page(*PLACE) == Page([created], 1, created["last_modified"])
