"""Limits on the cost of requests, and the errors when they are exceeded.

Each limit is a setting, which is None if there is no limit. The requests of a batch share
one :class:`Budget`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyramid.httpexceptions import HTTPRequestEntityTooLarge

from cliquet.errors import ERRORS, http_error
from cliquet.settings import DEFAULT_SETTINGS
from cliquet.state import state_of
from cliquet.types import Registry, Request
from cliquet.utils import json

UNLIMITED = sys.maxsize


class Limits(NamedTuple):
    """The settings of the same names; :data:`UNLIMITED` if there is no limit."""

    max_body_bytes: int
    max_record_bytes: int
    max_values: int
    max_nesting: int
    max_digits: int
    max_filters: int
    max_filter_values: int
    max_sort_fields: int
    max_selected_fields: int
    max_page_bytes: int
    batch_max_bytes: int
    batch_timeout_seconds: float


#: Default limits of functions: none.
NO_LIMITS = Limits(*[UNLIMITED] * len(Limits._fields))


def limits_of(registry: Registry) -> Limits:
    """Return the limits of an application, read from its settings once."""
    state = state_of(registry)
    if state.limits is None:
        state.limits = _read(registry.settings)
    limits: Limits = state.limits
    return limits


def _read(settings: Mapping[str, Any]) -> Limits:
    values = (settings.get(key, DEFAULT_SETTINGS[key]) for key in Limits._fields)
    return Limits(*(value or UNLIMITED for value in values))


class Budget:
    """The remaining bytes and time of a request and its sub-requests.

    :param limits: the limits of the application.
    """

    def __init__(self, limits: Limits) -> None:
        self._page_bytes = limits.max_page_bytes
        self._bytes = limits.batch_max_bytes
        self._read = 0
        self._deadline = time.monotonic() + limits.batch_timeout_seconds

    def read(self, count: int) -> None:
        """Add to the bytes of records that were read for the response."""
        self._read += count

    def respond(self, count: int) -> None:
        """Subtract the bytes of a response, or of the records read if these are more."""
        self._bytes -= max(count, self._read)
        self._read = 0

    def page_bytes(self) -> int:
        """Return the remaining size for the records of a page, in bytes."""
        return max(0, min(self._page_bytes, self._bytes))

    def spent(self) -> str | None:
        """Return the setting whose limit is reached, or None."""
        if self._bytes <= 0:
            return "batch_max_bytes"
        return "batch_timeout_seconds" if time.monotonic() > self._deadline else None


def budget_of(request: Request) -> Budget:
    """Return the budget of a request, which is that of its batch, if any."""
    budget = request.bound_data.get("budget")
    if not isinstance(budget, Budget):  # the request can be a mock
        budget = request.bound_data["budget"] = Budget(limits_of(request.registry))
    return budget


def too_large(message: str) -> HTTPRequestEntityTooLarge:
    """Return the 413 response to a request that is too large or too expensive."""
    return http_error(HTTPRequestEntityTooLarge(), errno=ERRORS.REQUEST_TOO_LARGE, message=message)


def refusal(value: object, text: bytes | None, limits: Limits, outer: int = 0) -> str | None:
    """Return why a JSON value must be refused, or None.

    :param text: the value as JSON, or None. Its delimiters are counted first, because few values
        are near the limit.
    :param outer: number of arrays and objects around the stored ones.
    """
    if text is not None and b"\\u0000" not in text:
        containers = text.count(b"[") + text.count(b"{")
        if containers <= limits.max_nesting and json.most_values(text) <= limits.max_values:
            return None
    if json.has_more_values(value, limits.max_values):
        return f"more than {limits.max_values} values (setting max_values)"
    return json.unstorable(value, limits.max_nesting, outer)


def read_body(request: Request) -> bytes:
    """Return the body of a request.

    :raises pyramid.httpexceptions.HTTPRequestEntityTooLarge: if it is larger than
        ``max_body_bytes``, without reading it.
    """
    limit = limits_of(request.registry).max_body_bytes
    length = request.content_length
    if length is None and limit != UNLIMITED and request.is_body_readable:
        # The length is unknown, because the body is sent in chunks.
        request.body = request.body_file_raw.read(limit + 1)
        length = request.content_length
    if length is not None and length > limit:
        raise too_large(f"The body is larger than {limit} bytes (setting max_body_bytes)")
    return request.body
