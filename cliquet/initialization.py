"""Initialization of an application and its steps."""

from __future__ import annotations

import datetime
import functools
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.events import NewRequest, NewResponse
from pyramid.exceptions import ConfigurationError
from pyramid.httpexceptions import HTTPGone
from pyramid.interfaces import PHASE3_CONFIG
from pyramid.interfaces import IAuthenticationPolicy as IAuthenticationPolicy
from pyramid.security import NO_PERMISSION_REQUIRED as NO_PERMISSION_REQUIRED
from pyramid.tweens import INGRESS
from pyramid_multiauth import MultiAuthPolicySelected, get_policy_definitions

from cliquet import authentication, cache, errors, metrics, permission, storage, utils
from cliquet.events import (  # noqa: F401 (public here since 3.1)
    ACTIONS,
    EventActionFilter,
    EventResourceFilter,
    ResourceChanged,
    ResourceRead,
)
from cliquet.http import security
from cliquet.listeners import setup_listeners as setup_listeners
from cliquet.loggers import get_logger
from cliquet.logs import setup_logging as setup_logging
from cliquet.middlewares import install_middlewares as install_middlewares
from cliquet.settings import (
    DEFAULT_SETTINGS,
    PREFIX,
    KeyForms,
    assign,
    find_project_name,
    load_default_settings,
)
from cliquet.settings.types import (
    BOOLEAN,
    DATE,
    HEADER_NAMES,
    MODULE,
    NAME,
    PACKAGES,
    TEXT,
    called_with,
)
from cliquet.settings.validation import (
    ErrorCollector,
    InvalidSettings,
    invalid,
    parse,
    unknown_keys,
    wrong_values,
)
from cliquet.state import state_of
from cliquet.transactions import will_retry
from cliquet.types import Registry, Request, Settings
from cliquet.utils import import_optional, setting_list, warn_deprecated
from cliquet.utils.http import is_preflight, preflight_response, resource_services

logger = get_logger("cliquet")


# 3.1 imported these here, and tests of applications replace them, or parts of them. For each
# attribute: the module to import, and how to get the attribute.
_IMPORTED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ProfilerMiddleware": (
        "werkzeug.middleware.profiler",
        lambda profiler: profiler.ProfilerMiddleware,
    ),
    "newrelic": ("newrelic.agent", lambda agent: sys.modules["newrelic"]),
    "statsd": ("cliquet.statsd", lambda statsd: statsd),
}


def __getattr__(name: str) -> Any:
    """Return what 3.1 imported here, or None if it isn't installed."""
    if name not in _IMPORTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    imported, get = _IMPORTED[name]
    module = import_optional(imported)
    return module and get(module)


def initialize(
    config: Configurator,
    version: str | None = None,
    project_name: str = "",
    default_settings: Mapping[str, Any] | None = None,
) -> None:
    """Set up a service: the only call that an application needs.

    :param config: a Pyramid configurator.
    :param version: of the application, unless the setting ``project_version``
        is set; the first number is the prefix of the URLs.
    :param project_name: name of the project, unless the setting is set.
    :param default_settings: default settings of the application.
    :raises pyramid.exceptions.ConfigurationError: if a setting is invalid, or there is no
        version.
    """
    settings = config.get_settings()
    _set_project_name(settings, project_name)
    if not settings["project_name"]:
        warnings.warn("No value specified for `project_name`", stacklevel=2)
    problems = complete_settings(config, default_settings or {})
    assign(settings, "project_version", settings["project_version"] or version)
    if not settings["project_version"]:
        problems.add(
            ConfigurationError(
                "No version. Pass it to cliquet.initialize() or set project_version."
            )
        )
    api_version = settings["http_api_version"] or _api_version(settings["project_version"])
    assign(settings, "http_api_version", str(api_version))
    prefix = "v" + settings["http_api_version"].split(".")[0]
    config.include("cliquet", route_prefix=prefix)
    config.route_prefix = prefix


def _set_project_name(settings: Settings, default: str) -> None:
    """Set the project name, which determines the forms of the other keys."""
    name = find_project_name(settings, default)
    if not isinstance(name, str):
        raise InvalidSettings(f"project_name = {name!r}: expected {TEXT.expected}")
    settings.pop(f"{PREFIX}.project_name", None)
    settings["project_name"] = name


def complete_settings(config: Configurator, default_settings: Mapping[str, Any]) -> ErrorCollector:
    """Load the settings; the application's defaults override those of the toolkit.

    Only the first call does so; later calls return the same collector.

    :returns: the collector of errors, which later steps add to.
    """
    state = state_of(config.registry)
    if state.settings_problems is not None:
        collector: ErrorCollector = state.settings_problems
        return collector
    problems = state.settings_problems = ErrorCollector()
    settings = config.get_settings()
    key_forms = KeyForms(settings.get("project_name") or "")
    defaults = {key_forms.bare(key): value for key, value in default_settings.items()}
    load_default_settings(config, {**DEFAULT_SETTINGS, **defaults})
    for key, error in list(wrong_values(settings)):
        problems.add(error)
        # The application won't start, but a valid value allows further checks.
        assign(settings, key, DEFAULT_SETTINGS.get(key))
    return problems


def warn_of_unknown_keys(config: Configurator) -> None:
    """Log a warning for each prefixed key that no package declares or that names no resource."""
    declared = state_of(config.registry).declared_settings
    resources = [name for name, _ in resource_services(config.registry)]
    for key, suggestion in unknown_keys(config.get_settings(), declared, resources):
        hint = f' Did you mean "{suggestion}"?' if suggestion else ""
        logger.warning('Unknown setting "%s".%s', key, hint)


def _api_version(project_version: object) -> str:
    """Return the API version: the first two numbers of ``project_version``, or one."""
    return ".".join(re.findall(r"\d+", str(project_version))[:2]) or "0.0"


def initialize_cliquet(*args: Any, **kwargs: Any) -> None:
    """Initialize an application (deprecated name of :func:`initialize`)."""
    warn_deprecated("initialize_cliquet", "initialize")
    initialize(*args, **kwargs)


# The steps in the setting ``initialization_sequence``.


def setup_request_bound_data(config: Configurator) -> None:
    """Add ``request.bound_data``, which a batch shares with its sub-requests."""
    config.add_request_method(lambda request: {}, name="bound_data", reify=True)


def setup_json_serializer(config: Configurator) -> None:
    """Set up the JSON renderer."""
    config.add_renderer("json", "cliquet.http.renderers.JSONRenderer")


def _set_up_backend(
    config: Configurator, kind: str, base: type, heartbeat: Callable[[Any], Any]
) -> None:
    """Set up the backend in the setting ``{kind}_backend``, unless it is empty.

    :param heartbeat: returns the health check of a backend.
    """
    settings, registry = config.get_settings(), config.registry
    if not settings[f"{kind}_backend"]:
        return
    # Third-party backends read ``settings["cliquet.cache_url"]``, whichever form was set.
    for key in DEFAULT_SETTINGS:
        if key.startswith(f"{kind}_"):
            settings.setdefault(f"{PREFIX}.{key}", settings[key])
    backend = MODULE.parse(settings[f"{kind}_backend"]).load_from_config(config)
    if not isinstance(backend, base):
        expected = (
            "a module whose load_from_config returns an instance of "
            f"{base.__module__}.{base.__name__}, got {type(backend).__name__}"
        )
        raise invalid(settings, f"{kind}_backend", expected)
    setattr(registry, kind, backend)
    registry.heartbeats[kind] = heartbeat(backend)


def setup_storage(config: Configurator) -> None:
    """Set up ``registry.storage`` and ``registry.id_generator``."""
    config.registry.id_generator = NAME.parse(config.get_settings()["id_generator"])(config)
    _set_up_backend(config, "storage", storage.StorageBase, storage.heartbeat)


def setup_permission(config: Configurator) -> None:
    """Set up ``registry.permission``."""
    _set_up_backend(config, "permission", permission.PermissionBase, permission.heartbeat)


def setup_cache(config: Configurator) -> None:
    """Set up ``registry.cache``."""
    _set_up_backend(config, "cache", cache.CacheBase, cache.heartbeat)


def setup_requests_scheme(config: Configurator) -> None:
    """Use the scheme and the host in the settings for URLs."""
    settings = config.get_settings()
    scheme, host = settings["http_scheme"], settings["http_host"]

    def on_new_request(event: Any) -> None:
        if scheme:
            event.request.scheme = scheme
        if host:
            event.request.host = host

    if scheme or host:
        config.add_subscriber(on_new_request, NewRequest)


def setup_version_redirection(config: Configurator) -> None:
    """Redirect URLs without a version prefix, and unknown URLs with a trailing slash."""
    settings, state = config.get_settings(), state_of(config.registry)
    state.redirects_to_version = bool(BOOLEAN.get(settings, "version_prefix_redirect_enabled"))
    setup_trailing_slash_redirection(config)


def setup_trailing_slash_redirection(config: Configurator) -> None:
    """Redirect unknown URLs with a trailing slash (a part of the previous step)."""
    settings, state = config.get_settings(), state_of(config.registry)
    state.redirects_slash = bool(BOOLEAN.get(settings, "trailing_slash_redirect_enabled"))


def setup_deprecation(config: Configurator) -> None:
    """Announce the end of service, and respond with 410 afterwards."""
    config.add_tween("cliquet.initialization._end_of_life_tween_factory", under=INGRESS)


def _end_of_life_tween_factory(
    handler: Callable[[Any], Any], registry: Registry
) -> Callable[[Any], Any]:
    """Return the tween for the settings ``eos``, ``eos_message`` and ``eos_url``."""

    def end_of_life_tween(request: Request) -> Any:
        settings = registry.settings
        end = DATE.get(settings, "eos")
        if end is None:
            return handler(request)
        alert = {"message": settings["eos_message"], "url": settings["eos_url"]}
        if end < datetime.datetime.now(datetime.UTC):
            # Browsers only show the 410 to a page if its preflight succeeds.
            response = preflight_response(request) if is_preflight(request) else _gone(request)
            errors.send_alert(request, code="hard-eol", response=response, **alert)
        else:
            response = handler(request)
            errors.send_alert(request, code="soft-eol", response=response, **alert)
        return response

    return end_of_life_tween


def _gone(request: Request) -> Any:
    response = errors.http_error(
        HTTPGone(),
        errno=errors.ERRORS.SERVICE_DEPRECATED,
        message="The service you are trying to connect no longer exists at this location.",
    )
    return utils.reapply_cors(request, response)


def setup_authentication(config: Configurator) -> None:
    """Set up the policies in the settings (``multiauth.*``)."""
    settings = config.get_settings()
    _check_policies(config)
    # pyramid_multiauth only reads strings.
    settings["multiauth.policies"] = " ".join(setting_list(settings["multiauth.policies"]))
    security.include_policies(config)
    config.add_subscriber(authentication.on_policy_selected, MultiAuthPolicySelected)
    if not settings["userid_hmac_secret"]:
        logger.warning("userid_hmac_secret is empty: anyone can compute user ids")


def _check_policies(config: Configurator) -> None:
    """Check the classes of the policies; names without one are packages."""
    settings = config.get_settings()
    problems = ErrorCollector()
    names = setting_list(settings["multiauth.policies"])
    definitions = get_policy_definitions(settings)
    for name in dict.fromkeys(names):
        key = f"multiauth.policy.{name}.use"
        with problems.collect():
            if settings.get(key):
                if names.count(name) > 1:
                    raise invalid(settings, "multiauth.policies", "each policy once")
                options = {k: v for k, v in definitions[name].items() if k != "use"}
                parse(settings, key, NAME._replace(parse=called_with(**options)))
            else:
                expected = f"policy names, each with a class: {key} is not set"
                parse(settings, "multiauth.policies", PACKAGES._replace(expected=expected), name)
    problems.raise_if_any()


def setup_backoff(config: Configurator) -> None:
    """Add the ``Backoff`` header if the setting ``backoff`` is set."""

    def on_new_response(event: Any) -> None:
        backoff = event.request.registry.settings["backoff"]
        if backoff not in (None, ""):
            event.response.headers["Backoff"] = str(backoff)

    config.add_subscriber(on_new_response, NewResponse)


@functools.lru_cache
def _separated_by_commas(names: str) -> str:
    return ", ".join(HEADER_NAMES.get({"vary": names}, "vary", []))


def setup_vary_headers(config: Configurator) -> None:
    """Add the setting ``vary`` to the ``Vary`` header."""

    def on_new_response(event: Any) -> None:
        names = event.request.registry.settings["vary"] or ""
        vary = _separated_by_commas(names if isinstance(names, str) else " ".join(names))
        if vary:
            headers = event.response.headers
            # WebOb's get() takes three times as long for a missing header.
            existing = headers["Vary"] if "Vary" in headers else ""
            if existing and existing != vary:
                vary = f"{existing}, {vary}"
            headers["Vary"] = vary

    config.add_subscriber(on_new_response, NewResponse)


def setup_statsd(config: Configurator) -> None:
    """Time the backends and count requests if the setting ``statsd_url`` is set."""
    settings, registry = config.get_settings(), config.registry
    registry.statsd = None
    if not settings["statsd_url"]:
        return
    client = MODULE.parse(settings["statsd_backend"]).load_from_config(config)
    registry.statsd = client
    for kind, backend in metrics.backends(registry):
        client.watch_execution_time(backend, prefix=kind)

    def watch_policies() -> None:
        for name, policy in security.named_policies(registry):
            client.watch_execution_time(policy, prefix="authentication", classname=name)

    def on_new_response(event: Any) -> None:
        request = event.request
        if will_retry(request):
            return
        service = request.current_service
        if service is not None:
            client.count(f"view.{service.name}.{metrics.known_method(request)}")
        authn_type = getattr(request, "authn_type", None)
        if authn_type is not None:  # without running the policies
            client.count("users", unique=f"{authn_type}:{request.selected_userid}")
            client.count(f"authn_type.{authn_type}")

    config.action(None, watch_policies, order=PHASE3_CONFIG)
    config.add_subscriber(on_new_response, NewResponse)
