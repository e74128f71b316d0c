"""Bodies of requests, read by the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from pyramid.httpexceptions import HTTPServiceUnavailable

from cliquet.errors import ERRORS, JSON_TYPE, http_error
from cliquet.live.polls import Scope
from cliquet.live.shutdown import Shutdown
from cliquet.live.streams import Receive, Send

#: Bytes of a body that are read: more than the default of ``max_body_bytes``.
READ_AHEAD = 1 << 20

_MESSAGE = "The server stopped before it received the whole body"


async def read_body(
    scope: Scope, receive: Receive, send: Send, shutdown: Shutdown
) -> Receive | None:
    """Read the body, so that no thread waits for a slow client; return a function that replays it.

    If the body is incomplete when the server stops or the client disconnects, respond with 503 and
    return None. The application reads what exceeds :data:`READ_AHEAD`.
    """
    length = dict(scope["headers"]).get(b"content-length", b"")
    if len(length) > len(str(READ_AHEAD)):  # without int(), which refuses very long numbers
        return receive
    messages: deque[Any] = deque()
    try:
        with shutdown.cancelling():
            await _read_ahead(receive, messages)
    except (ConnectionError, asyncio.CancelledError):  # the server can also cancel the task
        await _refuse(send)
        return None

    async def receive_message() -> Any:
        return messages.popleft() if messages else await receive()

    return receive_message


async def _read_ahead(receive: Receive, messages: deque[Any]) -> None:
    """Add the messages with the body.

    :raises ConnectionError: if the client disconnects before the end of the body.
    """
    size, is_complete = 0, False
    while not is_complete and size <= READ_AHEAD:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        messages.append(message)
        size += len(message.get("body", b""))
        is_complete = not message.get("more_body", False)


async def _refuse(send: Send) -> None:
    response = http_error(HTTPServiceUnavailable(), ERRORS.BACKEND, message=_MESSAGE)
    headers = [(b"content-type", JSON_TYPE.encode()), (b"retry-after", b"1")]
    with suppress(OSError):  # the client has disconnected
        await send({"type": "http.response.start", "status": response.code, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
