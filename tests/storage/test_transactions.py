"""Storage backends in the transaction of a request."""

import threading
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cliquet.storage import Filter
from cliquet.storage.exceptions import RecordNotFoundError, UnicityError
from cliquet.utils import COMPARISON

pytestmark = pytest.mark.usefixtures("transactional")

PLACE = ("articles", "alice")


@pytest.fixture
def storage(storage):
    """One that holds, from before the transaction, a little of everything."""
    for n in range(4):
        storage.create(*PLACE, {"id": str(n), "n": n})
    storage.delete(*PLACE, "3")
    return storage


def content(storage):
    page = storage.get_page(*PLACE, include_deleted=True)
    return page, storage.get_page("other", "bob", include_deleted=True).records


def in_another_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(20)
    return results[0]


OPERATIONS = {
    "create": lambda storage: storage.create(*PLACE, {"id": "new"}),
    "create the first": lambda storage: storage.create("other", "bob", {}),
    "create in the past": lambda storage: storage.create(*PLACE, {"last_modified": 5}),
    "create again": lambda storage: storage.create(*PLACE, {"id": "3"}),
    "update": lambda storage: storage.update(*PLACE, "1", {"n": 7}),
    "update what is missing": lambda storage: storage.update(*PLACE, "new", {"n": 7}),
    "update what is deleted": lambda storage: storage.update(*PLACE, "3", {"n": 7}),
    "delete": lambda storage: storage.delete(*PLACE, "1"),
    "delete without a trace": lambda storage: storage.delete(*PLACE, "1", with_deleted=False),
    "delete all": lambda storage: storage.delete_all(*PLACE),
    "delete some": (
        lambda storage: storage.delete_all(
            *PLACE, filters=[Filter("n", 1, COMPARISON.MIN)], with_deleted=False
        )
    ),
    "purge": lambda storage: storage.purge_deleted(*PLACE),
    "flush": lambda storage: storage.flush(),
}


@pytest.fixture(params=OPERATIONS)
def operation(request):
    return OPERATIONS[request.param]


def test_an_operation_is_undone_when_the_transaction_is_aborted(storage, operation, manager):
    before = content(storage)
    operation(storage)
    assert content(storage) != before
    manager.abort()
    assert content(storage) == before


def test_an_operation_is_there_for_all_once_the_transaction_is_committed(
    storage, operation, manager
):
    operation(storage)
    mine = content(storage)
    manager.commit()
    assert in_another_thread(lambda: content(storage)) == mine


def test_operations_after_a_savepoint_are_undone_alone(storage, operation, manager):
    storage.update(*PLACE, "0", {"kept": True})
    before = content(storage)
    savepoint = manager.savepoint()
    for _ in range(2):
        operation(storage)
        assert content(storage) != before
        savepoint.rollback()
        assert content(storage) == before
    manager.commit()
    assert in_another_thread(lambda: content(storage)) == before


def test_savepoints_can_be_within_one_another(storage, manager):
    storage.update(*PLACE, "0", {"a": 1})
    outer = manager.savepoint()
    storage.update(*PLACE, "0", {"a": 2})
    inner = manager.savepoint()
    storage.update(*PLACE, "0", {"a": 3})
    inner.rollback()
    assert storage.get(*PLACE, "0")["a"] == 2
    outer.rollback()
    assert storage.get(*PLACE, "0")["a"] == 1
    manager.commit()
    assert storage.get(*PLACE, "0")["a"] == 1


def test_a_savepoint_before_the_first_write_is_one_too(storage, operation, manager):
    before = content(storage)
    savepoint = manager.savepoint()
    for _ in range(2):
        operation(storage)
        savepoint.rollback()
        assert content(storage) == before
    storage.update(*PLACE, "0", {"after": True})
    manager.commit()
    assert in_another_thread(lambda: storage.get(*PLACE, "0"))["after"] is True


def test_changes_undone_by_a_savepoint_do_not_conflict(storage, manager):
    storage.update(*PLACE, "0", {})
    savepoint = manager.savepoint()
    first = storage.create(*PLACE, {"id": "new", "phone": "1"}, unique_fields=["phone"])
    savepoint.rollback()
    again = storage.create(*PLACE, {"id": "new", "phone": "1"}, unique_fields=["phone"])
    assert again["last_modified"] >= first["last_modified"]


def test_a_refused_operation_leaves_the_transaction_as_it_was(storage, manager):
    storage.update(*PLACE, "0", {"phone": "1"})
    before = content(storage)
    with pytest.raises(UnicityError):
        storage.create(*PLACE, {"id": "3", "phone": "1"}, unique_fields=["phone"])
    with pytest.raises(UnicityError):
        storage.update(*PLACE, "3", {"phone": "1"}, unique_fields=["phone"])
    with pytest.raises(RecordNotFoundError):
        storage.delete(*PLACE, "3")
    assert content(storage) == before
    manager.commit()
    assert in_another_thread(lambda: content(storage)) == before


def test_returned_timestamp_remains_after_an_abort(storage, manager):
    timestamp = storage.collection_timestamp("never", "written")
    manager.abort()
    assert storage.collection_timestamp("never", "written") == timestamp


IDS = st.sampled_from(["0", "1", "new"])
TIMES = st.sampled_from([None, None, None, None, 5, 1 << 50])
# The third item: whether the record is first read under lock, as resources do. The last one: the
# requested timestamp.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["create", "create with id", "create unique", "update", "delete", "delete all"]
        ),
        IDS,
        st.booleans(),
        TIMES,
    )
    | st.sampled_from(["mark", "undo", "forget", "read", "flush"]),
    max_size=16,
)


def take(storage, action, object_id, locks, timestamp):
    """Do something; return the records and tombstones that it returned, by id."""
    record = {} if timestamp is None else {"last_modified": timestamp}
    results = []
    if locks:
        with suppress(RecordNotFoundError):
            storage.get_for_update(*PLACE, object_id)
    with suppress(RecordNotFoundError, UnicityError):
        if action == "create":
            results = [storage.create(*PLACE, record)]
        elif action == "create with id":
            results = [storage.create(*PLACE, {"id": object_id, **record})]
        elif action == "create unique":
            unique = {"id": object_id, "n": object_id, **record}
            results = [storage.create(*PLACE, unique, unique_fields=["n"])]
        elif action == "update":
            results = [storage.update(*PLACE, object_id, record)]
        elif action == "delete":
            results = [storage.delete(*PLACE, object_id, last_modified=timestamp)]
        else:
            results = storage.delete_all(*PLACE, filters=[Filter("id", object_id, COMPARISON.EQ)])
    return {each["id"]: each for each in results}


LOCKED = ("update", "0", True, None)


@given(steps=STEPS)
@example(steps=[LOCKED, ("delete", "0", True, None), ("delete", "0", False, None)])
@example(steps=[LOCKED, ("delete all", "0", True, None), ("update", "0", False, None)])
@example(
    steps=[
        *(LOCKED, ("delete all", "0", True, None)),
        *(("update", "1", False, None), ("delete", "0", False, None)),
    ]
)
@example(steps=[LOCKED, ("create", "", False, 1 << 50), ("create", "", False, None)])
@example(steps=[("create unique", "new", True, None), ("create with id", "new", False, None)])
@example(steps=[LOCKED, "flush", ("delete", "0", False, None)])
@example(steps=[LOCKED, "mark", LOCKED, "undo", LOCKED, "undo", LOCKED])
@example(steps=["mark", LOCKED, LOCKED, "undo", LOCKED])
@example(steps=[LOCKED, *["mark", LOCKED] * 3, "forget", "mark", LOCKED, "undo", "forget", "undo"])
@example(steps=[LOCKED, *["mark", LOCKED] * 3, "forget", "forget", "undo", "mark", LOCKED, "undo"])
def test_returned_records_are_those_stored_in_the_end(storage, manager, monkeypatch, steps):
    # The clock stands still: each timestamp comes of the one before.
    monkeypatch.setattr("cliquet.utils.msec_time", lambda: 10)
    manager.abort()
    storage.flush()
    known = {id_: storage.update(*PLACE, id_, {}) for id_ in ("0", "1")}
    manager.commit()
    marks = []
    for step in steps:
        if step == "mark":
            marks.append((manager.savepoint(), dict(known)))
        elif step == "undo" and marks:
            savepoint, known = marks[-1][0], dict(marks[-1][1])
            savepoint.rollback()
        elif step == "forget":
            savepoint = None
            del marks[-1:]
        elif step == "flush":
            storage.flush()
            known = {}
        elif step == "read":
            there = [each for each in known.values() if "deleted" not in each]
            assert storage.get_all(*PLACE)[1] == len(there)
        elif not isinstance(step, str):
            known |= take(storage, *step)
    manager.commit()
    records = in_another_thread(lambda: content(storage)[0].records)
    assert {record["id"]: record for record in records} == known


def test_an_id_that_is_generated_twice_is_taken_the_second_time(storage, manager):
    storage.lock(*PLACE)
    first = storage.create(*PLACE, {"n": 1}, id_generator=lambda: "same")
    with pytest.raises(UnicityError) as conflict:
        storage.create(*PLACE, {"n": 2}, id_generator=lambda: "same")
    assert conflict.value.record == first


def test_reading_takes_no_lock(storage, manager):
    content(storage)
    assert in_another_thread(lambda: storage.update(*PLACE, "0", {"n": 9}))["n"] == 9
    assert storage.get(*PLACE, "0")["n"] == 9


def test_a_lock_outside_of_a_request_is_not_kept(storage):
    storage.lock(*PLACE)
    storage.get_for_update(*PLACE, "0")
    assert in_another_thread(lambda: storage.update(*PLACE, "0", {"n": 9}))["n"] == 9


@pytest.mark.parametrize("end", ["commit", "abort"])
@pytest.mark.parametrize("begin", ["lock", "write"])
def test_others_write_once_the_transaction_ends(storage, manager, begin, end):
    if begin == "lock":
        storage.lock(*PLACE)
        storage.lock(*PLACE)
    else:
        storage.update(*PLACE, "0", {"n": 1})
    events = []

    def other():
        storage.update(*PLACE, "0", {"n": 2})
        events.append("written")

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    events.append("ending")
    getattr(manager, end)()
    thread.join(20)
    assert events == ["ending", "written"]
    assert storage.get(*PLACE, "0")["n"] == 2


def test_uncommitted_changes_are_invisible_to_others(storage, manager):
    storage.update(*PLACE, "0", {"n": 1})
    seen = []
    thread = threading.Thread(target=lambda: seen.append(storage.get(*PLACE, "0")["n"]))
    thread.start()
    thread.join(0.1)  # where reading waits, it waits until the end
    manager.abort()
    thread.join(20)
    assert seen == [0]


class TestEachOperationCommits:
    """The setting ``transaction_per_request`` is off."""

    @pytest.fixture
    def storage(self, make_storage):
        storage = make_storage(transaction_per_request="false")
        storage.create(*PLACE, {"id": "0", "n": 0})
        yield storage
        storage.flush()

    def test_writes_are_kept_when_the_transaction_is_aborted(self, storage, manager):
        storage.update(*PLACE, "0", {"n": 1})
        savepoint = manager.savepoint()
        storage.update(*PLACE, "0", {"n": 2})
        savepoint.rollback()
        manager.abort()
        assert storage.get(*PLACE, "0")["n"] == 2

    def test_writes_are_kept_after_a_rollback_to_a_savepoint_under_the_lock(self, storage, manager):
        storage.lock(*PLACE)
        savepoint = manager.savepoint()
        storage.update(*PLACE, "0", {"n": 1})
        savepoint.rollback()
        manager.commit()
        assert storage.get(*PLACE, "0")["n"] == 1

    def test_each_write_ends_the_savepoints_before_it(self, storage, manager):
        for n in range(1, 4):  # the requests of a batch
            storage.lock(*PLACE)
            manager.savepoint()
            storage.update(*PLACE, "0", {"n": n})
        manager.commit()
        assert storage.get(*PLACE, "0")["n"] == 3

    @pytest.mark.parametrize("count", [0, 1])
    def test_savepoints_before_a_write_undo_nothing_of_it(self, storage, manager, count):
        storage.lock(*PLACE)
        savepoint = manager.savepoint()
        storage.update(*PLACE, "0", {"n": 1})
        storage.lock(*PLACE)
        later = [manager.savepoint() for _ in range(count)]
        savepoint.rollback()
        assert not any(each.valid for each in later)
        storage.update(*PLACE, "0", {"n": storage.get(*PLACE, "0")["n"] + 1})
        manager.commit()
        assert in_another_thread(lambda: storage.get(*PLACE, "0"))["n"] == 2

    def test_writes_are_visible_to_all_immediately(self, storage, manager):
        storage.update(*PLACE, "0", {"n": 1})
        assert in_another_thread(lambda: storage.get(*PLACE, "0"))["n"] == 1
        assert in_another_thread(lambda: storage.update(*PLACE, "0", {"n": 2}))["n"] == 2
        assert storage.get(*PLACE, "0")["n"] == 2

    @pytest.mark.parametrize("release", ["write", "commit", "abort"])
    def test_a_lock_is_kept_until_the_next_write_or_the_end(self, storage, manager, release):
        assert storage.get_for_update(*PLACE, "0")["n"] == 0
        thread = threading.Thread(target=lambda: storage.update(*PLACE, "0", {"n": 2}))
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        assert storage.get(*PLACE, "0")["n"] == 0
        if release == "write":
            storage.update(*PLACE, "0", {"n": 1})
        else:
            getattr(manager, release)()
        thread.join(20)
        assert storage.get(*PLACE, "0")["n"] == 2

    def test_a_refused_write_ends_the_lock_too(self, storage, manager):
        storage.lock(*PLACE)
        with pytest.raises(UnicityError):
            storage.create(*PLACE, {"id": "0"})
        assert in_another_thread(lambda: storage.update(*PLACE, "0", {"n": 2}))["n"] == 2
