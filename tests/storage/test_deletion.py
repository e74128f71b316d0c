"""Deletions in the engines, beyond the contract: order of arguments and of tombstones."""

import pytest

from cliquet.testing.contracts.samples import PLACE, everything, fill


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
def test_the_flag_and_the_id_field_of_a_deletion_can_be_positional_in_either_order(
    storage, arguments, field, kept
):
    fill(storage, 2)
    deleted = storage.delete(*PLACE, "0", *arguments)
    (also_deleted,) = storage.delete_all(*PLACE, None, *arguments)
    assert (deleted[field], also_deleted[field]) == ("0", "1")
    assert sorted(everything(storage)) == (["0", "1"] if kept else [])


def test_all_records_are_deleted_the_oldest_first(storage):
    fill(storage)
    storage.delete(*PLACE, "2")
    tombstones = storage.delete_all(*PLACE)
    assert [record["id"] for record in tombstones] == ["0", "1", "3", "4"]
    timestamps = [record["last_modified"] for record in tombstones]
    assert timestamps == sorted(timestamps)
    assert storage.collection_timestamp(*PLACE) == timestamps[-1]


@pytest.mark.parametrize("order", [("key", False), (False, "key"), (False,)])
def test_the_flag_and_the_name_are_accepted_in_either_order(storage, order):
    name = "key" if "key" in order else "id"
    for record_id in "abc":
        storage.create(*PLACE, {name: record_id}, id_field=name)
    assert storage.delete(*PLACE, "a", *order)[name] == "a"
    assert {record[name] for record in storage.delete_all(*PLACE, None, *order)} == {"b", "c"}
    assert storage.get_all(*PLACE, include_deleted=True) == ([], 0)
