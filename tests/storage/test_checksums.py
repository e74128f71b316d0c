"""Checksums of sets of records: arithmetic, and transactions of the engines."""

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliquet.storage import StorageBase
from cliquet.storage.checksums import (
    CUBE_MODULUS,
    TIME_MODULUS,
    Checksum,
    difference,
    parse_checksum,
)

PLACE = ("articles", "alice")
TIMESTAMPS = st.integers(-(2**62), 2**62) | st.integers(1, 253402300799999)
DISTINCT = st.lists(TIMESTAMPS, unique=True, max_size=20)


def test_checksum_without_records_is_zero():
    assert str(Checksum()) == "0-0-0"


def test_checksum_has_the_documented_value():
    times = [1, 67108858, 1448841600000]
    first = sum(time % 67108859 for time in times) % 67108859
    second = sum((time % 67108837) ** 3 for time in times) % 67108837
    assert str(Checksum().add(*times)) == f"3-{first}-{second}" == "3-28443049-8340055"


@given(times=DISTINCT, data=st.data())
def test_adding_and_subtracting_in_any_order_gives_the_checksum_of_the_rest(times, data):
    removed = data.draw(st.lists(st.sampled_from(times), unique=True) if times else st.just([]))
    checksum = Checksum()
    for time in data.draw(st.permutations(times)):
        checksum = checksum.add(time)
        if time in removed:
            checksum = checksum.subtract(time)
    assert checksum == Checksum().add(*(time for time in times if time not in removed))
    assert checksum.add(*removed) == Checksum().add(*times)
    assert 0 <= checksum.time_sum < TIME_MODULUS
    assert 0 <= checksum.cube_sum < CUBE_MODULUS


@given(old=st.none() | TIMESTAMPS, new=st.none() | TIMESTAMPS)
def test_difference_of_a_change_is_that_of_the_checksums(old, new):
    before, after = (Checksum() if time is None else Checksum().add(time) for time in (old, new))
    number, times, cubes = (
        one + two for one, two in zip(before, difference(new, old), strict=True)
    )
    assert after == Checksum(number, times % TIME_MODULUS, cubes % CUBE_MODULUS)


@given(times=DISTINCT)
def test_one_changed_timestamp_changes_the_checksum(times):
    checksum = Checksum().add(*times)
    for time in times:
        for other in (time + 1, time - 1, time + TIME_MODULUS, time + CUBE_MODULUS, -time - 1):
            assert checksum.subtract(time).add(other) != checksum


@given(times=DISTINCT)
def test_formatted_checksum_is_parsed_to_the_same_value(times):
    checksum = Checksum().add(*times)
    assert parse_checksum(str(checksum)) == checksum


@pytest.mark.parametrize(
    "text",
    ["", "1", "1-2", "1-2-3-4", "-1-2-3", "1-2-x", "01-2-3", "1-02-3", " 1-2-3", "1-2-3\n", "١-2-3"]
    + [f"1-{TIME_MODULUS}-0", f"1-0-{CUBE_MODULUS}", f"{10**19}-0-0"],
)
def test_other_strings_are_not_checksums(text):
    with pytest.raises(ValueError, match="expected COUNT-A-B"):
        parse_checksum(text)


def recomputed(storage):
    records, _ = storage.get_all(*PLACE)
    return Checksum().add(*(record["last_modified"] for record in records))


def test_checksum_follows_the_transaction(storage, manager, transactional):
    storage.create(*PLACE, {"id": "a"})
    storage.create(*PLACE, {"id": "b", "last_modified": 5})
    manager.commit()
    before = storage.checksum(*PLACE)
    storage.update(*PLACE, "a", {"n": 1})
    storage.delete(*PLACE, "b")
    storage.create(*PLACE, {"id": "c", "last_modified": 5})
    assert storage.checksum(*PLACE) == recomputed(storage) != before
    mark = manager.savepoint()
    storage.delete_all(*PLACE)
    storage.purge_deleted(*PLACE)
    assert storage.checksum(*PLACE) == Checksum()
    mark.rollback()
    assert storage.checksum(*PLACE) == recomputed(storage) != Checksum()
    manager.abort()
    assert storage.checksum(*PLACE) == recomputed(storage) == before


def test_checksum_of_a_new_collection_is_undone(storage, manager, transactional):
    storage.create(*PLACE, {})
    manager.abort()
    assert storage.checksum(*PLACE) == Checksum()
    storage.create(*PLACE, {})
    assert storage.checksum(*PLACE) == recomputed(storage)


def test_simultaneous_writes_keep_the_checksum(storage, together):
    def write():
        for n in range(5):
            created = storage.create(*PLACE, {"last_modified": n})
            storage.update(*PLACE, created["id"], {"n": n})
        storage.delete(*PLACE, created["id"])

    assert together(write, write, write) == [None] * 3
    assert storage.checksum(*PLACE) == recomputed(storage)
    assert storage.checksum(*PLACE).number == 12


def damage_sqlite(storage):
    with storage._client.write() as db:
        db.execute("UPDATE collections SET count = 9 WHERE parent_id = 'alice'")


def damage_postgresql(storage):
    storage.client.execute_autocommit(
        "UPDATE cliquet_collections SET cube_sum = cube_sum + 1 WHERE parent_id = 'alice'"
    )


def damage_redis(storage):
    (key,) = storage._client.call("KEYS", "cliquet.storage.checksum:*alice*")
    version = storage._client.call("GET", key).split()[0]
    storage._client.call("SET", key, version + b" 7 8")


DAMAGE = {
    "memory": lambda storage: vars(storage._collections[PLACE[::-1]]).update(_time_sum=1),
    "sqlite": damage_sqlite,
    "postgresql": damage_postgresql,
    "redis": damage_redis,
}


def update_of(engine, number):
    """The statement of a migration that computes the checksums."""
    script = files(f"cliquet.storage.{engine}").joinpath("migrations", f"{number}.sql").read_text()
    return re.search(r"^UPDATE .*?;", script, re.DOTALL | re.MULTILINE).group()


def repair_sqlite(storage):
    with storage._client.write() as db:
        db.execute(update_of("sqlite", "002"))


def repair_postgresql(storage):
    storage.client.execute_autocommit(update_of("postgresql", "004").replace("%", "%%"))


#: The repairs that the documentation of ``cliquet check --deep`` describes.
REPAIR = {
    "sqlite": repair_sqlite,
    "postgresql": repair_postgresql,
    "redis": lambda storage: storage._client.delete_keys(b"cliquet.storage.checksum:"),
}


def test_stored_checksum_that_differs_from_the_records_is_found(engine, storage):
    for place in (PLACE, ("articles", "bob"), ("articles", "carol")):
        created = [storage.create(*place, {}) for _ in range(3)]
        storage.delete(*place, created[0]["id"])
    storage.delete_all("articles", "carol")
    assert list(storage.find_mismatches()) == []
    DAMAGE[engine](storage)
    ((collection_id, parent_id, stored, actual),) = storage.find_mismatches()
    assert (collection_id, parent_id) == PLACE
    assert stored == storage.checksum(*PLACE) != actual == recomputed(storage)
    if engine in REPAIR:
        REPAIR[engine](storage)
        assert list(storage.find_mismatches()) == []
        assert storage.checksum(*PLACE) == actual


def test_storage_that_keeps_no_checksums_has_no_mismatches():
    assert list(StorageBase().find_mismatches()) == []
