"""Contract of the permission backends."""

from __future__ import annotations

from cliquet.permission import PermissionBase
from cliquet.testing.contracts.access import ODD, AccessContract, grant


class PermissionContract(AccessContract):
    """Tests of a permission backend.

    They require the fixture ``backend``, an empty backend.
    """

    # The principals of users

    def test_user_has_no_principals_at_first(self, backend: PermissionBase) -> None:
        assert backend.user_principals("alice") == set()

    def test_user_has_the_added_principals(self, backend: PermissionBase) -> None:
        backend.add_user_principal("alice", "group:a")
        backend.add_user_principal("alice", "group:b")
        backend.add_user_principal("alice", "group:b")
        backend.add_user_principal("bob", "group:c")
        assert backend.user_principals("alice") == {"group:a", "group:b"}
        assert backend.user_principals("bob") == {"group:c"}

    def test_principal_added_twice_is_removed_once(self, backend: PermissionBase) -> None:
        backend.add_user_principal("alice", "group:a")
        backend.add_user_principal("alice", "group:a")
        backend.remove_user_principal("alice", "group:a")
        assert backend.user_principals("alice") == set()

    def test_principal_is_removed_from_one_user_only(self, backend: PermissionBase) -> None:
        backend.add_user_principal("alice", "group:a")
        backend.add_user_principal("alice", "group:b")
        backend.add_user_principal("bob", "group:a")
        backend.remove_user_principal("alice", "group:a")
        assert backend.user_principals("alice") == {"group:b"}
        assert backend.user_principals("bob") == {"group:a"}

    def test_principal_is_removed_from_every_user(self, backend: PermissionBase) -> None:
        backend.add_user_principal("alice", "group:a")
        backend.add_user_principal("alice", "group:b")
        backend.add_user_principal("bob", "group:a")
        backend.remove_principal("group:a")
        assert backend.user_principals("alice") == {"group:b"}
        assert backend.user_principals("bob") == set()

    def test_replacing_the_users_of_principals_leaves_other_principals(
        self, backend: PermissionBase
    ) -> None:
        for user_id in ("alice", "bob"):
            for principal in ("group:a", "group:b", "group:c"):
                backend.add_user_principal(user_id, principal)
        users = {"group:a": iter(["bob", "carol", "carol"]), "group:b": [], "group:d": {"alice"}}
        backend.replace_principal_users(users)
        assert backend.user_principals("alice") == {"group:c", "group:d"}
        assert backend.user_principals("bob") == {"group:a", "group:c"}
        assert backend.user_principals("carol") == {"group:a"}
        backend.replace_principal_users({})
        assert backend.user_principals("carol") == {"group:a"}

    def test_replacing_the_users_of_many_principals_handles_odd_strings(
        self, backend: PermissionBase
    ) -> None:
        backend.replace_principal_users(dict.fromkeys(ODD, ODD))
        assert all(backend.user_principals(text) == set(ODD) for text in ODD)
        backend.replace_principal_users(dict.fromkeys(ODD[1:], ()))
        assert all(backend.user_principals(text) == {ODD[0]} for text in ODD)

    def test_removing_missing_items_has_no_effect(self, backend: PermissionBase) -> None:
        backend.add_user_principal("alice", "group:a")
        grant(backend, ("/a", "read", "alice"))
        backend.remove_user_principal("alice", "unknown")
        backend.remove_user_principal("unknown", "group:a")
        backend.remove_principal("unknown")
        backend.remove_principal_from_ace("/a", "read", "unknown")
        backend.remove_principal_from_ace("/a", "unknown", "alice")
        backend.delete_object_permissions("unknown")
        backend.delete_object_permissions()
        assert backend.user_principals("alice") == {"group:a"}
        assert backend.object_permissions("/a") == {"read": {"alice"}}

    def test_removing_a_principal_from_users_keeps_the_permissions(
        self, backend: PermissionBase
    ) -> None:
        backend.add_user_principal("alice", "group:a")
        grant(backend, ("/a", "read", "group:a"))
        backend.remove_principal("group:a")
        assert backend.object_permission_principals("/a", "read") == {"group:a"}

    # The permissions on an object

    def test_object_has_no_permissions_at_first(self, backend: PermissionBase) -> None:
        assert backend.object_permission_principals("/a", "read") == set()
        assert backend.object_permissions("/a") == {}
        assert backend.check_permission("/a", "read", ["alice"]) is False
        assert backend.principals_accessible_objects(["alice"], "read") == set()

    def test_permission_is_granted_on_one_object(self, backend: PermissionBase) -> None:
        grant(backend, ("/a", "read", "alice"), ("/a", "read", "alice"), ("/a", "read", "bob"))
        assert backend.object_permission_principals("/a", "read") == {"alice", "bob"}
        assert backend.object_permission_principals("/a", "write") == set()
        assert backend.object_permission_principals("/b", "read") == set()

    def test_permission_is_withdrawn_from_one_principal(self, backend: PermissionBase) -> None:
        grant(backend, ("/a", "read", "alice"), ("/a", "read", "bob"), ("/a", "write", "alice"))
        backend.remove_principal_from_ace("/a", "read", "alice")
        assert backend.object_permissions("/a") == {"read": {"bob"}, "write": {"alice"}}
        backend.remove_principal_from_ace("/a", "read", "bob")
        assert backend.object_permissions("/a") == {"write": {"alice"}}

    def test_permissions_of_an_object_can_be_selected_by_name(
        self, backend: PermissionBase
    ) -> None:
        grant(backend, ("/a", "read", "alice"), ("/a", "write", "bob"), ("/b", "read", "carol"))
        assert backend.object_permissions("/a") == {"read": {"alice"}, "write": {"bob"}}
        assert backend.object_permissions("/a", ["write", "create"]) == {"write": {"bob"}}
        assert backend.object_permissions("/a", iter(["read"])) == {"read": {"alice"}}
        assert backend.object_permissions("/a", []) == {}

    def test_mutating_returned_sets_has_no_effect(self, backend: PermissionBase) -> None:
        backend.add_user_principal("alice", "group:a")
        grant(backend, ("/a", "read", "alice"))
        backend.user_principals("alice").add("group:b")
        backend.object_permission_principals("/a", "read").add("bob")
        backend.object_permissions("/a")["read"].add("bob")
        assert backend.user_principals("alice") == {"group:a"}
        assert backend.object_permissions("/a") == {"read": {"alice"}}
        assert backend.object_permission_principals("/a", "read") == {"alice"}

    def test_replacing_permissions_keeps_other_permissions(self, backend: PermissionBase) -> None:
        grant(backend, ("/a", "read", "alice"), ("/a", "write", "bob"), ("/b", "read", "alice"))
        backend.replace_object_permissions(
            "/a", {"read": ["carol", "carol", "dan"], "create": {"bob"}}
        )
        assert backend.object_permissions("/a") == {
            "read": {"carol", "dan"},
            "write": {"bob"},
            "create": {"bob"},
        }
        assert backend.object_permissions("/b") == {"read": {"alice"}}
        assert backend.principals_accessible_objects(["alice"], "read") == {"/b"}

    def test_replacing_with_no_principals_removes_the_permission(
        self, backend: PermissionBase
    ) -> None:
        grant(backend, ("/a", "read", "alice"), ("/a", "write", "bob"))
        backend.replace_object_permissions("/a", {"read": [], "create": iter(())})
        assert backend.object_permissions("/a") == {"write": {"bob"}}
        backend.replace_object_permissions("/a", {})
        assert backend.object_permissions("/a") == {"write": {"bob"}}

    def test_replacement_can_keep_some_principals(self, backend: PermissionBase) -> None:
        grant(backend, ("/a", "read", "alice"), ("/a", "read", "bob"))
        backend.replace_object_permissions("/a", {"read": iter(["bob", "carol"])})
        assert backend.object_permissions("/a") == {"read": {"bob", "carol"}}

    def test_deleting_permissions_keeps_those_of_other_objects(
        self, backend: PermissionBase
    ) -> None:
        grant(backend, *((f"/{name}", "read", "alice") for name in "abcd"), ("/a", "write", "bob"))
        backend.delete_object_permissions("/a", "/b", "/b")
        assert backend.object_permissions("/a") == backend.object_permissions("/b") == {}
        assert backend.principals_accessible_objects(["alice", "bob"], "read") == {"/c", "/d"}
        assert backend.principals_accessible_objects(["alice", "bob"], "write") == set()

    def test_deleting_permissions_has_no_wildcard(self, backend: PermissionBase) -> None:
        grant(backend, ("/a", "read", "alice"), ("/*", "read", "alice"))
        backend.delete_object_permissions("/*")
        assert backend.principals_accessible_objects(["alice"], "read") == {"/a"}

    def test_flush_deletes_everything(self, backend: PermissionBase) -> None:
        backend.add_user_principal("alice", "group:a")
        grant(backend, ("/a", "read", "alice"))
        backend.flush()
        assert backend.user_principals("alice") == set()
        assert backend.object_permissions("/a") == {}
        assert backend.check_permission("/a", "read", ["alice"]) is False
        assert backend.principals_accessible_objects(["alice"], "read") == set()

    def test_initializing_the_schema_again_keeps_everything(self, backend: PermissionBase) -> None:
        backend.add_user_principal("alice", "group:a")
        grant(backend, ("/a", "read", "alice"))
        backend.initialize_schema()
        assert not backend.pending_migrations()
        assert backend.user_principals("alice") == {"group:a"}
        assert backend.object_permissions("/a") == {"read": {"alice"}}
