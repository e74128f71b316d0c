"""WSGI middlewares: New Relic's agent and Werkzeug's profiler."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.events import NewResponse
from pyramid.exceptions import ConfigurationError

from cliquet.metrics import known_method
from cliquet.settings import DEFAULT_SETTINGS, KeyForms, find, find_project_name
from cliquet.settings.types import BOOLEAN
from cliquet.settings.validation import invalid
from cliquet.utils import import_optional
from cliquet.utils.http import is_subrequest
from cliquet.utils.installation import install_command

_KEYS = ("newrelic_config", "newrelic_env", "profiler_enabled", "profiler_dir")


def install_middlewares(app: object, settings: Mapping[str, Any] | None = None) -> Any:
    """Return the WSGI application, wrapped in the middlewares of the settings.

    :param app: a Pyramid application, or a wrapped one.
    :param settings: the settings of the file, with or without prefixes, which the environment
        overrides; the settings of ``app`` are the default.
    """
    settings = _completed(app, settings)
    if settings.get("newrelic_config"):
        agent = import_optional("newrelic.agent")
        require(agent, "newrelic_config", "newrelic")
        _initialize_newrelic(agent, settings)
        app = agent.WSGIApplicationWrapper(app)
    if BOOLEAN.get(settings, "profiler_enabled"):
        # Where 3.1 imported it: tests of applications replace it there.
        profiler: Any = sys.modules["cliquet.initialization"].ProfilerMiddleware
        require(profiler, "profiler_enabled", "werkzeug")
        folder = settings.get("profiler_dir") or DEFAULT_SETTINGS["profiler_dir"]
        if not os.path.isdir(folder):
            raise invalid(settings, "profiler_dir", "an existing directory")
        name: Any = _profile_name  # Werkzeug also accepts a function, contrary to its types
        app = profiler(app, stream=None, profile_dir=folder, filename_format=name)
    return app


def _initialize_newrelic(agent: Any, settings: Mapping[str, Any]) -> None:
    """Initialize New Relic's agent.

    :raises ~cliquet.settings.validation.InvalidSettings: if it refuses the configuration file.
    """
    exceptions = import_optional("newrelic.api.exceptions")
    refused = exceptions.ConfigurationError if exceptions else ()
    try:
        agent.initialize(settings["newrelic_config"], settings.get("newrelic_env"))
    except refused as error:
        raise invalid(
            settings, "newrelic_config", f"a configuration file of New Relic ({error})"
        ) from error


def _completed(app: object, settings: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the settings of the middlewares by their bare keys."""
    registry = getattr(app, "registry", None)
    current = {**DEFAULT_SETTINGS, **(registry.settings if registry else {})}
    if settings is None and registry:
        return current
    settings = settings or {}
    key_forms = KeyForms(find_project_name(settings, current["project_name"]))
    return {key: find(settings, key_forms, key, current[key]) for key in _KEYS}


def name_transactions(config: Configurator) -> None:
    """Name New Relic's transactions after services, such as ``bookmark-record.GET``."""
    agent = import_optional("newrelic.agent") if config.get_settings()["newrelic_config"] else None
    if agent is None:
        return

    def on_new_response(event: Any) -> None:
        request = event.request
        service = request.current_service
        if service is not None and not is_subrequest(request):
            agent.set_transaction_name(f"{service.name}.{known_method(request)}")

    config.add_subscriber(on_new_response, NewResponse)


def _profile_name(environ: Mapping[str, Any]) -> str:
    """Return a safe file name for a profile, whatever the method and path."""
    profiled = environ["werkzeug.profiler"]
    path = environ["PATH_INFO"].strip("/").replace("/", ".") or "root"
    request_line = re.sub(r"[^\w.-]", "_", f"{environ['REQUEST_METHOD']}.{path}", flags=re.ASCII)
    return f"{profiled['time']:.6f}.{request_line[:100]}.{profiled['elapsed']:.0f}ms.prof"


def require(module: object, key: str, package: str) -> None:
    """Raise ConfigurationError if a setting's optional package is missing.

    :param module: the imported package, or a part of it, or None.
    """
    if module is None:
        raise ConfigurationError(
            f"{key} is set: expected the package {package} ({install_command('monitoring')})"
        )
