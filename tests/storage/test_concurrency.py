"""Guarantees with concurrent writers."""

import multiprocessing
import threading
import time
from functools import partial

import pytest
from pyramid_retry import IRetryableError

from cliquet.storage import Filter, Sort
from cliquet.storage.exceptions import BackendError, RecordNotFoundError, UnicityError
from cliquet.utils import COMPARISON

PLACE = ("articles", "alice")
WRITERS = 6
ROUNDS = 15


def increment(storage, serve, times=ROUNDS):
    for _ in range(times):
        with serve():
            counter = storage.get_for_update(*PLACE, "counter")
            storage.update(*PLACE, "counter", {"n": counter["n"] + 1})


def test_no_increment_is_lost(storage, serve, together):
    storage.create(*PLACE, {"id": "counter", "n": 0})
    results = together(*[partial(increment, storage, serve)] * WRITERS)
    assert results == [None] * WRITERS
    assert storage.get(*PLACE, "counter")["n"] == WRITERS * ROUNDS


def test_no_increment_is_lost_where_each_operation_commits(make_storage, serve, together):
    storage = make_storage(transaction_per_request="false")
    storage.create(*PLACE, {"id": "counter", "n": 0})
    results = together(*[partial(increment, storage, serve)] * WRITERS)
    assert results == [None] * WRITERS
    assert storage.get(*PLACE, "counter")["n"] == WRITERS * ROUNDS
    storage.flush()


def write(storage, serve, writer):
    """Do a little of everything, some of it undone."""
    for n in range(ROUNDS):
        object_id = f"{writer}-{n % 4}"
        try:
            with serve():
                storage.update(*PLACE, object_id, {"n": n})
                storage.update(*PLACE, f"shared-{n % 2}", {"writer": writer})
                if n % 5 == 4:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        if n % 3 == 2:
            storage.delete(*PLACE, object_id)
        if n % 7 == 6:
            storage.delete_all(*PLACE, filters=[Filter("writer", writer, COMPARISON.EQ)])


def poll(storage, mirror, since):
    """Bring what a client has up to date, and return the timestamp to ask for next."""
    page = storage.get_page(
        *PLACE,
        filters=[Filter("last_modified", since, COMPARISON.GT)],
        sorting=[Sort("last_modified", 1)],
        include_deleted=True,
    )
    for record in page.records:
        mirror.pop(record["id"], None)
        if "deleted" not in record:
            mirror[record["id"]] = record
    return page.timestamp


def test_a_client_that_polls_misses_no_change(storage, serve, together):
    mirror = {}
    working = [None] * WRITERS

    def writer(number):
        try:
            write(storage, serve, number)
        finally:
            working.pop()

    def poller():
        since = 0
        while working:
            since = poll(storage, mirror, since)
        poll(storage, mirror, since)

    results = together(poller, *[partial(writer, number) for number in range(WRITERS)])
    assert results == [None] * (WRITERS + 1)
    records, total = storage.get_all(*PLACE)
    assert mirror == {record["id"]: record for record in records}
    assert total == len(records)


def test_timestamps_are_distinct_and_grow(storage, together):
    def create():
        return [storage.create(*PLACE, {})["last_modified"] for _ in range(ROUNDS)]

    results = together(*[create] * WRITERS)
    assert all(timestamps == sorted(timestamps) for timestamps in results)
    assert len({timestamp for timestamps in results for timestamp in timestamps}) == 6 * ROUNDS
    assert storage.collection_timestamp(*PLACE) == max(max(timestamps) for timestamps in results)


def test_of_many_creations_with_a_unique_value_one_succeeds(storage, serve, together):
    def create(phone):
        with serve():
            storage.create(*PLACE, {"phone": phone}, unique_fields=["phone"])

    for n in range(3):
        results = together(*[partial(create, n)] * WRITERS)
        assert sorted(map(type, results), key=str) == sorted(
            [type(None), *[UnicityError] * (WRITERS - 1)], key=str
        )
    assert storage.get_all(*PLACE)[1] == 3


def test_of_many_creations_with_one_id_one_succeeds(storage, serve, together):
    def create():
        with serve():
            return storage.create(*PLACE, {"id": "a"})

    results = together(*[create] * WRITERS)
    assert sum(isinstance(result, UnicityError) for result in results) == WRITERS - 1
    assert storage.get_all(*PLACE)[1] == 1


def test_of_many_deletions_one_succeeds(storage, serve, together):
    storage.create(*PLACE, {"id": "a"})

    def delete():
        with serve():
            return storage.delete(*PLACE, "a")

    results = together(*[delete] * WRITERS)
    assert sum(isinstance(result, RecordNotFoundError) for result in results) == WRITERS - 1
    records, total = storage.get_all(*PLACE, include_deleted=True)
    assert ([record["id"] for record in records], total) == (["a"], 0)


def test_requests_that_write_two_collections_in_opposite_orders_both_succeed(
    storage, serve, together
):
    def write_both(*places):
        for _ in range(ROUNDS):
            again(places)

    def again(places):
        """Serve the request, again if the database asks for that, as pyramid_retry does."""
        environ = {"retry.attempts": 10}
        for environ["retry.attempt"] in range(10):
            try:
                with serve(environ):
                    for place in places:
                        storage.create(*place, {})
                return
            except BackendError as error:
                if not IRetryableError.providedBy(error):
                    raise

    other = ("other", "bob")
    results = together(partial(write_both, PLACE, other), partial(write_both, other, PLACE))
    assert results == [None, None]
    assert storage.get_all(*PLACE)[1] == storage.get_all(*other)[1] == 2 * ROUNDS


@pytest.mark.usefixtures("transactional")
def test_a_page_is_of_one_moment(storage, serve, together):
    """Two records that are always changed together never differ on a page."""
    for name in "ab":
        storage.create(*PLACE, {"id": name, "n": 0})
    done = []

    def writer():
        for n in range(1, 60):
            with serve():
                storage.update(*PLACE, "a", {"n": n})
                storage.update(*PLACE, "b", {"n": n})
        done.append(True)

    def reader():
        while not done:
            first, second = storage.get_all(*PLACE)[0]
            assert first["n"] == second["n"]

    assert together(writer, reader, reader) == [None] * 3


@pytest.fixture
def processes(engine, storage, make_storage):
    """A function that calls a function of a storage and a number in processes of their own."""
    if engine == "memory":
        pytest.skip("memory is not shared by processes")
    context = multiprocessing.get_context("fork")

    def run(function, count):
        def target(number):
            # Inherited clients must work as well as new ones.
            function(storage if number % 2 else make_storage(), number)

        children = [context.Process(target=target, args=(number,)) for number in range(count)]
        for child in children:
            child.start()
        return children

    def wait(children):
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0] * len(children)

    return run, wait


def test_no_increment_of_several_processes_is_lost(storage, serve, together, processes):
    run, wait = processes
    storage.create(*PLACE, {"id": "counter", "n": 0})

    def several(storage, number):
        assert together(*[partial(increment, storage, serve)] * 3) == [None] * 3

    wait(run(several, 3))
    assert storage.get(*PLACE, "counter")["n"] == 9 * ROUNDS


def test_a_client_misses_no_change_of_several_processes(storage, serve, together, processes):
    run, wait = processes

    def several(storage, number):
        calls = [partial(write, storage, serve, f"{number}-{thread}") for thread in range(2)]
        assert together(*calls) == [None] * 2

    mirror, since = {}, 0
    children = run(several, 3)
    while any(child.is_alive() for child in children):
        since = poll(storage, mirror, since)
    wait(children)
    poll(storage, mirror, since)
    records, total = storage.get_all(*PLACE)
    assert mirror == {record["id"]: record for record in records}
    assert total == len(records)


def test_unique_values_are_unique_among_processes(storage, processes):
    run, wait = processes

    def create(storage, number):
        for n in range(ROUNDS):
            try:
                storage.create(*PLACE, {"phone": n}, unique_fields=["phone"])
            except UnicityError:
                pass

    wait(run(create, 3))
    records, total = storage.get_all(*PLACE)
    assert sorted(record["phone"] for record in records) == list(range(ROUNDS))
    assert total == ROUNDS


def test_delete_all_includes_records_written_while_waiting(storage, transactional, serve, together):
    holding, tombstones = threading.Event(), []

    def write():
        with serve():
            storage.create(*PLACE, {"id": "late"})
            holding.set()
            time.sleep(0.2)  # The other one waits by then; if not, the test proves nothing.

    def delete():
        assert holding.wait(10)
        with serve():
            tombstones.extend(storage.delete_all(*PLACE))

    assert together(write, delete) == [None, None]
    assert [record["id"] for record in tombstones] == ["late"]
    assert storage.get_all(*PLACE) == ([], 0)


@pytest.mark.parametrize("filters", [[], [Filter("n", 1, COMPARISON.MIN)]], ids=["all", "filtered"])
def test_total_of_a_page_is_of_the_same_moment_as_its_records(storage, together, filters):
    done = threading.Event()

    def write_records():
        while not done.is_set():
            storage.update(*PLACE, "first", {"n": 1})
            storage.update(*PLACE, "second", {"n": 2})
            storage.delete_all(*PLACE)

    def read_pages():
        try:
            for _ in range(100):
                page = storage.get_page(*PLACE, filters=filters, include_deleted=True)
                live = [record for record in page.records if "deleted" not in record]
                assert page.total == len(live)
        finally:
            done.set()

    assert together(write_records, read_pages) == [None, None]
