"""Table of the settings: keys, defaults, types, examples and descriptions."""

from __future__ import annotations

import re
from typing import Any

from cliquet.settings.types import (
    ANY,
    BOOLEAN,
    DATE,
    DIGITS,
    DURATION,
    FROM_MINUS_ONE,
    FUNCTIONS,
    HEADER_NAMES,
    JSON_FILE,
    LIMIT,
    MODULE,
    NAME,
    NAME_0,
    NAME_1,
    NAME_2,
    NATURAL,
    NESTING,
    PACKAGES,
    POSITIVE,
    SCHEME,
    TEXT,
    TIME_LIMIT,
    VERSION,
    WORDS,
    Setting,
    SettingType,
)

INITIALIZATION_SEQUENCE = (
    "cliquet.initialization.setup_request_bound_data",
    "cliquet.initialization.setup_json_serializer",
    "cliquet.initialization.setup_logging",
    "cliquet.initialization.setup_storage",
    "cliquet.initialization.setup_permission",
    "cliquet.initialization.setup_cache",
    "cliquet.initialization.setup_requests_scheme",
    "cliquet.initialization.setup_vary_headers",
    "cliquet.initialization.setup_version_redirection",
    "cliquet.initialization.setup_deprecation",
    "cliquet.initialization.setup_authentication",
    "cliquet.initialization.setup_backoff",
    "cliquet.initialization.setup_statsd",
    "cliquet.initialization.setup_listeners",
    "cliquet.events.setup_transaction_hook",
)

# fmt: off

# The keys begin with the kind of backend.
_POOL = (
    Setting("pool_size", 25, POSITIVE, "10", "Connections to the {}, per process."),
    Setting("max_overflow", None, FROM_MINUS_ONE, "5",
        "Temporary connections to the {} beyond the pool's size; -1: any number."),
    Setting("pool_timeout", None, NATURAL, "3", "Seconds to wait for a connection to the {}."),
    Setting("pool_recycle", None, FROM_MINUS_ONE, "3600",
        "Seconds after which a connection to the {} is renewed; -1: never."),
    Setting("max_backlog", -1, FROM_MINUS_ONE, "100",
        "Threads that can wait for a connection to the {}; -1: any number."),
    Setting("poolclass", "cliquet.drivers.postgresql.pool.QueuePoolWithMaxBacklog", NAME,
        "sqlalchemy.pool.NullPool",
        "Class of the pool of connections to the {}."),
)
_CONNECTIONS = tuple(
    setting._replace(key=f"{kind}_{setting.key}", description=setting.description.format(kind))
    for kind in ("storage", "permission", "cache")
    for setting in _POOL
)

#: The settings by group, in the order of the documentation.
GROUPS: dict[str, tuple[Setting, ...]] = {
    "Project": (
        Setting("project_name", "", TEXT, "bookmarks",
            "Name of the service, shown by the hello view."),
        Setting("project_version", "", TEXT, "1.2.0",
            "Version of the service. Its first number is the URL prefix."),
        Setting("project_docs", "", TEXT, "https://docs.example.com/",
            "URL of the documentation of the service."),
        Setting("http_api_version", None, VERSION, "1.3",
            "Version of the API, ``MAJOR.MINOR``; by default, that of ``project_version``. MAJOR "
            "is the URL prefix."),
        Setting("version_json_path", None, JSON_FILE, "/app/version.json",
            "Path of the JSON file that ``/__version__`` returns; empty: the URL doesn't exist."),
        Setting("openapi_enabled", False, BOOLEAN, "true",
            "Whether the service is described at ``/__api__``, with a page at ``/__api__/``."),
        Setting("id_generator", "cliquet.storage.generators.UUID4", NAME_1, "myapp.ids.Short",
            "Class that generates the ids of records."),
        Setting("includes", "", PACKAGES, "myapp_push myapp_admin",
            "Packages to include after the initialization."),
        Setting("initialization_sequence", INITIALIZATION_SEQUENCE, FUNCTIONS, "",
            "Steps of the initialization, in order."),
    ),
    "URLs": (
        Setting("http_scheme", None, SCHEME, "https",
            "Scheme of URLs; by default, the scheme of the server."),
        Setting("http_host", None, TEXT, "api.example.com",
            "Public host of URLs; by default, the host of the request."),
        Setting("version_prefix_redirect_enabled", True, BOOLEAN, "false",
            "Whether a URL without version redirects to the one with it."),
        Setting("trailing_slash_redirect_enabled", True, BOOLEAN, "false",
            "Whether an unknown URL that ends with a slash redirects to the one without."),
    ),
    "Availability": (
        Setting("readonly", False, BOOLEAN, "true",
            "Whether the endpoints that write are disabled."),
        Setting("backoff", None, NATURAL, "60",
            "Seconds that clients are asked to wait, in the ``Backoff`` header of every response."),
        Setting("retry_after_seconds", 30, NATURAL, "10",
            "Seconds in the ``Retry-After`` header of 503 responses."),
        Setting("heartbeat_timeout_seconds", 10, DURATION, "5",
            "Seconds after which a check of the heartbeat counts as failed."),
        Setting("eos", None, DATE, "2030-12-31",
            "Date of the end of the service. Responses announce it, and are 410 from then on."),
        Setting("eos_message", None, TEXT, "Moved to https://new.example.com",
            "Message about the end of the service."),
        Setting("eos_url", None, TEXT, "https://blog.example.com/moving",
            "URL of a page about the end of the service."),
        Setting("error_info_link", "https://github.com/mozilla-services/cliquet/issues/", TEXT,
            "https://status.example.com/",
            "URL in the ``info`` of 500 responses; empty: no ``info``."),
    ),
    "Streams of changes": (
        Setting("live_interval_seconds", 0.5, DURATION, "0.1",
            "Seconds between two reads of the timestamps of the streamed collections. This limits "
            "the delay of changes. Only used by ``cliquet.asgi``."),
        Setting("live_permissions_seconds", 30, DURATION, "10",
            "Maximum time in seconds between two polls of a stream whose collection doesn't "
            "change. The polls detect changed permissions and expired credentials. The actual time "
            "is random, and at least half as long, so that clients that connected together don't "
            "poll together."),
    ),
    "Browsers and caches": (
        Setting("cors_origins", "*", WORDS, "https://app.example.com https://*.example.org",
            "Origins whose pages can call the service."),
        Setting("cors_max_age_seconds", 3600, LIMIT, "86400",
            "Seconds that browsers can cache the response to a preflight request; empty or 0: not "
            "sent."),
        Setting("vary", "Authorization", HEADER_NAMES, "Authorization Accept-Language",
            "Names of request headers for the ``Vary`` header of every response, separated by "
            "spaces or commas."),
    ),
    "Authentication and permissions": (
        Setting("userid_hmac_secret", "", TEXT, "b4c96a8692291d88fe5a97dd91846eb4",
            "Secret key of the user ids of Basic auth."),
        Setting("multiauth.policies", "basicauth", WORDS, "bearer basicauth",
            "Names of the authentication policies, in order."),
        Setting("multiauth.policy.basicauth.use",
            "cliquet.authentication.BasicAuthAuthenticationPolicy", NAME,
            "myapp.users.PasswordPolicy",
            "Class of the policy ``basicauth``."),
        Setting("multiauth.groupfinder", "cliquet.authorization.groupfinder", NAME_2,
            "myapp.users.find_groups",
            "Function that returns the groups of a user."),
        Setting("multiauth.authorization_policy",
            "cliquet.authorization.AuthorizationPolicy", NAME_0,
            "myapp.permissions.Policy",
            "Class of the authorization policy."),
        Setting("inherit_permissions", True, BOOLEAN, "false",
            "Whether ``InheritingAuthorizationPolicy`` applies a permission to the URLs below it."),
        Setting("error_details", False, BOOLEAN, "true",
            "Whether 403 responses explain the refusal in ``details``: the permission, the object, "
            "the principals of the user and the settings. For development."),
    ),
    "Lists and batches": (
        Setting("paginate_by", None, LIMIT, "100",
            "Default and maximum number of records in a page; empty or 0: no limit."),
        Setting("storage_max_fetch_size", 10000, POSITIVE, "1000",
            "Maximum number of records that one query returns."),
        Setting("batch_max_requests", 25, LIMIT, "50",
            "Maximum number of requests in a batch; empty or 0: no limit."),
    ),
    "Limits": (
        Setting("max_body_bytes", 1_000_000, LIMIT, "100000",
            "Maximum size of a JSON body, and of all bodies in a batch, in bytes; empty: no "
            "limit."),
        Setting("max_record_bytes", 262_144, LIMIT, "10000",
            "Maximum size of a record, in bytes of JSON; empty: no limit."),
        Setting("max_values", 50_000, LIMIT, "1000",
            "Maximum number of values in a JSON body or a record, including arrays and objects; "
            "empty: no limit."),
        Setting("max_nesting", 100, NESTING, "10",
            "Maximum nesting depth of arrays and objects in a record, at most 500."),
        Setting("max_digits", 1_000, DIGITS, "20",
            "Maximum digits of an integer in a body, at most 4300."),
        Setting("max_filters", 20, LIMIT, "5", "Maximum number of filters; empty: no limit."),
        Setting("max_filter_values", 1_000, LIMIT, "100",
            "Maximum number of values in the filters ``in_`` and ``exclude_``; empty: no limit."),
        Setting("max_sort_fields", 5, LIMIT, "2",
            "Maximum number of fields in ``_sort``; empty: no limit."),
        Setting("max_selected_fields", 100, LIMIT, "20",
            "Maximum number of fields in ``_fields``; empty: no limit."),
        Setting("max_page_bytes", 10_000_000, LIMIT, "1000000",
            "Bytes of JSON after which a page ends early, with a ``Next-Page``; empty: no limit."),
        Setting("batch_max_bytes", 20_000_000, LIMIT, "2000000",
            "Total size of responses, in bytes, after which a batch rejects its remaining "
            "requests; empty: no limit."),
        Setting("batch_timeout_seconds", 10, TIME_LIMIT, "5",
            "Seconds after which a batch rejects its remaining requests; empty: no limit."),
    ),
    "Backends": (
        Setting("storage_backend", "", MODULE, "cliquet.storage.postgresql",
            "Module of the storage backend, such as ``cliquet.storage.sqlite``; empty: none."),
        Setting("storage_url", "", TEXT, "postgresql://user:password@localhost/db",
            "URL of the storage backend, for example ``postgresql://user:password@host/db``."),
        Setting("permission_backend", "", MODULE, "cliquet.permission.postgresql",
            "Module of the permission backend; empty: none."),
        Setting("permission_url", "", TEXT, "postgresql://user:password@localhost/db",
            "URL of the permission backend."),
        Setting("cache_backend", "", MODULE, "cliquet.cache.redis",
            "Module of the cache backend; empty: none."),
        Setting("cache_url", "", TEXT, "redis://localhost:6379/1", "URL of the cache backend."),
        Setting("cache_prefix", "", TEXT, "bookmarks:", "Prefix of every key in the cache."),
    ),
    "Database connections": _CONNECTIONS,
    "Transactions and events": (
        Setting("transaction_per_request", True, BOOLEAN, "false",
            "Whether each request is one transaction."),
        Setting("retry.attempts", 30, POSITIVE, "5",
            "Maximum number of attempts to run a request that conflicts with others in the "
            "database (deadlocks). In the worst case, a batch of n lists needs n attempts."),
        Setting("tm.manager_hook", "cliquet.transactions.request_manager", NAME_1, "",
            "Function that returns the transaction manager of a request."),
        Setting("tm.annotate_user", False, BOOLEAN, "true",
            "Whether transactions contain the id of the user."),
        Setting("event_listeners", "", WORDS, "push", "Names of the event listeners."),
    ),
    "Logs, metrics and profiles": (
        Setting("logging_renderer", "cliquet.logs.ClassicLogRenderer", NAME_1,
            "cliquet.logs.MozillaHekaRenderer",
            "Class that formats log lines."),
        Setting("statsd_url", None, TEXT, "udp://localhost:8125",
            "URL of the StatsD server, ``udp://host:port``."),
        Setting("statsd_prefix", None, TEXT, "bookmarks",
            "Prefix of the names of metrics; by default the project's name, or ``cliquet``."),
        Setting("statsd_backend", "cliquet.statsd", MODULE._replace(empty_is_default=True),
            "myapp.metrics",
            "Module of the metrics client."),
        Setting("newrelic_config", None, TEXT, "/etc/newrelic.ini",
            "Path of New Relic's configuration file."),
        Setting("newrelic_env", "dev", TEXT, "production", "Environment of New Relic."),
        Setting("profiler_enabled", False, BOOLEAN, "true", "Whether every request is profiled."),
        Setting("profiler_dir", "/tmp", TEXT, "/var/tmp/profiles", "Folder of the profiles."),
    ),
}

# fmt: on

#: All the settings, in the order of the documentation.
SETTINGS = tuple(setting for group in GROUPS.values() for setting in group)

DEFAULT_SETTINGS: dict[str, Any] = {setting.key: setting.default for setting in SETTINGS}

_TABLE = {setting.key: setting.type for setting in SETTINGS}

_METHODS = "get|head|options|post|put|patch|delete"
#: Keys that contain the name of a resource, and their types. A permission can contain underscores,
#: so the name in the last form can be longer than that of the resource.
RESOURCE_FAMILIES = (
    (re.compile(rf"(?:collection|record)_(?P<resource>.+)_(?:{_METHODS})_enabled"), BOOLEAN),
    (re.compile(r"(?P<resource>.+)_cache_expires_seconds"), NATURAL),
    (re.compile(r"(?P<resource>.+)_.+_principals"), WORDS),
)

#: Those, and keys that contain the name of a policy or a listener; the first match counts. Dots
#: can be underscores, as they are in the names of environment variables.
FAMILIES = (
    *RESOURCE_FAMILIES,
    (re.compile(r"(multiauth|event_listeners)[._].*[._]([a-z_]*(url|secret|password))"), TEXT),
    (re.compile(r"event_listeners[._].*[._](actions|resources)"), WORDS),
    (re.compile(r"(multiauth|event_listeners)[._].+"), ANY),
)


def resource_in(bare: str) -> str | None:
    """Return the name of the resource in a key, None if it contains none."""
    matches = (pattern.fullmatch(bare) for pattern, _ in RESOURCE_FAMILIES)
    return next((match["resource"] for match in matches if match), None)


def family(bare: str) -> SettingType[Any] | None:
    """Return the type of a key that contains a name, None if it matches no pattern."""
    return next((type_ for pattern, type_ in FAMILIES if pattern.fullmatch(bare)), None)


def type_of(bare: str) -> SettingType[Any]:
    """Return the type of the setting ``bare``."""
    return _TABLE.get(bare) or family(bare) or ANY
