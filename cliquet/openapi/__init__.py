"""The application described by itself (OpenAPI 3.1), at ``/__api__``.

Unless the setting ``openapi_enabled`` is true, this module is all that is imported, and the
directives have no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pyramid.exceptions import ConfigurationError
from pyramid.settings import asbool

#: What an application adds: a merge patch (RFC 7396), or a function that changes the document.
Addition = Mapping[str, Any] | Callable[[dict[str, Any]], Any]


class Extensions(NamedTuple):
    """What an application and its plugins say of the document.

    :param additions: in the order in which they apply.
    :param excluded: names of services.
    """

    additions: list[Addition]
    excluded: set[str]


def includeme(config: Any) -> None:
    """Add the directives, and what the setting ``openapi_enabled`` decides of."""
    config.registry.openapi_extensions = Extensions([], set())
    config.add_directive("extend_openapi", extend_openapi)
    config.add_directive("exclude_from_openapi", exclude_from_openapi)
    if asbool(config.get_settings()["openapi_enabled"]):
        config.include("cliquet.openapi.views")


def extend_openapi(config: Any, addition: Addition) -> None:
    """Add to the document, or change what it says (directive).

    :param addition: a merge patch (RFC 7396): objects are merged, other values replace those that
        are there, None removes them. Or a function, which is given the document and changes it.
    :raises pyramid.exceptions.ConfigurationError: when it is neither.
    """
    if not isinstance(addition, Mapping) and not callable(addition):
        raise ConfigurationError(
            f"extend_openapi({addition!r}): expected a mapping, or a function of the document"
        )
    config.registry.openapi_extensions.additions.append(addition)


def exclude_from_openapi(config: Any, *names: str) -> None:
    """Leave services out of the document (directive).

    :param names: those of Cornice; a resource has two, ``{resource}-collection`` and
        ``{resource}-record``.
    """
    config.registry.openapi_extensions.excluded.update(names)
