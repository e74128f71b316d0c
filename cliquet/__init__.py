"""Cliquet: a toolkit for HTTP microservices, based on Pyramid and Cornice."""

from __future__ import annotations

from importlib.metadata import version as _version
from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import PHASE3_CONFIG

from cliquet import events, resource
from cliquet.drivers import connectivity
from cliquet.heartbeats import Heartbeats
from cliquet.http import request, security
from cliquet.http.service import Service, include_cornice
from cliquet.initialization import (
    complete_settings,
    initialize,
    initialize_cliquet,
    warn_of_unknown_keys,
)
from cliquet.logs import logger
from cliquet.middlewares import install_middlewares, name_transactions
from cliquet.resource.custom_operators import add_filter_operator
from cliquet.settings import DEFAULT_SETTINGS, load_default_settings
from cliquet.settings.validation import include_packages
from cliquet.utils import current_resource_name, current_service, follow_subrequest, setting_list
from cliquet.views.hello import PROTOCOL_VERSION
from cliquet.views.version import add_version_view

#: The version of the package.
__version__ = _version("cliquet")


def includeme(config: Configurator) -> None:
    """Set up the toolkit (``config.include("cliquet")``); repeated calls do nothing."""
    registry = config.registry
    if getattr(registry, "route_prefix", None) is not None:
        return
    registry.route_prefix = config.route_prefix or ""
    if hasattr(registry, "cornice_services"):
        # The application included Cornice, whose views and request attributes are replaced.
        _execute_actions(config)
    settings = config.get_settings()
    problems = complete_settings(config, {})
    registry.heartbeats = Heartbeats()
    registry.public_settings = {"batch_max_requests", "readonly"}
    registry.api_capabilities = {}

    request.add_request_attributes(config)
    include_cornice(config)
    config.add_directive("add_api_capability", add_api_capability)
    config.add_directive("add_filter_operator", add_filter_operator)
    config.include("cliquet.openapi")
    config.add_subscriber_predicate("for_actions", events.EventActionFilter)
    config.add_subscriber_predicate("for_resources", events.EventResourceFilter)

    for step in setting_list(settings["initialization_sequence"]):
        with problems.collect():
            config.maybe_dotted(step)(config)
    problems.raise_if_any()
    connectivity.log_unreachable(registry)
    config.scan("cliquet.views.errors")
    _execute_actions(config)
    security.accept_policies(config)
    include_packages(config, "includes")
    security.accept_policies(config)  # also if an included package has committed
    name_transactions(config)
    config.scan("cliquet.views", ignore="cliquet.views.errors")
    add_version_view(config)
    # Check later, because plugins that are included later declare their settings.
    config.action(None, warn_of_unknown_keys, args=(config,), order=PHASE3_CONFIG)
    # After everything that adds attributes to requests.
    config.action(None, request.compile_request_class, args=(config,), order=PHASE3_CONFIG + 1)


def _execute_actions(config: Configurator) -> None:
    """Execute the configuration so far, so that packages can override any part.

    Unlike ``config.commit()``, this remembers the packages that are already included.
    """
    config.begin()
    try:
        config.action_state.execute_actions(introspector=config.introspector)
    finally:
        config.end()


def add_api_capability(
    config: Configurator, identifier: str, description: str = "", url: str = "", **kw: Any
) -> None:
    """Announce a feature to clients in the hello view (directive).

    :param kw: further keys of the description.
    :raises ValueError: if a capability with that identifier exists.
    """
    capabilities = config.registry.api_capabilities
    if identifier in capabilities:
        existing = capabilities[identifier]
        raise ValueError(f"The '{identifier}' API capability was already registered ({existing}).")
    capabilities[identifier] = {"description": description, "url": url, **kw}


__all__ = [
    "DEFAULT_SETTINGS",
    "PROTOCOL_VERSION",
    "Service",
    "__version__",
    "current_resource_name",
    "current_service",
    "follow_subrequest",
    "includeme",
    "initialize",
    "initialize_cliquet",
    "install_middlewares",
    "load_default_settings",
    "logger",
    "resource",
]
