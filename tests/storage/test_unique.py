"""Unique fields in the engines, beyond the contract."""

from cliquet.testing.contracts.unique import PLACE, create


def test_id_and_timestamp_among_the_unique_fields_add_nothing(storage):
    fields = ("id", "last_modified")
    first = create(storage, fields, id="a", last_modified=5)
    second = create(storage, fields, id="b", last_modified=5)
    assert (first["last_modified"], second["last_modified"]) == (5, 6)
    updated = storage.update(*PLACE, "a", {"id": "a", "last_modified": 6}, unique_fields=fields)
    assert updated["last_modified"] == 7
