"""Shutdown of a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Shutdown:
    """The shutdown of a server, which waits for streams and incomplete request bodies."""

    def __init__(self) -> None:
        self._has_begun = False
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextmanager
    def cancelling(self) -> Iterator[None]:
        """Cancel the current task once, if the shutdown has begun or begins within the block."""
        task: Any = asyncio.current_task()
        self._tasks.add(task)
        if self._has_begun:
            # Deferred, so that the task isn't cancelled if the block never waits.
            asyncio.get_running_loop().call_soon(self.begin)
        try:
            yield
        finally:
            self._tasks.discard(task)

    def begin(self) -> None:
        """Cancel the tasks. Call it in the event loop's thread."""
        self._has_begun = True
        while self._tasks:
            self._tasks.pop().cancel()
