"""In-memory cache backend."""

import time

from cliquet.cache.memory import Cache


def test_expired_entries_do_not_accumulate():
    cache = Cache()
    cache.set("first", True, ttl=60)
    for number in range(500):
        cache.set(str(number), number, ttl=0.01)
    time.sleep(0.05)
    cache.set("last", True)
    for number in range(300):
        cache.set("same", number)
    assert len(cache._entries) == 3
    assert cache.get("first") is cache.get("last") is True


def test_nothing_is_deleted_while_reading():
    cache = Cache()
    cache.set("key", "value", ttl=0.01)
    time.sleep(0.05)
    assert cache.get("key") is None
    assert cache.ttl("key") < 0
    assert len(cache._entries) == 1
