"""Limits of requests: what one of them may cost the service, and the errors beyond that.

Each limit is a setting, which is None where there is no limit. A batch shares one
:class:`Budget` among its requests.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from pyramid.httpexceptions import HTTPRequestEntityTooLarge

from cliquet.errors import ERRORS, http_error
from cliquet.settings import DEFAULT_SETTINGS
from cliquet.utils import json

UNLIMITED = sys.maxsize


class Limits(NamedTuple):
    """The settings of the same names; :data:`UNLIMITED` where there is no limit."""

    #: Bytes of a JSON body.
    max_body_bytes: int
    #: Bytes of a record in JSON.
    max_record_bytes: int
    #: Values in a JSON body or a record, arrays and objects included.
    max_values: int
    #: Levels of arrays and objects within one another.
    max_nesting: int
    #: Digits of an integer.
    max_digits: int
    #: Filters of a query string.
    max_filters: int
    #: Values in the filters ``in_`` and ``exclude_`` of a query string.
    max_filter_values: int
    #: Fields in ``_sort``.
    max_sort_fields: int
    #: Fields in ``_fields``.
    max_selected_fields: int
    #: Bytes of the records on a page.
    max_page_bytes: int
    #: Bytes of the responses of a batch.
    batch_max_bytes: int
    #: Seconds during which the requests of a batch are sent.
    batch_timeout_seconds: float


#: The limits of functions that are called without any.
NO_LIMITS = Limits(*[UNLIMITED] * len(Limits._fields))


def limits_of(registry: Any) -> Limits:
    """Return the limits of an application, which are read from its settings once."""
    limits = getattr(registry, "limits", None)
    if not isinstance(limits, Limits):  # the registry may be a mock
        limits = registry.limits = _read(registry.settings)
    return limits


def _read(settings: Mapping[str, Any]) -> Limits:
    values = (settings.get(key, DEFAULT_SETTINGS[key]) for key in Limits._fields)
    return Limits(*(value or UNLIMITED for value in values))


class Budget:
    """The bytes and the time that a request may still use, with those that it sends.

    :param limits: those of the application.
    """

    def __init__(self, limits: Limits) -> None:
        self._page_bytes = limits.max_page_bytes
        self._bytes = limits.batch_max_bytes
        self._read = 0
        self._deadline = time.monotonic() + limits.batch_timeout_seconds

    def read(self, count: int) -> None:
        """Count the bytes of records that were read for the response."""
        self._read += count

    def respond(self, count: int) -> None:
        """Subtract the bytes of a response, or those that were read for it if they are more."""
        self._bytes -= max(count, self._read)
        self._read = 0

    def page_bytes(self) -> int:
        """Return how many bytes the records of a page may have in all."""
        return max(0, min(self._page_bytes, self._bytes))

    def spent(self) -> str | None:
        """Return the setting whose limit is reached, None if there is anything left."""
        if self._bytes <= 0:
            return "batch_max_bytes"
        return "batch_timeout_seconds" if time.monotonic() > self._deadline else None


def budget_of(request: Any) -> Budget:
    """Return the budget of a request: that of the batch that it is part of, if any."""
    budget = request.bound_data.get("budget")
    if not isinstance(budget, Budget):  # the request may be a mock
        budget = request.bound_data["budget"] = Budget(limits_of(request.registry))
    return budget


def too_large(message: str) -> HTTPRequestEntityTooLarge:
    """Return the 413 response to a request that is too large or costs too much."""
    response: HTTPRequestEntityTooLarge = http_error(
        HTTPRequestEntityTooLarge(), errno=ERRORS.REQUEST_TOO_LARGE, message=message
    )
    return response


def raise_too_large(message: str) -> NoReturn:
    """Refuse a request with 413.

    :raises pyramid.httpexceptions.HTTPRequestEntityTooLarge: always.
    """
    raise too_large(message)


def refusal(value: Any, text: bytes | None, limits: Limits, outer: int = 0) -> str | None:
    """Return why a JSON value can't be accepted, None if it can.

    :param text: the value as JSON, or None. Its delimiters are counted first, because few values
        have as many as are accepted.
    :param outer: how many arrays and objects there are around the stored ones.
    """
    if text is not None and b"\\u0000" not in text:
        containers = text.count(b"[") + text.count(b"{")
        if containers <= limits.max_nesting and json.most_values(text) <= limits.max_values:
            return None
    if json.has_more_values(value, limits.max_values):
        return f"more than {limits.max_values} values (setting max_values)"
    return json.unstorable(value, limits.max_nesting, outer)


def read_body(request: Any) -> bytes:
    """Return the body of a request.

    :raises pyramid.httpexceptions.HTTPRequestEntityTooLarge: when it is larger than
        ``max_body_bytes``; it is not read then.
    """
    limit = limits_of(request.registry).max_body_bytes
    length = request.content_length
    if length is None and limit != UNLIMITED and request.is_body_readable:
        # The server doesn't know the length either: the body comes in chunks.
        request.body = request.body_file_raw.read(limit + 1)
        length = request.content_length
    if length is not None and length > limit:
        raise_too_large(f"The body is larger than {limit} bytes (setting max_body_bytes)")
    body: bytes = request.body
    return body
