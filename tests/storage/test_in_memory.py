"""The base class of backends that filter and sort in memory."""

import importlib

import pytest

from cliquet.storage import Filter, Sort, generators, memory
from cliquet.storage.exceptions import UnicityError
from cliquet.utils import COMPARISON

PLACE = ("articles", "alice")


class Backend(memory.MemoryBasedStorage):
    """A backend as applications of 3.1 wrote them."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.records = {}
        self.time = 0

    def _bump_timestamp(
        self, collection_id, parent_id, record=None, modified_field=None, last_modified=None
    ):
        self.time = last_modified or self.time + 1
        return self.time

    def create(self, collection_id, parent_id, record, unique_fields=(), id_field="id", **names):
        self.check_unicity(
            collection_id, parent_id, record, unique_fields, id_field, for_creation=True
        )
        record = self.set_record_timestamp(collection_id, parent_id, dict(record))
        record.setdefault(id_field, self.id_generator())
        self.records[record[id_field]] = record
        return record

    def delete(self, collection_id, parent_id, object_id, with_deleted=True, **names):
        tombstone = self.strip_deleted_record(collection_id, parent_id, self.records.pop(object_id))
        self.set_record_timestamp(collection_id, parent_id, tombstone)
        if with_deleted:
            self.records[object_id] = tombstone
        return tombstone

    def get_all(
        self,
        collection_id,
        parent_id,
        filters=None,
        sorting=None,
        pagination_rules=None,
        limit=None,
        id_field="id",
        deleted_field="deleted",
        modified_field="last_modified",
    ):
        return self.extract_record_set(
            collection_id,
            self.records.values(),
            filters,
            sorting,
            id_field,
            deleted_field,
            pagination_rules=pagination_rules,
            limit=limit,
        )


@pytest.fixture
def backend():
    backend = Backend("any", parameters="too")
    backend.initialize_schema()
    for n in range(5):
        backend.create(*PLACE, {"id": str(n), "n": n})
    return backend


def ids(found):
    records, total = found
    return [record["id"] for record in records], total


def test_records_are_filtered_sorted_and_limited(backend):
    assert ids(backend.get_all(*PLACE)) == (["0", "1", "2", "3", "4"], 5)
    filters = [Filter("n", 1, COMPARISON.GT), Filter("id", "3", COMPARISON.NOT)]
    assert ids(backend.get_all(*PLACE, filters, [Sort("n", -1)])) == (["4", "2"], 2)
    assert ids(backend.get_all(*PLACE, sorting=[Sort("n", -1)], limit=2)) == (["4", "3"], 5)


def test_pages_have_the_records_that_match_any_rule(backend):
    rules = [[Filter("n", 3, COMPARISON.MIN)], [Filter("id", "4", COMPARISON.EQ)]]
    assert ids(backend.get_all(*PLACE, pagination_rules=rules)) == (["3", "4"], 5)
    rules = [[Filter("n", 9, COMPARISON.GT)]]
    assert ids(backend.get_all(*PLACE, pagination_rules=rules)) == ([], 5)


def test_tombstones_are_not_in_the_total(backend):
    tombstone = backend.delete(*PLACE, "0")
    assert tombstone == {"id": "0", "last_modified": 6, "deleted": True}
    assert ids(backend.get_all(*PLACE, sorting=[Sort("id", 1)])) == (["0", "1", "2", "3", "4"], 4)


def test_unique_fields_are_checked_on_creation_and_update(backend):
    for field in ("id", "n"):
        with pytest.raises(UnicityError) as raised:
            backend.create(*PLACE, {"id": "3"} if field == "id" else {"n": 3}, ["n", "m"])
        assert (raised.value.field, raised.value.record["id"]) == (field, "3")
    backend.check_unicity(*PLACE, {"id": "3", "n": 3}, ["n"], "id")
    with pytest.raises(UnicityError):
        backend.check_unicity(*PLACE, {"id": "2", "n": 3}, ["n"], "id")
    assert generators.UUID4().match(backend.create(*PLACE, {"m": None}, ["n", "m"])["id"])


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("cliquet.storage", "DEFAULT_ID_FIELD DEFAULT_MODIFIED_FIELD DEFAULT_DELETED_FIELD"),
        (
            "cliquet.storage.memory",
            "MemoryBasedStorage StorageBase apply_sorting get_unicity_rules",
        ),
        ("cliquet.storage.redis", "wrap_redis_error create_from_config"),
        ("cliquet.storage.postgresql", "Filter COMPARISON create_from_config"),
        ("cliquet.storage.postgresql.client", "create_from_config"),
        ("cliquet.cache.redis", "wrap_redis_error create_from_config"),
    ],
)
def test_names_of_3_1_can_be_imported(module, names):
    module = importlib.import_module(module)
    assert [name for name in names.split() if not hasattr(module, name)] == []


@pytest.mark.parametrize("with_deleted", [True, False])
def test_records_are_deleted_one_by_one(backend, with_deleted):
    ids = [record["id"] for record in backend.get_all(*PLACE)[0] if "deleted" not in record]
    deleted = backend.delete_all(*PLACE, with_deleted=with_deleted)
    assert [tombstone["id"] for tombstone in deleted] == ids
    assert all(tombstone["deleted"] for tombstone in deleted)
    assert backend.get_all(*PLACE) == (deleted if with_deleted else [], 0)


def test_tree_creates_missing_keys():
    tree = memory.tree()
    tree["a"]["b"]["c"] = 1
    assert tree == {"a": {"b": {"c": 1}}}


def test_engine_computes_the_time_of_a_change():
    storage = memory.Storage()
    last = storage.create(*PLACE, {"id": "a"})["last_modified"]
    assert storage.set_record_timestamp(*PLACE, {})["last_modified"] > last
    assert storage.set_record_timestamp(*PLACE, {}, last_modified=5) == {"last_modified": 5}
