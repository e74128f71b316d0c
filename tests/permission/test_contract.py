"""The contract of the permission backends on every engine, and tests of the base class."""

import copy

import pytest

from cliquet.permission import PermissionBase
from cliquet.testing.contracts import PermissionContract


class TestContract(PermissionContract):
    """Run the contract on each engine, with the fixtures of ``conftest.py``."""


class Plain(PermissionBase):
    """It has the methods that every engine must have, and its own ``__init__``."""

    def __init__(self, **kwargs):
        self.kwargs = kwargs

    def object_permission_authorized_principals(
        self, object_id, permission, get_bound_permissions=None
    ):
        return {"alice"} if get_bound_permissions is None else {"bob"}


def test_an_engine_can_leave_the_check_to_the_base():
    backend = Plain(port=8087)
    assert backend.object_permission_principals("/a", "read") == {"alice"}
    assert backend.check_permission("/a", "read", ["alice", "carol"]) is True
    assert backend.check_permission("/a", "read", ["carol"]) is False
    assert backend.check_permission("/a", "read", ["bob"], lambda *args: set()) is True


def test_the_base_takes_the_arguments_of_other_engines():
    assert PermissionBase("host", port=8087)


def test_the_base_grants_nothing_without_an_engine():
    with pytest.raises(NotImplementedError):
        PermissionBase().object_permission_authorized_principals("/a", "read")


class Old(PermissionBase):
    """A backend for 3.1."""

    def __init__(self):
        self.calls = []

    def remove_principal(self, principal):
        self.calls.append(principal)

    def add_user_principal(self, user_id, principal):
        self.calls.append((user_id, principal))


def test_an_engine_for_3_1_replaces_the_users_of_principals():
    backend = Old()
    backend.replace_principal_users({"group:a": ["alice", "bob"], "group:b": []})
    assert backend.calls == ["group:a", ("alice", "group:a"), ("bob", "group:a"), "group:b"]


def test_overridden_principals_of_an_object_take_part_in_decisions(backend):
    class Mine(type(backend)):
        def object_permission_principals(self, object_id, permission):
            return super().object_permission_principals(object_id, permission) | {"guest"}

    mine = copy.copy(backend)
    mine.__class__ = Mine
    backend.add_principal_to_ace("/a", "read", "alice")
    assert mine.object_permission_authorized_principals("/a", "read") == {"alice", "guest"}
    assert mine.check_permission("/a", "read", ["guest"])
    assert not mine.check_permission("/a", "read", ["bob"])
