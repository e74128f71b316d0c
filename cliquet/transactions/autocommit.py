"""Requests whose only write commits itself.

A transaction takes a second round trip to the database. It isn't needed if a request sends only one
statement that writes, and nothing can fail or write afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cliquet.transactions import ACTIVE, current_attempt


def can_autocommit() -> bool:
    """Return whether the current transaction is unused, so that a write can commit itself.

    It is used if the application has joined it, added a hook before the commit, or ended it.
    """
    attempt = current_attempt()
    if attempt is None or attempt.outer is not None or attempt.ended_by_application():
        return False
    txn: Any = attempt.transaction()
    # The package has no public list of participants. Without this private one, there could be some.
    joined = getattr(txn, "_resources", None)
    is_unused = joined == [] and len(list(txn.getBeforeCommitHooks())) == 1
    return is_unused and txn.status == ACTIVE


@contextmanager
def autocommit() -> Iterator[None]:
    """Let each write in the block commit itself, as outside of requests."""
    attempt = current_attempt()
    if attempt is None:
        yield
        return
    attempt.autocommits = True
    try:
        yield
    finally:
        attempt.autocommits = False
