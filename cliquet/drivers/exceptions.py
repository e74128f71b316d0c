"""Failure of a database server or driver."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from cliquet.utils import forget_variables


class BackendError(Exception):
    """A failure of a backend, which wraps any exception of its driver.

    :param original: the driver's exception.
    """

    #: The engine, such as ``"Redis"``, if its server doesn't respond or has no free connection;
    #: empty for other failures.
    outage = ""

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


class ErrorTranslation:
    """Context manager that translates the errors of a driver into :class:`BackendError`.

    :param errors: the exceptions of the driver.
    :param translate: returns the error of the backend for one of them.
    """

    def __init__(
        self,
        errors: tuple[type[Exception], ...],
        translate: Callable[[Exception], BackendError] = BackendError,
    ) -> None:
        self._errors = errors
        self._translate = translate

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, self._errors):
            forget_variables(error)
            raise self._translate(error) from error
