"""Common part of the synchronous and the asynchronous client."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from cliquet.client.messages import Request, ServerFeatures
from cliquet.client.protocol import Protocol
from cliquet.client.resources import Result

Session = TypeVar("Session")
Sleep = TypeVar("Sleep")


class BaseClient(ABC, Generic[Session, Sleep, Result]):
    """Connection of a user to a service."""

    def __init__(
        self,
        server: str,
        auth: Any = None,
        *,
        timeout: float = 60,
        attempt_timeout: float = 30,
        retries: int = 4,
        delay: float = 1,
        session: Session | None = None,
        sleep: Sleep | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._protocol = Protocol(
            server,
            auth=auth,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            retries=retries,
            delay=delay,
            clock=clock,
        )
        self._server = ServerFeatures()
        self._set_transport(session, sleep)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._protocol.server}>"

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
    ) -> Result:
        """Send a request and return the response.

        :param path: quoted as in a URL, with the query string, without the version prefix.
        :param body: a JSON value; None: no body.
        :param idempotent: whether the client can retry the request; by default, unless the method
            is POST (RFC 9110, 9.2.2).
        :raises ClientError: if the request fails.
        :raises ValueError: if the path doesn't start with a slash, or a header is None.
        """
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is not a path: expected /bookmarks")
        for name, value in (headers or {}).items():
            if value is None:  # the package requests would omit it, even if it is a precondition
                raise ValueError(f"{method} {path}: the header {name} is None")
        if idempotent is None:
            idempotent = method.upper() != "POST"
        return self._send(Request(method, path, body, headers or {}, idempotent))

    @abstractmethod
    def _set_transport(self, session: Session | None, sleep: Sleep | None) -> None:
        """Set the transport, which performs the steps of a call."""

    @abstractmethod
    def _send(self, request: Request) -> Result:
        """Send a request and return the response."""
