"""Asynchronous client, with httpx. It requires the extra ``async``."""

from __future__ import annotations

import functools
import inspect
import os
import ssl
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import aclosing, contextmanager
from typing import Any

try:
    import anyio
    import httpx
except ImportError as error:
    raise ImportError("The package httpx is missing (pip install httpx)", name="httpx") from error

from requests.structures import CaseInsensitiveDict

from cliquet.client.base import BaseClient
from cliquet.client.batch import BaseBatch
from cliquet.client.copies import BaseCopy
from cliquet.client.failures import ClientError, TransportError
from cliquet.client.live import IDLE_SECONDS, Changes, ChangeStream, check_stream, is_stream
from cliquet.client.messages import HELLO, Request, Response
from cliquet.client.protocol import Pause, RawRequest, RawResponse, Result, Step
from cliquet.client.querystring import querystring
from cliquet.client.resources import BaseRecords, Operations, new_id, next_query
from cliquet.client.version import USER_AGENT


class AsyncClient(
    BaseClient[httpx.AsyncClient, Callable[[float], Awaitable[object]], Awaitable[Response]]
):
    """Connection of a user to a service, for asyncio and trio.

    It behaves like :class:`~cliquet.client.Client`, and has the same arguments, except for the
    types of these. An ``async with`` block closes its connections.

    :param auth: user name and password, or a function or coroutine function that adds credentials
        to a request of httpx and returns it. It is called before each attempt, and once more if the
        response is 401. None: the credentials in the URL, or those of the session.
    :param session: client of httpx with certificates, proxies or headers; new by default.
    :param sleep: coroutine function that waits for a number of seconds; ``anyio.sleep`` by default.
    """

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, except those of a session passed by the caller."""
        await self._transport.close()
        self._protocol.issue_alerts()

    async def server_info(self) -> dict[str, Any]:
        """Return the service's description of itself, at ``/``.

        :raises ClientError: if the request fails.
        """
        body: dict[str, Any] = (await self._send(HELLO)).body
        return body

    def resource(self, path: str, id_factory: Callable[[], str] | None = new_id) -> AsyncResource:
        """Return the resource at a path, like :meth:`cliquet.client.Client.resource`."""
        return AsyncResource(self._send, path, id_factory, self._open)

    def copy(
        self, path: str, records: Iterable[dict[str, Any]] = (), timestamp: int | None = None
    ) -> AsyncCopy:
        """Return a copy of a resource, like :meth:`cliquet.client.Client.copy`."""
        return AsyncCopy(self._send, path, records, timestamp)

    def batch(
        self, check: bool = True, size: int | None = None, atomic: bool = False
    ) -> AsyncBatch:
        """Return a batch for an ``async with`` block, like :meth:`cliquet.client.Client.batch`."""
        return AsyncBatch(self._send, size, check, self._server, atomic)

    def _set_transport(
        self,
        session: httpx.AsyncClient | None,
        sleep: Callable[[float], Awaitable[object]] | None,
    ) -> None:
        self._transport = _Transport(self._protocol.auth, session, sleep or anyio.sleep)

    async def _open(self, request: Request, pause: float) -> AsyncGenerator[bytes, None]:
        self._protocol.delay_by(pause)
        return await self._transport.open(self._protocol.send(request))

    async def _send(self, request: Request) -> Response:
        return await _run(self._protocol.send(request), self._transport.perform)


class AsyncResource(Operations[Awaitable[Response]]):
    """A resource of a service, whose methods are awaited.

    They return the response, and raise :class:`~cliquet.client.ClientError` if the request fails.

    :param open_stream: coroutine function that opens a stream after a pause.
    """

    def __init__(
        self,
        send: Callable[[Request], Awaitable[Response]],
        path: str,
        id_factory: Callable[[], str] | None,
        open_stream: Callable[[Request, float], Awaitable[AsyncGenerator[bytes, None]]],
    ) -> None:
        super().__init__(send, path, id_factory)
        self._open = open_stream

    async def live(self, *, since: int | None = None, **params: Any) -> AsyncIterator[Changes]:
        """Yield the changes of matching records, like :meth:`cliquet.client.Resource.live`."""
        stream = ChangeStream(self._path, querystring(params), since)
        while True:
            try:
                async with aclosing(await self._open(stream.request(), stream.pause)) as content:
                    stream.begin()
                    async for chunk in content:
                        for changes in stream.read(chunk):
                            yield changes
            except ClientError as error:
                stream.interrupt(error)
            stream.end()

    async def list(self, /, **params: Any) -> AsyncRecords:
        """Return the matching records, to be iterated with ``async for``.

        :param params: parameters of the protocol, as of :meth:`cliquet.client.Resource.list`.
        """
        query = querystring(params)
        return AsyncRecords(self._path, query, await self._read_page(query), self._read_page)


class AsyncRecords(BaseRecords[Awaitable[Response]]):
    """Records of a list, read page by page. Each iteration starts with the same first page."""

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        async for page in self.pages():
            for record in page.data:
                yield record

    async def pages(self) -> AsyncIterator[Response]:
        """Yield the response of each page."""
        page, seen = self._first, set[object]()
        yield page
        while query := next_query(self._path, page, seen):
            page = await self._read(query)
            yield page


class AsyncCopy(BaseCopy[Awaitable[Response]]):
    """Copy of a resource, whose method :meth:`poll` is awaited.

    It behaves like :class:`~cliquet.client.Copy`.
    """

    async def poll(self) -> list[dict[str, Any]]:
        """Update the copy, and return the records that changed.

        :raises Forbidden: if the user can't read the list, or any record. Then the copy is empty.
        :raises ClientError: if a request fails. The next poll continues.
        """
        return await _run(self._poll(), self._send)


class AsyncBatch(BaseBatch[Awaitable[Response]]):
    """Requests that are sent together at the end of an ``async with`` block.

    It behaves like :class:`~cliquet.client.Batch`.
    """

    async def __aenter__(self) -> AsyncBatch:
        self._open = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        await _run(self._send_all(is_cancelled=kind is not None), self._send)


class _Transport:
    """Performs the steps of a call.

    :param auth: credentials.
    :param session: client of httpx; new by default.
    :param sleep: coroutine function that waits for a number of seconds.
    """

    def __init__(
        self,
        auth: Any,
        session: httpx.AsyncClient | None,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._auth = _Auth(auth) if callable(auth) else auth
        self._is_own = session is None
        self._session = session or _new_session()
        self._sleep = sleep
        self._process = os.getpid()

    async def close(self) -> None:
        if self._is_own:
            await self._session.aclose()

    async def perform(self, step: Pause | RawRequest) -> RawResponse | None:
        """Wait, or send a request once.

        :raises TransportError: without a complete response in time.
        """
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return None
        if self._is_own and self._process != os.getpid():
            # After a fork, parent and child would read each other's responses.
            self._session, self._process = _new_session(), os.getpid()
        with _transport_errors(step.request), anyio.fail_after(step.timeout):
            response = await self._request(step, is_stream=False)
        return _raw(response, response.content)

    async def open(
        self, steps: Generator[Pause | RawRequest, Any, Response]
    ) -> AsyncGenerator[bytes, None]:
        """Open a stream, and return its content, which is yielded as it arrives.

        :param steps: the steps of its request.
        :raises ClientError: if the stream can't be opened.
        """
        opened: list[httpx.Response] = []

        async def perform(step: Pause | RawRequest) -> RawResponse | None:
            if isinstance(step, Pause):
                return await self.perform(step)
            with _transport_errors(step.request), anyio.fail_after(step.timeout):
                response = await self._request(step, is_stream=True)
                opened[:] = [response]
                content = b"" if is_stream(response.headers) else await response.aread()
            return _raw(response, content)

        try:
            check_stream(await _run(steps, perform))
        except ClientError:
            for response in opened:
                await response.aclose()
            raise
        return _content(opened[0])

    async def _request(self, step: RawRequest, is_stream: bool) -> httpx.Response:
        request = self._session.build_request(
            step.request.method,
            step.url,
            content=step.content,
            headers=self._headers(step),
            timeout=httpx.Timeout(step.timeout, read=IDLE_SECONDS) if is_stream else step.timeout,
        )
        auth = self._auth or httpx.USE_CLIENT_DEFAULT
        return await self._session.send(
            request, auth=auth, stream=is_stream, follow_redirects=False
        )

    def _headers(self, step: RawRequest) -> dict[str, str]:
        user_agent = self._session.headers.get("User-Agent", "")
        if user_agent.startswith("python-httpx/"):
            return {"User-Agent": f"{USER_AGENT} {user_agent}", **step.headers}
        return step.headers


def _raw(response: httpx.Response, content: bytes) -> RawResponse:
    return RawResponse(response.status_code, CaseInsensitiveDict(response.headers), content)


async def _content(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    try:
        with _transport_errors("The stream was interrupted"):
            async for chunk in response.aiter_bytes():
                yield chunk
    finally:
        await response.aclose()


@contextmanager
def _transport_errors(request: object) -> Iterator[None]:
    """Raise TransportError for the errors of httpx in a block."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
        raise TransportError(
            f"{request}: {str(error) or 'timed out'}",
            is_transient=not _is_permanent(error),
            is_sent=not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)),
        ) from error


class _Auth(httpx.Auth):
    """Credentials that a function or coroutine function adds.

    :param add: takes and returns a request.
    """

    def __init__(self, add: Callable[[httpx.Request], Any]) -> None:
        self._add = add

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        result = self._add(request)
        yield await result if inspect.isawaitable(result) else result


def _new_session() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=_ssl_context())


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    """Return the default context, which takes long to load, for all clients of the process."""
    return httpx.create_ssl_context()


async def _run(
    steps: Generator[Step, Any, Result], perform: Callable[[Step], Awaitable[Any]]
) -> Result:
    """Perform the steps of a generator and return its result."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = await perform(step)
            except BaseException as error:  # also cancellation, so that the generator ends
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as done:
        result: Result = done.value
        return result


def _is_permanent(error: BaseException | None) -> bool:
    """Return whether a retry doesn't repair an error, such as an invalid certificate or header."""
    if isinstance(error, (ssl.SSLError, httpx.InvalidURL, httpx.LocalProtocolError)):
        return True
    if isinstance(error, ValueError):
        return True
    return error is not None and _is_permanent(error.__cause__ or error.__context__)
