"""A storage that implements the public methods of 3.1, and broken variants of it.

The contract must accept the storage and refuse each variant.
"""

from copy import deepcopy

from cliquet.storage.exceptions import RecordNotFoundError
from cliquet.storage.filtering import FieldNames
from cliquet.storage.memory import MemoryBasedStorage
from cliquet.storage.operations import build_change, check_timestamp
from cliquet.storage.timestamps import change_timestamps, far_future, next_epoch


class Records:
    """The records and tombstones of a collection by id, and its timestamp."""

    def __init__(self):
        self.live, self.dead, self.timestamp = {}, {}, 0

    def all(self):
        return [*self.live.values(), *self.dead.values()]


class PublicMethodsStorage(MemoryBasedStorage):
    def __init__(self):
        self.collections = {}
        self.epoch = next_epoch()

    def find(self, *place):
        return self.collections.get(place) or Records()

    def flush(self, auth=None):
        times = [self.epoch, *(records.timestamp for records in self.collections.values())]
        far = far_future()
        self.collections, self.epoch = {}, next_epoch(max(time for time in times if time < far))

    def collection_timestamp(self, collection_id, parent_id, auth=None):
        return self.find(collection_id, parent_id).timestamp or self.epoch

    def create(
        self,
        collection_id,
        parent_id,
        record,
        id_generator=None,
        unique_fields=None,
        id_field="id",
        modified_field="last_modified",
        auth=None,
    ):
        record = deepcopy(record)
        if record.get(id_field) is None:
            record[id_field] = (id_generator or self.id_generator)()
        build_change(record[id_field], record, (), FieldNames(id_field, modified_field, ""))
        place = (collection_id, parent_id)
        self.check_unicity(*place, record, unique_fields or (), id_field, for_creation=True)
        return self.write(place, record, id_field, modified_field)

    def update(
        self,
        collection_id,
        parent_id,
        object_id,
        record,
        unique_fields=None,
        id_field="id",
        modified_field="last_modified",
        auth=None,
    ):
        build_change(object_id, record, (), FieldNames(id_field, modified_field, ""))
        record = {**deepcopy(record), id_field: object_id}
        self.check_unicity(collection_id, parent_id, record, unique_fields or (), id_field)
        return self.write((collection_id, parent_id), record, id_field, modified_field)

    def write(self, place, record, id_field, modified_field):
        records = self.collections.setdefault(place, Records())
        old = records.live.get(record[id_field])
        requested = record.get(modified_field)
        if old is not None and old[modified_field] == requested:
            requested = None
        self.remove(records, record[id_field])
        self.set_record_timestamp(*place, record, modified_field, requested)
        records.live[record[id_field]] = record
        return deepcopy(record)

    def remove(self, records, object_id):
        records.live.pop(object_id, None)
        records.dead.pop(object_id, None)

    def _bump_timestamp(self, collection_id, parent_id, record, modified_field, last_modified=None):
        records = self.find(collection_id, parent_id)
        free = self.next_free(records, modified_field, last_modified)
        current = records.timestamp or (self.epoch if free is None else 0)
        timestamp, records.timestamp = change_timestamps(current, free)
        return timestamp

    def next_free(self, records, modified_field, timestamp):
        taken = {record[modified_field] for record in records.all()}
        while timestamp in taken:
            timestamp += 1
        return timestamp

    def get(
        self,
        collection_id,
        parent_id,
        object_id,
        id_field="id",
        modified_field="last_modified",
        auth=None,
    ):
        try:
            return deepcopy(self.find(collection_id, parent_id).live[object_id])
        except KeyError:
            raise RecordNotFoundError(object_id) from None

    def delete(
        self,
        collection_id,
        parent_id,
        object_id,
        with_deleted=True,
        id_field="id",
        modified_field="last_modified",
        deleted_field="deleted",
        auth=None,
        last_modified=None,
    ):
        names = (id_field, modified_field, deleted_field)
        record = self.get(collection_id, parent_id, object_id)
        tombstone = self.strip_deleted_record(collection_id, parent_id, record, *names)
        if check_timestamp(modified_field, last_modified) == record[modified_field]:
            last_modified = None
        records = self.find(collection_id, parent_id)
        self.remove(records, object_id)
        place = (collection_id, parent_id)
        self.set_record_timestamp(*place, tombstone, modified_field, last_modified)
        if with_deleted:
            records.dead[object_id] = tombstone
        return tombstone

    def purge_deleted(
        self,
        collection_id,
        parent_id,
        before=None,
        id_field="id",
        modified_field="last_modified",
        auth=None,
    ):
        dead = self.find(collection_id, parent_id).dead
        ids = [id_ for id_, old in dead.items() if before is None or old[modified_field] < before]
        for object_id in ids:
            del dead[object_id]
        return len(ids)

    def get_all(
        self,
        collection_id,
        parent_id,
        filters=None,
        sorting=None,
        pagination_rules=None,
        limit=None,
        include_deleted=False,
        id_field="id",
        modified_field="last_modified",
        deleted_field="deleted",
        auth=None,
    ):
        records = self.find(collection_id, parent_id)
        listed, total = self.extract_record_set(
            collection_id,
            records.all() if include_deleted else list(records.live.values()),
            filters,
            sorting,
            id_field,
            deleted_field,
            pagination_rules,
        )
        return deepcopy(listed[:limit]), total
