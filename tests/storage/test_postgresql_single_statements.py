"""Changes of one record in one statement, on PostgreSQL."""

import pytest

from cliquet.storage import Filter, StorageBase
from cliquet.utils import COMPARISON
from tests.storage.test_postgresql import PLACE

NAMES = ("id", "last_modified")
SINCE = [Filter("last_modified", 0, COMPARISON.GT)]


@pytest.fixture
def engine():
    return "postgresql"


def test_upsert_returns_whether_the_record_existed(storage, statements):
    created, existed = storage.upsert(*PLACE, "a", {"n": 1}, *NAMES)
    assert (created, existed) == (storage.get(*PLACE, "a"), False)
    replaced, existed = storage.upsert(*PLACE, "a", {"n": 2}, *NAMES)
    assert (replaced, existed) == ({"id": "a", "n": 2, **timestamp(replaced)}, True)
    assert replaced == storage.get(*PLACE, "a")
    assert replaced["last_modified"] > created["last_modified"]
    assert [sent for sent in statements if "COMMIT" in sent or "BEGIN" in sent] == []


def test_upsert_keeps_a_requested_timestamp(storage):
    created, _ = storage.upsert(*PLACE, "a", {"n": 1, "last_modified": 5}, *NAMES)
    assert created == storage.get(*PLACE, "a") == {"id": "a", "n": 1, "last_modified": 5}


@pytest.mark.parametrize("later, deleted", [(-1, False), (0, True), (1, True), (None, True)])
def test_only_unmodified_records_are_deleted(storage, later, deleted):
    record = storage.create(*PLACE, {"id": "a"})
    latest = None if later is None else record["last_modified"] + later
    time = storage.delete_if_unmodified(*PLACE, "a", latest)
    records, _ = storage.get_all(*PLACE, filters=SINCE, include_deleted=True)
    tombstone = {"id": "a", "last_modified": time, "deleted": True}
    assert records == ([tombstone] if deleted else [record])
    assert (time is not None) == deleted


@pytest.mark.parametrize("object_id", ["missing", "\0", "\ud800"])
@pytest.mark.parametrize("latest", [None, 1])
def test_missing_records_are_not_deleted(storage, object_id, latest):
    assert storage.delete_if_unmodified(*PLACE, object_id, latest) is None


def test_single_statements_keep_count_and_checksum(storage):
    for name in "abcab":
        storage.upsert(*PLACE, name, {}, *NAMES)
    storage.delete_if_unmodified(*PLACE, "b", None)
    storage.upsert(*PLACE, "b", {}, *NAMES)
    storage.delete_if_unmodified(*PLACE, "c", 1 << 62)
    assert list(storage.find_mismatches()) == []
    assert storage.get_page(*PLACE).total == 2
    assert storage.get_all(*PLACE, filters=SINCE, include_deleted=True)[1] == 2


def test_subclasses_that_override_a_combined_method_see_each_change(storage):
    assert storage.supports_single_statements
    overriding = type("Storage", (type(storage),), {"update": StorageBase.update})
    own = type("Storage", (type(storage),), {"update": lambda self, *args: None})
    assert overriding(storage.client).supports_single_statements
    assert not own(storage.client).supports_single_statements


WRITES = {
    "create": lambda storage, name: storage.create(*PLACE, {"id": f"new {name}"}),
    "upsert": lambda storage, name: storage.upsert(*PLACE, name, {"n": 2}, *NAMES),
    "delete": lambda storage, name: storage.delete(*PLACE, name),
    "delete any": lambda storage, name: storage.delete_if_unmodified(*PLACE, name, None),
    "delete unmodified": lambda storage, name: storage.delete_if_unmodified(*PLACE, name, 1 << 62),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writes_are_prepared_and_happen_once_also_if_the_pooler_forgets_them(storage, write):
    client = storage.client
    for name in "abcd":
        storage.update(*PLACE, name, {"n": 1})
    client.close()  # from now on there is only one connection, a new one
    write(storage, "a")
    write(storage, "b")
    prepared = client.execute_autocommit("SELECT statement FROM pg_prepared_statements")
    assert sum("cliquet_write" in text or "cliquet_delete" in text for (text,) in prepared) == 1
    client.execute_autocommit("DEALLOCATE ALL")
    assert write(storage, "c")
    assert write(storage, "d")
    records, total = storage.get_all(*PLACE, filters=SINCE, include_deleted=True)
    changed = [each for each in records if each.get("n") != 1]
    assert len(changed) == len({each["last_modified"] for each in changed}) == 4
    assert total == sum("deleted" not in each for each in records)
    assert list(storage.find_mismatches()) == []


def timestamp(record):
    return {"last_modified": record["last_modified"]}
