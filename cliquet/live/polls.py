"""Polls of a list, each of which is a request to the WSGI application."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit
from wsgiref.types import WSGIApplication

from cliquet.http.live import ENVIRON_KEY, ListNote
from cliquet.live.events import event
from cliquet.utils import import_optional, json

a2wsgi = import_optional("a2wsgi.wsgi")

#: An ASGI scope.
Scope = dict[str, Any]

#: Headers of the client that polls don't repeat.
_OWN_HEADERS = {
    *(b"last-event-id", b"if-modified-since", b"if-unmodified-since"),
    *(b"connection", b"content-length", b"content-type", b"transfer-encoding", b"te"),
    *(b"accept-encoding", b"range"),  # middlewares would compress or cut the body
}

#: Parameters of the client that later polls replace.
_REPLACED = ("", "_since", "_token")


@dataclass(eq=False)
class Poll:
    """The response to a poll, and the collection that it has listed."""

    status: int
    #: By name, in lower case; of headers with the same name, the last one.
    headers: dict[str, str]
    #: As the application returned them.
    header_list: list[tuple[str, str]]
    body: bytes
    note: ListNote

    def next_query(self) -> str | None:
        """Return the query string of the next page, None on the last one."""
        url = self.headers.get("next-page")
        return None if url is None else urlsplit(url).query

    def text(self, **members: str) -> str:
        """Return the JSON of the records, with further members."""
        return json.dumps({**json.loads(self.body), **members})

    @property
    def state(self) -> tuple[str | None, str | None]:
        """The ``ETag`` and the checksum of the list."""
        return self.headers.get("etag"), self.headers.get("checksum")

    @cached_property
    def change(self) -> bytes:
        """The event of the last page, with the checksum of the view if the service sends it."""
        etag, checksum = self.state
        text = self.text(**({} if checksum is None else {"checksum": checksum}))
        return event("change", text, etag)


class Poller:
    """Sends polls to a WSGI application, in threads.

    Streams that send equal polls at the same time share the response.

    :param threads: number of polls at the same time.
    """

    def __init__(self, app: WSGIApplication, executor: Executor, threads: int) -> None:
        self._app = app
        self._executor = executor
        self._slots = asyncio.Semaphore(threads)
        self._pending: dict[Any, asyncio.Future[Poll]] = {}

    async def run_in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call a function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *args)

    async def poll(self, scope: Scope, query: str) -> Poll:
        """Return the response to a GET of a list.

        :param scope: that of :func:`polling_scope`.
        :param query: its query string.
        """
        client = (scope.get("client") or [None])[0]
        key = scope["raw_path"], query, client, *scope["headers"]
        future = self._pending.get(key)
        if future is None:
            scope = {**scope, "query_string": query.encode("ascii")}
            future = asyncio.ensure_future(self._get_in_slot(scope))
            self._pending[key] = future
            future.add_done_callback(lambda done: self._pending.pop(key))
        # One of the streams that wait can end without the others.
        return await asyncio.shield(future)

    async def _get_in_slot(self, scope: Scope) -> Poll:
        async with self._slots:
            poll: Poll = await self.run_in_thread(self._get, scope)
            return poll

    def _get(self, scope: Scope) -> Poll:
        environ: dict[str, Any] = a2wsgi.build_environ(scope, io.BytesIO())
        note = environ[ENVIRON_KEY] = ListNote(is_poll=True)
        started: list[Any] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
            started[:] = [int(status.split()[0]), headers]

        chunks: Any = self._app(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            getattr(chunks, "close", bool)()
        status, header_list = started
        headers = {name.lower(): value for name, value in header_list}
        poll = Poll(status, headers, header_list, body, note)
        if status == 200 and note.collection is not None:
            _ = poll.change  # computed in this thread, once for all streams
        return poll


def polling_scope(scope: Scope) -> Scope:
    """Return the scope of the polls for a stream, whose headers are those of its request."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _OWN_HEADERS]
    return {**scope, "headers": headers}


def polling_query(query: str, since: str | None) -> str:
    """Return the query string of a poll for the changes since an ``ETag``.

    :param query: that of the stream.
    :param since: the ``ETag``; None: ``_since`` of the query string, or all records.
    """
    return query if since is None else f"{_base_query(query)}_since={quote(since)}"


@lru_cache  # each stream calls this for each change
def _base_query(query: str) -> str:
    """Return the start of a query string, without the parameters that polls replace."""
    parts = [part for part in query.split("&") if _name(part) not in _REPLACED]
    return "".join(f"{part}&" for part in parts)


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])
