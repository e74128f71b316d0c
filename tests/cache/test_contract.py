"""The contract of the caches on every engine, and tests of the base class."""

from types import SimpleNamespace

from cliquet.cache import CacheBase, heartbeat
from cliquet.testing.contracts import CacheContract


class TestContract(CacheContract):
    """Run the contract on each engine, with the fixtures of ``conftest.py``."""


class Plain(CacheBase):
    """As in the documentation: it has its own ``__init__`` and public methods."""

    def __init__(self, **kwargs):
        self.kwargs, self.entries = kwargs, {}

    def set(self, key, value, ttl=None):
        self.entries[key] = value

    def get(self, key):
        return self.entries.get(key)

    def delete(self, key):
        self.entries.pop(key, None)


def test_an_engine_can_define_the_public_methods_and_its_own_init():
    request = SimpleNamespace(registry=SimpleNamespace(settings={"readonly": "true"}))
    cache = Plain(port=8087)
    cache.set("key", "value")
    assert cache.get("key") == "value"
    assert cache.prefix == ""
    assert heartbeat(cache)(request) is True


def test_the_base_takes_the_arguments_of_other_engines():
    assert CacheBase("host", cache_prefix="one:", port=8087).prefix == "one:"
