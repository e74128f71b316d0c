"""How requests reach the server: again when that helps, and only when the server wants them."""

from __future__ import annotations

import json
import random
import re
import warnings
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from cliquet.client.errors import AlertWarning, BackoffError, ClientError, TransportError, error_of
from cliquet.client.messages import Request, Response

# What fails later, too: certificates, redirections without end, headers that are none.
PERMANENT = (requests.exceptions.SSLError, requests.TooManyRedirects, ValueError)

# More seconds are as good as none: they can't be meant.
_SECONDS = re.compile(r"[0-9]{1,9}")


class Transport:
    """The way to one server; the parameters are those of :class:`cliquet.client.Client`."""

    def __init__(
        self,
        server: str,
        *,
        auth: Any,
        attempt_timeout: float,
        retries: int,
        delay: float,
        timeout: float,
        session: requests.Session,
        sleep: Callable[[float], object],
        clock: Callable[[], float],
    ) -> None:
        parts = urlsplit(server)
        is_http = parts.scheme in ("http", "https") and parts.hostname
        if not is_http or parts.query or parts.fragment:
            raise ValueError(f"{server!r} is no server: expected https://api.example.com/v1")
        self._server = server.rstrip("/")
        self._name = parts.hostname
        if not (auth is None or callable(auth) or (isinstance(auth, tuple) and len(auth) == 2)):
            raise TypeError("auth: expected a user and a password, (user, password), or a function")
        self._auth = auth
        self._attempt_timeout = attempt_timeout
        self._retries = retries
        self._delay = delay
        self._timeout = timeout
        self._session = session
        self._sleep = sleep
        self._clock = clock
        self._not_before = clock()
        self._alerts: set[str] = set()

    def send(self, request: Request) -> Response:
        """Send a request, several times if need be, and return the result: a success, or 304.

        :raises ClientError: that of the last time.
        """
        attempt = 0
        while True:
            self._wait()
            try:
                return self._exchange(request)
            except ClientError as error:
                if attempt:
                    error.add_note(_note(request, attempt + 1))
                if not (error.is_transient and request.idempotent and attempt < self._retries):
                    raise
                # Not all clients at the same moment.
                self.delay_until(self._delay * 2**attempt * random.uniform(0.5, 1.5))
                if self._pause() > self._timeout:
                    raise
            attempt += 1

    def _exchange(self, request: Request) -> Response:
        """Send a request once."""
        response = self._response(request)
        self.apply_backoff_headers(response.headers)
        body = _json(response.content)
        result = Response(response.status_code, response.headers, body)
        if not result.ok:
            raise error_of(request, result)
        if body is None and response.content:
            kind = response.headers.get("Content-Type", "of no type")
            raise TransportError(
                f"{request.method} {request.path}: the body is no JSON, but {kind}"
            )
        if not _is_expected(request, result):
            failure = TransportError(
                f"{request.method} {request.path}: the body has no {request.member!r}:"
                " is something else at the client's URL?"
            )
            failure.is_transient = False
            raise failure
        return result

    def _response(self, request: Request) -> requests.Response:
        content = None if request.body is None else json.dumps(request.body, allow_nan=False)
        headers = {"Accept": "application/json", **request.headers}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = self._session.request(
                request.method,
                self._server + request.path,
                data=content,
                headers=headers,
                auth=self._auth,
                timeout=self._attempt_timeout,
            )
        except requests.RequestException as error:
            failure = TransportError(f"{request.method} {request.path}: {_reason(error)}")
            failure.is_transient = not isinstance(error, PERMANENT)
            raise failure from error
        # As browsers do, requests follows some redirections of a POST by a GET: it wrote nothing.
        is_other = response.request.method != request.method.upper()
        return response.history[0] if is_other else response

    # What the server asks for (protocol, "Errors").

    def apply_backoff_headers(self, headers: Mapping[str, str]) -> None:
        for name in ("Backoff", "Retry-After"):
            self.delay_until(_seconds(headers.get(name), headers.get("Date")))
        alert = headers.get("Alert")
        if alert and alert not in self._alerts:
            self._alerts.add(alert)
            warnings.warn(f"{self._name}: {_sentence(alert)}", AlertWarning, stacklevel=2)

    def delay_until(self, seconds: float) -> None:
        """Send nothing for as long."""
        self._not_before = max(self._not_before, self._clock() + seconds)

    def _pause(self) -> float:
        """How long nothing should be sent, in seconds."""
        return max(0, self._not_before - self._clock())

    def _wait(self) -> None:
        pause = self._pause()
        if pause > self._timeout:
            raise BackoffError(pause)
        if pause:
            self._sleep(pause)


def _note(request: Request, times: int) -> str:
    """What there is to know of a request that was sent several times."""
    is_safe = request.method.upper() in ("GET", "HEAD")
    return f"Sent {times} times" + ("." if is_safe else ": it may have had its effect before.")


def _reason(error: Exception) -> object:
    """What an error of requests is about, without the attempts that it counts: they aren't ours."""
    return getattr(error.args[0] if error.args else None, "reason", None) or error


def _is_expected(request: Request, result: Response) -> bool:
    """Whether an result of success has the member that its request expects."""
    is_bodiless = request.method == "HEAD" or result.status in (204, 304)
    if is_bodiless or request.member is None:
        return True
    return isinstance(result.body, dict) and request.member in result.body


def _json(content: bytes) -> Any:
    """The value of a body; None if it is empty, or no JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def _seconds(text: str | None, date: str | None) -> float:
    """How long a header asks to wait: in seconds, or until a time (RFC 9110, 10.2.3).

    :param date: when the result was made, for the clocks needn't agree.
    """
    if text is None:
        return 0
    if _SECONDS.fullmatch(text):
        return int(text)
    try:
        return (parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0


def _sentence(alert: str) -> str:
    """What an ``Alert`` says."""
    value = _json(alert.encode())
    if not isinstance(value, dict):
        return alert
    parts = (str(value[key]) for key in ("code", "message", "url") if value.get(key))
    return ", ".join(parts)
