"""What can go wrong: each kind of error of the protocol is an exception."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from cliquet.client.messages import Answer, Request

_INVALID_PARAMETERS = 107


class ClientError(Exception):
    """Any failure of a request."""

    #: Whether the same request may succeed later.
    may_pass = False


class NoAnswer(ClientError):
    """The server can't be reached, or what it sent is no answer of the protocol."""

    may_pass = True


class Paused(ClientError):
    """The server has asked for a longer pause than the client has patience for.

    :param seconds: how long it still is.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"The server has asked for a pause, of {self.seconds:.0f} more seconds"


class ResponseError(ClientError):
    """An answer that isn't one of success.

    :param request: what it answers.
    :param answer: its status, headers and body.
    """

    def __init__(self, request: Request, answer: Answer) -> None:
        super().__init__(request, answer)
        self.request = request
        self.answer = answer
        body = answer.body if isinstance(answer.body, dict) else {}
        #: The status of HTTP.
        self.code = answer.status
        #: The number of the protocol; None if the answer isn't one of the protocol.
        self.errno: int | None = body.get("errno")
        #: The title.
        self.error: str = body.get("error", _title(answer.status))
        #: A sentence for people, or None.
        self.message: str | None = body.get("message")
        #: A URL where there is more to know, or None.
        self.info: str | None = body.get("info")
        #: What is particular to the error, or None.
        self.details: Any = body.get("details")
        self.may_pass = self.code in (429, 502, 503, 504)

    @property
    def existing(self) -> dict[str, Any] | None:
        """The record that is in the way, of a conflict or a failed precondition."""
        return self.details.get("existing") if isinstance(self.details, dict) else None

    def __str__(self) -> str:
        errno = "" if self.errno is None else f" (errno {self.errno})"
        text = f"{self.request.method} {self.request.path}: {self.code} {self.error}{errno}"
        return f"{text}: {self.message}" if self.message else text


class InvalidParameters(ResponseError):
    """Status 400, or 406 and 415 with the same ``errno``: ``details`` lists what is wrong."""


class Unauthenticated(ResponseError):
    """Status 401: there are no credentials, or wrong ones."""


class Forbidden(ResponseError):
    """Status 403: the user may not."""


class NotFound(ResponseError):
    """Status 404: there is no such record, or no such URL."""


class MethodNotAllowed(ResponseError):
    """Status 405: also what writes to a service that is read-only."""


class Conflict(ResponseError):
    """Status 409: another record, ``existing``, has the value of a unique field."""


class Gone(ResponseError):
    """Status 410: the service has ended."""


class PreconditionFailed(ResponseError):
    """Status 412: others have changed the record, which is ``existing``, or the collection."""


class TooManyRequests(ResponseError):
    """Status 429: the client has sent too much."""


class ServerError(ResponseError):
    """Status 5XX: the server has failed."""


class ServiceUnavailable(ServerError):
    """Status 503: a backend has failed, or is overloaded."""


class BatchError(ClientError, ExceptionGroup[ResponseError]):
    """Requests of a batch were refused: ``exceptions`` has a :class:`ResponseError` for each."""

    def derive(self, excs: Sequence[Any]) -> BatchError:  # type: ignore[override]
        """Return the error of some of them: ``except*`` takes it apart."""
        return BatchError(self.message, excs)


class AlertWarning(UserWarning):
    """The server tells something with its header ``Alert``, as the end of the service."""


_CLASSES: dict[int, type[ResponseError]] = {
    400: InvalidParameters,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    410: Gone,
    412: PreconditionFailed,
    429: TooManyRequests,
    503: ServiceUnavailable,
}


def error_of(request: Request, answer: Answer) -> ResponseError:
    """Return the exception for an answer that isn't one of success."""
    default = ServerError if answer.status >= 500 else ResponseError
    error = _CLASSES.get(answer.status, default)(request, answer)
    if error.errno == _INVALID_PARAMETERS:
        return InvalidParameters(request, answer)
    return error


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
