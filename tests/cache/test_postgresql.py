"""PostgreSQL cache backend."""

import time

import pytest
import transaction

from cliquet import transactions
from cliquet.cache.postgresql import load_from_config
from tests import postgresql_server
from tests.cache.conftest import assert_operations_fail
from tests.configuration import backend_config


def make(url=None, **settings):
    settings["cache_url"] = url or postgresql_server.shared_url()
    return load_from_config(backend_config(settings))


@pytest.fixture
def cache():
    cache = make()
    cache.initialize_schema()
    yield cache
    cache.flush()


def count(cache):
    return cache._client.execute_autocommit("SELECT count(*) FROM cliquet_cache")[0][0]


def test_applications_with_prefixes_share_a_database(cache):
    one, two = make(cache_prefix="one:"), make(cache_prefix="two:")
    one.set("key", 1)
    two.set("key", 2)
    assert (one.get("key"), two.get("key"), cache.get("key")) == (1, 2, None)
    assert (cache.get("one:key"), cache.get("two:key")) == (1, 2)


def test_expired_entries_do_not_accumulate(cache):
    cache._client.execute_autocommit(
        """INSERT INTO cliquet_cache (key, value, expires)
        SELECT n::text::bytea, '1', now() - interval '1 s' FROM generate_series(1, 100) AS n"""
    )
    cache.set("1", True, ttl=60)
    assert 2 < count(cache) < 100  # a write doesn't take long
    for number in range(20):
        cache.set("same", number)
    assert count(cache) == 2
    assert cache.get("1") is True


def test_nothing_is_deleted_while_reading(cache):
    cache.set("key", "value", ttl=0.01)
    time.sleep(0.05)
    assert cache.get("key") is None
    assert cache.ttl("key") < 0
    assert count(cache) == 1


def test_cached_values_are_kept_when_the_request_fails(cache):
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        cache._client.write("SELECT 1")
        cache.set("key", "value")
        cache.expire("key", 60)
        manager.abort()
    assert cache.get("key") == "value"


def test_failures_are_backend_errors():
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        cache = make(url)
        assert_operations_fail(cache, match="does not exist; has `cliquet migrate`")
        cache._client.close()
