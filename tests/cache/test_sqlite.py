"""SQLite cache backend."""

import time

import pytest
import transaction

from cliquet import transactions
from cliquet.cache.sqlite import SWEEP, load_from_config
from cliquet.storage.exceptions import BackendError
from tests.cache.conftest import assert_operations_fail
from tests.configuration import backend_config


def make(folder, **settings):
    url = f"sqlite:///{folder}/cache.sqlite"
    return load_from_config(backend_config({"cache_url": url, **settings}))


@pytest.fixture
def cache(tmp_path):
    cache = make(tmp_path)
    cache.initialize_schema()
    return cache


def count(cache):
    with cache._client.read() as connection:
        return connection.execute("SELECT count(*) FROM cache").fetchone()[0]


def test_entries_survive_a_restart_and_keep_their_end(cache, tmp_path):
    cache.set("forever", {"a": [1]})
    cache.set("long", "value", ttl=7200)
    cache.set("short", "value", ttl=0.05)
    time.sleep(0.1)
    again = make(tmp_path)
    again.initialize_schema()
    assert again.get("forever") == {"a": [1]}
    assert 7190 < again.ttl("long") < 7200
    assert again.get("short") is None


def test_applications_with_prefixes_share_a_file(cache, tmp_path):
    one, two = make(tmp_path, cache_prefix="one:"), make(tmp_path, cache_prefix="two:")
    one.set("key", 1)
    two.set("key", 2)
    assert (one.get("key"), two.get("key"), cache.get("key")) == (1, 2, None)
    assert (cache.get("one:key"), cache.get("two:key")) == (1, 2)


def test_expired_entries_do_not_accumulate(cache):
    with cache._client.write_alone() as connection:
        connection.executemany(
            "INSERT INTO cache (key, value, expires) VALUES (?, '1', 1)",
            [(str(number).encode(),) for number in range(100)],
        )
    cache.set("live", True, ttl=60)
    assert 2 < count(cache) < 100  # a write doesn't take long
    for number in range(20):
        cache.set("same", number)
    assert count(cache) == 2
    assert cache.get("live") is True


def test_nothing_is_deleted_while_reading(cache):
    cache.set("key", "value", ttl=0.01)
    time.sleep(0.05)
    assert cache.get("key") is None
    assert cache.ttl("key") < 0
    assert count(cache) == 1


def test_expired_entries_are_found_by_an_index(cache):
    with cache._client.read() as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {SWEEP}", {"now": 1}).fetchall()
    assert "cache_by_expiry" in str(plan)
    assert "SCAN" not in str(plan)


def test_cached_values_are_kept_when_the_request_fails(cache):
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        cache.set("key", "value")
        cache.expire("key", 60)
        manager.abort()
    assert cache.get("key") == "value"


def test_a_request_that_is_writing_to_the_file_can_use_the_cache(cache):
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        cache._client.lock()
        cache.set("key", "value")
        assert cache.get("key") == "value"
        manager.commit()
    assert cache.get("key") == "value"


def test_failures_are_backend_errors(tmp_path):
    cache = make(tmp_path / "missing")
    with pytest.raises(BackendError):
        cache.initialize_schema()
    assert_operations_fail(cache)
