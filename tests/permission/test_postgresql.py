"""PostgreSQL permission backend."""

import pytest
import transaction

from cliquet import transactions
from cliquet.permission import postgresql
from cliquet.storage.exceptions import BackendError
from cliquet.utils.text import after_prefix
from tests import postgresql_server
from tests.configuration import backend_config


def make(url):
    return postgresql.load_from_config(backend_config({"permission_url": url}))


@pytest.fixture
def backend():
    backend = make(postgresql_server.shared_url())
    backend.initialize_schema()
    yield backend
    backend.flush()


#: Statements, each with parameters.
QUERIES = {
    postgresql.STATEMENTS.authorized_principals: [["/1"], ["read"]],
    postgresql.CHECK_PERMISSION: [(("/1", "read"), ("/2", "read")), ["user1", "user2"]],
    postgresql.ACCESSIBLE_OBJECTS: [
        0,
        ["user1", "user2"],
        "read",
        "/1",
        *[after_prefix("/1")] * 2,
    ],
    postgresql.STATEMENTS.object_permissions: ["/1"],
    postgresql.STATEMENTS.user_principals.format(""): ["user1"],
    f"SELECT {postgresql.PREFETCH_CHECK}": [(("/1", "read"), ("/2", "read")), ["user1"], "user1"],
    "SELECT " + postgresql.PREFETCH_ACCESSIBLE.format(ranges=postgresql.PREFETCH_RANGE): [
        *((("/1", "read"),), ["user1"], "user1"),
        *("0", ["user1"], "user1", "read", "/1", *[after_prefix("/1")] * 2),
    ],
    f"SELECT {postgresql.PREFETCH_ENTRIES}": ["/1"],
    postgresql.STATEMENTS.remove_principal: ["group1"],
    postgresql.STATEMENTS.delete_objects: [["/1", "/2"]],
}


@pytest.fixture
def large_backend(backend):
    """One with some thousand entries."""
    client = backend._client
    client.execute_autocommit(
        """INSERT INTO cliquet_access_control_entries (object_id, permission, principal)
        SELECT '/' || n, 'read', 'user' || n %% 1000 FROM generate_series(1, 5000) AS n"""
    )
    client.execute_autocommit(
        """INSERT INTO cliquet_user_principals (user_id, principal)
        SELECT 'user' || n, 'group' || n FROM generate_series(1, 2000) AS n"""
    )
    client.execute_autocommit("ANALYZE cliquet_access_control_entries, cliquet_user_principals")
    return backend


def test_entries_are_looked_up_in_an_index(large_backend):
    for statement, parameters in QUERIES.items():
        query = f"EXPLAIN {statement}"
        plan = str(large_backend._client.execute_autocommit(query, parameters))
        assert "Index" in plan, statement
        assert "Seq Scan" not in plan, statement


@pytest.mark.parametrize("number", [1, 50])
def test_a_check_is_one_statement(backend, number, statements):
    bound = [(f"/{name}", "read") for name in range(number)]
    backend.check_permission("/a", "read", ["alice", "bob"], lambda *args: bound)
    backend.object_permission_authorized_principals("/a", "read", lambda *args: bound)
    backend.principals_accessible_objects(["alice", "bob"], "read", "/*", lambda *args: bound)
    assert len(statements) == 3
    backend.replace_object_permissions("/a", {"read": ["alice"], "write": []})
    assert len(statements) == 4


@pytest.fixture
def in_transaction(backend):
    """A backend whose transaction has begun, with the permissions of one object."""
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        backend.add_principal_to_ace("/a", "read", "bob")
        yield backend
        manager.abort()


def test_permissions_of_locked_objects_are_read_once(in_transaction, statements):
    before = in_transaction.object_permissions_for_update("/a")
    in_transaction.add_principal_to_ace("/a", "read", "carol")
    before["read"].add("the caller changes its copy")
    assert in_transaction.object_permissions_for_update("/a") == {"read": {"bob", "carol"}}
    assert len(statements) == 1


@pytest.mark.parametrize("name", postgresql.CACHED)
def test_overridden_methods_are_called_each_time(in_transaction, statements, monkeypatch, name):
    class Own(postgresql.Permission):
        pass

    own = getattr(postgresql.Permission, name)
    setattr(Own, name, lambda self, *args, **kwargs: own(self, *args, **kwargs))
    monkeypatch.setattr(in_transaction, "__class__", Own)
    for _ in range(2):
        assert in_transaction.object_permissions_for_update("/a") == {"read": {"bob"}}
    assert len(statements) == 2


def test_sql_of_the_application_changes_permissions_of_locked_objects(in_transaction):
    assert in_transaction.object_permissions_for_update("/a") == {"read": {"bob"}}
    with in_transaction._client.connect() as session:
        session.execute("UPDATE cliquet_access_control_entries SET principal = 'carol'")
    assert in_transaction.object_permissions_for_update("/a") == {"read": {"carol"}}


def test_failures_are_backend_errors():
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        backend = make(url)
        for use in (
            backend.flush,
            lambda: backend.user_principals("alice"),
            lambda: backend.add_user_principal("alice", "group:a"),
            lambda: backend.replace_object_permissions("/a", {"read": ["alice"]}),
            lambda: backend.check_permission("/a", "read", ["alice"]),
        ):
            with pytest.raises(BackendError, match="does not exist; has `cliquet migrate`"):
                use()
        backend._client.close()
