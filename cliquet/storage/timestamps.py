"""Timestamps of changes, in milliseconds since the epoch."""

from __future__ import annotations

from cliquet import utils

# How far many simultaneous changes can take a collection ahead of the clock, in milliseconds.
_MOST_AHEAD = 60_000


def next_time(current: int) -> int:
    """Return the time of a change in milliseconds: now, but later than ``current``."""
    return max(utils.msec_time(), current + 1)


def change_timestamps(current: int, free: int | None) -> tuple[int, int]:
    """Return the timestamps of a change and of its collection afterwards.

    :param current: the previous timestamp of the collection, 0 if it was never written.
    :param free: the requested timestamp or the next free one; None: none was requested.
    """
    if free is None:
        now = next_time(current)
        return now, now
    return free, free if free > current else next_time(current)


def next_epoch(latest: int = 0) -> int:
    """Return the new timestamp of collections that were never written.

    It is later than all changes so far, and earlier than the next one.

    :param latest: the latest timestamp below :func:`far_future`, 0 if there is none.
    """
    return max(utils.msec_time() - 1, latest + 1)


def far_future() -> int:
    """Return a timestamp so far ahead that only clients can have requested it."""
    return utils.msec_time() + _MOST_AHEAD
