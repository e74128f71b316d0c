"""OpenAPI operations of resources."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import colander
from cornice import Service

from cliquet.authorization import DYNAMIC, PRIVATE
from cliquet.openapi import querystring
from cliquet.openapi.components import TIMESTAMP, Components
from cliquet.openapi.examples import NoExample, example
from cliquet.openapi.operations import Endpoint, Operation, json_response
from cliquet.openapi.schemas import Schema, is_required, pattern_of, request_schema, response_schema
from cliquet.resource.custom_operators import operators_of
from cliquet.resource.schema import PermissionsSchema
from cliquet.settings.types import NATURAL
from cliquet.types import Registry
from cliquet.utils.http import JSON, JSON_PATCH, MERGE_PATCH

_ETAG = ("ETag", "Last-Modified")

_JSON_PATCH: Schema = {
    "type": "array",
    "description": "JSON Patch (RFC 6902) of paths below `/data/`, and of "
    "`/permissions/{name}/{principal}` if records have permissions.",
    "minItems": 1,
    "maxItems": 100,
    "items": {
        "type": "object",
        "properties": {
            "op": {"enum": ["add", "copy", "move", "remove", "replace", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
        "required": ["op", "path"],
    },
}


class Resource:
    """One of the services of a resource.

    :param registry: the registry of the application.
    """

    def __init__(self, service: Service, components: Components, registry: Registry) -> None:
        self._service = service
        self._components = components
        self._settings = registry.settings
        self._operators = operators_of(registry)
        self._class = service.resource
        self._id = {"type": "string", **_id_limit(self._class, registry.id_generator)}
        self._mapping = self._class.mapping
        self._model = self._class.default_model
        self.name: str = service.viewset.get_name(self._class)
        self.record_path: str = service.record_path

    @property
    def description(self) -> str:
        """The docstring of the class of the resource."""
        # register_resource wraps classes that accept no context in a subclass.
        classes = [class_ for class_ in self._class.__mro__[:2] if not _is_ours(class_)]
        return inspect.cleandoc(next((vars(each)["__doc__"] or "" for each in classes), ""))

    def path_parameter(self, parameter: dict[str, Any]) -> dict[str, Any]:
        """Return a parameter of the path; the id of records gets its pattern."""
        if parameter["name"] != "id":
            return parameter
        return {**parameter, "schema": self._id}

    def operation(self, endpoint: Endpoint, operation: Operation) -> Operation:
        """Return the part of an operation that is specific to resources, to be merged."""
        method = "get" if endpoint.method == "HEAD" else endpoint.method.lower()
        describe = getattr(self, f"_{self._service.type}_{method}", None)
        result: Operation = {} if describe is None else describe()
        body = operation.get("requestBody")
        if body:
            result["requestBody"] = self._body(endpoint.method, body)
        description = operation.get("description", "")
        permission = self._permission(endpoint)
        result["description"] = "\n\n".join(filter(None, (description, permission)))
        result["tags"] = [self.name]
        return result

    def links(self, operations: dict[str, Any]) -> dict[str, Any]:
        """Return the links from the response with a record to the operations on the record.

        :param operations: the path item of records: operations by method, and parameters.
        """
        names = [parameter["name"] for parameter in operations.get("parameters", ())]
        parameters = {name: f"$request.path.{name}" for name in names}
        parameters["id"] = f"$response.body#/data/{self._model.id_field}"
        return {
            method: {"operationId": operation["operationId"], "parameters": parameters}
            for method, operation in operations.items()
            if method in ("get", "put", "patch", "delete")
        }

    # Endpoints: _{type of the service}_{method}.

    def _collection_get(self) -> Operation:
        records = {"type": "array", "items": {"anyOf": [self._record(), self._tombstone()]}}
        headers = (*_ETAG, "Checksum", "Total-Records", "Next-Page", *self._cache_headers())
        return self._conditional(
            {
                "200": self._response("The records.", records, headers),
                "304": self._not_modified("list-not-modified", "Checksum"),
            },
            self._parameter(querystring.IF_CHANGED, "if-changed"),
            *self._selection(querystring.FIELDS, querystring.CHECKSUM),
        )

    def _collection_post(self) -> Operation:
        existing = "The existing record with the same id or unique value, unchanged."
        return self._conditional(
            {
                "200": self._response(existing, self._record()),
                "201": self._response("The created record.", self._record()),
            },
            self._parameter(querystring.IF_NEW, "if-new"),
        )

    def _collection_delete(self) -> Operation:
        tombstones = {"type": "array", "items": self._tombstone()}
        deleted = "The tombstones of the deleted records."
        responses = {"200": self._response(deleted, tombstones, ("Next-Page",))}
        return self._conditional(responses, *self._selection())

    def _record_get(self) -> Operation:
        headers = (*_ETAG, *self._cache_headers())
        return self._conditional(
            {
                "200": self._response("The record.", self._record(), headers),
                "304": self._not_modified(),
            },
            self._parameter(querystring.IF_CHANGED, "if-changed"),
            self._parameter(querystring.FIELDS),
        )

    def _record_put(self) -> Operation:
        has_unique = bool(_option(self._mapping, "unique_fields"))
        return self._conditional(
            {
                "200": self._response("The replaced record.", self._record(), _ETAG),
                "201": self._response("The created record.", self._record(), _ETAG),
                **({"409": self._components.error("409")} if has_unique else {}),
            },
            self._parameter(querystring.IF_NEW, "if-new"),
        )

    def _record_patch(self) -> Operation:
        light = {"type": "object", "description": "Some fields, depending on `Response-Behavior`."}
        record = {"anyOf": [self._record(), light]}
        return self._conditional(
            {
                "200": self._response("The changed record.", record, _ETAG),
                "409": self._components.error("409"),
            },
            self._parameter(querystring.RESPONSE_BEHAVIOR),
        )

    def _record_delete(self) -> Operation:
        return self._conditional(
            {"200": self._response("The tombstone of the record.", self._tombstone())},
            self._parameter(querystring.DELETION_TIME),
        )

    # Parts of operations.

    def _conditional(self, responses: dict[str, Any], *parameters: dict[str, str]) -> Operation:
        """Return an operation with the precondition ``If-Match``, which all operations accept."""
        return {
            "parameters": [self._parameter(querystring.IF_MATCH), *parameters],
            "responses": {**responses, "412": self._components.error("412")},
        }

    def _parameter(self, parameter: dict[str, Any], name: str = "") -> dict[str, str]:
        return self._components.add("parameters", name or parameter["name"].lower(), parameter)

    def _selection(self, *others: dict[str, Any]) -> list[dict[str, str]]:
        """Return the parameters that sort and select records, and others."""
        modified, is_open = self._model.modified_field, self._is_open
        fields = list(querystring.described_fields(self._response_fields(), modified))
        parameters = [
            *querystring.paging(fields, is_open, self._settings),
            *others,
            *querystring.filters(fields, is_open, self._operators),
        ]
        return [self._parameter(each, self._name_of(each)) for each in parameters]

    def _name_of(self, parameter: dict[str, Any]) -> str:
        """Return the name of the component, which depends on the resource if the fields do."""
        name: str = parameter["name"]
        is_own = "x-filter" in parameter or name == "_sort"
        return f"{self.name}.{name}" if is_own else name

    @property
    def _is_open(self) -> bool:
        return getattr(self._mapping.typ, "unknown", "") == "preserve"

    def _cache_headers(self) -> tuple[str, ...]:
        seconds = NATURAL.get(self._settings, f"{self.name}_cache_expires_seconds")
        return ("Cache-Control", "Expires") if seconds else ("Cache-Control",)

    def _not_modified(self, name: str = "not-modified", *headers: str) -> dict[str, Any]:
        # Cache headers are only sent with responses to anonymous users.
        response = {
            "description": "Not modified.",
            "headers": self._components.headers(*_ETAG, *headers),
        }
        return self._components.add("responses", name, response)

    def _response(
        self, description: str, data: Schema, headers: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        properties = {"data": data}
        permissions = getattr(self._class, "permissions", None)
        if permissions and "$ref" in data:
            node = PermissionsSchema(permissions=permissions)
            properties["permissions"] = request_schema(node)
        schema = {"type": "object", "properties": properties, "required": ["data"]}
        return json_response(self._components, description, schema, *headers)

    # Records.

    def _identity(self) -> dict[str, Schema]:
        return {self._model.id_field: self._id, self._model.modified_field: TIMESTAMP}

    def _response_fields(self) -> dict[str, Schema]:
        fields: dict[str, Schema] = response_schema(self._mapping).get("properties", {})
        return {**self._identity(), **fields, self._model.deleted_field: {"type": "boolean"}}

    def _record(self) -> dict[str, str]:
        """Return the schema of a record, in which ``_fields`` can omit fields."""
        schema = response_schema(self._mapping)
        record = {
            **schema,
            "properties": {**self._identity(), **schema.get("properties", {})},
            "required": list(self._identity()),
        }
        return self._components.add("schemas", self.name, record)

    def _tombstone(self) -> dict[str, str]:
        deleted = {"const": True}
        tombstone = {
            "type": "object",
            "description": "The tombstone of a deleted record.",
            "properties": {**self._identity(), self._model.deleted_field: deleted},
            "required": [*self._identity(), self._model.deleted_field],
        }
        return self._components.add("schemas", "tombstone", tombstone)

    def _body(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body of a method, with the fields that resources add to their schema."""
        schema = body["content"][JSON]["schema"]
        payload = {**schema, "properties": {**schema["properties"]}}
        data = payload["properties"].get("data")
        if data is None:
            return body
        if method == "PATCH":
            data, name = self._changes(), f"{self.name}-changes"
        else:
            data, name = self._with_identity(data), f"{self.name}-new"
        payload["properties"]["data"] = self._components.add("schemas", name, data)
        if method != "PATCH" and not any(map(is_required, self._mapping.children)):
            payload.pop("required", None)
        content = {JSON: {"schema": payload, **self._example(method)}}
        if method == "PATCH":
            content.update(self._partial_bodies(list(payload["properties"])))
        return {"required": "required" in payload, "content": content}

    def _partial_bodies(self, fields: list[str]) -> dict[str, Any]:
        """Return the request bodies of partial updates by media type.

        :param fields: ``data``, and ``permissions`` if records have any.
        """
        merge = {
            "type": "object",
            "properties": dict.fromkeys(fields, {"type": "object"}),
            "additionalProperties": False,
            "minProperties": 1,
        }
        add = self._components.add
        schemas = {
            MERGE_PATCH: add("schemas", f"{self.name}-merge-patch", merge),
            JSON_PATCH: add("schemas", "json-patch", _JSON_PATCH),
        }
        arguments = self._service.viewset.record_arguments(self._class, "PATCH")
        types = arguments.get("content_type", ())
        return {type_: {"schema": schemas[type_]} for type_ in types if type_ in schemas}

    def _example(self, method: str) -> dict[str, Any]:
        """Return the keyword ``example`` of a body, nothing if no example is known.

        It contains neither the id nor the timestamp: a record with a time in the past would be
        missed by clients that poll for changes.
        """
        try:
            data = example(request_schema(self._mapping))
        except NoExample:
            return {}
        omitted = set(self._identity())
        if method == "PATCH":
            omitted.update(_option(self._mapping, "readonly_fields"))
        return {"example": {"data": {key: data[key] for key in data if key not in omitted}}}

    def _with_identity(self, data: Schema) -> Schema:
        notes = dict.fromkeys(_option(self._mapping, "unique_fields"), "Unique.")
        properties = {**self._identity(), **data.get("properties", {})}
        return {**data, "properties": _with_notes(properties, notes)}

    def _changes(self) -> Schema:
        data = self._with_identity(request_schema(self._mapping))
        data.pop("required", None)
        properties = {
            field: {key: value for key, value in schema.items() if key != "default"}
            for field, schema in data["properties"].items()
        }
        notes = dict.fromkeys(_option(self._mapping, "readonly_fields"), "Read-only.")
        return {**data, "properties": _with_notes(properties, notes)}

    # Permissions.

    def _permission(self, endpoint: Endpoint) -> str:
        permission = endpoint.arguments.get("permission")
        if permission == PRIVATE:
            return "Requires authentication. Each user has a private collection."
        if permission != DYNAMIC:
            return f"Requires the permission `{permission}`." if permission else ""
        if endpoint.method == "PUT":
            return (
                "Requires the permission `write` on the record, or `create` on the collection if "
                "the record doesn't exist."
            )
        permissions = getattr(self._service.viewset.factory, "method_permissions", {})
        permission = permissions.get(endpoint.method.lower())
        if permission is None:
            return "Requires a permission."
        needed = f"Requires the permission `{permission}`"
        if self._service.type == "record":
            return f"{needed} on the record."
        if endpoint.method == "POST":
            return f"{needed} on the collection."
        return f"{needed} on the collection; without it, applies to the records that grant it."


def _is_ours(class_: type) -> bool:
    return class_.__module__.startswith("cliquet.resource")


def _id_limit(class_: type, generator: object) -> Schema:
    """Return the pattern of ids, if it is known.

    Resources with their own ``__init__`` can set another generator there.
    """
    is_simple = all(_is_ours(each) or "__init__" not in vars(each) for each in class_.__mro__[:-1])
    regexp = getattr(generator, "regexp", None)
    return pattern_of(regexp) if is_simple and isinstance(regexp, str) else {}


def _option(mapping: colander.SchemaNode, name: str) -> Any:
    get_option: Callable[[str], Any] = getattr(mapping, "get_option", lambda name: ())
    return get_option(name)


def _with_notes(properties: dict[str, Schema], notes: dict[str, str]) -> dict[str, Schema]:
    """Return the schemas of fields with notes in their descriptions."""
    changed = {
        field: {
            **properties[field],
            "description": f"{properties[field].get('description', '')} {note}".strip(),
        }
        for field, note in notes.items()
        if field in properties
    }
    return {**properties, **changed}
