"""Timestamps of records and collections (protocol, "Timestamps")."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliquet.storage import Filter, Page
from cliquet.storage.exceptions import RecordNotFoundError, UnicityError
from cliquet.utils import COMPARISON, msec_time

PLACE = ("articles", "alice")
FUTURE = 32503680000000  # the year 3000
PAST = 1000


def collection(storage):
    return storage.collection_timestamp(*PLACE)


def create(storage, timestamp=None, **fields):
    return storage.create(*PLACE, {"last_modified": timestamp, **fields})


def test_collections_that_were_never_written_have_one_timestamp(storage):
    first = collection(storage)
    assert 1_400_000_000_000 < first <= msec_time()
    time.sleep(0.003)
    assert collection(storage) == first
    assert storage.get_page(*PLACE) == Page([], 0, first)
    assert storage.collection_timestamp("other", "bob") == first
    assert storage.get_page("other", "bob").timestamp == first


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


def test_after_a_flush_the_timestamp_of_empty_collections_is_later_than_all_before(storage):
    latest = collection(storage)
    for n in range(3):
        latest = max(latest, create(storage, id=f"{n}")["last_modified"])
        storage.flush()
        assert collection(storage) > latest
        latest = collection(storage)
    assert create(storage)["last_modified"] > latest


def test_a_flush_does_not_take_empty_collections_to_the_future(storage):
    create(storage, FUTURE)
    latest = storage.create("other", "bob", {})["last_modified"]
    storage.flush()
    assert latest < collection(storage) <= max(msec_time(), latest + 1)


def test_a_flush_that_is_undone_changes_no_timestamp(storage, serve, transactional):
    created, empty = create(storage), storage.collection_timestamp("other", "bob")
    with pytest.raises(ZeroDivisionError), serve():
        storage.flush()
        assert collection(storage) >= created["last_modified"]
        raise ZeroDivisionError
    assert collection(storage) == created["last_modified"]
    assert storage.collection_timestamp("other", "bob") == empty


@pytest.mark.parametrize("write", ["create", "update"])
def test_the_first_record_of_a_collection_may_be_of_the_past(storage, write, serve):
    record = {"id": "a", "last_modified": PAST}
    if write == "create":
        assert storage.create(*PLACE, record) == record
    else:
        assert storage.update(*PLACE, "a", record) == record
    assert collection(storage) == PAST
    assert create(storage)["last_modified"] > PAST
    with serve():
        storage.lock("other", "bob")
        storage.create("other", "bob", record)
    assert storage.collection_timestamp("other", "bob") == PAST


def test_the_first_write_is_later_than_the_first_read(storage, monkeypatch):
    first = collection(storage)
    monkeypatch.setattr("cliquet.utils.msec_time", lambda: first)
    assert create(storage)["last_modified"] == first + 1


def test_every_write_is_later_than_the_one_before(storage):
    seen = [collection(storage)]
    for n in range(20):
        seen.append(create(storage, id=str(n))["last_modified"])
        assert collection(storage) == seen[-1]
        seen.append(storage.update(*PLACE, str(n), {})["last_modified"])
        assert collection(storage) == seen[-1]
        if n % 2:
            deleted = storage.delete(*PLACE, str(n), with_deleted=bool(n % 4 == 1))
            seen.append(deleted["last_modified"])
            assert collection(storage) == seen[-1]
    seen.extend(record["last_modified"] for record in storage.delete_all(*PLACE))
    assert collection(storage) == seen[-1]
    assert seen == sorted(set(seen))


def test_reads_and_failures_change_no_timestamp(storage):
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


def test_timestamps_increase_when_the_clock_goes_back(storage, monkeypatch):
    first = create(storage)["last_modified"]
    monkeypatch.setattr("cliquet.utils.msec_time", lambda: first - 1000)
    assert create(storage)["last_modified"] == first + 1
    assert collection(storage) == first + 1


def test_a_creation_in_the_future_takes_the_collection_there(storage):
    assert create(storage, FUTURE)["last_modified"] == FUTURE == collection(storage)
    assert create(storage)["last_modified"] == FUTURE + 1 == collection(storage)


def test_a_creation_in_the_past_moves_the_collection_to_now(storage):
    before = create(storage)["last_modified"]
    assert create(storage, PAST, id="a")["last_modified"] == PAST
    assert before < collection(storage) <= max(msec_time(), before + 1)
    assert storage.get(*PLACE, "a")["last_modified"] == PAST


def put(storage, timestamp):
    return storage.update(*PLACE, f"new{timestamp}", {"last_modified": timestamp})


@pytest.mark.parametrize("ask", [create, put])
def test_a_timestamp_that_is_taken_gives_the_next_free_one(storage, ask):
    create(storage, PAST, id="a")
    create(storage, PAST + 1, id="b")
    storage.delete(*PLACE, "b", last_modified=PAST + 2)
    create(storage, PAST + 1, id="c")
    create(storage, PAST + 4, id="d")
    assert ask(storage, PAST)["last_modified"] == PAST + 3
    assert ask(storage, PAST + 1)["last_modified"] == PAST + 5


def test_the_timestamp_of_the_tombstone_that_a_creation_replaces_is_free(storage):
    create(storage, PAST, id="a")
    deleted = storage.delete(*PLACE, "a", last_modified=PAST + 1)
    assert create(storage, deleted["last_modified"], id="a")["last_modified"] == PAST + 1
    storage.delete(*PLACE, "a", last_modified=PAST + 2)
    assert storage.update(*PLACE, "a", {"last_modified": PAST + 2})["last_modified"] == PAST + 2


def test_a_later_timestamp_of_an_update_is_taken(storage):
    create(storage, PAST, id="a")
    before = collection(storage)
    assert storage.update(*PLACE, "a", {"last_modified": PAST + 5})["last_modified"] == PAST + 5
    assert collection(storage) > before
    assert storage.update(*PLACE, "a", {"last_modified": FUTURE})["last_modified"] == FUTURE
    assert collection(storage) == FUTURE


@pytest.mark.parametrize("timestamp", [PAST - 1, PAST - 999, 0, -5])
def test_an_earlier_timestamp_of_an_update_is_taken(storage, timestamp):
    create(storage, PAST, id="a")
    before = collection(storage)
    record = {"id": "a", "n": 1, "last_modified": timestamp}
    assert storage.update(*PLACE, "a", record) == storage.get(*PLACE, "a") == record
    assert collection(storage) > before


def test_record_with_earlier_timestamp_can_reuse_its_own(storage):
    create(storage, PAST, id="a")
    create(storage, PAST + 1, id="b")
    assert storage.update(*PLACE, "b", {"last_modified": PAST})["last_modified"] == PAST + 1
    assert storage.delete(*PLACE, "b", last_modified=PAST)["last_modified"] == PAST + 1


@pytest.mark.parametrize("timestamp", [PAST, None])
def test_an_update_with_the_timestamp_of_the_record_has_a_new_one(storage, timestamp):
    create(storage, PAST, id="a")
    before = collection(storage)
    updated = storage.update(*PLACE, "a", {"last_modified": timestamp})
    assert updated["last_modified"] > before
    assert collection(storage) == updated["last_modified"]


def test_a_later_timestamp_of_a_deletion_is_taken(storage):
    create(storage, PAST, id="a")
    before = collection(storage)
    assert storage.delete(*PLACE, "a", last_modified=PAST + 5)["last_modified"] == PAST + 5
    assert collection(storage) > before
    create(storage, id="b")
    assert storage.delete(*PLACE, "b", last_modified=FUTURE)["last_modified"] == FUTURE
    assert collection(storage) == FUTURE


@pytest.mark.parametrize("timestamp", [PAST - 1, PAST - 999, 0, -5])
def test_an_earlier_timestamp_of_a_deletion_is_taken(storage, timestamp):
    create(storage, PAST, id="a")
    before = collection(storage)
    assert storage.delete(*PLACE, "a", last_modified=timestamp)["last_modified"] == timestamp
    assert collection(storage) > before
    (tombstone,), _ = storage.get_all(*PLACE, include_deleted=True)
    assert tombstone == {"id": "a", "last_modified": timestamp, "deleted": True}


@pytest.mark.parametrize("timestamp", [PAST, None])
def test_a_deletion_with_the_timestamp_of_the_record_has_a_new_one(storage, timestamp):
    create(storage, PAST, id="a")
    before = collection(storage)
    deleted = storage.delete(*PLACE, "a", last_modified=timestamp)
    assert deleted["last_modified"] > before
    assert collection(storage) == deleted["last_modified"]


@pytest.mark.parametrize("bad", ["1000", 1000.0, True, 1 << 62, -(1 << 62)], ids=repr)
def test_a_timestamp_is_an_integer(storage, bad):
    created = create(storage, id="a")
    with pytest.raises(ValueError, match="last_modified must be an integer"):
        create(storage, bad)
    with pytest.raises(ValueError, match="last_modified must be an integer"):
        storage.update(*PLACE, "a", {"last_modified": bad})
    with pytest.raises(ValueError, match="last_modified must be an integer"):
        storage.delete(*PLACE, "a", last_modified=bad)
    assert storage.get_page(*PLACE) == Page([created], 1, created["last_modified"])


def test_a_thousand_records_that_ask_for_one_timestamp_get_as_many(storage, serve):
    with serve():  # one commit
        for _ in range(1000):
            create(storage, PAST)
    found = {record["last_modified"] for record in storage.get_all(*PLACE)[0]}
    assert found == set(range(PAST, PAST + 1000))


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
