"""Streams of the changes to a list."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from cliquet.http.live import ListNote
from cliquet.live.events import event
from cliquet.live.polls import Poll, Poller, Scope, polling_query, polling_scope
from cliquet.live.shutdown import Shutdown
from cliquet.live.watcher import Subscription, Watcher
from cliquet.utils import json

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

#: Seconds without an event after which a comment shows proxies that the stream is alive.
HEARTBEAT_SECONDS = 15.0
#: Seconds after which a client that doesn't read is disconnected.
SEND_TIMEOUT_SECONDS = 30.0

#: Headers of a poll that don't describe the stream.
_LIST_HEADERS = {
    *("content-length", "content-type", "etag", "last-modified", "next-page", "total-records"),
    *("checksum", "cache-control", "expires"),
}
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # nginx would delay events.
    (b"x-accel-buffering", b"no"),
]
_COMMENT = b":\n\n"
_TAG = re.compile(r'"([0-9]+)"')


class StreamDropped(Exception):
    """The client has disconnected, or doesn't read."""


class Stream:
    """The changes to a list, sent to one client.

    :param scope: that of its request.
    :param shutdown: ends the stream.
    """

    def __init__(self, scope: Scope, send: Send, poller: Poller, shutdown: Shutdown) -> None:
        self._send_message = send
        self._poller = poller
        self._shutdown = shutdown
        self._scope = polling_scope(scope)
        self._query: str = scope["query_string"].decode("ascii")
        self._since = _last_event_id(scope)
        #: The tag and the checksum of the latest event.
        self._sent: tuple[str | None, str | None] | None = None
        self._alert: str | None = None
        self._metrics: Any = None
        self._first: Poll | None = None

    async def start(self) -> ListNote | None:
        """Poll for the first time; if the response isn't a list, send it and return None."""
        poll = await self._poll()
        if poll.status != 200 or poll.note.collection is None:
            await self._respond(poll)
            return None
        self._first = poll
        return poll.note

    async def run(self, receive: Receive, watcher: Watcher, permissions_seconds: float) -> None:
        """Send the first poll and later changes until the stream ends.

        :param permissions_seconds: the maximum time between two polls without a change of the
            collection.
        """
        first: Any = self._first
        self._metrics = getattr(first.note.registry, "prometheus", None)
        headers = [*_encoded(first.header_list, without=_LIST_HEADERS), *_STREAM_HEADERS]
        collection, timestamp = first.note.collection, _timestamp(first)
        del first  # a quiet stream keeps no records in memory
        with (
            suppress(StreamDropped),
            self._counted(),
            watcher.subscribe(collection, timestamp) as subscription,
        ):
            await self._send_start(200, headers)
            # A server that stops can also cancel the task, and would log this as an error.
            with suppress(asyncio.CancelledError), self._cancelling(receive):
                if await self._send_first():
                    await self._follow(subscription, permissions_seconds)
            await self._send(b"", more_body=False)

    @contextmanager
    def _cancelling(self, receive: Receive) -> Iterator[None]:
        """Cancel the current task when the client disconnects, or the server stops."""
        disconnection = asyncio.create_task(_cancel_on_disconnect(receive, asyncio.current_task()))
        try:
            with self._shutdown.cancelling():
                yield
        finally:
            disconnection.cancel()

    def _counted(self) -> AbstractContextManager[Any]:
        """Return a context manager that counts an open stream."""
        metrics = self._metrics
        return nullcontext() if metrics is None else metrics.streams.track_inprogress()

    async def _respond(self, poll: Poll) -> None:
        """Send the response to a poll as it is."""
        with suppress(StreamDropped):
            await self._send_start(poll.status, _encoded(poll.header_list))
            await self._send(poll.body, more_body=False)

    async def _poll(self) -> Poll:
        """Return the changes since the latest event."""
        return await self._poller.poll(self._scope, polling_query(self._query, self._since))

    async def _follow(self, subscription: Subscription, permissions_seconds: float) -> None:
        """Send changes until a poll fails."""
        clock = asyncio.get_running_loop().time
        due = clock() + _spread(permissions_seconds)
        while True:
            is_changed = await subscription.wait(min(HEARTBEAT_SECONDS, max(0, due - clock())))
            if not is_changed and clock() < due:
                await self._send(_COMMENT)
                continue
            if not await self._send_next(subscription):
                return
            due = clock() + _spread(permissions_seconds)

    async def _send_first(self) -> bool:
        first: Any = self._first
        self._first = None
        return await self._send_changes(first)

    async def _send_next(self, subscription: Subscription) -> bool:
        poll = await self._poll()
        subscription.timestamp = _timestamp(poll)
        return await self._send_changes(poll)

    async def _send_changes(self, poll: Poll) -> bool:
        """Send the events of a poll; return whether the stream goes on.

        Only the last page has an id: a client that receives fewer pages requests all of them again.
        """
        first, page = poll, poll
        while page.status == 200 and (query := page.next_query()) is not None:
            await self._send(event("change", page.text()))
            page = await self._poller.poll(self._scope, query)
        if page.status != 200:
            await self._send_failure(page)
            return False
        is_exact = page.state == first.state
        if not is_exact:  # the list changed between the pages, and the next poll returns the rest
            await self._send(event("change", page.text(), first.state[0]))
        elif page is not first or first.state != self._sent:
            await self._send(page.change)
        else:
            await self._send(_COMMENT)
        self._observe_delay(first)
        self._since, self._sent = first.state[0], first.state if is_exact else None
        return await self._send_notices(first.headers)

    def _observe_delay(self, poll: Poll) -> None:
        """Measure the time since the last change, if it is newer than the latest event."""
        is_new = self._sent is not None and self._sent[0] != poll.headers.get("etag")
        if self._metrics is not None and is_new:
            self._metrics.stream_delays.observe(max(0, time.time() - _timestamp(poll) / 1000))

    async def _send_notices(self, headers: Mapping[str, str]) -> bool:
        """Send the alert and the back-off of the service; return whether the stream goes on."""
        alert = headers.get("alert")
        if alert and alert != self._alert:
            self._alert = alert
            await self._send(event("alert", alert))
        backoff = headers.get("backoff")
        if backoff:
            data = json.dumps({"seconds": int(backoff)})
            await self._send(event("backoff", data, retry=backoff))
        return not backoff

    async def _send_failure(self, poll: Poll) -> None:
        name = "reset" if poll.status in (401, 403) else "error"
        text = poll.body.decode("utf-8", "replace")
        await self._send(event(name, text, retry=poll.headers.get("retry-after")))

    async def _send_start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        message = {"type": "http.response.start", "status": status, "headers": headers}
        await self._send_in_time(message)

    async def _send(self, content: bytes, more_body: bool = True) -> None:
        message = {"type": "http.response.body", "body": content, "more_body": more_body}
        await self._send_in_time(message)

    async def _send_in_time(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await self._send_message(message)
        except OSError as error:  # also TimeoutError
            raise StreamDropped from error


def _encoded(
    headers: Iterable[tuple[str, str]], without: Collection[str] = ()
) -> list[tuple[bytes, bytes]]:
    """Return headers for ASGI, except some."""
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers
        if name.lower() not in without
    ]


def _timestamp(poll: Poll) -> int:
    """Return the timestamp of the collection in a poll, 0 if it has none."""
    match = _TAG.fullmatch(poll.headers.get("etag", ""))
    return int(match[1]) if match else 0


def _spread(seconds: float) -> float:
    """Return between half and all of a time, so that streams that began together spread out."""
    return seconds * random.uniform(0.5, 1)


def _last_event_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"last-event-id" and value:
            text: str = value.decode("latin-1")
            return text
    return None


async def _cancel_on_disconnect(receive: Receive, task: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()
