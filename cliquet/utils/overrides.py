"""Detection of methods that an application overrides.

Operations that combine several methods must not bypass an override.
"""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any


def is_inherited(obj: object, base: type, *names: str) -> bool:
    """Return whether methods are those of a base class, not overridden or replaced.

    :param obj: an object, or a class, whose other attributes can be checked too.
    :param base: the class that defines the methods.
    """
    is_class = isinstance(obj, type)
    for name in names:
        inherited: Any = getattr(base, name)
        if not is_class:
            inherited = MethodType(inherited, obj)
        current: Any = getattr(obj, name, None)
        # Unwrapped, because metrics wrap the methods of backends.
        if current != inherited and (is_class or inspect.unwrap(current) != inherited):
            return False
    return True


def is_of_toolkit(function: Any) -> bool:
    """Return whether the toolkit defines a function, not an application."""
    return str(function.__module__).startswith("cliquet.")
