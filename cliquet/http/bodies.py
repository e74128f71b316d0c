"""Request bodies, which are read before the first attempt to process a request."""

from __future__ import annotations

import io
from typing import Any

from webob.request import DisconnectionError

from cliquet.http.limits import UNLIMITED, limits_of
from cliquet.types import Request

_STEP = 65536

# Without these, an HTTP/1.1 request has no body.
_BODY_KEYS = {"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"}


class _Input(io.RawIOBase):
    """The input stream of a WSGI server; its failures become disconnections.

    :param first: bytes that were already read from it.
    :param left: how many bytes are left to read, None if the server knows where they end.
    """

    def __init__(self, file: Any, first: bytes = b"", left: int | None = None) -> None:
        self._file = file
        self._first = first
        self._left = left

    def readable(self) -> bool:
        """Return True."""
        return True

    def buffered(self) -> io.BufferedReader:
        """Return a file in which lines are found without reading byte by byte."""
        return io.BufferedReader(self, _STEP)

    def readinto(self, buffer: Any) -> int:
        """Read bytes of the body.

        :raises webob.request.DisconnectionError: if the body is incomplete or malformed.
        """
        size = len(buffer)
        data, self._first = self._first[:size], self._first[size:]
        data = data or self._read(size)
        buffer[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        if self._left is not None:
            size = min(size, self._left)
        try:
            data: bytes = self._file.read(size)
        except Exception as error:  # each server has its own exceptions
            raise DisconnectionError(f"The body is incomplete: {error}") from error
        if self._left is not None:
            self._left -= len(data)
        return data


class _Broken(io.RawIOBase):
    """The input stream of a request whose body is incomplete."""

    def __init__(self, error: DisconnectionError) -> None:
        self._message = str(error)

    def readinto(self, buffer: Any) -> int:
        raise DisconnectionError(self._message)


def read_body_once(request: Request) -> int | None:
    """Buffer the body for all attempts of a request (hook of ``pyramid_retry``).

    Bodies larger than ``max_body_bytes`` are not buffered, so the request isn't retried.
    For an incomplete body, an error is raised when a view reads it.

    :returns: the maximum number of attempts, or None for the setting ``retry.attempts``.
    """
    if request.is_body_seekable:
        return None
    if not request.is_body_readable:
        request.body = b""
        return None
    environ = request.environ
    if environ["REQUEST_METHOD"] == "GET" and not _BODY_KEYS & environ.keys():
        return None  # the server can't indicate that there is no body
    limit = limits_of(request.registry).max_body_bytes
    length = request.content_length
    file = _Input(environ["wsgi.input"], left=length)
    if length is not None and length > limit:
        environ["wsgi.input"] = file.buffered()
        return 1
    try:
        if limit != UNLIMITED:
            return _read(request, file, length, limit)
        environ["wsgi.input"] = file.buffered()
        request.make_body_seekable()
    except DisconnectionError as error:
        environ["wsgi.input"] = _Broken(error)
        return 1
    return None


def _read(request: Request, file: _Input, length: int | None, limit: int) -> int | None:
    """Buffer a body, unless its length is unknown and exceeds the limit.

    :raises webob.request.DisconnectionError: if it is shorter than its length.
    """
    data = bytearray()
    end = limit + 1 if length is None else length
    while len(data) < end:
        chunk = file.read(min(_STEP, end - len(data)))
        if not chunk:
            break
        data += chunk
    if length is not None and len(data) < length:
        raise DisconnectionError(f"The body is incomplete: {length - len(data)} bytes are missing")
    if len(data) > limit:
        request.environ["wsgi.input"] = _Input(file, bytes(data)).buffered()
        return 1
    request.body = bytes(data)
    return None
