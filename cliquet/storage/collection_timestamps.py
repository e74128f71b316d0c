"""Timestamps of collections."""

from __future__ import annotations

from collections.abc import Iterable

from cliquet.drivers.backend import Backend
from cliquet.storage.operations import StorageOperations
from cliquet.utils.overrides import is_inherited


class CollectionTimestamps(StorageOperations, Backend):
    """Base class of the storage backends: the methods that read timestamps."""

    def collection_timestamp(
        self, collection_id: str, parent_id: str, auth: str | None = None
    ) -> int:
        """Return the timestamp of the collection in milliseconds.

        All collections that were never written share one: the time when the schema was created
        or last flushed. Reading it writes nothing. The first write gets a later timestamp, unless
        it requests an earlier one.
        """
        return self._timestamp((parent_id, collection_id))

    def collection_timestamps(
        self, collections: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], int]:
        """Return the timestamps of several collections, in milliseconds.

        Streams of changes call this to find out what has changed. By default, read them one by one.

        :param collections: the ``collection_id`` and ``parent_id`` of each.
        """
        pairs = list(collections)
        if is_inherited(self, CollectionTimestamps, "collection_timestamp"):
            timestamps = self._timestamps([(parent, collection) for collection, parent in pairs])
            return dict(zip(pairs, timestamps, strict=True))
        return {pair: self.collection_timestamp(*pair) for pair in pairs}
