"""What a service does with a request: its Cornice definitions, as one view of Pyramid.

Cornice makes a view of each definition, which Pyramid tries in turn, and finds out for each
request what never changes. Here that is done once, when the application is made: an answer takes
half the time. A service that asks for more than is understood here is left to Cornice.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any

from cornice import cors
from cornice.pyramidhook import get_fallback_view
from pyramid.events import BeforeRender
from pyramid.httpexceptions import HTTPForbidden, HTTPNotModified
from pyramid.interfaces import IDefaultPermission, IResponse, ISecurityPolicy
from pyramid.renderers import RendererHelper
from pyramid.security import NO_PERMISSION_REQUIRED
from zope.interface import implementedBy

from cliquet import transactions
from cliquet.cornice1 import adapted_validator
from cliquet.errors import has_errors
from cliquet.renderers import JSONRenderer
from cliquet.utils.http import set_header

_RENDERING = implementedBy(BeforeRender)

#: The arguments of definitions that mean something here, or to nobody.
_UNDERSTOOD = {
    *("renderer", "validators", "filters", "error_handler", "schema", "klass", "permission"),
    *("description", "factory", *cors.CORS_PARAMETERS),
}


def has_one_view_each(service: Any) -> bool:
    """Tell whether no method of a service has several views, to be chosen by predicates."""
    methods = [method for method, _, _ in service.definitions]
    return len(set(methods)) == len(methods)


def is_understood(service: Any) -> bool:
    """Tell whether a service can be served by a :class:`ServiceView`."""
    return has_one_view_each(service) and all(
        _UNDERSTOOD.issuperset(key for key, value in arguments.items() if value is not None)
        for _, _, arguments in service.definitions
    )


class ServiceView:
    """The view of a service, for all its methods.

    :param config: of the application that the service belongs to.
    """

    def __init__(self, config: Any, service: Any) -> None:
        self._endpoints = {
            method: Endpoint(config, service, method, view, arguments)
            for method, view, arguments in service.definitions
        }
        self._otherwise = get_fallback_view(service)

    def __call__(self, context: Any, request: Any) -> Any:
        endpoint = self._endpoints.get(request.environ["REQUEST_METHOD"])
        if endpoint is None:
            return self._otherwise(request)
        return endpoint(context, request)


class Endpoint:
    """A method of a service.

    :param view: a function, or the name of a method of the class that ``arguments`` tell.
    """

    def __init__(
        self, config: Any, service: Any, method: str, view: Any, arguments: dict[str, Any]
    ) -> None:
        self._service = service
        self._registry = config.registry
        self._arguments = arguments
        self._validators = arguments["validators"]
        self._filters = arguments["filters"]
        self._error_handler = arguments["error_handler"]
        self._permission = arguments.get("permission")
        self._class: Any = None if callable(view) else arguments["klass"]
        self._view: Any = view if callable(view) else _method(view, self._class)
        self._with_context = hasattr(service, "factory")
        self._renderer = RendererHelper(arguments["renderer"], config.package, config.registry)
        self._has_cors = service.cors_enabled
        exposed = service.cors_supported_headers_for(method) if self._has_cors else ()
        self._exposed = ", ".join(sorted(exposed))

    def __call__(self, context: Any, request: Any) -> Any:
        self._authorize(context, request)
        has_origin = self._has_cors and "HTTP_ORIGIN" in request.environ
        if has_origin:
            cors.ensure_origin(self._service, request)
        owner = None if self._class is None else self._make_owner(context, request)
        for validator in self._validators:
            if isinstance(validator, str):
                validator = adapted_validator(getattr(owner, validator))
            validator(request, **self._arguments)
        response = None if has_errors(request) else self._answer(context, request, owner)
        if has_errors(request):
            response = self._error_handler(request)
        elif self._filters:
            response = self._filtered(response, request, owner)
        if has_origin:
            request.info["cors_checked"] = False
            cors.apply_cors_post_request(self._service, request, response)
        elif self._exposed:
            set_header(response, "Access-Control-Expose-Headers", self._exposed)
        return response

    def _authorize(self, context: Any, request: Any) -> None:
        permission = self._permission
        if permission is None:
            permission = self._registry.queryUtility(IDefaultPermission)
        policy = self._registry.queryUtility(ISecurityPolicy)
        if policy is None or permission in (None, NO_PERMISSION_REQUIRED):
            return
        result = policy.permits(request, context, permission)
        if not result:
            raise HTTPForbidden(f"Unauthorized: {self._service.name}", result=result)

    def _make_owner(self, context: Any, request: Any) -> Any:
        """Return the object whose methods are the view, and those of validators and filters."""
        if self._with_context:
            return self._class(request=request, context=context)
        return self._class(request=request)

    def _answer(self, context: Any, request: Any, owner: Any) -> Any:
        """Return what the view returns, rendered if it is no response."""
        try:
            result = self._view(request if owner is None else owner)
        except HTTPNotModified as not_modified:
            if hasattr(request, "parent"):
                raise
            # It is no error, and the way through exception views takes as long as all the rest.
            return _cancelling(not_modified)
        if result.__class__ is not dict:
            response = self._registry.queryAdapterOrSelf(result, IResponse)
            if response is not None:
                return response
        helper: Any = self._renderer
        renderer = helper.renderer
        if type(renderer) is JSONRenderer and not self._is_rendering_observed(request):
            return renderer.respond(request, result)
        name = request.__dict__.pop("override_renderer", None)
        if name is not None:
            helper = RendererHelper(name, helper.package, self._registry)
        return helper.render_view(request, result, self._view, context)

    def _is_rendering_observed(self, request: Any) -> bool:
        """Tell whether the application has a say in what is rendered, or how."""
        listeners = self._registry.adapters.subscriptions((_RENDERING,), None)
        return bool(listeners) or "override_renderer" in request.__dict__

    def _filtered(self, response: Any, request: Any, owner: Any) -> Any:
        for filter_ in self._filters:
            if isinstance(filter_, str):
                filter_ = getattr(owner, filter_)
            try:
                response = filter_(response, request)
            except TypeError:
                response = filter_(response)
        return response


def _cancelling(response: Any) -> Any:
    """Return a response that was raised; as with all of these, nothing is saved."""
    txn = transactions.current()
    if txn is not None:
        txn.doom()
    return response


def _method(view: Any, class_: Any) -> Callable[[Any], Any]:
    """Return a function that calls a method of an object, which may have one of its own.

    :param view: the name of the method, or what Cornice makes of it.
    """
    if isinstance(view, str):
        return methodcaller(view.lower())
    function: Callable[[Any], Any] = view.unbound_view
    name = function.__name__
    return methodcaller(name) if getattr(class_, name, None) is function else function
