"""Table of the settings: keys, defaults, types and descriptions."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from cliquet.kinds import (
    ANY,
    BOOLEAN,
    DATE,
    DURATION,
    FROM_MINUS_ONE,
    JSON_FILE,
    LIMIT,
    MODULE,
    NAME,
    NAMES,
    NATURAL,
    POSITIVE,
    SCHEME,
    TEXT,
    VERSION,
    WORDS,
    Kind,
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
    """A row of the table: an empty or missing value always is accepted."""

    key: str
    default: Any
    kind: Kind
    meaning: str


# The keys begin with the kind of backend.
_POOL = (
    Setting("pool_size", 25, POSITIVE, "Connections of the {}, per process."),
    Setting(
        "max_overflow",
        None,
        FROM_MINUS_ONE,
        "Connections of the {} beyond these, for a while; -1: any number.",
    ),
    Setting("pool_timeout", None, NATURAL, "Seconds to wait for a connection of the {}."),
    Setting(
        "pool_recycle",
        None,
        FROM_MINUS_ONE,
        "Seconds after which a connection of the {} is renewed; -1: never.",
    ),
    Setting(
        "max_backlog",
        -1,
        FROM_MINUS_ONE,
        "Threads that may wait for a connection; -1: any number.",
    ),
    Setting(
        "poolclass",
        "cliquet.storage.postgresql.pool.QueuePoolWithMaxBacklog",
        NAME,
        "The class of the pool of the {}.",
    ),
)
_POOL_SETTINGS = [
    Setting(f"{kind}_{key}", default, type_, meaning.format(kind))
    for kind in ("storage", "permission", "cache")
    for key, default, type_, meaning in _POOL
]

#: All the settings, in the order of the documentation.
SETTINGS = (
    Setting("project_name", "", TEXT, "The name of the service, shown by the hello view."),
    Setting(
        "project_version",
        "",
        TEXT,
        "The version of the service; its first number makes the URL prefix.",
    ),
    Setting("project_docs", "", TEXT, "Where the service is documented (a URL)."),
    Setting(
        "http_api_version",
        None,
        VERSION,
        "``MAJOR.MINOR`` of the API, from ``project_version`` by default; MAJOR is the URL prefix.",
    ),
    Setting(
        "backoff",
        None,
        NATURAL,
        "Seconds that clients are asked to wait, in a header of every answer.",
    ),
    Setting("retry_after_seconds", 30, NATURAL, "``Retry-After`` of 503 answers."),
    Setting(
        "heartbeat_timeout_seconds",
        10,
        DURATION,
        "How long a heartbeat may take; it counts as false afterwards.",
    ),
    Setting(
        "version_json_path",
        None,
        JSON_FILE,
        "The file that ``/__version__`` answers; empty: there is no such URL.",
    ),
    Setting(
        "batch_max_requests",
        25,
        LIMIT,
        "How many requests a batch may have; empty or 0: no limit.",
    ),
    Setting(
        "paginate_by",
        None,
        LIMIT,
        "Default and greatest number of records of a page; empty or 0: no limit.",
    ),
    Setting(
        "id_generator",
        "cliquet.storage.generators.UUID4",
        NAME,
        "The class that makes the ids of records.",
    ),
    Setting(
        "storage_backend",
        "",
        MODULE,
        "The module of the storage, as ``cliquet.storage.sqlite``; empty: none.",
    ),
    Setting("storage_url", "", TEXT, "Where the storage is."),
    Setting("permission_backend", "", MODULE, "The module of the permission backend; empty: none."),
    Setting("permission_url", "", TEXT, "Where the permission backend is."),
    Setting("cache_backend", "", MODULE, "The module of the cache; empty: none."),
    Setting("cache_url", "", TEXT, "Where the cache is."),
    *_POOL_SETTINGS,
    Setting("storage_max_fetch_size", 10000, POSITIVE, "Most records that one query brings."),
    Setting("cache_prefix", "", TEXT, "What every key of the cache begins with."),
    Setting("transaction_per_request", True, BOOLEAN, "Whether a request is one transaction."),
    Setting("readonly", False, BOOLEAN, "Whether only the endpoints that read exist."),
    Setting("cors_origins", "*", WORDS, "Origins whose pages may call the service."),
    Setting(
        "cors_max_age_seconds",
        3600,
        LIMIT,
        "How long browsers may keep a preflight answer; empty or 0: not told.",
    ),
    Setting(
        "openapi_enabled",
        False,
        BOOLEAN,
        "Whether the service is described at ``/__api__``, with a page at ``/__api__/``.",
    ),
    Setting("eos", None, DATE, "The date when the service ends; answers tell it, then are 410."),
    Setting("eos_message", None, TEXT, "What to tell about the end of the service."),
    Setting("eos_url", None, TEXT, "A page about the end of the service."),
    Setting(
        "error_info_link",
        "https://github.com/mozilla-services/cliquet/issues/",
        TEXT,
        "``info`` of 500 answers.",
    ),
    Setting("http_scheme", None, SCHEME, "The scheme of URLs, instead of what the server says."),
    Setting("http_host", None, TEXT, "The host of URLs, instead of what the request says."),
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
        TEXT,
        "Names of request headers for the ``Vary`` header of every response, separated by spaces "
        "or commas.",
    ),
    Setting("userid_hmac_secret", "", TEXT, "The key of the user ids of Basic auth."),
    Setting("multiauth.policies", "basicauth", WORDS, "Authentication policies, in order."),
    Setting(
        "multiauth.policy.basicauth.use",
        "cliquet.authentication.BasicAuthAuthenticationPolicy",
        NAME,
        "The class of the policy ``basicauth``.",
    ),
    Setting(
        "multiauth.groupfinder",
        "cliquet.authorization.groupfinder",
        NAME,
        "The function that tells the groups of a user.",
    ),
    Setting(
        "multiauth.authorization_policy",
        "cliquet.authorization.AuthorizationPolicy",
        NAME,
        "The class that decides who may do what.",
    ),
    Setting("event_listeners", "", WORDS, "Names of the listeners of events."),
    Setting("includes", "", NAMES, "Packages to include after the initialization."),
    Setting(
        "initialization_sequence",
        INITIALIZATION_SEQUENCE,
        NAMES,
        "The steps of the initialization, in order.",
    ),
    Setting(
        "logging_renderer",
        "cliquet.logs.ClassicLogRenderer",
        NAME,
        "The class that writes log lines.",
    ),
    Setting("statsd_url", None, TEXT, "Where metrics are sent, as ``udp://host:port``."),
    Setting(
        "statsd_prefix",
        None,
        TEXT,
        "Prefix of the names of metrics; by default the project's name, or ``cliquet``.",
    ),
    Setting("statsd_backend", "cliquet.statsd", MODULE, "The module of the metrics client."),
    Setting("newrelic_config", None, TEXT, "The configuration file of New Relic."),
    Setting("newrelic_env", "dev", TEXT, "The environment of New Relic."),
    Setting("profiler_enabled", False, BOOLEAN, "Whether every request is profiled."),
    Setting("profiler_dir", "/tmp", TEXT, "Where profiles are written."),
    Setting("tm.annotate_user", False, BOOLEAN, "Whether transactions bear the user's id."),
    Setting(
        "retry.attempts",
        30,
        POSITIVE,
        "How often a request is run at most, when it meets others in the database (deadlocks). "
        "A batch of n lists, in an unlucky order, may need n attempts.",
    ),
    Setting(
        "tm.manager_hook",
        "cliquet.transactions.request_manager",
        NAME,
        "The function that gives a request its transaction manager.",
    ),
)

DEFAULT_SETTINGS: dict[str, Any] = {setting.key: setting.default for setting in SETTINGS}

_TABLE = {setting.key: setting.kind for setting in SETTINGS}

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


def family(bare: str) -> Kind | None:
    """Return what the keys of the family of ``bare`` hold, None if it is of no family."""
    return next((kind for pattern, kind in FAMILIES if pattern.fullmatch(bare)), None)


def kind_of(bare: str) -> Kind:
    """Return the type of the setting ``bare``."""
    return _TABLE.get(bare) or family(bare) or ANY
