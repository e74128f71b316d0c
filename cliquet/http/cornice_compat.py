"""Adapters of Cornice 1 style view functions to Cornice 6.

Signatures are inspected once, when the service is added to the application.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from cornice import Service
from pyramid.interfaces import IRendererFactory

from cliquet.types import Request

Function = Callable[..., Any]


def adapted(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a view with its functions adapted to Cornice 6."""
    class_ = arguments.get("klass")
    return {
        **arguments,
        "validators": [_adapted(each, class_, _lacks_keywords) for each in arguments["validators"]],
        "filters": [_adapted(each, class_, _lacks_request) for each in arguments["filters"]],
        "error_handler": _adapted_error_handler(arguments["error_handler"]),
    }


class Method:
    """A validator or filter given as the name of a method of the view's class.

    :param class_: the class.
    :param takes_one: returns True if a function only accepts its first argument.
    """

    def __init__(self, name: str, class_: Any, takes_one: Callable[[Function], bool]) -> None:
        self.name = name
        attribute = inspect.getattr_static(class_, name, None)
        bound = attribute.__get__(self, class_) if hasattr(attribute, "__get__") else attribute
        self._check = takes_one
        # If the constructor adds the method, its signature is checked for each instance.
        self._takes_one = None if bound is None else takes_one(bound)

    def of(self, owner: Any) -> Function:
        """Return the function for an instance."""
        method: Function = getattr(owner, self.name)
        takes_one = self._check(method) if self._takes_one is None else self._takes_one
        return _first_argument_only(method) if takes_one else method


def _adapted(function: Any, class_: Any, takes_one: Callable[[Function], bool]) -> Any:
    if isinstance(function, str):
        return Method(function, class_, takes_one)
    return _first_argument_only(function) if takes_one(function) else function


def _first_argument_only(function: Function) -> Function:
    return lambda first, *args, **kwargs: function(first)


def _lacks_keywords(validator: Function) -> bool:
    """Return True if a validator doesn't accept keyword arguments."""
    kinds = [parameter.kind for parameter in _parameters(validator)]
    return bool(kinds) and inspect.Parameter.VAR_KEYWORD not in kinds


def _lacks_request(filter_: Function) -> bool:
    """Return True if a filter accepts the response, but no request after it."""
    signature = _signature(filter_)
    if signature is None:
        return False
    try:
        signature.bind(None, None)
    except TypeError:
        return True
    return False


def _adapted_error_handler(handler: Function) -> Function:
    """Return an error handler that accepts the request instead of its errors."""
    if getattr(handler, "__func__", None) is Service.default_error_handler:
        return _render_errors
    parameters = _parameters(handler)
    if not parameters or parameters[0].name == "request":
        return handler

    def handle(request: Request) -> Any:
        request.errors.request = request
        return handler(request.errors)

    return handle


def _render_errors(request: Request) -> Any:
    """Return the errors as Cornice services do, regardless of the renderer."""
    renderer = request.registry.getUtility(IRendererFactory, name=Service.renderer)
    return renderer.render_errors(request)


def _parameters(function: Function) -> list[inspect.Parameter]:
    signature = _signature(function)
    return [] if signature is None else list(signature.parameters.values())


def _signature(function: Function) -> inspect.Signature | None:
    """Return the signature of a function, None if it can't be inspected."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None
