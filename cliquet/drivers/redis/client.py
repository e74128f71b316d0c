"""Redis client that the backends of an application share.

Exceptions of the driver are translated into
:class:`~cliquet.storage.exceptions.BackendError`.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis
from pyramid.config import Configurator
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from cliquet.drivers import connectivity
from cliquet.drivers.backend import SchemalessBackend
from cliquet.drivers.exceptions import BackendError, ErrorTranslation
from cliquet.settings.validation import invalid

#: Timeouts in seconds of connecting, of a response, and of waiting for a pooled connection;
#: the URL can override the first two.
CONNECT_TIMEOUT = 3
SOCKET_TIMEOUT = 10
POOL_TIMEOUT = 10

#: A connection is tested before use if it was idle for longer, in seconds.
HEALTH_CHECK_INTERVAL = 30

DEFAULT_POOL_SIZE = 25

#: The server if the URL is empty.
DEFAULT_URL = "redis://localhost:6379/0"

#: The expected form of a URL, for error messages.
EXPECTED = "redis://host:port/database, rediss:// or unix:///path/to/socket?db=database"

_SCHEMES = ("redis://", "rediss://", "unix://")

#: Number of keys that the server examines in each step of a scan.
CHUNK = 1000

# A host and a port without a scheme, with an optional database number.
_SERVER = re.compile(r"[\w.-]+:\d+(/\d+)?")

_SPECIAL_IN_PATTERNS = re.compile(rb"([*?\[\]\\^-])")


def encode(text: str) -> bytes:
    """Return the encoded form of a string, which can contain any characters."""
    return text.encode("utf-8", "surrogatepass")


def decode(raw: bytes) -> str:
    """Return the string of an encoded form."""
    return raw.decode("utf-8", "surrogatepass")


class Script:
    """A Lua script, concatenated from files."""

    def __init__(self, *paths: Path) -> None:
        self.text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
        self.sha = hashlib.sha1(self.text.encode("utf-8"), usedforsecurity=False).hexdigest()


_FLUSH = Script(Path(__file__).with_name("flush.lua"))


class _Checked:
    """A connection that reconnects, instead of failing, if it turns out to be stale."""

    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False

    def check_health(self) -> None:
        if self._connecting:
            return  # a new connection isn't stale: a retry would fail as well
        try:
            super().check_health()  # type: ignore[misc]
        except redis.RedisError:
            self.disconnect()  # type: ignore[attr-defined]
            self.connect()


class Client:
    """The client of a Redis server.

    :param url: ``redis://``, ``rediss://`` or ``unix://``; its query can contain options of
        the driver's connections. ``host:port`` means ``redis://host:port``, and an empty URL
        means :data:`DEFAULT_URL`.
    :param pool_size: the maximum number of connections.
    :param timeout: overrides all the timeouts above, in seconds.
    :raises ValueError: if the URL is invalid.
    """

    def __init__(
        self, url: str, pool_size: int = DEFAULT_POOL_SIZE, timeout: float | None = None
    ) -> None:
        url = url.strip() or DEFAULT_URL
        if _SERVER.fullmatch(url):
            url = f"redis://{url}"
        if not url.startswith(_SCHEMES):
            raise ValueError(url)
        # Never send a command twice: the server might have run the first.
        options = {
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": timeout or CONNECT_TIMEOUT,
            "socket_timeout": timeout or SOCKET_TIMEOUT,
            "health_check_interval": HEALTH_CHECK_INTERVAL,
            **parse_url(url),
        }
        base: Any = options.pop("connection_class", redis.Connection)
        checked: Any = type("CheckedConnection", (_Checked, base), {})
        # Raise TypeError for unknown options now.
        self._probe = checked(**{**options, "socket_timeout": CONNECT_TIMEOUT})
        self._pool = redis.BlockingConnectionPool(
            max_connections=pool_size,
            timeout=timeout or POOL_TIMEOUT,
            connection_class=checked,
            **options,
        )
        self._redis = redis.Redis(connection_pool=self._pool)

    @property
    def settings(self) -> dict[str, Any]:
        """The connection options."""
        return dict(self._pool.connection_kwargs)

    def call(self, *command: Any) -> Any:
        """Run a command, and return the response: bytes, integers, or lists of these."""
        with _TRANSLATED:
            return self._redis.execute_command(*command, NEVER_DECODE=True)

    def run(self, script: Script, keys: Sequence[bytes], *args: Any) -> Any:
        """Run a script in one round trip, two if the server doesn't know it yet."""
        with _TRANSLATED:
            try:
                return self._redis.evalsha(script.sha, len(keys), *keys, *args)
            except redis.exceptions.NoScriptError:
                return self._redis.eval(script.text, len(keys), *keys, *args)

    def delete_keys(self, prefix: bytes) -> None:
        """Delete the keys that begin with ``prefix`` atomically."""
        self.run(_FLUSH, [], pattern(prefix), CHUNK)

    def keys(self, prefix: bytes) -> set[bytes]:
        """Return the keys that begin with ``prefix`` during the whole scan."""
        with _TRANSLATED:
            return set(self._redis.scan_iter(pattern(prefix), CHUNK, NEVER_DECODE=True))

    def ping(self) -> None:
        """Check that the server responds within a few seconds, on a separate connection.

        :raises BackendError: if the server doesn't respond.
        """
        with _TRANSLATED:
            try:
                self._probe.connect()
                self._probe.send_command("PING", check_health=False)
                self._probe.read_response()
            finally:
                self._probe.disconnect()

    def check_durability(self) -> None:
        """Check that the server never evicts keys to free memory.

        :raises BackendError: if its ``maxmemory-policy`` can evict keys without expiry.
        """
        with _TRANSLATED:
            policy = str(self._redis.info("memory").get("maxmemory_policy", ""))
        if policy.startswith("allkeys"):
            raise BackendError(
                message=f"maxmemory-policy is {policy}: Redis deletes records and permissions to "
                "free memory; set it to noeviction"
            )

    def close(self) -> None:
        """Close the connections."""
        self._pool.disconnect()


def pattern(prefix: bytes) -> bytes:
    """Return the glob pattern of the keys that begin with ``prefix``."""
    return _SPECIAL_IN_PATTERNS.sub(rb"\\\1", prefix) + b"*"


def _translate(error: Exception) -> BackendError:
    failure = BackendError(original=error)
    if isinstance(error, (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)):
        failure.outage = "Redis"
    return failure


_TRANSLATED = ErrorTranslation((redis.RedisError,), _translate)


def wrap_redis_error(func: Callable[..., Any]) -> Callable[..., Any]:
    """Translate errors of the driver into BackendError (decorator)."""

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with _TRANSLATED:
            return func(*args, **kwargs)

    return wrapped


class RedisBackend(SchemalessBackend):
    """A backend whose data is on a Redis server.

    :param client: the client of the server.
    """

    def __init__(self, client: Client, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._client = client

    @property
    def settings(self) -> dict[str, Any]:
        """The connection options."""
        return self._client.settings

    def check_durability(self) -> None:
        self._client.check_durability()


def create_from_config(config: Configurator, prefix: str = "") -> Client:
    """Return the client for the setting ``{prefix}url``, shared per URL.

    The first backend of a URL determines the size of the pool.

    :param prefix: ``storage_``, ``permission_`` or ``cache_``.
    :raises pyramid.exceptions.ConfigurationError: if it isn't a Redis URL.
    """
    settings = config.get_settings()
    key = f"{prefix}url"
    url = str(settings.get(key) or "")

    def create() -> Client:
        try:
            return Client(url, int(settings.get(f"{prefix}pool_size", DEFAULT_POOL_SIZE)))
        except (TypeError, ValueError):
            raise invalid(settings, key, EXPECTED) from None

    client = connectivity.shared(config.registry, "redis_clients", url, create)
    connectivity.register(config.registry, key, client)
    return client
