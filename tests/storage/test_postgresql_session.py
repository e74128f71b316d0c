"""SQL of applications, over the connections of the PostgreSQL backends."""

import gc
import logging
from contextlib import closing

import psycopg2
import pytest
import transaction
from sqlalchemy import text

from cliquet import transactions
from cliquet.cache import postgresql as cache
from cliquet.drivers.postgresql.config import create_from_config
from cliquet.drivers.postgresql.pool import QueuePoolWithMaxBacklog
from cliquet.permission import postgresql as permission
from cliquet.storage import postgresql
from cliquet.storage.exceptions import BackendError
from tests import postgresql_server
from tests.configuration import backend_config

PLACE = ("articles", "alice")
ADD = "INSERT INTO shelf (name, content) VALUES (:name, :content)"
NAMES = "SELECT name FROM shelf ORDER BY name"


@pytest.fixture(scope="module")
def url():
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("CREATE TABLE shelf (name text UNIQUE, content json)")
        yield url


@pytest.fixture
def make(url):
    """A function of settings that makes the storage of one more application."""
    made = []

    def make(**settings):
        config = backend_config({"storage_url": url, "myapp_url": url, **settings})
        storage = postgresql.load_from_config(config)
        storage.initialize_schema()
        made.append(storage.client)
        storage.config = config
        return storage

    yield make
    with made[0].connect() as session:
        session.execute("DELETE FROM shelf")
    for client in made:
        client.close()


@pytest.fixture
def storage(make):
    storage = make()
    yield storage
    storage.flush()


def names(client, **options):
    with client.connect(**options) as session:
        return [row.name for row in session.execute(NAMES)]


def add(client, name, content="{}", **options):
    with client.connect(**options) as session:
        session.execute(ADD, {"name": name, "content": content})


def test_backends_have_the_client_of_their_database(storage):
    config = storage.config
    config.add_settings(permission_url="", cache_url="")
    for kind, module in (("permission", permission), ("cache", cache)):
        config.add_settings({f"{kind}_url": config.get_settings()["storage_url"]})
        assert module.load_from_config(config).client is storage.client
    assert create_from_config(config, prefix="myapp_") is storage.client


def test_a_storage_can_be_created_with_the_arguments_of_3_1(storage):
    config = storage.config
    client = create_from_config(config, prefix="storage_")
    other = postgresql.Storage(client=client, max_fetch_size=100)
    assert other.create(*PLACE, {"n": 1}) == storage.get_all(*PLACE)[0][0]


def test_sql_is_a_string_or_a_construct_with_named_parameters(storage):
    with storage.client.connect() as session:
        assert session.execute("SELECT :a, :b", {"a": 1, "b": "x"}).fetchall() == [(1, "x")]
        assert session.execute(text("SELECT :a"), {"a": 2}).scalar() == 2
        assert session.scalar("SELECT 3") == 3
        result = session.execute(ADD, [{"name": n, "content": "{}"} for n in "ab"])
        assert result.rowcount == 2
        assert session.dialect.name == "postgresql"


def test_rows_are_tuples_with_the_names_of_the_columns(storage):
    query = "SELECT n AS number, 'x' AS letter, 5 AS keys FROM generate_series(1, 4) AS n"
    with storage.client.connect() as session:
        row = session.execute(query).fetchone()
        assert row == (1, "x", 5) and row[0] == row.number == row["number"] == 1
        assert dict(row) == {"number": 1, "letter": "x", "keys": 5}
        assert (row.keys(), row.values()) == (["number", "letter", "keys"], [1, "x", 5])
        assert row.items()[1] == ("letter", "x")
        with pytest.raises(AttributeError):
            row.nothing  # noqa: B018
        result = session.execute(query)
        assert [row.number for row in result.fetchmany(2)] == [1, 2]
        assert [row["number"] for row in result] == [3, 4]
        assert result.fetchone() is None
        assert session.execute(query).first() == (1, "x", 5)
        assert session.execute(query + " WHERE n > 4").first() is None


def test_json_is_decoded_and_that_of_records_still_is_exact(storage):
    record = storage.create(*PLACE, {"float": 1e30})
    add(storage.client, "a", '{"n": [1]}')
    with storage.client.connect() as session:
        row = session.execute("SELECT content, content::jsonb AS again FROM shelf").fetchone()
        assert row == ({"n": [1]}, {"n": [1]})
        assert storage.get(*PLACE, record["id"]) == record


def test_a_block_is_committed_at_its_end_outside_of_requests(storage, make):
    add(storage.client, "a")
    assert names(make().client) == ["a"]
    with pytest.raises(ZeroDivisionError), storage.client.connect() as session:
        session.execute(ADD, {"name": "b", "content": "{}"})
        raise ZeroDivisionError
    assert names(make().client) == ["a"]


@pytest.mark.parametrize("inside", [False, True])
def test_writes_in_a_readonly_block_are_not_kept(storage, serve, inside):
    add(storage.client, "a")
    if inside:
        with serve():
            add(storage.client, "b", readonly=True)
            assert names(storage.client, readonly=True) == ["a"]
    else:
        add(storage.client, "b", readonly=True)
    assert names(storage.client) == ["a"]


def test_the_statements_belong_to_the_transaction_of_the_request(storage, make, serve):
    other = make()
    with serve() as manager:
        storage.get_for_update(*PLACE, storage.create(*PLACE, {})["id"])
        storage.create(*PLACE, {"n": 2})  # sent along with the next statement
        with storage.client.connect() as session:
            session.execute(ADD, {"name": "a", "content": "{}"})
            assert session.scalar("SELECT count(*) FROM cliquet_records") == 2
            created = storage.create(*PLACE, {"n": 3})
            assert session.scalar("SELECT count(*) FROM cliquet_records") == 3
            session.commit()
            session.rollback()
            session.close()
        assert names(storage.client, readonly=True) == ["a"]
        assert (names(other.client), other.get_all(*PLACE)[1]) == ([], 0)
        savepoint = manager.savepoint()
        add(storage.client, "b")
        savepoint.rollback()
    assert names(other.client) == ["a"]
    assert other.get(*PLACE, created["id"]) == created


def test_failing_request_leaves_nothing(storage, serve):
    with pytest.raises(ZeroDivisionError), serve():
        add(storage.client, "a")
        storage.create(*PLACE, {})
        raise ZeroDivisionError
    assert names(storage.client) == []
    assert storage.get_all(*PLACE)[1] == 0


def test_a_forced_commit_saves_the_request_so_far(storage):
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        storage.create(*PLACE, {})
        add(storage.client, "a", force_commit=True)
    assert names(storage.client) == ["a"]
    assert storage.get_all(*PLACE)[1] == 1
    add(storage.client, "b", force_commit=True)
    assert names(storage.client) == ["a", "b"]


def test_each_block_is_committed_where_operations_are(make, serve):
    storage = make(transaction_per_request="false")
    with pytest.raises(ZeroDivisionError), serve():
        add(storage.client, "a")
        raise ZeroDivisionError
    assert names(storage.client) == ["a"]


@pytest.mark.parametrize("inside", [False, True])
def test_errors_are_failures_of_the_backend(storage, serve, inside):
    def fail():
        add(storage.client, "a")
        with pytest.raises(BackendError, match="duplicate key") as raised:
            add(storage.client, "a")
        assert raised.value.original.orig.pgcode == "23505"
        with pytest.raises(BackendError):
            with storage.client.connect() as session:
                session.execute("SELECT FROM nowhere")

    if inside:
        with pytest.raises(BackendError, match="rolled back after a failure"), serve():
            fail()
    else:
        fail()
    assert names(storage.client) == ([] if inside else ["a"])


def test_a_connection_that_is_closed_meanwhile_is_replaced(storage):
    with pytest.raises(BackendError), storage.client.connect() as session:
        session.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert names(storage.client) == []


def connections_to(url):
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND application_name = 'several'"
        )
        return cursor.fetchone()[0]


def test_the_applications_of_a_process_share_connections_until_the_last_is_gone(url):
    several = f"{url}{'&' if '?' in url else '?'}application_name=several"
    storages = [
        postgresql.load_from_config(backend_config({"storage_url": several})) for _ in range(8)
    ]
    storages[0].initialize_schema()
    for storage in storages * 2:
        storage.create(*PLACE, {})
    assert connections_to(url) == 1
    with storages[0].client.connect(), storages[1].client.connect():
        assert connections_to(url) == 2
        storages[2].client.close()
        assert storages[2].client.connections() == (2, 0)
    del storages[1:]
    gc.collect()
    assert connections_to(url) == 2
    assert storages[0].get_all(*PLACE)[1] == 16
    storages[0].flush()
    del storage, storages
    gc.collect()
    assert connections_to(url) == 0


def test_a_pool_with_other_settings_is_not_shared(make):
    clients = [make(storage_pool_size=size).client for size in (1, 1, 2)]
    pools = [client._of_this_process() for client in clients]
    assert pools[0] is pools[1] is not pools[2]


def test_closing_a_pool_logs_nothing(caplog):
    caplog.set_level(logging.INFO, "cliquet")
    QueuePoolWithMaxBacklog(lambda: None).dispose()
    assert caplog.records == []
