"""Error responses: JSON objects, whatever the cause (protocol, "Errors")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NoReturn

import colander
import structlog
from cornice.errors import Errors as CorniceErrors
from pyramid import httpexceptions
from pyramid.response import Response

from cliquet.types import Request
from cliquet.utils import encode_header as encode_header
from cliquet.utils import json
from cliquet.utils import reapply_cors as reapply_cors

logger = structlog.get_logger(__name__)

JSON_TYPE = "application/json; charset=UTF-8"


class ERRORS(Enum):
    """The stable error numbers."""

    MISSING_AUTH_TOKEN = 104
    INVALID_AUTH_TOKEN = 105
    BADJSON = 106
    INVALID_PARAMETERS = 107
    MISSING_PARAMETERS = 108
    INVALID_POSTED_DATA = 109
    INVALID_RESOURCE_ID = 110
    MISSING_RESOURCE = 111
    MISSING_CONTENT_LENGTH = 112
    REQUEST_TOO_LARGE = 113
    MODIFIED_MEANWHILE = 114
    METHOD_NOT_ALLOWED = 115
    VERSION_NOT_AVAILABLE = 116
    CLIENT_REACHED_CAPACITY = 117
    FORBIDDEN = 121
    CONSTRAINT_VIOLATED = 122
    FAILED_DEPENDENCY = 125
    UNDEFINED = 999
    BACKEND = 201
    SERVICE_DEPRECATED = 202


def http_error(
    httpexception: Any,
    errno: ERRORS | int | None = None,
    code: int | None = None,
    error: str | None = None,
    message: str | None = None,
    info: str | None = None,
    details: Any = None,
) -> Any:
    """Return ``httpexception``, a response, with an error body.

    :param errno: a member of :class:`ERRORS` or its number; UNDEFINED by default and for 0.
    :param code: the HTTP status in the body; by default, that of the exception.
    :param error: the title; by default, that of the exception.
    :param info: a URL.
    :param details: any JSON value.
    """
    number = errno or ERRORS.UNDEFINED
    body: dict[str, Any] = {
        "code": code or httpexception.code,
        "errno": number.value if isinstance(number, ERRORS) else number,
        "error": error or httpexception.title,
    }
    httpexception.errno = body["errno"]
    optional = {"message": message, "info": info, "details": details}
    body.update((key, value) for key, value in optional.items() if value is not None)
    return with_json(httpexception, body)


def with_json(response: Response, body: object) -> Any:
    """Return ``response`` with the JSON value ``body`` as its body."""
    response.headers["Content-Type"] = JSON_TYPE
    response.body = json.dumps_ascii(body).encode()
    return response


# Bound the size of a response to invalid requests.
_MOST_DETAILS = 100
_LONGEST_VALUE = 200
_LONGEST_DESCRIPTION = 300


def shortened(text: str, length: int = _LONGEST_VALUE) -> str:
    """Return a string of at most ``length`` characters and an ellipsis."""
    return text if len(text) <= length else f"{text[:length]}…"


def json_error_handler(errors: Any) -> Response:
    """Return the response that lists the errors of a request (``error_handler``).

    :param errors: a request, as in Cornice 6, or its ``errors``.
    """
    errors = getattr(errors, "errors", errors)
    first = min(errors, key=lambda error: str(error["name"]))
    response = http_error(
        httpexceptions.HTTPBadRequest(),
        errno=ERRORS.INVALID_PARAMETERS,
        code=errors.status,
        error="Invalid parameters",
        message=_message(first),
        details=[_detail(error) for error in errors[:_MOST_DETAILS]],
    )
    response.status_int = errors.status
    return response


def _message(error: Mapping[str, Any]) -> str:
    name, location = _name(error), error["location"]
    description = _text(error["description"])
    if not name:
        return f"{location}: {description}"
    if name in description:
        return description
    return f"{name} in {location}: {description}"


def _detail(error: Mapping[str, Any]) -> dict[str, Any]:
    description = error["description"]
    text = None if description is None else _text(description)
    return {**error, "name": _name(error), "description": text}


def _name(error: Mapping[str, Any]) -> str | None:
    return shortened(str(error["name"])) if error["name"] else None


def _text(description: object) -> str:
    text = description.decode("utf-8") if isinstance(description, bytes) else str(description)
    return shortened(text, _LONGEST_DESCRIPTION)


def describe_invalid(invalid: colander.Invalid) -> Iterator[tuple[str, str]]:
    """Yield the dotted name of each invalid field, and the description of the error."""
    for path in invalid.paths():
        names = [str(error.pos if error.positional else error.node.name) for error in path[1:]]
        messages = [_interpolated(message) for error in path for message in error.messages()]
        yield ".".join(names), "; ".join(messages)


def _interpolated(message: Any) -> str:
    """Return a message of Colander with its values, which can be long."""
    if not hasattr(message, "interpolate"):
        return str(message)
    values = {key: shortened(str(value)) for key, value in (message.mapping or {}).items()}
    return str((message % values).interpolate())


class Errors(CorniceErrors):
    """The errors of a request, in any location; Cornice 6 only allows some locations."""

    def add(
        self, location: str, name: str | None = None, description: Any = None, **kw: Any
    ) -> None:
        """Add an error; the description can be a translation string."""
        super().add("", name, description, **kw)
        self[-1]["location"] = location


def add_error(
    request: Request, location: str, name: str | None = None, description: object = None, **kw: Any
) -> None:
    """Add an error of the request, in any location."""
    if not hasattr(request, "errors"):
        request.errors = Errors()
    request.errors.append({"location": location, "name": name, "description": description, **kw})


def has_errors(request: Request) -> bool:
    """Return whether the request has errors, without creating their list."""
    return bool(request.__dict__.get("errors"))


def raise_invalid(
    request: Request,
    location: str = "body",
    name: str | None = None,
    description: object = None,
    **kwargs: Any,
) -> NoReturn:
    """Refuse the request with a 400 that describes the error.

    :param location: ``body``, ``querystring``, ``path``, ``headers``…
    :param name: the field or parameter.
    :raises pyramid.httpexceptions.HTTPBadRequest: always.
    """
    add_error(request, location, name, description, **kwargs)
    raise json_error_handler(request)


def send_alert(
    request: Request,
    message: str | None = None,
    url: str | None = None,
    code: str = "soft-eol",
    response: Response = None,
) -> None:
    """Add an ``Alert`` header to the response.

    :param url: a page with details; by default, the setting ``project_docs``.
    :param code: ``soft-eol`` or ``hard-eol``.
    :param response: the response, if it isn't ``request.response``.
    """
    if url is None:
        url = request.registry.settings["project_docs"]
    # Headers should be ASCII (RFC 9110, 5.5).
    alert = json.dumps_ascii({"code": code, "message": message, "url": url})
    (request.response if response is None else response).headers["Alert"] = alert
