"""Requests and responses, sent alone or in a batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cliquet.client.failures import ProtocolError

# Proxies that compress responses weaken tags (RFC 9110, 8.8.1) or append the encoding.
_TAG = re.compile(r'(?:W/)?"([0-9]+)(?:[-;:]+[a-z]+)?"')


@dataclass(frozen=True, repr=False)
class Request:
    """A request.

    :param path: quoted, with the query string, without the version prefix.
    :param body: a JSON value; None: no body.
    :param idempotent: whether the server can process it twice without harm.
    :param expects: member that the body of a successful response has, and its type; None: any body.
    :param is_creation: whether an existing record is a success, with status 200.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    idempotent: bool = True
    expects: tuple[str, type] | None = None
    is_creation: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def __repr__(self) -> str:
        return f"<Request {self}>"

    @property
    def is_safe(self) -> bool:
        """Whether the request only reads."""
        return self.method.upper() in ("GET", "HEAD")


@dataclass(frozen=True, repr=False)
class Response:
    """A response.

    :param status: HTTP status.
    :param headers: by name, in any case.
    :param body: a JSON value; None without a body.
    :param attempts: how often the request was sent.
    """

    status: int
    headers: Mapping[str, str]
    body: Any = None
    attempts: int = 1

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    @property
    def ok(self) -> bool:
        """Whether the status is 2XX or 304."""
        return self.status < 300 or self.status == 304

    @property
    def data(self) -> Any:
        """The record, or the list of records; None if it has not changed (304)."""
        return self.member("data")

    @property
    def permissions(self) -> dict[str, list[str]] | None:
        """The principals of each permission; None if the response has no permissions."""
        permissions: dict[str, list[str]] | None = self.member("permissions")
        return permissions

    @property
    def timestamp(self) -> int:
        """Time of the last change of the record or collection, in milliseconds.

        Pass it as a precondition or as ``_since``.

        :raises ProtocolError: if the response has no timestamp.
        """
        tag = self.headers.get("ETag", "")
        if match := _TAG.fullmatch(tag):
            return int(match[1])
        timestamp = self.data.get("last_modified") if isinstance(self.data, dict) else None
        if isinstance(timestamp, int):
            return timestamp
        raise ProtocolError(
            f"The response has no timestamp (ETag: {tag or 'missing'}). Expected a number in"
            " quotes: check the proxies between client and service"
        )

    @property
    def total(self) -> int | None:
        """Number of matching records on all pages; None if the response isn't a list."""
        total = self.headers.get("Total-Records", "")
        return int(total) if total.isdecimal() else None

    def member(self, name: str) -> Any:
        """Return a member of the body, or None."""
        return self.body.get(name) if isinstance(self.body, dict) else None


@dataclass
class ServerFeatures:
    """The features of a server, as its responses have shown them.

    :param batch_limit: maximum number of requests in a batch; None without a limit.
    """

    has_batch_limit: bool = False
    batch_limit: int | None = None
    has_atomic_batches: bool = False


def is_tombstone(record: Any) -> bool:
    """Return whether a record is a tombstone, which has no other fields than these three.

    Applications can also have a field named ``deleted``.
    """
    has_mark = isinstance(record, dict) and record.get("deleted") is True
    return has_mark and set(record) == {"id", "last_modified", "deleted"}


#: Request of the service's description of itself.
HELLO = Request("GET", "/", expects=("settings", dict))
