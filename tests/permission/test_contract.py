"""What every permission backend does, whatever its engine."""

import threading
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cliquet.permission import PermissionBase, heartbeat

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
on_one_backend = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Few different characters, so that texts meet; all of Python's texts beside them.
TEXTS = st.text("ab/%_?[*\0\x1a\ud800\ue000\U0010ffff", max_size=4) | st.text(
    st.characters(), max_size=4
)


def grant(backend, *entries):
    for object_id, permission, principal in entries:
        backend.add_principal_to_ace(object_id, permission, principal)


def bound_to(*pairs):
    return lambda object_id, permission: set(pairs)


# The principals of users


def test_a_user_has_no_other_principal_at_first(backend):
    assert backend.user_principals("alice") == set()


def test_a_user_has_the_principals_that_were_added(backend):
    backend.add_user_principal("alice", "group:a")
    backend.add_user_principal("alice", "group:b")
    backend.add_user_principal("alice", "group:b")
    backend.add_user_principal("bob", "group:c")
    assert backend.user_principals("alice") == {"group:a", "group:b"}
    assert backend.user_principals("bob") == {"group:c"}


def test_a_principal_added_twice_is_removed_at_once(backend):
    backend.add_user_principal("alice", "group:a")
    backend.add_user_principal("alice", "group:a")
    backend.remove_user_principal("alice", "group:a")
    assert backend.user_principals("alice") == set()


def test_a_principal_is_removed_from_one_user_only(backend):
    backend.add_user_principal("alice", "group:a")
    backend.add_user_principal("alice", "group:b")
    backend.add_user_principal("bob", "group:a")
    backend.remove_user_principal("alice", "group:a")
    assert backend.user_principals("alice") == {"group:b"}
    assert backend.user_principals("bob") == {"group:a"}


def test_a_principal_is_removed_from_every_user(backend):
    backend.add_user_principal("alice", "group:a")
    backend.add_user_principal("alice", "group:b")
    backend.add_user_principal("bob", "group:a")
    backend.remove_principal("group:a")
    assert backend.user_principals("alice") == {"group:b"}
    assert backend.user_principals("bob") == set()


def test_replacing_the_users_of_principals_leaves_other_principals(backend):
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


def test_replacing_the_users_of_many_principals_handles_odd_strings(backend):
    backend.replace_principal_users(dict.fromkeys(ODD, ODD))
    assert all(backend.user_principals(text) == set(ODD) for text in ODD)
    backend.replace_principal_users(dict.fromkeys(ODD[1:], ()))
    assert all(backend.user_principals(text) == {ODD[0]} for text in ODD)


def test_removing_what_is_missing_does_nothing(backend):
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


def test_removing_a_principal_from_users_keeps_the_permissions(backend):
    backend.add_user_principal("alice", "group:a")
    grant(backend, ("/a", "read", "group:a"))
    backend.remove_principal("group:a")
    assert backend.object_permission_principals("/a", "read") == {"group:a"}


# The permissions on an object


def test_an_object_has_no_permissions_at_first(backend):
    assert backend.object_permission_principals("/a", "read") == set()
    assert backend.object_permissions("/a") == {}
    assert backend.check_permission("/a", "read", ["alice"]) is False
    assert backend.principals_accessible_objects(["alice"], "read") == set()


def test_a_permission_is_granted_on_one_object(backend):
    grant(backend, ("/a", "read", "alice"), ("/a", "read", "alice"), ("/a", "read", "bob"))
    assert backend.object_permission_principals("/a", "read") == {"alice", "bob"}
    assert backend.object_permission_principals("/a", "write") == set()
    assert backend.object_permission_principals("/b", "read") == set()


def test_a_permission_is_withdrawn_from_one_principal(backend):
    grant(backend, ("/a", "read", "alice"), ("/a", "read", "bob"), ("/a", "write", "alice"))
    backend.remove_principal_from_ace("/a", "read", "alice")
    assert backend.object_permissions("/a") == {"read": {"bob"}, "write": {"alice"}}
    backend.remove_principal_from_ace("/a", "read", "bob")
    assert backend.object_permissions("/a") == {"write": {"alice"}}


def test_the_permissions_of_an_object_can_be_asked_for_by_name(backend):
    grant(backend, ("/a", "read", "alice"), ("/a", "write", "bob"), ("/b", "read", "carol"))
    assert backend.object_permissions("/a") == {"read": {"alice"}, "write": {"bob"}}
    assert backend.object_permissions("/a", ["write", "create"]) == {"write": {"bob"}}
    assert backend.object_permissions("/a", iter(["read"])) == {"read": {"alice"}}
    assert backend.object_permissions("/a", []) == {}


def test_changing_what_came_out_changes_nothing(backend):
    backend.add_user_principal("alice", "group:a")
    grant(backend, ("/a", "read", "alice"))
    backend.user_principals("alice").add("group:b")
    backend.object_permission_principals("/a", "read").add("bob")
    backend.object_permissions("/a")["read"].add("bob")
    assert backend.user_principals("alice") == {"group:a"}
    assert backend.object_permissions("/a") == {"read": {"alice"}}
    assert backend.object_permission_principals("/a", "read") == {"alice"}


def test_replacing_permissions_replaces_only_those_that_are_named(backend):
    grant(backend, ("/a", "read", "alice"), ("/a", "write", "bob"), ("/b", "read", "alice"))
    backend.replace_object_permissions("/a", {"read": ["carol", "carol", "dan"], "create": {"bob"}})
    assert backend.object_permissions("/a") == {
        "read": {"carol", "dan"},
        "write": {"bob"},
        "create": {"bob"},
    }
    assert backend.object_permissions("/b") == {"read": {"alice"}}
    assert backend.principals_accessible_objects(["alice"], "read") == {"/b"}


def test_replacing_by_nobody_removes_the_permission(backend):
    grant(backend, ("/a", "read", "alice"), ("/a", "write", "bob"))
    backend.replace_object_permissions("/a", {"read": [], "create": iter(())})
    assert backend.object_permissions("/a") == {"write": {"bob"}}
    backend.replace_object_permissions("/a", {})
    assert backend.object_permissions("/a") == {"write": {"bob"}}


def test_replacing_may_keep_some_principals(backend):
    grant(backend, ("/a", "read", "alice"), ("/a", "read", "bob"))
    backend.replace_object_permissions("/a", {"read": iter(["bob", "carol"])})
    assert backend.object_permissions("/a") == {"read": {"bob", "carol"}}


def test_deleting_permissions_of_objects_leaves_the_others(backend):
    grant(backend, *((f"/{name}", "read", "alice") for name in "abcd"), ("/a", "write", "bob"))
    backend.delete_object_permissions("/a", "/b", "/b")
    assert backend.object_permissions("/a") == backend.object_permissions("/b") == {}
    assert backend.principals_accessible_objects(["alice", "bob"], "read") == {"/c", "/d"}
    assert backend.principals_accessible_objects(["alice", "bob"], "write") == set()


def test_deleting_permissions_knows_no_wildcard(backend):
    grant(backend, ("/a", "read", "alice"), ("/*", "read", "alice"))
    backend.delete_object_permissions("/*")
    assert backend.principals_accessible_objects(["alice"], "read") == {"/a"}


def test_flush_deletes_everything(backend):
    backend.add_user_principal("alice", "group:a")
    grant(backend, ("/a", "read", "alice"))
    backend.flush()
    assert backend.user_principals("alice") == set()
    assert backend.object_permissions("/a") == {}
    assert backend.check_permission("/a", "read", ["alice"]) is False
    assert backend.principals_accessible_objects(["alice"], "read") == set()


def test_initializing_the_schema_again_keeps_everything(backend):
    backend.add_user_principal("alice", "group:a")
    grant(backend, ("/a", "read", "alice"))
    backend.initialize_schema()
    assert backend.pending_migrations() == []
    assert backend.user_principals("alice") == {"group:a"}
    assert backend.object_permissions("/a") == {"read": {"alice"}}


# Whether one may


def test_a_permission_is_checked_for_any_of_the_principals(backend):
    grant(backend, ("/a", "read", "bob"))
    assert backend.check_permission("/a", "read", ["alice", "bob"]) is True
    assert backend.check_permission("/a", "read", iter(["bob"])) is True
    assert backend.check_permission("/a", "read", {"alice", "carol"}) is False
    assert backend.check_permission("/a", "read", []) is False
    assert backend.check_permission("/a", "write", ["bob"]) is False
    assert backend.check_permission("/a/b", "read", ["bob"]) is False


def test_bound_permissions_are_asked_for_with_the_object_and_the_permission(backend):
    calls = []

    def bound(object_id, permission):
        calls.append((object_id, permission))
        return [(object_id, permission)]

    backend.check_permission("/a", "read", ["alice"], bound)
    backend.object_permission_authorized_principals("/a", "write", bound)
    backend.principals_accessible_objects(["alice"], "read", "/a*", bound)
    backend.principals_accessible_objects(["alice"], "read", get_bound_permissions=bound)
    assert calls == [("/a", "read"), ("/a", "write"), ("/a*", "read"), ("*", "read")]


def test_any_bound_permission_gives_the_permission(backend):
    grant(backend, ("/a/b", "read", "alice"), ("/a", "write", "bob"), ("/a", "read", "carol"))
    bound = bound_to(("/a/b", "read"), ("/a/b", "write"), ("/a", "write"))
    check = backend.check_permission
    assert check("/a/b", "read", ["alice"], get_bound_permissions=bound) is True
    assert check("/a/b", "read", ["bob"], get_bound_permissions=bound) is True
    assert check("/a/b", "read", ["carol"], get_bound_permissions=bound) is False
    authorized = backend.object_permission_authorized_principals("/a/b", "read", bound)
    assert authorized == {"alice", "bob"}


def test_without_bound_permissions_only_the_couple_itself_counts(backend):
    grant(backend, ("/a", "read", "alice"), ("/a", "write", "bob"))
    assert backend.object_permission_authorized_principals("/a", "read") == {"alice"}


def test_when_no_bound_permission_is_returned_nothing_is_granted(backend):
    grant(backend, ("/a", "read", "alice"))
    assert backend.check_permission("/a", "read", ["alice"], bound_to()) is False
    assert backend.object_permission_authorized_principals("/a", "read", bound_to()) == set()
    assert backend.principals_accessible_objects(["alice"], "read", "*", bound_to()) == set()


def test_there_may_be_many_bound_permissions_and_principals(backend):
    grant(backend, ("/299", "read", "user1999"))
    bound = bound_to(*((f"/{number}", "read") for number in range(300)))
    everybody = [f"user{number}" for number in range(2000)]
    assert backend.check_permission("/a", "read", everybody, bound) is True
    assert backend.object_permission_authorized_principals("/a", "read", bound) == {"user1999"}
    assert backend.principals_accessible_objects(everybody, "read", "/*", bound) == {"/299"}


# What one may


def test_the_objects_of_any_of_the_principals_are_found(backend):
    grant(
        backend,
        ("/a/1", "read", "alice"),
        ("/a/2", "read", "bob"),
        ("/a/3", "read", "carol"),
        ("/a/4", "write", "alice"),
        ("/a/5", "read", "alice"),
        ("/a/5", "read", "bob"),
    )
    found = backend.principals_accessible_objects(iter(["alice", "bob"]), "read")
    assert found == {"/a/1", "/a/2", "/a/5"}
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
def test_a_star_in_the_pattern_matches_anything(backend, pattern, expected):
    for object_id in ("/a", "/a/1", "/a/1/b", "/b/1", "/aa/1", "/a/\n1"):
        backend.add_principal_to_ace(object_id, "read", "alice")
    assert backend.principals_accessible_objects(["alice"], "read", pattern) == expected


def test_a_pattern_of_stars_takes_no_time(backend):
    grant(backend, ("/" + "a" * 2000, "read", "alice"))
    found = backend.principals_accessible_objects(["alice"], "read", "/" + "a*" * 500 + "b")
    assert found == set()


def test_bound_patterns_are_matched_with_their_own_permission(backend):
    grant(
        backend,
        ("/a/1", "read", "alice"),
        ("/a/2", "write", "alice"),
        ("/b/1", "read", "alice"),
        ("/b/2", "write", "alice"),
        ("/c/1", "write", "alice"),
    )
    bound = bound_to(("/a/*", "read"), ("/*/2", "write"))
    found = backend.principals_accessible_objects(["alice"], "read", "*", bound)
    assert found == {"/a/1", "/a/2", "/b/2"}


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
def test_bound_objects_outside_the_pattern_are_left_out(backend, pattern, expected):
    grant(backend, *((object_id, "write", "alice") for object_id in ("/a", "/a/1", "/b/1")))
    grant(backend, ("/a/1/b", "read", "alice"))
    bound = bound_to(("/a*", "write"), ("/b/1", "write"), ("*", "read"))
    found = backend.principals_accessible_objects(["alice"], "read", pattern, bound)
    assert found == expected


def matches(pattern, text):
    """The slow and simple way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return text[:1] == pattern[0] and matches(pattern[1:], text[1:])


@on_one_backend
@given(object_ids=st.sets(TEXTS, max_size=6), pattern=TEXTS)
def test_everything_but_the_star_is_literal_in_patterns(backend, object_ids, pattern):
    backend.flush()
    for object_id in object_ids:
        backend.replace_object_permissions(object_id, {"read": ["alice"]})
    found = backend.principals_accessible_objects(["alice"], "read", pattern)
    assert found == {object_id for object_id in object_ids if matches(pattern, object_id)}


# Any text


@pytest.mark.parametrize("text", ODD)
def test_odd_text_is_literal_everywhere(backend, text):
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
def test_what_was_granted_is_what_is_found(backend, entries):
    backend.flush()
    grant(backend, *entries)
    for object_id, permission, principal in entries:
        backend.add_user_principal(object_id, principal)
        backend.add_user_principal(object_id, permission)
    for object_id in {entry[0] for entry in entries}:
        expected = {}
        for _, permission, principal in (entry for entry in entries if entry[0] == object_id):
            expected.setdefault(permission, set()).add(principal)
        assert backend.object_permissions(object_id) == expected
        assert backend.user_principals(object_id) == set(expected).union(*expected.values())
        for permission, principals in expected.items():
            assert backend.object_permission_principals(object_id, permission) == principals


# The heartbeat


def request_with(**settings):
    return SimpleNamespace(registry=SimpleNamespace(settings=settings))


@pytest.mark.parametrize("readonly, writes", [({}, True), ({"readonly": "true"}, False)])
def test_the_heartbeat_writes_unless_it_is_readonly_and_leaves_nothing(
    backend, monkeypatch, readonly, writes
):
    written = []
    add = backend.add_user_principal
    monkeypatch.setattr(
        backend,
        "add_user_principal",
        lambda user_id, principal: (written.append(user_id), add(user_id, principal)),
    )
    assert heartbeat(backend)(request_with(**readonly)) is True
    assert len(written) == writes
    assert all(backend.user_principals(user_id) == set() for user_id in written)


@pytest.mark.parametrize(
    "method, readonly", [("add_user_principal", "false"), ("user_principals", "true")]
)
def test_the_heartbeat_is_false_and_logged_when_the_backend_fails(
    backend, monkeypatch, caplog, method, readonly
):
    def fail(*args):
        raise OSError("gone")

    monkeypatch.setattr(backend, method, fail)
    assert heartbeat(backend)(request_with(readonly=readonly)) is False
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.records[0].exc_info


# Threads


def in_threads(*functions):
    failures = []

    def run(function):
        try:
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_threads_can_grant_and_withdraw_together(backend):
    def work(name):
        for number in range(10):
            backend.add_user_principal("alice", f"{name}{number}")
            backend.add_principal_to_ace("/a", "read", f"{name}{number}")
            backend.remove_principal_from_ace("/a", "read", f"{name}{number - 1}")

    in_threads(*(lambda name=name: work(name) for name in "abcdef"))
    assert len(backend.user_principals("alice")) == 60
    assert backend.object_permissions("/a") == {"read": {f"{name}9" for name in "abcdef"}}


def test_a_replacement_is_seen_as_a_whole(backend):
    crowds = [{f"{name}{number}" for number in range(20)} for name in "ab"]
    backend.replace_object_permissions("/a", {"read": crowds[0]})

    def write():
        for number in range(20):
            backend.replace_object_permissions("/a", {"read": crowds[number % 2]})

    def read():
        for _ in range(60):
            assert backend.object_permission_principals("/a", "read") in crowds

    in_threads(write, write, read, read)


def test_concurrent_replacements_of_users_leave_those_of_one(backend):
    crowds = [{f"{name}{number}" for number in range(5)} for name in "abc"]

    def replace(crowd):
        for _ in range(10):
            backend.replace_principal_users({"group:a": crowd, "group:b": crowd})

    in_threads(*(lambda crowd=crowd: replace(crowd) for crowd in crowds))
    members = {user for crowd in crowds for user in crowd if backend.user_principals(user)}
    assert members in crowds
    assert all(backend.user_principals(user) == {"group:a", "group:b"} for user in members)


# Other people's engines


class Plain(PermissionBase):
    """It has the methods that every engine must have, and its own ``__init__``."""

    def __init__(self, **kwargs):
        self.kwargs = kwargs

    def object_permission_authorized_principals(
        self, object_id, permission, get_bound_permissions=None
    ):
        return {"alice"} if get_bound_permissions is None else {"bob"}


def test_an_engine_may_leave_the_check_to_the_base():
    backend = Plain(port=8087)
    assert backend.object_permission_principals("/a", "read") == {"alice"}
    assert backend.check_permission("/a", "read", ["alice", "carol"]) is True
    assert backend.check_permission("/a", "read", ["carol"]) is False
    assert backend.check_permission("/a", "read", ["bob"], bound_to()) is True


def test_the_base_takes_the_arguments_of_other_engines():
    assert PermissionBase("host", port=8087)


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
