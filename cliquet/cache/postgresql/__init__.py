"""PostgreSQL cache backend, for any number of processes and machines."""

from __future__ import annotations

from pyramid.config import Configurator

from cliquet.cache import CacheBase
from cliquet.drivers.postgresql.config import create_from_config
from cliquet.drivers.postgresql.schema import PostgreSQLBackend
from cliquet.drivers.postgresql.schema import logger as logger

# The clock is that of the server, the same for all machines. Every statement commits itself.

READ = "SELECT value FROM cliquet_cache WHERE key = %s AND (expires IS NULL OR expires > now())"

# Each write deletes some expired entries, so that they don't accumulate; not all of them, which
# could take long, and none that another transaction is deleting.
WRITE = """
    WITH expired AS (
        SELECT key FROM cliquet_cache WHERE expires <= now() AND key <> %s
        LIMIT 10 FOR UPDATE SKIP LOCKED
    ), swept AS (
        DELETE FROM cliquet_cache AS cache USING expired WHERE cache.key = expired.key
    )
    INSERT INTO cliquet_cache (key, value, expires)
    VALUES (%s, %s, now() + %s * interval '1 second')
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires
"""

TTL = """
    SELECT extract(epoch FROM expires - now())::float FROM cliquet_cache
    WHERE key = %s AND expires > now()
"""

EXPIRE = """
    UPDATE cliquet_cache SET expires = now() + %s * interval '1 second'
    WHERE key = %s AND (expires IS NULL OR expires > now())
"""

DELETE = "DELETE FROM cliquet_cache WHERE key = %s"

FLUSH = "DELETE FROM cliquet_cache"


class Cache(PostgreSQLBackend, CacheBase):
    """PostgreSQL cache backend; entries survive a restart.

    Enable it with::

        cliquet.cache_backend = cliquet.cache.postgresql
        cliquet.cache_url = postgresql://user:password@host:5432/database

    While a request is writing to the same database, each cache operation briefly uses a
    second connection.

    :param client: the client of the database.
    """

    _package = __name__

    def flush(self) -> None:
        self._client.execute_autocommit(FLUSH)

    def _read(self, key: bytes) -> bytes | None:
        rows = self._client.execute_autocommit(READ, [key])
        return bytes(rows[0][0]) if rows else None

    def _write(self, key: bytes, value: bytes, ttl: float | None) -> None:
        self._client.execute_autocommit(WRITE, [key, key, value, ttl])

    def _ttl(self, key: bytes) -> float | None:
        rows = self._client.execute_autocommit(TTL, [key])
        return rows[0][0] if rows else None

    def _expire(self, key: bytes, ttl: float) -> None:
        self._client.execute_autocommit(EXPIRE, [ttl, key])

    def _delete(self, key: bytes) -> None:
        self._client.execute_autocommit(DELETE, [key])


def load_from_config(config: Configurator) -> Cache:
    """Return the cache backend of an application."""
    prefix = config.get_settings().get("cache_prefix", "")
    return Cache(create_from_config(config, prefix="cache_"), cache_prefix=prefix)
