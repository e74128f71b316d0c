"""Detection of methods that an application overrides.

Operations that combine several methods must not bypass an override.
"""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any


def is_inherited(obj: object, base: type, *names: str) -> bool:
    """Return whether methods of an object are those of a class, not overridden or replaced.

    :param base: the class that defines the methods.
    """
    for name in names:
        inherited = MethodType(getattr(base, name), obj)
        method: Any = getattr(obj, name, None)
        # Unwrapped, because metrics wrap methods.
        if method != inherited and inspect.unwrap(method) != inherited:
            return False
    return True


def is_of_toolkit(function: Any) -> bool:
    """Return whether the toolkit defines a function, not an application."""
    return str(function.__module__).startswith("cliquet.")
