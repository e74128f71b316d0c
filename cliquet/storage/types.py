"""Types of the storage interface."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

from cliquet.storage.checksums import Checksum
from cliquet.utils import COMPARISON

Record = dict[str, Any]

DEFAULT_ID_FIELD = "id"
DEFAULT_MODIFIED_FIELD = "last_modified"
DEFAULT_DELETED_FIELD = "deleted"


class Filter(NamedTuple):
    """A condition on a field."""

    field: str
    value: Any
    operator: COMPARISON


class Sort(NamedTuple):
    """A sort order by a field; ``direction`` is 1 (ascending) or -1 (descending)."""

    field: str
    direction: int


class Selection(NamedTuple):
    """The arguments of ``StorageBase.get_all()`` that select the records of a page."""

    filters: Sequence[Filter] | None
    sorting: Sequence[Sort] | None
    pagination_rules: Sequence[Sequence[Filter]] | None
    limit: int | None
    include_deleted: bool


class Missing(Enum):
    """The value of a missing field in a pagination rule."""

    MISSING = "missing"


MISSING = Missing.MISSING


class Page(NamedTuple):
    """One page of a collection, with totals of the whole collection.

    ``total`` counts the records that match the filters, without tombstones. ``timestamp`` is
    that of the collection, read no later than the records. ``is_cut`` is True if the page ends
    early because its records are large. ``size`` is the size of the records in bytes of JSON,
    0 if it wasn't measured. ``checksum`` is that of the collection at the same time, None if it
    wasn't requested.
    """

    records: list[Record]
    total: int
    timestamp: int
    is_cut: bool = False
    size: int = 0
    checksum: Checksum | None = None


class Mismatch(NamedTuple):
    """A collection whose stored checksum isn't that of its records."""

    collection_id: str
    parent_id: str
    stored: Checksum
    actual: Checksum


class Deleted(NamedTuple):
    """The number of tombstones in a collection."""

    collection_id: str
    parent_id: str
    number: int
