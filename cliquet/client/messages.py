"""Requests and responses, sent alone or in a batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Proxies that compress responses weaken tags (RFC 9110, 8.8.1).
_TAG = re.compile(r'(?:W/)?"([0-9]+)"')


@dataclass(frozen=True)
class Request:
    """A request.

    :param path: quoted, with the query string, without the version prefix.
    :param body: a JSON value; None: no body.
    :param idempotent: whether the server can process it twice without harm.
    :param member: member that the body of a successful response must have; None: any body.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    idempotent: bool = True
    member: str | None = None


@dataclass(frozen=True)
class Response:
    """A response.

    :param status: HTTP status.
    :param headers: by name, in any case.
    :param body: a JSON value; None without a body.
    """

    status: int
    headers: Mapping[str, str]
    body: Any = None

    @property
    def ok(self) -> bool:
        """Whether the status is 2XX or 304."""
        return self.status < 300 or self.status == 304

    @property
    def data(self) -> Any:
        """The record, or the list of records; None if it has not changed (304)."""
        return self._member("data")

    @property
    def permissions(self) -> dict[str, list[str]] | None:
        """The principals of each permission; None if records of the resource aren't shared."""
        permissions: dict[str, list[str]] | None = self._member("permissions")
        return permissions

    @property
    def timestamp(self) -> int | None:
        """Time of the last change of the record or collection, in milliseconds.

        Pass it as a precondition or as ``_since``.
        """
        tag = _TAG.fullmatch(self.headers.get("ETag", ""))
        if tag:
            return int(tag[1])
        data = self.data
        return data.get("last_modified") if isinstance(data, dict) else None

    @property
    def total(self) -> int | None:
        """Number of matching records on all pages; None if the response isn't a list."""
        total = self.headers.get("Total-Records")
        return None if total is None else int(total)

    def _member(self, name: str) -> Any:
        return self.body.get(name) if isinstance(self.body, dict) else None
