"""Redis cache backend, which relies on Redis for expiry."""

from __future__ import annotations

from pyramid.config import Configurator

from cliquet.cache import CacheBase
from cliquet.drivers.redis.client import RedisBackend, create_from_config
from cliquet.drivers.redis.client import wrap_redis_error as wrap_redis_error

#: Prefix of all keys, before that of the application.
PREFIX = b"cliquet.cache."


class Cache(RedisBackend, CacheBase):
    """Redis cache backend.

    Enable it with::

        cliquet.cache_backend = cliquet.cache.redis
        cliquet.cache_url = redis://localhost:6379/0

    :param client: the client of the server.
    """

    def flush(self) -> None:
        """Delete all entries with the prefix of this application."""
        self._client.delete_keys(self._key(""))

    def _key(self, key: str) -> bytes:
        return PREFIX + super()._key(key)

    def _read(self, key: bytes) -> bytes | None:
        value: bytes | None = self._client.call("GET", key)
        return value

    def _write(self, key: bytes, value: bytes, ttl: float | None) -> None:
        end = () if ttl is None else ("PX", _milliseconds(ttl))
        self._client.call("SET", key, value, *end)

    def _ttl(self, key: bytes) -> float | None:
        left: int = self._client.call("PTTL", key)
        return left / 1000 if left > 0 else None

    def _expire(self, key: bytes, ttl: float) -> None:
        self._client.call("PEXPIRE", key, _milliseconds(ttl))

    def _delete(self, key: bytes) -> None:
        self._client.call("DEL", key)


def _milliseconds(ttl: float) -> int:
    return max(1, round(ttl * 1000))


def load_from_config(config: Configurator) -> Cache:
    """Return the cache backend of an application."""
    prefix = config.get_settings().get("cache_prefix", "")
    return Cache(create_from_config(config, prefix="cache_"), cache_prefix=prefix)
