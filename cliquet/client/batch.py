"""Batches: several requests in one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from typing import Any, Generic

from requests.structures import CaseInsensitiveDict

from cliquet.client.errors import BatchError, ResponseError, result_of
from cliquet.client.failures import ClientError, ProtocolError
from cliquet.client.messages import HELLO, Request, Response, ServerFeatures
from cliquet.client.protocol import add_note, run
from cliquet.client.resources import Operations, Result, new_id

Entries = Sequence[tuple[Request, "Future[Response]"]]
Steps = Generator[Request, Response, None]

_NO_REQUESTS = {"atomic": True, "requests": []}
_TOO_LARGE = 413


class BaseBatch(Generic[Result]):
    """Requests that are sent together at the end of a block.

    :param send: function that sends a :class:`Request`.
    :param size: maximum number of requests; None: the server's limit.
    :param check: whether to raise :class:`BatchError`; the futures raise their errors in any case.
    :param server: the server's features, once they are known.
    :param atomic: whether the server undoes all changes if a request fails.
    """

    def __init__(
        self,
        send: Callable[[Request], Result],
        size: int | None,
        check: bool,
        server: ServerFeatures,
        atomic: bool,
    ) -> None:
        self._send = send
        self._size = size
        self._atomic = atomic
        self._server = server
        self._check = check
        self._entries: list[tuple[Request, Future[Response]]] = []
        self._open = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._entries)} requests>"

    def resource(
        self, path: str, id_factory: Callable[[], str] | None = new_id
    ) -> Operations[Future[Response]]:
        """Return the resource at a path, like :meth:`Client.resource`.

        Its methods return futures of a :class:`Response`, which are done at the end of the block.
        """
        return Operations(self._add, path, id_factory)

    def _add(self, request: Request) -> Future[Response]:
        if not self._open:
            raise RuntimeError("Add requests to a batch inside its with block")
        future: Future[Response] = Future()
        self._entries.append((request, future))
        return future

    def _send_all(self, is_cancelled: bool) -> Steps:
        """Return the steps that send the requests: each yields a request for its response."""
        self._open = False
        entries, self._entries = self._entries, []
        try:
            if entries and not is_cancelled:
                yield from self._send_in_parts(entries)
        finally:
            for _, future in entries:
                future.cancel()  # no effect on futures that are done

    def _send_in_parts(self, entries: Entries) -> Steps:
        size = self._size
        if self._atomic:
            size = len(entries)
            if size > 1:
                yield from self._require_atomic_batches()
        elif size is None and len(entries) > 1:
            size = yield from self._batch_limit()
        size = size or len(entries)
        for start in range(0, len(entries), size):
            yield from _send_part(entries[start : start + size], self._atomic)
        outcomes = [future.exception() for _, future in entries]
        errors = [error for error in outcomes if isinstance(error, ClientError)]
        if errors and self._check:
            raise BatchError(f"{len(errors)} of {len(entries)} requests failed", errors)

    def _batch_limit(self) -> Generator[Request, Response, int | None]:
        if not self._server.has_batch_limit:
            hello = yield HELLO
            self._server.batch_limit = _batch_limit(hello)
            self._server.has_batch_limit = True
        return self._server.batch_limit

    def _require_atomic_batches(self) -> Steps:
        """Check with an empty batch that the server doesn't ignore ``atomic`` and keep changes.

        :raises ProtocolError: if the server ignores it.
        """
        if not self._server.has_atomic_batches:
            response = yield Request("POST", "/batch", _NO_REQUESTS, {}, True, ("responses", list))
            if response.body.get("atomic") is not True:
                raise ProtocolError("POST /batch: the server does not support atomic batches")
            self._server.has_atomic_batches = True


class Batch(BaseBatch[Response]):
    """Requests that are sent together at the end of a ``with`` block.

    .. code-block:: python

        with client.batch() as batch:
            bookmarks = batch.resource("/bookmarks")
            created = bookmarks.create({"url": "https://www.python.org"})
            bookmarks.delete(id)
        created.result().data

    If the block raises an exception, nothing is sent. The server processes a batch in one
    transaction. A batch with more requests than the server allows is split into several.

    The block raises :class:`BatchError` if the server refused some requests; the others are done.
    If the server refuses the whole batch because of some of its requests, the batch is split until
    these are found. The block raises another :class:`ClientError` if a batch failed otherwise:
    none of its requests are done, unless the response was lost, and the futures of requests that
    were not sent are canceled. If the block is interrupted while it waits, all futures without a
    response are canceled.
    """

    def __enter__(self) -> Batch:
        self._open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        run(self._send_all(is_cancelled=kind is not None), self._send)


def _batch_limit(hello: Response) -> int | None:
    """Return the maximum number of requests in a batch; None without a limit."""
    # Cliquet 3.1 reports a missing limit as 0 or as an empty string.
    size = hello.body["settings"].get("batch_max_requests")
    return size if isinstance(size, int) and size > 0 else None


def _send_part(entries: Entries, atomic: bool = False) -> Steps:
    """Send a part of a batch, and split it if the server refuses it because of some requests."""
    if len(entries) < 2:
        for request, future in entries:
            yield from _send_alone(request, future)
        return
    try:
        entries = yield from _send_together(entries, atomic)
    except ClientError as error:
        if atomic or not _is_refusal(error, entries):
            for _, future in entries:
                future.set_exception(error)
            raise
    middle = len(entries) // 2
    yield from _send_part(entries[:middle])
    yield from _send_part(entries[middle:])


def _send_alone(request: Request, future: Future[Response]) -> Steps:
    try:
        future.set_result((yield request))
    except ClientError as error:
        future.set_exception(error)
        if not _is_refusal(error, [(request, future)]):
            raise


def _send_together(entries: Entries, atomic: bool) -> Generator[Request, Response, Entries]:
    """Send requests in one batch, and return those beyond its limits of size or time."""
    body: dict[str, Any] = {"requests": [_item(request) for request, _ in entries]}
    idempotent = all(request.idempotent for request, _ in entries)
    if atomic:
        body["atomic"] = True
        # A repetition would fail because of the records that the first attempt has created.
        idempotent = False
    batch = Request("POST", "/batch", body, {}, idempotent, ("responses", list))
    combined = yield batch
    responses = [_response(item) for item in combined.body["responses"]]
    if len(responses) != len(entries):
        raise ProtocolError(f"{batch}: {len(responses)} responses to {len(entries)} requests")
    remaining = []
    for (request, future), response in zip(entries, responses, strict=True):
        try:
            future.set_result(result_of(request, response))
        except ClientError as error:
            if response.status == _TOO_LARGE and not atomic:
                remaining.append((request, future))
                continue
            add_note(error, request, combined.attempts)
            future.set_exception(error)
    return remaining


def _is_refusal(error: ClientError, entries: Entries) -> bool:
    """Return whether one of the requests can be the reason why the server refused all."""
    if not isinstance(error, ResponseError) or error.is_transient or error.code == 401:
        return False
    # A server that fails without transactions can have processed some of the requests.
    return error.code < 500 or all(request.idempotent for request, _ in entries)


def _item(request: Request) -> dict[str, Any]:
    item = {
        "method": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "body": request.body,
    }
    return {key: value for key, value in item.items() if value is not None}


def _response(item: Any) -> Response:
    """Return a response of a batch.

    :raises ProtocolError: if it isn't one.
    """
    try:
        return Response(item["status"] + 0, CaseInsensitiveDict(item["headers"]), item["body"])
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError("POST /batch: a response has no status, headers or body") from error
