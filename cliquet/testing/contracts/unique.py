"""Contract of the storage backends: fields whose values are unique in a collection."""

from __future__ import annotations

from typing import Any

import pytest

from cliquet.storage import Record, StorageBase
from cliquet.storage.exceptions import UnicityError
from cliquet.testing.contracts.samples import PLACE

VALUES: list[Any] = [0, 1, 2.5, True, False, "a", "1", 'é\n"\\\x1f', [], [1], {"a": 1}, 10**30, " "]


def create(storage: StorageBase, fields: tuple[str, ...] = ("phone",), **record: Any) -> Record:
    return storage.create(*PLACE, record, unique_fields=fields)


class UniqueFieldsContract:
    """Tests of the unique fields in a storage backend."""

    def test_second_record_with_a_value_conflicts_with_the_first(
        self, storage: StorageBase
    ) -> None:
        existing = [create(storage, phone=value) for value in VALUES]
        before = storage.get_page(*PLACE)
        for value, record in zip(VALUES, existing, strict=True):
            with pytest.raises(UnicityError) as caught:
                create(storage, phone=value)
            assert (caught.value.field, caught.value.record) == ("phone", record)
            with pytest.raises(UnicityError) as caught:
                storage.update(*PLACE, "new", {"phone": value}, unique_fields=["phone"])
            assert (caught.value.field, caught.value.record) == ("phone", record)
        assert storage.get_page(*PLACE) == before

    def test_equal_numbers_conflict_however_they_are_written(self, storage: StorageBase) -> None:
        create(storage, phone=2)
        with pytest.raises(UnicityError):
            create(storage, phone=2.0)

    def test_empty_values_do_not_conflict(self, storage: StorageBase) -> None:
        for value in (None, ""):
            create(storage, phone=value)
            create(storage, phone=value)
            storage.update(*PLACE, "a", {"phone": value}, unique_fields=["phone"])
        create(storage)
        assert storage.get_all(*PLACE)[1] == 6

    def test_record_can_keep_its_own_value(self, storage: StorageBase) -> None:
        created = create(storage, phone="1")
        updated = storage.update(*PLACE, created["id"], {"phone": "1"}, unique_fields=["phone"])
        assert updated["phone"] == "1"

    def test_update_cannot_take_the_value_of_another_record(self, storage: StorageBase) -> None:
        existing = create(storage, phone="1")
        mine = create(storage, phone="2")
        with pytest.raises(UnicityError) as caught:
            storage.update(*PLACE, mine["id"], {"phone": "1"}, unique_fields=["phone"])
        assert (caught.value.field, caught.value.record) == ("phone", existing)
        assert storage.get(*PLACE, mine["id"]) == mine

    def test_first_conflicting_field_is_reported(self, storage: StorageBase) -> None:
        create(storage, phone="1")
        create(storage, line="2")
        for fields in (("phone", "line"), ("line", "phone")):
            with pytest.raises(UnicityError) as caught:
                create(storage, fields, phone="1", line="2")
            assert caught.value.field == fields[0]
        with pytest.raises(UnicityError) as caught:
            create(storage, ("line", "phone"), phone="1", line="3")
        assert caught.value.field == "phone"

    def test_conflicting_id_is_reported_before_fields(self, storage: StorageBase) -> None:
        existing = create(storage, id="a", phone="1")
        create(storage, phone="2")
        with pytest.raises(UnicityError) as caught:
            create(storage, id="a", phone="2")
        assert (caught.value.field, caught.value.record) == ("id", existing)

    def test_value_in_another_field_does_not_conflict(self, storage: StorageBase) -> None:
        create(storage, other="1", nested={"phone": "1"}, phone=["1"])
        assert create(storage, phone="1")["phone"] == "1"

    def test_value_that_another_record_no_longer_has_is_free(self, storage: StorageBase) -> None:
        first = create(storage, phone="1")
        storage.update(*PLACE, first["id"], {"phone": "2"}, unique_fields=["phone"])
        second = create(storage, phone="1")
        storage.delete(*PLACE, second["id"])
        create(storage, phone="1")
        assert storage.get_all(*PLACE)[1] == 2

    def test_value_is_unique_in_its_collection_only(self, storage: StorageBase) -> None:
        create(storage, phone="1")
        for place in (("articles", "bob"), ("other", "alice")):
            assert storage.create(*place, {"phone": "1"}, unique_fields=["phone"])["phone"] == "1"

    def test_field_is_unique_only_if_requested(self, storage: StorageBase) -> None:
        storage.create(*PLACE, {"phone": "1"})
        storage.create(*PLACE, {"phone": "1"})
        assert storage.get_all(*PLACE)[1] == 2

    def test_any_string_is_the_name_of_a_unique_field(self, storage: StorageBase) -> None:
        for field in ('q"', "a.b", "$", "back\\slash", "\x01", "", "é"):
            storage.create(*PLACE, {field: "1"}, unique_fields=[field])
            with pytest.raises(UnicityError) as caught:
                storage.create(*PLACE, {field: "1"}, unique_fields=[field])
            assert caught.value.field == field
