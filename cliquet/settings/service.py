"""Settings of the service: its URLs, availability and access."""

from __future__ import annotations

from cliquet.settings.types import (
    BOOLEAN,
    DATE,
    DURATION,
    FUNCTIONS,
    HEADER_NAMES,
    JSON_FILE,
    LIMIT,
    NAME,
    NAMES,
    NATURAL,
    SCHEME,
    TEXT,
    VERSION,
    WORDS,
    Setting,
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

PROJECT = (
    Setting(
        "project_name",
        "",
        TEXT,
        "Name of the service, shown by the hello view.",
        example="bookmarks",
    ),
    Setting(
        "project_version",
        "",
        TEXT,
        "Version of the service. Its first number is the URL prefix.",
        example="1.2.0",
    ),
    Setting(
        "project_docs",
        "",
        TEXT,
        "URL of the documentation of the service.",
        example="https://docs.example.com/",
    ),
    Setting(
        "http_api_version",
        None,
        VERSION,
        "Version of the API, ``MAJOR.MINOR``; by default, that of ``project_version``. MAJOR "
        "is the URL prefix.",
        example="1.3",
    ),
    Setting(
        "version_json_path",
        None,
        JSON_FILE,
        "Path of the JSON file that ``/__version__`` returns; empty: the URL doesn't exist.",
        example="/app/version.json",
    ),
    Setting(
        "openapi_enabled",
        False,
        BOOLEAN,
        "Whether the service is described at ``/__api__``, with a page at ``/__api__/``.",
        example="true",
    ),
    Setting(
        "id_generator",
        "cliquet.storage.generators.UUID4",
        NAME,
        "Class that generates the ids of records.",
        example="myapp.ids.Short",
    ),
    Setting(
        "includes",
        "",
        NAMES,
        "Packages to include after the initialization.",
        example="myapp_push myapp_admin",
    ),
    Setting(
        "initialization_sequence",
        INITIALIZATION_SEQUENCE,
        FUNCTIONS,
        "Steps of the initialization, in order.",
    ),
)

URLS = (
    Setting(
        "http_scheme",
        None,
        SCHEME,
        "Scheme of URLs; by default, the scheme of the server.",
        example="https",
    ),
    Setting(
        "http_host",
        None,
        TEXT,
        "Public host of URLs; by default, the host of the request.",
        example="api.example.com",
    ),
    Setting(
        "version_prefix_redirect_enabled",
        True,
        BOOLEAN,
        "Whether a URL without version redirects to the one with it.",
        example="false",
    ),
    Setting(
        "trailing_slash_redirect_enabled",
        True,
        BOOLEAN,
        "Whether an unknown URL that ends with a slash redirects to the one without.",
        example="false",
    ),
)

AVAILABILITY = (
    Setting(
        "readonly", False, BOOLEAN, "Whether the endpoints that write are disabled.", example="true"
    ),
    Setting(
        "backoff",
        None,
        NATURAL,
        "Seconds that clients are asked to wait, in the ``Backoff`` header of every response.",
        example="60",
    ),
    Setting(
        "retry_after_seconds",
        30,
        NATURAL,
        "Seconds in the ``Retry-After`` header of 503 responses.",
        example="10",
    ),
    Setting(
        "heartbeat_timeout_seconds",
        10,
        DURATION,
        "Seconds after which a check of the heartbeat counts as failed.",
        example="5",
    ),
    Setting(
        "eos",
        None,
        DATE,
        "Date of the end of the service. Responses announce it, and are 410 from then on.",
        example="2030-12-31",
    ),
    Setting(
        "eos_message",
        None,
        TEXT,
        "Message about the end of the service.",
        example="Moved to https://new.example.com",
    ),
    Setting(
        "eos_url",
        None,
        TEXT,
        "URL of a page about the end of the service.",
        example="https://blog.example.com/moving",
    ),
    Setting(
        "error_info_link",
        "https://github.com/mozilla-services/cliquet/issues/",
        TEXT,
        "URL in the ``info`` of 500 responses; empty: no ``info``.",
        example="https://status.example.com/",
    ),
)

LIVE = (
    Setting(
        "live_interval_seconds",
        0.5,
        DURATION,
        "Seconds between two reads of the timestamps of the streamed collections. This limits the "
        "delay of changes. Only used by ``cliquet.asgi``.",
        example="0.1",
    ),
    Setting(
        "live_permissions_seconds",
        30,
        DURATION,
        "Maximum time in seconds between two polls of a stream whose collection doesn't change. "
        "The polls detect changed permissions and expired credentials. The actual time is random, "
        "and at least half as long, so that clients that connected together don't poll together.",
        example="10",
    ),
)

BROWSERS = (
    Setting(
        "cors_origins",
        "*",
        WORDS,
        "Origins whose pages can call the service.",
        example="https://app.example.com https://*.example.org",
    ),
    Setting(
        "cors_max_age_seconds",
        3600,
        LIMIT,
        "Seconds that browsers can cache the response to a preflight request; empty or 0: not "
        "sent.",
        example="86400",
    ),
    Setting(
        "vary",
        "Authorization",
        HEADER_NAMES,
        "Names of request headers for the ``Vary`` header of every response, separated by spaces "
        "or commas.",
        example="Authorization Accept-Language",
    ),
)

ACCESS = (
    Setting(
        "userid_hmac_secret",
        "",
        TEXT,
        "Secret key of the user ids of Basic auth.",
        example="b4c96a8692291d88fe5a97dd91846eb4",
    ),
    Setting(
        "multiauth.policies",
        "basicauth",
        WORDS,
        "Names of the authentication policies, in order.",
        example="bearer basicauth",
    ),
    Setting(
        "multiauth.policy.basicauth.use",
        "cliquet.authentication.BasicAuthAuthenticationPolicy",
        NAME,
        "Class of the policy ``basicauth``.",
        example="myapp.users.PasswordPolicy",
    ),
    Setting(
        "multiauth.groupfinder",
        "cliquet.authorization.groupfinder",
        NAME,
        "Function that returns the groups of a user.",
        example="myapp.users.find_groups",
    ),
    Setting(
        "multiauth.authorization_policy",
        "cliquet.authorization.AuthorizationPolicy",
        NAME,
        "Class of the authorization policy.",
        example="myapp.permissions.Policy",
    ),
    Setting(
        "inherit_permissions",
        True,
        BOOLEAN,
        "Whether ``InheritingAuthorizationPolicy`` applies a permission to the URLs below it.",
        example="false",
    ),
    Setting(
        "error_details",
        False,
        BOOLEAN,
        "Whether 403 responses explain the refusal in ``details``: the permission, the object, the "
        "principals of the user and the settings. For development.",
        example="true",
    ),
)


#: The groups, by their titles.
GROUPS = {
    "Project": PROJECT,
    "URLs": URLS,
    "Availability": AVAILABILITY,
    "Streams of changes": LIVE,
    "Browsers and caches": BROWSERS,
    "Authentication and permissions": ACCESS,
}
