"""What is sent, and what is answered: alone, or in a batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Proxies that compress answers make tags weak (RFC 9110, 8.8.1).
_TAG = re.compile(r'(?:W/)?"([0-9]+)"')


@dataclass(frozen=True)
class Request:
    """A request.

    :param path: without the version prefix, with the querystring, quoted.
    :param body: a JSON value; None: no body.
    :param repeatable: whether it does no harm when the server gets it twice.
    :param member: what the body of each success has, unless HTTP forbids it a body; None: it has
        whatever it has.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    member: str | None = None


@dataclass(frozen=True)
class Answer:
    """An answer.

    :param status: of HTTP.
    :param headers: by name, in whatever case.
    :param body: the JSON value; None without one.
    """

    status: int
    headers: Mapping[str, str]
    body: Any = None

    @property
    def ok(self) -> bool:
        """Whether it is one of success, or 304."""
        return self.status < 300 or self.status == 304

    @property
    def data(self) -> Any:
        """The record, or the list of records; None if it hasn't changed (304)."""
        return self._member("data")

    @property
    def permissions(self) -> dict[str, list[str]] | None:
        """The principals of each permission; None if the record isn't shared."""
        permissions: dict[str, list[str]] | None = self._member("permissions")
        return permissions

    @property
    def timestamp(self) -> int | None:
        """The time of the last change, in milliseconds, for preconditions and ``_since``.

        It is that of the record, or of the whole collection.
        """
        tag = _TAG.fullmatch(self.headers.get("ETag", ""))
        if tag:
            return int(tag[1])
        data = self.data
        return data.get("last_modified") if isinstance(data, dict) else None

    @property
    def total(self) -> int | None:
        """How many records match, on all pages; None if the answer isn't one of a list."""
        total = self.headers.get("Total-Records")
        return None if total is None else int(total)

    def _member(self, name: str) -> Any:
        return self.body.get(name) if isinstance(self.body, dict) else None
