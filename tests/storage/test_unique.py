"""Fields whose value no other record of the collection may have."""

import pytest

from cliquet.storage.exceptions import UnicityError

PLACE = ("articles", "alice")
VALUES = [0, 1, 2.5, True, False, "a", "1", 'é\n"\\\x1f', [], [1], {"a": 1}, 10**30, " "]


def create(storage, fields=("phone",), **record):
    return storage.create(*PLACE, record, unique_fields=fields)


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_the_second_record_with_a_value_is_a_conflict_with_the_first(storage, value):
    for other in VALUES:
        existing = create(storage, phone=other)
        if other == value and type(other) is type(value):
            expected = existing
    before = storage.get_page(*PLACE)
    with pytest.raises(UnicityError) as caught:
        create(storage, phone=value)
    assert (caught.value.field, caught.value.record) == ("phone", expected)
    with pytest.raises(UnicityError) as caught:
        storage.update(*PLACE, "new", {"phone": value}, unique_fields=["phone"])
    assert (caught.value.field, caught.value.record) == ("phone", expected)
    assert storage.get_page(*PLACE) == before


def test_numbers_are_the_same_however_they_are_written(storage):
    create(storage, phone=2)
    with pytest.raises(UnicityError):
        create(storage, phone=2.0)


@pytest.mark.parametrize("value", [None, ""])
def test_empty_values_do_not_count(storage, value):
    create(storage, phone=value)
    create(storage, phone=value)
    create(storage)
    storage.update(*PLACE, "a", {"phone": value}, unique_fields=["phone"])
    assert storage.get_all(*PLACE)[1] == 4


def test_a_record_may_keep_its_own_value(storage):
    created = create(storage, phone="1")
    updated = storage.update(*PLACE, created["id"], {"phone": "1"}, unique_fields=["phone"])
    assert updated["phone"] == "1"


def test_an_update_cannot_take_the_value_of_another_record(storage):
    existing = create(storage, phone="1")
    mine = create(storage, phone="2")
    with pytest.raises(UnicityError) as caught:
        storage.update(*PLACE, mine["id"], {"phone": "1"}, unique_fields=["phone"])
    assert (caught.value.field, caught.value.record) == ("phone", existing)
    assert storage.get(*PLACE, mine["id"]) == mine


def test_first_conflicting_field_is_reported(storage):
    create(storage, phone="1")
    create(storage, line="2")
    for fields in (("phone", "line"), ("line", "phone")):
        with pytest.raises(UnicityError) as caught:
            create(storage, fields, phone="1", line="2")
        assert caught.value.field == fields[0]
    with pytest.raises(UnicityError) as caught:
        create(storage, ("line", "phone"), phone="1", line="3")
    assert caught.value.field == "phone"


def test_conflicting_id_is_reported_before_fields(storage):
    existing = create(storage, id="a", phone="1")
    create(storage, phone="2")
    with pytest.raises(UnicityError) as caught:
        create(storage, id="a", phone="2")
    assert (caught.value.field, caught.value.record) == ("id", existing)


def test_value_in_another_field_does_not_conflict(storage):
    create(storage, other="1", nested={"phone": "1"}, phone=["1"])
    assert create(storage, phone="1")["phone"] == "1"


def test_a_value_that_another_record_no_longer_has_is_free(storage):
    first = create(storage, phone="1")
    storage.update(*PLACE, first["id"], {"phone": "2"}, unique_fields=["phone"])
    second = create(storage, phone="1")
    storage.delete(*PLACE, second["id"])
    create(storage, phone="1")
    assert storage.get_all(*PLACE)[1] == 2


def test_a_value_is_unique_in_its_collection_only(storage):
    create(storage, phone="1")
    for place in (("articles", "bob"), ("other", "alice")):
        assert storage.create(*place, {"phone": "1"}, unique_fields=["phone"])["phone"] == "1"


def test_field_is_unique_only_if_requested(storage):
    storage.create(*PLACE, {"phone": "1"})
    storage.create(*PLACE, {"phone": "1"})
    assert storage.get_all(*PLACE)[1] == 2


def test_id_and_timestamp_among_the_unique_fields_add_nothing(storage):
    fields = ("id", "last_modified")
    first = create(storage, fields, id="a", last_modified=5)
    second = create(storage, fields, id="b", last_modified=5)
    assert (first["last_modified"], second["last_modified"]) == (5, 6)
    updated = storage.update(*PLACE, "a", {"id": "a", "last_modified": 6}, unique_fields=fields)
    assert updated["last_modified"] == 7


@pytest.mark.parametrize("field", ['q"', "a.b", "$", "back\\slash", "\x01", "", "é"])
def test_name_of_a_unique_field_is_any_string(storage, field):
    storage.create(*PLACE, {field: "1"}, unique_fields=[field])
    with pytest.raises(UnicityError) as caught:
        storage.create(*PLACE, {field: "1"}, unique_fields=[field])
    assert caught.value.field == field
