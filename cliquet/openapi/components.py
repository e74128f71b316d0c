"""What operations have in common: headers, errors, and their schemas."""

from __future__ import annotations

import re
from typing import Any

from cliquet.errors import ERRORS
from cliquet.openapi.schemas import Schema
from cliquet.resource.preconditions import MAX_TIMESTAMP

JSON = "application/json"

TIMESTAMP: Schema = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_TIMESTAMP,
    "description": "Milliseconds since the epoch.",
    "examples": [1430222877724],
}

_PROBLEM: Schema = {
    "type": "object",
    "properties": {
        "location": {"type": "string", "description": "body, querystring, path, header…"},
        "name": {"type": ["string", "null"], "description": "The field or parameter."},
        "description": {"type": "string"},
    },
    "required": ["location", "name", "description"],
}

ERROR: Schema = {
    "type": "object",
    "description": "An error, whatever its cause.",
    "properties": {
        "code": {"type": "integer", "description": "The HTTP status."},
        "errno": {
            "type": "integer",
            "description": "The stable number of the error: "
            + ", ".join(f"{error.value} {error.name}" for error in ERRORS)
            + ", or one of the application's.",
        },
        "error": {"type": "string", "description": "The title of the error."},
        "message": {"type": "string"},
        "info": {"type": "string", "description": "A URL."},
        "details": {"description": "What is wrong: any value, which depends on the error."},
    },
    "required": ["code", "errno", "error"],
    "if": {"properties": {"errno": {"const": ERRORS.INVALID_PARAMETERS.value}}},
    "then": {"properties": {"details": {"type": "array", "items": _PROBLEM}}},
}

#: What errors mean, by status.
_ERRORS = {
    "400": "Something in the request is invalid: `details` lists what.",
    "401": "No usable credentials.",
    "403": "The user may not do this.",
    "404": "There is no such record, or no such URL.",
    "406": "The client accepts no JSON.",
    "409": "Another record has the value of a unique field: `details` tells which one.",
    "410": "The service has ended.",
    "412": "It was changed meanwhile, or exists already: `details` may show what there is.",
    "415": "The body is of another type than JSON.",
    "500": "A bug, which was logged.",
    "503": "A backend failed or is overloaded.",
}

#: The headers that some errors have always.
_HEADERS_OF_ERRORS = {
    "401": ("WWW-Authenticate",),
    "412": ("ETag", "Last-Modified"),
    "503": ("Retry-After",),
}

_TEXT: Schema = {"type": "string"}
_NATURAL: Schema = {"type": "integer", "minimum": 0}

_HEADERS: dict[str, tuple[str, Schema]] = {
    "Access-Control-Expose-Headers": ("The headers that pages of other origins may read.", _TEXT),
    "Alert": ("A JSON object that tells the end of the service, or a deprecation.", _TEXT),
    "Backoff": ("How many seconds the client should wait before it comes back.", _NATURAL),
    "Cache-Control": ("How long the answer may be kept.", _TEXT),
    "ETag": (
        "The timestamp, between double quotes.",
        {"type": "string", "pattern": '^"[0-9]+"$'},
    ),
    "Expires": ("Until when the answer may be kept.", _TEXT),
    "Last-Modified": ("The timestamp, in seconds, as a date of HTTP.", _TEXT),
    "Next-Page": ("The URL of the next page, if there is one.", _TEXT),
    "Retry-After": ("How many seconds to wait before the next try.", _NATURAL),
    "Total-Records": (
        "How many records match, whatever the page; tombstones don't count.",
        _NATURAL,
    ),
    "Vary": ("The headers of requests that the answer depends on.", _TEXT),
    "WWW-Authenticate": ("How to authenticate.", _TEXT),
    "X-Request-Id": ("The id of the request, which the logs of the service have too.", _TEXT),
}

#: Those that may be absent where they are told.
_OPTIONAL = ("Access-Control-Expose-Headers", "Alert", "Expires", "Next-Page", "X-Request-Id")


class Components:
    """The components of a document, added when they are first referred to.

    :param settings: of the application.
    """

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.found: dict[str, dict[str, Any]] = {}

    def add(self, kind: str, name: str, value: Any) -> dict[str, str]:
        """Return a reference to a component, whose name may become another, to be unique."""
        name = base = re.sub(r"[^a-zA-Z0-9._-]", "-", name)
        known = self.found.setdefault(kind, {})
        number = 1
        while known.setdefault(name, value) != value:
            number += 1
            name = f"{base}-{number}"
        return {"$ref": f"#/components/{kind}/{name}"}

    def headers(self, *names: str) -> dict[str, Any]:
        """Return the headers of an answer: these, and those of all answers."""
        everywhere = ["Access-Control-Expose-Headers", "X-Request-Id"]
        for name, setting in (("Vary", "vary"), ("Backoff", "backoff"), ("Alert", "eos")):
            if self.settings[setting] not in (None, ""):
                everywhere.append(name)
        return {name: self._header(name) for name in (*names, *everywhere)}

    def _header(self, name: str) -> dict[str, str]:
        description, schema = _HEADERS[name]
        header = {"description": description, "required": name not in _OPTIONAL, "schema": schema}
        return self.add("headers", name, header)

    def error(self, status: str) -> dict[str, str]:
        """Return the answer that an error is."""
        response = {
            "description": _ERRORS[status],
            "headers": self.headers(*_HEADERS_OF_ERRORS.get(status, ())),
            "content": {JSON: {"schema": self.add("schemas", "error", ERROR)}},
        }
        return self.add("responses", f"error-{status}", response)

    def errors(self, *statuses: str) -> dict[str, Any]:
        """Return the answers of errors, and of those that happen anywhere."""
        ended = ("410",) if self.settings["eos"] else ()
        return {status: self.error(status) for status in (*statuses, *ended, "500", "503")}
