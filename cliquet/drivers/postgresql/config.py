"""PostgreSQL clients for the settings of an application."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import psycopg2
import psycopg2.extensions
from pyramid.config import Configurator
from sqlalchemy.pool import Pool, QueuePool

from cliquet.drivers import connectivity
from cliquet.drivers.postgresql.client import Client
from cliquet.drivers.postgresql.pool import QueuePoolWithMaxBacklog, make_pool
from cliquet.settings.types import BOOLEAN
from cliquet.settings.validation import invalid

#: The libpq parameters unless the URL overrides them (``?connect_timeout=10&options=…``). The
#: timeouts limit connecting to a server that is gone (in seconds, except ``tcp_user_timeout`` in
#: milliseconds), statements, waits for locks, and the time that others wait if a process stops in
#: the middle of a request. If a server can't end a statement in time, the client closes the
#: connection shortly afterwards (see ``watchdog``). Poolers that refuse ``options`` need
#: ``?options=``.
DEFAULT_PARAMETERS = {
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "40000",
    "client_encoding": "UTF8",
    "application_name": "cliquet",
    "options": (
        r"-c default_transaction_isolation=read\ committed -c statement_timeout=30s"
        " -c lock_timeout=20s -c idle_in_transaction_session_timeout=60s"
    ),
}

# In other URLs, libpq can mistake a part of the password for the host or port, and report it.
_URL = re.compile(r"postgres(?:ql)?(?:\+psycopg2)?(://([^@/?]*@)?[^@?]*(\?.*)?)", re.DOTALL)

_EXPECTED = (
    "postgresql://user:password@host:port/database, with %40 for @ and %2F for / in a password"
)


def create_from_config(config: Configurator, prefix: str = "") -> Client:
    """Return the client for the setting ``{prefix}url``, shared per database.

    The first backend of a database determines the size of the pool.

    :param prefix: ``storage_``, ``permission_`` or ``cache_``.
    :raises pyramid.exceptions.ConfigurationError: if it isn't a PostgreSQL URL.
    """
    settings = config.get_settings()
    parameters = DEFAULT_PARAMETERS | _parse(settings, f"{prefix}url")
    database = tuple(sorted(parameters.items()))

    def create() -> Client:
        poolclass = config.maybe_dotted(
            settings.get(f"{prefix}poolclass") or QueuePoolWithMaxBacklog
        )
        options = _pool_options(settings, prefix, poolclass)
        per_request = BOOLEAN.get(settings, "transaction_per_request", True)
        # Hashed, because the parameters include a password.
        digest = hashlib.sha256(repr((sorted(options.items()), database)).encode()).hexdigest()
        return Client(
            lambda: make_pool(poolclass, options, parameters), per_request, (poolclass, digest)
        )

    client = connectivity.shared(config.registry, "postgresql_clients", database, create)
    connectivity.register(config.registry, f"{prefix}url", client)
    return client


def _parse(settings: Mapping[str, Any], key: str) -> dict[str, str]:
    url = str(settings.get(key))
    try:
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError
        # libpq doesn't know SQLAlchemy's schemes, which name a driver.
        parameters: dict[str, str] = psycopg2.extensions.parse_dsn(f"postgresql{match[1]}")
    except (ValueError, psycopg2.Error):
        raise invalid(settings, key, _EXPECTED) from None
    return parameters


def _pool_options(
    settings: Mapping[str, Any], prefix: str, poolclass: type[Pool]
) -> dict[str, Any]:
    """Return the options in the settings that the pool class supports."""
    keys: dict[str, tuple[str, int | None]] = {"recycle": ("pool_recycle", None)}
    if issubclass(poolclass, QueuePool):
        keys["pool_size"] = ("pool_size", 25)
        keys["max_overflow"] = ("max_overflow", None)
        keys["timeout"] = ("pool_timeout", None)
    if issubclass(poolclass, QueuePoolWithMaxBacklog):
        keys["max_backlog"] = ("max_backlog", None)
    options = {}
    for option, (key, default) in keys.items():
        value = settings.get(prefix + key)
        value = default if value in (None, "") else value
        if value is not None:
            try:
                options[option] = int(value)
            except ValueError:
                raise invalid(settings, f"{prefix}{key}", "an integer") from None
    return options
