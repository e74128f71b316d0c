"""SQLite permission backend."""

import multiprocessing

import pytest

from cliquet.permission import sqlite
from cliquet.storage.exceptions import BackendError
from tests.configuration import backend_config


def make(folder):
    url = f"sqlite:///{folder}/permission.sqlite"
    return sqlite.load_from_config(backend_config({"permission_url": url}))


@pytest.fixture
def backend(tmp_path):
    backend = make(tmp_path)
    backend.initialize_schema()
    return backend


def test_permissions_survive_a_restart(backend, tmp_path):
    backend.add_user_principal("alice", "group:a")
    backend.add_principal_to_ace("/a", "read", "alice")
    again = make(tmp_path)
    again.initialize_schema()
    assert again.user_principals("alice") == {"group:a"}
    assert again.object_permissions("/a") == {"read": {"alice"}}


def initialize(folder):
    make(folder).initialize_schema()


def test_processes_can_initialize_the_schema_concurrently(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=initialize, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert make(tmp_path).user_principals("alice") == set()


#: Statements, each with its number of parameters.
QUERIES = {
    "authorized_principals": (sqlite.STATEMENTS.authorized_principals, 1),
    "check_permission": (sqlite.CHECK_PERMISSION, 2),
    "accessible_objects": (sqlite.ACCESSIBLE_OBJECTS, 2),
    "object_permissions": (sqlite.STATEMENTS.object_permissions, 1),
    "user_principals": (sqlite.STATEMENTS.user_principals, 1),
    "remove_principal": (sqlite.STATEMENTS.remove_principal, 1),
    "remove_permissions": (sqlite.REMOVE_PERMISSIONS, 2),
    "delete_objects": (sqlite.STATEMENTS.delete_objects, 1),
}


@pytest.mark.parametrize("name", QUERIES)
def test_entries_are_looked_up_in_an_index(backend, name):
    statement, number = QUERIES[name]
    with backend._client.read() as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", ["[]"] * number).fetchall()
    steps = [step[-1] for step in plan]
    tables = ("entry", "access_control_entries", "user_principals")
    ways = {way for way, table, *_ in map(str.split, steps) if table in tables}
    assert ways == {"SEARCH"}


def test_the_objects_of_a_principal_are_found_by_the_beginning_of_their_ids(backend):
    with backend._client.read() as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {sqlite.ACCESSIBLE_OBJECTS}", ["[]", "[]"]
        ).fetchall()
    assert "(principal=? AND permission=? AND object_id>? AND object_id<?)" in str(plan)


@pytest.mark.parametrize("number", [1, 50])
def test_a_check_is_one_statement(backend, number):
    statements = []
    bound = [(f"/{name}", "read") for name in range(number)]
    with backend._client.read() as connection:
        connection.set_trace_callback(statements.append)
    backend.check_permission("/a", "read", ["alice", "bob"], lambda *args: bound)
    backend.object_permission_authorized_principals("/a", "read", lambda *args: bound)
    backend.principals_accessible_objects(["alice", "bob"], "read", "/*", lambda *args: bound)
    assert len(statements) == 3


def test_failures_are_backend_errors(tmp_path):
    backend = make(tmp_path / "missing")
    for use in (
        backend.initialize_schema,
        backend.flush,
        lambda: backend.user_principals("alice"),
        lambda: backend.add_user_principal("alice", "group:a"),
        lambda: backend.replace_object_permissions("/a", {"read": ["alice"]}),
        lambda: backend.check_permission("/a", "read", ["alice"]),
    ):
        with pytest.raises(BackendError):
            use()
