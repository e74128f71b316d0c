"""OpenAPI 3.1 description of the application, at ``/__api__``.

Unless the setting ``openapi_enabled`` is true, no other module of this package is imported and
the directives have no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

from cliquet.settings.types import BOOLEAN
from cliquet.state import state_of

#: An addition to the document: a merge patch (RFC 7396) or a function that changes it.
Addition = Mapping[str, Any] | Callable[[dict[str, Any]], Any]


class Extensions(NamedTuple):
    """Changes to the document by an application and its plugins.

    :param additions: in the order in which they apply.
    :param excluded: names of services.
    """

    additions: list[Addition]
    excluded: set[str]


def includeme(config: Configurator) -> None:
    """Add the directives, and the views if ``openapi_enabled`` is true."""
    state_of(config.registry).openapi_extensions = Extensions([], set())
    config.add_directive("extend_openapi", extend_openapi)
    config.add_directive("exclude_from_openapi", exclude_from_openapi)
    if BOOLEAN.get(config.get_settings(), "openapi_enabled"):
        config.include("cliquet.openapi.views")


def extend_openapi(config: Configurator, addition: Addition) -> None:
    """Extend or change the document (directive).

    :param addition: a merge patch (RFC 7396): objects are merged, other values replace existing
        ones, None removes them. Or a function that takes the document and changes it.
    :raises pyramid.exceptions.ConfigurationError: when it is neither.
    """
    if not isinstance(addition, Mapping) and not callable(addition):
        raise ConfigurationError(
            f"extend_openapi({addition!r}): expected a mapping, or a function of the document"
        )
    state_of(config.registry).openapi_extensions.additions.append(addition)


def exclude_from_openapi(config: Configurator, *names: str) -> None:
    """Exclude services from the document (directive).

    :param names: the names of Cornice services; a resource has two, ``{resource}-collection``
        and ``{resource}-record``.
    """
    state_of(config.registry).openapi_extensions.excluded.update(names)
