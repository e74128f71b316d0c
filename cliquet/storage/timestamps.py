"""Timestamps of changes, in milliseconds since the epoch."""

from __future__ import annotations

from cliquet.utils import msec_time

# How far ahead of the clock, in milliseconds, many changes at once can take a collection.
_MOST_AHEAD = 60_000


def next_time(current: int) -> int:
    """Return the time of a change, in milliseconds: now, and later than ``current``."""
    return max(msec_time(), current + 1)


def change_timestamps(current: int, free: int | None) -> tuple[int, int]:
    """Return the timestamp of a change, and that of its collection afterwards.

    :param current: the collection's, before; 0 if it was never written.
    :param free: the timestamp that was asked for, if any, or the next free one.
    """
    if free is None:
        now = next_time(current)
        return now, now
    return free, free if free > current else next_time(current)


def next_epoch(latest: int = 0) -> int:
    """Return the timestamp that collections which were never written have from now on.

    It is later than that of any change so far, and earlier than that of the next one.

    :param latest: the latest timestamp below :func:`far_future`, 0 if there is none.
    """
    return max(msec_time() - 1, latest + 1)


def far_future() -> int:
    """Return a timestamp that changes only have because a client asked for it."""
    return msec_time() + _MOST_AHEAD
