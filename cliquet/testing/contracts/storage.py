"""Contract of the storage backends."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from cliquet.storage import Filter, Page, Sort, StorageBase
from cliquet.storage.checksums import Checksum
from cliquet.storage.exceptions import BackendError, RecordNotFoundError, UnicityError
from cliquet.storage.generators import UUID4
from cliquet.testing.contracts.deletion import DeletionContract
from cliquet.testing.contracts.operators import OperatorContract
from cliquet.testing.contracts.queries import QueryContract
from cliquet.testing.contracts.samples import PLACE, require
from cliquet.testing.contracts.timestamps import TimestampContract
from cliquet.testing.contracts.unique import UniqueFieldsContract
from cliquet.utils import COMPARISON

NAMES: dict[str, Any] = {"id_field": "uid", "modified_field": "changed"}


ALL_NAMES: dict[str, Any] = {**NAMES, "deleted_field": "gone"}


def ids(records: Iterable[Mapping[str, Any]], field: str = "id") -> list[Any]:
    return [record[field] for record in records]


WEIRD = ["", " ", "é\U0001f600", "q\"uo'te", "a/b%_*", "a\0b", "a", "a\0c", "A"]


def _write_at_random(storage: StorageBase, random_: Random) -> None:
    """Change the collection in one of the ways that storages offer."""
    taken = ids(storage.get_all(*PLACE, include_deleted=True)[0], "last_modified")
    times = [
        None,
        None,
        0,
        1,
        -5,
        random_.randrange(1 << 52),
        *taken[:2],
        *(t - 1 for t in taken[:1]),
    ]
    time, object_id = random_.choice(times), str(random_.randrange(8))
    record = {"n": random_.randrange(4)} | ({} if time is None else {"last_modified": time})
    tombstone = random_.random() < 0.5
    filters = [Filter("n", random_.randrange(4), COMPARISON.EQ)]
    place = random_.choice([PLACE, PLACE, PLACE, ("articles", "bob")])
    writes: list[Callable[[], object]] = [
        lambda: storage.create(*place, {"id": object_id, **record}),
        lambda: storage.create(*place, record),
        lambda: storage.create(*place, record, unique_fields=("n",)),
        lambda: storage.update(*place, object_id, record, unique_fields=("n",)),
        lambda: storage.update(*place, object_id, record),
        lambda: storage.delete(*place, object_id, with_deleted=tombstone, last_modified=time),
        lambda: storage.delete_all(*place, filters=filters, with_deleted=tombstone),
        lambda: storage.purge_deleted(*place, before=random_.choice([None, *taken])),
    ]
    with suppress(UnicityError, RecordNotFoundError):
        random_.choice(writes)()


class StorageContract(
    QueryContract, OperatorContract, DeletionContract, TimestampContract, UniqueFieldsContract
):
    """Tests of a storage backend.

    They require the fixture ``storage``, an empty backend.
    """

    def test_storage_implements_the_interface(self, storage: StorageBase) -> None:
        assert isinstance(storage, StorageBase)

    def test_schema_can_be_initialized_again(self, storage: StorageBase) -> None:
        created = storage.create(*PLACE, {})
        storage.initialize_schema()
        assert storage.get(*PLACE, created["id"]) == created

    def test_no_migration_is_pending_after_initialization(self, storage: StorageBase) -> None:
        assert not storage.pending_migrations()

    def test_record_is_created_with_id_and_timestamp(self, storage: StorageBase) -> None:
        created = storage.create(*PLACE, {"title": "a"})
        assert created == {
            "title": "a",
            "id": created["id"],
            "last_modified": storage.collection_timestamp(*PLACE),
        }
        assert UUID4().match(created["id"])
        assert storage.get(*PLACE, created["id"]) == created

    def test_generator_creates_the_id(self, storage: StorageBase) -> None:
        assert storage.create(*PLACE, {}, id_generator=lambda: "mine")["id"] == "mine"

    def test_given_id_is_used(self, storage: StorageBase) -> None:
        assert storage.create(*PLACE, {"id": "given"}, id_generator=lambda: "made")["id"] == "given"

    def test_existing_id_conflicts_with_its_record(self, storage: StorageBase) -> None:
        existing = storage.create(*PLACE, {"id": "a", "n": 1})
        with pytest.raises(UnicityError) as caught:
            storage.create(*PLACE, {"id": "a", "n": 2})
        assert (caught.value.field, caught.value.record) == ("id", existing)
        assert storage.get_all(*PLACE) == ([existing], 1)

    @pytest.mark.parametrize("bad", [1, "a\0b"], ids=repr)
    def test_invalid_id_is_refused(self, storage: StorageBase, bad: Any) -> None:
        with pytest.raises(ValueError, match="id"):
            storage.create(*PLACE, {"id": bad})
        with pytest.raises(ValueError, match="id"):
            storage.update(*PLACE, bad, {})
        assert storage.get_all(*PLACE) == ([], 0)

    @pytest.mark.parametrize("bad", ["a\0b", "\ud800", {"a\0": 1}, ["\udfff"]], ids=ascii)
    def test_values_that_cannot_be_stored_are_refused(self, storage: StorageBase, bad: Any) -> None:
        with pytest.raises(ValueError, match="cannot be stored"):
            storage.create(*PLACE, {"field": bad})
        assert storage.get_all(*PLACE) == ([], 0)

    @pytest.mark.parametrize("fine", ["\\u0000", "\\ud800", "\\\\u0000"])
    def test_strings_that_look_like_escapes_are_stored(
        self, storage: StorageBase, fine: str
    ) -> None:
        created = storage.create(*PLACE, {"field": fine})
        assert storage.get(*PLACE, created["id"])["field"] == fine

    @pytest.mark.parametrize("object_id", ["missing", "a\0b", "", "é"])
    def test_missing_record_is_not_found(self, storage: StorageBase, object_id: str) -> None:
        for _ in range(2):  # in a collection that was never written, then in one that was
            with pytest.raises(RecordNotFoundError):
                storage.get(*PLACE, object_id)
            with pytest.raises(RecordNotFoundError):
                storage.get_for_update(*PLACE, object_id)
            with pytest.raises(RecordNotFoundError):
                storage.delete(*PLACE, object_id)
            storage.create(*PLACE, {})

    def test_update_replaces_the_whole_record(self, storage: StorageBase) -> None:
        created = storage.create(*PLACE, {"a": 1, "b": 2})
        updated = storage.update(*PLACE, created["id"], {"b": 3})
        assert updated == {"b": 3, "id": created["id"], "last_modified": updated["last_modified"]}
        assert updated["last_modified"] > created["last_modified"]
        assert storage.get_all(*PLACE) == ([updated], 1)

    def test_update_creates_a_missing_record(self, storage: StorageBase) -> None:
        updated = storage.update(*PLACE, "a", {"n": 1})
        assert storage.get(*PLACE, "a") == updated == {"n": 1, "id": "a"} | updated
        assert storage.get_all(*PLACE) == ([updated], 1)

    def test_update_uses_the_id_argument(self, storage: StorageBase) -> None:
        assert storage.update(*PLACE, "a", {"id": "b"})["id"] == "a"
        assert ids(storage.get_all(*PLACE)[0]) == ["a"]

    def test_get_for_update_returns_the_record(self, storage: StorageBase) -> None:
        created = storage.create(*PLACE, {"n": 1})
        assert storage.get_for_update(*PLACE, created["id"]) == created

    def test_stored_records_are_copies(self, storage: StorageBase) -> None:
        given: dict[str, Any] = {"list": [1], "id": "a"}
        created = storage.create(*PLACE, given)
        assert given == {"list": [1], "id": "a"}
        given["list"].append(2)
        created["list"].append(3)
        storage.get(*PLACE, "a")["list"].append(4)
        storage.get_all(*PLACE)[0][0]["list"].append(5)
        assert storage.get(*PLACE, "a")["list"] == [1]

    def test_names_of_id_timestamp_and_mark_can_be_chosen(self, storage: StorageBase) -> None:
        created = storage.create(*PLACE, {"uid": "a", "id": 7, "last_modified": "x"}, **NAMES)
        timestamp = storage.collection_timestamp(*PLACE)
        assert created == {"uid": "a", "changed": timestamp, "id": 7, "last_modified": "x"}
        assert storage.get(*PLACE, "a", **NAMES) == created
        assert storage.get_for_update(*PLACE, "a", **NAMES) == created
        updated = storage.update(*PLACE, "a", {"id": 8}, **NAMES)
        assert updated == {"uid": "a", "changed": updated["changed"], "id": 8}
        assert storage.get_page(*PLACE, **ALL_NAMES) == Page([updated], 1, updated["changed"])
        with pytest.raises(UnicityError) as caught:
            storage.create(*PLACE, {"id": 8}, unique_fields=("id",), **NAMES)
        assert (caught.value.field, caught.value.record) == ("id", updated)
        with pytest.raises(UnicityError) as caught:
            storage.create(*PLACE, {"uid": "a"}, **NAMES)
        assert (caught.value.field, caught.value.record) == ("uid", updated)
        deleted = storage.delete(*PLACE, "a", **ALL_NAMES)
        assert deleted == {"uid": "a", "changed": deleted["changed"], "gone": True}
        everything = storage.get_all(*PLACE, include_deleted=True, **ALL_NAMES)
        assert everything == ([deleted], 0)

    def test_lists_filter_and_sort_by_the_chosen_names(self, storage: StorageBase) -> None:
        for name in "abc":
            storage.create(*PLACE, {"uid": name, "id": 1, "last_modified": name}, **NAMES)
        storage.delete(*PLACE, "c", **ALL_NAMES)
        order: dict[str, Any] = {"sorting": [Sort("changed", 1)], **ALL_NAMES}
        everything, total = storage.get_all(*PLACE, include_deleted=True, **order)
        assert (ids(everything, "uid"), total) == (["a", "b", "c"], 2)
        cases = [
            (Filter("gone", True, COMPARISON.EQ), ["c"]),
            (Filter("gone", False, COMPARISON.EQ), ["a", "b"]),
            (Filter("deleted", True, COMPARISON.EQ), []),
            (Filter("uid", ["b"], COMPARISON.IN), ["b"]),
            (Filter("changed", everything[0]["changed"], COMPARISON.GT), ["b", "c"]),
            (Filter("last_modified", "b", COMPARISON.EQ), ["b"]),
            (Filter("id", 1, COMPARISON.EQ), ["a", "b"]),
        ]
        for filter_, expected in cases:
            records, _ = storage.get_all(*PLACE, filters=[filter_], include_deleted=True, **order)
            assert ids(records, "uid") == expected, filter_
        tombstones = storage.delete_all(*PLACE, **ALL_NAMES)
        assert [set(record) for record in tombstones] == [{"uid", "changed", "gone"}] * 2

    def test_collections_with_similar_names_are_separate(self, storage: StorageBase) -> None:
        pairs = [[(name, "a"), ("a", name), (name, name)] for name in WEIRD]
        similar = [("a", "b\0a"), ("a", "b/%_*"), ("a/b", "%_*")]
        places = list(dict.fromkeys([*itertools.chain(*pairs), *similar]))
        for n, place in enumerate(places):
            storage.create(*place, {"id": "same", "n": n})
        for n, place in enumerate(places):
            assert storage.get(*place, "same")["n"] == n
            assert storage.get_all(*place)[1] == 1
        storage.delete_all(*places[0])
        assert storage.get_all(*places[0]) == ([], 0)
        assert all(storage.get_all(*place)[1] == 1 for place in places[1:])

    @pytest.mark.parametrize("object_id", [id_ for id_ in WEIRD if "\0" not in id_])
    def test_any_string_is_an_id(self, storage: StorageBase, object_id: str) -> None:
        storage.create(*PLACE, {"id": "another"})
        created = storage.create(*PLACE, {"id": object_id})
        assert storage.get(*PLACE, object_id) == created
        for operator, value in [(COMPARISON.EQ, object_id), (COMPARISON.IN, [object_id, "?"])]:
            records, total = storage.get_all(*PLACE, filters=[Filter("id", value, operator)])
            assert (records, total) == ([created], 1)
        storage.update(*PLACE, object_id, {"n": 1})
        storage.delete(*PLACE, object_id)
        assert ids(storage.get_all(*PLACE)[0]) == ["another"]

    def test_parents_of_a_resource_are_listed(self, storage: StorageBase) -> None:
        collection_id = "arti:cles\0é"
        require(storage.get_parents, collection_id)
        assert storage.get_parents(collection_id) == []
        for place in ((collection_id, "bo:b*"), ("other", "alice"), (collection_id, "")):
            storage.create(*place, {"id": "a"})
        assert storage.get_parents(collection_id) == ["", "bo:b*"]
        assert storage.get_parents("arti") == []

    def test_flush_deletes_all_records(self, storage: StorageBase) -> None:
        first = storage.create(*PLACE, {"id": "a"})
        storage.create("other", "bob", {"id": "b"})
        storage.delete("other", "bob", "b")
        storage.flush()
        for place in (PLACE, ("other", "bob")):
            assert storage.get_page(*place, include_deleted=True)[:2] == ([], 0)
        assert storage.collection_timestamp(*PLACE) >= first["last_modified"]
        assert storage.create(*PLACE, {"id": "a"})["id"] == "a"

    def test_checksum_is_that_of_the_live_records_at_any_time(self, storage: StorageBase) -> None:
        random_ = Random(1)
        for _ in range(40):
            _write_at_random(storage, random_)
            records, total = storage.get_all(*PLACE)
            expected = Checksum().add(*ids(records, "last_modified"))
            assert storage.checksum(*PLACE) == expected
            some = [record for record in records if random_.random() < 0.5]
            some_ids = [*ids(some), "missing", *ids(some[:1]), "a\0", "\ud800"]
            expected_of_some = Checksum().add(*ids(some, "last_modified"))
            assert storage.checksum(*PLACE, ids=some_ids) == expected_of_some
        assert PLACE not in [tuple(mismatch[:2]) for mismatch in storage.find_mismatches()]
        storage.create(*PLACE, {})
        storage.flush()
        assert storage.checksum(*PLACE) == storage.checksum(*PLACE, ids=["a"]) == Checksum()

    def test_page_includes_the_checksum_of_the_whole_collection(self, storage: StorageBase) -> None:
        assert storage.get_page(*PLACE, with_checksum=True).checksum == Checksum()
        for n in range(3):
            storage.create(*PLACE, {"id": str(n), "n": n})
        storage.delete(*PLACE, "0")
        filters = [Filter("n", 1, COMPARISON.EQ)]
        for query in ({}, {"limit": 1}, {"filters": filters, "include_deleted": True}):
            given: dict[str, Any] = {"with_checksum": True, **query}
            page = storage.get_page(*PLACE, **given)
            assert page.checksum == storage.checksum(*PLACE)
            assert page[:3] == storage.get_page(*PLACE, **query)[:3]
            page = storage.get_page(*PLACE, **given, checksum_ids=["2", "0"])
            assert page.checksum == storage.checksum(*PLACE, ids=["2"])
            assert storage.get_page(*PLACE, **query).checksum is None

    def test_surrogate_in_a_collection_name_is_not_a_backend_error(
        self, storage: StorageBase
    ) -> None:
        try:
            assert storage.get_all("\ud800", "\udfff") == ([], 0)
        except BackendError:
            pytest.fail("reported as an error of the backend")
        except ValueError:
            pass  # the engine can't encode it

    def test_timestamps_of_several_collections(self, storage: StorageBase) -> None:
        places = [PLACE, ("articles", "bob"), ("never", "written"), ("a\0", "é")]
        for place in places[:2]:
            storage.create(*place, {"n": 1})
        expected = {place: storage.collection_timestamp(*place) for place in places}
        assert storage.collection_timestamps(places) == expected
        assert storage.collection_timestamps(iter(places[:2])) == {
            place: expected[place] for place in places[:2]
        }
        assert storage.collection_timestamps([]) == {}
