"""Locks of the Redis storage backend, which protect records read by writing requests."""

import threading
import time
from contextlib import closing, suppress

import pytest

from cliquet import transactions
from cliquet.drivers.redis.client import Client
from cliquet.storage import Filter
from cliquet.storage import redis as module
from cliquet.storage.exceptions import BackendError, RecordNotFoundError, UnicityError
from cliquet.storage.redis.locks import Locks
from cliquet.utils import COMPARISON
from tests import redis_server
from tests.configuration import backend_config

PLACE = ("articles", "alice")
OTHER = ("other", "bob")


def make():
    settings = {"storage_url": redis_server.database_url(1)}
    return module.load_from_config(backend_config(settings))


@pytest.fixture
def storage():
    storage = make()
    yield storage
    storage.flush()
    storage._client.call("FLUSHDB")


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def storage_with(lease=10.0, timeout=30.0, url=None):
    client = Client(url or redis_server.database_url(1))
    return module.Storage(client, locks=Locks(client, lease, timeout))


def read_and_write(storage, other):
    """A request that reads and writes, and in between does something else."""
    counter = storage.get_for_update(*PLACE, "counter")
    other()
    return storage.update(*PLACE, "counter", {"n": counter["n"] + 1})


@pytest.fixture
def counter(storage):
    return storage.create(*PLACE, {"id": "counter", "n": 0})


def test_outside_of_a_request_nothing_is_locked(storage, counter):
    assert storage.get_for_update(*PLACE, "counter") == counter
    with pytest.raises(RecordNotFoundError):
        storage.get_for_update(*PLACE, "another")
    storage.lock(*PLACE)
    storage.update(*PLACE, "counter", {})


@pytest.mark.parametrize("end", ["commit", "abort"])
def test_others_write_once_the_transaction_ends(storage, counter, manager, end):
    storage.get_for_update(*PLACE, "counter")
    assert make().get(*PLACE, "counter") == counter  # readers don't wait
    thread = in_thread(lambda: make().update(*PLACE, "counter", {"n": 2}))
    thread.join(0.1)
    assert thread.is_alive()
    storage.update(*PLACE, "counter", {"n": 1})
    getattr(manager, end)()
    thread.join(20)
    assert storage.get(*PLACE, "counter")["n"] == 2
    assert not storage._client.call("KEYS", "cliquet.storage.lock*")


def test_other_collections_are_not_locked(storage, counter, manager):
    storage.lock(*PLACE)
    thread = in_thread(lambda: make().create(*OTHER, {}))
    thread.join(20)
    assert storage.get_all(*OTHER)[1] == 1


def test_lock_wait_beyond_the_limit_is_an_error(storage, counter, serve):
    with serve():
        storage.lock(*PLACE)
        failures = []

        def wait():
            try:
                storage_with(timeout=0.05).create(*PLACE, {})
            except BackendError as error:
                failures.append(str(error))

        in_thread(wait).join(20)
    (failure,) = failures
    assert failure.startswith("timed out after 0.05 s waiting for the lock of collection ")


def test_lock_of_a_dead_process_expires(storage, counter):
    dead = storage_with(lease=0.1)
    dead._locks.lock(dead._locks.new_manager(), PLACE[::-1])
    storage.update(*PLACE, "counter", {"n": 1})
    assert storage.get(*PLACE, "counter")["n"] == 1


def test_slow_writer_does_not_overwrite_others(storage, counter, serve):
    slow = storage_with(lease=0.01)
    with pytest.raises(BackendError, match="changed by another request"), serve():
        read_and_write(slow, lambda: in_thread(lambda: write_in_time(storage)).join(20))
    assert storage.get(*PLACE, "counter")["n"] == 10


def write_in_time(storage):
    time.sleep(0.05)
    storage.update(*PLACE, "counter", {"n": 10})


def test_slow_writer_succeeds_without_other_writes(storage, counter, serve):
    with serve():
        read_and_write(storage_with(lease=0.01), lambda: time.sleep(0.05))
    assert storage.get(*PLACE, "counter")["n"] == 1


def test_each_write_of_a_request_prolongs_its_lock(storage, counter, serve):
    with serve():
        storage.lock(*PLACE)
        (lock,) = storage._client.call("KEYS", "cliquet.storage.lock*")
        for _ in range(2):
            storage._client.call("PERSIST", lock)
            storage.update(*PLACE, "counter", {"n": 1})
            assert storage._client.call("PTTL", lock) > 0


def test_requests_that_lock_in_opposite_orders_both_succeed(storage, serve, together):
    def several(first, second):
        for _ in range(10):
            with serve() as manager:
                for place in (first, second, first):
                    manager.savepoint()  # as a batch does before each of its parts
                    storage.lock(*place)
                    time.sleep(0.001)
                    storage.create(*place, {})
                manager.savepoint()
                storage.create(*first, {})  # which the resource does without a lock

    calls = [lambda: several(PLACE, OTHER), lambda: several(OTHER, PLACE)] * 2
    assert together(*calls) == [None] * 4
    assert storage.get_all(*PLACE)[1] == storage.get_all(*OTHER)[1] == 80


def test_waiting_request_fails_only_if_its_reads_have_changed(storage, serve):
    """Two collections read, then both written: others wrote to the first one meanwhile.

    In this order they are waited for in vain unless the first one is let go.
    """
    storage.create(*OTHER, {"id": "counter", "n": 0})

    def read_two(between):
        with serve():
            counter = storage.get_for_update(*OTHER, "counter")
            between()
            storage.lock(*PLACE)  # waits, and lets go of the first
            storage.update(*OTHER, "counter", {"n": counter["n"] + 1})

    def busy(*writes):
        locked, done = threading.Event(), threading.Event()

        def hold():
            with serve():
                storage.lock(*PLACE)
                locked.set()
                time.sleep(0.05)
                for place in writes:
                    storage.create(*place, {})
            done.set()

        in_thread(hold)
        locked.wait(10)
        return done

    started = []
    read_two(lambda: started.append(busy(PLACE)))
    assert started.pop().wait(10)
    assert storage.get(*OTHER, "counter")["n"] == 1
    with pytest.raises(BackendError, match="changed by another request"):
        read_two(lambda: started.append(busy(OTHER)))
    assert started.pop().wait(10)
    assert storage.get(*OTHER, "counter")["n"] == 1


def test_lock_retaken_for_a_failing_write_ends_with_the_request(storage, serve):
    storage.create(*PLACE, {"id": "a"})
    with serve():
        storage.lock(*PLACE)
        transactions.current_participant(storage._locks).release()
        with pytest.raises(UnicityError):
            storage.create(*PLACE, {"id": "a"})
        assert storage._client.call("KEYS", "cliquet.storage.lock*")
    assert not storage._client.call("KEYS", "cliquet.storage.lock*")


def test_some_are_deleted_within_a_request_and_outside(storage, serve):
    for n in range(4):
        storage.create(*PLACE, {"id": str(n), "n": n})
    assert len(storage.delete_all(*PLACE, filters=[Filter("n", 0, COMPARISON.EQ)])) == 1
    with serve():
        assert len(storage.delete_all(*PLACE, filters=[Filter("n", 1, COMPARISON.EQ)])) == 1
    assert storage.get_all(*PLACE)[1] == 2
    assert not storage._client.call("KEYS", "cliquet.storage.lock*")


def test_writes_before_a_failure_are_kept(storage, serve):
    with pytest.raises(ZeroDivisionError), serve() as manager:
        savepoint = manager.savepoint()
        storage.lock(*PLACE)
        storage.create(*PLACE, {})
        later = manager.savepoint()
        savepoint.rollback()
        storage.create(*PLACE, {})
        assert not later.valid
        1 / 0  # noqa: B018
    assert storage.get_all(*PLACE)[1] == 2


def test_waiting_in_order_keeps_earlier_reads(storage, counter, serve):
    """The other one, who has the second collection and wants the first, gives way."""
    locked = threading.Event()

    def hold():
        with serve():
            storage.lock(*OTHER)
            locked.set()
            time.sleep(0.05)
            storage.create(*PLACE, {})

    with serve():
        storage.get_for_update(*PLACE, "counter")
        thread = in_thread(hold)
        locked.wait(10)
        storage.lock(*OTHER)
        storage.update(*PLACE, "counter", {"n": 1})
    thread.join(10)
    assert storage.get_all(*PLACE)[1] == 2


@pytest.fixture
def server():
    with closing(redis_server.Server(appendonly="yes", appendfsync="always")) as server:
        yield server


def test_locks_held_during_an_outage_are_released_afterwards(server, serve):
    storage = storage_with(timeout=0.5, url=server.url())
    for place in (PLACE, OTHER):
        storage.create(*place, {})
    with serve():
        storage.lock(*PLACE)
        storage.lock(*OTHER)
        server.stop()
    server.start()
    storage.create(*PLACE, {})  # its fellow is given back as well
    assert storage._client.call("KEYS", "*lock*") == []


def test_locks_that_have_ended_by_themselves_are_forgotten_while_the_server_is_down(server, serve):
    storage = storage_with(lease=0.1, url=server.url())
    server.stop()
    for _ in range(3):
        with serve(), suppress(BackendError):
            storage.lock(*PLACE)
        time.sleep(0.2)
    assert len(storage._locks._orphaned._locks) == 1
    server.start()
    storage.create(*PLACE, {})
    assert not storage._locks._orphaned._locks


def test_locks_that_can_not_be_given_back_yet_are_kept_in_mind(server, serve):
    storage = storage_with(timeout=0.5, url=server.url())
    storage.create(*PLACE, {})
    with serve():
        storage.lock(*PLACE)
        server.stop()
    storage._locks.release_orphaned()
    server.start()
    storage.create(*PLACE, {})
