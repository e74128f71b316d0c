"""The records at one path of a service."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

from cliquet.client.messages import Answer, Request
from cliquet.client.querystring import querystring

#: What a request gives: an answer, or in a batch the promise of one.
Result = TypeVar("Result")


def new_id() -> str:
    """Return an id that no record has yet: a random UUID."""
    return str(uuid.uuid4())


class Operations(Generic[Result]):
    """What can be asked of a resource: alone, or in a batch.

    Preconditions are timestamps in milliseconds, as :attr:`Answer.timestamp` is, or a text for the
    header itself: ``if_none_match="*"`` requires that there is no such record.

    :param send: takes a :class:`Request`.
    :param path: of the collection, quoted.
    :param new_id: makes ids of records; None: the server does.
    """

    def __init__(
        self, send: Callable[[Request], Result], path: str, new_id: Callable[[], str] | None
    ) -> None:
        if not path.startswith("/") or path.endswith("/") or "?" in path or "#" in path:
            raise ValueError(f"{path!r} is no path of a collection: expected /bookmarks")
        self._send = send
        self._path = path
        self._new_id = new_id

    def head(self, /, **params: Any) -> Result:
        """Ask for the ``timestamp`` of the collection, and for the ``total`` of what matches.

        :param params: as those of :meth:`Resource.list`.
        """
        return self._ask("HEAD", self._path + querystring(params))

    def get(
        self, id: str, *, if_match: int | str | None = None, if_none_match: int | str | None = None
    ) -> Result:
        """Ask for a record; ``if_none_match``: unless it hasn't changed since (304, no data)."""
        headers = _preconditions(if_match, if_none_match)
        return self._ask("GET", self._path_of(id), headers=headers)

    def create(
        self,
        data: Mapping[str, Any],
        *,
        permissions: Mapping[str, Any] | None = None,
        if_match: int | str | None = None,
    ) -> Result:
        """Create a record.

        The status is 201; or it is 200 and nothing was changed, if there is a record of that id, or
        with the value of a unique field: the answer has that one.

        Of a record without ``id`` the client makes one, so that a creation that was sent twice
        creates once.

        :param if_match: the collection's timestamp.
        """
        if "id" not in data and self._new_id is not None:
            data = {"id": self._new_id(), **data}
        headers = _preconditions(if_match)
        body = _body(data, permissions)
        return self._ask("POST", self._path, body, headers, repeatable="id" in data)

    def update(
        self,
        id: str,
        data: Mapping[str, Any],
        *,
        permissions: Mapping[str, Any] | None = None,
        if_match: int | str | None = None,
        if_none_match: int | str | None = None,
    ) -> Result:
        """Replace a record, or create it.

        :param permissions: replace those that there are.
        """
        headers = _preconditions(if_match, if_none_match)
        return self._ask("PUT", self._path_of(id), _body(data, permissions), headers)

    def patch(
        self,
        id: str,
        data: Mapping[str, Any] | None = None,
        *,
        permissions: Mapping[str, Any] | None = None,
        if_match: int | str | None = None,
    ) -> Result:
        """Change some fields of a record.

        :param permissions: replace those that they name.
        """
        headers = _preconditions(if_match)
        return self._ask("PATCH", self._path_of(id), _body(data, permissions), headers)

    def delete(self, id: str, *, if_match: int | str | None = None) -> Result:
        """Delete a record: the answer has its tombstone."""
        return self._ask("DELETE", self._path_of(id), headers=_preconditions(if_match))

    def delete_all(self, /, *, if_match: int | str | None = None, **filters: Any) -> Result:
        """Delete the records that match, all of them without a filter: the answer has tombstones.

        :param filters: as those of :meth:`Resource.list`.
        """
        path = self._path + querystring(filters)
        return self._ask("DELETE", path, headers=_preconditions(if_match))

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> Result:
        return self._send(Request(method, path, body, headers or {}, repeatable, "data"))

    def _path_of(self, id: str) -> str:
        # Without these URLs would be those of the collection, or of what is above it.
        if not isinstance(id, str) or id in ("", ".", ".."):
            raise ValueError(f"{id!r} is no id of a record")
        return f"{self._path}/{quote(id, safe='')}"


class Resource(Operations[Answer]):
    """The records at one path of a service.

    Every method sends its request at once, and raises :class:`ClientError` if it doesn't succeed.
    """

    def list(self, /, **params: Any) -> Records:
        """Return the records that match; the first page is read at once, the others when needed.

        :param params: those of the protocol ("Query string"). Filters are named after fields, with
            prefixes: ``title="Hello"``, ``min_stars=3``, ``in_title=["Hello", "World"]``. The rest
            begins with an underscore, as no filter does: ``_sort`` and ``_fields`` (texts, or lists
            of these), ``_since`` and ``_before`` (timestamps; tombstones are listed, too), and
            ``_limit`` (the size of a page).
        :raises TypeError: for a parameter that there isn't, or a value that can't be told.
        :raises ValueError: for a number that isn't finite, or an empty list.
        """
        return Records(self._page, querystring(params))

    def _page(self, query: str) -> Answer:
        return self._ask("GET", self._path + query)


class Records:
    """The records of a list, page by page. Iterating again begins with the same first page."""

    def __init__(self, read: Callable[[str], Answer], query: str) -> None:
        self._read = read
        self._first = read(query)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for page in self.pages():
            yield from page.data

    def pages(self) -> Iterator[Answer]:
        """Yield the answers."""
        page = self._first
        yield page
        while "Next-Page" in page.headers:
            # Of the URL the query alone counts, whatever host a proxy makes it name.
            page = self._read("?" + urlsplit(page.headers["Next-Page"]).query)
            yield page

    @property
    def timestamp(self) -> int | None:
        """The time of the collection's last change, in milliseconds: what to ask ``_since`` next.

        It is that of the first page: what changes while others are read comes after it.
        """
        return self._first.timestamp

    @property
    def total(self) -> int | None:
        """How many records match, tombstones left out."""
        return self._first.total


def _body(data: Mapping[str, Any] | None, permissions: Mapping[str, Any] | None) -> dict[str, Any]:
    members = {"data": data, "permissions": permissions}
    return {name: dict(value) for name, value in members.items() if value is not None}


def _preconditions(
    if_match: int | str | None, if_none_match: int | str | None = None
) -> dict[str, str]:
    values = {"If-Match": if_match, "If-None-Match": if_none_match}
    return {name: _tag(value) for name, value in values.items() if value is not None}


def _tag(value: int | str) -> str:
    return value if isinstance(value, str) else f'"{value}"'
