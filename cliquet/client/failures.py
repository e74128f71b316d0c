"""Requests without a usable response."""

from __future__ import annotations


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
