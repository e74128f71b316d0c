"""Operations of Cliquet's own services (protocol, "Utility endpoints" and "Batch")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cliquet.openapi.components import JSON, Components
from cliquet.openapi.operations import Operation, answer
from cliquet.openapi.schemas import Schema
from cliquet.settings.types import LIMIT
from cliquet.views.batch import METHODS

TAG = "utility"

_TEXT: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}

_HELLO: Schema = {
    "type": "object",
    "properties": {
        "project_name": _TEXT,
        "project_version": _TEXT,
        "http_api_version": {**_TEXT, "description": "`MAJOR.MINOR`."},
        "project_docs": _TEXT,
        "cliquet_protocol_version": _TEXT,
        "url": {**_TEXT, "description": "Root URL of the API."},
        "settings": {**_OBJECT, "description": "Settings that clients need."},
        "capabilities": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"description": _TEXT, "url": _TEXT},
            },
        },
        "eos": {**_TEXT, "description": "Date of the end of the service, if any."},
        "user": {
            "type": "object",
            "description": "The user, if the request is authenticated.",
            "properties": {"id": _TEXT},
        },
    },
    "required": [
        *("project_name", "project_version", "http_api_version", "project_docs"),
        *("cliquet_protocol_version", "url", "settings", "capabilities"),
    ],
}

_HEARTBEAT: Schema = {
    "type": "object",
    "description": "Whether each check succeeded; null if it doesn't apply.",
    "additionalProperties": {"type": ["boolean", "null"]},
}

_SUB_REQUEST: Schema = {
    "type": "object",
    "description": "A request of the batch, completed by `defaults`.",
    "properties": {
        "method": {"enum": list(METHODS), "default": "GET"},
        "path": {
            "type": "string",
            "pattern": "^/",
            "description": "Path, with or without the version prefix.",
        },
        "headers": {
            "type": "object",
            "additionalProperties": _TEXT,
            "description": "Headers, in addition to those of the batch.",
        },
        "body": _OBJECT,
    },
}

_SUB_RESPONSE: Schema = {
    "type": "object",
    "properties": {
        "status": {"type": "integer"},
        "path": _TEXT,
        "headers": {"type": "object", "additionalProperties": _TEXT},
        "body": {"description": "A JSON value."},
    },
    "required": ["status", "path", "headers", "body"],
}


def _hello(components: Components) -> Operation:
    return {"responses": {"200": answer(components, "The description of the service.", _HELLO)}}


def _heartbeat(components: Components) -> Operation:
    return {
        "responses": {
            "200": answer(components, "All checks succeeded.", _HEARTBEAT),
            "503": answer(components, "At least one check failed.", _HEARTBEAT, "Retry-After"),
        }
    }


def _lbheartbeat(components: Components) -> Operation:
    return {"responses": {"200": answer(components, "The process is running.", _OBJECT)}}


def _version(components: Components) -> Operation:
    return {
        "summary": "Get the deployed version",
        "responses": {"200": answer(components, "The deployed version.", _OBJECT)},
    }


def _document(components: Components) -> Operation:
    found = answer(components, "This document.", _OBJECT)
    return {"responses": {"200": found, "304": {"description": "Not modified."}}}


def _batch(components: Components) -> Operation:
    limit = LIMIT.get(components.settings, "batch_max_requests")
    requests = {"type": "array", "items": _SUB_REQUEST}
    payload = {
        "type": "object",
        "properties": {
            "defaults": {
                **_SUB_REQUEST,
                "description": "Default values, merged into each request.",
            },
            "requests": {**requests, **({"maxItems": limit} if limit else {})},
            "atomic": {
                "type": "boolean",
                "default": False,
                "description": "Whether a request that fails undoes the whole batch.",
            },
        },
        "required": ["requests"],
    }
    responses = {
        "type": "object",
        "properties": {"responses": {"type": "array", "items": _SUB_RESPONSE}},
        "required": ["responses"],
    }
    what = "The responses, in the order of the requests."
    return {
        "requestBody": {"content": {JSON: {"schema": payload}}},
        "responses": {"200": answer(components, what, responses)},
    }


_SERVICES: dict[str, Callable[[Components], Operation]] = {
    "hello": _hello,
    "heartbeat": _heartbeat,
    "lbheartbeat": _lbheartbeat,
    "__version__": _version,
    "openapi": _document,
    "batch": _batch,
}


def operation(service: Any, components: Components) -> Operation:
    """Return what to add to the operation of a service, nothing if it isn't of the toolkit."""
    describe = _SERVICES.get(service.name)
    return {} if describe is None else {"tags": [TAG], **describe(components)}
