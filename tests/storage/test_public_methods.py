"""The contract of the storages accepts a backend written for 3.1, and refuses broken ones."""

import pytest

from cliquet.storage import Filter
from cliquet.storage.exceptions import RecordNotFoundError
from cliquet.testing.contracts import StorageContract
from cliquet.utils import COMPARISON
from tests.refusals import check_refusal
from tests.storage.public_methods import PublicMethodsStorage


class TestContract(StorageContract):
    @pytest.fixture
    def storage(self):
        return PublicMethodsStorage()


class Broken(PublicMethodsStorage):
    """Base class of the broken variants; ``refused_by`` names a test of the contract."""

    refused_by: str


def ignoring(name, **values):
    """Return a method that calls the original one with other values of some arguments."""
    original = getattr(PublicMethodsStorage, name)

    def method(self, *args, **kwargs):
        return original(self, *args, **{**kwargs, **values})

    return method


class IgnoresLimit(Broken):
    refused_by = "test_rules_and_limit_do_not_change_the_total"
    get_all = ignoring("get_all", limit=None)


class ReturnsAllForLimitZero(Broken):
    refused_by = "test_rules_and_limit_do_not_change_the_total"

    def get_all(self, *args, limit=None, **kwargs):
        return super().get_all(*args, limit=limit or None, **kwargs)


class CountsThePage(Broken):
    refused_by = "test_rules_and_limit_do_not_change_the_total"

    def get_all(self, *args, **kwargs):
        records, _ = super().get_all(*args, **kwargs)
        return records, sum("deleted" not in record for record in records)


class IgnoresRules(Broken):
    refused_by = "test_page_has_the_records_that_match_all_filters_of_any_rule"
    get_all = ignoring("get_all", pagination_rules=None)


class AppliesOnlyTheFirstRule(Broken):
    refused_by = "test_page_has_the_records_that_match_all_filters_of_any_rule"

    def get_all(self, *args, pagination_rules=None, **kwargs):
        rules = (pagination_rules or [])[:1]
        return super().get_all(*args, pagination_rules=rules, **kwargs)


class ComparesRulesWithinAType(Broken):
    refused_by = "test_rules_compare_in_the_order_of_all_types"

    def get_all(self, *args, pagination_rules=None, filters=None, **kwargs):
        _, total = super().get_all(*args, filters=filters, **kwargs)
        any_rule = [Filter("", pagination_rules, COMPARISON.OR)] if pagination_rules else []
        records, _ = super().get_all(*args, filters=[*(filters or []), *any_rule], **kwargs)
        return records, total


class IgnoresSorting(Broken):
    refused_by = "test_values_of_all_types_are_sorted"
    get_all = ignoring("get_all", sorting=None)


class SortsByOneFieldOnly(Broken):
    refused_by = "test_each_sort_order_decides_among_equal_records"

    def get_all(self, *args, sorting=None, **kwargs):
        return super().get_all(*args, sorting=(sorting or [])[:1], **kwargs)


class SortsAscendingOnly(Broken):
    refused_by = "test_values_of_all_types_are_sorted"

    def get_all(self, *args, sorting=None, **kwargs):
        ascending = [sort._replace(direction=1) for sort in sorting or []]
        return super().get_all(*args, sorting=ascending, **kwargs)


class IgnoresFilters(Broken):
    refused_by = "test_filters_compare_within_a_type"
    get_all = ignoring("get_all", filters=None)


class AppliesOnlyTheFirstFilter(Broken):
    refused_by = "test_all_filters_must_match"

    def get_all(self, *args, filters=None, **kwargs):
        return super().get_all(*args, filters=(filters or [])[:1], **kwargs)


class LacksTheMarkOfLiveRecords(Broken):
    refused_by = "test_tombstones_are_listed_on_request_and_never_counted"

    def get_all(self, *args, filters=None, **kwargs):
        if Filter("deleted", False, COMPARISON.EQ) in (filters or []):
            return [], 0
        return super().get_all(*args, filters=filters, **kwargs)


class HidesTombstones(Broken):
    refused_by = "test_deleted_record_leaves_a_tombstone"
    get_all = ignoring("get_all", include_deleted=False)


class CountsTombstones(Broken):
    refused_by = "test_tombstones_are_listed_on_request_and_never_counted"

    def get_all(self, *args, limit=None, **kwargs):
        records, _ = super().get_all(*args, **kwargs)
        return records[:limit], len(records)


class PurgesNothing(Broken):
    refused_by = "test_tombstones_before_a_time_are_purged"

    def purge_deleted(self, collection_id, parent_id, **kwargs):
        dead = self.find(collection_id, parent_id).dead.copy()
        purged = super().purge_deleted(collection_id, parent_id, **kwargs)
        self.find(collection_id, parent_id).dead = dead
        return purged


class PurgesTombstonesOfAnyAge(Broken):
    refused_by = "test_tombstones_before_a_time_are_purged"
    purge_deleted = ignoring("purge_deleted", before=None)


class KeepsTombstoneBesideItsRecord(Broken):
    refused_by = "test_record_replaces_its_tombstone"

    def remove(self, records, object_id):
        records.live.pop(object_id, None)


class KeepsNoTombstones(Broken):
    refused_by = "test_deleted_record_leaves_a_tombstone"
    delete = ignoring("delete", with_deleted=False)


class KeepsEveryTombstone(Broken):
    refused_by = "test_record_can_be_deleted_without_tombstone"
    delete = ignoring("delete", with_deleted=True)


class DeletesRecordsThatDoNotMatch(Broken):
    refused_by = "test_matching_records_are_deleted"
    delete_all = ignoring("delete_all", filters=None)


class ReturnsTheDeletedRecord(Broken):
    refused_by = "test_deleted_record_leaves_a_tombstone"

    def strip_deleted_record(self, collection_id, parent_id, record, *names):
        return {**record, "deleted": True}


class DuplicatesRequestedTimestamps(Broken):
    refused_by = "test_records_that_request_one_timestamp_get_distinct_ones"

    def next_free(self, records, modified_field, timestamp):
        return timestamp


class IgnoresRequestedTimestamps(Broken):
    refused_by = "test_creation_in_the_past_moves_the_collection_to_now"

    def next_free(self, records, modified_field, timestamp):
        return None


class IgnoresTimeOfDeletion(Broken):
    refused_by = "test_deletion_takes_an_earlier_timestamp"
    delete = ignoring("delete", last_modified=None)


class MovesCollectionBack(Broken):
    refused_by = "test_creation_in_the_past_moves_the_collection_to_now"

    def _bump_timestamp(self, collection_id, parent_id, *args, **kwargs):
        timestamp = super()._bump_timestamp(collection_id, parent_id, *args, **kwargs)
        self.find(collection_id, parent_id).timestamp = timestamp
        return timestamp


class DeletesWithoutChangingTheCollection(Broken):
    refused_by = "test_every_write_is_later_than_the_previous_one"

    def delete(self, collection_id, parent_id, *args, **kwargs):
        before = self.collection_timestamp(collection_id, parent_id)
        deleted = super().delete(collection_id, parent_id, *args, **kwargs)
        self.find(collection_id, parent_id).timestamp = before
        return deleted


class ChangesTimestampsByReads(Broken):
    refused_by = "test_reads_and_failures_change_no_timestamp"

    def get_all(self, collection_id, parent_id, **kwargs):
        self.find(collection_id, parent_id).timestamp += 1
        return super().get_all(collection_id, parent_id, **kwargs)


class FlushesNothing(Broken):
    refused_by = "test_flush_deletes_all_records"

    def flush(self, auth=None):
        pass


class FlushesTimestamps(Broken):
    refused_by = "test_flush_makes_the_timestamps_of_empty_collections_later"

    def flush(self, auth=None):
        self.collections = {}


class FlushesToTheFuture(Broken):
    refused_by = "test_flush_ignores_requested_timestamps_in_the_future"

    def flush(self, auth=None):
        latest = max(records.timestamp for records in self.collections.values())
        super().flush()
        self.epoch = latest + 1


class MixesParents(Broken):
    refused_by = "test_collections_with_similar_names_are_separate"

    def find(self, collection_id, parent_id):
        return super().find(collection_id, "")

    def write(self, place, *args):
        return super().write((place[0], ""), *args)


class MergesUpdates(Broken):
    refused_by = "test_update_replaces_the_whole_record"

    def update(self, collection_id, parent_id, object_id, record, **kwargs):
        old = self.find(collection_id, parent_id).live.get(object_id, {})
        fields = {name: value for name, value in old.items() if name != "last_modified"}
        return super().update(collection_id, parent_id, object_id, {**fields, **record}, **kwargs)


class UpdatesExistingRecordsOnly(Broken):
    refused_by = "test_update_creates_a_missing_record"

    def update(self, collection_id, parent_id, object_id, record, **kwargs):
        if object_id not in self.find(collection_id, parent_id).live:
            raise RecordNotFoundError(object_id)
        return super().update(collection_id, parent_id, object_id, record, **kwargs)


class CreatesDuplicatesOfUniqueValues(Broken):
    refused_by = "test_second_record_with_a_value_conflicts_with_the_first"
    create = ignoring("create", unique_fields=None)


class UpdatesToDuplicatesOfUniqueValues(Broken):
    refused_by = "test_update_cannot_take_the_value_of_another_record"
    update = ignoring("update", unique_fields=None)


class ReplacesRecordsOnCreation(Broken):
    refused_by = "test_existing_id_conflicts_with_its_record"

    def check_unicity(self, *args, **kwargs):
        pass


class SharesRecordsWithCallers(Broken):
    refused_by = "test_stored_records_are_copies"

    def get(self, collection_id, parent_id, object_id, **kwargs):
        super().get(collection_id, parent_id, object_id, **kwargs)
        return self.find(collection_id, parent_id).live[object_id]


@pytest.mark.parametrize("broken", Broken.__subclasses__(), ids=lambda cls: cls.__name__)
def test_contract_refuses(broken):
    check_refusal(StorageContract, broken)
