"""OpenAPI operations, from Cornice service definitions."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import colander
from cornice import validators as cornice_validators

from cliquet.openapi.components import Components
from cliquet.openapi.schemas import Schema, is_required, request_schema, response_schema
from cliquet.openapi.security import Security, refusals
from cliquet.utils.http import JSON

Operation = dict[str, Any]

#: Locations of parameters, by their names in Cornice.
_PLACES = {"querystring": "query", "header": "header", "headers": "header", "path": "path"}

#: Locations of the nodes of a schema, by validator of Cornice; None: each node has its own.
_VALIDATORS = (
    (cornice_validators.colander_body_validator, "body"),
    (cornice_validators.colander_headers_validator, "headers"),
    (cornice_validators.colander_path_validator, "path"),
    (cornice_validators.colander_querystring_validator, "querystring"),
    (cornice_validators.colander_validator, None),
)


class Endpoint(NamedTuple):
    """A definition of a service."""

    service: Any
    method: str
    view: Any
    arguments: dict[str, Any]

    @property
    def is_preflight(self) -> bool:
        """Whether this is Cornice's view for CORS preflight requests."""
        return getattr(self.view, "__module__", None) == "cornice.cors"

    @property
    def docstring(self) -> str:
        """The docstring of the view, or of the method that it overrides."""
        # Cornice binds the names of methods to their class.
        name = getattr(getattr(self.view, "unbound_view", None), "__name__", "")
        classes = self.arguments["klass"].__mro__ if name else ()
        views = [vars(class_).get(name) for class_ in classes] or [self.view]
        docstrings = (getattr(view, "__doc__", None) for view in views)
        return inspect.cleandoc(next(filter(None, docstrings), ""))


def operation(endpoint: Endpoint, components: Components, security: Security) -> Operation:
    """Return the operation of a method, from its definition."""
    permission = security.permission(endpoint.arguments)
    requirements = security.requirements(permission)
    parameters = list(_parameters(endpoint))
    body = _body(endpoint)
    statuses = [*_refusals(endpoint, bool(parameters or body)), *refusals(permission)]
    service = endpoint.service
    summary, _, description = endpoint.docstring.partition("\n\n")
    summary = " ".join(summary.split()).removesuffix(".")
    result: Operation = {
        "operationId": f"{service.name}-{endpoint.method.lower()}",
        "summary": summary or service.description or service.name,
        "description": description.strip(),
        "parameters": parameters,
        "requestBody": body,
        "responses": {
            "200": json_response(components, "Done."),
            **components.errors(*sorted(statuses)),
        },
        "security": requirements,
    }
    return {key: value for key, value in result.items() if value}


def _refusals(endpoint: Endpoint, has_input: bool) -> Iterator[str]:
    """Return the statuses of the responses to invalid requests."""
    accept, content_type, validators = map(
        endpoint.arguments.get, ("accept", "content_type", "validators")
    )
    is_open = getattr(endpoint.service, "cors_origins", None) == ["*"]
    # The views of resources read the query string and headers themselves.
    if has_input or accept or content_type or validators or not is_open:
        yield "400"
    if "{" in (endpoint.service.path or "{"):
        yield "404"
    if accept:
        yield "406"
    if has_body(endpoint) or content_type:
        yield "415"


def json_response(
    components: Components, description: str, schema: Schema | None = None, *headers: str
) -> dict[str, Any]:
    """Return a response with a JSON body.

    :param schema: the schema of the body; None: any value.
    :param headers: the names of its headers, in addition to those of all responses.
    """
    return {
        "description": description,
        "headers": components.headers(*headers),
        "content": {JSON: {"schema": schema or {}}},
    }


# Schemas.


def has_body(endpoint: Endpoint) -> bool:
    """Return whether the view reads a body."""
    return _body(endpoint) is not None


def _schema(endpoint: Endpoint) -> Any:
    schema = endpoint.arguments.get("schema")
    return _node(schema) if _is_colander(schema) else None


def _nodes(endpoint: Endpoint) -> Iterator[tuple[str, Any]]:
    """Return the location of each node of a method's schema, and the node."""
    schema = _schema(endpoint)
    if schema is None:
        return
    for validator, location in _VALIDATORS:
        if validator in endpoint.arguments["validators"]:
            parts = [(location, schema)] if location else [(part.name, part) for part in schema]
            yield from ((name, node) for name, part in parts for node in part.children)
            return
    yield from ((getattr(node, "location", "body"), node) for node in schema.children)


def _parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for location, node in _nodes(endpoint):
        if location in _PLACES:
            place = _PLACES[location]
            schema = request_schema(node)
            yield {
                "name": node.name,
                "in": place,
                "required": place == "path" or is_required(node),
                **({"description": node.description} if node.description else {}),
                "schema": schema,
            }


def _body(endpoint: Endpoint) -> dict[str, Any] | None:
    schema = _schema(endpoint)
    names = [node.name for location, node in _nodes(endpoint) if location == "body"]
    if not names:
        return None
    if cornice_validators.colander_validator in endpoint.arguments["validators"]:
        schema = schema["body"]
    payload = _only(request_schema(schema), names)
    return {"required": "required" in payload, "content": {JSON: {"schema": payload}}}


def _only(schema: Schema, names: list[str]) -> Schema:
    """Return the schema of an object, reduced to some of its properties."""
    required = [name for name in schema.pop("required", []) if name in names]
    properties = {name: schema["properties"][name] for name in names}
    return {**schema, "properties": properties, **({"required": required} if required else {})}


# Descriptions in services.


def declared(endpoint: Endpoint, components: Components) -> Operation:
    """Return the description of a method in its service (``openapi=``), as plain OpenAPI.

    Colander schemas are converted to JSON Schema, or to a response with that body. Responses get
    the headers that all responses have.
    """
    fragment: Any = endpoint.service.openapi.get(endpoint.method) or {}
    if callable(fragment):  # a function of the settings
        fragment = fragment(components.settings)
    result = {
        key: _convert_schemas(value, request_schema)
        for key, value in fragment.items()
        if key != "responses"
    }
    responses = {
        str(status): _response(response, components)
        for status, response in (fragment.get("responses") or {}).items()
    }
    return {**result, "responses": responses} if responses else result


def _response(value: object, components: Components) -> Any:
    if _is_colander(value):
        schema = response_schema(_node(value))
        return json_response(components, schema.get("description", "Done."), schema)
    response = _convert_schemas(value, response_schema)
    if isinstance(response, dict) and "$ref" not in response:
        response["headers"] = {**components.headers(), **(response.get("headers") or {})}
    return response


def _convert_schemas(value: Any, side: Any) -> Any:
    if _is_colander(value):
        return side(_node(value))
    if isinstance(value, Mapping):
        return {key: _convert_schemas(item, side) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_convert_schemas(item, side) for item in value]
    return value


def _is_colander(value: object) -> bool:
    return isinstance(value, colander.SchemaNode) or (
        inspect.isclass(value) and issubclass(value, colander.SchemaNode)
    )


def _node(value: object) -> Any:
    return value() if inspect.isclass(value) else value


def without_body(get: Operation) -> Operation:
    """Return the operation of HEAD for that of GET: the same headers without a body."""
    responses = {
        status: {key: value for key, value in response.items() if key != "content"}
        for status, response in get["responses"].items()
    }
    summary = f"{get['summary']} (headers only)"
    return {**get, "summary": summary, "responses": responses}


def preflight(endpoint: Endpoint, components: Components) -> Operation:
    """Return the operation of OPTIONS, which browsers send."""
    methods = sorted(endpoint.service.cors_supported_methods)
    headers = {
        "Origin": ("Origin of the page.", True, {"type": "string", "minLength": 1}),
        "Access-Control-Request-Method": ("Method of the request.", True, {"enum": methods}),
        "Access-Control-Request-Headers": ("Headers of the request.", False, {"type": "string"}),
    }
    return {
        "operationId": f"{endpoint.service.name}-options",
        "summary": "CORS preflight",
        "parameters": [
            {
                "name": name,
                "in": "header",
                "description": description,
                "required": required,
                "schema": schema,
            }
            for name, (description, required, schema) in headers.items()
        ],
        "responses": {
            "200": {
                "description": "The permissions are in the headers `Access-Control-Allow-…`.",
                "content": {JSON: {"schema": {"type": "null"}}},
            },
            **components.errors("400"),
        },
    }
