"""Components shared by operations: headers, errors and their schemas."""

from __future__ import annotations

import re
from typing import Any

from cliquet.errors import ERRORS
from cliquet.openapi.schemas import Schema
from cliquet.resource.preconditions import MAX_TIMESTAMP
from cliquet.types import Settings
from cliquet.utils.http import JSON

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
        "name": {"type": ["string", "null"], "description": "Name of the field or parameter."},
        "description": {"type": "string"},
    },
    "required": ["location", "name", "description"],
}

ERROR: Schema = {
    "type": "object",
    "description": "An error.",
    "properties": {
        "code": {"type": "integer", "description": "HTTP status."},
        "errno": {
            "type": "integer",
            "description": "Stable number of the error: "
            + ", ".join(f"{error.value} {error.name}" for error in ERRORS)
            + ", or one of the application's.",
        },
        "error": {"type": "string", "description": "Title of the error."},
        "message": {"type": "string"},
        "info": {"type": "string", "description": "URL of more information."},
        "details": {"description": "Error-specific data."},
    },
    "required": ["code", "errno", "error"],
    "if": {"properties": {"errno": {"const": ERRORS.INVALID_PARAMETERS.value}}},
    "then": {"properties": {"details": {"type": "array", "items": _PROBLEM}}},
}

#: Descriptions of errors, by status.
_ERRORS = {
    "400": "The request is invalid. `details` lists the errors.",
    "401": "The request has no usable credentials.",
    "403": "The user does not have the permission.",
    "404": "The record or the URL does not exist.",
    "406": "The client does not accept JSON.",
    "409": "Another record has the same value of a unique field. `details` contains it.",
    "410": "The service has ended.",
    "412": "A precondition failed. `details` can contain the current record.",
    "415": "The content type of the body is not JSON.",
    "500": "An unexpected error, which was logged.",
    "503": "A backend failed or is overloaded.",
}

#: Headers that errors always include, by status.
_HEADERS_OF_ERRORS = {
    "401": ("WWW-Authenticate",),
    "412": ("ETag", "Last-Modified"),
    "503": ("Retry-After",),
}

_TEXT: Schema = {"type": "string"}
_NATURAL: Schema = {"type": "integer", "minimum": 0}

_HEADERS: dict[str, tuple[str, Schema]] = {
    "Access-Control-Expose-Headers": ("Headers that pages of other origins can read.", _TEXT),
    "Alert": ("JSON object that announces the end of the service or a deprecation.", _TEXT),
    "Backoff": ("Seconds to wait before the next request.", _NATURAL),
    "Cache-Control": ("Caching directives.", _TEXT),
    "Checksum": (
        "Checksum of all records that the user can read, if `_checksum` requests it.",
        {"type": "string", "pattern": "^[0-9]+-[0-9]+-[0-9]+$"},
    ),
    "ETag": (
        "Timestamp in double quotes.",
        {"type": "string", "pattern": '^"[0-9]+"$'},
    ),
    "Expires": ("Expiry date of the response.", _TEXT),
    "Last-Modified": ("Timestamp as an HTTP date, in seconds.", _TEXT),
    "Next-Page": ("URL of the next page, absent from the last page.", _TEXT),
    "Retry-After": ("Seconds to wait before a retry.", _NATURAL),
    "Total-Records": ("Number of matching records on all pages, without tombstones.", _NATURAL),
    "Vary": ("Request headers that the response depends on.", _TEXT),
    "WWW-Authenticate": ("Authentication challenge.", _TEXT),
    "X-Request-Id": ("Id of the request, which the service also logs.", _TEXT),
}

#: Headers that are not in every response for which they are documented.
_OPTIONAL = (
    "Access-Control-Expose-Headers",
    "Alert",
    "Checksum",
    "Expires",
    "Next-Page",
    "Total-Records",
    "X-Request-Id",
)


class Components:
    """The components of a document, added at their first reference.

    :param settings: the settings of the application.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.by_kind: dict[str, dict[str, Any]] = {}

    def add(self, kind: str, name: str, value: Any) -> dict[str, str]:
        """Return a reference to a component; the name gets a suffix if it isn't unique."""
        name = base = re.sub(r"[^a-zA-Z0-9._-]", "-", name)
        components = self.by_kind.setdefault(kind, {})
        number = 1
        while components.setdefault(name, value) != value:
            number += 1
            name = f"{base}-{number}"
        return {"$ref": f"#/components/{kind}/{name}"}

    def headers(self, *names: str) -> dict[str, Any]:
        """Return the given headers of a response and those of all responses."""
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
        """Return a reference to the error response with a status."""
        response = {
            "description": _ERRORS[status],
            "headers": self.headers(*_HEADERS_OF_ERRORS.get(status, ())),
            "content": {JSON: {"schema": self.add("schemas", "error", ERROR)}},
        }
        return self.add("responses", f"error-{status}", response)

    def errors(self, *statuses: str) -> dict[str, Any]:
        """Return these error responses and those of all operations."""
        ended = ("410",) if self.settings["eos"] else ()
        return {status: self.error(status) for status in (*statuses, *ended, "500", "503")}
