"""Dispatcher that serves a Cornice service with one Pyramid view.

Cornice registers a view for each definition: Pyramid tries them one by one, and every request
recomputes values that never change. Computing them once, at start-up, halves the response time.
Definitions with options of Pyramid views (predicates, ``decorator``, ``http_cache``…) become
separate Pyramid views.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any, NamedTuple

from cornice import Service, cors
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError, PredicateMismatch
from pyramid.httpexceptions import HTTPForbidden, HTTPMethodNotAllowed, HTTPNotModified
from pyramid.interfaces import IDefaultPermission, IResponse, ISecurityPolicy
from pyramid.renderers import RendererHelper
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet import transactions
from cliquet.errors import has_errors
from cliquet.http.cornice_compat import Method
from cliquet.http.live import stream_types
from cliquet.http.negotiation import (
    acceptable_types,
    check_accept,
    check_content_type,
    list_types,
    media_type,
    refuse_type,
    resolve_types,
)
from cliquet.types import Request
from cliquet.utils.http import JSON, is_subrequest

#: The arguments of definitions that the dispatcher supports.
_OWN_ARGUMENTS = {
    *("renderer", "validators", "filters", "error_handler", "schema", "klass", "permission"),
    *("description", "factory", "accept", "content_type", "deserializer", *cors.CORS_PARAMETERS),
}


def add_views(config: Configurator, service: Service) -> None:
    """Add the views of a service to the application: one, unless Pyramid must choose.

    :raises pyramid.exceptions.ConfigurationError: if two definitions can't be distinguished.
    """
    groups = _groups(config, service)
    route_name = service.pyramid_route or service.name
    views: list[tuple[Any, dict[str, Any]]]
    if any(group.options for group in groups):
        methods = [group.method for group in groups]
        views = [
            (
                _negotiating(group.endpoints, is_last=methods.count(group.method) == 1),
                {"request_method": group.method, **group.options},
            )
            for group in groups
        ]
        views.append((Mismatch(service, groups), {"require_csrf": False}))
    else:
        by_method = {group.method: _negotiating(group.endpoints) for group in groups}
        views = [(ServiceView(service, by_method), {})]
    for view, options in views:
        # Endpoints check the permission of their definition themselves.
        config.add_view(view, route_name=route_name, permission=NO_PERMISSION_REQUIRED, **options)


class Group(NamedTuple):
    """Endpoints of a method that only differ by media types."""

    method: str
    options: dict[str, Any]
    endpoints: list[Endpoint]


def _groups(config: Configurator, service: Service) -> list[Group]:
    groups: list[Group] = []
    for method, view, arguments in service.definitions:
        options = _view_options(config, arguments)
        endpoint = Endpoint(config, service, method, view, arguments)
        for group in groups:
            if (group.method, group.options) == (method, options):
                _check_distinct(endpoint, group.endpoints, f"{method} {service.name}")
                group.endpoints.append(endpoint)
                break
        else:
            groups.append(Group(method, options, [endpoint]))
    return groups


def _view_options(config: Configurator, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a definition that are options of Pyramid views."""
    of_routes = set(config.get_predlist("route").sorter.names)
    of_routes -= set(config.get_predlist("view").sorter.names)
    return {
        name: value
        for name, value in arguments.items()
        if value is not None and name not in _OWN_ARGUMENTS and name not in of_routes
    }


def _check_distinct(endpoint: Endpoint, others: list[Endpoint], name: str) -> None:
    for other in others:
        if (other.accepted_types, other.content_types) == (
            endpoint.accepted_types,
            endpoint.content_types,
        ):
            raise ConfigurationError(
                f"{name} has two views for the same requests. "
                "Give them different values of accept, content_type or a predicate."
            )


def _negotiating(endpoints: list[Endpoint], is_last: bool = True) -> Any:
    """Return a view that chooses between the endpoints, or the only endpoint."""
    (first, *others) = endpoints
    if not (others or first.accepted_types or first.content_types):
        return first
    return Alternatives(endpoints, is_last) if others or not is_last else RestrictedEndpoint(first)


class ServiceView:
    """The view of a service for all its methods.

    :param endpoints: the view of each method.
    """

    def __init__(self, service: Service, endpoints: dict[str, Any]) -> None:
        self._endpoints = endpoints
        self._methods = service.defined_methods

    def __call__(self, context: Any, request: Request) -> Any:
        endpoint = self._endpoints.get(request.environ["REQUEST_METHOD"])
        if endpoint is None:
            raise _method_not_allowed(self._methods)
        return endpoint(context, request)


def _method_not_allowed(methods: list[str]) -> HTTPMethodNotAllowed:
    response = HTTPMethodNotAllowed()
    response.allow = methods
    return response


class Mismatch:
    """View for requests that match no definition of a service: it reports the reason."""

    def __init__(self, service: Service, groups: list[Group]) -> None:
        self._methods = service.defined_methods
        self._alternatives = [(group.method, Alternatives(group.endpoints)) for group in groups]

    def __call__(self, context: Any, request: Request) -> Any:
        if request.method not in self._methods:
            raise _method_not_allowed(self._methods)
        for method, alternatives in self._alternatives:
            if method == request.method:
                endpoint = alternatives.choose(request)
                if has_errors(request):
                    return endpoint(context, request)
        raise PredicateMismatch()


class RestrictedEndpoint:
    """The only view of a method, restricted to some media types."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def __call__(self, context: Any, request: Request) -> Any:
        check_accept(self._endpoint.accepted_types, request)
        check_content_type(self._endpoint.content_types, request)
        return self._endpoint(context, request)


class Alternatives:
    """Views of one method that differ by the media types they accept or return.

    :param is_last: whether no other view handles the method.
    """

    def __init__(self, endpoints: list[Endpoint], is_last: bool = True) -> None:
        self._endpoints = endpoints
        self._is_last = is_last

    def __call__(self, context: Any, request: Request) -> Any:
        endpoint = self.choose(request)
        if has_errors(request) and not self._is_last:
            request.errors.clear()
            raise PredicateMismatch()
        return endpoint(context, request)

    def choose(self, request: Request) -> Endpoint:
        """Return the endpoint for a request, or one that reports why none is suitable."""
        candidates = [each for each in self._endpoints if each.reads_type_of(request)]
        if not candidates:
            supported = [type_ for each in self._endpoints for type_ in each.content_types]
            refuse_type(request, "Content-Type", resolve_types(supported, request), 415)
            return self._endpoints[0]
        offers = [
            (type_, each)
            for each in candidates
            for type_ in resolve_types(each.accepted_types, request)
        ]
        for chosen in acceptable_types(request, (type_ for type_, _ in offers)):
            return next(each for type_, each in offers if type_ == chosen)
        for each in candidates:
            if not each.accepted_types:
                return each
        refuse_type(request, "Accept", (type_ for type_, _ in offers), 406)
        return candidates[0]


class Endpoint:
    """A method of a service.

    :param view: a function, or the name of a method of the class in ``arguments``.
    """

    def __init__(
        self,
        config: Configurator,
        service: Service,
        method: str,
        view: Any,
        arguments: dict[str, Any],
    ) -> None:
        self._service = service
        self._registry = config.registry
        self._arguments = arguments
        self._validators = arguments["validators"]
        self._filters = arguments["filters"]
        self._error_handler = arguments["error_handler"]
        self._permission = arguments.get("permission")
        self.accepted_types = list_types(arguments.get("accept"))
        is_list = method == "GET" and getattr(service, "type", None) == "collection"
        if is_list and JSON in self.accepted_types:
            self.accepted_types.append(stream_types)
        self.content_types = list_types(arguments.get("content_type"))
        self._class: Any = None if callable(view) else arguments["klass"]
        self._view: Any = view if callable(view) else _method(view, self._class)
        self._with_context = hasattr(service, "factory")
        self._renderer = RendererHelper(arguments["renderer"], config.package, config.registry)
        self._has_cors = service.cors_enabled
        exposed = service.cors_supported_headers_for(method) if self._has_cors else ()
        self._exposed = ", ".join(sorted(exposed))

    def reads_type_of(self, request: Request) -> bool:
        """Return True if the definition accepts the media type of the body, if any."""
        type_ = media_type(request)
        types = self.content_types
        return not (types and type_) or type_ in resolve_types(types, request)

    def __call__(self, context: Any, request: Request) -> Any:
        self._authorize(context, request)
        owner = None if self._class is None else self._make_owner(context, request)
        for validator in self._validators:
            if validator.__class__ is Method:
                validator = validator.of(owner)
            validator(request, **self._arguments)
        has_origin = self._has_cors and "HTTP_ORIGIN" in request.environ
        if has_origin:
            cors.ensure_origin(self._service, request)
        response: Any = None if has_errors(request) else self._respond(context, request, owner)
        if has_errors(request):
            response = self._error_handler(request)
        elif self._filters:
            response = self._filtered(response, request, owner)
        if has_origin:
            request.info["cors_checked"] = False
            cors.apply_cors_post_request(self._service, request, response)
        elif self._exposed:
            response.headers["Access-Control-Expose-Headers"] = self._exposed
        return response

    def _authorize(self, context: Any, request: Request) -> None:
        permission = self._permission
        if permission is None:
            permission = self._registry.queryUtility(IDefaultPermission)
        policy = self._registry.queryUtility(ISecurityPolicy)
        if policy is None or permission in (None, NO_PERMISSION_REQUIRED):
            return
        result = policy.permits(request, context, permission)
        if not result:
            forbidden: Any = HTTPForbidden(f"Unauthorized: {self._service.name}", result=result)
            forbidden.refused = context, permission  # for cliquet.refusals
            raise forbidden

    def _make_owner(self, context: Any, request: Request) -> Any:
        """Return the object whose methods are the view, validators and filters."""
        if self._with_context:
            return self._class(request=request, context=context)
        return self._class(request=request)

    def _respond(self, context: Any, request: Request, owner: object) -> Any:
        """Return the response of the view, rendered if needed."""
        try:
            result = self._view(request if owner is None else owner)
        except HTTPNotModified as not_modified:
            if is_subrequest(request):
                raise
            # A 304 isn't an error, and a response by exception views takes 11 % longer. The frames
            # of its traceback refer to the request, and would keep it in memory.
            return _cancelling(not_modified.with_traceback(None))
        if result.__class__ is not dict:
            response = self._registry.queryAdapterOrSelf(result, IResponse)
            if response is not None:
                return response
        helper: Any = self._renderer
        name = request.__dict__.pop("override_renderer", None)
        if name is not None:
            helper = RendererHelper(name, helper.package, self._registry)
        return helper.render_view(request, result, self._view, context)

    def _filtered(self, response: Response, request: Request, owner: object) -> Any:
        for filter_ in self._filters:
            if filter_.__class__ is Method:
                filter_ = filter_.of(owner)
            response = filter_(response, request)
        return response


def _cancelling(response: Response) -> Any:
    """Return a raised response, and abort the transaction."""
    txn = transactions.current()
    if txn is not None:
        txn.doom()
    return response


def _method(view: Any, class_: Any) -> Callable[[Any], Any]:
    """Return a function that calls a method by name, which instances can override.

    :param view: the name of the method, or Cornice's wrapper of it.
    """
    if isinstance(view, str):
        return methodcaller(view.lower())
    function: Callable[[Any], Any] = view.unbound_view
    name = function.__name__
    return methodcaller(name) if getattr(class_, name, None) is function else function
