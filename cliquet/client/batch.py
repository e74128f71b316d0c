"""Batches: several requests in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from requests.structures import CaseInsensitiveDict

from cliquet.client.errors import BatchError, ClientError, ResponseError, error_of
from cliquet.client.messages import Request, Response
from cliquet.client.resources import Operations, new_id


class Batch:
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
    It raises another :class:`ClientError` if a whole batch failed: none of its requests are done,
    and the futures of requests that were not sent are cancelled.

    :param send: function that sends a :class:`Request`.
    :param limit: function that returns the server's limit of requests in a batch, or None.
    :param check: whether to raise :class:`BatchError`; the futures raise their errors in any case.
    """

    def __init__(
        self, send: Callable[[Request], Response], limit: Callable[[], int | None], check: bool
    ) -> None:
        self._send = send
        self._limit = limit
        self._check = check
        self._entries: list[tuple[Request, Future[Response]]] = []
        self._open = False

    def __enter__(self) -> Batch:
        self._open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._open = False
        entries, self._entries = self._entries, []
        try:
            if kind is None:
                self._send_all(entries)
        finally:
            for _, future in entries:
                future.cancel()  # no effect on futures that are done

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

    def _send_all(self, entries: Sequence[tuple[Request, Future[Response]]]) -> None:
        size = (entries and self._limit()) or len(entries) or 1
        for start in range(0, len(entries), size):
            self._send_part(entries[start : start + size])
        outcomes = [future.exception() for _, future in entries]
        errors = [error for error in outcomes if isinstance(error, ResponseError)]
        if errors and self._check:
            raise BatchError(f"{len(errors)} of {len(entries)} requests failed", errors)

    def _send_part(self, entries: Sequence[tuple[Request, Future[Response]]]) -> None:
        body = {"requests": [_item(request) for request, _ in entries]}
        idempotent = all(request.idempotent for request, _ in entries)
        try:
            response = self._send(Request("POST", "/batch", body, {}, idempotent, "responses"))
        except ClientError as error:
            for _, future in entries:
                future.set_exception(error)
            raise
        for (request, future), item in zip(entries, response.body["responses"], strict=True):
            _resolve(request, future, item)


def _item(request: Request) -> dict[str, Any]:
    item = {
        "method": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "body": request.body,
    }
    return {key: value for key, value in item.items() if value is not None}


def _resolve(request: Request, future: Future[Response], item: dict[str, Any]) -> None:
    response = Response(item["status"], CaseInsensitiveDict(item["headers"]), item["body"])
    if response.ok:
        future.set_result(response)
    else:
        future.set_exception(error_of(request, response))
