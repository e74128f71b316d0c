"""Rules of the exchange with a server, without input and output.

A call is a generator of steps. It yields a :class:`Pause` or a :class:`RawRequest`; the client
performs the step, with requests or httpx, and sends back the :class:`RawResponse` or throws a
:class:`TransportError`. The generator returns the :class:`Response`.
"""

from __future__ import annotations

import json
import random
import re
import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

from cliquet.client.errors import AlertWarning, ResponseError, result_of
from cliquet.client.failures import BackoffError, ClientError, ProtocolError, TransportError
from cliquet.client.messages import Request, Response

#: Longer numbers of seconds are ignored.
_SECONDS = re.compile(r"[0-9]{1,9}")
#: Maximum pause that a server can request, in seconds, in case its headers are wrong.
_LONGEST_PAUSE = 24 * 60 * 60

_MAX_REDIRECTS = 10
_DEFAULT_PORTS = {"http": 80, "https": 443}

Step = TypeVar("Step")
Result = TypeVar("Result")


class Pause(NamedTuple):
    """Wait for a number of seconds."""

    seconds: float


class RawRequest(NamedTuple):
    """Send an HTTP request once, without following redirects.

    :param timeout: limit for the whole exchange, in seconds.
    """

    request: Request
    url: str
    headers: dict[str, str]
    content: bytes | None
    timeout: float


class RawResponse(NamedTuple):
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def run(steps: Generator[Step, Any, Result], perform: Callable[[Step], Any]) -> Result:
    """Perform the steps of a generator and return its result."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = perform(step)
            except BaseException as error:  # also interrupts, so that the generator ends
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as done:
        result: Result = done.value
        return result


class Protocol:
    """The exchange with one server.

    :param server: URL of the service.
    :param auth: user name and password, or a callable.
    :param retries: maximum number of retries of a request.
    :param delay: delay before the first retry, in seconds.
    :param timeout: limit for a call, in seconds.
    :param attempt_timeout: limit for each attempt, in seconds.
    :param clock: function that returns the monotonic time, in seconds.
    """

    def __init__(
        self,
        server: str,
        *,
        auth: Any,
        retries: int,
        delay: float,
        timeout: float,
        attempt_timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self.server, url_auth = _parse_server(server)
        self.auth = _check_auth(url_auth if auth is None else auth)
        self._origin = _origin(self.server)
        self._retries = retries
        self._delay = delay
        self._timeout = timeout
        self._attempt_timeout = attempt_timeout
        self._clock = clock
        self._not_before = clock()
        self._alerts: dict[str, bool] = {}

    def send(self, request: Request) -> Generator[Pause | RawRequest, Any, Response]:
        """Return the steps that send a request, with retries.

        :raises ClientError: the error of the last attempt.
        """
        self.issue_alerts()
        deadline = self._clock() + self._timeout
        attempts = 0
        while True:
            yield from self._wait(deadline)
            attempts += 1
            try:
                response = yield from self._attempt(request, deadline)
                break
            except ClientError as error:
                self._raise_unless_retried(error, request, attempts, deadline)
        if request.is_safe:
            self.issue_alerts()
        return replace(response, attempts=attempts)

    def issue_alerts(self) -> None:
        """Issue a warning for each new ``Alert``.

        Called when no write has just succeeded: warnings can be configured to raise.
        """
        for alert in [alert for alert, is_issued in self._alerts.items() if not is_issued]:
            self._alerts[alert] = True
            host = urlsplit(self.server).hostname
            warnings.warn(f"{host}: {_alert_message(alert)}", AlertWarning, stacklevel=2)

    def apply_backoff_headers(self, headers: Mapping[str, str]) -> None:
        """Delay the next requests as ``Backoff`` and ``Retry-After`` demand."""
        for name in ("Backoff", "Retry-After"):
            pause = _seconds(headers.get(name), headers.get("Date"))
            self.delay_by(min(pause, _LONGEST_PAUSE))

    def delay_by(self, seconds: float) -> None:
        """Send no request for a number of seconds."""
        self._not_before = max(self._not_before, self._clock() + seconds)

    def _wait(self, deadline: float) -> Generator[Pause, Any, None]:
        pause = self._not_before - self._clock()
        if pause > 0:
            if self._not_before >= deadline:
                raise BackoffError(pause)
            yield Pause(pause)

    def _raise_unless_retried(
        self, error: ClientError, request: Request, attempts: int, deadline: float
    ) -> None:
        is_unsent = isinstance(error, TransportError) and not error.is_sent
        is_harmless = request.idempotent or is_unsent
        is_retried = error.is_transient and is_harmless and attempts <= self._retries
        if is_retried:
            # Clients whose requests failed together must not retry together.
            self.delay_by(self._delay * 2 ** (attempts - 1) * random.uniform(0.5, 1.5))
        if not is_retried or self._not_before >= deadline:
            add_note(error, request, attempts)
            raise error

    def _attempt(
        self, request: Request, deadline: float
    ) -> Generator[RawRequest, RawResponse, Response]:
        response = yield from self._receive(request, deadline)
        if not isinstance(self.auth, tuple | None) and _is_unauthorized(request, response):
            # The callable can return other credentials, which have not expired.
            response = yield from self._receive(request, deadline)
        return result_of(request, response)

    def _receive(
        self, request: Request, deadline: float
    ) -> Generator[RawRequest, RawResponse, Response]:
        raw = yield from self._exchange(request, deadline)
        response = Response(raw.status, raw.headers, _parse_json(raw.content))
        if response.ok and response.body is None and raw.content:
            kind = raw.headers.get("Content-Type", "without a type")
            raise TransportError(f"{request}: the body is not JSON, but {kind}")
        return response

    def _exchange(
        self, request: Request, deadline: float
    ) -> Generator[RawRequest, RawResponse, RawResponse]:
        """Send a request, and follow redirects on the same server."""
        headers = {"Accept": "application/json"}
        content = None
        if request.body is not None:
            content = json.dumps(request.body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        headers |= request.headers
        url: str | None = self.server + request.path
        for _ in range(_MAX_REDIRECTS + 1):
            timeout = max(0.001, min(self._attempt_timeout, deadline - self._clock()))
            raw = yield RawRequest(request, url or "", headers, content, timeout)
            self.apply_backoff_headers(raw.headers)
            if alert := raw.headers.get("Alert"):
                self._alerts.setdefault(alert, False)
            url = self._redirect_target(request, url or "", raw)
            if url is None:
                return raw
        raise ProtocolError(f"{request}: more than {_MAX_REDIRECTS} redirects")

    def _redirect_target(self, request: Request, url: str, raw: RawResponse) -> str | None:
        """Return the URL that a response redirects the request to, or None.

        :raises ProtocolError: if it is on another server, which must not see the credentials.
        """
        # As browsers do, some servers expect a GET after these: it would write nothing.
        is_kept = raw.status in (307, 308) or (request.is_safe and raw.status in (301, 302, 303))
        location = raw.headers.get("Location")
        if not (is_kept and location):
            return None
        origin = _origin(location, url)
        if origin != self._origin:
            raise ProtocolError(
                f"{request}: redirected to {origin or 'an invalid URL'}, but credentials are only"
                f" sent to {self._origin}. If the service has moved, change the URL of the client"
            )
        return urljoin(url, location)


def _parse_server(server: str) -> tuple[str, tuple[str, str] | None]:
    """Return the URL of a service without credentials, and the credentials in it.

    :raises ValueError: if it isn't the URL of a service.
    """
    server = server.strip()
    if not _origin(server) or "?" in server or "#" in server:
        without_password = server.rpartition("@")[2]
        raise ValueError(
            f"{without_password!r} is not a server URL: expected https://api.example.com/v1"
        )
    parts = urlsplit(server)
    auth = None
    if parts.username is not None:
        auth = (unquote(parts.username), unquote(parts.password or ""))
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc).geturl().rstrip("/"), auth


def _check_auth(auth: object) -> Any:
    is_pair = isinstance(auth, tuple) and len(auth) == 2
    is_flow = hasattr(auth, "auth_flow")  # of httpx
    if not (auth is None or is_pair or is_flow or callable(auth)):
        raise TypeError("auth: expected a user and a password, (user, password), or a callable")
    return auth


def _origin(url: str, base: str = "") -> str | None:
    """Return scheme, host and port of a URL; None unless it is a URL of HTTP."""
    try:
        parts = urlsplit(urljoin(base, url))
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (KeyError, ValueError):
        return None
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname else None


def add_note(error: ClientError, request: Request, attempts: int) -> None:
    """Note how often a request was sent, and whether it can have had its effect."""
    is_lost = isinstance(error, TransportError) and error.is_sent
    is_unknown = is_lost or (isinstance(error, ResponseError) and error.code in (502, 504))
    if not request.is_safe and (attempts > 1 or is_unknown):
        times = "once" if attempts == 1 else f"{attempts} times"
        error.add_note(f"Sent {times}: the server may have processed it.")
    elif attempts > 1:
        error.add_note(f"Sent {attempts} times.")


def _is_unauthorized(request: Request, response: Response) -> bool:
    """Return whether credentials were refused and the request can safely be sent again."""
    items = response.member("responses")
    if response.status == 401 or not isinstance(items, list):
        return response.status == 401
    # A batch itself needs no credentials: its requests are refused one by one.
    statuses = [item.get("status") for item in items if isinstance(item, dict)]
    has_effect = any(status in range(400) for status in statuses)
    return 401 in statuses and (request.idempotent or not has_effect)


def _parse_json(content: bytes) -> Any:
    """Return the value of a body; None if it is empty or not JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _seconds(value: str | None, date: str | None) -> float:
    """Return the delay that a header demands, in seconds (RFC 9110, 10.2.3).

    :param value: a number of seconds, or a time.
    :param date: time of the response, because the clocks can differ.
    """
    if value is None:
        return 0
    if _SECONDS.fullmatch(value):
        return int(value)
    try:
        return (parsedate_to_datetime(value) - parsedate_to_datetime(date)).total_seconds()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0


def _alert_message(alert: str) -> str:
    value = _parse_json(alert.encode())
    if not isinstance(value, dict):
        return alert
    parts = (str(value[key]) for key in ("code", "message", "url") if value.get(key))
    return ", ".join(parts)
