"""Settings of the backends, transactions, logs and metrics."""

from __future__ import annotations

from cliquet.settings.types import (
    BOOLEAN,
    FROM_MINUS_ONE,
    MODULE,
    NAME,
    NATURAL,
    POSITIVE,
    TEXT,
    WORDS,
    Setting,
)

BACKENDS = (
    Setting(
        "storage_backend",
        "",
        MODULE,
        "Module of the storage backend, such as ``cliquet.storage.sqlite``; empty: none.",
        example="cliquet.storage.postgresql",
    ),
    Setting(
        "storage_url",
        "",
        TEXT,
        "URL of the storage backend, for example ``postgresql://user:password@host/db``.",
        example="postgresql://user:password@localhost/db",
    ),
    Setting(
        "permission_backend",
        "",
        MODULE,
        "Module of the permission backend; empty: none.",
        example="cliquet.permission.postgresql",
    ),
    Setting(
        "permission_url",
        "",
        TEXT,
        "URL of the permission backend.",
        example="postgresql://user:password@localhost/db",
    ),
    Setting(
        "cache_backend",
        "",
        MODULE,
        "Module of the cache backend; empty: none.",
        example="cliquet.cache.redis",
    ),
    Setting("cache_url", "", TEXT, "URL of the cache backend.", example="redis://localhost:6379/1"),
    Setting("cache_prefix", "", TEXT, "Prefix of every key in the cache.", example="bookmarks:"),
)

TRANSACTIONS = (
    Setting(
        "transaction_per_request",
        True,
        BOOLEAN,
        "Whether each request is one transaction.",
        example="false",
    ),
    Setting(
        "retry.attempts",
        30,
        POSITIVE,
        "Maximum number of attempts to run a request that conflicts with others in the "
        "database (deadlocks). In the worst case, a batch of n lists needs n attempts.",
        example="5",
    ),
    Setting(
        "tm.manager_hook",
        "cliquet.transactions.request_manager",
        NAME,
        "Function that returns the transaction manager of a request.",
    ),
    Setting(
        "tm.annotate_user",
        False,
        BOOLEAN,
        "Whether transactions contain the id of the user.",
        example="true",
    ),
    Setting("event_listeners", "", WORDS, "Names of the event listeners.", example="push"),
)

MONITORING = (
    Setting(
        "logging_renderer",
        "cliquet.logs.ClassicLogRenderer",
        NAME,
        "Class that formats log lines.",
        example="cliquet.logs.MozillaHekaRenderer",
    ),
    Setting(
        "statsd_url",
        None,
        TEXT,
        "URL of the StatsD server, ``udp://host:port``.",
        example="udp://localhost:8125",
    ),
    Setting(
        "statsd_prefix",
        None,
        TEXT,
        "Prefix of the names of metrics; by default the project's name, or ``cliquet``.",
        example="bookmarks",
    ),
    Setting(
        "statsd_backend",
        "cliquet.statsd",
        MODULE._replace(empty_is_default=True),
        "Module of the metrics client.",
        example="myapp.metrics",
    ),
    Setting(
        "newrelic_config",
        None,
        TEXT,
        "Path of New Relic's configuration file.",
        example="/etc/newrelic.ini",
    ),
    Setting("newrelic_env", "dev", TEXT, "Environment of New Relic.", example="production"),
    Setting(
        "profiler_enabled", False, BOOLEAN, "Whether every request is profiled.", example="true"
    ),
    Setting("profiler_dir", "/tmp", TEXT, "Folder of the profiles.", example="/var/tmp/profiles"),
)

# The keys begin with the kind of backend.
_POOL = (
    Setting("pool_size", 25, POSITIVE, "Connections to the {}, per process.", example="10"),
    Setting(
        "max_overflow",
        None,
        FROM_MINUS_ONE,
        "Temporary connections to the {} beyond the pool's size; -1: any number.",
        example="5",
    ),
    Setting(
        "pool_timeout", None, NATURAL, "Seconds to wait for a connection to the {}.", example="3"
    ),
    Setting(
        "pool_recycle",
        None,
        FROM_MINUS_ONE,
        "Seconds after which a connection to the {} is renewed; -1: never.",
        example="3600",
    ),
    Setting(
        "max_backlog",
        -1,
        FROM_MINUS_ONE,
        "Threads that can wait for a connection to the {}; -1: any number.",
        example="100",
    ),
    Setting(
        "poolclass",
        "cliquet.drivers.postgresql.pool.QueuePoolWithMaxBacklog",
        NAME,
        "Class of the pool of connections to the {}.",
        example="sqlalchemy.pool.NullPool",
    ),
)
CONNECTIONS = tuple(
    setting._replace(key=f"{kind}_{setting.key}", description=setting.description.format(kind))
    for kind in ("storage", "permission", "cache")
    for setting in _POOL
)

#: The groups, by their titles.
GROUPS = {
    "Backends": BACKENDS,
    "Database connections": CONNECTIONS,
    "Transactions and events": TRANSACTIONS,
    "Logs, metrics and profiles": MONITORING,
}
