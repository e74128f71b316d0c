"""The limit: the protocol of one resource, written by hand without Cliquet.

It is what the toolkit is compared with: Pyramid's router, views that know their resource, and the
fewest statements on the same tables. It answers with the same bodies and headers, checks the same
preconditions in the same atomic way, and validates by hand. What no operation of the
benchmark asks for isn't there: walks by token, other filters, events, CORS, logs.

The resource is that of :mod:`benchmarks.toolkit`: name, size and edible are in the schema.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import time
from base64 import urlsafe_b64encode
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import uuid4
from wsgiref.handlers import format_date_time

import orjson
from pyramid.config import Configurator
from pyramid.response import Response

_PATH = "/v1/mushrooms"
_UUID4 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_ETAG = re.compile('"([0-9]{1,20})"')
_MAX_TIMESTAMP = 253402300799999
_MAX_RECORDS = 10000
_MAX_REQUESTS = 25

_EXPOSED = "Backoff, Retry-After, Alert, Content-Length, Vary"
_EXPOSED_BY_GET = _EXPOSED + ", Last-Modified, ETag, Cache-Control, Expires, Pragma"
_EXPOSED_BY_LIST = _EXPOSED_BY_GET + ", Next-Page, Total-Records"

_COMMON = [("Vary", "Authorization"), ("X-Content-Type-Options", "nosniff")]
_JSON = [("Content-Type", "application/json; charset=UTF-8"), *_COMMON]
_WRITTEN = [("Access-Control-Expose-Headers", _EXPOSED), *_JSON]
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


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes


class Refused(Exception):
    """The answer is an error.

    :param existing: the record that is in the way.
    :param timestamp: that of the collection, if it is.
    """

    def __init__(
        self, status: int, existing: Row | None = None, timestamp: int | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.existing = existing
        self.timestamp = existing[1] if existing else timestamp

    def answer(self) -> Answer:
        errno, error, message = _ERRORS[self.status]
        body = {"code": self.status, "errno": errno, "error": error, "message": message}
        if self.status == 412:
            body["details"] = {}
        if self.existing is not None:
            body["details"] = {"existing": orjson.Fragment(_document(*self.existing))}
        times = [] if self.timestamp is None else _timed(self.timestamp)
        return Answer(self.status, [*times, *_WRITTEN], orjson.dumps(body))


class Asked:
    """What a request asks for, whether it came alone or in a batch."""

    __slots__ = ("method", "id", "user", "headers", "query", "body", "url")

    def __init__(
        self,
        method: str,
        object_id: str | None,
        user: str,
        headers: Any,
        query: str,
        body: Any,
        url: str,
    ) -> None:
        self.method = method
        self.id = object_id
        self.user = user
        #: The conditional headers: a function that returns one, or None.
        self.headers = headers
        self.query = query
        self.body = body
        self.url = url


class Limit:
    """The views.

    :param store: where the records are; see :mod:`benchmarks.limit_postgresql`.
    :param secret: the key of the user ids.
    """

    def __init__(self, store: Any, secret: str) -> None:
        self._store = store
        self._secret = secret.encode()

    def hello(self, request: Any) -> Response:
        data: dict[str, Any] = {
            "project_name": "benchmark",
            "project_version": "1.0",
            "http_api_version": "1.0",
            "project_docs": "",
            "cliquet_protocol_version": "2",
            "url": request.application_url + "/v1/",
            "settings": {"readonly": False, "batch_max_requests": _MAX_REQUESTS},
            "capabilities": {},
        }
        user = self._user(request.environ)
        if user is not None:
            data["user"] = {"id": user}
        return _response(Answer(200, _WRITTEN, orjson.dumps(data)))

    def resource(self, request: Any) -> Response:
        environ = request.environ
        try:
            user = self._user(environ)
            if user is None:
                raise Refused(401)
            asked = Asked(
                environ["REQUEST_METHOD"],
                request.matchdict.get("id"),
                user,
                lambda name: environ.get("HTTP_" + name),
                environ["QUERY_STRING"],
                None if environ["REQUEST_METHOD"] in ("GET", "DELETE") else _json(environ),
                "",
            )
            if asked.query:
                asked.url = request.path_url
            return _response(answer(self._store, asked))
        except Refused as refused:
            return _response(refused.answer())

    def batch(self, request: Any) -> Response:
        environ = request.environ
        try:
            body = _json(environ)
            requests = body.get("requests")
            if not isinstance(requests, list) or len(requests) > _MAX_REQUESTS:
                raise Refused(400)
            user, defaults, url = self._user(environ), body.get("defaults", {}), request.host_url
            with self._store.transaction() as store:
                responses = [_subanswer(store, {**defaults, **r}, user, url) for r in requests]
            return _response(Answer(200, _WRITTEN, orjson.dumps({"responses": responses})))
        except Refused as refused:
            return _response(refused.answer())

    def _user(self, environ: dict[str, Any]) -> str | None:
        scheme, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            credentials = binascii.a2b_base64(encoded)
        except ValueError:
            return None
        user, colon, _ = credentials.partition(b":")
        if not (user and colon):
            return None
        return "basicauth:" + hmac.digest(self._secret, credentials, hashlib.sha256).hex()


def answer(store: Any, asked: Asked) -> Answer:
    """Answer a request to the resource.

    :raises Refused: with an error.
    """
    on_what = _ON_COLLECTION if asked.id is None else _ON_RECORD
    if asked.id is not None and not _UUID4.fullmatch(asked.id):
        raise Refused(400)
    if asked.method not in on_what:
        raise Refused(405)
    return on_what[asked.method](store, asked)


def _list(store: Any, asked: Asked) -> Answer:
    if asked.headers("IF_NONE_MATCH") or asked.headers("IF_MATCH"):
        timestamp = store.timestamp(asked.user)
        if _not_modified(asked, timestamp):
            return Answer(304, [*_timed(timestamp), *_NOT_MODIFIED], b"")
        _refuse_modified(asked, timestamp)
    params = dict(parse_qsl(asked.query)) if asked.query else {}
    limit = _limit(params)
    edible = {"true": True, "false": False}.get(params.get("edible", ""))
    by_size = params.get("_sort") == "-size"
    rows, total, timestamp = store.page(asked.user, limit + 1, edible, by_size)
    headers = [("Total-Records", str(total)), *_timed(timestamp), *_LISTED]
    if len(rows) > limit:
        rows = rows[:limit]
        headers.insert(0, ("Next-Page", _next_page(asked.url, params, rows[-1], by_size)))
    records = b",".join([_document(*row) for row in rows])
    return Answer(200, headers, b'{"data":[' + records + b"]}")


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


def _next_page(url: str, params: dict[str, str], last: Row, by_size: bool) -> str:
    compared = {"size": orjson.loads(last[2])["size"]} if by_size else {}
    token = orjson.dumps({"last_record": {**compared, "last_modified": last[1]}})
    return f"{url}?{urlencode({**params, '_token': urlsafe_b64encode(token)})}"


def _post(store: Any, asked: Asked) -> Answer:
    data = _posted(asked)
    object_id = data.pop("id", None)
    if object_id is None:
        object_id = str(uuid4())
    elif not (isinstance(object_id, str) and _UUID4.fullmatch(object_id)):
        raise Refused(400)
    forced = _forced(data)
    document = orjson.dumps(_checked(data))
    if asked.headers("IF_MATCH"):
        with store.transaction() as work:
            timestamp = work.lock(asked.user)
            if work.get(asked.user, object_id) is None:
                _refuse_modified(asked, timestamp)
            own, existing = work.create(asked.user, object_id, document, forced)
    else:
        own, existing = store.create(asked.user, object_id, document, forced)
    if existing is None:
        return _written(201, (object_id, own, document))
    if asked.headers("IF_NONE_MATCH") == "*":
        raise Refused(412, existing)
    _refuse_modified(asked, existing[1], existing)
    return _written(200, existing)


def _get(store: Any, asked: Asked) -> Answer:
    row = _found(store, asked)
    timestamp = row[1]
    if _not_modified(asked, timestamp):
        return Answer(304, [*_timed(timestamp), *_NOT_MODIFIED], b"")
    _refuse_modified(asked, timestamp, row)
    return Answer(200, [*_timed(timestamp), *_GOT], b'{"data":' + _document(*row) + b"}")


def _put(store: Any, asked: Asked) -> Answer:
    data = _posted(asked)
    if data.pop("id", asked.id) != asked.id:
        raise Refused(400)
    forced = _forced(data)
    document = orjson.dumps(_checked(data))
    own, old = store.replace(
        asked.user,
        asked.id,
        document,
        forced,
        match=_time(asked, "IF_MATCH"),
        new=asked.headers("IF_NONE_MATCH") == "*",
    )
    if own is None:
        raise Refused(412, old)
    status = 201 if old is None else 200
    return _written(status, (asked.id or "", own, document), _timed(own))


def _patch(store: Any, asked: Asked) -> Answer:
    changes = _posted(asked)
    if changes.pop("id", asked.id) != asked.id:
        raise Refused(400)
    forced = _forced(changes)
    while True:
        row = _found(store, asked)
        _, timestamp, data = row
        _refuse_modified(asked, timestamp, row)
        old = orjson.loads(data)
        new = _checked({**old, **changes})
        if orjson.dumps(new) == orjson.dumps(old):
            return _written(200, row, _timed(timestamp))
        document = orjson.dumps(new)
        own, _ = store.replace(asked.user, asked.id, document, forced, seen=timestamp)
        if own is not None:  # else somebody was faster
            return _written(200, (asked.id or "", own, document), _timed(own))


def _delete(store: Any, asked: Asked) -> Answer:
    forced = None
    if asked.query:
        given = dict(parse_qsl(asked.query)).get("last_modified", "").strip('"')
        forced = _forced({"last_modified": int(given)}) if given.isdigit() else None
    own, old = store.delete(asked.user, asked.id, forced, _time(asked, "IF_MATCH"))
    if own is None:
        raise Refused(404) if old is None else Refused(412, old)
    tombstone = b'{"data":{"id":"%b","last_modified":%d,"deleted":true}}'
    return Answer(200, _WRITTEN, tombstone % ((asked.id or "").encode(), own))


_ON_COLLECTION = {"GET": _list, "POST": _post}
_ON_RECORD = {"GET": _get, "PUT": _put, "PATCH": _patch, "DELETE": _delete}


def _subanswer(store: Any, item: dict[str, Any], user: str | None, url: str) -> dict[str, Any]:
    """Return the answer to one request of a batch. One that is refused has written nothing."""
    parts = urlsplit(item["path"])
    path = parts.path if parts.path.startswith("/v1/") else "/v1" + parts.path
    headers = {
        name.upper().replace("-", "_"): value for name, value in item.get("headers", {}).items()
    }
    try:
        if user is None:
            raise Refused(401)
        head, _, object_id = path[1:].partition("/")[2].partition("/")
        if head != "mushrooms":
            raise Refused(404)
        asked = Asked(
            item.get("method", "GET"),
            object_id or None,
            user,
            headers.get,
            parts.query,
            item.get("body"),
            url + path,
        )
        status, sent, body = answer(store, asked)
    except Refused as refused:
        status, sent, body = refused.answer()
    sent = [("Content-Length", str(len(body))), *sent]
    return {
        "status": status,
        "path": path,
        "headers": dict(sent),
        "body": orjson.Fragment(body or b"{}"),
    }


# The parts of requests


def _json(environ: dict[str, Any]) -> dict[str, Any]:
    content_type = environ.get("CONTENT_TYPE", "").partition(";")[0]
    raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if content_type != "application/json" or b"\\u0000" in raw:
        raise Refused(400)
    try:
        body = orjson.loads(raw)
    except ValueError:
        raise Refused(400) from None
    if not isinstance(body, dict):
        raise Refused(400)
    return body


def _posted(asked: Asked) -> dict[str, Any]:
    data = asked.body.get("data") if isinstance(asked.body, dict) else None
    if not isinstance(data, dict) or len(asked.body) > 1:
        raise Refused(400)
    return data


def _checked(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data if they are as the schema wants."""
    if (
        type(data.get("name")) is not str
        or type(data.get("size")) is not int
        or type(data.get("edible")) is not bool
    ):
        raise Refused(400)
    return data


def _forced(data: dict[str, Any]) -> int | None:
    """Take the timestamp that a client gives out of the data."""
    if "last_modified" not in data:
        return None
    forced = data.pop("last_modified")
    if type(forced) is not int or not 1 <= forced <= _MAX_TIMESTAMP:
        raise Refused(400)
    return forced


def _time(asked: Asked, header: str) -> int | None:
    """Return the timestamp of a conditional header, or None without it."""
    value = asked.headers(header)
    if not value:
        return None
    found = _ETAG.fullmatch(value)
    if found is None:
        raise Refused(400)
    return int(found[1])


def _not_modified(asked: Asked, timestamp: int) -> bool:
    known = asked.headers("IF_NONE_MATCH")
    if not known or known == "*":
        return False
    return timestamp <= (_time(asked, "IF_NONE_MATCH") or 0)


def _refuse_modified(asked: Asked, timestamp: int, existing: Row | None = None) -> None:
    known = _time(asked, "IF_MATCH")
    if known is not None and timestamp > known:
        raise Refused(412, existing, timestamp)


def _found(store: Any, asked: Asked) -> Row:
    found = store.get(asked.user, asked.id)
    if found is None:
        raise Refused(404)
    return (asked.id or "", *found)


# The parts of answers


def _document(object_id: str, timestamp: int, data: bytes) -> bytes:
    # What the schema requires is in the data: they are never empty.
    return b'{"id":"%b","last_modified":%d,%b' % (object_id.encode(), timestamp, data[1:])


def _timed(timestamp: int) -> Headers:
    return [("ETag", f'"{timestamp}"'), ("Last-Modified", format_date_time(timestamp // 1000))]


def _written(status: int, row: Row, headers: Headers = []) -> Answer:  # noqa: B006 (only read)
    return Answer(status, [*headers, *_WRITTEN], b'{"data":' + _document(*row) + b"}")


def _response(answer: Answer) -> Response:
    status, headers, body = answer
    return Response(
        status=status,
        headerlist=[("Content-Length", str(len(body))), *headers],
        app_iter=[body],
    )


def now() -> int:
    """Return the time in milliseconds."""
    return time.time_ns() // 1_000_000


def make_app(store: Any, secret: str) -> Any:
    """Return the WSGI application."""
    config = Configurator()
    limit = Limit(store, secret)
    config.add_route("hello", "/v1/")
    config.add_route("collection", _PATH)
    config.add_route("record", _PATH + "/{id}")
    config.add_route("batch", "/v1/batch")
    config.add_view(limit.hello, route_name="hello")
    config.add_view(limit.resource, route_name="collection")
    config.add_view(limit.resource, route_name="record")
    config.add_view(limit.batch, route_name="batch")
    return config.make_wsgi_app()
