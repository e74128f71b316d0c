"""The engines on which the contract of the caches is tested."""

import pytest

from cliquet.storage.exceptions import BackendError
from tests.engines import backend_maker, engine

__all__ = ["engine"]


@pytest.fixture
def make_cache(engine, tmp_path):
    """A function that creates a cache backend with some settings, like a new application."""
    return backend_maker("cache", engine, tmp_path, 3)


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
