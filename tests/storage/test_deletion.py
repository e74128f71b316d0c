"""Deleting records, and what is kept of them."""

import pytest

from cliquet.storage import Filter, Page
from cliquet.storage.exceptions import RecordNotFoundError
from cliquet.utils import COMPARISON

PLACE = ("articles", "alice")


def fill(storage, count=5):
    return [storage.create(*PLACE, {"id": str(n), "n": n, "odd": n % 2}) for n in range(count)]


def everything(storage):
    found, _ = storage.get_all(*PLACE, include_deleted=True)
    return {record["id"]: record for record in found}


def test_a_deleted_record_leaves_a_tombstone(storage):
    first, second = fill(storage, 2)
    deleted = storage.delete(*PLACE, "0")
    timestamp = storage.collection_timestamp(*PLACE)
    assert deleted == {"id": "0", "last_modified": timestamp, "deleted": True}
    assert timestamp > second["last_modified"]
    assert storage.get_all(*PLACE) == ([second], 1)
    assert storage.get_all(*PLACE, include_deleted=True) == ([deleted, second], 1)
    for read in (storage.get, storage.get_for_update, storage.delete):
        with pytest.raises(RecordNotFoundError):
            read(*PLACE, "0")


def test_a_record_may_be_deleted_without_a_trace(storage):
    fill(storage, 1)
    deleted = storage.delete(*PLACE, "0", with_deleted=False)
    assert deleted == {
        "id": "0",
        "last_modified": storage.collection_timestamp(*PLACE),
        "deleted": True,
    }
    assert everything(storage) == {}


@pytest.mark.parametrize(
    ("arguments", "field", "kept"),
    [
        ((), "id", True),
        ((True,), "id", True),
        ((False,), "id", False),
        ((True, "uid"), "uid", True),
        ((False, "uid"), "uid", False),
        (("uid",), "uid", True),
        (("uid", True), "uid", True),
        (("uid", False), "uid", False),
    ],
)
def test_the_flag_and_the_id_field_of_a_deletion_may_be_positional_in_either_order(
    storage, arguments, field, kept
):
    fill(storage, 2)
    deleted = storage.delete(*PLACE, "0", *arguments)
    (also_deleted,) = storage.delete_all(*PLACE, None, *arguments)
    assert (deleted[field], also_deleted[field]) == ("0", "1")
    assert sorted(everything(storage)) == (["0", "1"] if kept else [])


@pytest.mark.parametrize("again", ["create", "update"])
def test_a_record_replaces_its_tombstone(storage, again):
    fill(storage, 1)
    deleted = storage.delete(*PLACE, "0")
    if again == "create":
        record = storage.create(*PLACE, {"id": "0"})
    else:
        record = storage.update(*PLACE, "0", {})
    assert record["last_modified"] > deleted["last_modified"]
    assert everything(storage) == {"0": record}
    assert storage.purge_deleted(*PLACE) == 0


def test_all_records_are_deleted_the_oldest_first(storage):
    records = fill(storage)
    storage.delete(*PLACE, "2")
    last = storage.collection_timestamp(*PLACE)
    tombstones = storage.delete_all(*PLACE)
    assert [record["id"] for record in tombstones] == ["0", "1", "3", "4"]
    timestamps = [record["last_modified"] for record in tombstones]
    assert timestamps == sorted(set(timestamps))
    assert timestamps[0] > last > records[-1]["last_modified"]
    assert storage.collection_timestamp(*PLACE) == timestamps[-1]
    assert storage.get_all(*PLACE) == ([], 0)
    assert set(everything(storage)) == set("01234")
    assert [everything(storage)[record["id"]] for record in tombstones] == tombstones


@pytest.mark.parametrize("order", [("key", False), (False, "key"), (False,)])
def test_the_flag_and_the_name_are_accepted_in_either_order(storage, order):
    name = "key" if "key" in order else "id"
    for record_id in "abc":
        storage.create(*PLACE, {name: record_id}, id_field=name)
    assert storage.delete(*PLACE, "a", *order)[name] == "a"
    assert {record[name] for record in storage.delete_all(*PLACE, None, *order)} == {"b", "c"}
    assert everything(storage) == {}


def test_all_records_may_be_deleted_without_a_trace(storage):
    fill(storage)
    tombstones = storage.delete_all(*PLACE, with_deleted=False)
    assert [record["id"] for record in tombstones] == list("01234")
    assert everything(storage) == {}
    assert storage.collection_timestamp(*PLACE) == tombstones[-1]["last_modified"]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        (Filter("odd", 1, COMPARISON.EQ), "13"),
        (Filter("odd", 1, COMPARISON.NOT), "024"),
        (Filter("id", ["4", "1", "9"], COMPARISON.IN), "14"),
        (Filter("deleted", False, COMPARISON.EQ), "01234"),
        (Filter("deleted", True, COMPARISON.EQ), ""),
        (Filter("n", 3, COMPARISON.MIN), "34"),
    ],
)
def test_those_that_match_the_filters_are_deleted(storage, filter_, expected):
    fill(storage)
    tombstones = storage.delete_all(*PLACE, filters=[filter_])
    assert "".join(record["id"] for record in tombstones) == expected
    left, total = storage.get_all(*PLACE)
    assert {record["id"] for record in left} == set("01234") - set(expected)
    assert total == len(left)


def test_those_changed_since_a_time_are_deleted(storage):
    records = fill(storage)
    since = Filter("last_modified", records[2]["last_modified"], COMPARISON.GT)
    tombstones = storage.delete_all(*PLACE, filters=[since])
    assert [record["id"] for record in tombstones] == ["3", "4"]


def test_deleting_all_of_nothing_does_nothing(storage):
    assert storage.delete_all(*PLACE) == []
    fill(storage, 1)
    storage.delete(*PLACE, "0")
    assert storage.delete_all(*PLACE) == []
    assert set(everything(storage)) == {"0"}


def test_tombstones_are_purged(storage):
    fill(storage)
    tombstones = storage.delete_all(*PLACE, filters=[Filter("n", 3, COMPARISON.LT)])
    timestamp = storage.collection_timestamp(*PLACE)
    assert storage.purge_deleted(*PLACE, before=tombstones[1]["last_modified"]) == 1
    assert set(everything(storage)) == set("1234")
    assert storage.purge_deleted(*PLACE, before=tombstones[1]["last_modified"]) == 0
    assert storage.purge_deleted(*PLACE) == 2
    assert set(everything(storage)) == set("34")
    assert storage.get_page(*PLACE)[1:] == Page([], 2, timestamp)[1:]


def test_nothing_is_purged_where_nothing_was(storage):
    assert storage.purge_deleted(*PLACE) == 0


def test_deletions_and_purges_concern_one_collection(storage):
    others = [("articles", "bob"), ("other", "alice")]
    for place in (*others, PLACE):
        storage.create(*place, {"id": "a"})
        storage.create(*place, {"id": "b"})
        storage.delete(*place, "b")
    storage.delete_all(*PLACE)
    assert storage.purge_deleted(*PLACE) == 2
    for place in others:
        found, total = storage.get_all(*place, include_deleted=True)
        assert (len(found), total) == (2, 1)


def test_tombstones_are_purged_some_at_a_time_the_oldest_first(storage):
    fill(storage)
    tombstones = storage.delete_all(*PLACE)
    before = tombstones[4]["last_modified"]
    assert storage.purge_deleted(*PLACE, before=before, limit=3) == 3
    assert set(everything(storage)) == set("34")
    assert storage.purge_deleted(*PLACE, before=before, limit=3) == 1
    assert storage.purge_deleted(*PLACE, before=before, limit=3) == 0
    assert storage.purge_deleted(*PLACE, limit=3) == 1
    assert everything(storage) == {}


def test_tombstones_are_counted_by_collection(storage):
    odd = ("arti:cles\0é", "bo:b*")
    for place in (("other", "alice"), odd, ("without", "tombstone"), PLACE):
        for object_id in "abc":
            storage.create(*place, {"id": object_id})
    first = storage.delete_all(*PLACE)[0]["last_modified"]
    storage.delete(*odd, "a")
    storage.delete("other", "alice", "a", last_modified=first + 10**6)
    assert storage.count_deleted() == [(*odd, 1), (*PLACE, 3), ("other", "alice", 1)]
    storage.purge_deleted(*odd)
    assert storage.count_deleted(before=first + 1) == [(*PLACE, 1)]
    assert storage.count_deleted(before=first) == []


def test_parents_of_a_resource_are_listed(storage):
    assert storage.get_parents("arti:cles\0é") == []
    for place in (("arti:cles\0é", "bo:b*"), ("other", "alice"), ("arti:cles\0é", "")):
        storage.create(*place, {"id": "a"})
    assert storage.get_parents("arti:cles\0é") == ["", "bo:b*"]
    assert storage.get_parents("arti") == []


def test_nothing_is_counted_where_nothing_was(storage):
    assert storage.count_deleted() == []
