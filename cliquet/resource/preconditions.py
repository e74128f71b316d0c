"""Conditional requests (RFC 9110, section 13), as the protocol limits them."""

from __future__ import annotations

import re
import time
from typing import Any

#: The last millisecond of the year 9999.
MAX_TIMESTAMP = 253402300799999

_ETAG = re.compile(r'"([0-9]{1,20})"')


def is_timestamp(value: Any) -> bool:
    """Tell whether a value is a timestamp that a client may give (protocol, "Limits")."""
    return type(value) is int and 1 <= value <= MAX_TIMESTAMP


def parse_etag(header: str) -> int | None:
    """Return the timestamp of ``"T"``, with its quotes; None for anything else."""
    match = _ETAG.fullmatch(header)
    return int(match.group(1)) if match else None


def etag(timestamp: int) -> str:
    """Return the ``ETag`` of a timestamp in milliseconds."""
    return f'"{timestamp}"'


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(timestamp: int) -> str:
    """Return a timestamp in milliseconds as a date of HTTP (RFC 9110, 5.6.7).

    Its years have four digits: what is later counts as the end of 9999.
    """
    date = time.gmtime(min(timestamp, MAX_TIMESTAMP) // 1000)
    return (
        f"{_DAYS[date.tm_wday]}, {date.tm_mday:02} {_MONTHS[date.tm_mon - 1]} "
        f"{date.tm_year:04} {date.tm_hour:02}:{date.tm_min:02}:{date.tm_sec:02} GMT"
    )
