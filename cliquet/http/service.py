"""Cornice services with the toolkit's errors, CORS headers and body validation.

This module contains all code that is specific to Cornice. Cornice 6 only validates
requests with explicit validators, and shares state between applications that use the
same service.
"""

from __future__ import annotations

import copy
import functools
import inspect
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import colander
from colander import SchemaNode
from cornice import Service as CorniceService
from cornice.cors import get_cors_preflight_view
from cornice.pyramidhook import register_service_views, wrap_request
from pyramid.config import Configurator
from pyramid.events import NewResponse
from pyramid.httpexceptions import HTTPMethodNotAllowed
from pyramid.interfaces import PHASE3_CONFIG
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet.errors import Errors, add_error, describe_invalid, has_errors, json_error_handler
from cliquet.http import cornice_compat
from cliquet.http.dispatch import add_views
from cliquet.http.limits import limits_of, read_body, refusal
from cliquet.http.negotiation import (
    announce_patch_types,
    list_types,
    media_type,
    refuse_type,
)
from cliquet.http.request import remember_json
from cliquet.settings.types import BOOLEAN, LIMIT
from cliquet.state import state_of
from cliquet.types import Request, Settings
from cliquet.utils import json, setting_list
from cliquet.utils.http import EXPOSED_HEADERS, JSON, add_vary, depends_on_origin
from cliquet.utils.schemas import deserialize

# Syntax errors of larger bodies, in bytes, have the messages of the fast parser.
_LONGEST_DIAGNOSED = 65536


class Service(CorniceService):
    """A Cornice service with the errors of the protocol.

    ``@service.post(schema=S)`` validates the JSON body with the Colander
    schema (class or instance) and fills ``request.validated`` flatly, unless
    the view has its own validators. By default, CORS origins and maximum age
    are those in the settings of the application.
    """

    renderer = "json"
    default_cors_headers = EXPOSED_HEADERS
    cors_origins: Any
    cors_max_age: Any
    #: Whether the application has no code that runs after the views; None until it is known.
    is_unobserved: bool | None = None

    def bind(self, settings: Settings) -> Service:
        """Return a copy of the service for the application with these settings."""
        bound: Service = _prepared(self)
        if not bound.cors_origins:
            bound.cors_origins = setting_list(settings["cors_origins"])
        if getattr(bound, "cors_max_age", None) is None:
            bound.cors_max_age = LIMIT.get(settings, "cors_max_age_seconds")
        _guard_writes(bound)
        return bound

    @classmethod
    def init_from_settings(cls, settings: Settings) -> None:
        """Set the CORS origins and maximum age of all services in all applications."""
        cls.cors_origins = tuple(setting_list(settings["cors_origins"]))
        cls.cors_max_age = LIMIT.get(settings, "cors_max_age_seconds")

    def cors_supported_headers_for(self, method: str | None = None) -> list[str]:
        """Return the CORS headers of a method, in the same order in each process."""
        return sorted(super().cors_supported_headers_for(method))

    def error_handler(self, error: Any) -> Any:
        """Return the response with the errors of a request.

        :param error: the ``errors`` of the request.
        """
        return json_error_handler(error)


def include_cornice(config: Configurator) -> None:
    """Include Cornice without the work for its own views: 12 % of a GET on PostgreSQL.

    The request attributes for views and validators are computed on first access.
    """
    # Errors are formatted by cliquet.views.errors.
    config.add_settings(handle_exceptions=False)
    config.include("cornice")
    # The renderer of Cornice 1: views of applications can request it by this name.
    config.add_renderer("simplejson", "cliquet.http.renderers.JSONRenderer")
    config.add_directive("add_cornice_service", add_service)
    for name, make in _ATTRIBUTES.items():
        config.add_request_method(make, name=name, reify=True)
    origins = setting_list(config.get_settings().get("cors_origins"))
    restricted = depends_on_origin(origins)
    state = state_of(config.registry)
    state.has_restricted_origins = state.varies_by_origin = restricted
    config.add_subscriber(_complete_headers, NewResponse)
    config.action(None, _unsubscribe_cornice, args=(config,), order=PHASE3_CONFIG + 1)


def _errors(request: Request) -> Errors:
    if request.registry.settings.get("available_languages"):
        return Errors(localizer=request.localizer)
    return Errors()


#: The attributes that Cornice adds to each request.
_ATTRIBUTES: dict[str, Callable[[Any], Any]] = {
    "validated": lambda request: {},
    "errors": _errors,
    "info": lambda request: {},
}


def _complete_headers(event: Any) -> None:
    """Add ``X-Content-Type-Options``, and ``Vary`` if CORS headers vary."""
    response, request = event.response, event.request
    response.headers["X-Content-Type-Options"] = "nosniff"
    state = state_of(request.registry)
    if state.varies_by_origin:
        service = request.current_service
        by_default = state.has_restricted_origins
        if by_default if service is None else getattr(service, "varies_by_origin", False):
            add_vary(response, "Origin")


def _varies_by_origin(service: Any) -> bool:
    """Return True if the CORS headers of a service depend on the origin."""
    return bool(service.cors_enabled) and any(
        depends_on_origin(service.cors_origins_for(method))
        or service.cors_support_credentials_for(method)
        for method in service.defined_methods
    )


def _unsubscribe_cornice(config: Configurator) -> None:
    registry = config.registry
    for item in config.introspector.get_category("subscribers", []):
        subscription = item["introspectable"]
        if subscription["subscriber"] is wrap_request:
            registry.unregisterHandler(
                subscription["derived_subscriber"], subscription["interfaces"]
            )


def add_service(config: Configurator, service: Any) -> None:
    """Add a service to the application (directive ``config.add_cornice_service``).

    Each application gets a copy, because Cornice changes the services that it registers.
    """
    is_ours = isinstance(service, Service)
    patch_types = _patch_types(service)
    service = service.bind(config.get_settings()) if is_ours else _prepared(service)
    if service.cors_enabled and "OPTIONS" not in service.defined_methods:
        preflight = _preflight_view(service, patch_types)
        service.add_view("options", preflight, permission=NO_PERMISSION_REQUIRED)
        method, view, arguments = service.definitions[-1]
        service.definitions[-1] = method, view, cornice_compat.adapted(arguments)
    service.varies_by_origin = _varies_by_origin(service)
    state_of(config.registry).varies_by_origin |= service.varies_by_origin
    _add_route(config, service)
    add_views(config, service)


def _patch_types(service: Any) -> list[str]:
    """Return the media types of PATCH, empty if they depend on the request."""
    return [
        type_
        for method, _, arguments in service.definitions
        if method.upper() == "PATCH"
        for type_ in list_types(arguments.get("content_type"))
        if isinstance(type_, str)
    ]


def _preflight_view(service: Any, patch_types: list[str]) -> Callable[[Request], Any]:
    """Return the view of OPTIONS.

    Responses list the formats of PATCH (RFC 5789, section 3.1). Responses to CORS preflights have
    the same headers as in 3.1 instead.
    """
    preflight: Callable[[Request], Any] = get_cors_preflight_view(service)

    @functools.wraps(preflight)  # the OpenAPI description recognizes it by its module
    def view(request: Request) -> Any:
        if patch_types and "Access-Control-Request-Method" not in request.headers:
            announce_patch_types(request, patch_types)
        result, headers = preflight(request), request.response.headers
        allowed = headers.get("Access-Control-Allow-Headers", "")
        if allowed:
            headers["Access-Control-Allow-Headers"] = ",".join(sorted(allowed.split(",")))
        return result

    return view


def _add_route(config: Configurator, service: Any) -> None:
    """Let Cornice add the route of a service, without views."""
    plain = copy.copy(service)
    plain.definitions, plain.defined_methods = [], ["OPTIONS"]
    register_service_views(config, plain)
    services = config.registry.cornice_services
    services.update((path, service) for path, each in services.items() if each is plain)


def _prepared(service: Any) -> Any:
    """Return a copy whose validators first check the schema."""
    prepared = _copy(service)
    for _, _, arguments in prepared.definitions:
        validators = arguments["validators"]
        schema: Any = arguments.get("schema")
        schema = schema() if inspect.isclass(schema) else schema
        if _is_to_validate(schema, validators):
            arguments["schema"] = schema
            depends = _depends_on_request(schema)
            validators.insert(0, binding_body_validator if depends else body_validator)
    return prepared


def _is_to_validate(schema: SchemaNode, validators: list[Any]) -> bool:
    """Return True unless the view has its own validators, as in Cornice 6."""
    if not validators:
        return schema is not None
    is_replaced = any(
        str(getattr(each, "__module__", "")).startswith("cornice.") for each in validators
    )
    return isinstance(schema, colander.SchemaNode) and not is_replaced


def _copy(service: Any) -> Any:
    copied = copy.copy(service)
    copied.defined_methods = list(service.defined_methods)
    copied.definitions = [
        (method, view, cornice_compat.adapted(arguments))
        for method, view, arguments in service.definitions
    ]
    # Only for cliquet.openapi: Cornice and Pyramid would not accept it.
    copied.openapi = {
        method: arguments.pop("openapi", {}) for method, _, arguments in copied.definitions
    }
    copied.arguments = {key: value for key, value in service.arguments.items() if key != "openapi"}
    return copied


def _depends_on_request(schema: SchemaNode) -> bool:
    """Return whether a schema has deferred values, computed when it is bound."""
    return (
        getattr(schema, "after_bind", None) is not None
        or any(isinstance(getattr(schema, name), colander.deferred) for name in dir(schema))
        or any(map(_depends_on_request, schema.children))
    )


def _guard_writes(service: Any) -> None:
    """Make the write endpoints of a resource refuse requests in read-only mode.

    The setting can be switched at run time; if it is on at start-up, they don't exist.
    """
    viewset = getattr(service, "viewset", None)
    if viewset is None:
        return
    for method, _, arguments in service.definitions:
        if method not in viewset.readonly_methods:
            arguments["validators"].insert(0, functools.partial(_refuse_to_write, service))


def _refuse_to_write(service: Any, request: Request, **kwargs: Any) -> None:
    if BOOLEAN.get(request.registry.settings, "readonly"):
        reading = service.viewset.readonly_methods
        response = HTTPMethodNotAllowed()
        response.allow = [method for method in service.defined_methods if method in reading]
        raise response


def body_validator(request: Request, schema: SchemaNode = None, **kwargs: Any) -> None:
    """Validate the JSON body with a Colander schema; fill ``request.validated``.

    A node of the schema can have another ``location``: ``querystring``,
    ``header`` or ``path``.

    :param schema: an instance.
    """
    if is_type_refused(request):
        return
    partial_types = getattr(schema, "partial_types", ())
    if media_type(request) in partial_types:  # the view validates the result
        json_body(request, partial_types, (dict, list))
        return
    body = json_object(request)
    if not is_type_refused(request):
        validate(request, schema, body)


def is_type_refused(request: Request) -> bool:
    """Return True if the media type is refused; validation is pointless then."""
    return has_errors(request) and request.errors.status != 400


def binding_body_validator(request: Request, schema: SchemaNode = None, **kwargs: Any) -> None:
    """Validate like :func:`body_validator`, with the schema bound to the request."""
    body_validator(request, schema.bind(request=request))


def validate(request: Request, schema: SchemaNode, body: dict[str, Any]) -> None:
    """Validate a body, and nodes in other locations; add errors to the request."""
    values = {**body, **_located(request, schema)}
    try:
        request.validated.update(deserialize(schema, values))
    except colander.Invalid as invalid:
        locations = {node.name: getattr(node, "location", "body") for node in schema.children}
        for name, description in _invalid_fields(schema, values, invalid):
            add_error(request, locations.get(name, "body"), name, description)


def json_object(request: Request) -> dict[str, Any]:
    """Return the body of a request, a JSON object; add an error if it isn't one.

    Without a body or its type, it is empty. Values that can't be stored exactly
    are refused (protocol, "Limits").

    :raises pyramid.httpexceptions.HTTPRequestEntityTooLarge: if it is too large.
    """
    body: dict[str, Any] = json_body(request, (JSON,), (dict,))
    return body


def json_body(request: Request, media_types: Sequence[str], types: tuple[type, ...]) -> Any:
    """Return the body like :func:`json_object`, if it has one of these media types and types."""
    raw = read_body(request)
    if not (raw and request.environ.get("CONTENT_TYPE")):
        return {}
    if media_type(request) not in media_types:
        refuse_type(request, "Content-Type", media_types, 415)
        return {}
    limits = limits_of(request.registry)
    try:
        body = json.loads(raw.removeprefix(BOM_UTF8), limits.max_digits)
    except ValueError as error:
        text = json.syntax_error(raw) if len(raw) <= _LONGEST_DIAGNOSED else None
        add_error(request, "body", None, f"Invalid JSON request body: {text or error}")
        return {}
    reason = refusal(body, raw, limits, outer=1)  # the object around the data
    if reason is None and not isinstance(body, types):
        reason = f"Should be a JSON object, got {str(body)[:100]}"
    if reason is not None:
        add_error(request, "body", None, f"Invalid JSON: {reason}")
        return {}
    remember_json(request, body)
    return body


def _located(request: Request, schema: SchemaNode) -> dict[str, Any]:
    """Return the values of the nodes in other locations than the body."""
    sources = {"querystring": "GET", "header": "headers", "path": "matchdict"}
    values: dict[str, Any] = {}
    for node in schema.children:
        location = getattr(node, "location", "body")
        if location in sources and node.name in (source := getattr(request, sources[location])):
            values[node.name] = source[node.name]
    return values


def _invalid_fields(
    schema: SchemaNode, values: dict[str, Any], invalid: colander.Invalid
) -> Iterator[tuple[str, str]]:
    """Yield the dotted name of each invalid field, and the description of the error.

    Descriptions of missing and unknown fields of the body are the same as in Cornice 1.
    """
    unknown = sorted(invalid.fields) if isinstance(invalid, colander.UnsupportedFields) else []
    if unknown:  # Colander then omits the errors of the known fields.
        defined = {name: value for name, value in values.items() if name not in unknown}
        try:
            deserialize(schema, defined)
        except colander.Invalid as other:
            invalid = other
    if not isinstance(invalid, colander.UnsupportedFields):
        for name, description in describe_invalid(invalid):
            is_missing = description == "Required" and name in schema and name not in values
            yield name, f"{name} is missing" if is_missing else description
    for name in unknown:
        yield name, f"{name} is not allowed"
