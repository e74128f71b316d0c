"""Exceptions: one class for each kind of error of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cliquet.client.messages import Request, Response

_INVALID_PARAMETERS = 107
_SERVICE_DEPRECATED = 202


class ClientError(Exception):
    """Any failure of a request."""

    #: Whether the same request can succeed later.
    is_transient = False


class TransportError(ClientError):
    """The server can't be reached, or its response is lost, incomplete or not JSON.

    :param message: description of the error.
    :param is_transient: whether the same request can succeed later.
    :param is_sent: whether the server can have received the request.
    """

    def __init__(self, message: str, *, is_transient: bool = True, is_sent: bool = True) -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.is_sent = is_sent


class ProtocolError(TransportError):
    """The response doesn't follow the protocol: another service is at the URL, or a proxy."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_transient=False)


class BackoffError(ClientError):
    """The server requested a pause longer than the client's timeout.

    :param seconds: the rest of the pause.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"The server requested a pause: {self.seconds:.0f} s remain"


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


class BatchError(ClientError, ExceptionGroup[ResponseError]):
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


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
