"""Errors of the protocol: one exception class for each kind."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from cliquet.client.failures import ClientError, ProtocolError
from cliquet.client.messages import Request, Response, is_tombstone

_INVALID_PARAMETERS = 107
_SERVICE_DEPRECATED = 202


class ResponseError(ClientError):
    """The service responded with an error.

    :param request: the request that failed.
    :param response: the response, with its status, headers and body.
    """

    def __init__(self, request: Request, response: Response) -> None:
        super().__init__(request, response)
        self.request = request
        self.response = response
        body = response.body if isinstance(response.body, dict) else {}
        errno = body.get("errno")
        #: HTTP status.
        self.code = response.status
        #: Error number of the protocol; None if the response doesn't follow the protocol.
        self.errno = errno if isinstance(errno, int) else None
        #: Title of the error.
        self.error: str = body.get("error", _title(response.status))
        #: Description for people, or None.
        self.message: str | None = body.get("message")
        #: URL with more information, or None.
        self.info: str | None = body.get("info")
        #: Error-specific data, or None.
        self.details: Any = body.get("details")
        self.is_transient = self.code in (429, 502, 503, 504)

    @property
    def existing(self) -> dict[str, Any] | None:
        """The record that caused a conflict or a failed precondition, or None."""
        return self.details.get("existing") if isinstance(self.details, dict) else None

    def __str__(self) -> str:
        errno = "" if self.errno is None else f" (errno {self.errno})"
        text = f"{self.request}: {self.code} {self.error}{errno}"
        return f"{text}: {self.message}" if self.message else text


class InvalidParameters(ResponseError):
    """Status 400, 406 or 415: ``details`` lists the invalid parameters."""


class Unauthorized(ResponseError):
    """Status 401: the credentials are missing or wrong."""


class Forbidden(ResponseError):
    """Status 403: the user lacks the permission."""


class NotFound(ResponseError):
    """Status 404 of the service: the record or the URL doesn't exist."""


class MethodNotAllowed(ResponseError):
    """Status 405: the URL doesn't support the method, or the service is read-only."""


class Conflict(ResponseError):
    """Status 409: another record, ``existing``, has the value of a unique field."""


class Gone(ResponseError):
    """Status 410 of the service: it has reached its end of life."""


class PreconditionFailed(ResponseError):
    """Status 412: the record (``existing``) or the collection has changed since."""


class TooManyRequests(ResponseError):
    """Status 429: the client has sent too many requests."""


class ServerError(ResponseError):
    """Status 5XX: the server failed."""


class ServiceUnavailable(ServerError):
    """Status 503: a backend failed or is overloaded."""


class BatchError(ClientError, ExceptionGroup[ClientError]):
    """Requests of a batch failed: ``exceptions`` contains an error for each."""

    def derive(self, excs: Sequence[Any]) -> BatchError:  # type: ignore[override]
        """Return the error of some of them: ``except*`` takes it apart."""
        return BatchError(self.message, excs)


class AlertWarning(UserWarning):
    """The server sent the header ``Alert``, for example to announce its end of life."""


_CLASSES: dict[int, type[ResponseError]] = {
    400: InvalidParameters,
    401: Unauthorized,
    403: Forbidden,
    405: MethodNotAllowed,
    409: Conflict,
    412: PreconditionFailed,
    429: TooManyRequests,
    503: ServiceUnavailable,
}


def error_of(request: Request, response: Response) -> ResponseError:
    """Return the exception for an error response."""
    default = ServerError if response.status >= 500 else ResponseError
    error = _CLASSES.get(response.status, default)(request, response)
    # A gateway or a captive portal can't know whether a record or the service still exists.
    if error.code == 404 and error.errno is not None:
        return NotFound(request, response)
    if error.code == 410 and error.errno == _SERVICE_DEPRECATED:
        return Gone(request, response)
    if error.errno == _INVALID_PARAMETERS:
        return InvalidParameters(request, response)
    return error


def result_of(request: Request, response: Response) -> Response:
    """Return the response to a request if it is a success.

    :raises ResponseError: for an error response.
    :raises ProtocolError: if the body isn't the expected one.
    """
    if not response.ok:
        error = error_of(request, response)
        if request.is_creation and _is_record(error):
            return Response(200, response.headers, {"data": error.existing})
        raise error
    is_bodiless = request.method == "HEAD" or response.status in (204, 304)
    if request.expects and not is_bodiless:
        name, kind = request.expects
        if not isinstance(response.member(name), kind):
            raise ProtocolError(
                f"{request}: the body has no {name!r}. Is another service at this URL?"
            )
    return response


def _is_record(error: ResponseError) -> bool:
    """Return whether a creation failed because of an existing record, not a tombstone."""
    existing = error.existing
    return error.code in (409, 412) and isinstance(existing, dict) and not is_tombstone(existing)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
