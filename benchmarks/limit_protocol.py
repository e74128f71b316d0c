"""Responses of the limit to requests to the resource, alone or in a batch.

The store is that of :mod:`benchmarks.limit_postgresql`, or of :mod:`benchmarks.limit_sqlite`.
"""

from __future__ import annotations

import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4
from wsgiref.handlers import format_date_time

import orjson

_UUID4 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_ETAG = re.compile('"([0-9]{1,20})"')
_MAX_TIMESTAMP = 253402300799999
_MAX_RECORDS = 10000

_EXPOSED = "Backoff, Retry-After, Alert, Content-Length, Vary"
_EXPOSED_BY_GET = _EXPOSED + ", Last-Modified, ETag, Cache-Control, Expires, Pragma"
_EXPOSED_BY_LIST = _EXPOSED_BY_GET + ", Next-Page, Total-Records"

_COMMON = [("Vary", "Authorization"), ("X-Content-Type-Options", "nosniff")]
_JSON = [("Content-Type", "application/json; charset=UTF-8"), *_COMMON]
WRITTEN = [("Access-Control-Expose-Headers", _EXPOSED), *_JSON]
_GOT = [("Access-Control-Expose-Headers", _EXPOSED_BY_GET), ("Cache-Control", "no-cache"), *_JSON]
_LISTED = [("Access-Control-Expose-Headers", _EXPOSED_BY_LIST), *_GOT[1:]]
_NOT_MODIFIED = [("Access-Control-Expose-Headers", _EXPOSED_BY_GET), *_COMMON]

_ERRORS = {
    400: (107, "Invalid parameters", "Invalid parameters"),
    401: (104, "Unauthorized", "Please authenticate yourself to use this endpoint."),
    404: (111, "Not Found", "The resource you are looking for could not be found."),
    405: (115, "Method Not Allowed", "Method not allowed on this endpoint."),
    412: (114, "Precondition Failed", "Resource was modified meanwhile"),
}

Headers = list[tuple[str, str]]
Row = tuple[str, int, bytes]


class RawResponse(NamedTuple):
    status: int
    headers: Headers
    body: bytes


class Refused(Exception):
    """The response is an error.

    :param existing: the record that caused it.
    :param timestamp: of the collection, if that caused it.
    """

    def __init__(
        self, status: int, existing: Row | None = None, timestamp: int | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.existing = existing
        self.timestamp = existing[1] if existing else timestamp

    def response(self) -> RawResponse:
        errno, error, message = _ERRORS[self.status]
        body = {"code": self.status, "errno": errno, "error": error, "message": message}
        if self.status == 412:
            body["details"] = {}
        if self.existing is not None:
            body["details"] = {"existing": orjson.Fragment(_document(*self.existing))}
        times = [] if self.timestamp is None else _timed(self.timestamp)
        return RawResponse(self.status, [*times, *WRITTEN], orjson.dumps(body))


@dataclass(slots=True)
class ResourceRequest:
    """A parsed request.

    :param id: of the record, None for the collection.
    :param header: returns a conditional header, by its name as in ``IF_MATCH``, or None.
    :param body: the parsed JSON.
    :param url: of the collection, if there is a query.
    """

    method: str
    id: str | None
    user: str
    header: Callable[[str], str | None]
    query: str
    body: Any
    url: str


def respond(store: Any, request: ResourceRequest) -> RawResponse:
    """Return the response to a request to the resource.

    :raises Refused: with an error.
    """
    handlers = _ON_COLLECTION if request.id is None else _ON_RECORD
    if request.id is not None and not _UUID4.fullmatch(request.id):
        raise Refused(400)
    if request.method not in handlers:
        raise Refused(405)
    return handlers[request.method](store, request)


def _list(store: Any, request: ResourceRequest) -> RawResponse:
    if request.header("IF_NONE_MATCH") or request.header("IF_MATCH"):
        timestamp = store.timestamp(request.user)
        if _not_modified(request, timestamp):
            return RawResponse(304, [*_timed(timestamp), *_NOT_MODIFIED], b"")
        _refuse_modified(request, timestamp)
    params = dict(parse_qsl(request.query)) if request.query else {}
    limit = _limit(params)
    edible = {"true": True, "false": False}.get(params.get("edible", ""))
    by_size = params.get("_sort") == "-size"
    rows, total, timestamp = store.page(request.user, limit + 1, edible, by_size)
    headers = [("Total-Records", str(total)), *_timed(timestamp), *_LISTED]
    if len(rows) > limit:
        rows = rows[:limit]
        headers.insert(0, ("Next-Page", _next_page(request.url, params, rows, by_size)))
    records = b",".join([_document(*row) for row in rows])
    return RawResponse(200, headers, b'{"data":[' + records + b"]}")


def _limit(params: dict[str, str]) -> int:
    if not params.get("_limit"):
        return _MAX_RECORDS
    try:
        limit = int(params["_limit"])
    except ValueError:
        raise Refused(400) from None
    if limit < 0:
        raise Refused(400)
    return min(limit or _MAX_RECORDS, _MAX_RECORDS)


def _next_page(url: str, params: dict[str, str], rows: list[Row], by_size: bool) -> str:
    last = rows[-1]
    compared = {"size": orjson.loads(last[2])["size"]} if by_size else {}
    record = {**compared, "last_modified": last[1]}
    token = orjson.dumps({"last_record": record, "offset": len(rows)})
    return f"{url}?{urlencode({**params, '_token': urlsafe_b64encode(token)})}"


def _post(store: Any, request: ResourceRequest) -> RawResponse:
    data = _posted(request)
    object_id = data.pop("id", None)
    if object_id is None:
        object_id = str(uuid4())
    elif not (isinstance(object_id, str) and _UUID4.fullmatch(object_id)):
        raise Refused(400)
    chosen = _chosen_timestamp(data)
    document = orjson.dumps(_checked(data))
    if request.header("IF_MATCH"):
        with store.transaction() as work:
            timestamp = work.lock(request.user)
            if work.get(request.user, object_id) is None:
                _refuse_modified(request, timestamp)
            new_timestamp, existing = work.create(request.user, object_id, document, chosen)
    else:
        new_timestamp, existing = store.create(request.user, object_id, document, chosen)
    if existing is None:
        return _written(201, (object_id, new_timestamp, document))
    if request.header("IF_NONE_MATCH") == "*":
        raise Refused(412, existing)
    _refuse_modified(request, existing[1], existing)
    return _written(200, existing)


def _get(store: Any, request: ResourceRequest) -> RawResponse:
    row = _found(store, request)
    timestamp = row[1]
    if _not_modified(request, timestamp):
        return RawResponse(304, [*_timed(timestamp), *_NOT_MODIFIED], b"")
    _refuse_modified(request, timestamp, row)
    return RawResponse(200, [*_timed(timestamp), *_GOT], b'{"data":' + _document(*row) + b"}")


def _put(store: Any, request: ResourceRequest) -> RawResponse:
    data = _posted(request)
    if data.pop("id", request.id) != request.id:
        raise Refused(400)
    chosen = _chosen_timestamp(data)
    document = orjson.dumps(_checked(data))
    new_timestamp, old = store.replace(
        request.user,
        request.id,
        document,
        chosen,
        match=_time(request, "IF_MATCH"),
        new=request.header("IF_NONE_MATCH") == "*",
    )
    if new_timestamp is None:
        raise Refused(412, old)
    status = 201 if old is None else 200
    return _written(status, (request.id or "", new_timestamp, document), _timed(new_timestamp))


def _patch(store: Any, request: ResourceRequest) -> RawResponse:
    changes = _posted(request)
    if changes.pop("id", request.id) != request.id:
        raise Refused(400)
    chosen = _chosen_timestamp(changes)
    while True:
        row = _found(store, request)
        _, timestamp, data = row
        _refuse_modified(request, timestamp, row)
        old = orjson.loads(data)
        new = _checked({**old, **changes})
        if orjson.dumps(new) == orjson.dumps(old):
            return _written(200, row, _timed(timestamp))
        document = orjson.dumps(new)
        new_timestamp, _ = store.replace(request.user, request.id, document, chosen, seen=timestamp)
        if new_timestamp is not None:  # otherwise another request has changed it
            return _written(200, (request.id or "", new_timestamp, document), _timed(new_timestamp))


def _delete(store: Any, request: ResourceRequest) -> RawResponse:
    chosen = None
    if request.query:
        given = dict(parse_qsl(request.query)).get("last_modified", "").strip('"')
        chosen = _chosen_timestamp({"last_modified": int(given)}) if given.isdigit() else None
    new_timestamp, old = store.delete(request.user, request.id, chosen, _time(request, "IF_MATCH"))
    if new_timestamp is None:
        raise Refused(404) if old is None else Refused(412, old)
    tombstone = b'{"data":{"id":"%b","last_modified":%d,"deleted":true}}'
    return RawResponse(200, WRITTEN, tombstone % ((request.id or "").encode(), new_timestamp))


_ON_COLLECTION = {"GET": _list, "POST": _post}
_ON_RECORD = {"GET": _get, "PUT": _put, "PATCH": _patch, "DELETE": _delete}


# The parts of requests


def _posted(request: ResourceRequest) -> dict[str, Any]:
    data = request.body.get("data") if isinstance(request.body, dict) else None
    if not isinstance(data, dict) or len(request.body) > 1:
        raise Refused(400)
    return data


def _checked(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data if the schema accepts it."""
    if (
        type(data.get("name")) is not str
        or type(data.get("size")) is not int
        or type(data.get("edible")) is not bool
    ):
        raise Refused(400)
    return data


def _chosen_timestamp(data: dict[str, Any]) -> int | None:
    """Remove the timestamp that the client chose from the data, and return it."""
    if "last_modified" not in data:
        return None
    chosen = data.pop("last_modified")
    if type(chosen) is not int or not 1 <= chosen <= _MAX_TIMESTAMP:
        raise Refused(400)
    return chosen


def _time(request: ResourceRequest, header: str) -> int | None:
    """Return the timestamp of a conditional header, or None without it."""
    value = request.header(header)
    if not value:
        return None
    match = _ETAG.fullmatch(value)
    if match is None:
        raise Refused(400)
    return int(match[1])


def _not_modified(request: ResourceRequest, timestamp: int) -> bool:
    known = request.header("IF_NONE_MATCH")
    if not known or known == "*":
        return False
    return timestamp <= (_time(request, "IF_NONE_MATCH") or 0)


def _refuse_modified(request: ResourceRequest, timestamp: int, existing: Row | None = None) -> None:
    known = _time(request, "IF_MATCH")
    if known is not None and timestamp > known:
        raise Refused(412, existing, timestamp)


def _found(store: Any, request: ResourceRequest) -> Row:
    row = store.get(request.user, request.id)
    if row is None:
        raise Refused(404)
    return (request.id or "", *row)


# Parts of responses


def _document(object_id: str, timestamp: int, data: bytes) -> bytes:
    # The data is never empty, because it has the fields that the schema requires.
    return b'{"id":"%b","last_modified":%d,%b' % (object_id.encode(), timestamp, data[1:])


def _timed(timestamp: int) -> Headers:
    return [("ETag", f'"{timestamp}"'), ("Last-Modified", format_date_time(timestamp // 1000))]


def _written(status: int, row: Row, headers: Headers = []) -> RawResponse:  # noqa: B006 (only read)
    return RawResponse(status, [*headers, *WRITTEN], b'{"data":' + _document(*row) + b"}")


def now() -> int:
    """Return the time in milliseconds."""
    return time.time_ns() // 1_000_000
