"""Detection of methods that an application overrides.

Operations that combine several methods must not bypass an override.
"""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any, TypeVar

T = TypeVar("T", bound=type)

#: The attributes of base classes when they were defined. Tests can replace them later.
_DEFINED: dict[type, dict[str, Any]] = {}


def detects_overrides(base: T) -> T:
    """Decorate a class so that :func:`is_inherited` accepts it as a base class."""
    _DEFINED[base] = {name: getattr(base, name, None) for name in dir(base)}
    return base


def is_inherited(obj: object, base: type, *names: str) -> bool:
    """Return whether methods are those of a base class, not overridden or replaced.

    :param obj: an object, or a class, whose other attributes can be checked too.
    :param base: the class that defines the methods, decorated with :func:`detects_overrides`.
    """
    defined = _DEFINED[base]
    is_class = isinstance(obj, type)
    for name in names:
        inherited: Any = defined.get(name)
        if not is_class:
            inherited = MethodType(inherited, obj)
        current: Any = getattr(obj, name, None)
        # Unwrapped, because metrics wrap the methods of backends.
        if current != inherited and (is_class or inspect.unwrap(current) != inherited):
            return False
    return True


def is_of_toolkit(function: Any) -> bool:
    """Return whether the toolkit defines a function, not an application."""
    # functools.wraps() copies __module__ to functions of applications.
    names = getattr(function, "__globals__", {})
    return str(names.get("__name__")).startswith("cliquet.")
