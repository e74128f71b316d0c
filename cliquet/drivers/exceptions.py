"""Failure of a database server or driver."""

from __future__ import annotations

from typing import Any


class BackendError(Exception):
    """A failure of a backend, which wraps any exception of its driver.

    :param original: the driver's exception.
    """

    def __init__(
        self,
        original: BaseException | None = None,
        message: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.original = original
        if message is None:
            message = f"{type(original).__name__}: {original}"
        super().__init__(message, *args, **kwargs)
