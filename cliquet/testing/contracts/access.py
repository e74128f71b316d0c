"""Contract of the permission backends: checks of access and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliquet.permission import PermissionBase
from cliquet.testing.contracts.samples import in_threads, on_one_backend
from cliquet.utils.overrides import is_inherited

ODD = [
    "",
    " ",
    "%",
    "_",
    "?",
    "[a]",
    "[^a]",
    "a*",
    "\\",
    "'; DROP TABLE access_control_entries; --",
    '"]},',
    "a\0b",
    "a\0c",
    "\0",
    "\x1a",
    "\x1a0000",
    "\ud800",
    "\ud83d\ude00",  # two lone surrogates, not the next one
    "\U0001f600",
    "\U0010ffff",
    "é",
    "e\u0301",
    "A",
    "a",
    "basicauth:0123",
    "/a/b",
]


# Few different characters, so that strings collide, and any strings of Python.
TEXTS = st.text("ab/%_?[*\0\x1a\ud800\ue000\U0010ffff", max_size=4) | st.text(
    st.characters(), max_size=4
)


def grant(backend: PermissionBase, *entries: tuple[str, str, str]) -> None:
    for object_id, permission, principal in entries:
        backend.add_principal_to_ace(object_id, permission, principal)


def bound_to(*pairs: tuple[str, str]) -> Callable[[str, str], set[tuple[str, str]]]:
    return lambda object_id, permission: set(pairs)


def matches(pattern: str, text: str) -> bool:
    """Match a pattern in the slow and simple way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return text[:1] == pattern[0] and matches(pattern[1:], text[1:])


class AccessContract:
    """Tests of how a permission backend checks access."""

    # Checks of access

    def test_a_permission_is_checked_for_any_of_the_principals(
        self, backend: PermissionBase
    ) -> None:
        grant(backend, ("/a", "read", "bob"))
        assert backend.check_permission("/a", "read", ["alice", "bob"]) is True
        assert backend.check_permission("/a", "read", iter(["bob"])) is True
        assert backend.check_permission("/a", "read", {"alice", "carol"}) is False
        assert backend.check_permission("/a", "read", []) is False
        assert backend.check_permission("/a", "write", ["bob"]) is False
        assert backend.check_permission("/a/b", "read", ["bob"]) is False

    def test_get_bound_permissions_is_called_with_the_object_and_the_permission(
        self, backend: PermissionBase
    ) -> None:
        calls: list[tuple[str, str]] = []

        def bound(object_id: str, permission: str) -> list[tuple[str, str]]:
            calls.append((object_id, permission))
            return [(object_id, permission)]

        backend.check_permission("/a", "read", ["alice"], bound)
        backend.object_permission_authorized_principals("/a", "write", bound)
        backend.principals_accessible_objects(["alice"], "read", "/a*", bound)
        backend.principals_accessible_objects(["alice"], "read", get_bound_permissions=bound)
        assert calls == [("/a", "read"), ("/a", "write"), ("/a*", "read"), ("*", "read")]

    def test_any_bound_permission_grants_the_permission(self, backend: PermissionBase) -> None:
        grant(backend, ("/a/b", "read", "alice"), ("/a", "write", "bob"), ("/a", "read", "carol"))
        bound = bound_to(("/a/b", "read"), ("/a/b", "write"), ("/a", "write"))
        check = backend.check_permission
        assert check("/a/b", "read", ["alice"], get_bound_permissions=bound) is True
        assert check("/a/b", "read", ["bob"], get_bound_permissions=bound) is True
        assert check("/a/b", "read", ["carol"], get_bound_permissions=bound) is False
        authorized = backend.object_permission_authorized_principals("/a/b", "read", bound)
        assert authorized == {"alice", "bob"}

    def test_without_bound_permissions_only_the_pair_itself_counts(
        self, backend: PermissionBase
    ) -> None:
        grant(backend, ("/a", "read", "alice"), ("/a", "write", "bob"))
        assert backend.object_permission_authorized_principals("/a", "read") == {"alice"}

    def test_when_no_bound_permission_is_returned_nothing_is_granted(
        self, backend: PermissionBase
    ) -> None:
        grant(backend, ("/a", "read", "alice"))
        assert backend.check_permission("/a", "read", ["alice"], bound_to()) is False
        assert backend.object_permission_authorized_principals("/a", "read", bound_to()) == set()
        assert backend.principals_accessible_objects(["alice"], "read", "*", bound_to()) == set()

    def test_many_bound_permissions_and_principals_are_supported(
        self, backend: PermissionBase
    ) -> None:
        grant(backend, ("/299", "read", "user1999"))
        bound = bound_to(*((f"/{number}", "read") for number in range(300)))
        all_users = [f"user{number}" for number in range(2000)]
        assert backend.check_permission("/a", "read", all_users, bound) is True
        assert backend.object_permission_authorized_principals("/a", "read", bound) == {"user1999"}
        assert backend.principals_accessible_objects(all_users, "read", "/*", bound) == {"/299"}

    # Accessible objects

    def test_objects_of_any_principal_are_found(self, backend: PermissionBase) -> None:
        grant(
            backend,
            ("/a/1", "read", "alice"),
            ("/a/2", "read", "bob"),
            ("/a/3", "read", "carol"),
            ("/a/4", "write", "alice"),
            ("/a/5", "read", "alice"),
            ("/a/5", "read", "bob"),
        )
        accessible = backend.principals_accessible_objects(iter(["alice", "bob"]), "read")
        assert accessible == {"/a/1", "/a/2", "/a/5"}
        assert backend.principals_accessible_objects([], "read") == set()

    @pytest.mark.parametrize(
        "pattern, expected",
        [
            (None, {"/a", "/a/1", "/a/1/b", "/b/1", "/aa/1", "/a/\n1"}),
            ("*", {"/a", "/a/1", "/a/1/b", "/b/1", "/aa/1", "/a/\n1"}),
            ("/a/*", {"/a/1", "/a/1/b", "/a/\n1"}),
            ("/a*", {"/a", "/a/1", "/a/1/b", "/aa/1", "/a/\n1"}),
            ("/a", {"/a"}),
            ("*/1", {"/a/1", "/b/1", "/aa/1"}),
            ("/*/1", {"/a/1", "/b/1", "/aa/1"}),
            ("/*/*/*", {"/a/1/b"}),
            ("*a*1*", {"/a/1", "/a/1/b", "/aa/1", "/a/\n1"}),
            ("/a**1", {"/a/1", "/aa/1", "/a/\n1"}),
            ("/a/1*1", set()),
            ("", set()),
            ("/A/*", set()),
            ("/c*", set()),
        ],
    )
    def test_star_in_a_pattern_matches_any_string(
        self, backend: PermissionBase, pattern: str, expected: set[str]
    ) -> None:
        for object_id in ("/a", "/a/1", "/a/1/b", "/b/1", "/aa/1", "/a/\n1"):
            backend.add_principal_to_ace(object_id, "read", "alice")
        assert backend.principals_accessible_objects(["alice"], "read", pattern) == expected

    def test_pattern_with_many_stars_is_matched_quickly(self, backend: PermissionBase) -> None:
        grant(backend, ("/" + "a" * 2000, "read", "alice"))
        accessible = backend.principals_accessible_objects(
            ["alice"], "read", "/" + "a*" * 500 + "b"
        )
        assert accessible == set()

    def test_bound_patterns_are_matched_with_their_own_permission(
        self, backend: PermissionBase
    ) -> None:
        grant(
            backend,
            ("/a/1", "read", "alice"),
            ("/a/2", "write", "alice"),
            ("/b/1", "read", "alice"),
            ("/b/2", "write", "alice"),
            ("/c/1", "write", "alice"),
        )
        bound = bound_to(("/a/*", "read"), ("/*/2", "write"))
        accessible = backend.principals_accessible_objects(["alice"], "read", "*", bound)
        assert accessible == {"/a/1", "/a/2", "/b/2"}

    @pytest.mark.parametrize(
        "pattern, expected",
        [
            (None, {"/a", "/a/1", "/a/1/b", "/b/1"}),
            ("*", {"/a", "/a/1", "/a/1/b", "/b/1"}),
            ("/a/*", {"/a/1", "/a/1/b"}),
            ("/a/*/b", {"/a/1/b"}),
            ("/a", {"/a"}),
            ("/c/*", set()),
        ],
    )
    def test_bound_objects_outside_the_pattern_are_omitted(
        self, backend: PermissionBase, pattern: str, expected: set[str]
    ) -> None:
        grant(backend, *((object_id, "write", "alice") for object_id in ("/a", "/a/1", "/b/1")))
        grant(backend, ("/a/1/b", "read", "alice"))
        bound = bound_to(("/a*", "write"), ("/b/1", "write"), ("*", "read"))
        accessible = backend.principals_accessible_objects(["alice"], "read", pattern, bound)
        assert accessible == expected

    @on_one_backend
    @given(object_ids=st.sets(TEXTS, max_size=6), pattern=TEXTS)
    def test_only_the_star_is_special_in_patterns(
        self, backend: PermissionBase, object_ids: Any, pattern: str
    ) -> None:
        backend.flush()
        for object_id in object_ids:
            backend.replace_object_permissions(object_id, {"read": ["alice"]})
        accessible = backend.principals_accessible_objects(["alice"], "read", pattern)
        assert accessible == {object_id for object_id in object_ids if matches(pattern, object_id)}

    # Any strings

    @pytest.mark.parametrize("text", ODD)
    def test_special_characters_are_literal_everywhere(
        self, backend: PermissionBase, text: str
    ) -> None:
        others = [other for other in ODD if other != text]
        backend.add_user_principal(text, text)
        backend.add_principal_to_ace(text, text, text)
        backend.replace_object_permissions(text, {text: [text]})
        for other in others:
            backend.remove_user_principal(other, text)
            backend.remove_user_principal(text, other)
            backend.remove_principal(other)
            backend.remove_principal_from_ace(text, text, other)
            backend.replace_object_permissions(text, {other: []})
            assert backend.user_principals(other) == set()
            assert backend.object_permissions(other) == {}
            assert not backend.check_permission(text, other, [text])
        backend.delete_object_permissions(*others)
        assert backend.user_principals(text) == {text}
        assert backend.object_permissions(text) == {text: {text}}
        assert backend.check_permission(text, text, [text]) is True
        assert backend.check_permission(text, text, others) is False
        assert backend.principals_accessible_objects([text], text) == {text}
        assert backend.principals_accessible_objects(others, text) == set()
        backend.remove_principal(text)
        backend.delete_object_permissions(text)
        assert backend.user_principals(text) == set()
        assert backend.object_permissions(text) == {}

    @on_one_backend
    @given(entries=st.sets(st.tuples(TEXTS, TEXTS, TEXTS), max_size=8))
    def test_granted_permissions_are_found(self, backend: PermissionBase, entries: Any) -> None:
        backend.flush()
        grant(backend, *entries)
        for object_id, permission, principal in entries:
            backend.add_user_principal(object_id, principal)
            backend.add_user_principal(object_id, permission)
        for object_id in {entry[0] for entry in entries}:
            expected: dict[str, set[str]] = {}
            for _, permission, principal in (entry for entry in entries if entry[0] == object_id):
                expected.setdefault(permission, set()).add(principal)
            assert backend.object_permissions(object_id) == expected
            assert backend.user_principals(object_id) == set(expected).union(*expected.values())
            for permission, principals in expected.items():
                assert backend.object_permission_principals(object_id, permission) == principals

    def test_threads_can_grant_and_withdraw_concurrently(self, backend: PermissionBase) -> None:
        def work(name: str) -> None:
            for number in range(10):
                backend.add_user_principal("alice", f"{name}{number}")
                backend.add_principal_to_ace("/a", "read", f"{name}{number}")
                backend.remove_principal_from_ace("/a", "read", f"{name}{number - 1}")

        in_threads(*(lambda name=name: work(name) for name in "abcdef"))
        assert len(backend.user_principals("alice")) == 60
        assert backend.object_permissions("/a") == {"read": {f"{name}9" for name in "abcdef"}}

    def test_replacement_is_atomic_for_readers(self, backend: PermissionBase) -> None:
        crowds = [{f"{name}{number}" for number in range(20)} for name in "ab"]
        backend.replace_object_permissions("/a", {"read": crowds[0]})

        def write() -> None:
            for number in range(20):
                backend.replace_object_permissions("/a", {"read": crowds[number % 2]})

        def read() -> None:
            for _ in range(60):
                assert backend.object_permission_principals("/a", "read") in crowds

        in_threads(write, write, read, read)

    def test_concurrent_replacements_of_users_leave_the_users_of_one(
        self, backend: PermissionBase
    ) -> None:
        if is_inherited(backend, PermissionBase, "replace_principal_users"):
            pytest.skip("The backend does not implement replace_principal_users()")
        crowds = [{f"{name}{number}" for number in range(5)} for name in "abc"]

        def replace(crowd: set[str]) -> None:
            for _ in range(10):
                backend.replace_principal_users({"group:a": crowd, "group:b": crowd})

        in_threads(*(lambda crowd=crowd: replace(crowd) for crowd in crowds))
        members = {user for crowd in crowds for user in crowd if backend.user_principals(user)}
        assert members in crowds
        assert all(backend.user_principals(user) == {"group:a", "group:b"} for user in members)
