"""Base class of storages that filter and sort in memory, as in 3.1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from cliquet.storage import Filter, Record, Sort, StorageBase
from cliquet.storage.exceptions import UnicityError
from cliquet.storage.filtering import Columns, on_page, sort_records
from cliquet.utils import COMPARISON


def tree() -> dict[Any, Any]:
    """Return a dictionary that creates missing values as further such dictionaries."""
    return defaultdict(tree)


def apply_sorting(records: Iterable[Record], sorting: Sequence[Sort]) -> list[Record]:
    """Return the records in the order of ``sorting``."""
    result = list(records)
    sort_records(result, sorting)
    return result


def get_unicity_rules(
    collection_id: str,
    parent_id: str,
    record: Record,
    unique_fields: Iterable[str],
    id_field: str,
    for_creation: bool,
) -> list[list[Filter]]:
    """Return the filters, one list per unique field, that find conflicting records."""
    fields = [id_field, *unique_fields] if for_creation else unique_fields
    others = [] if for_creation else [Filter(id_field, record[id_field], COMPARISON.NOT)]
    return [
        [Filter(field, record[field], COMPARISON.EQ), *others]
        for field in dict.fromkeys(fields)
        if record.get(field) not in (None, "")
    ]


class MemoryBasedStorage(StorageBase):
    """Base class for backends of other packages that filter and sort in memory.

    A subclass implements the interface, and ``_bump_timestamp(collection_id, parent_id,
    record, modified_field, last_modified=None)``, which returns the timestamp of a change.
    """

    _bump_timestamp: Any

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def initialize_schema(self) -> None:
        """Do nothing: there is no schema."""

    def strip_deleted_record(
        self,
        resource: str,
        parent_id: str,
        record: Record,
        id_field: str = "id",
        modified_field: str = "last_modified",
        deleted_field: str = "deleted",
    ) -> Record:
        """Return the tombstone of a record."""
        return {
            id_field: record[id_field],
            modified_field: record[modified_field],
            deleted_field: True,
        }

    def set_record_timestamp(
        self,
        collection_id: str,
        parent_id: str,
        record: Record,
        modified_field: str = "last_modified",
        last_modified: int | None = None,
    ) -> Record:
        """Set the timestamp of a changed record, and return it."""
        record[modified_field] = self._bump_timestamp(
            collection_id, parent_id, record, modified_field, last_modified=last_modified
        )
        return record

    def check_unicity(
        self,
        collection_id: str,
        parent_id: str,
        record: Record,
        unique_fields: Iterable[str],
        id_field: str,
        for_creation: bool = False,
    ) -> None:
        """Raise UnicityError if another record has the same value of a unique field."""
        rules = get_unicity_rules(
            collection_id, parent_id, record, unique_fields, id_field, for_creation
        )
        for filters in rules:
            conflicting, _ = self.get_all(
                collection_id, parent_id, filters=filters, id_field=id_field
            )
            if conflicting:
                raise UnicityError(filters[0].field, conflicting[0])

    def apply_filters(
        self, records: Iterable[Record], filters: Iterable[Filter]
    ) -> Iterable[Record]:
        """Return the records that match all filters."""
        records = list(records)
        rows = Columns(records).matching(filters, range(len(records)))
        return [records[row] for row in rows]

    def apply_sorting(self, records: Iterable[Record], sorting: Sequence[Sort]) -> list[Record]:
        """Return the records in the order of ``sorting``."""
        return apply_sorting(records, sorting)

    def extract_record_set(
        self,
        collection_id: str,
        records: Iterable[Record],
        filters: Sequence[Filter] | None,
        sorting: Sequence[Sort] | None,
        id_field: str,
        deleted_field: str,
        pagination_rules: Sequence[Sequence[Filter]] | None = None,
        limit: int | None = None,
    ) -> tuple[list[Record], int]:
        """Return the page of the matching records, and their number without tombstones.

        To filters, live records have the deleted mark too, with the value false.

        :param pagination_rules: as in ``get_all()``.
        :param limit: the maximum number of records to return; None or 0: all, as in 3.1.
        """

        def key(record: Record) -> tuple[Any, bool]:
            return record[id_field], record.get(deleted_field) is True

        by_key = {key(record): record for record in records}
        marked = [{**record, deleted_field: deleted} for (_, deleted), record in by_key.items()]
        matching = [by_key[key(record)] for record in self.apply_filters(marked, filters or [])]
        total = sum(record.get(deleted_field) is not True for record in matching)
        page = list(filter(on_page(pagination_rules or ()), matching))
        return self.apply_sorting(page, sorting or [])[: limit or None], total

    def delete_all(  # type: ignore[override]  # 3.1 had another order than in the contract
        self,
        collection_id: str,
        parent_id: str,
        filters: Sequence[Filter] | None = None,
        id_field: Any = "id",
        with_deleted: Any = True,
        modified_field: str = "last_modified",
        deleted_field: str = "deleted",
        auth: str | None = None,
    ) -> list[Record]:
        """Delete the records that match all filters, one by one."""
        fields: dict[str, Any] = {"id_field": id_field, "modified_field": modified_field}
        fields["deleted_field"] = deleted_field
        matching, _ = self.get_all(collection_id, parent_id, filters=filters, **fields)
        ids = [record[id_field] for record in matching]
        return [
            self.delete(collection_id, parent_id, id_, with_deleted=with_deleted, **fields)
            for id_ in ids
        ]
