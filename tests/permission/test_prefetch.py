"""Permissions that PostgreSQL reads along with groups and records."""

import contextvars
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
import transaction

from cliquet import transactions
from cliquet.authorization import InheritingAuthorizationPolicy
from cliquet.permission import postgresql
from cliquet.storage.postgresql import load_from_config as load_storage
from tests import postgresql_server
from tests.configuration import backend_config

GRANTS = InheritingAuthorizationPolicy().get_bound_permissions
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
KNOWN = ["alice", "system.Everyone"]


@pytest.fixture
def config():
    url = postgresql_server.shared_url()
    return backend_config({"permission_url": url, "storage_url": url})


@pytest.fixture
def storage(config):
    """The storage in the same database, with a record."""
    storage = load_storage(config)
    storage.initialize_schema()
    storage.create("a", "alice", {"id": "1"})
    yield storage
    storage.flush()


@pytest.fixture
def backend(config):
    """A backend during a request, with groups of a user and some permissions."""
    backend = postgresql.load_from_config(config)
    backend.initialize_schema()
    backend.add_user_principal("alice", "group:é\0")
    backend.replace_object_permissions("/a/1", {"read": ["alice"], "write": ["bob"]})
    backend.replace_object_permissions("/a/2", {"read": ["group:é\0"]})
    backend.replace_object_permissions("/a/3", {"write": ["system.Everyone"]})
    backend.replace_object_permissions("/b", {"read": ["bob", "carol"]})
    manager = transaction.TransactionManager()
    manager.begin()
    with transactions.RequestAttempt(manager):
        yield backend
        manager.abort()
    backend.flush()


def prefetch(backend, object_id="/a/1", permission="read", grants=None, pattern=None):
    """Request a check, and read the groups."""
    backend.prefetch_check(object_id, permission, KNOWN, "alice", grants, pattern)
    return backend.user_principals("alice")


@pytest.mark.parametrize("grants", [None, GRANTS])
def test_check_is_that_of_a_separate_statement(backend, statements, grants):
    objects, names = ["/a", "/a/1", "/a/2", "/a/3", "/b"], ["read", "write", "x:create"]
    for object_id, permission in itertools.product(objects, names):
        for principals in (["alice"], [*KNOWN, "group:é\0"], []):
            expected = backend.check_permission(object_id, permission, principals, grants)
            assert prefetch(backend, object_id, permission, grants) == {"group:é\0"}
            statements.clear()
            assert backend.check_permission(object_id, permission, principals, grants) == expected
            assert statements == []


@pytest.mark.parametrize("grants", [None, GRANTS])
def test_shared_objects_are_those_of_a_separate_statement(backend, statements, grants):
    for pattern, permission in itertools.product(["/a/*", "/b/*", "*"], ["read", "write"]):
        arguments = [*KNOWN, "group:é\0"], permission, pattern, grants
        expected = backend.principals_accessible_objects(*arguments)
        prefetch(backend, "/nothing", permission, grants, pattern)
        statements.clear()
        assert backend.principals_accessible_objects(*arguments) == expected
        assert statements == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend: backend.check_permission("/a/1", "read", ["bob"]),
        lambda backend: backend.check_permission("/a/2", "read", KNOWN),
        lambda backend: backend.check_permission("/a/1", "write", KNOWN),
        lambda backend: backend.principals_accessible_objects(["alice"], "read", "/a/*"),
        lambda backend: backend.principals_accessible_objects(KNOWN, "read", "/a/*"),
        lambda backend: backend.principals_accessible_objects(KNOWN, "read", "/*"),
        lambda backend: backend.object_permissions("/a/1"),
    ],
)
def test_other_checks_send_one_statement(backend, statements, ask):
    expected = ask(backend)
    prefetch(backend, pattern="/a/*")
    statements.clear()
    assert ask(backend) == expected
    assert len(statements) == 1


STATEMENTS = {
    "read": lambda client: client.read("SELECT 1"),
    "read_row": lambda client: client.read_row("SELECT 1{}", []),
    "write": lambda client: client.write("SELECT 1"),
    "execute_deferred": lambda client: client.execute_deferred("SELECT 1", []),
    "lock": lambda client: client.lock("SELECT 1", []),
    "grouped_writes": lambda client: client.grouped_writes().__enter__(),
    "connect": lambda client: client.connect().__enter__(),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_prefetched_values_are_discarded_by_another_statement(backend, statements, name):
    prefetch(backend)
    STATEMENTS[name](backend._client)
    statements.clear()
    assert backend.check_permission("/a/1", "read", ["alice"])
    assert len(statements) == 1


def test_requests_are_discarded_by_another_statement(backend, statements):
    backend.prefetch_object_permissions("/a/1")
    backend.object_permissions("/b")
    backend.user_principals("alice")
    assert backend.object_permissions("/a/1") == {"read": {"alice"}, "write": {"bob"}}
    assert len(statements) == 3


def test_permissions_are_read_along_once(backend, statements):
    for _ in range(2):
        backend.prefetch_object_permissions("/a/1")
        backend.user_principals("alice")
        assert backend.object_permissions("/a/1", ["write"]) == {"write": {"bob"}}
    assert backend.object_permissions("/a/1") == {"read": {"alice"}, "write": {"bob"}}
    assert len(statements) == 3


def read_locked(permission, storage):
    """Return the permissions of a record that is locked in a request."""
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        permission.prefetch_object_permissions("/a/1", for_update=True)
        storage.get_for_update("a", "alice", "1")
        permissions = permission.object_permissions_for_update("/a/1")
        manager.abort()
    return permissions


def test_permissions_of_a_locked_record_include_those_of_the_previous_holder(storage, backend):
    storage.lock("a", "alice")
    backend.add_principal_to_ace("/a/1", "read", "carol")
    with ThreadPoolExecutor() as executor:
        waiting = executor.submit(contextvars.Context().run, read_locked, backend, storage)
        while not backend._client.read(WAITING)[0][0]:
            assert not waiting.done()
        transactions.current().commit()
        assert waiting.result() == {"read": {"alice", "carol"}, "write": {"bob"}}


def test_nothing_is_prefetched_without_entries_that_grant(backend, statements):
    prefetch(backend, grants=lambda object_id, permission: [], pattern="*")
    assert "cliquet_access_control_entries" not in statements[0]


def test_nothing_is_prefetched_outside_of_requests(backend, statements):
    def outside():
        prefetch(backend)
        assert backend.check_permission("/a/1", "read", ["alice"])

    contextvars.Context().run(outside)
    assert len(statements) == 2
