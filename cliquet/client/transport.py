"""Input and output with requests: one connection pool per process, and limits in time."""

from __future__ import annotations

import http.client
import io
import os
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import connection, connectionpool
from urllib3.exceptions import NewConnectionError

from cliquet.client.failures import ClientError, TransportError
from cliquet.client.live import IDLE_SECONDS, check_stream, is_stream
from cliquet.client.messages import Response
from cliquet.client.protocol import Pause, RawRequest, RawResponse, run
from cliquet.client.version import USER_AGENT

#: Errors that a retry doesn't repair, such as invalid certificates and headers.
PERMANENT = (requests.exceptions.SSLError, ValueError)


class Transport:
    """Performs the steps of a call.

    :param auth: credentials, as in requests.
    :param session: requests session; new by default.
    :param sleep: function that waits for a number of seconds.
    """

    def __init__(
        self,
        auth: Any,
        session: requests.Session | None,
        sleep: Callable[[float], object],
    ) -> None:
        self._is_own = session is None
        self._session = session or _new_session()
        if isinstance(auth, tuple):
            auth = tuple(part.encode() if isinstance(part, str) else part for part in auth)
        self._auth = auth
        self._sleep = sleep
        self._process = os.getpid()

    def close(self) -> None:
        """Close the connections, except those of a session passed by the caller."""
        if self._is_own:
            self._session.close()

    def perform(self, step: Pause | RawRequest) -> RawResponse | None:
        """Wait, or send a request once.

        :raises TransportError: without a complete response in time.
        """
        if isinstance(step, Pause):
            self._sleep(step.seconds)
            return None
        if self._process != os.getpid():
            # After a fork, parent and child would read each other's responses.
            self._session.close()
            self._process = os.getpid()
        with _transport_errors(step.request):
            response = self._request(self._session, step, timeout=step.timeout)
        return RawResponse(response.status_code, response.headers, response.content)

    def open(
        self, steps: Generator[Pause | RawRequest, Any, Response]
    ) -> Generator[bytes, None, None]:
        """Open a stream, and return its content, which is yielded as it arrives.

        :param steps: the steps of its request.
        :raises ClientError: if the stream can't be opened.
        """
        # The adapter of the client limits the time of whole responses.
        session = requests.Session() if self._is_own else self._session
        opened: list[requests.Response] = []

        def perform(step: Pause | RawRequest) -> RawResponse | None:
            if isinstance(step, Pause):
                return self.perform(step)
            with _transport_errors(step.request):
                timeout = step.timeout, IDLE_SECONDS
                response = self._request(session, step, timeout=timeout, stream=True)
                opened[:] = [response]
                content = b"" if is_stream(response.headers) else response.content
            return RawResponse(response.status_code, response.headers, content)

        try:
            check_stream(run(steps, perform))
        except ClientError:
            self._close_stream(session, opened)
            raise
        return self._content(session, opened)

    def _content(
        self, session: requests.Session, opened: list[requests.Response]
    ) -> Generator[bytes, None, None]:
        try:
            with _transport_errors("The stream was interrupted"):
                yield from opened[0].iter_content(None)
        finally:
            self._close_stream(session, opened)

    def _close_stream(self, session: requests.Session, opened: list[requests.Response]) -> None:
        for response in opened:
            response.close()
        if self._is_own:
            session.close()

    def _request(
        self, session: requests.Session, step: RawRequest, **options: Any
    ) -> requests.Response:
        return session.request(
            step.request.method,
            step.url,
            data=step.content,
            headers=self._headers(step),
            auth=self._auth_for(step),
            allow_redirects=False,
            **options,
        )

    def _headers(self, step: RawRequest) -> dict[str, str]:
        user_agent = str(self._session.headers.get("User-Agent", ""))
        if user_agent.startswith("python-requests/"):
            return {"User-Agent": f"{USER_AGENT} {user_agent}", **step.headers}
        return step.headers

    def _auth_for(self, step: RawRequest) -> Any:
        names = {*map(str.lower, step.headers), *map(str.lower, self._session.headers)}
        if self._auth is None and "authorization" in names:
            return _keep  # instead of the credentials in ~/.netrc
        return self._auth


@contextmanager
def _transport_errors(request: object) -> Iterator[None]:
    """Raise TransportError for the errors of requests in a block."""
    try:
        yield
    except (requests.RequestException, ValueError) as error:  # the latter for a Location
        raise TransportError(
            f"{request}: {_reason(error)}",
            is_transient=not isinstance(error, PERMANENT),
            is_sent=not isinstance(_reason(error), NewConnectionError),
        ) from error


def _new_session() -> requests.Session:
    session = requests.Session()
    for prefix in ("http://", "https://"):
        session.mount(prefix, _Adapter())
    return session


def _keep(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _reason(error: Exception) -> object:
    """Return the cause of an error of requests, without urllib3's count of attempts."""
    return getattr(error.args[0] if error.args else None, "reason", None) or error


# urllib3 limits the time of each read. These classes make it the limit of the whole response.


class _DeadlineReader(io.RawIOBase):
    """Bytes of a socket, until its timeout has passed in all."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        timeout: Any = sock.gettimeout()  # always set, by RawRequest.timeout
        self._deadline = time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("The read operation timed out")
        self._sock.settimeout(remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_DeadlineReader(sock))


class HTTPConnection(connection.HTTPConnection):
    response_class = _Response


class HTTPSConnection(connection.HTTPSConnection):
    response_class = _Response


class HTTPConnectionPool(connectionpool.HTTPConnectionPool):
    ConnectionCls = HTTPConnection


class HTTPSConnectionPool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = HTTPSConnection


_POOLS = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}


class _Adapter(HTTPAdapter):
    """Adapter of requests that limits the time of the whole response."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager
