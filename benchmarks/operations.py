"""The operations that are measured, as the requests of one authenticated user.

Whatever they do, the collection has :data:`RECORDS` records before each of them:
:meth:`Collection.restore` undoes creations and deletions, and purges the tombstones.
"""

from __future__ import annotations

import io
import itertools
import json
import random
import sys
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from benchmarks.toolkit import CREDENTIALS

RECORDS = 200

Environ = dict[str, Any]

_ENVIRON: Environ = {
    "SCRIPT_NAME": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "localhost",
    "HTTP_ACCEPT": "application/json",
    "HTTP_USER_AGENT": "benchmark",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


class Request(NamedTuple):
    """A request that can be sent several times: the environment is copied each time."""

    environ: Environ
    body: bytes


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


def request(
    method: str, target: str, body: Any = None, user: str = CREDENTIALS, **headers: str
) -> Request:
    """Return a request.

    :param target: path and query string.
    :param headers: with underscores, as ``If_Match``.
    """
    path, _, query = target.partition("?")
    environ = {**_ENVIRON, "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
    raw = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        environ["CONTENT_TYPE"] = "application/json"
        environ["CONTENT_LENGTH"] = str(len(raw))
    if user:
        environ["HTTP_AUTHORIZATION"] = user
    environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    return Request(environ, raw)


def send(app: Any, prepared: Request) -> Response:
    """Call a WSGI application, and return the response."""
    started: list[Any] = []
    environ = {**prepared.environ, "wsgi.input": io.BytesIO(prepared.body)}
    chunks = app(environ, lambda status, headers, exc_info=None: started.extend((status, headers)))
    body = b"".join(chunks)
    status, headers = started
    return Response(int(status[:3]), dict(headers), body)


def record(number: int) -> dict[str, Any]:
    """Return the fields of a record: three in the schema, two unknown ones."""
    return {
        "name": f"Mushroom number {number}",
        "size": number * 37 % 101,
        "edible": number % 2 == 0,
        "place": "A wet meadow, beside the birches",
        "weight": number * 1.25,
    }


class Collection:
    """The records of the user in an application of the toolkit.

    :param app: that application.
    :param name: of the resource.
    :param permissions: of each record, if any.
    """

    def __init__(self, app: Any, name: str, permissions: Any = None) -> None:
        self.path = f"/v1/{name}s"
        self._app = app
        self._name = name
        self._permissions = {"permissions": permissions} if permissions else {}
        generator = random.Random(self._name)
        self.ids = [str(UUID(int=generator.getrandbits(128), version=4)) for _ in range(RECORDS)]
        self._next = itertools.cycle(range(RECORDS))
        self.restore()

    def some(self, number: int) -> list[str]:
        """Return the URLs of records, different ones each time."""
        return [f"{self.path}/{self.ids[next(self._next)]}" for _ in range(number)]

    def etag(self) -> str:
        return send(self._app, request("GET", f"{self.path}?_limit=1")).headers["ETag"]

    def restore(self) -> None:
        """Restore the initial records, with other timestamps."""
        response = send(self._app, request("GET", self.path))
        there = {item["id"] for item in response.json["data"]} if response.status == 200 else set()
        for object_id in there.difference(self.ids):
            self._change(request("DELETE", f"{self.path}/{object_id}"))
        for number, object_id in enumerate(self.ids):
            if object_id not in there:
                body = {"data": record(number), **self._permissions}
                self._change(request("PUT", f"{self.path}/{object_id}", body))
        user = send(self._app, request("GET", "/v1/")).json["user"]["id"]
        for parent_id in (user, ""):
            self._app.registry.storage.purge_deleted(self._name, parent_id)

    def reset(self, url: str) -> None:
        """Restore the initial records, after resetting the fields of one."""
        if url.rpartition("/")[2] in self.ids:
            self._change(request("PUT", url, {"data": record(0)}))
        self.restore()

    def _change(self, prepared: Request) -> None:
        response = send(self._app, prepared)
        if response.status >= 300:
            raise RuntimeError(f"{prepared.environ['PATH_INFO']}: {response}")


class Operation(NamedTuple):
    """A measured operation.

    :param status: of the responses.
    :param make: function that returns requests for the current collection.
    :param drifts: whether they change the number of records.
    """

    name: str
    status: int
    make: Callable[[Collection, int], list[Request]]
    drifts: bool = False


_numbers = itertools.count(RECORDS)


def _hello(collection: Collection, number: int) -> list[Request]:
    return [request("GET", "/v1/")] * number


def _get(collection: Collection, number: int) -> list[Request]:
    return [request("GET", url) for url in collection.some(number)]


def _list(collection: Collection, number: int) -> list[Request]:
    return [request("GET", f"{collection.path}?_limit=100")] * number


def _page(collection: Collection, number: int) -> list[Request]:
    target = f"{collection.path}?edible=true&_sort=-size&_limit=20"
    return [request("GET", target)] * number


def _not_modified(collection: Collection, number: int) -> list[Request]:
    etag = collection.etag()
    return [request("GET", f"{collection.path}?_limit=100", If_None_Match=etag)] * number


def _post(collection: Collection, number: int) -> list[Request]:
    return [_posted(collection) for _ in range(number)]


def _posted(collection: Collection) -> Request:
    return request("POST", collection.path, {"data": record(next(_numbers))})


def _put(collection: Collection, number: int) -> list[Request]:
    return [
        request("PUT", url, {"data": record(next(_numbers))}) for url in collection.some(number)
    ]


def _patch(collection: Collection, number: int) -> list[Request]:
    return [
        request("PATCH", url, {"data": {"size": next(_numbers)}}) for url in collection.some(number)
    ]


def _delete(collection: Collection, number: int) -> list[Request]:
    return [request("DELETE", url) for url in collection.some(number)]


def _batch(collection: Collection, number: int) -> list[Request]:
    defaults = {"method": "POST", "path": collection.path}
    return [
        request(
            "POST",
            "/v1/batch",
            {
                "defaults": defaults,
                "requests": [{"body": {"data": record(next(_numbers))}} for _ in range(25)],
            },
        )
        for _ in range(number)
    ]


OPERATIONS = (
    Operation("hello", 200, _hello),
    Operation("get", 200, _get),
    Operation("list", 200, _list),
    Operation("page", 200, _page),
    Operation("304", 304, _not_modified),
    Operation("post", 201, _post, drifts=True),
    Operation("put", 200, _put),
    Operation("patch", 200, _patch),
    Operation("delete", 200, _delete, drifts=True),
    Operation("batch", 200, _batch, drifts=True),
)
