"""Redis cache backend."""

import pytest
import transaction

from cliquet import transactions
from cliquet.cache.redis import load_from_config
from tests import redis_server
from tests.cache.conftest import assert_operations_fail
from tests.configuration import backend_config

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


def make(url=None, **settings):
    settings = {"cache_url": url or redis_server.database_url(3), **settings}
    return load_from_config(backend_config(settings))


@pytest.fixture
def cache():
    cache = make()
    cache._client.call("FLUSHDB")  # contracts leave the keys of other prefixes
    yield cache
    cache._client.call("FLUSHDB")


def test_keys_begin_with_a_prefix_and_flush_removes_only_these(cache):
    cache.flush()
    before = set(cache._client.call("KEYS", "*")) - {b"cliquet.other"}
    cache._client.call("SET", "cliquet.other", "application")
    cache.set("a", 1)
    cache.set("\ud800\0", 1, ttl=60)
    keys = set(cache._client.call("KEYS", "*")) - before
    assert len(keys) == 3
    assert all(key.startswith((b"cliquet.cache.", b"cliquet.other")) for key in keys)
    cache.flush()
    assert set(cache._client.call("KEYS", "*")) - before == {b"cliquet.other"}


@pytest.mark.parametrize("prefix", ["one:", "[a-z]*?\\", "é"])
def test_applications_with_prefixes_share_a_database(cache, prefix):
    one, two = make(cache_prefix=prefix), make(cache_prefix="a:")
    one.set("key", 1)
    two.set("key", 2)
    assert (one.get("key"), two.get("key"), cache.get("key")) == (1, 2, None)
    one.flush()
    assert (one.get("key"), two.get("key")) == (None, 2)


def test_entries_expire_in_the_server(cache):
    cache.set("key", "value", ttl=0.00001)
    cache.set("other", "value", ttl=3600)
    assert 3_590_000 < cache._client.call("PTTL", "cliquet.cache.other") <= 3_600_000
    assert make().get("other") == "value"


def test_more_entries_than_a_step_looks_at_are_flushed(cache):
    for number in range(2500):
        cache.set(str(number), number)
    cache.flush()
    assert cache._client.call("KEYS", "*") == []


def test_cached_values_are_kept_when_the_request_fails(cache):
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        cache.set("key", "value")
        manager.abort()
    assert cache.get("key") == "value"


def test_failures_are_backend_errors():
    cache = make(NOBODY_LISTENS)
    cache.initialize_schema()
    assert_operations_fail(cache)


def test_settings_are_the_options_of_the_connections(cache):
    assert redis_server.database_url(3).endswith(f"/{cache.settings['db']}")
    cache.settings.clear()
    assert "socket_timeout" in cache.settings
