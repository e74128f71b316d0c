"""Names of 3.1 for backends that filter and sort in memory; ``test_public_methods`` uses them."""

import importlib

import pytest

from cliquet.storage import memory
from cliquet.testing.contracts.samples import PLACE


def test_extract_record_set_with_limit_0_returns_all_records():
    records = [{"id": "a", "last_modified": 1}, {"id": "b", "last_modified": 2}]
    extract = memory.MemoryBasedStorage().extract_record_set
    arguments = ("articles", records, None, None, "id", "deleted")
    assert extract(*arguments, limit=0) == extract(*arguments) == (records, 2)
    assert extract(*arguments, limit=1) == (records[:1], 2)


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


def test_tree_creates_missing_keys():
    tree = memory.tree()
    tree["a"]["b"]["c"] = 1
    assert tree == {"a": {"b": {"c": 1}}}


def test_engine_computes_the_time_of_a_change():
    storage = memory.Storage()
    last = storage.create(*PLACE, {"id": "a"})["last_modified"]
    assert storage.set_record_timestamp(*PLACE, {})["last_modified"] > last
    assert storage.set_record_timestamp(*PLACE, {}, last_modified=5) == {"last_modified": 5}
