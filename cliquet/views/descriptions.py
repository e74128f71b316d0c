"""OpenAPI descriptions of the built-in services (protocol, "Utility endpoints" and "Batch")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cliquet.settings.types import LIMIT
from cliquet.utils.http import JSON

#: The tag of the built-in services.
TAG = "utility"

_STRING = {"type": "string"}
_OBJECT = {"type": "object"}


def _json(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response with a JSON body."""
    content = {JSON: {"schema": schema}}
    return {"description": description, "content": content}


def _anonymous(responses: dict[str, Any]) -> dict[str, Any]:
    """Return an operation that ignores the user."""
    return {"tags": [TAG], "security": [], "responses": responses}


_HELLO = {
    "type": "object",
    "properties": {
        "project_name": _STRING,
        "project_version": _STRING,
        "http_api_version": {**_STRING, "description": "`MAJOR.MINOR`."},
        "project_docs": _STRING,
        "cliquet_protocol_version": _STRING,
        "url": {**_STRING, "description": "Root URL of the API."},
        "settings": {**_OBJECT, "description": "Settings that clients need."},
        "capabilities": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"description": _STRING, "url": _STRING},
            },
        },
        "eos": {**_STRING, "description": "Date of the end of the service, if any."},
        "user": {
            "type": "object",
            "description": "The user, if the request is authenticated.",
            "properties": {"id": _STRING},
        },
    },
    "required": [
        *("project_name", "project_version", "http_api_version", "project_docs"),
        *("cliquet_protocol_version", "url", "settings", "capabilities"),
    ],
}

_HEALTH = {
    "type": "object",
    "description": "Whether each check succeeded; null if it doesn't apply.",
    "additionalProperties": {"type": ["boolean", "null"]},
}

_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before a retry.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }
}

HELLO = {"tags": [TAG], "responses": {"200": _json("The description of the service.", _HELLO)}}
HEARTBEAT = _anonymous(
    {
        "200": _json("All checks succeeded.", _HEALTH),
        "503": {**_json("At least one check failed.", _HEALTH), "headers": _RETRY_AFTER},
    }
)
LBHEARTBEAT = _anonymous({"200": _json("The process is running.", _OBJECT)})
VERSION = {
    "summary": "Get the deployed version",
    **_anonymous({"200": _json("The deployed version.", _OBJECT)}),
}
DOCUMENT = _anonymous(
    {"200": _json("This document.", _OBJECT), "304": {"description": "Not modified."}}
)


_RESPONSES = {
    "type": "object",
    "properties": {
        "responses": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "status": {"type": "integer"},
                    "path": _STRING,
                    "headers": {"type": "object", "additionalProperties": _STRING},
                    "body": {"description": "A JSON value."},
                },
                "required": ["status", "path", "headers", "body"],
            },
        },
        "atomic": {"const": True, "description": "Present if the batch was atomic."},
    },
    "required": ["responses"],
}

_REQUEST: dict[str, Any] = {
    "type": "object",
    "description": "A request of the batch, completed by `defaults`.",
    "properties": {
        "path": {
            "type": "string",
            "pattern": "^/",
            "description": "Path, with or without the version prefix.",
        },
        "headers": {
            "type": "object",
            "additionalProperties": _STRING,
            "description": "Headers, in addition to those of the batch.",
        },
        "body": {
            "description": "An object; operations if the `Content-Type` is that of JSON Patch.",
            "anyOf": [_OBJECT, {"type": "array", "items": _OBJECT}],
        },
    },
}

_ATOMIC = {
    "type": "boolean",
    "default": False,
    "description": "Whether a request that fails undoes the whole batch.",
}


def batch(methods: Iterable[str]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return a function of the settings that describes the batch endpoint.

    :param methods: the HTTP methods of its requests.
    """
    method = {"enum": list(methods), "default": "GET"}
    request = {**_REQUEST, "properties": {"method": method, **_REQUEST["properties"]}}
    defaults = {**request, "description": "Default values, merged into each request."}

    def describe(settings: Mapping[str, Any]) -> dict[str, Any]:
        limit = LIMIT.get(settings, "batch_max_requests")
        maximum = {"maxItems": limit} if limit else {}
        requests = {"type": "array", "items": request, **maximum}
        payload = {
            "type": "object",
            "properties": {"defaults": defaults, "requests": requests, "atomic": _ATOMIC},
            "required": ["requests"],
        }
        example = {"requests": [{"method": "GET", "path": "/"}]}
        body = {"content": {JSON: {"schema": payload, "example": example}}}
        responses = {"200": _json("The responses, in the order of the requests.", _RESPONSES)}
        return {"tags": [TAG], "requestBody": body, "responses": responses}

    return describe
