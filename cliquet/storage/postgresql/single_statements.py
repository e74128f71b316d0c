"""Changes of one record in one statement that commits itself, without reading the record first.

The SQL functions lock the collection, as in a transaction.
"""

from __future__ import annotations

from cliquet.drivers.escaping import escape
from cliquet.drivers.postgresql.client import Client
from cliquet.drivers.postgresql.transaction import Kind, Rows
from cliquet.storage.engine import StorageEngine
from cliquet.storage.filtering import FieldNames
from cliquet.storage.operations import build_change
from cliquet.storage.postgresql.dialect import storable
from cliquet.storage.timestamps import next_time
from cliquet.storage.types import Record
from cliquet.transactions.autocommit import autocommit
from cliquet.utils.overrides import is_inherited

# Functions in FROM run first: they lock the collection, and the others find the same record.
_UPSERT = """
SELECT (SELECT new_timestamp FROM cliquet_write(%s, %s, %s, true, %s, %s, %s, NULL, NULL)),
 old.last_modified IS NOT NULL FROM cliquet_get_for_update(%s, %s, %s, %s) AS old"""

_DELETE = "SELECT cliquet_delete(%s, %s, %s, %s, NULL, true)"

_DELETE_IF_UNMODIFIED = """
SELECT CASE WHEN old.last_modified <= %s THEN cliquet_delete(%s, %s, %s, %s, NULL, true) END
 FROM cliquet_get_for_update(%s, %s, %s, %s) AS old"""

#: The methods that these statements replace: subclasses that override one must see each change.
_COMBINED = ("lock", "get", "get_for_update", "create", "update", "delete", "_bump_timestamp")


class SingleStatements(StorageEngine):
    """A storage engine whose resources can write without a transaction."""

    _client: Client

    @property
    def supports_single_statements(self) -> bool:
        return is_inherited(self, StorageEngine, *_COMBINED)

    def upsert(
        self,
        collection_id: str,
        parent_id: str,
        object_id: str,
        record: Record,
        id_field: str,
        modified_field: str,
    ) -> tuple[Record, bool]:
        """Replace or create a record; return it, and whether it existed before."""
        change = build_change(object_id, record, None, FieldNames(id_field, modified_field, ""))
        ids = [escape(parent_id), escape(collection_id), next_time(0)]
        written = [change.id, change.requested_timestamp, change.data.decode()]
        ((timestamp, existed),) = self._commit(_UPSERT, [*ids, *written, *ids, object_id])
        return {**record, id_field: object_id, modified_field: timestamp}, existed

    def delete_if_unmodified(
        self, collection_id: str, parent_id: str, object_id: str, latest: int | None
    ) -> int | None:
        """Delete a record, and return the time; None if it doesn't exist or was modified.

        :param latest: the latest timestamp of the record to delete, in milliseconds; None: any.
        """
        if not storable(object_id):
            return None
        key = [escape(parent_id), escape(collection_id), next_time(0), object_id]
        if latest is None:
            rows = self._commit(_DELETE, key)
        else:
            rows = self._commit(_DELETE_IF_UNMODIFIED, [latest, *key, *key])
        timestamp: int | None = rows[0][0]
        return timestamp

    def _commit(self, statement: str, parameters: list[object]) -> Rows:
        with autocommit():
            return self._client.write(statement, parameters, Kind.FREQUENT)
