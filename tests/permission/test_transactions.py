"""Permission backends in the transaction of a request."""

import threading

import pytest
import transaction

from cliquet import transactions

pytestmark = pytest.mark.usefixtures("transactional")


@pytest.fixture
def manager():
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        yield manager
        manager.abort()


@pytest.fixture
def backend(backend):
    """One that holds, from before the transaction, a little of everything."""
    backend.add_user_principal("alice", "group:a")
    backend.add_user_principal("bob", "group:a")
    backend.replace_object_permissions("/a", {"read": ["alice", "bob"], "write": ["alice"]})
    return backend


def content(backend):
    return {
        "alice": backend.user_principals("alice"),
        "bob": backend.user_principals("bob"),
        "/a": backend.object_permissions("/a"),
        "/b": backend.object_permissions("/b"),
        "read": backend.principals_accessible_objects(["alice", "bob", "carol"], "read"),
        "write": backend.principals_accessible_objects(["alice", "bob", "carol"], "write"),
    }


def seen_by_another_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(10)
    return results[0]


OPERATIONS = {
    "add_user_principal": lambda backend: backend.add_user_principal("bob", "group:b"),
    "remove_user_principal": lambda backend: backend.remove_user_principal("bob", "group:a"),
    "remove_principal": lambda backend: backend.remove_principal("group:a"),
    "replace_principal_users": (
        lambda backend: backend.replace_principal_users({"group:a": ["bob"], "group:b": ["bob"]})
    ),
    "add_principal_to_ace": lambda backend: backend.add_principal_to_ace("/b", "read", "bob"),
    "remove_principal_from_ace": (
        lambda backend: backend.remove_principal_from_ace("/a", "write", "alice")
    ),
    "replace_object_permissions": (
        lambda backend: backend.replace_object_permissions(
            "/a", {"read": ["bob", "carol"], "write": []}
        )
    ),
    "delete_object_permissions": lambda backend: backend.delete_object_permissions("/a"),
    "flush": lambda backend: backend.flush(),
}


@pytest.fixture(params=OPERATIONS)
def operation(request):
    return OPERATIONS[request.param]


def assert_locked_permissions_are_current(backend):
    for object_id in ("/a", "/b"):
        current = backend.object_permissions(object_id)
        assert backend.object_permissions_for_update(object_id) == current


def test_permissions_of_locked_objects_include_changes(backend, operation, manager):
    backend.add_user_principal("carol", "group:c")  # the transaction begins
    assert_locked_permissions_are_current(backend)
    savepoint = manager.savepoint()
    operation(backend)
    assert_locked_permissions_are_current(backend)
    backend.add_principal_to_ace("/a", "write", "carol")
    assert_locked_permissions_are_current(backend)
    savepoint.rollback()
    assert_locked_permissions_are_current(backend)


def test_permissions_of_new_objects_are_those_that_were_granted(backend, manager):
    backend.add_user_principal("carol", "group:c")
    backend.expect_no_permissions("/new")
    backend.replace_object_permissions("/new", {"read": ["bob"], "write": []})
    backend.add_principal_to_ace("/new", "write", "alice")
    expected = {"read": {"bob"}, "write": {"alice"}}
    assert backend.object_permissions_for_update("/new") == expected
    assert backend.object_permissions("/new") == expected


def test_an_operation_is_undone_when_the_transaction_is_aborted(backend, operation, manager):
    before = content(backend)
    operation(backend)
    assert content(backend) != before
    manager.abort()
    manager.begin()
    assert seen_by_another_thread(lambda: content(backend)) == content(backend) == before


def test_an_operation_is_kept_when_the_transaction_is_committed(backend, operation, manager):
    operation(backend)
    after = content(backend)
    manager.commit()
    manager.begin()
    assert seen_by_another_thread(lambda: content(backend)) == content(backend) == after


def test_an_operation_is_undone_down_to_a_savepoint(backend, operation, manager):
    backend.add_principal_to_ace("/b", "write", "carol")
    before = content(backend)
    savepoint = manager.savepoint()
    operation(backend)
    assert content(backend) != before
    savepoint.rollback()
    assert content(backend) == before
    manager.commit()
    manager.begin()
    assert content(backend) == before


def test_operations_are_undone_in_the_right_order(backend, manager):
    before = content(backend)
    for operation in OPERATIONS.values():
        operation(backend)
    for operation in OPERATIONS.values():
        operation(backend)
    manager.abort()
    manager.begin()
    assert content(backend) == before


def test_redundant_changes_have_no_effect_and_are_undone(backend, manager):
    before = content(backend)
    backend.add_user_principal("alice", "group:a")
    backend.remove_user_principal("alice", "unknown")
    backend.add_principal_to_ace("/a", "read", "alice")
    assert content(backend) == before
    manager.abort()
    manager.begin()
    assert content(backend) == before


def test_failing_operation_keeps_earlier_changes(backend, manager):
    backend.add_user_principal("alice", "group:b")
    before = content(backend)
    with pytest.raises(TypeError):
        backend.replace_object_permissions("/a", {"read": [], "write": [["no text"]]})
    assert content(backend) == before
    manager.commit()
    manager.begin()
    assert content(backend) == before


def test_each_operation_is_kept_without_transaction_per_request(make_backend, manager):
    backend = make_backend(transaction_per_request="false")
    backend.add_user_principal("alice", "group:a")
    manager.abort()
    manager.begin()
    assert backend.user_principals("alice") == {"group:a"}
    backend.flush()
