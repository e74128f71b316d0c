"""Redis storage backend."""

import threading
import time
import traceback

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from pyramid.exceptions import ConfigurationError

from cliquet.drivers.redis.client import Client, create_from_config, wrap_redis_error
from cliquet.storage import Filter, Sort, memory
from cliquet.storage import redis as module
from cliquet.storage.checksums import Checksum
from cliquet.storage.exceptions import BackendError, RecordNotFoundError, UnicityError
from cliquet.storage.redis.keys import BEGINNING, EPOCH
from cliquet.utils import COMPARISON
from tests import redis_server
from tests.configuration import backend_config

PLACE = ("articles", "alice")
OTHER = ("other", "bob")
UNIQUE = {"unique_fields": ["phone"]}


def make(url=None, **settings):
    settings = {"storage_url": url or redis_server.database_url(1), **settings}
    return module.load_from_config(backend_config(settings))


@pytest.fixture
def storage():
    storage = make()
    storage.initialize_schema()
    yield storage
    storage.flush()
    storage._client.call("FLUSHDB")


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    return thread


# Keys


def test_keys_begin_with_a_prefix_and_flush_removes_only_these(storage):
    storage._client.call("SET", "another", "application")
    for place in (PLACE, OTHER):
        storage.create(*place, {"phone": "1"}, **UNIQUE)
        storage.delete(*place, storage.create(*place, {})["id"])
    keys = storage._client.call("KEYS", "*")
    assert all(key.startswith(b"cliquet.storage.") for key in keys if key != b"another")
    storage.flush()
    assert set(storage._client.call("KEYS", "*")) == {b"another", EPOCH}


def test_flush_keeps_the_locks_of_writers(storage, serve):
    with serve():
        storage.create(*PLACE, {})
        storage.lock(*PLACE)
        storage.flush()
        assert len(storage._client.call("KEYS", "*")) == 2
        storage.create(*PLACE, {})
    assert storage.get_all(*PLACE)[1] == 1


def test_a_deleted_record_without_a_tombstone_leaves_no_key_but_the_timestamp(storage):
    storage.create(*PLACE, {"id": "a", "phone": "1"}, **UNIQUE)
    storage.delete(*PLACE, "a", with_deleted=False)
    keys = storage._client.call("KEYS", "*")
    assert {key.split(b":")[0] for key in keys} == {
        b"cliquet.storage.epoch",
        b"cliquet.storage.timestamp",
        b"cliquet.storage.unique.fields",
    }


def test_empty_collections_have_a_timestamp_before_the_schema_is_initialized():
    storage = make()
    storage._client.call("DEL", EPOCH)
    assert storage.pending_migrations() == ["set the timestamp of empty collections"]
    assert storage.collection_timestamp(*PLACE) == BEGINNING
    assert storage.get_page(*PLACE)[:3] == ([], 0, BEGINNING)
    assert storage.create(*PLACE, {})["last_modified"] > BEGINNING
    storage.initialize_schema()
    assert storage.pending_migrations() == []
    assert storage.collection_timestamp(*OTHER) > BEGINNING
    storage.flush()


# Round trips


def test_an_operation_is_one_round_trip(storage, monkeypatch):
    storage.create(*PLACE, {"id": "a", "phone": "0"}, **UNIQUE)
    storage.collection_timestamp(*PLACE)
    sent = []
    for name in ("call", "run"):
        send = getattr(Client, name)
        monkeypatch.setattr(
            Client, name, lambda *args, send=send: (sent.append(args), send(*args))[1]
        )
    since = [Filter("last_modified", 5, COMPARISON.GT)]
    operations = [
        lambda: storage.create(*PLACE, {"id": "b", "phone": "1"}, **UNIQUE),
        lambda: storage.update(*PLACE, "b", {"phone": "2"}, **UNIQUE),
        lambda: storage.get(*PLACE, "b"),
        lambda: storage.get_page(*PLACE, filters=since, limit=1, include_deleted=True),
        lambda: storage.get_all(*PLACE, sorting=[Sort("phone", 1)]),
        lambda: storage.delete(*PLACE, "b"),
        lambda: storage.delete_all(*PLACE, filters=since),
        lambda: storage.purge_deleted(*PLACE),
        lambda: storage.collection_timestamp(*PLACE),
    ]
    for operation in operations:
        sent.clear()
        operation()
        assert len(sent) == 1


def test_a_page_by_time_does_not_read_everything(storage, serve):
    with serve():
        for n in range(50):
            storage.create(*PLACE, {"id": str(n), "last_modified": n + 1})
            storage.delete(*PLACE, storage.create(*PLACE, {})["id"])
    parsed = []
    real = module._parsed
    try:
        module._parsed = lambda stored: (parsed.append(stored), real(stored))[1]
        after = [[Filter("last_modified", 30, COMPARISON.LT)]]
        query = {"pagination_rules": after, "limit": 3}
        records, total = storage.get_all(*PLACE, **query)
        assert ([record["id"] for record in records], total) == (["28", "27", "26"], 50)
        since = [Filter("last_modified", 48, COMPARISON.GT)]
        assert storage.get_all(*PLACE, filters=since)[1] == 2
    finally:
        module._parsed = real
    assert len(parsed) == 5


def test_a_script_that_the_server_forgot_is_sent_again(storage):
    created = storage.create(*PLACE, {})
    storage._client.call("SCRIPT", "FLUSH")
    assert storage.get_page(*PLACE).records == [created]


def test_collection_can_be_larger_than_one_call(storage, serve):
    with serve():
        for n in range(2100):
            storage.create(*PLACE, {"n": n, "phone": str(n)})
    records, total = storage.get_all(*PLACE, sorting=[Sort("last_modified", 1)])
    assert [record["n"] for record in records] == list(range(2100))
    assert total == 2100
    with pytest.raises(UnicityError):
        storage.create(*PLACE, {"phone": "7"}, **UNIQUE)
    assert len(storage.delete_all(*PLACE, filters=[Filter("n", 1, COMPARISON.GT)])) == 2098


@pytest.mark.parametrize("timestamp", [1 << 53, -(1 << 53)])
def test_a_timestamp_that_redis_does_not_keep_exactly_is_refused(storage, timestamp):
    with pytest.raises(ValueError, match="Redis cannot store the timestamp"):
        storage.create(*PLACE, {"last_modified": timestamp})
    assert storage.create(*PLACE, {"last_modified": timestamp + (timestamp < 0) * 2 - 1})


@pytest.mark.parametrize("stored", [None, b"1 2 3"])
def test_checksum_that_is_missing_or_outdated_is_computed_again(storage, stored):
    records = [storage.create(*PLACE, {"id": str(n)}) for n in range(3)]
    (key,) = storage._client.call("KEYS", "cliquet.storage.checksum:*")
    command = ["DEL", key] if stored is None else ["SET", key, stored]
    storage._client.call(*command)
    records += [storage.update(*PLACE, "2", {})]
    del records[2]
    expected = Checksum().add(*(record["last_modified"] for record in records))
    assert storage.checksum(*PLACE, ids=["1", "2"]).number == 2
    assert storage._client.call("GET", key) == stored
    assert storage.checksum(*PLACE) == expected
    assert storage._client.call("GET", key) == b"%d %d %d" % (
        storage.collection_timestamp(*PLACE),
        *expected[1:],
    )


# Unique fields


def test_records_written_without_unique_fields_count(storage):
    storage.create(*PLACE, {"id": "before", "phone": "1"})
    storage.create(*PLACE, {"id": "empty", "phone": ""})
    storage.create(*PLACE, {"id": "asked", "phone": "2"}, **UNIQUE)
    storage.create(*PLACE, {"id": "after", "phone": "3"})
    storage.update(*PLACE, "asked", {"phone": "4"})
    for phone, owner in {"1": "before", "3": "after", "4": "asked"}.items():
        with pytest.raises(UnicityError) as caught:
            storage.create(*PLACE, {"phone": phone}, **UNIQUE)
        assert caught.value.record["id"] == owner
    storage.create(*PLACE, {"phone": "2"}, **UNIQUE)


def test_record_changed_during_indexing_is_indexed_again(storage, monkeypatch):
    storage.create(*PLACE, {"id": "a", "phone": "1"})
    real, changes = module._index_entries, ["2", "3"]

    def change_meanwhile(field, reply):
        entries = list(real(field, reply))
        if changes:
            storage.update(*PLACE, "a", {"phone": changes.pop(0)})
        return entries

    monkeypatch.setattr(module, "_index_entries", change_meanwhile)
    storage.create(*PLACE, {"phone": "1"}, **UNIQUE)
    with pytest.raises(UnicityError):
        storage.create(*PLACE, {"phone": "3"}, **UNIQUE)
    storage.create(*PLACE, {"phone": "2"}, **UNIQUE)


WRITES = st.tuples(
    st.sampled_from(["create", "update", "delete", "delete_all"]),
    st.sampled_from("abc"),
    st.sampled_from([None, "", "1", "2", 1, 1.0, True]),
    st.sampled_from([(), ("phone",), ("line",), ("phone", "line")]),
)


def outcome(storage, what, object_id, value, unique_fields):
    """The outcome of a write: None, the conflicting field, or a missing record."""
    record = {"id": object_id, "phone": value, "line": [value]}
    unique = {"unique_fields": unique_fields}
    try:
        if what == "create":
            storage.create(*PLACE, record, **unique)
        elif what == "update":
            storage.update(*PLACE, object_id, record, **unique)
        elif what == "delete":
            storage.delete(*PLACE, object_id)
        else:
            storage.delete_all(*PLACE, filters=[Filter("id", object_id, COMPARISON.EQ)])
    except UnicityError as conflict:
        return conflict.field
    except RecordNotFoundError:
        return "missing"


@given(st.lists(WRITES, max_size=15))
def test_conflicts_equal_those_of_an_engine_without_index(storage, writes):
    storage.flush()
    plain = memory.Storage()
    for write in writes:
        assert outcome(storage, *write) == outcome(plain, *write), write


# The server


@pytest.fixture
def server():
    server = redis_server.Server()
    yield server
    server.close()


def test_restarted_server_is_used_immediately(server):
    storage = make(server.url())
    storage.create(*PLACE, {})
    server.stop()
    for use in (
        lambda: storage.get_all(*PLACE),
        lambda: storage.create(*PLACE, {}),
        lambda: storage.collection_timestamp(*PLACE),
        storage.flush,
    ):
        with pytest.raises(BackendError):
            use()
    server.start()
    assert storage.get_all(*PLACE) == ([], 0)
    server.stop()
    server.start()
    storage.create(*PLACE, {})  # the connection was not used meanwhile
    assert storage.get_all(*PLACE)[1] == 1


@pytest.mark.parametrize(
    "options, is_connected", [("&socket_connect_timeout=0.5", True), ("", False)]
)
def test_unresponsive_server_is_an_error_in_time(server, options, is_connected):
    storage = make(f"{server.url(0 if is_connected else 1)}?socket_timeout=0.5{options}")
    if is_connected:
        storage.create(*PLACE, {})
    server.pause()
    try:
        started = time.monotonic()
        with pytest.raises(BackendError, match="Timeout"):
            storage.get_all(*PLACE)
        assert time.monotonic() - started < 10
    finally:
        server.resume()
    assert storage.get_all(*PLACE)[1] == is_connected


def test_a_server_without_memory_changes_nothing(server):
    storage = make(server.url())
    storage.create(*PLACE, {"id": "a", "phone": "1"}, **UNIQUE)
    storage.delete(*PLACE, storage.create(*PLACE, {"id": "b"})["id"])
    before = storage.get_page(*PLACE, include_deleted=True)
    storage._client.call("CONFIG", "SET", "maxmemory", "1")
    for write in (
        lambda: storage.create(*PLACE, {"id": "b"}),
        lambda: storage.update(*PLACE, "a", {"phone": "2"}, **UNIQUE),
        lambda: storage.delete(*PLACE, "a"),
        lambda: storage.delete_all(*PLACE),
    ):
        with pytest.raises(BackendError, match="maxmemory"):
            write()
        assert storage.get_page(*PLACE, include_deleted=True) == before
    storage._client.call("CONFIG", "SET", "maxmemory", "0")
    assert storage.update(*PLACE, "a", {"phone": "1"}, **UNIQUE)


def test_a_request_is_not_failed_by_locks_that_it_cannot_give_back(server, serve):
    storage = make(server.url())
    with serve():
        storage.lock(*PLACE)
        storage.create(*PLACE, {})
        server.stop()
    server.start()
    assert storage.get_all(*PLACE)[1] == 0


def test_an_idle_connection_is_tried_before_it_is_used(server):
    client = Client(f"{server.url()}?health_check_interval=1")
    client.call("PING")
    connection = client._pool.get_connection()
    connection.send_command("CLIENT", "ID")
    first = connection.read_response()
    connection.next_health_check = -1
    connection.read_response, real = fail_once(connection.read_response)
    connection.check_health()
    connection.read_response = real
    connection.send_command("CLIENT", "ID")
    assert connection.read_response() != first
    client._pool.release(connection)
    client.close()


def fail_once(real):
    failures = ["the first time"]

    def read(*args, **kwargs):
        if failures:
            failures.clear()
            raise redis.ConnectionError("stale")
        return real(*args, **kwargs)

    return read, real


def test_full_pool_blocks_other_threads(server):
    storage = make(server.url(), storage_pool_size=1)
    threads = [in_thread(lambda: storage.create(*PLACE, {})) for _ in range(8)]
    for thread in threads:
        thread.join(20)
    assert storage.get_all(*PLACE)[1] == 8
    assert len(storage._client.call("CLIENT", "LIST").splitlines()) == 1


# Settings


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "localhost:port",
        "localhost:6379/0?unknown_option=1",
        "redis:/localhost",
        "redis://localhost:port/0",
        "redis://localhost/0?unknown_option=1",
        "redis://user:secret@localhost:port/0",
    ],
)
def test_invalid_url_is_reported_without_its_password(url):
    with pytest.raises(ConfigurationError, match="storage_url = ") as caught:
        make(url)
    assert "secret" not in str(caught.value)
    assert "expected redis://" in str(caught.value)


@pytest.mark.parametrize(
    "url, kind",
    [
        ("redis://user:secret@localhost:6380/2", "Connection"),
        ("rediss://localhost/0", "SSLConnection"),
        ("unix:///run/redis.sock?db=1", "UnixDomainSocketConnection"),
        ("localhost:6380/2", "Connection"),
    ],
)
def test_every_kind_of_url_is_known(url, kind):
    connection = Client(url)._pool.make_connection()
    assert kind in [base.__name__ for base in type(connection).__mro__]


@pytest.mark.parametrize(
    "url, server",
    [
        ("", ("localhost", 6379, 0)),
        (" ", ("localhost", 6379, 0)),
        ("localhost:6380", ("localhost", 6380, 0)),
        ("redis.example:6380/2", ("redis.example", 6380, 2)),
        ("10.0.0.1:6380", ("10.0.0.1", 6380, 0)),
        ("redis://redis.example", ("redis.example", 6379, 0)),
    ],
)
def test_a_url_can_lack_the_scheme_and_has_defaults(url, server):
    connection = Client(url)._pool.make_connection()
    assert (connection.host, connection.port, connection.db) == server


@pytest.mark.parametrize("settings", [{}, {"storage_url": ""}, {"storage_url": None}])
def test_without_a_url_the_server_is_the_local_one(settings):
    connection = create_from_config(backend_config(settings), "storage_")
    assert connection._pool.make_connection().host == "localhost"


def test_errors_of_the_driver_in_a_decorated_function_are_backend_errors():
    @wrap_redis_error
    def double(number, fails=False):
        """Return the double."""
        if fails:
            raise redis.TimeoutError("too slow")
        return 2 * number

    assert (double(2), double.__name__, double.__doc__) == (4, "double", "Return the double.")
    with pytest.raises(BackendError, match="too slow") as raised:
        double(2, fails=True)
    assert isinstance(raised.value.original, redis.TimeoutError)


def test_backends_of_an_application_share_the_connections_to_a_url():
    url = redis_server.database_url(1)
    settings = {"storage_url": url, "cache_url": url, "permission_url": f"{url}?db=1"}
    config = backend_config(settings)
    storage, cache = (create_from_config(config, f"{kind}_") for kind in ("storage", "cache"))
    assert storage is cache
    assert create_from_config(config, "permission_") is not storage
    assert create_from_config(backend_config(settings), "storage_") is not storage


def test_password_that_is_refused_is_in_no_variable_of_the_failure():
    url = redis_server.shared_url().replace("//", "//bob:hunter2@")
    client = Client(f"{url}/0")
    with pytest.raises(BackendError) as raised:
        client.call("PING")
    frames = [frame for frame, _ in traceback.walk_tb(raised.value.__cause__.__traceback__)]
    assert len(frames) > 3
    assert "hunter2" not in repr([frame.f_locals for frame in frames])


def test_settings_are_the_options_of_the_connections(storage):
    assert redis_server.database_url(1).endswith(f"/{storage.settings['db']}")
    storage.settings.clear()
    assert "socket_timeout" in storage.settings
