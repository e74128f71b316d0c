"""Client of Cliquet services.

.. code-block:: python

    from cliquet.client import Client

    client = Client("https://api.example.com/v1", auth=("alice", "secret"))
    bookmarks = client.resource("/bookmarks")
    bookmarks.create({"url": "https://www.python.org", "title": "Python"})
    for bookmark in bookmarks.list(title="Python", _sort="-last_modified"):
        print(bookmark["url"])
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import requests
except ImportError as error:
    raise ImportError(
        "The package requests is missing (pip install requests)", name="requests"
    ) from error

from cliquet.client.base import BaseClient
from cliquet.client.batch import Batch
from cliquet.client.copies import Copy
from cliquet.client.errors import (
    AlertWarning,
    BatchError,
    Conflict,
    Forbidden,
    Gone,
    InvalidParameters,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    ResponseError,
    ServerError,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
)
from cliquet.client.failures import BackoffError, ClientError, ProtocolError, TransportError
from cliquet.client.live import Changes
from cliquet.client.messages import HELLO, Request, Response
from cliquet.client.protocol import run
from cliquet.client.resources import Operations, Records, Resource, new_id
from cliquet.client.transport import Transport
from cliquet.client.version import __version__

if TYPE_CHECKING:
    from cliquet.client.aio import AsyncBatch as AsyncBatch
    from cliquet.client.aio import AsyncClient as AsyncClient
    from cliquet.client.aio import AsyncCopy as AsyncCopy
    from cliquet.client.aio import AsyncRecords as AsyncRecords
    from cliquet.client.aio import AsyncResource as AsyncResource


def __getattr__(name: str) -> Any:
    """Import the asynchronous client when it is used, because httpx is optional."""
    if name in ("AsyncBatch", "AsyncClient", "AsyncCopy", "AsyncRecords", "AsyncResource"):
        return getattr(import_module("cliquet.client.aio"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Client(BaseClient[requests.Session, Callable[[float], object], Response]):
    """Connection of a user to a service.

    The client retries requests without response and those with status 429, 502, 503 or 504. It
    doubles the delay each time, and obeys the headers ``Retry-After`` and ``Backoff``. It sends a
    request once if a repetition could do harm, for example a POST whose record has no id yet.

    Use each client in one thread only. A ``with`` block closes its connections. After a fork, the
    child process opens connections of its own.

    :param server: URL of the service, with its version: ``https://api.example.com/v1``.
    :param auth: user name and password, or a callable that adds credentials to a request, as in
        requests. It is called before each attempt, and once more if the response is 401. None: the
        credentials in the URL, or those of the session.
    :param timeout: limit for a call in all, with retries and pauses, in seconds.
    :param attempt_timeout: limit for each attempt, from connecting to the end of the response, in
        seconds.
    :param retries: maximum number of retries of a request.
    :param delay: delay before the first retry, in seconds, varied at random by up to 50 %.
    :param session: requests session with certificates, proxies or headers; new by default. With a
        session of yours, ``attempt_timeout`` limits connecting and each read.
    :param sleep: function that waits for a number of seconds; ``time.sleep`` by default.
    :param clock: function that returns the monotonic time, in seconds.
    :raises ValueError: if ``server`` isn't the URL of a service.
    :raises TypeError: if ``auth`` is something else.
    """

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, except those of a session passed by the caller.

        The next request opens new ones.
        """
        self._transport.close()
        self._protocol.issue_alerts()

    def server_info(self) -> dict[str, Any]:
        """Return the service's description of itself, at ``/``.

        :raises ClientError: if the request fails.
        """
        body: dict[str, Any] = self._send(HELLO).body
        return body

    def resource(self, path: str, id_factory: Callable[[], str] | None = new_id) -> Resource:
        """Return the resource whose collection is at a path, such as ``/bookmarks``.

        :param path: quoted as in a URL, without the version prefix.
        :param id_factory: function that returns the id of a new record; random UUIDs by default.
            None: the server generates the ids, and the client doesn't retry creations.
        """
        return Resource(self._send, path, id_factory, self._open)

    def copy(
        self, path: str, records: Iterable[dict[str, Any]] = (), timestamp: int | None = None
    ) -> Copy:
        """Return a copy of the resource at a path, which its method ``poll()`` keeps up to date.

        :param records: the records of an earlier copy.
        :param timestamp: its timestamp, in milliseconds; None: start with an empty copy.
        """
        return Copy(self._send, path, records, timestamp)

    def batch(self, check: bool = True, size: int | None = None, atomic: bool = False) -> Batch:
        """Return a batch, which is filled in a ``with`` block and sent at its end.

        :param check: whether the block raises :class:`BatchError` if requests fail.
        :param size: maximum number of requests sent together; by default the limit of the server.
        :param atomic: whether the server undoes all changes if a request fails. Then the batch is
            neither split nor retried.
        """
        return Batch(self._send, size, check, self._server, atomic)

    def _set_transport(
        self, session: requests.Session | None, sleep: Callable[[float], object] | None
    ) -> None:
        self._transport = Transport(self._protocol.auth, session, sleep or time.sleep)

    def _open(self, request: Request, pause: float) -> Generator[bytes, None, None]:
        self._protocol.delay_by(pause)
        return self._transport.open(self._protocol.send(request))

    def _send(self, request: Request) -> Response:
        return run(self._protocol.send(request), self._transport.perform)


__all__ = [
    "AlertWarning",
    "Response",
    "Batch",
    "BatchError",
    "Changes",
    "Client",
    "ClientError",
    "Conflict",
    "Copy",
    "Forbidden",
    "Gone",
    "InvalidParameters",
    "MethodNotAllowed",
    "TransportError",
    "NotFound",
    "Operations",
    "BackoffError",
    "PreconditionFailed",
    "ProtocolError",
    "Records",
    "Request",
    "Resource",
    "ResponseError",
    "ServerError",
    "ServiceUnavailable",
    "TooManyRequests",
    "Unauthorized",
    "__version__",
    "new_id",
]
