"""Measurements common to StatsD and Prometheus."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

from cliquet.types import Registry, Request

#: The HTTP methods (RFC 9110, section 9, and RFC 5789).
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
)


def known_method(request: Request) -> str:
    """Return the method, or ``other``, because clients can invent methods."""
    return request.method if request.method in METHODS else "other"


def backends(registry: Registry) -> Iterator[tuple[str, Any]]:
    """Yield the kind and the instance of each backend of the application."""
    for kind in ("storage", "cache", "permission"):
        backend = getattr(registry, kind, None)
        if backend is not None:
            yield kind, backend


def time_calls(obj: object, timer: Callable[[str], Callable[[Any], Any]]) -> None:
    """Time every call of the public methods of ``obj``, possibly a second time.

    :param timer: returns the decorator that times a method, given its name.
    """
    for name in dir(obj):
        value: Any = None if name.startswith("_") else getattr(obj, name)
        if _is_method(inspect.unwrap(value, stop=_is_method)):
            timed = timer(name)(value)
            if timed is not value:  # a mock of a timer can return the method itself
                setattr(obj, name, functools.wraps(value)(timed))


def _is_method(value: object) -> bool:
    return isinstance(value, types.MethodType)
