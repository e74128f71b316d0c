"""Conditional requests (RFC 9110, section 13) on timestamps.

The entity tag of a record or collection is its timestamp between quotes. Conditions compare
timestamps instead of testing equality: a client that gives a later one has seen everything.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from enum import Enum
from typing import NamedTuple
from wsgiref.handlers import format_date_time

#: The last millisecond of the year 9999.
MAX_TIMESTAMP = 253402300799999

_TAG = r'(W/)?"([\x21\x23-\x7e\x80-\xff]+)"'
_TAGS = re.compile(rf"{_TAG}(?:[ \t]*(?:,[ \t]*)+{_TAG})*")
#: An entity tag of this service, the most frequent kind.
_OWN_TAG = re.compile(r'"([0-9]{1,15})"')
_WORD = re.compile(r'[ \t,]*(W/)?"[^0-9"]+"[ \t,]*')
_TIMESTAMP = re.compile(r"-?[0-9]{1,4000}")


class Tag(NamedTuple):
    """An entity tag.

    ``timestamp`` is None for a foreign tag, created by another server or a proxy.
    """

    timestamp: int | None
    is_weak: bool = False


class Conditions(NamedTuple):
    """The tags of both headers: :data:`ANY`, or None without the header."""

    if_match: Collection[Tag] | None = None
    if_none_match: Collection[Tag] | None = None


#: The tags of a header that is ``*``.
ANY: Collection[Tag] = frozenset()
ALWAYS = Conditions()


class Kind(Enum):
    """The targets of conditions."""

    RECORD = "record"
    TOMBSTONE = "tombstone"
    NOTHING = "nothing"
    COLLECTION = "collection"


class State(NamedTuple):
    """The current state of the target; its timestamp is None if nothing exists."""

    kind: Kind
    timestamp: int | None = None


def parse_tags(header: str) -> Collection[Tag] | None:
    """Return the entity tags of a header, None if it is empty.

    :raises ValueError: unless it is ``*`` or a list of entity tags (RFC 9110, 13.1), none empty.
    """
    if match := _OWN_TAG.fullmatch(header):
        return [Tag(int(match[1]))]
    header = header.strip(" \t,")
    if not header:
        return None
    if header == "*":
        return ANY
    if not _TAGS.fullmatch(header):
        raise ValueError("not a list of entity tags")
    return [
        Tag(int(opaque) if _TIMESTAMP.fullmatch(opaque) else None, bool(weak))
        for weak, opaque in re.findall(_TAG, header)
    ]


def parse_seen_tags(header: str) -> Collection[Tag] | None:
    """Parse ``If-None-Match`` like :func:`parse_tags`, but refuse a single word.

    As in 3.1: a word without digits cannot derive from a tag of this service.

    :raises ValueError: also for a single tag without digits.
    """
    if _WORD.fullmatch(header):
        raise ValueError("not an entity tag of this service")
    return parse_tags(header)


def check(conditions: Conditions, method: str, state: State) -> int | None:
    """Return the status to respond with, 304 or 412, or None if the conditions hold.

    ``If-Match`` is evaluated first (RFC 9110, 13.2.2). Tags in ``If-None-Match`` only matter
    to ``GET`` and ``HEAD``, and ``*`` to ``PUT`` and ``POST``.
    """
    if conditions.if_match is not None and not _matches(conditions.if_match, state):
        return 412
    seen = conditions.if_none_match
    if seen is None:
        return None
    if seen is ANY:
        creates = method not in ("GET", "HEAD", "PATCH", "DELETE")
        return 412 if creates and state.kind is Kind.RECORD else None
    if method in ("GET", "HEAD") and _is_reached(state, seen):
        return 304
    return None


def _matches(tags: Collection[Tag], state: State) -> bool:
    """Return whether ``If-Match`` holds, by strong comparison."""
    if tags is ANY:
        return state.kind in (Kind.RECORD, Kind.COLLECTION)
    strong = [tag for tag in tags if not tag.is_weak and tag.timestamp is not None]
    if state.kind is Kind.NOTHING:
        return bool(strong)  # no timestamp could be later
    return _is_reached(state, strong)


def _is_reached(state: State, tags: Collection[Tag]) -> bool:
    """Return whether a timestamp in ``tags`` is at least that of the state."""
    current = state.timestamp
    return current is not None and any(
        tag.timestamp is not None and current <= tag.timestamp for tag in tags
    )


def is_timestamp(value: object) -> bool:
    """Return whether clients can store a value as a timestamp (protocol, "Limits")."""
    return type(value) is int and 1 <= value <= MAX_TIMESTAMP


def etag(timestamp: int) -> str:
    """Return the ``ETag`` of a timestamp in milliseconds."""
    return f'"{timestamp}"'


_format_seconds = functools.lru_cache(maxsize=1024)(format_date_time)


def http_date(timestamp: int) -> str:
    """Return a timestamp in milliseconds as an HTTP date (RFC 9110, 5.6.7).

    HTTP dates have years of four digits: later timestamps become the end of 9999.
    """
    return _format_seconds(min(timestamp, MAX_TIMESTAMP) // 1000)
