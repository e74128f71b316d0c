"""In-memory cache backend that evicts the least recently used entries when it is full."""

import math
import threading
import time
from typing import NamedTuple

from cachetools import TLRUCache

from cliquet.cache import CacheBase


class Entry(NamedTuple):
    value: bytes
    end: float


class Cache(CacheBase):
    def __init__(self, *args, size=10_000, **kwargs):
        super().__init__(*args, **kwargs)
        self._entries = TLRUCache(size, ttu=lambda key, entry, now: entry.end, timer=time.monotonic)
        self._lock = threading.Lock()

    def initialize_schema(self):
        """Do nothing: this cache has no schema."""

    def pending_migrations(self):
        return []

    def flush(self):
        with self._lock:
            self._entries.clear()

    def _read(self, key):
        with self._lock:
            entry = self._entries.get(key)
        return None if entry is None else entry.value

    def _write(self, key, value, ttl):
        end = math.inf if ttl is None else time.monotonic() + ttl
        with self._lock:
            self._entries[key] = Entry(value, end)

    def _ttl(self, key):
        with self._lock:
            entry = self._entries.get(key)
        return None if entry is None or entry.end == math.inf else entry.end - time.monotonic()

    def _expire(self, key, ttl):
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries[key] = entry._replace(end=time.monotonic() + ttl)

    def _delete(self, key):
        with self._lock:
            self._entries.pop(key, None)


def load_from_config(config):
    settings = config.get_settings()
    size = int(settings.get("cachetools.size", 10_000))
    return Cache(cache_prefix=settings.get("cache_prefix", ""), size=size)
