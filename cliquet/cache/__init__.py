"""The contract of the cache backends, and what they have in common.

A cache keeps JSON values under text keys, each for a time or until it is
deleted. It takes no part in the transaction of the request: what is cached
while a request is served stays when the request fails.
"""

from __future__ import annotations

import json as stdlib_json
import math
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from cliquet.loggers import get_logger
from cliquet.migrations import Migrated
from cliquet.storage.documents import read_document
from cliquet.storage.exceptions import BackendError
from cliquet.utils import json

logger = get_logger(__name__)

_CENTURY = 100 * 365.25 * 24 * 3600
_HEARTBEAT_SECONDS = 60


class CacheBase(Migrated):
    """What a cache backend must do; a class of somebody else's derives from this one.

    An engine defines :meth:`initialize_schema`, :meth:`flush`, and either the
    other public methods, or the few private ones that these call: they get the
    key with its prefix as bytes, the value as JSON in UTF-8, and times to live
    that are positive and finite.

    :param cache_prefix: comes before every key; other arguments are not looked at.
    """

    prefix = ""

    def __init__(self, *args: Any, cache_prefix: str = "", **kwargs: Any) -> None:
        self.prefix = cache_prefix

    def flush(self) -> None:
        """Delete every entry."""
        raise NotImplementedError

    def ttl(self, key: str) -> float:
        """Return how many seconds the entry has left.

        It is negative when there is no such entry, or one without end.
        """
        left = self._ttl(self._key(key))
        return -1 if left is None else left

    def expire(self, key: str, ttl: float) -> None:
        """Let the entry, if there is one, live for ``ttl`` seconds from now on.

        :param ttl: may have a fraction; the entry is deleted if it is not
            positive, and kept for a century at most.
        :raises ValueError: when ``ttl`` is not a number.
        """
        seconds = _seconds(ttl)
        if seconds > 0:
            self._expire(self._key(key), seconds)
        else:
            self._delete(self._key(key))

    def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Keep ``value`` under ``key``, instead of what was there.

        :param value: any JSON value; what is done to it later changes nothing
            in the cache. A tuple is kept as a list.
        :param ttl: for how many seconds, as for :meth:`expire`; None: until it
            is deleted.
        :raises ValueError: when the value would not come back equal from JSON,
            or ``ttl`` is not a number. The cache is as before.
        """
        raw = _encode(value)
        seconds = None if ttl is None else _seconds(ttl)
        if seconds is None or seconds > 0:
            self._write(self._key(key), raw, seconds)
        else:
            self._delete(self._key(key))

    def get(self, key: str) -> Any:
        """Return the value that was set, or None if there is none or it expired."""
        raw = self._read(self._key(key))
        return None if raw is None else read_document(raw)

    def delete(self, key: str) -> None:
        """Delete the entry, if there is one."""
        self._delete(self._key(key))

    def _key(self, key: str) -> bytes:
        # Whatever the text: no engine takes lone surrogates, or null characters, in its own.
        return f"{self.prefix}{key}".encode("utf-8", "surrogatepass")

    def _read(self, key: bytes) -> bytes | None:
        """Return the value, None if there is none or it expired. Nothing is deleted here."""
        raise NotImplementedError

    def _write(self, key: bytes, value: bytes, ttl: float | None) -> None:
        """Set the value and its time to live in seconds; None removes an earlier one."""
        raise NotImplementedError

    def _ttl(self, key: bytes) -> float | None:
        """Return the positive number of seconds that are left, or None."""
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


def _encode(value: Any) -> bytes:
    try:
        text = stdlib_json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        raw = text.encode("utf-8")
        json.loads(raw)  # reads less than is written: not what is nested very deeply
        if not _has_text_keys_only(value):
            raise ValueError("not all of its keys are text")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"This value can't be cached as JSON: {error}") from error
    return raw


def _has_text_keys_only(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _has_text_keys_only(v) for k, v in value.items())
    return not isinstance(value, (list, tuple)) or all(map(_has_text_keys_only, value))


def probe(backend: CacheBase, readonly: bool = False) -> None:
    """Try whether ``backend`` works: it raises what fails.

    :param readonly: that mode is about records and permissions, the cache is written all the same.
    """
    key = f"__heartbeat__:{uuid4()}"  # its own: heartbeats may meet
    backend.set(key, "alive", _HEARTBEAT_SECONDS)
    found = backend.get(key)
    backend.delete(key)
    if found != "alive":
        raise BackendError(message="what was set is not there")


def heartbeat(backend: CacheBase) -> Callable[[Any], bool]:
    """Return the function of the request that tells whether the cache works.

    It writes, in read-only mode too: that mode is about records and
    permissions, the cache goes on serving.
    """

    def ping(request: Any) -> bool:
        try:
            probe(backend)
        except Exception:
            logger.exception("The cache backend doesn't work.")
            return False
        return True

    return ping
