"""ASGI application of a service, which streams changes (extra ``live``).

.. code-block:: python

    from cliquet import asgi

    application = asgi.application(config.make_wsgi_app())

A ``GET`` of a list with ``Accept: text/event-stream`` is served by the event loop. The WSGI
application serves all other requests, and the polls of the streams, in threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from webob.acceptparse import create_accept_header

from cliquet.http.live import ENVIRON_KEY, STREAM_TYPE, ListNote
from cliquet.http.negotiation import preferred_types
from cliquet.live.bodies import read_body
from cliquet.live.polls import Poller, Scope
from cliquet.live.shutdown import Shutdown
from cliquet.live.streams import Receive, Send, Stream
from cliquet.live.watcher import Watcher
from cliquet.settings import DEFAULT_SETTINGS
from cliquet.settings.types import DURATION
from cliquet.types import Registry
from cliquet.utils import import_optional
from cliquet.utils.http import JSON
from cliquet.utils.installation import install_command

a2wsgi = import_optional("a2wsgi")

# The beginning of a request target in absolute form (RFC 9112 3.2.2).
_ORIGIN = re.compile(b"^https?://[^/]*", re.IGNORECASE)

_ASCII = "".join(map(chr, range(33, 127)))


def application(wsgi_app: WSGIApplication, threads: int = 8) -> Application:
    """Return the ASGI application of a WSGI application of the toolkit.

    :param wsgi_app: the application, which can be wrapped in middlewares.
    :param threads: number of threads that serve requests, and polls with half of them.
    :raises ImportError: without the extra ``live``.
    """
    return Application(wsgi_app, threads)


class Application:
    """An ASGI application: see :func:`application`."""

    def __init__(self, wsgi_app: WSGIApplication, threads: int) -> None:
        if a2wsgi is None:
            raise ImportError(f"cliquet.asgi requires a2wsgi: {install_command('live')}")
        self._app = wsgi_app
        self._wsgi: Any = a2wsgi.WSGIMiddleware(self._serve, workers=threads)
        # Requests don't wait until the polls of all streams are served.
        polling_threads = max(1, threads // 2)
        self._poller = Poller(self._serve, self._wsgi.executor, polling_threads)
        self._watchers: dict[int, Watcher] = {}
        self._shutdown = Shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve_request(_as_wsgi_expects(scope), receive, send)
        else:
            await self._wsgi(scope, receive, send)

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _asks_for_stream(scope):
            await self._stream(scope, receive, send)
            return
        replay = await read_body(scope, receive, send, self._shutdown)
        if replay is not None:
            await self._wsgi(scope, replay, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream a list, or send the response of the WSGI application if it isn't a list."""
        stream = Stream(scope, send, self._poller, self._shutdown)
        note = await stream.start()
        if note is not None:
            seconds = _seconds(note.registry, "live_permissions_seconds")
            await stream.run(receive, self._watcher(note.registry), seconds)

    def _watcher(self, registry: Registry) -> Watcher:
        key = id(registry)
        if key not in self._watchers:
            read = registry.storage.collection_timestamps
            self._watchers[key] = Watcher(
                lambda collections: self._poller.run_in_thread(read, collections),
                _seconds(registry, "live_interval_seconds"),
            )
        return self._watchers[key]

    def close(self) -> None:
        """End the streams, and refuse requests with incomplete bodies: servers wait for both.

        Call it in the event loop's thread.
        """
        self._shutdown.begin()

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request of a2wsgi as WSGI servers would."""
        path = unquote_to_bytes(environ["asgi.scope"]["raw_path"]).decode("latin-1")
        environ["PATH_INFO"] = path.removeprefix(environ["SCRIPT_NAME"])
        # Bodies can be sent in chunks, without their length.
        environ["wsgi.input_terminated"] = True
        environ.setdefault(ENVIRON_KEY, ListNote())
        return self._app(environ, start_response)


def _as_wsgi_expects(scope: Scope) -> Scope:
    """Return the scope with headers, a query string and a path that WSGI can represent."""
    # "X_Real" and "X-Real" have the same WSGI variable: a client could forge a proxy's header.
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    query = quote(scope["query_string"], safe=_ASCII).encode("ascii")
    # The raw path, because scope["path"] has lost bytes that aren't UTF-8.
    path = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    path = _ORIGIN.sub(b"", path.removeprefix(scope.get("root_path", "").encode())) or b"/"
    return {**scope, "headers": headers, "query_string": query, "raw_path": path}


def _asks_for_stream(scope: Scope) -> bool:
    """Return whether a request accepts the media type of streams, and prefers it to JSON."""
    values = [value for name, value in scope["headers"] if name == b"accept"]
    text = b",".join(values).decode("latin-1")
    if scope["method"] != "GET" or STREAM_TYPE not in text.lower():
        return False
    accept = create_accept_header(text)
    is_valid = accept.parsed is not None
    return is_valid and preferred_types(accept, [STREAM_TYPE, JSON])[:1] == [STREAM_TYPE]


def _seconds(registry: Registry, key: str) -> float:
    return DURATION.get(registry.settings, key, DEFAULT_SETTINGS[key])
