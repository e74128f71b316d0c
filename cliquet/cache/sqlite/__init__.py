"""SQLite cache backend, shared by the processes of a machine."""

from __future__ import annotations

import time
from typing import Any

from pyramid.config import Configurator

from cliquet.cache import CacheBase
from cliquet.drivers.sqlite.client import create_from_config
from cliquet.drivers.sqlite.schema import SQLiteBackend

READ = "SELECT value FROM cache WHERE key = :key AND (expires IS NULL OR expires > :now)"

WRITE = """
    INSERT INTO cache (key, value, expires) VALUES (:key, :value, :expires)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires
"""

TTL = "SELECT expires - :now FROM cache WHERE key = :key AND expires > :now"

EXPIRE = """
    UPDATE cache SET expires = :expires
    WHERE key = :key AND (expires IS NULL OR expires > :now)
"""

DELETE = "DELETE FROM cache WHERE key = :key"

# Deletes several expired entries for each entry written, so that they don't accumulate, but not
# all of them, which could take long.
SWEEP = """
    DELETE FROM cache WHERE rowid IN (
        SELECT rowid FROM cache WHERE expires <= :now LIMIT 10
    )
"""

FLUSH = "DELETE FROM cache"


class Cache(SQLiteBackend, CacheBase):
    """SQLite cache backend; entries survive a restart.

    Enable it with::

        cliquet.cache_backend = cliquet.cache.sqlite
        cliquet.cache_url = sqlite:///path/to/file

    :param client: the client of the file.
    """

    _package = __name__

    def flush(self) -> None:
        with self._client.write_alone() as connection:
            connection.execute(FLUSH)

    def _read(self, key: bytes) -> bytes | None:
        row = self._row(READ, key, time.time())
        return bytes(row[0]) if row else None

    def _write(self, key: bytes, value: bytes, ttl: float | None) -> None:
        with self._client.write_alone() as connection:
            now = time.time()  # after the wait for the lock
            connection.execute(SWEEP, {"now": now})
            expires = None if ttl is None else now + ttl
            connection.execute(WRITE, {"key": key, "value": value, "expires": expires})

    def _ttl(self, key: bytes) -> float | None:
        row = self._row(TTL, key, time.time())
        return float(row[0]) if row else None

    def _expire(self, key: bytes, ttl: float) -> None:
        with self._client.write_alone() as connection:
            now = time.time()
            connection.execute(EXPIRE, {"key": key, "now": now, "expires": now + ttl})

    def _delete(self, key: bytes) -> None:
        with self._client.write_alone() as connection:
            connection.execute(DELETE, {"key": key})

    def _row(self, query: str, key: bytes, now: float) -> Any:
        with self._client.read() as connection:
            return connection.execute(query, {"key": key, "now": now}).fetchone()


def load_from_config(config: Configurator) -> Cache:
    """Return the cache backend of an application."""
    prefix = config.get_settings().get("cache_prefix", "")
    return Cache(create_from_config(config, prefix="cache_"), cache_prefix=prefix)
