"""PostgreSQL storage backend and its connections."""

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
import transaction
from pyramid.exceptions import ConfigurationError
from pyramid.testing import DummyRequest
from pyramid_retry import IRetryableError
from sqlalchemy.pool import NullPool

from cliquet import transactions
from cliquet.cache import postgresql as cache
from cliquet.drivers.postgresql import pool, schema
from cliquet.drivers.postgresql.transaction import Kind, Statement, Transaction
from cliquet.permission import postgresql as permission
from cliquet.storage import Filter, Page, Sort, postgresql
from cliquet.storage.checksums import Checksum
from cliquet.storage.exceptions import BackendError, RecordNotFoundError
from cliquet.storage.filtering import FieldNames, build_query
from cliquet.storage.postgresql import conditions
from cliquet.storage.postgresql.dialect import PostgreSQL
from cliquet.utils import COMPARISON
from tests import postgresql_server
from tests.configuration import backend_config

ROOT = Path(__file__).resolve().parents[2]
PLACE = ("articles", "alice")
NAMES = FieldNames("id", "last_modified", "deleted")
LT, GT, MAX, EQ = COMPARISON.LT, COMPARISON.GT, COMPARISON.MAX, COMPARISON.EQ


def make(url=None, **settings):
    settings["storage_url"] = url or postgresql_server.shared_url()
    return postgresql.load_from_config(backend_config(settings))


@pytest.fixture
def storage():
    storage = make()
    storage.initialize_schema()
    yield storage
    storage.flush()


@pytest.fixture
def client(storage):
    return storage._client


@pytest.fixture
def database():
    """The URL of an empty database of the test's own."""
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        yield url


@pytest.fixture
def manager():
    """The transaction of the first attempt at a request."""
    manager = transaction.TransactionManager(explicit=True)
    request = DummyRequest(environ={"retry.attempt": 0, "retry.attempts": 2})
    manager.begin()
    with transactions.RequestAttempt(manager, request):
        yield manager
        manager.abort()


def in_a_thread(function):
    results = []

    def run():
        try:
            results.append(function())
        except BackendError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    return results[0]


def end_connections(url):
    """End, from the server's side, all other connections to the database."""
    with closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


# Statements


def test_each_operation_is_one_round_trip(storage, statements):
    storage.create(*PLACE, {"id": "a", "phone": 1}, unique_fields=["phone"])
    storage.get(*PLACE, "a")
    storage.get_page(*PLACE, include_deleted=True)
    storage.update(*PLACE, "a", {})
    storage.delete(*PLACE, "a")
    storage.delete_all(*PLACE)
    storage.purge_deleted(*PLACE)
    storage.collection_timestamp(*PLACE)
    assert len(statements) == 8
    assert not any(statement.startswith("BEGIN") for statement in statements)


def test_a_request_that_writes_begins_with_its_first_statement(storage, statements, manager):
    storage.get_all(*PLACE)
    storage.get_for_update(*PLACE, storage.create(*PLACE, {})["id"])
    storage.get_all(*PLACE)
    manager.commit()
    manager.begin()
    with pytest.raises(RecordNotFoundError):
        storage.get_for_update(*PLACE, "missing")
    manager.commit()
    manager.begin()
    began = [statement.startswith("BEGIN;") for statement in statements]
    assert began == [False, True, False, False, False, True, False]
    assert statements[-1] == "COMMIT"


def test_writes_with_known_outcome_are_sent_with_the_next_statement(storage, statements, manager):
    storage.create(*PLACE, {"id": "a"})
    statements.clear()
    for _ in range(3):
        manager.savepoint()
        storage.create(*PLACE, {})
    storage.get_for_update(*PLACE, "a")
    assert len(statements) == 1
    storage.update(*PLACE, "a", {"n": 1})
    storage.delete(*PLACE, "a")
    manager.commit()
    manager.begin()
    assert [statement.count(";") for statement in statements] == [6, 2]
    assert storage.get_page(*PLACE).total == 3


def test_a_savepoint_that_was_not_sent_yet_serves_again_and_again(storage, statements, manager):
    storage.create(*PLACE, {"id": "a"})
    manager.savepoint()
    savepoint = manager.savepoint()
    statements.clear()
    for _ in range(3):
        storage.create(*PLACE, {})
        savepoint.rollback()
    assert sum(statement.startswith("SAVEPOINT") for statement in statements) == 1
    manager.commit()
    manager.begin()
    assert found(storage) == {"a"}


def test_a_savepoint_that_was_not_sent_yet_serves_again_after_later_ones(storage, manager):
    storage.create(*PLACE, {"id": "a"})
    first = manager.savepoint()
    storage.create(*PLACE, {})
    manager.savepoint()
    first.rollback()
    again = manager.savepoint()
    storage.get_all(*PLACE)
    storage.create(*PLACE, {})
    again.rollback()
    assert found(storage) == {"a"}


def test_deferred_writes_are_dropped_with_their_transaction(client):
    transaction = Transaction(client._of_this_process())
    transaction.run("SELECT 1")
    transaction.enqueue(Statement("SELECT 1/0"))
    transaction.cache["timestamp"] = 1
    transaction.rollback()
    transaction.run("SELECT 1")
    assert transaction.run("SELECT 2") == [(2,)]
    assert transaction.cache == {}
    transaction.rollback()


@pytest.mark.parametrize(
    "refused, failure",
    [
        (lambda storage: storage.create(*PLACE, {"id": "\ud800"}), UnicodeEncodeError),
        (lambda storage: storage.get_all(*PLACE, limit=object()), BackendError),
    ],
)
def test_deferred_writes_survive_invalid_parameters(storage, manager, refused, failure):
    """They are refused before the server hears of them: the transaction goes on."""
    storage.create(*PLACE, {"id": "a"})
    storage.update(*PLACE, "a", {"n": 1})
    with pytest.raises(failure):
        refused(storage)
    manager.commit()
    manager.begin()
    assert storage.get(*PLACE, "a")["n"] == 1


def test_long_writes_are_sent_immediately(storage, statements, manager):
    storage.create(*PLACE, {"id": "a"})
    statements.clear()
    storage.update(*PLACE, "a", {"text": "x" * 70_000})
    assert len(statements) == 1
    with pytest.raises(BackendError, match="exceeds btree"):
        storage.update(*PLACE, "".join(map(chr, range(300, 3000))), {})


def test_only_so_many_statements_wait_to_be_sent(storage, statements, manager):
    storage.create(*PLACE, {"id": "a"})
    statements.clear()
    for n in range(250):
        storage.update(*PLACE, "a", {"n": n})
    savepoint = manager.savepoint()
    for n in range(150):
        storage.update(*PLACE, "a", {"n": -n})
    savepoint.rollback()
    manager.commit()
    manager.begin()
    assert max(statement.count(";") for statement in statements) == 99
    assert storage.get(*PLACE, "a")["n"] == 249


@pytest.mark.parametrize("limit", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("max_bytes", [None, 60, 10**6])
@pytest.mark.parametrize("rules", [[], [[Filter("n", 0, GT)]], [[Filter("n", 9, GT)]]])
def test_a_total_takes_another_statement_only_when_the_page_is_cut(
    storage, statements, limit, max_bytes, rules
):
    for n in range(3):
        storage.create(*PLACE, {"n": n, "title": "x" * 40})
    storage.delete(*PLACE, storage.create(*PLACE, {"n": 0})["id"])
    filters = [Filter("n", 1, MAX), Filter("last_modified", 0, GT)]
    statements.clear()
    query = {"filters": filters, "pagination_rules": rules, "include_deleted": True}
    page = storage.get_page(*PLACE, **query, limit=limit, max_bytes=max_bytes)
    assert page.total == 2
    is_measured = max_bytes == 60 or (limit is None and max_bytes is not None)
    assert len(statements) == 1 or is_measured or limit == 0


def test_an_empty_page_has_an_earlier_timestamp_than_a_record_written_meanwhile(
    storage, monkeypatch
):
    """A client that keeps the timestamp must find the record when it polls."""
    epoch, records = storage._epoch, []

    def epoch_after_a_write():
        records.append(storage.create(*PLACE, {"title": "first"}))
        return epoch()

    monkeypatch.setattr(storage, "_epoch", epoch_after_a_write)
    page = storage.get_page(*PLACE)
    assert page.records == []
    assert page.timestamp < records[0]["last_modified"]


def test_a_collection_that_was_locked_and_never_written_is_as_if_it_had_no_row(
    storage, serve, statements
):
    before = storage.get_page(*PLACE)
    with serve():
        storage.lock(*PLACE)
    statements.clear()
    assert storage.get_page(*PLACE) == before == Page([], 0, before.timestamp)
    assert storage.collection_timestamp(*PLACE) == before.timestamp
    with serve():
        with pytest.raises(RecordNotFoundError):
            storage.get_for_update(*PLACE, "a")
        record = storage.create(*PLACE, {"id": "a"})
    assert storage.get(*PLACE, "a") == record
    assert record["last_modified"] > before.timestamp


def test_the_timestamp_of_empty_collections_is_read_where_the_table_is_empty(database):
    storage = make(database)
    storage.initialize_schema()
    storage._client.execute_autocommit("TRUNCATE cliquet_epoch")
    assert storage.collection_timestamp(*PLACE) == 0
    with pytest.raises(RecordNotFoundError):
        storage.get_for_update(*PLACE, "a")
    assert storage.create(*PLACE, {})["last_modified"] == storage.collection_timestamp(*PLACE)
    storage._client.close()


def plan(client, sql):
    return "\n".join(
        row[0] for row in client.execute_autocommit(f"EXPLAIN {sql.text}", sql.parameters)
    )


PAGES = {
    "the latest": build_query(NAMES, limit=10),
    "the oldest": build_query(NAMES, sorting=[Sort("last_modified", 1)], limit=10),
    "by a token": build_query(
        NAMES, pagination_rules=[[Filter("last_modified", 900, LT)]], limit=10
    ),
    "what changed": build_query(
        NAMES,
        [Filter("last_modified", 900, GT)],
        [Sort("last_modified", 1)],
        limit=10,
        include_deleted=True,
        with_total=False,  # which reads half of the records
    ),
    "by id": build_query(NAMES, sorting=[Sort("id", 1)], limit=10),
    "by id, next": build_query(
        NAMES, sorting=[Sort("id", -1)], pagination_rules=[[Filter("id", "b", LT)]], limit=10
    ),
    "by a field": build_query(NAMES, sorting=[Sort("n", 1)], limit=10),
    "by a field, next": build_query(
        NAMES,
        sorting=[Sort("n", 1), Sort("last_modified", -1)],
        pagination_rules=[
            [Filter("n", 900, GT)],
            [Filter("n", 900, EQ), Filter("last_modified", 900, LT)],
        ],
        limit=10,
    ),
    "with the checksum of some records": build_query(
        NAMES, limit=10, with_checksum=True, checksum_ids=["a", "b"]
    ),
    "by the value of a field": build_query(NAMES, [Filter("n", 900, EQ)], limit=10),
    "from the value of a field": build_query(
        NAMES, [Filter("n", 1990, GT)], [Sort("n", 1)], limit=10
    ),
}


@pytest.fixture(scope="module")
def large_client():
    """A client of a database with a collection of some size, and an index on its field ``n``."""
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        storage = make(url)
        storage.initialize_schema()
        storage.create(*PLACE, {"id": "first", "last_modified": 5000})
        storage.delete(*PLACE, "first", with_deleted=False)
        client = storage._client
        client.execute_autocommit(
            """INSERT INTO cliquet_records (collection, last_modified, id, data)
            SELECT collection, n, md5(n::text), json_build_object('n', n)
            FROM cliquet_collections, generate_series(1, 2000) AS n"""
        )
        client.execute_autocommit(
            """INSERT INTO cliquet_tombstones (collection, last_modified, id)
            SELECT collection, n, md5(n::text)
            FROM cliquet_collections, generate_series(2001, 4000) AS n"""
        )
        client.execute_autocommit(
            """CREATE INDEX by_n ON cliquet_records
            (collection, cliquet_key(data -> 'n'), last_modified DESC)"""
        )
        client.execute_autocommit("ANALYZE")
        yield client
        client.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_read_in_the_order_of_an_index(large_client, name):
    chosen = plan(large_client, conditions.page(PLACE[::-1], PAGES[name], PostgreSQL()))
    assert "Seq Scan" not in chosen.replace("Seq Scan on cliquet_collections", "")
    if name == "what changed":
        # There are two indexes, the ends of which may well be sorted together.
        assert "_records_by_time" in chosen
        assert "_tombstones_by_time" in chosen
    elif name != "by the value of a field":
        assert " Sort " not in chosen


def test_a_batch_of_a_purge_reads_no_more_than_the_batch(large_client):
    parameters = [*PLACE[::-1], 9000, 10]
    rows = large_client.execute_autocommit(f"EXPLAIN {postgresql._PURGE}", parameters)
    lines = "\n".join(row[0] for row in rows)
    assert "Index Scan using cliquet_tombstones_by_time" in lines
    assert "Tid Scan on cliquet_tombstones" in lines
    assert "Sort" not in lines
    assert "Join" not in lines


def test_an_index_serves_the_condition_on_its_field(large_client):
    for name in ("by a field, next", "by the value of a field", "from the value of a field"):
        chosen = plan(large_client, conditions.page(PLACE[::-1], PAGES[name], PostgreSQL()))
        assert "cliquet_key((data -> 'n'::text))" in chosen.split("Index Cond")[1].split("\n")[0]


# Values that the database can't store


def found(storage, filters=(), rules=()):
    records, _ = storage.get_all(*PLACE, filters=filters, pagination_rules=rules)
    return {record["id"] for record in records}


def test_ids_sort_among_strings_that_cannot_be_stored(storage):
    for name in ("a", "a\x01", "b", "\ud7ff", "\ue000"):
        storage.create(*PLACE, {"id": name})
    assert found(storage, [Filter("id", "a\0", GT)]) == {"a\x01", "b", "\ud7ff", "\ue000"}
    assert found(storage, [Filter("id", "\ud800", GT)]) == {"\ue000"}
    assert found(storage, rules=[[Filter("id", "\udfff", LT)]]) == {"a", "a\x01", "b", "\ud7ff"}
    with pytest.raises(RecordNotFoundError):
        storage.get_for_update(*PLACE, "\ud800")


@pytest.mark.parametrize("name", ['"', "\\", "{a,b}", ",", "NULL", "", " ", "'", "%s", "é", '\\"'])
def test_lists_of_ids_contain_any_character(storage, name):
    record = storage.create(*PLACE, {"id": name})
    storage.create(*PLACE, {"id": "other"})
    for ids in ([name], [name, "\ud800", "\0", "missing"]):
        assert found(storage, [Filter("id", ids, COMPARISON.IN)]) == {name}
        assert found(storage, [Filter("id", ids, COMPARISON.EXCLUDE)]) == {"other"}
        assert storage.checksum(*PLACE, ids=ids) == Checksum().add(record["last_modified"])
    assert found(storage, [Filter("id", ["\ud800"], COMPARISON.IN)]) == set()
    assert storage.checksum(*PLACE, ids=[]) == Checksum()


def test_a_field_that_no_record_can_have_is_missing(storage):
    storage.create(*PLACE, {"id": "a", "\x1a0000": 1})
    for field in ("\0", "\ud800"):
        assert found(storage, [Filter(field, 1, EQ)]) == set()
        assert found(storage, [Filter(field, 1, COMPARISON.NOT)]) == {"a"}
        order = {"sorting": [Sort(field, 1)], "pagination_rules": [[Filter(field, 1, GT)]]}
        assert len(storage.get_all(*PLACE, **order)[0]) == 1


def test_values_that_are_not_numbers_are_not_timestamps(storage):
    storage.create(*PLACE, {"id": "a", "n": 1})
    nan = float("nan")
    for field in ("n", "last_modified"):
        for operator in (LT, GT, EQ):
            assert found(storage, [Filter(field, nan, operator)]) == set()


def test_numbers_are_compared_as_floats_beyond_64_bits(storage):
    infinite = 2**1024 - 2**970  # the first that is
    numbers = [-infinite, 1 - infinite, -1e300, -(2**63), 1.5, 2**63, 2.0**65, 10**300]
    numbers += [infinite - 1, infinite]
    for n, number in enumerate(numbers):
        storage.create(*PLACE, {"id": str(n), "n": number})
    records, _ = storage.get_all(*PLACE, sorting=[Sort("n", 1)])
    assert [record["n"] for record in records] == numbers
    assert found(storage, [Filter("n", float(-(2**63)), EQ)]) == {"3"}
    assert found(storage, [Filter("n", 2**63 + 1, EQ)]) == {"5"}
    assert found(storage, [Filter("n", float(10**300), EQ)]) == {"7"}
    assert found(storage, [Filter("n", 10**400, EQ)]) == {"9"}


# Failures


def test_an_error_in_the_request_undoes_it_all(storage, client, manager):
    storage.create(*PLACE, {"id": "a"})
    with pytest.raises(BackendError, match="DivisionByZero"):
        client.write("SELECT 1 / 0")
    with pytest.raises(BackendError, match="rolled back after a failure"):
        manager.commit()
    manager.abort()
    manager.begin()
    assert storage.get_all(*PLACE) == ([], 0)


def test_transaction_does_not_start_if_its_first_statement_fails(storage, client, manager):
    with pytest.raises(BackendError, match="DivisionByZero"):
        client.write("SELECT 1 / 0")
    savepoint = manager.savepoint()
    storage.create(*PLACE, {"id": "a"})
    savepoint.rollback()
    storage.create(*PLACE, {"id": "b"})
    manager.commit()
    manager.begin()
    assert found(storage) == {"b"}


def test_statements_that_belong_together_are_undone_together(storage, client):
    for failure in ("SELECT 1 / 0", "nonsense"):
        with pytest.raises(BackendError), client.grouped_writes() as run:
            run("DELETE FROM cliquet_collections")
            run(failure)
    with pytest.raises(ZeroDivisionError), client.grouped_writes():
        raise ZeroDivisionError  # before anything begins
    with client.grouped_writes():
        pass
    assert storage.get_all(*PLACE) == ([], 0)


FAIL = "DO $$ BEGIN RAISE SQLSTATE '{}'; END $$"


@pytest.mark.parametrize("code, retryable", [("40001", True), ("40P01", True), ("55P03", False)])
def test_serialization_failures_are_marked_as_retryable(client, manager, code, retryable):
    with pytest.raises(BackendError) as caught:
        client.write(FAIL.format(code))
    assert IRetryableError.providedBy(caught.value) is retryable


@pytest.mark.parametrize("several", [False, True])
def test_changes_that_cannot_be_undone_are_not_retried(client, manager, several):
    each = make(transaction_per_request="false")._client
    with pytest.raises(BackendError) as caught:
        each.write(FAIL.format("40001"))
    assert IRetryableError.providedBy(caught.value)
    if several:
        with each.grouped_writes() as run:
            run("SELECT 1")
    else:
        each.write("SELECT 1")
    with pytest.raises(BackendError) as caught:
        each.write(FAIL.format("40001"))
    assert not IRetryableError.providedBy(caught.value)
    assert not IRetryableError.providedBy(in_a_thread(lambda: client.write(FAIL.format("40001"))))


REFUSING = """
CREATE TABLE refused ();
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE SQLSTATE '40001'; END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON refused
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"""


def test_retryable_commit_is_retried_unless_others_have_committed(storage, manager, database):
    refusing = make(database)._client
    refusing.execute_autocommit(REFUSING)
    storage.create(*PLACE, {})
    refusing.write("INSERT INTO refused DEFAULT VALUES")
    with pytest.raises(BackendError) as caught:
        manager.commit()
    manager.abort()
    nothing_is_saved = storage.get_all(*PLACE)[1] == 0
    assert IRetryableError.providedBy(caught.value) is nothing_is_saved
    manager.begin()


def test_waiting_for_a_lock_ends(storage, manager):
    impatient = make(postgresql_server.shared_url() + "?options=-c%20lock_timeout%3D50ms")
    storage.create(*PLACE, {"id": "a"})
    failure = in_a_thread(lambda: impatient.create(*PLACE, {}))
    assert "LockNotAvailable" in str(failure)


def test_error_without_the_tables_suggests_migrate(database):
    storage = make(database)
    for use in (
        lambda: storage.get(*PLACE, "a"),
        lambda: storage.create(*PLACE, {}),
        storage.flush,
    ):
        with pytest.raises(BackendError, match="does not exist; has `cliquet migrate`"):
            use()
    storage._client.close()


def test_savepoint_outlives_a_later_commit(storage, manager):
    storage = make(transaction_per_request="false")
    storage.lock(*PLACE)
    savepoint = manager.savepoint()
    storage.create(*PLACE, {"id": "a"})
    savepoint.rollback()
    assert found(storage) == {"a"}


def test_a_savepoint_undoes_a_lock_that_was_taken_after_the_next_commit(storage, manager):
    each = make(transaction_per_request="false")
    each.lock(*PLACE)
    savepoint = manager.savepoint()
    each.create(*PLACE, {"id": "a"})
    each.lock(*PLACE)
    for _ in range(2):
        savepoint.rollback()
        assert in_a_thread(lambda: storage.create(*PLACE, {}))["id"]
    each.create(*PLACE, {"id": "b"})
    assert found(storage) > {"a", "b"}


def test_reading_another_timestamp_keeps_the_lock_where_each_operation_commits(storage, manager):
    each = make(transaction_per_request="false")
    each.lock(*PLACE)
    each.collection_timestamp("other", "alice")
    impatient = make(postgresql_server.shared_url() + "?options=-c%20lock_timeout%3D50ms")
    assert "LockNotAvailable" in str(in_a_thread(lambda: impatient.create(*PLACE, {})))
    each.create(*PLACE, {})
    assert in_a_thread(lambda: impatient.create(*PLACE, {}))["id"]


# Connections


def test_a_connection_that_the_server_ended_is_replaced(storage, manager):
    created = storage.create(*PLACE, {"id": "a"})
    manager.commit()
    manager.begin()
    end_connections(postgresql_server.shared_url())
    assert storage.get(*PLACE, "a") == created
    storage.update(*PLACE, "a", {})
    end_connections(postgresql_server.shared_url())
    with pytest.raises(BackendError):
        storage.get(*PLACE, "a")
    manager.abort()
    manager.begin()
    assert storage.get(*PLACE, "a") == created


def test_deferred_write_fails_with_the_commit(storage, manager):
    created = storage.create(*PLACE, {"id": "a"})
    manager.commit()
    manager.begin()
    storage.update(*PLACE, "a", {"n": 1})
    storage.update(*PLACE, "a", {"n": 2})
    end_connections(postgresql_server.shared_url())
    with pytest.raises(BackendError):
        manager.commit()
    manager.abort()
    manager.begin()
    assert storage.get(*PLACE, "a") == created


@pytest.fixture
def failing(database):
    """A storage that refuses records with a field ``n``, in another database."""
    failing = make(database)
    failing.initialize_schema()
    failing._client.execute_autocommit(
        "ALTER TABLE cliquet_records ADD CHECK (data ->> 'n' IS NULL)"
    )
    yield failing
    failing._client.close()


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("is_sent", [False, True])
def test_failure_before_the_commit_leaves_nothing_in_another_database(
    storage, failing, manager, order, is_sent
):
    for each in (storage, failing)[::order]:
        each.create(*PLACE, {"id": "a"})
    for each in (storage, failing):
        each.update(*PLACE, "a", {"n": 1})
    with pytest.raises(BackendError, match="CheckViolation|rolled back after a failure"):
        if is_sent:
            with suppress(BackendError):
                failing.get(*PLACE, "a")
        manager.commit()
    manager.abort()
    manager.begin()
    assert found(storage) == found(failing) == set()


def test_a_connection_that_was_long_idle_is_tested(storage, monkeypatch):
    storage.get_all(*PLACE)
    monkeypatch.setattr(pool, "_TRUSTED_IDLE", 0)
    storage.get_all(*PLACE)


def test_a_server_can_end_and_come_back():
    with postgresql_server.private_server() as server:
        storage = make(server.url)
        storage.initialize_schema()
        created = storage.create(*PLACE, {"id": "a"})
        server.stop(signal.SIGQUIT)
        for _ in range(2):
            with pytest.raises(BackendError):
                storage.get(*PLACE, "a")
            with pytest.raises(BackendError):
                storage.create(*PLACE, {})
        server.start()
        assert storage.get_all(*PLACE) == ([created], 1)
        storage._client.close()


@pytest.mark.usefixtures("storage")  # empties the database
def test_fork_has_its_own_connections():
    # Of other settings: a pool that no other test has used.
    storage = make(storage_pool_size=7)
    client = storage._client
    created = storage.create(*PLACE, {"id": "a"})
    pid, inherited = client._opened
    client._opened = 0, inherited  # as if it were another process
    assert storage.get(*PLACE, "a") == created
    assert inherited in [shared.pool for shared in client._shared]
    pool._dispose(inherited, 0)
    assert inherited.checkedin() == 1
    pool._dispose(inherited, pid)
    assert inherited.checkedin() == 0


def test_too_many_threads_are_refused_immediately():
    storage = make(storage_pool_size=1, storage_max_overflow=0, storage_max_backlog=0)
    client = storage._client
    with client.grouped_writes() as run:
        run("SELECT 1")
        with pytest.raises(BackendError, match="0 threads are waiting"):
            client.execute_autocommit("SELECT 1")
    assert client.execute_autocommit("SELECT 1") == [(1,)]


def test_some_threads_can_wait_for_a_connection():
    storage = make(
        storage_pool_size=1,
        storage_max_overflow=0,
        storage_max_backlog=1,
        storage_pool_timeout=20,
        storage_pool_recycle=3600,
    )
    client, results = storage._client, []
    threads = [
        threading.Thread(
            target=lambda: results.append(client.execute_autocommit("SELECT 1")), daemon=True
        )
    ]
    with client.grouped_writes() as run:
        run("SELECT 1")
        threads[0].start()
        deadline = time.monotonic() + 20
        while not client._of_this_process()._waiting and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(BackendError, match="1 threads are waiting"):
            client.execute_autocommit("SELECT 1")
    threads[0].join(20)
    assert results == [[(1,)]]
    assert client._of_this_process()._waiting == 0


def test_unbounded_pool_refuses_no_thread():
    client = make(storage_pool_size=1, storage_max_overflow=-1, storage_max_backlog=0)._client
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(client.grouped_writes())("SELECT 1")
    client.close()


def test_recreated_pool_has_the_same_bounds():
    client = make(storage_pool_size=2, storage_max_overflow=1, storage_max_backlog=3)._client
    again = client._of_this_process().recreate()
    assert (again.max_backlog, again._capacity, again.size()) == (3, 3, 2)


def test_the_class_of_the_pool_can_be_another_one():
    for poolclass in ("sqlalchemy.pool.NullPool", "sqlalchemy.pool.QueuePool", NullPool):
        client = make(storage_poolclass=poolclass, storage_pool_size=2)._client
        assert client.execute_autocommit("SELECT 1") == [(1,)]
        client.close()


def test_the_backends_of_an_application_share_the_connections():
    url = postgresql_server.shared_url()
    config = backend_config(
        {
            "storage_url": url,
            "permission_url": url.replace("postgresql://", "postgres://"),
            "cache_url": url.replace("postgresql://", "postgresql+psycopg2://"),
        }
    )
    clients = {
        backend.load_from_config(config)._client for backend in (postgresql, permission, cache)
    }
    assert len(clients) == 1
    assert make()._client not in clients


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///file",
        "postgresql+x://localhost",
        "postgresql://u:secret@h:p:q/%",
        # These must be %40 or %2F: PostgreSQL would read the end as the host or the port.
        "postgresql://u:x@secret@h/base",
        "postgresql://u:secret/x@h/base",
        "host=a",
    ],
)
def test_url_of_another_kind_is_an_error(url):
    with pytest.raises(ConfigurationError, match="storage_url = .*expected postgresql:") as caught:
        make(url)
    assert "secret" not in str(caught.value)


def test_password_is_not_in_reprs():
    url = "postgresql://u:sec%40ret@h/base?application_name=a@b"
    client = make(url)._client
    assert not re.search("sec(@|%40)ret", repr([vars(client), vars(client._of_this_process())]))


def test_the_size_of_the_pool_is_an_integer():
    with pytest.raises(ConfigurationError, match="storage_pool_size = 'many' .*: expected an int"):
        make(storage_pool_size="many")


# The schema

_CONTENT = (
    """SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default
     FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2""",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    """SELECT pg_get_functiondef(oid) FROM pg_proc
     WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
    """SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    """SELECT relname, reloptions FROM pg_class
     WHERE relnamespace = 'public'::regnamespace ORDER BY 1""",
    "SELECT * FROM cliquet_metadata ORDER BY 1",
)


def content(client):
    return [client.execute_autocommit(question) for question in _CONTENT]


# Functions of version 1 that later versions lack, or replace.
_VERSION_1 = """
CREATE FUNCTION cliquet_free(of_collection bigint, asked bigint) RETURNS bigint
    LANGUAGE sql RETURN asked;
CREATE FUNCTION cliquet_move(
    locked cliquet_collections, asked bigint, moment bigint, change integer) RETURNS bigint
    LANGUAGE sql RETURN asked;
CREATE FUNCTION cliquet_lock(of_parent text, of_collection text, moment bigint)
    RETURNS cliquet_collections LANGUAGE sql RETURN NULL::cliquet_collections;
"""


_RECORDS_OF_VERSION_1 = """
INSERT INTO cliquet_collections (parent_id, collection_id, last_modified, count)
    VALUES ('alice', 'articles', 1448841600000, 1000), ('bob', 'articles', 9, 3),
        ('carol', 'articles', 7, 0);
INSERT INTO cliquet_records (collection, last_modified, id, data)
    SELECT collection, 1448841600000 - n * n, n::text, '{}'::json
        FROM cliquet_collections, generate_series(1, 1000) AS n WHERE parent_id = 'alice'
    UNION ALL
    SELECT collection, time, time::text, '{}'
        FROM cliquet_collections, unnest(ARRAY[-1, 0, 4611686018427387903]) AS time
        WHERE parent_id = 'bob';
INSERT INTO cliquet_tombstones (collection, last_modified, id)
    SELECT collection, 7, 'gone' FROM cliquet_collections WHERE parent_id = 'carol';
"""


def test_upgrade_from_the_first_version_leads_to_the_schema_of_a_new_database(database):
    new = make(database)
    new.initialize_schema()
    with postgresql_server.database_on(database) as url:
        old = make(url)
        with old.client.grouped_writes() as run:
            run(schema._migrations("cliquet.storage.postgresql")[1] + _VERSION_1, None)
            run(schema._METADATA)
            run(schema._RECORD_VERSION, ["storage", 1])
            run(_RECORDS_OF_VERSION_1, None, Kind.SCRIPT)
        with pytest.raises(BackendError, match="(?s)UndefinedColumn.*has `cliquet migrate` been"):
            old.checksum("articles", "alice")
        old.initialize_schema()
        assert content(old.client) == content(new.client)
        for owner in ("alice", "bob", "carol"):
            listed, total = old.get_all("articles", owner)
            assert len(listed) == total == {"alice": 1000, "bob": 3, "carol": 0}[owner]
            times = [record["last_modified"] for record in listed]
            assert old.checksum("articles", owner) == Checksum().add(*times)
        old.client.close()
    new.client.close()


def code_of(page, language):
    """The first block of code of a language in a page of the documentation."""
    text = ROOT.joinpath("docs", page).read_text("utf-8")
    block = re.search(rf"code-block:: {language}\n\n((?: +.*\n)+)", text)
    return block.group(1)


def test_schema_created_by_hand_equals_that_of_migrate(database, caplog):
    command = code_of("howto/backends.rst", "console").strip().removeprefix("$ ")
    programs = f"{postgresql_server.binaries_folder()}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "URL": database}
    subprocess.run(command, shell=True, check=True, cwd=ROOT / "cliquet", env=environment)
    by_hand = make(database)._client
    by_hand.execute_autocommit(code_of("howto/backends.rst", "sql"))
    caplog.set_level("INFO", schema.__name__)
    with postgresql_server.database_on(database) as url:
        at_once = make(url)._client
        for backend in (postgresql, permission, cache):
            schema.initialize(by_hand, backend.__name__)
            assert caplog.messages == []
            schema.initialize(at_once, backend.__name__)
            caplog.clear()
        assert content(by_hand) == content(at_once)
        at_once.close()
    by_hand.close()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function of a number of versions that makes the package of a backend."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "shelves" / "books"
    folder.joinpath("migrations").mkdir(parents=True)

    def package(versions):
        for n in range(1, versions + 1):
            folder.joinpath("migrations", f"{n:03}.sql").write_text(f"CREATE TABLE book{n} ();")
        return "shelves.books"

    return package


def test_earlier_version_is_upgraded_step_by_step(database, package, caplog):
    caplog.set_level("INFO")
    client = make(database)._client
    schema.initialize(client, package(1))
    assert schema.pending(client, package(3)) == [
        "from version 1 to 2",
        "from version 2 to 3",
    ]
    schema.initialize(client, package(3))
    schema.initialize(client, package(3))
    assert schema.pending(client, package(3)) == []
    steps = [record.message for record in caplog.records if record.name == schema.__name__]
    assert [step.partition("from ")[2] for step in steps] == [
        "version 0 to 1",
        "version 1 to 2",
        "version 2 to 3",
    ]
    client.execute_autocommit("SELECT FROM book1, book2, book3")
    client.execute_autocommit("UPDATE cliquet_metadata SET version = 4")
    for call in (schema.initialize, schema.pending):
        with pytest.raises(BackendError, match="has version 4: expected at most 3"):
            call(client, package(3))
    client.close()


def test_schema_can_be_initialized_concurrently(database, together):
    results = together(*[lambda: make(database).initialize_schema()] * 6)
    assert results == [None] * 6


def test_current_schema_needs_no_privileges(database):
    make(database).initialize_schema()
    reader, mark = f"cliquet_test_{uuid4().hex}", "&" if "?" in database else "?"
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"CREATE ROLE {reader} LOGIN PASSWORD 'secret'")
        try:
            cursor.execute(f"GRANT SELECT ON cliquet_metadata TO {reader}")
            make(f"{database}{mark}user={reader}&password=secret").initialize_schema()
        finally:
            cursor.execute(f"DROP OWNED BY {reader}; DROP ROLE {reader}")


def test_a_database_that_keeps_not_every_text_is_refused():
    with postgresql_server.database_on(postgresql_server.shared_url(), "SQL_ASCII") as url:
        for name in ("initialize_schema", "pending_migrations"):
            with pytest.raises(BackendError, match="SQL_ASCII: expected UTF8"):
                getattr(make(url), name)()


def test_an_index_survives_being_built_anew(storage, client):
    """PostgreSQL does so without the names of the schema at hand."""
    storage.create(*PLACE, {"n": 10**30})
    client.execute_autocommit(
        "CREATE INDEX by_n ON cliquet_records (collection, cliquet_key(data -> 'n'))"
    )
    try:
        client.execute_autocommit("REINDEX INDEX by_n")
        client.execute_autocommit("ANALYZE cliquet_records")
    finally:
        client.execute_autocommit("DROP INDEX by_n")
