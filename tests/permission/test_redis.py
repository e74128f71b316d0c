"""Redis permission backend."""

import pytest
import transaction

from cliquet import transactions
from cliquet.drivers.redis.client import Client
from cliquet.permission import redis
from cliquet.storage.exceptions import BackendError
from tests import redis_server
from tests.configuration import backend_config

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


def make(url=None):
    settings = {"permission_url": url or redis_server.database_url(2)}
    return redis.load_from_config(backend_config(settings))


@pytest.fixture
def backend():
    backend = make()
    yield backend
    backend._client.call("FLUSHDB")


def keys(backend):
    return backend._client.call("KEYS", "*")


def fill(backend):
    backend.add_user_principal("alice", "group:a")
    backend.add_principal_to_ace("/a", "read", "alice")
    backend.replace_object_permissions("/b", {"read": ["bob"], "write": ["bob", "alice"]})


def test_keys_begin_with_a_prefix_and_flush_removes_only_these(backend):
    backend._client.call("SET", "cliquet.other", "application")
    fill(backend)
    assert all(key.startswith((b"cliquet.permission.", b"cliquet.other")) for key in keys(backend))
    backend.flush()
    assert keys(backend) == [b"cliquet.other"]


def test_removed_items_leave_no_keys(backend):
    fill(backend)
    backend.remove_user_principal("alice", "group:a")
    backend.remove_principal_from_ace("/a", "read", "alice")
    backend.delete_object_permissions("/b")
    assert keys(backend) == []
    backend.add_user_principal("alice", "group:a")
    backend.remove_principal("group:a")
    assert keys(backend) == []


@pytest.mark.parametrize("number", [1, 50])
def test_each_operation_is_one_round_trip(backend, monkeypatch, number):
    sent, run = [], Client.run
    monkeypatch.setattr(Client, "run", lambda *args: (sent.append(args), run(*args))[1])
    bound = [(f"/{name}", "read") for name in range(number)]
    everybody = ["alice", "bob"]
    operations = [
        lambda: fill(backend),  # three
        lambda: backend.check_permission("/a", "read", everybody, lambda *args: bound),
        lambda: backend.object_permission_authorized_principals("/a", "read", lambda *args: bound),
        lambda: backend.principals_accessible_objects(everybody, "read", "/*", lambda *args: bound),
        lambda: backend.object_permissions("/b"),
        lambda: backend.user_principals("alice"),
        lambda: backend.delete_object_permissions("/a", "/b"),
    ]
    for operation in operations:
        operation()
    assert len(sent) == len(operations) + 2


def test_objects_of_other_resources_are_not_read(backend, monkeypatch):
    for number in range(20):
        backend.add_principal_to_ace(f"/many/{number}", "read", "alice")
    backend.add_principal_to_ace("/few/1", "read", "alice")
    replies, run = [], Client.run
    monkeypatch.setattr(Client, "run", lambda *args: replies.append(run(*args)) or replies[-1])
    accessible = backend.principals_accessible_objects(["alice"], "read", "/few/*")
    assert (accessible, replies) == ({"/few/1"}, [[0, b"/few/1"]])


def test_granted_permissions_are_kept_when_the_request_fails(backend):
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        fill(backend)
        manager.abort()
    assert backend.check_permission("/a", "read", ["alice"]) is True


def test_failures_are_backend_errors():
    backend = make(NOBODY_LISTENS)
    backend.initialize_schema()
    for use in (
        backend.flush,
        lambda: backend.user_principals("alice"),
        lambda: backend.add_user_principal("alice", "group:a"),
        lambda: backend.replace_object_permissions("/a", {"read": ["alice"]}),
        lambda: backend.check_permission("/a", "read", ["alice"]),
    ):
        with pytest.raises(BackendError):
            use()


def test_a_server_without_memory_withdraws_and_grants_nothing():
    server = redis_server.Server()
    try:
        backend = make(server.url())
        fill(backend)
        before = backend.object_permissions("/b")
        backend._client.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(BackendError, match="maxmemory"):
            backend.replace_object_permissions("/b", {"read": ["carol"], "write": []})
        assert backend.object_permissions("/b") == before
        backend.delete_object_permissions("/b")
        assert backend.object_permissions("/b") == {}
    finally:
        server.close()


def test_settings_are_the_options_of_the_connections(backend):
    assert redis_server.database_url(2).endswith(f"/{backend.settings['db']}")
    backend.settings.clear()
    assert "socket_timeout" in backend.settings
