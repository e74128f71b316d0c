"""SQLite storage backend: file, locks, errors and query plans."""

import multiprocessing
import os
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from cliquet.drivers.sqlite import connections
from cliquet.drivers.sqlite.client import Client
from cliquet.storage import Filter, Sort
from cliquet.storage import sqlite as engine
from cliquet.storage.checksums import Checksum
from cliquet.storage.exceptions import BackendError, RecordNotFoundError
from cliquet.storage.filtering import FieldNames, build_query
from cliquet.storage.sql_fragments import Sql
from cliquet.storage.sqlite import Storage, conditions
from cliquet.utils import COMPARISON

PLACE = ("articles", "alice")
NAMES = FieldNames("id", "last_modified", "deleted")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a file, with #, ? and %20.sqlite")


@pytest.fixture
def client(path):
    client = Client(path, timeout=0.2)
    yield client
    client.close()


@pytest.fixture
def storage(client):
    storage = Storage(client)
    storage.initialize_schema()
    return storage


@pytest.fixture
def elsewhere(storage, path):
    """A connection that is not ours."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection


class TestSchema:
    def test_file_without_schema_is_an_error_that_suggests_migrate(self, client):
        for _ in range(2):  # without a file, then with an empty one
            for call in (
                lambda: Storage(client).get_all(*PLACE),
                lambda: Storage(client).create(*PLACE, {}),
            ):
                with pytest.raises(BackendError, match="cliquet migrate") as caught:
                    call()
                assert isinstance(caught.value.original, sqlite3.OperationalError)
                assert client.path in str(caught.value)
            client.run_script("")

    def test_a_folder_that_is_missing_is_a_failure(self, tmp_path):
        with pytest.raises(BackendError, match="unable to open"):
            Storage(Client(str(tmp_path / "missing" / "file"))).initialize_schema()

    def test_file_that_is_not_a_database_is_an_error(self, path):
        with open(path, "w") as file:
            file.write("This is the story of a file that wanted to be a database. " * 20)
        with pytest.raises(BackendError, match="not a database"):
            Storage(Client(path)).initialize_schema()

    def test_file_can_be_initialized_concurrently(self, path, together):
        def initialize():
            Storage(Client(path)).initialize_schema()

        context = multiprocessing.get_context("fork")
        children = [context.Process(target=initialize) for _ in range(4)]
        for child in children:
            child.start()
        assert together(*[initialize] * 4) == [None] * 4
        for child in children:
            child.join(30)
        assert [child.exitcode for child in children] == [0] * 4

    def test_schema_version_is_stored(self, elsewhere):
        version = "SELECT value FROM storage_metadata WHERE name = 'schema_version'"
        assert elsewhere.execute(version).fetchall() == [("2",)]

    def test_file_of_the_first_version_is_upgraded_with_its_records(self, client):
        storage = Storage(client)
        client.run_script(storage._schema())
        with client.write() as db:
            for number, times in enumerate(([], [-1, 0, 1 << 61], range(10**12, 10**12 + 500))):
                db.execute(
                    "INSERT INTO collections VALUES (?, ?, 'articles', 1, 7)",
                    [number, str(number)],
                )
                rows = ((number, time, str(time)) for time in times)
                db.executemany("INSERT INTO records VALUES (?, ?, ?, '{}')", rows)
        with pytest.raises(BackendError, match="no such column: .*_sum.*cliquet migrate"):
            storage.create(*PLACE, {})
        assert storage.pending_migrations() == ["from version 1 to 2"]
        storage.initialize_schema()
        storage.initialize_schema()
        assert storage.pending_migrations() == []
        for parent_id, number in (("0", 0), ("1", 3), ("2", 500)):
            records, _ = storage.get_all("articles", parent_id)
            expected = Checksum().add(*(record["last_modified"] for record in records))
            assert storage.checksum("articles", parent_id) == expected
            assert expected.number == number

    def test_file_of_a_later_version_is_refused(self, storage, elsewhere):
        elsewhere.execute("UPDATE storage_metadata SET value = '3' WHERE name = 'schema_version'")
        for call in (storage.initialize_schema, storage.pending_migrations):
            with pytest.raises(BackendError, match="has version 3: expected at most 2"):
                call()

    def test_it_is_created_while_the_file_is_in_use(self, storage, elsewhere):
        elsewhere.execute("BEGIN")
        elsewhere.execute("SELECT * FROM records").fetchall()
        storage.initialize_schema()


class TestDurability:
    def test_writes_are_logged_ahead_and_synchronized(self, storage, elsewhere):
        assert elsewhere.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        with storage._client.write() as db:
            assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL

    def test_acknowledged_writes_survive_the_process(self, storage):
        def write_and_die():
            storage.create(*PLACE, {"id": "kept"})
            with storage._client.write() as db:
                db.execute("DELETE FROM records")
                os._exit(3)

        child = multiprocessing.get_context("fork").Process(target=write_and_die)
        child.start()
        child.join(30)
        assert child.exitcode == 3
        assert storage.get(*PLACE, "kept")["id"] == "kept"

    def test_the_file_is_a_plain_one(self, storage, elsewhere):
        storage.create(*PLACE, {"id": "a", "title": "é"})
        everything = """SELECT parent_id, collection_id, records.id, json_extract(data, '$.title')
            FROM records JOIN collections ON collections.id = collection"""
        assert elsewhere.execute(everything).fetchall() == [("alice", "articles", "a", "é")]


class TestLocks:
    def test_a_writer_waits_for_a_foreign_one(self, storage, elsewhere):
        elsewhere.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.05, lambda: os.write(pipe[1], b"."))
        pipe = os.pipe()
        results = []
        thread = threading.Thread(target=lambda: results.append(storage.create(*PLACE, {})))
        thread.start()
        timer.start()
        os.read(pipe[0], 1)
        assert not results
        elsewhere.execute("COMMIT")
        thread.join(10)
        for end in pipe:
            os.close(end)
        assert storage.get_all(*PLACE) == (results, 1)

    def test_waiting_has_an_end(self, storage, elsewhere, serve):
        elsewhere.execute("BEGIN IMMEDIATE")
        for context in (serve, threading.Lock):
            start = time.monotonic()
            with pytest.raises(BackendError, match="locked"), context():
                storage.create(*PLACE, {})
            assert 0.2 <= time.monotonic() - start < 5
        elsewhere.execute("COMMIT")
        assert storage.create(*PLACE, {"id": "a"})["id"] == "a"

    def test_waiting_for_another_thread_has_an_end(self, storage, serve):
        held, done = threading.Event(), threading.Event()

        def hold():
            with serve():
                storage.lock(*PLACE)
                held.set()
                done.wait(20)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(20)
        with pytest.raises(BackendError, match="locked"):
            storage.create(*PLACE, {})
        with pytest.raises(BackendError, match="locked"), serve():
            storage.lock(*PLACE)
        assert storage.get_all(*PLACE) == ([], 0)
        done.set()
        thread.join(20)
        assert storage.create(*PLACE, {"id": "a"})["id"] == "a"

    def test_readers_do_not_wait(self, storage, elsewhere):
        storage.create(*PLACE, {"id": "a"})
        elsewhere.execute("BEGIN IMMEDIATE")
        elsewhere.execute("DELETE FROM records")
        assert storage.get(*PLACE, "a")["id"] == "a"
        elsewhere.execute("ROLLBACK")

    def test_autocommitted_write_does_not_wait_for_the_end_of_the_request(
        self, storage, elsewhere, serve
    ):
        client = storage._client
        with serve():
            with client.write_alone() as db:
                db.execute("DELETE FROM records")
            elsewhere.execute("BEGIN IMMEDIATE")
            elsewhere.execute("ROLLBACK")

    def test_autocommitted_write_belongs_to_an_open_transaction(self, storage, elsewhere, manager):
        storage.create(*PLACE, {})
        with storage._client.write_alone() as db:
            db.execute("DELETE FROM records")
        assert elsewhere.execute("SELECT count(*) FROM records").fetchone() == (0,)
        manager.commit()
        storage.create(*PLACE, {"id": "a"})
        manager.commit()
        storage.update(*PLACE, "a", {})
        with storage._client.write_alone() as db:
            db.execute("DELETE FROM records")
        manager.abort()
        assert storage.get(*PLACE, "a")["id"] == "a"


class TestFailures:
    @pytest.fixture
    def filled(self, storage):
        for n in range(3):
            storage.create(*PLACE, {"id": str(n)})
        return storage

    @pytest.fixture
    def failing(self, monkeypatch):
        """From now on writes fail half-way."""
        monkeypatch.setattr(engine, "_CHANGE_COLLECTION", "UPDATE nowhere SET a = ?, b = ?, c = ?")

    OPERATIONS = [
        lambda storage: storage.create(*PLACE, {}),
        lambda storage: storage.update(*PLACE, "0", {}),
        lambda storage: storage.update(*PLACE, "new", {}),
        lambda storage: storage.delete(*PLACE, "0"),
        lambda storage: storage.delete_all(*PLACE),
    ]

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_write_that_fails_half_way_leaves_nothing_behind(self, filled, failing, operation):
        before = filled.get_page(*PLACE, include_deleted=True)
        with pytest.raises(BackendError, match="no such table: nowhere"):
            operation(filled)
        assert filled.get_page(*PLACE, include_deleted=True) == before

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_failing_operation_in_a_continuing_request_changes_nothing(
        self, filled, serve, operation, request
    ):
        with serve():
            filled.update(*PLACE, "1", {"n": 1})
            before = filled.get_page(*PLACE, include_deleted=True)
            request.getfixturevalue("failing")
            with pytest.raises(BackendError, match="no such table: nowhere"):
                operation(filled)
            assert filled.get_page(*PLACE, include_deleted=True) == before
        assert filled.get_page(*PLACE, include_deleted=True) == before

    @pytest.mark.parametrize("next_step", ["write", "savepoint", "commit"])
    def test_a_transaction_that_sqlite_undid_cannot_go_on(self, filled, manager, next_step):
        """As it does when the disk is full."""
        before = filled.get_page(*PLACE)
        filled.update(*PLACE, "1", {"n": 1})
        with pytest.raises(BackendError, match="disk is full"), filled._client.write() as db:
            db.execute("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full")
        with pytest.raises(BackendError, match="rolled back after a failure"):
            if next_step == "write":
                filled.update(*PLACE, "2", {"n": 2})
            else:
                getattr(manager, next_step)()
        manager.abort()
        assert filled.get_page(*PLACE) == before
        filled.update(*PLACE, "2", {"n": 2})
        manager.commit()
        assert filled.get(*PLACE, "2")["n"] == 2

    def test_a_savepoint_that_sqlite_undid_cannot_be_returned_to(self, filled, manager):
        filled.update(*PLACE, "1", {"n": 1})
        savepoint = manager.savepoint()
        with filled._client.read() as db:
            db.execute("ROLLBACK")
        with pytest.raises(BackendError, match="rolled back after a failure"):
            savepoint.rollback()

    def test_savepoints_are_released_once_no_caller_can_roll_back_to_them(self, filled, manager):
        filled.update(*PLACE, "1", {"n": 1})
        executed = []
        filled._client._connections.writer().set_trace_callback(executed.append)
        outer = manager.savepoint()
        for n in range(3):  # the requests of an atomic batch
            manager.savepoint()
            filled.update(*PLACE, "1", {"n": n})
        assert [statement for statement in executed if "mark" in statement] == [
            *("SAVEPOINT mark0", "SAVEPOINT mark1"),
            *("RELEASE mark1", "SAVEPOINT mark1") * 2,
        ]
        outer.rollback()
        assert filled.get(*PLACE, "1")["n"] == 1

    def test_a_commit_that_fails_fails_the_request(self, filled, serve):
        before = filled.get_page(*PLACE)
        filled._client._connections.writer().execute("PRAGMA foreign_keys = ON")
        with pytest.raises(BackendError, match="FOREIGN KEY"), serve():
            filled.update(*PLACE, "1", {"n": 1})
            with filled._client.write() as db:
                db.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")
                db.execute("CREATE TABLE b (a REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)")
                db.execute("INSERT INTO b VALUES (1)")
        assert filled.get_page(*PLACE) == before
        assert filled.create(*PLACE, {"id": "new"})["id"] == "new"

    def test_a_connection_that_cannot_undo_is_replaced(self, filled):
        class Stuck:
            in_transaction = True

            def execute(self, statement):
                raise sqlite3.OperationalError("disk I/O error")

        transaction = connections.WriteTransaction(filled._client._connections)
        transaction.begin()
        transaction.connection.execute("DELETE FROM records")
        transaction.connection = Stuck()
        transaction.rollback()
        assert filled.get_all(*PLACE)[1] == 3
        assert filled.create(*PLACE, {"id": "new"})["id"] == "new"

    def test_a_number_that_sqlite_cannot_take_is_a_failure(self, filled):
        with pytest.raises(BackendError, match="OverflowError"):
            filled.purge_deleted(*PLACE, before=2**70)

    def test_application_error_is_not_a_backend_error(self, filled):
        with pytest.raises(ZeroDivisionError), filled._client.read():
            raise ZeroDivisionError
        with pytest.raises(RecordNotFoundError):
            filled.get(*PLACE, "missing")


class TestPlans:
    """Pages in the order of the timestamps, and filters on ids, don't read other records."""

    LATEST = [Sort("last_modified", -1)]
    AFTER = [[Filter("last_modified", 9, COMPARISON.LT)]]

    def plan(self, storage, statement):
        with storage._client.read() as db:
            steps = db.execute("EXPLAIN QUERY PLAN " + statement.text, statement.parameters)
            return "\n".join(step[3] for step in steps)

    @pytest.mark.parametrize("include_deleted", [False, True])
    @pytest.mark.parametrize("direction", [1, -1])
    @pytest.mark.parametrize("rules", [[], AFTER])
    @pytest.mark.parametrize("since", [[], [Filter("last_modified", 3, COMPARISON.GT)]])
    def test_a_page_by_time_is_read_in_order(
        self, storage, include_deleted, direction, rules, since
    ):
        order = [Sort("last_modified", direction), Sort("id", 1)]
        query = build_query(NAMES, since, order, rules, 10, include_deleted)
        plan = self.plan(storage, conditions.page(1, query))
        assert "USING PRIMARY KEY (collection=? AND last_modified>? AND last_modified<?)" in plan
        assert "SCAN" not in plan
        assert "TEMP B-TREE" not in plan

    @pytest.mark.parametrize("ids", ["a", ["a", "b"]])
    @pytest.mark.parametrize("order", [[], [Sort("field", 1)]])
    def test_ids_are_looked_up(self, storage, ids, order):
        operator = COMPARISON.IN if isinstance(ids, list) else COMPARISON.EQ
        query = build_query(NAMES, [Filter("id", ids, operator)], order, include_deleted=True)
        for statement in (conditions.page(1, query), conditions.count(1, query)):
            plan = self.plan(storage, statement)
            assert "SEARCH records USING" in plan
            assert "records_id (collection=? AND id=?" in plan
            assert "SCAN records" not in plan

    def test_checksum_of_some_records_is_read_from_an_index(self, storage):
        plan = self.plan(storage, Sql(engine._TIMES, [1, "[]"]))
        assert "USING COVERING INDEX records_id (collection=? AND id=?)" in plan

    def test_the_next_free_timestamp_is_found_by_the_index(self, storage):
        for statement in (engine._TAKEN, engine._NEXT_FREE):
            sql = conditions.Sql(statement, {"collection": 1, "at": 1})
            plan = self.plan(storage, sql)
            assert "SCAN records" not in plan and "SCAN tombstones" not in plan
            assert "MATERIALIZE" not in plan and "TEMP B-TREE" not in plan

    def test_the_total_of_all_is_kept_and_not_counted(self, storage, elsewhere):
        for n in range(3):
            storage.create(*PLACE, {"id": str(n)})
        elsewhere.execute("UPDATE collections SET count = 99")
        assert storage.get_all(*PLACE, limit=1)[1] == 99
