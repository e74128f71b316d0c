"""Several requests in one (protocol, "Batch")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from requests.structures import CaseInsensitiveDict

from cliquet.client.errors import BatchError, ClientError, ResponseError, error_of
from cliquet.client.messages import Answer, Request
from cliquet.client.resources import Operations, new_id


class Batch:
    """Requests that are sent together when a ``with`` statement ends.

    .. code-block:: python

        with client.batch() as batch:
            bookmarks = batch.resource("/bookmarks")
            created = bookmarks.create({"url": "https://www.python.org"})
            bookmarks.delete(id)
        created.result().data

    If the block raises, nothing is sent. A batch is one transaction of the server, unless it has
    more requests than the server allows in one: then it is several, one after the other.

    The block ends with :class:`BatchError` if requests were refused: the others are done. It ends
    with another :class:`ClientError` if the batch itself failed: nothing of that part is done, and
    the futures of what wasn't sent are cancelled.

    :param send: sends the batch itself.
    :param limit: tells how many requests the server allows in one, or None.
    :param check: whether to raise :class:`BatchError`; the futures raise in any case.
    """

    def __init__(
        self, send: Callable[[Request], Answer], limit: Callable[[], int | None], check: bool
    ) -> None:
        self._send = send
        self._limit = limit
        self._check = check
        self._entries: list[tuple[Request, Future[Answer]]] = []
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
                future.cancel()  # unless it was answered

    def resource(
        self, path: str, new_id: Callable[[], str] | None = new_id
    ) -> Operations[Future[Answer]]:
        """Return the resource at a path, as :meth:`Client.resource` does.

        Its methods return a future, which has the :class:`Answer`, or raises the error, when the
        block has ended.
        """
        return Operations(self._add, path, new_id)

    def _add(self, request: Request) -> Future[Answer]:
        if not self._open:
            raise RuntimeError("Requests are added to a batch in its with statement")
        future: Future[Answer] = Future()
        self._entries.append((request, future))
        return future

    def _send_all(self, entries: Sequence[tuple[Request, Future[Answer]]]) -> None:
        size = (entries and self._limit()) or len(entries) or 1
        for start in range(0, len(entries), size):
            self._send_part(entries[start : start + size])
        outcomes = [future.exception() for _, future in entries]
        errors = [error for error in outcomes if isinstance(error, ResponseError)]
        if errors and self._check:
            raise BatchError(f"{len(errors)} of {len(entries)} requests were refused", errors)

    def _send_part(self, entries: Sequence[tuple[Request, Future[Answer]]]) -> None:
        body = {"requests": [_item(request) for request, _ in entries]}
        repeatable = all(request.repeatable for request, _ in entries)
        try:
            answer = self._send(Request("POST", "/batch", body, {}, repeatable, "responses"))
        except ClientError as error:
            for _, future in entries:
                future.set_exception(error)
            raise
        for (request, future), item in zip(entries, answer.body["responses"], strict=True):
            _settle(request, future, item)


def _item(request: Request) -> dict[str, Any]:
    item = {
        "method": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "body": request.body,
    }
    return {key: value for key, value in item.items() if value is not None}


def _settle(request: Request, future: Future[Answer], item: dict[str, Any]) -> None:
    answer = Answer(item["status"], CaseInsensitiveDict(item["headers"]), item["body"])
    if answer.ok:
        future.set_result(answer)
    else:
        future.set_exception(error_of(request, answer))
