"""Python client of Cliquet services. It requires the extra ``client``.

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
    BackoffError,
    BatchError,
    ClientError,
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
    TransportError,
    Unauthorized,
)
from cliquet.client.messages import Request, Response
from cliquet.client.resources import Operations, Records, Resource, new_id
from cliquet.client.transport import Transport


class Client:
    """Connection of a user to a service.

    The client retries requests without response and those with status 429, 502, 503 or 504. It
    doubles the delay each time, and obeys the headers ``Retry-After`` and ``Backoff``. It sends a
    request once if it isn't idempotent: a POST, unless the client chose the id of the new record.

    Use each client in one thread only. A ``with`` block closes its connections.

    :param server: URL of the service, with its version: ``https://api.example.com/v1``.
    :param auth: user name and password, or a callable that adds credentials to a request, as in
        requests. None: the credentials of the session.
    :param attempt_timeout: limit for connecting and for each read, in seconds.
    :param retries: maximum number of retries of a request.
    :param delay: delay before the first retry, in seconds, varied at random by up to 50 %.
    :param timeout: longest pause before a request that the server can impose, in seconds.
    :param session: requests session with certificates, proxies or headers; new by default.
    :param sleep: function that waits for a number of seconds.
    :param clock: function that returns the monotonic time, in seconds.
    :raises ValueError: if ``server`` isn't the URL of a service.
    :raises TypeError: if ``auth`` is something else.
    """

    def __init__(
        self,
        server: str,
        auth: Any = None,
        *,
        attempt_timeout: float = 30,
        retries: int = 4,
        delay: float = 1,
        timeout: float = 60,
        session: requests.Session | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session or requests.Session()
        self._transport = Transport(
            server,
            auth=auth,
            attempt_timeout=attempt_timeout,
            retries=retries,
            delay=delay,
            timeout=timeout,
            session=self._session,
            sleep=sleep,
            clock=clock,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        self._session.close()

    def server_info(self) -> dict[str, Any]:
        """Return the service's description of itself, at ``/``.

        :raises ClientError: if the request fails.
        """
        body: dict[str, Any] = self._transport.send(Request("GET", "/", member="settings")).body
        return body

    def resource(self, path: str, id_factory: Callable[[], str] | None = new_id) -> Resource:
        """Return the resource whose collection is at a path, such as ``/bookmarks``.

        :param path: quoted as in a URL, without the version prefix.
        :param id_factory: function that returns the id of a new record; random UUIDs by default.
            None: the server generates the ids, and the client doesn't retry creations.
        """
        return Resource(self._transport.send, path, id_factory)

    def batch(self, check: bool = True) -> Batch:
        """Return a batch, which is filled in a ``with`` block and sent at its end.

        :param check: whether the block raises :class:`BatchError` if requests fail.
        """
        return Batch(self._transport.send, lambda: self._batch_size, check)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
    ) -> Response:
        """Send a request and return the response.

        :param path: quoted as in a URL, with the query string, without the version prefix.
        :param body: a JSON value; None: no body.
        :param idempotent: whether the client can retry the request; by default, unless the method
            is POST (RFC 9110, 9.2.2).
        :raises ClientError: if the request fails.
        :raises ValueError: if the path doesn't start with a slash.
        """
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is not a path: expected /bookmarks")
        if idempotent is None:
            idempotent = method.upper() != "POST"
        return self._transport.send(Request(method, path, body, headers or {}, idempotent))

    @cached_property
    def _batch_size(self) -> int | None:
        """Maximum number of requests in a batch; None: no limit."""
        # Cliquet 3.1 reports a missing limit as 0 or as an empty string.
        size: int | None = self.server_info()["settings"].get("batch_max_requests") or None
        return size


__all__ = [
    "AlertWarning",
    "Response",
    "Batch",
    "BatchError",
    "Client",
    "ClientError",
    "Conflict",
    "Forbidden",
    "Gone",
    "InvalidParameters",
    "MethodNotAllowed",
    "TransportError",
    "NotFound",
    "Operations",
    "BackoffError",
    "PreconditionFailed",
    "Records",
    "Request",
    "Resource",
    "ResponseError",
    "ServerError",
    "ServiceUnavailable",
    "TooManyRequests",
    "Unauthorized",
    "new_id",
]
