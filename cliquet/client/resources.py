"""Operations on the records of one resource."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

from cliquet.client.failures import ClientError, ProtocolError
from cliquet.client.live import Changes, ChangeStream
from cliquet.client.messages import Request, Response, is_tombstone
from cliquet.client.querystring import querystring

#: Type of the results: a response, an awaitable of one, or in a batch a future of one.
Result = TypeVar("Result")

#: Tag that matches a record only if it never existed, not even as a tombstone.
_NEVER = '"1"'
#: Default of preconditions. It isn't None, which is the timestamp of a copy before its first poll.
ABSENT: Any = ...


def new_id() -> str:
    """Return the id of a new record: a random UUID."""
    return str(uuid.uuid4())


class Operations(Generic[Result]):
    """Operations on a resource, each sent alone or in a batch.

    A precondition is a timestamp in milliseconds, such as :attr:`Response.timestamp`, or the value
    of the header as a string: ``if_none_match="*"`` requires that the record doesn't exist. None
    raises ``ValueError``: the timestamp of a copy before its first poll must not match any version.

    :param send: function that sends a :class:`Request`.
    :param path: path of the collection, quoted.
    :param id_factory: function that returns a new id; None: the server generates the ids.
    """

    def __init__(
        self, send: Callable[[Request], Result], path: str, id_factory: Callable[[], str] | None
    ) -> None:
        check_path(path)
        self._send = send
        self._path = path
        self._id_factory = id_factory

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}>"

    def head(self, /, **params: Any) -> Result:
        """Request the ``timestamp`` of the collection and the ``total`` of matching records.

        :param params: filters and options of :meth:`Resource.list`.
        """
        return self._request("HEAD", self._path + querystring(params))

    def get(
        self, id: str, *, if_match: int | str = ABSENT, if_none_match: int | str = ABSENT
    ) -> Result:
        """Request a record.

        :param if_none_match: if the record has not changed since, the response is 304, without
            data.
        """
        headers = _preconditions(if_match, if_none_match)
        return self._request("GET", self._path_of(id), headers=headers)

    def create(
        self,
        data: Mapping[str, Any],
        *,
        permissions: Mapping[str, Any] | None = None,
        if_match: int | str = ABSENT,
    ) -> Result:
        """Create a record.

        The status is 201. If a record has the same id or unique value, the status is 200, and the
        response contains that record, unchanged.

        If ``data`` has no ``id``, the client generates one. Then a creation that arrives twice, or
        late, creates one record, and never one that was deleted in the meantime.

        :param if_match: timestamp of the collection.
        """
        if "id" in data or self._id_factory is None or if_match is not ABSENT:
            headers, body = _preconditions(if_match), _body(data, permissions)
            return self._request("POST", self._path, body, headers, idempotent="id" in data)
        id_ = self._id_factory()
        body = _body({"id": id_, **data}, permissions)
        headers = {"If-Match": _NEVER}
        return self._request("PUT", self._path_of(id_), body, headers, is_creation=True)

    def update(
        self,
        id: str,
        data: Mapping[str, Any],
        *,
        permissions: Mapping[str, Any] | None = None,
        if_match: int | str = ABSENT,
        if_none_match: int | str = ABSENT,
    ) -> Result:
        """Replace a record, or create it.

        :param permissions: replace all permissions of the record.
        """
        headers = _preconditions(if_match, if_none_match)
        return self._request("PUT", self._path_of(id), _body(data, permissions), headers)

    def patch(
        self,
        id: str,
        data: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        permissions: Mapping[str, Any] | None = None,
        if_match: int | str = ABSENT,
        merge: bool = False,
    ) -> Result:
        """Change some fields of a record.

        A list of operations is a JSON Patch (RFC 6902), whose paths begin with ``/data`` or
        ``/permissions``. It is only retried with ``if_match``, because some operations have a
        different result when they are repeated.

        :param data: new values of fields, or a list of operations.
        :param permissions: replace the permissions that they name.
        :param merge: send a merge patch (RFC 7396): nested objects are merged, and ``None`` removes
            a field, or all principals of a permission.
        :raises ValueError: if a list of operations is combined with ``permissions`` or ``merge``.
        """
        path, headers = self._path_of(id), _preconditions(if_match)
        if isinstance(data, Sequence):
            if permissions is not None or merge:
                raise ValueError("A list of operations can't be combined with permissions or merge")
            headers["Content-Type"] = "application/json-patch+json"
            is_conditional = if_match is not ABSENT
            return self._request("PATCH", path, [*data], headers, idempotent=is_conditional)
        if merge:
            headers["Content-Type"] = "application/merge-patch+json"
        return self._request("PATCH", path, _body(data, permissions), headers)

    def delete(self, id: str, *, if_match: int | str = ABSENT) -> Result:
        """Delete a record. The response contains its tombstone."""
        return self._request("DELETE", self._path_of(id), headers=_preconditions(if_match))

    def delete_all(self, /, *, if_match: int | str = ABSENT, **filters: Any) -> Result:
        """Delete all matching records. The response contains their tombstones.

        :param filters: filters of :meth:`Resource.list`; without any, all records are deleted.
        :raises ValueError: if an option such as ``_since`` is None: without it, more is deleted.
        """
        for name, value in filters.items():
            if name.startswith("_") and value is None:
                raise ValueError(f"{name} is None: without a value, more records are deleted")
        path = self._path + querystring(filters)
        headers = _preconditions(if_match)
        # A repetition would delete the records that others have created in the meantime.
        is_conditional = if_match is not ABSENT
        return self._request("DELETE", path, None, headers, expects=list, idempotent=is_conditional)

    def _read_page(self, query: str) -> Result:
        return self._request("GET", self._path + query, expects=list)

    def _request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        expects: type = dict,
        **options: bool,
    ) -> Result:
        request = Request(method, path, body, headers or {}, expects=("data", expects), **options)
        return self._send(request)

    def _path_of(self, id: str) -> str:
        # With these ids, the URL would be that of the collection or of its parent.
        if not isinstance(id, str) or id in ("", ".", ".."):
            raise ValueError(f"{id!r} is not the id of a record")
        return f"{self._path}/{quote(id, safe='')}"


class Resource(Operations[Response]):
    """A resource of a service.

    Each method sends its request, returns the response, and raises :class:`ClientError` if the
    request fails.

    :param open_stream: function that opens a stream after a pause, and returns its content.
    """

    def __init__(
        self,
        send: Callable[[Request], Response],
        path: str,
        id_factory: Callable[[], str] | None,
        open_stream: Callable[[Request, float], Generator[bytes, None, None]],
    ) -> None:
        super().__init__(send, path, id_factory)
        self._open = open_stream

    def live(self, *, since: int | None = None, **params: Any) -> Iterator[Changes]:
        """Yield the changes of matching records as they happen, without end.

        The connection is renewed when it is lost, however long that takes, and no change is missed.

        :param since: timestamp in milliseconds, such as that of the latest changes; None: the first
            changes are all records.
        :param params: filters and options of :meth:`list`.
        :raises ClientError: if the first connection fails, even after retries; later, if the
            service refuses the stream or requests a pause longer than the client's ``timeout``.
        """
        stream = ChangeStream(self._path, querystring(params), since)
        while True:
            try:
                with closing(self._open(stream.request(), stream.pause)) as content:
                    stream.begin()
                    for chunk in content:
                        yield from stream.read(chunk)
            except ClientError as error:
                stream.interrupt(error)
            stream.end()

    def list(self, /, **params: Any) -> Records:
        """Return the matching records. Pages after the first are read when they are needed.

        :param params: parameters of the protocol. Filters are field names with optional prefixes:
            ``title="Hello"``, ``min_stars=3``, ``in_title=["Hello", "World"]``,
            ``like_title="h*"``, ``has_title=True``, ``contains_tags=["a", "b"]``, or
            ``**{"author.name": "Ann"}`` for nested fields. Options start with an underscore:
            ``_sort`` and ``_fields`` (strings, or lists of strings), ``_since`` and ``_before``
            (timestamps; the list includes tombstones), ``_limit`` (size of a page), ``_or`` (a list
            of dictionaries of filters), and ``_count`` (False: without ``total``).
        :raises TypeError: for an unknown option, or a value that isn't a filter value.
        :raises ValueError: for a number that isn't finite, or an empty list.
        """
        query = querystring(params)
        return Records(self._path, query, self._read_page(query), self._read_page)


class BaseRecords(Generic[Result]):
    """The first page of a list.

    :param path: path of the collection.
    :param query: query string of the first page.
    :param first: response that contains it.
    :param read: function that requests the page of a query string.
    :raises ProtocolError: if the list is incomplete.
    """

    def __init__(
        self, path: str, query: str, first: Response, read: Callable[[str], Result]
    ) -> None:
        self._path = path
        self._first = first
        self._read = read
        check_first_page(path, query, first)

    def __bool__(self) -> bool:
        return bool(self._first.data)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}: {self.total} in total>"

    @property
    def timestamp(self) -> int:
        """Time of the collection's last change, in milliseconds: the next value of ``_since``.

        It is that of the first page, so the next list includes changes made since then.

        :raises ProtocolError: if the response has no timestamp.
        """
        return self._first.timestamp

    @property
    def total(self) -> int | None:
        """Number of matching records, without tombstones."""
        return self._first.total


class Records(BaseRecords[Response]):
    """Records of a list, read page by page. Each iteration starts with the same first page."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for page in self.pages():
            yield from page.data

    def pages(self) -> Iterator[Response]:
        """Yield the response of each page."""
        page, seen = self._first, set[object]()
        yield page
        while query := next_query(self._path, page, seen):
            page = self._read(query)
            yield page


def check_path(path: str) -> None:
    """Check the path of a collection.

    :raises ValueError: if it isn't one.
    """
    if not path.startswith("/") or path.endswith("/") or "?" in path or "#" in path:
        raise ValueError(f"{path!r} is not the path of a collection: expected /bookmarks")


def check_first_page(path: str, query: str, first: Response) -> None:
    """Check that a page is the whole list, unless it names the next page.

    :raises ProtocolError: if the list is incomplete, or without the header ``Total-Records``.
    """
    # Later pages contain only some of the records that the total counts.
    if "Next-Page" in first.headers or "_token=" in query or "_count=false" in query:
        return
    has_tombstones = "_since=" in query or "_before=" in query
    records = [each for each in first.data if not (has_tombstones and is_tombstone(each))]
    if first.total is None or len(records) < first.total:
        total = "an unknown number of" if first.total is None else first.total
        raise ProtocolError(
            f"GET {path}: {len(records)} of {total} records, without the header"
            " Next-Page. Check the proxies between client and service"
        )


def next_query(path: str, page: Response, seen: set[object]) -> str | None:
    """Return the query string of the page after another one, or None.

    :param path: path of the collection.
    :param seen: marks of the pages so far, to which this one is added.
    :raises ProtocolError: if the pages never end.
    """
    if "Next-Page" not in page.headers:
        return None
    # Only the query string matters: behind a proxy, the URL can name another host.
    query = "?" + urlsplit(page.headers["Next-Page"]).query
    # A record is listed again only if it has changed since.
    marks = {query, *(hash(repr(record)) for record in page.data[:1])}
    if not page.data or marks & seen:
        raise ProtocolError(f"GET {path}: Next-Page leads to the same page again")
    seen |= marks
    return query


def _body(data: Mapping[str, Any] | None, permissions: Mapping[str, Any] | None) -> dict[str, Any]:
    members = {"data": data, "permissions": permissions}
    return {name: dict(value) for name, value in members.items() if value is not None}


def _preconditions(if_match: int | str, if_none_match: int | str = ABSENT) -> dict[str, str]:
    values = {"If-Match": if_match, "If-None-Match": if_none_match}
    return {name: _tag(value) for name, value in values.items() if value is not ABSENT}


def _tag(value: int | str) -> str:
    # An empty header would be no condition at all.
    if value == "" or isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{value!r} is not a timestamp or a tag")
    return value if isinstance(value, str) else f'"{value}"'
