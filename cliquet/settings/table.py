"""Table of the settings: keys, defaults, types and descriptions."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from cliquet.settings.types import (
    ANY,
    BOOLEAN,
    DATE,
    DIGITS,
    DURATION,
    FROM_MINUS_ONE,
    JSON_FILE,
    LIMIT,
    MODULE,
    NAME,
    NAMES,
    NATURAL,
    NESTING,
    POSITIVE,
    SCHEME,
    TEXT,
    TIME_LIMIT,
    VERSION,
    WORDS,
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


class Setting(NamedTuple):
    """A row of the table. An empty or missing value is always valid."""

    key: str
    default: Any
    type: SettingType[Any]
    description: str


# The keys begin with the kind of backend.
_POOL = (
    Setting("pool_size", 25, POSITIVE, "Connections to the {}, per process."),
    Setting(
        "max_overflow",
        None,
        FROM_MINUS_ONE,
        "Temporary connections to the {} beyond the pool's size; -1: any number.",
    ),
    Setting("pool_timeout", None, NATURAL, "Seconds to wait for a connection to the {}."),
    Setting(
        "pool_recycle",
        None,
        FROM_MINUS_ONE,
        "Seconds after which a connection to the {} is renewed; -1: never.",
    ),
    Setting(
        "max_backlog",
        -1,
        FROM_MINUS_ONE,
        "Threads that can wait for a connection to the {}; -1: any number.",
    ),
    Setting(
        "poolclass",
        "cliquet.drivers.postgresql.pool.QueuePoolWithMaxBacklog",
        NAME,
        "Class of the pool of connections to the {}.",
    ),
)
_POOL_SETTINGS = [
    Setting(f"{kind}_{key}", default, setting_type, description.format(kind))
    for kind in ("storage", "permission", "cache")
    for key, default, setting_type, description in _POOL
]

_LIMITS = (
    Setting(
        "max_body_bytes",
        1_000_000,
        LIMIT,
        "Maximum size of a JSON body, and of all bodies in a batch, in bytes; empty: no limit.",
    ),
    Setting(
        "max_record_bytes",
        262_144,
        LIMIT,
        "Maximum size of a record, in bytes of JSON; empty: no limit.",
    ),
    Setting(
        "max_values",
        50_000,
        LIMIT,
        "Maximum number of values in a JSON body or a record, including arrays and objects; "
        "empty: no limit.",
    ),
    Setting(
        "max_nesting",
        100,
        NESTING,
        "Maximum nesting depth of arrays and objects in a record, at most 500.",
    ),
    Setting("max_digits", 1_000, DIGITS, "Maximum digits of an integer in a body, at most 4300."),
    Setting("max_filters", 20, LIMIT, "Maximum number of filters; empty: no limit."),
    Setting(
        "max_filter_values",
        1_000,
        LIMIT,
        "Maximum number of values in the filters ``in_`` and ``exclude_``; empty: no limit.",
    ),
    Setting("max_sort_fields", 5, LIMIT, "Maximum number of fields in ``_sort``; empty: no limit."),
    Setting(
        "max_selected_fields",
        100,
        LIMIT,
        "Maximum number of fields in ``_fields``; empty: no limit.",
    ),
    Setting(
        "max_page_bytes",
        10_000_000,
        LIMIT,
        "Bytes of JSON after which a page ends early, with a ``Next-Page``; empty: no limit.",
    ),
    Setting(
        "batch_max_bytes",
        20_000_000,
        LIMIT,
        "Total size of responses, in bytes, after which a batch rejects its remaining requests; "
        "empty: no limit.",
    ),
    Setting(
        "batch_timeout_seconds",
        10,
        TIME_LIMIT,
        "Seconds after which a batch rejects its remaining requests; empty: no limit.",
    ),
)

#: All the settings, in the order of the documentation.
SETTINGS = (
    Setting("project_name", "", TEXT, "Name of the service, shown by the hello view."),
    Setting(
        "project_version",
        "",
        TEXT,
        "Version of the service. Its first number is the URL prefix.",
    ),
    Setting("project_docs", "", TEXT, "URL of the documentation of the service."),
    Setting(
        "http_api_version",
        None,
        VERSION,
        "Version of the API, ``MAJOR.MINOR``; by default, that of ``project_version``. MAJOR "
        "is the URL prefix.",
    ),
    Setting(
        "backoff",
        None,
        NATURAL,
        "Seconds that clients are asked to wait, in the ``Backoff`` header of every response.",
    ),
    Setting(
        "retry_after_seconds",
        30,
        NATURAL,
        "Seconds in the ``Retry-After`` header of 503 responses.",
    ),
    Setting(
        "heartbeat_timeout_seconds",
        10,
        DURATION,
        "Seconds after which a check of the heartbeat counts as failed.",
    ),
    Setting(
        "version_json_path",
        None,
        JSON_FILE,
        "Path of the JSON file that ``/__version__`` returns; empty: the URL doesn't exist.",
    ),
    Setting(
        "batch_max_requests",
        25,
        LIMIT,
        "Maximum number of requests in a batch; empty or 0: no limit.",
    ),
    Setting(
        "paginate_by",
        None,
        LIMIT,
        "Default and maximum number of records in a page; empty or 0: no limit.",
    ),
    Setting(
        "id_generator",
        "cliquet.storage.generators.UUID4",
        NAME,
        "Class that generates the ids of records.",
    ),
    Setting(
        "storage_backend",
        "",
        MODULE,
        "Module of the storage backend, such as ``cliquet.storage.sqlite``; empty: none.",
    ),
    Setting(
        "storage_url",
        "",
        TEXT,
        "URL of the storage backend, for example ``postgresql://user:password@host/db``.",
    ),
    Setting("permission_backend", "", MODULE, "Module of the permission backend; empty: none."),
    Setting("permission_url", "", TEXT, "URL of the permission backend."),
    Setting("cache_backend", "", MODULE, "Module of the cache backend; empty: none."),
    Setting("cache_url", "", TEXT, "URL of the cache backend."),
    *_POOL_SETTINGS,
    Setting(
        "storage_max_fetch_size",
        10000,
        POSITIVE,
        "Maximum number of records that one query returns.",
    ),
    *_LIMITS,
    Setting("cache_prefix", "", TEXT, "Prefix of every key in the cache."),
    Setting("transaction_per_request", True, BOOLEAN, "Whether each request is one transaction."),
    Setting("readonly", False, BOOLEAN, "Whether the endpoints that write are disabled."),
    Setting("cors_origins", "*", WORDS, "Origins whose pages can call the service."),
    Setting(
        "cors_max_age_seconds",
        3600,
        LIMIT,
        "Seconds that browsers can cache the response to a preflight request; empty or 0: not "
        "sent.",
    ),
    Setting(
        "openapi_enabled",
        False,
        BOOLEAN,
        "Whether the service is described at ``/__api__``, with a page at ``/__api__/``.",
    ),
    Setting(
        "eos",
        None,
        DATE,
        "Date of the end of the service. Responses announce it, and are 410 from then on.",
    ),
    Setting("eos_message", None, TEXT, "Message about the end of the service."),
    Setting("eos_url", None, TEXT, "URL of a page about the end of the service."),
    Setting(
        "error_info_link",
        "https://github.com/mozilla-services/cliquet/issues/",
        TEXT,
        "URL in the ``info`` of 500 responses.",
    ),
    Setting("http_scheme", None, SCHEME, "Scheme of URLs; by default, the scheme of the server."),
    Setting("http_host", None, TEXT, "Public host of URLs; by default, the host of the request."),
    Setting(
        "version_prefix_redirect_enabled",
        True,
        BOOLEAN,
        "Whether a URL without version redirects to the one with it.",
    ),
    Setting(
        "trailing_slash_redirect_enabled",
        True,
        BOOLEAN,
        "Whether an unknown URL that ends with a slash redirects to the one without.",
    ),
    Setting(
        "vary",
        "Authorization",
        WORDS,
        "Names of request headers for the ``Vary`` header of every response, separated by spaces "
        "or commas.",
    ),
    Setting("userid_hmac_secret", "", TEXT, "Secret key of the user ids of Basic auth."),
    Setting(
        "multiauth.policies", "basicauth", WORDS, "Names of the authentication policies, in order."
    ),
    Setting(
        "multiauth.policy.basicauth.use",
        "cliquet.authentication.BasicAuthAuthenticationPolicy",
        NAME,
        "Class of the policy ``basicauth``.",
    ),
    Setting(
        "multiauth.groupfinder",
        "cliquet.authorization.groupfinder",
        NAME,
        "Function that returns the groups of a user.",
    ),
    Setting(
        "multiauth.authorization_policy",
        "cliquet.authorization.AuthorizationPolicy",
        NAME,
        "Class of the authorization policy.",
    ),
    Setting(
        "inherit_permissions",
        True,
        BOOLEAN,
        "Whether ``InheritingAuthorizationPolicy`` applies a permission to the URLs below it.",
    ),
    Setting("event_listeners", "", WORDS, "Names of the event listeners."),
    Setting("includes", "", NAMES, "Packages to include after the initialization."),
    Setting(
        "initialization_sequence",
        INITIALIZATION_SEQUENCE,
        NAMES,
        "Steps of the initialization, in order.",
    ),
    Setting(
        "logging_renderer",
        "cliquet.logs.ClassicLogRenderer",
        NAME,
        "Class that formats log lines.",
    ),
    Setting("statsd_url", None, TEXT, "URL of the StatsD server, ``udp://host:port``."),
    Setting(
        "statsd_prefix",
        None,
        TEXT,
        "Prefix of the names of metrics; by default the project's name, or ``cliquet``.",
    ),
    Setting("statsd_backend", "cliquet.statsd", MODULE, "Module of the metrics client."),
    Setting("newrelic_config", None, TEXT, "Path of New Relic's configuration file."),
    Setting("newrelic_env", "dev", TEXT, "Environment of New Relic."),
    Setting("profiler_enabled", False, BOOLEAN, "Whether every request is profiled."),
    Setting("profiler_dir", "/tmp", TEXT, "Folder of the profiles."),
    Setting("tm.annotate_user", False, BOOLEAN, "Whether transactions contain the id of the user."),
    Setting(
        "retry.attempts",
        30,
        POSITIVE,
        "Maximum number of attempts to run a request that conflicts with others in the "
        "database (deadlocks). In the worst case, a batch of n lists needs n attempts.",
    ),
    Setting(
        "tm.manager_hook",
        "cliquet.transactions.request_manager",
        NAME,
        "Function that returns the transaction manager of a request.",
    ),
)

DEFAULT_SETTINGS: dict[str, Any] = {setting.key: setting.default for setting in SETTINGS}

_TABLE = {setting.key: setting.type for setting in SETTINGS}

#: Keys that contain the name of a resource, and their types.
RESOURCE_FAMILIES = (
    (
        re.compile(r"(collection|record)_.+_(get|head|options|post|put|patch|delete)_enabled"),
        BOOLEAN,
    ),
    (re.compile(r".+_cache_expires_seconds"), NATURAL),
    (re.compile(r".+_.+_principals"), WORDS),
)

#: Those, and keys that contain the name of a policy or a listener; the first match counts. Dots
#: can be underscores, as they are in the names of environment variables.
FAMILIES = (
    *RESOURCE_FAMILIES,
    (re.compile(r"(multiauth|event_listeners)[._].*[._]([a-z_]*(url|secret|password))"), TEXT),
    (re.compile(r"event_listeners[._].*[._](actions|resources)"), WORDS),
    (re.compile(r"(multiauth|event_listeners)[._].+"), ANY),
)


def family(bare: str) -> SettingType[Any] | None:
    """Return the type of a key that contains a name, None if it matches no pattern."""
    return next((type_ for pattern, type_ in FAMILIES if pattern.fullmatch(bare)), None)


def type_of(bare: str) -> SettingType[Any]:
    """Return the type of the setting ``bare``."""
    return _TABLE.get(bare) or family(bare) or ANY
