"""The engines on which the contract of the caches is tested."""

from importlib import import_module

import pytest

from cliquet.storage.exceptions import BackendError
from tests import postgresql_server, redis_server
from tests.configuration import backend_config

ENGINES = {
    "memory": lambda folder: {},
    "sqlite": lambda folder: {"cache_url": f"sqlite:///{folder}/cache.sqlite"},
    "postgresql": lambda folder: {"cache_url": postgresql_server.shared_url()},
    "redis": lambda folder: {"cache_url": redis_server.database_url(3)},
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def make_cache(engine, tmp_path):
    """A function of settings that makes the cache of one more application on the database."""

    def make(**settings):
        config = backend_config({**ENGINES[engine](tmp_path), **settings})
        cache = import_module(f"cliquet.cache.{engine}").load_from_config(config)
        cache.initialize_schema()
        return cache

    return make


@pytest.fixture
def cache(make_cache):
    cache = make_cache()
    yield cache
    cache.flush()


def assert_operations_fail(cache, match=None):
    for use in (
        cache.flush,
        lambda: cache.get("key"),
        lambda: cache.set("key", 1),
        lambda: cache.ttl("key"),
        lambda: cache.expire("key", 1),
        lambda: cache.delete("key"),
    ):
        with pytest.raises(BackendError, match=match):
            use()
