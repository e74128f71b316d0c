"""What is measured, whatever it is sent to: StatsD, or Prometheus."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

#: The methods of HTTP (RFC 9110, section 9, and RFC 5789).
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
)


def known_method(request: Any) -> str:
    """Return the method of a request, ``other`` if it is none of HTTP: clients invent any."""
    return request.method if request.method in METHODS else "other"


def backends(registry: Any) -> Iterator[tuple[str, Any]]:
    """Return the kind of each backend that the application has, and the backend."""
    for kind in ("storage", "cache", "permission"):
        backend = getattr(registry, kind, None)
        if backend is not None:
            yield kind, backend


def time_calls(obj: Any, timer: Callable[[str], Callable[[Any], Any]]) -> None:
    """Time every call of the public methods of ``obj``, which others may time already.

    :param timer: returns, for the name of a method, the decorator that times it.
    """
    for name in dir(obj):
        value: Any = None if name.startswith("_") else getattr(obj, name)
        if _is_method(inspect.unwrap(value, stop=_is_method)):
            setattr(obj, name, functools.wraps(value)(timer(name)(value)))


def _is_method(value: Any) -> bool:
    return isinstance(value, types.MethodType)
