"""The heartbeats of the cache and permission backends."""

from types import SimpleNamespace

import pytest

from cliquet import cache as caches
from cliquet import permission as permissions
from cliquet.cache.memory import Cache
from cliquet.permission.memory import Permission


def request_with(**settings):
    return SimpleNamespace(registry=SimpleNamespace(settings=settings))


def record_calls(monkeypatch, backend, name):
    """Return the list of the first arguments of the calls of a method."""
    recorded = []
    method = getattr(backend, name)

    def record(first, *args):
        recorded.append(first)
        return method(first, *args)

    monkeypatch.setattr(backend, name, record)
    return recorded


def fail(*args):
    raise OSError("gone")


@pytest.mark.parametrize("readonly, writes", [("false", 1), ("true", 0)])
def test_heartbeat_of_permissions_writes_unless_readonly(monkeypatch, readonly, writes):
    backend = Permission()
    user_ids = record_calls(monkeypatch, backend, "add_user_principal")
    assert permissions.heartbeat(backend)(request_with(readonly=readonly)) is True
    assert len(user_ids) == writes
    assert all(backend.user_principals(user_id) == set() for user_id in user_ids)


@pytest.mark.parametrize(
    "method, readonly", [("add_user_principal", "false"), ("user_principals", "true")]
)
def test_heartbeat_of_permissions_fails_with_their_backend(monkeypatch, caplog, method, readonly):
    backend = Permission()
    monkeypatch.setattr(backend, method, fail)
    assert permissions.heartbeat(backend)(request_with(readonly=readonly)) is False
    assert [entry.levelname for entry in caplog.records] == ["ERROR"]


def test_heartbeat_of_a_cache_writes_even_if_readonly(monkeypatch):
    backend = Cache()
    keys = record_calls(monkeypatch, backend, "set")
    assert caches.heartbeat(backend)(request_with(readonly="true")) is True
    assert [backend.get(key) for key in keys] == [None]


@pytest.mark.parametrize("method, replacement", [("get", lambda key: None), ("set", fail)])
def test_heartbeat_of_a_cache_fails_with_its_backend(monkeypatch, caplog, method, replacement):
    backend = Cache()
    monkeypatch.setattr(backend, method, replacement)
    assert caches.heartbeat(backend)(request_with()) is False
    assert [entry.levelname for entry in caplog.records] == ["ERROR"]
