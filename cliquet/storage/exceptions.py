"""What the storage, permission and cache backends raise."""

from __future__ import annotations

from typing import Any


class BackendError(Exception):
    """A backend failed: whatever its driver raised reaches the caller as this.

    :param original: the driver's exception.
    """

    def __init__(self, original: BaseException | None = None, message: str | None = None) -> None:
        self.original = original
        if message is None:
            message = f"{type(original).__name__}: {original}"
        super().__init__(message)


class RecordNotFoundError(Exception):
    """There is no such record."""


class IntegrityError(BackendError):
    """A constraint of the data would be violated."""


class UnicityError(IntegrityError):
    """Another record has the value of a field that must be unique.

    :param field: the name of the field.
    :param record: the record that has it.
    """

    def __init__(self, field: str, record: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        self.field = field
        self.record = record
        super().__init__(message=f"{field} is not unique: record {record!r}")
