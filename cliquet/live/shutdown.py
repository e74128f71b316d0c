"""Shutdown of a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Shutdown:
    """The shutdown of a server, which waits for streams and incomplete request bodies."""

    def __init__(self) -> None:
        self._has_begun = False
        self._callbacks: set[Callable[[], None]] = set()

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call a function once, if the shutdown has begun or begins before the end of a block."""
        if self._has_begun:
            callback()
        else:
            self._callbacks.add(callback)
        try:
            yield
        finally:
            self._callbacks.discard(callback)

    def begin(self) -> None:
        """Call the functions. Call this in the thread of the event loop."""
        self._has_begun = True
        while self._callbacks:
            self._callbacks.pop()()
