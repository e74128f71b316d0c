"""Bodies of requests, which are read before the first attempt to serve them."""

from __future__ import annotations

import io
from typing import Any

from webob.request import DisconnectionError

from cliquet.limits import UNLIMITED, limits_of

_STEP = 65536

# A request of HTTP/1.1 without these has no body.
_BODY_KEYS = {"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"}


class _Input(io.RawIOBase):
    """The input of a WSGI server, whose failures are those of the client.

    :param first: bytes that were read from it already.
    """

    def __init__(self, file: Any, first: bytes = b"") -> None:
        self._file = file
        self._first = first

    def read_whole(self, length: int) -> bytes | None:
        """Return the body if one read gets all of it, otherwise None.

        :param length: the length of the body.
        :raises webob.request.DisconnectionError: when the body breaks off, or isn't HTTP.
        """
        self._first = self._read(length)
        return self._first if len(self._first) == length else None

    def readinto(self, buffer: Any) -> int:
        """Read bytes of the body.

        :raises webob.request.DisconnectionError: when the body breaks off, or isn't HTTP.
        """
        size = len(buffer)
        data, self._first = self._first[:size], self._first[size:]
        data = data or self._read(size)
        buffer[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._file.read(size)
        except Exception as error:  # servers have exceptions of their own
            raise DisconnectionError(f"The body is incomplete: {error}") from error
        return data


class _Broken(io.RawIOBase):
    """The input of a request whose body broke off."""

    def __init__(self, error: DisconnectionError) -> None:
        self._message = str(error)

    def readinto(self, buffer: Any) -> int:
        raise DisconnectionError(self._message)


def read_body_once(request: Any) -> int | None:
    """Keep the body for all attempts to serve a request: the hook of ``pyramid_retry``.

    Bodies larger than ``max_body_bytes`` are not kept, so the request isn't run again.
    Where a body breaks off, that is an error once a view reads it.

    :returns: how often the request may be run, or None for the setting ``retry.attempts``.
    """
    if request.is_body_seekable:
        return None
    if not request.is_body_readable:
        _set_body(request, b"")
        return None
    environ = request.environ
    if environ["REQUEST_METHOD"] == "GET" and not _BODY_KEYS & environ.keys():
        return None  # the server can't say that there is no body
    limit = limits_of(request.registry).max_body_bytes
    environ["wsgi.input"] = file = _Input(environ["wsgi.input"])
    length = request.content_length or 0
    if length > limit:
        return 1
    try:
        if 0 < length <= _STEP and (body := file.read_whole(length)) is not None:
            _set_body(request, body)
            return None
        if limit != UNLIMITED:
            return _read(request, limit)
        request.make_body_seekable()
    except DisconnectionError as error:
        environ["wsgi.input"] = _Broken(error)
        return 1
    return None


def _set_body(request: Any, body: bytes) -> None:
    """Do as ``request.body = body``, in a quarter of the time."""
    environ = request.environ
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["webob.is_body_seekable"] = True


def _read(request: Any, limit: int) -> int | None:
    """Keep a body in memory, unless it is larger than the limit: its length may be unknown."""
    file, data = request.body_file, bytearray()
    while len(data) <= limit:
        chunk = file.read(min(_STEP, limit + 1 - len(data)))
        if not chunk:
            request.body = bytes(data)
            return None
        data += chunk
    request.environ["wsgi.input"] = _Input(file, bytes(data))
    return 1
