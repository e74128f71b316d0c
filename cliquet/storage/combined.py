"""Reads that combine public methods of a storage, because one of them is overridden.

They are not methods, because the storage can be a proxy that forwards method calls to another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from cliquet.storage.checksums import Checksum
from cliquet.storage.filtering import FieldNames
from cliquet.storage.types import Filter, Page, Selection
from cliquet.utils import COMPARISON


def combined_page(
    storage: Any,
    place: Mapping[str, Any],
    names: FieldNames,
    selection: Selection,
    with_checksum: bool = False,
    checksum_ids: Sequence[str] | None = None,
) -> Page:
    """Return a page, read with ``collection_timestamp()`` and ``get_all()``.

    :param place: the arguments ``collection_id``, ``parent_id`` and ``auth``.
    """
    timestamp = storage.collection_timestamp(**place)
    records, total = storage.get_all(
        **place,
        **selection._asdict(),
        id_field=names.id,
        modified_field=names.modified,
        deleted_field=names.deleted,
    )
    checksum = None
    if with_checksum:
        read = getattr(storage, "checksum", None) or partial(combined_checksum, storage)
        checksum = read(**place, ids=checksum_ids, id_field=names.id, modified_field=names.modified)
    return Page(records, total, timestamp, checksum=checksum)


def combined_checksum(
    storage: Any,
    collection_id: str,
    parent_id: str,
    ids: Sequence[str] | None,
    id_field: str,
    modified_field: str,
    auth: str | None,
) -> Checksum:
    """Return the checksum of the records that ``get_all()`` returns."""
    filters = None if ids is None else [Filter(id_field, list(ids), COMPARISON.IN)]
    records, _ = storage.get_all(
        collection_id=collection_id,
        parent_id=parent_id,
        filters=filters,
        id_field=id_field,
        modified_field=modified_field,
        auth=auth,
    )
    return Checksum().add(*(record[modified_field] for record in records))
