"""The limit: the protocol of one resource, written by hand without Cliquet.

The toolkit is compared with it. It has Pyramid's router, views that know their resource, and the
fewest statements on the same tables. It returns the same bodies and headers, checks the same
preconditions atomically, and validates by hand. Features that the benchmark doesn't need are
missing: pagination tokens, other filters, events, CORS, logs.

The resource is that of :mod:`benchmarks.toolkit`: name, size and edible are in the schema.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from typing import Any
from urllib.parse import urlsplit

import orjson
from pyramid.config import Configurator
from pyramid.response import Response

from benchmarks.limit_protocol import WRITTEN, RawResponse, Refused, ResourceRequest, respond

_PATH = "/v1/mushrooms"
_MAX_REQUESTS = 25


class Limit:
    """The views.

    :param store: storage of the records; see :mod:`benchmarks.limit_postgresql`.
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
        return _response(RawResponse(200, WRITTEN, orjson.dumps(data)))

    def resource(self, request: Any) -> Response:
        environ = request.environ
        try:
            user = self._user(environ)
            if user is None:
                raise Refused(401)
            method, query = environ["REQUEST_METHOD"], environ["QUERY_STRING"]
            parsed = ResourceRequest(
                method,
                request.matchdict.get("id"),
                user,
                lambda name: environ.get("HTTP_" + name),
                query,
                None if method in ("GET", "DELETE") else _json(environ),
                request.path_url if query else "",
            )
            return _response(respond(self._store, parsed))
        except Refused as refused:
            return _response(refused.response())

    def batch(self, request: Any) -> Response:
        environ = request.environ
        try:
            body = _json(environ)
            requests = body.get("requests")
            if not isinstance(requests, list) or len(requests) > _MAX_REQUESTS:
                raise Refused(400)
            user, defaults, url = self._user(environ), body.get("defaults", {}), request.host_url
            with self._store.transaction() as store:
                responses = [_subresponse(store, {**defaults, **r}, user, url) for r in requests]
            return _response(RawResponse(200, WRITTEN, orjson.dumps({"responses": responses})))
        except Refused as refused:
            return _response(refused.response())

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


def _subresponse(store: Any, item: dict[str, Any], user: str | None, url: str) -> dict[str, Any]:
    """Return the response to one request of a batch. If it is an error, nothing was written."""
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
        parsed = ResourceRequest(
            item.get("method", "GET"),
            object_id or None,
            user,
            headers.get,
            parts.query,
            item.get("body"),
            url + path,
        )
        status, sent, body = respond(store, parsed)
    except Refused as refused:
        status, sent, body = refused.response()
    sent = [("Content-Length", str(len(body))), *sent]
    return {
        "status": status,
        "path": path,
        "headers": dict(sent),
        "body": orjson.Fragment(body or b"{}"),
    }


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


def _response(raw: RawResponse) -> Response:
    status, headers, body = raw
    return Response(
        status=status,
        headerlist=[("Content-Length", str(len(body))), *headers],
        app_iter=[body],
    )


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
