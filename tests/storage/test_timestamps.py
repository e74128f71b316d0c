"""Timestamps in the engines, beyond the contract: transactions, clocks and random writes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliquet.storage.exceptions import RecordNotFoundError, UnicityError
from cliquet.testing.contracts.samples import PLACE
from cliquet.testing.contracts.timestamps import FUTURE, PAST, collection, create


def test_the_timestamp_of_empty_collections_is_the_same_for_all_applications(
    storage, make_storage, engine
):
    first = collection(storage)
    time.sleep(0.003)
    storage.initialize_schema()
    storage.create("other", "bob", {})
    assert collection(storage) == first
    if engine != "memory":
        assert collection(make_storage()) == make_storage().get_page(*PLACE).timestamp == first


def test_a_flush_that_is_undone_changes_no_timestamp(storage, serve, transactional):
    created, empty = create(storage), storage.collection_timestamp("other", "bob")
    with pytest.raises(ZeroDivisionError), serve():
        storage.flush()
        assert collection(storage) >= created["last_modified"]
        raise ZeroDivisionError
    assert collection(storage) == created["last_modified"]
    assert storage.collection_timestamp("other", "bob") == empty


def test_first_record_of_a_locked_collection_can_be_of_the_past(storage, serve):
    with serve():
        storage.lock(*PLACE)
        create(storage, PAST)
    assert collection(storage) == PAST


def test_the_first_write_is_later_than_the_first_read(storage, monkeypatch):
    first = collection(storage)
    monkeypatch.setattr("cliquet.utils.msec_time", lambda: first)
    assert create(storage)["last_modified"] == first + 1


def test_timestamps_increase_when_the_clock_goes_back(storage, monkeypatch):
    first = create(storage)["last_modified"]
    monkeypatch.setattr("cliquet.utils.msec_time", lambda: first - 1000)
    assert create(storage)["last_modified"] == first + 1
    assert collection(storage) == first + 1


def test_a_thousand_records_that_ask_for_one_timestamp_get_as_many(storage, serve):
    with serve():  # one commit
        for _ in range(1000):
            create(storage, PAST)
    timestamps = {record["last_modified"] for record in storage.get_all(*PLACE)[0]}
    assert timestamps == set(range(PAST, PAST + 1000))


WRITES = st.tuples(
    st.sampled_from(["create", "update", "delete", "forget"]),
    st.sampled_from("abcd"),
    st.one_of(st.none(), st.integers(1, 12), st.integers(0, 3).map(lambda n: FUTURE + n)),
)


@given(st.lists(WRITES, max_size=20))
def test_timestamps_are_distinct_and_the_collection_timestamp_increases(storage, writes):
    storage.flush()
    latest = 0
    for what, object_id, timestamp in writes:
        record = {"id": object_id, "last_modified": timestamp}
        try:
            if what == "create":
                storage.create(*PLACE, record)
            elif what == "update":
                storage.update(*PLACE, object_id, record)
            else:
                keep = what == "delete"
                storage.delete(*PLACE, object_id, with_deleted=keep, last_modified=timestamp)
        except (RecordNotFoundError, UnicityError):
            continue
        assert collection(storage) > latest
        latest = collection(storage)
    everything, total = storage.get_all(*PLACE, include_deleted=True)
    assert len({record["id"] for record in everything}) == len(everything)
    assert len({record["last_modified"] for record in everything}) == len(everything)
    assert all(record["last_modified"] <= latest for record in everything)
    assert total == sum("deleted" not in record for record in everything)
