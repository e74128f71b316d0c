"""State of an application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cliquet.types import Registry


@dataclass
class State:
    """All that belongs to one application, apart from the public attributes of its registry.

    Classes of other modules are named in comments, because all modules import this one.
    """

    #: Errors in the settings, an ``ErrorCollector``; None until the settings are loaded.
    settings_problems: Any = None
    #: Keys of the settings that packages have declared.
    declared_settings: set[str] = field(default_factory=set)
    #: The ``Limits`` in the settings; None until they are read.
    limits: Any = None
    #: Objects that backends share, such as clients, by kind and key.
    shared: dict[str, dict[Any, Any]] = field(default_factory=dict)
    #: Times of the latest log lines about outages, in seconds.
    logged_outages: dict[str, float] = field(default_factory=dict)
    #: Whether a URL without version, or with a trailing slash, is redirected.
    redirects_to_version: bool = False
    redirects_slash: bool = False
    #: Renderer of log lines.
    log_renderer: Any = None
    #: The ``RequestClasses``; None if Pyramid creates them.
    request_classes: Any = None
    #: Whether CORS headers depend on the origin: by default, and for any service.
    has_restricted_origins: bool = False
    varies_by_origin: bool = False
    #: Operators of filters that the application adds.
    filter_operators: tuple[Any, ...] = ()
    #: Segments of the URL of each resource with its name, by number of segments; None until needed.
    resource_patterns: dict[int, list[tuple[list[str], str]]] | None = None
    #: The ``Extensions`` of the OpenAPI document, and the document; None until it is requested.
    openapi_extensions: Any = None
    openapi_document: Any = None


def state_of(registry: Registry) -> State:
    """Return the state of an application."""
    state: State | None = registry.__dict__.get("cliquet")
    if state is None:
        state = registry.__dict__["cliquet"] = State()
    return state
