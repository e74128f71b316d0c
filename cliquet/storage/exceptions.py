"""Exceptions of the storage, permission and cache backends."""

from __future__ import annotations

from typing import Any

from cliquet.drivers.exceptions import BackendError

__all__ = ["BackendError", "IntegrityError", "RecordNotFoundError", "UnicityError"]


class RecordNotFoundError(Exception):
    """The record doesn't exist."""


class IntegrityError(Exception):
    """The operation would violate a constraint of the data."""


class UnicityError(IntegrityError):
    """Another record has the same value of a unique field.

    :param field: the name of the field.
    :param record: the other record.
    :param args: arguments of the exception; its message is in :attr:`msg`.
    """

    def __init__(self, field: str, record: dict[str, Any], *args: object, **kwargs: object) -> None:
        self.field = field
        self.record = record
        self.msg = f"{field} is not unique: {record}"
        super().__init__(*args, **kwargs)
