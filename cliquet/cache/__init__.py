"""Interface of the cache backends, and the code that the engines share.

A cache maps string keys to JSON values, which expire after a while or remain
until they are deleted. It doesn't take part in the transaction of the request: entries
written by a request remain even if it fails.
"""

from __future__ import annotations

import json as stdlib_json
import math
import random as random  # tests of 3.1 replace its functions
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from cliquet.drivers.backend import Backend, health_check
from cliquet.drivers.documents import read_document
from cliquet.drivers.exceptions import BackendError
from cliquet.loggers import get_logger
from cliquet.utils import json

logger = get_logger(__name__)

_CENTURY = 100 * 365.25 * 24 * 3600
_HEARTBEAT_KEY = "__heartbeat__"
_HEARTBEAT_TTL_SECONDS = 3600


class CacheBase(Backend):
    """Base class of the cache backends, including those of other packages.

    An engine implements :meth:`initialize_schema`, :meth:`flush`, and either the
    other public methods, or the few private ones that these call. The private ones
    receive keys as bytes with the prefix, values as JSON in UTF-8, and times to
    live that are positive and finite.

    :param cache_prefix: prefix of all keys; other arguments are ignored.
    """

    prefix = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.prefix = kwargs.get("cache_prefix", "")

    def flush(self) -> None:
        """Delete every entry."""
        raise NotImplementedError

    def ttl(self, key: str) -> float:
        """Return the remaining time to live of the entry, in seconds.

        It is negative if the entry doesn't exist or never expires.
        """
        left = self._ttl(self._key(key))
        return -1 if left is None else left

    def expire(self, key: str, ttl: float) -> None:
        """Set the time to live of the entry, if it exists.

        :param ttl: seconds from now on, possibly fractional. The entry is deleted if
            it isn't positive, and kept for a century at most.
        :raises ValueError: if ``ttl`` isn't a number.
        """
        seconds = _seconds(ttl)
        if seconds > 0:
            self._expire(self._key(key), seconds)
        else:
            self._delete(self._key(key))

    def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Set the value of ``key``, replacing the previous entry.

        :param value: any JSON value. It is copied: later changes to it don't affect
            the cache. Tuples become lists.
        :param ttl: time to live in seconds, as for :meth:`expire`; None: until it is
            deleted.
        :raises ValueError: if the value isn't equal after a round trip through JSON,
            or ``ttl`` isn't a number. The previous entry is kept.
        """
        raw = _encode(value)
        seconds = None if ttl is None else _seconds(ttl)
        if seconds is None or seconds > 0:
            self._write(self._key(key), raw, seconds)
        else:
            self._delete(self._key(key))

    def get(self, key: str) -> Any:
        """Return the value of ``key``, or None if it doesn't exist or has expired."""
        raw = self._read(self._key(key))
        return None if raw is None else read_document(raw)

    def delete(self, key: str) -> None:
        """Delete the entry, if it exists."""
        self._delete(self._key(key))

    def _key(self, key: str) -> bytes:
        # As bytes, because no engine stores lone surrogates or null characters in strings.
        return f"{self.prefix}{key}".encode("utf-8", "surrogatepass")

    def _read(self, key: bytes) -> bytes | None:
        """Return the value, or None if it doesn't exist or has expired; delete nothing."""
        raise NotImplementedError

    def _write(self, key: bytes, value: bytes, ttl: float | None) -> None:
        """Set the value and its time to live in seconds; None: it never expires."""
        raise NotImplementedError

    def _ttl(self, key: bytes) -> float | None:
        """Return the remaining time to live in seconds, or None if there is none."""
        raise NotImplementedError

    def _expire(self, key: bytes, ttl: float) -> None:
        """Change the time to live of an entry that has not expired."""
        raise NotImplementedError

    def _delete(self, key: bytes) -> None:
        raise NotImplementedError


def _seconds(ttl: float) -> float:
    seconds = float(ttl)
    if math.isnan(seconds):
        raise ValueError("A time to live must be a number of seconds.")
    return min(seconds, _CENTURY)


def _encode(value: object) -> bytes:
    try:
        text = stdlib_json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        raw = text.encode("utf-8")
        json.loads(raw)  # stricter than the encoder: refuses very deep nesting
        if not _has_text_keys_only(value):
            raise ValueError("not all of its keys are strings")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"This value cannot be cached as JSON: {error}") from error
    return raw


def _has_text_keys_only(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _has_text_keys_only(v) for k, v in value.items())
    return not isinstance(value, (list, tuple)) or all(map(_has_text_keys_only, value))


def probe(backend: CacheBase, readonly: bool = False) -> None:
    """Check that ``backend`` works, or raise the exception of the failing operation.

    :param readonly: ignored: read-only mode concerns records and permissions, not the cache.
    """
    key = f"{_HEARTBEAT_KEY}:{uuid4()}"  # unique, because heartbeats can run concurrently
    backend.set(key, "alive", _HEARTBEAT_TTL_SECONDS)
    value = backend.get(key)
    backend.delete(key)
    if value != "alive":
        raise BackendError(message="a value that was just set is missing")


def heartbeat(backend: CacheBase) -> Callable[[Any], bool]:
    """Return the health check of ``backend`` for ``registry.heartbeats``.

    It writes even in read-only mode, which concerns records and permissions: the
    cache remains in use.
    """
    return health_check("cache", partial(probe, backend))
