"""Check that two applications return the same responses, before they are compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from wsgiref.handlers import format_date_time

from benchmarks.operations import OPERATIONS, Collection, Request, record, request, send

_HEADERS = ("ETag", "Last-Modified", "Total-Records", "Next-Page", "Content-Type", "Cache-Control")
_UNKNOWN = "00000000-0000-4000-8000-000000000000"


class DifferentError(Exception):
    """The applications return different responses, so comparing them makes no sense."""


def check(collection: Collection, toolkit: Any, limit: Any) -> None:
    """Send the same requests to both.

    :raises DifferentError: when they differ in the status, the data, or the headers that matter.
    """
    for name, prepared in _requests(collection):
        reads = prepared.environ["REQUEST_METHOD"] == "GET"
        responses = []
        for app in (toolkit, limit):
            if not reads:
                collection.reset(prepared.environ["PATH_INFO"])
            status, headers, body = response = send(app, prepared)
            responses.append(_comparable(status, headers, response.json, timeless=not reads))
        if responses[0] != responses[1]:
            raise DifferentError(f"{name}: {responses[0]} from the toolkit, {responses[1]} by hand")
    collection.restore()


def _requests(collection: Collection) -> Iterator[tuple[str, Request]]:
    for operation in OPERATIONS:
        yield operation.name, operation.make(collection, 1)[0]
    url, other = collection.some(2)
    body = {"data": record(1)}
    past, future = '"1"', '"253402300799999"'
    unknown = f"{collection.path}/{_UNKNOWN}"
    yield "anonymous", request("GET", url, user="")
    yield "unknown record", request("GET", unknown)
    yield "invalid id", request("GET", f"{collection.path}/x")
    yield "record not modified", request("GET", url, If_None_Match=future)
    yield "record modified", request("GET", url, If_Match=past)
    yield "list modified since", request("GET", f"{collection.path}?_limit=3", If_None_Match=past)
    yield "list refused", request("GET", collection.path, If_Match=past)
    yield "invalid etag", request("GET", url, If_Match="x")
    yield "invalid limit", request("GET", f"{collection.path}?_limit=-1")
    for method in ("PUT", "PATCH", "DELETE"):
        sent = None if method == "DELETE" else body
        yield f"{method} modified", request(method, url, sent, If_Match=past)
        yield f"{method} unmodified", request(method, url, sent, If_Match=future)
        yield f"{method} unknown", request(method, unknown, sent)
    yield "PUT new", request("PUT", unknown, body, If_None_Match="*")
    yield "PUT not new", request("PUT", other, body, If_None_Match="*")
    yield "PUT another id", request("PUT", other, {"data": {**record(1), "id": _UNKNOWN}})
    yield "PATCH without changes", request("PATCH", other, {"data": {}})
    yield "POST modified", request("POST", collection.path, body, If_Match=past)
    yield "POST unmodified", request("POST", collection.path, body, If_Match=future)
    known = {"data": {**record(1), "id": collection.ids[0]}}
    yield "POST existing", request("POST", collection.path, known)
    for invalid in ({}, {"name": "a"}, {**record(1), "size": "x"}, {**record(1), "name": 5}):
        yield "invalid data", request("POST", collection.path, {"data": invalid})
    yield "no JSON", Request(request("POST", collection.path, {}).environ, b"{x")
    mixed = [
        {"path": url},
        {"path": unknown},
        {"path": unknown, "method": "PUT", "body": body},
        {"path": unknown},
        {"path": unknown, "method": "PUT", "body": body, "headers": {"If-Match": past}},
    ]
    yield "mixed batch", request("POST", "/v1/batch", {"requests": mixed})


def _comparable(status: int, headers: dict[str, str], body: Any, timeless: bool) -> Any:
    """Return the parts that must be equal; messages of errors may differ.

    :param timeless: whether timestamps, and ids of new records, may differ.
    """
    body = body or {}
    if "responses" in body:
        return status, [
            _comparable(one["status"], one["headers"], one["body"], timeless)
            for one in body["responses"]
        ]
    data = body.get("data", body)
    kept: dict[str, Any] = {name: headers.get(name) for name in _HEADERS}
    if status >= 400:
        details = body.get("details")
        data = details.get("existing") if isinstance(details, dict) else None
    if timeless and data is not None:
        modified = data.pop("last_modified")
        kept["ETag"] = kept["ETag"] == f'"{modified}"'
        kept["Last-Modified"] = kept["Last-Modified"] == format_date_time(modified // 1000)
        if status == 201:
            data.pop("id")
    return status, kept, data, body.get("errno")
