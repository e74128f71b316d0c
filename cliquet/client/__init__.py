"""A client, in Python, of the resources of any service; it takes the extra ``client``.

.. code-block:: python

    from cliquet.client import Client

    client = Client("https://api.example.com/v1", auth=("alice", "secret"))
    bookmarks = client.resource("/bookmarks")
    bookmarks.create({"url": "https://www.python.org", "title": "Python"})
    for bookmark in bookmarks.list(title="Python", _sort="-last_modified"):
        print(bookmark["url"])

It needs nothing else of the package.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

try:
    import requests
except ImportError as error:
    raise ImportError(
        "The package requests is missing (pip install cliquet[client])", name="requests"
    ) from error

from cliquet.client.batch import Batch
from cliquet.client.errors import (
    AlertWarning,
    BatchError,
    ClientError,
    Conflict,
    Forbidden,
    Gone,
    InvalidParameters,
    MethodNotAllowed,
    NoAnswer,
    NotFound,
    Paused,
    PreconditionFailed,
    ResponseError,
    ServerError,
    ServiceUnavailable,
    TooManyRequests,
    Unauthenticated,
)
from cliquet.client.messages import Answer, Request
from cliquet.client.resources import Operations, Records, Resource, new_id
from cliquet.client.transport import Transport


class Client:
    """A service, and who uses it.

    What may pass is tried again: no answer, and the statuses 429, 502, 503 and 504. The client
    waits longer each time, and as long as the headers ``Retry-After`` and ``Backoff`` ask. What
    would do harm twice is sent once: a POST, unless it creates a record whose id the client knows.

    Threads need a client each. A client can be used in a ``with`` statement, which closes its
    connections.

    :param server: the URL of the service, its version included: ``https://api.example.com/v1``.
    :param auth: as in requests: a user and a password, or a function that adds credentials to a
        request. None: those of the session.
    :param timeout: for the server to accept a connection, and to send the next bytes, in seconds.
    :param retries: how many times a request is sent again, at most.
    :param delay: before it is sent again for the first time, in seconds, more or less by half; it
        doubles each time.
    :param patience: how long the server may make the client wait before a request, in seconds.
    :param session: of requests, with certificates, proxies or headers; a new one by default.
    :param sleep: called with the seconds to wait.
    :param clock: the time, in seconds, that never goes back.
    :raises ValueError: when ``server`` isn't the URL of a server.
    :raises TypeError: when ``auth`` is none of those.
    """

    def __init__(
        self,
        server: str,
        auth: Any = None,
        *,
        timeout: float = 30,
        retries: int = 4,
        delay: float = 1,
        patience: float = 60,
        session: requests.Session | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session or requests.Session()
        self._transport = Transport(
            server,
            auth=auth,
            timeout=timeout,
            retries=retries,
            delay=delay,
            patience=patience,
            session=self._session,
            sleep=sleep,
            clock=clock,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next request opens others."""
        self._session.close()

    def server_info(self) -> dict[str, Any]:
        """Return what the service says of itself at ``/``.

        :raises ClientError: as any request.
        """
        body: dict[str, Any] = self._transport.send(Request("GET", "/", member="settings")).body
        return body

    def resource(self, path: str, new_id: Callable[[], str] | None = new_id) -> Resource:
        """Return the resource whose collection is at a path, as ``/bookmarks``.

        :param path: without the version prefix, quoted as in a URL.
        :param new_id: makes the ids of new records, for a creation to be repeatable; UUIDs by
            default. None: the server makes them, and creations are never sent again.
        """
        return Resource(self._transport.send, path, new_id)

    def batch(self, check: bool = True) -> Batch:
        """Return a batch, to be filled in a ``with`` statement, and sent at its end.

        :param check: raise :class:`BatchError` in the end if requests of it are refused.
        """
        return Batch(self._transport.send, lambda: self._batch_size, check)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
    ) -> Answer:
        """Send any request, and return its answer.

        :param path: without the version prefix, with the querystring, quoted as in a URL.
        :param body: a JSON value; None: no body.
        :param repeatable: whether it may be sent again if no answer comes; unless it is a POST, by
            default (RFC 9110, 9.2.2).
        :raises ClientError: when there is no answer, or one of an error.
        :raises ValueError: when the path doesn't begin with a slash.
        """
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is no path: expected /bookmarks")
        if repeatable is None:
            repeatable = method.upper() != "POST"
        return self._transport.send(Request(method, path, body, headers or {}, repeatable))

    @cached_property
    def _batch_size(self) -> int | None:
        """How many requests the server allows in a batch; None: any number."""
        # Servers of Cliquet 3.1 show a missing limit as 0 or as an empty string.
        size: int | None = self.server_info()["settings"].get("batch_max_requests") or None
        return size


__all__ = [
    "AlertWarning",
    "Answer",
    "Batch",
    "BatchError",
    "Client",
    "ClientError",
    "Conflict",
    "Forbidden",
    "Gone",
    "InvalidParameters",
    "MethodNotAllowed",
    "NoAnswer",
    "NotFound",
    "Operations",
    "Paused",
    "PreconditionFailed",
    "Records",
    "Request",
    "Resource",
    "ResponseError",
    "ServerError",
    "ServiceUnavailable",
    "TooManyRequests",
    "Unauthenticated",
    "new_id",
]
