"""What was written for Cornice 1, as Cornice 6 wants it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from cliquet.errors import json_error_handler

_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def adapted(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a view, whose validators and error handler may be of Cornice 1."""
    return {
        **arguments,
        "validators": [adapted_validator(validator) for validator in arguments["validators"]],
        "error_handler": _adapted_error_handler(arguments["error_handler"]),
    }


def adapted_validator(validator: Any) -> Any:
    """Return a validator that takes the arguments of the view too, or the name of a method."""
    parameters = _parameters(validator)
    if len(parameters) != 1 or parameters[0].kind in _MANY:
        return validator
    return lambda request, **kwargs: validator(request)


def _adapted_error_handler(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return an error handler that takes the request; with Cornice 1 it was the ``errors``."""
    parameters = _parameters(handler)
    if handler is json_error_handler or not parameters or parameters[0].name != "errors":
        return handler

    def handle(request: Any) -> Any:
        request.errors.request = request
        return handler(request.errors)

    return handle


def _parameters(function: Any) -> list[inspect.Parameter]:
    """Return the parameters of a function, none of what can't be looked into."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
