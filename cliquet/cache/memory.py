"""In-memory cache backend for tests, trials and single processes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import NamedTuple

from pyramid.config import Configurator

from cliquet.cache import CacheBase
from cliquet.drivers.backend import SchemalessBackend


class _Entry(NamedTuple):
    value: bytes
    expires: float | None  # seconds since the epoch

    def is_live(self, now: float) -> bool:
        return self.expires is None or now < self.expires


class Cache(SchemalessBackend, CacheBase):
    """In-memory cache backend; entries are lost when the process ends.

    Enable it with::

        cliquet.cache_backend = cliquet.cache.memory
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._lock = threading.Lock()  # for writes: a single look-up needs no lock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def flush(self) -> None:
        with self._lock:
            self._entries.clear()

    def _read(self, key: bytes) -> bytes | None:
        entry = self._live(key, time.time())
        return entry.value if entry else None

    def _write(self, key: bytes, value: bytes, ttl: float | None) -> None:
        now = time.time()
        with self._lock:
            self._entries[key] = _Entry(value, None if ttl is None else now + ttl)
            self._delete_expired(now)

    def _ttl(self, key: bytes) -> float | None:
        now = time.time()
        entry = self._live(key, now)
        return entry.expires - now if entry and entry.expires is not None else None

    def _expire(self, key: bytes, ttl: float) -> None:
        now = time.time()
        with self._lock:
            if entry := self._live(key, now):
                self._entries[key] = entry._replace(expires=now + ttl)

    def _delete(self, key: bytes) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def _live(self, key: bytes, now: float) -> _Entry | None:
        entry = self._entries.get(key)
        return entry if entry and entry.is_live(now) else None

    def _delete_expired(self, now: float) -> None:
        # Examine two entries for each one written, in rotation: this bounds both the number of
        # expired entries relative to live ones and the duration of a write.
        for _ in range(min(2, len(self._entries))):
            key, entry = next(iter(self._entries.items()))
            if entry.is_live(now):
                self._entries.move_to_end(key)
            else:
                del self._entries[key]


def load_from_config(config: Configurator) -> Cache:
    """Return the cache backend of an application."""
    return Cache(cache_prefix=config.get_settings().get("cache_prefix", ""))
