"""Statements that a request sends to PostgreSQL, each in one round trip."""

import pytest

from cliquet.authorization import RouteFactory
from tests.resource.apps import Book, Page

ID = "4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a11"
OTHER = "4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a13"
NEW = "4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a12"
DATA = {"title": "A title", "n": 1}

#: The purpose of each statement, by a distinctive part of its SQL.
MEANINGS = {
    "SELECT array_agg(principal)": "groups",
    "cliquet_get_for_update": "lock, record",
    "SELECT FROM cliquet_lock": "lock",
    "records.last_modified, data": "record",
    "array_agg(ARRAY[permission, principal])": "its permissions",
    "ARRAY( SELECT principal FROM cliquet_access_control_entries": "check",
    "SELECT ARRAY[%s, object_id]": "shared ids",
    "SELECT permission, principal": "permissions alone",
    "SELECT EXISTS": "check alone",
    "principal = ANY(%s::text[]) AND permission": "shared ids alone",
    "LEFT JOIN LATERAL": "page",
    "SELECT count(*) FROM cliquet_records WHERE collection = %s": "count",
    "SELECT last_modified FROM cliquet_collections": "timestamp",
    "cliquet_write": "write",
    "INSERT INTO cliquet_access_control_entries": "grant",
    "cliquet_delete(": "delete",
    "DELETE FROM cliquet_records": "delete all",
    "DELETE FROM cliquet_access_control_entries": "revoke",
    "COMMIT": "commit",
}

#: Requests, and what they ask for: when records are each user's own, and when they are shared.
REQUESTS = {
    "get": (
        ("GET", "/{id}", None, {}),
        ["record"],
        ["groups + check", "record + its permissions"],
    ),
    "get, not modified": (
        ("GET", "/{id}", None, {"If-None-Match": '"9999999999999"'}),
        ["record"],
        ["groups + check", "record + its permissions"],
    ),
    "list": (
        ("GET", "", None, {}),
        ["page"],
        ["groups + check + shared ids", "page"],
    ),
    "list, not modified": (
        ("GET", "", None, {"If-None-Match": '"9999999999999"'}),
        ["timestamp"],
        ["groups + check + shared ids", "timestamp"],
    ),
    "list, by a field": (
        ("GET", "?title=A%20title&_sort=title&_limit=10", None, {}),
        ["page"],
        ["groups + check + shared ids", "page"],
    ),
    "poll, with a checksum": (
        ("GET", "?_since=1&_checksum=", None, {}),
        ["page"],
        ["groups + check + shared ids", "page"],
    ),
    "list, not modified, with a checksum": (
        ("GET", "?_checksum=", None, {"If-None-Match": '"9999999999999"'}),
        ["timestamp", "page"],
        ["groups + check + shared ids", "timestamp", "page"],
    ),
    "poll": (
        ("GET", "?_since=1", None, {}),
        ["page"],
        ["groups + check + shared ids", "page"],
    ),
    "post": (
        ("POST", "", DATA, {}),
        ["write"],
        ["groups", "write", "grant + commit"],
    ),
    "post, with an id": (
        ("POST", "", {**DATA, "id": NEW}, {}),
        ["lock, record", "write + commit"],
        ["groups", "lock + lock, record + its permissions", "write + grant + commit"],
    ),
    "put": (
        ("PUT", "/{id}", DATA, {}),
        ["lock, record + write"],
        ["groups", "lock + lock, record + its permissions + check", "write + grant + commit"],
    ),
    "put, of an unmodified one": (
        ("PUT", "/{id}", DATA, {"If-Match": '"9999999999999"'}),
        ["lock, record", "write + commit"],
        ["groups", "lock + lock, record + its permissions + check", "write + grant + commit"],
    ),
    "put, of a new one": (
        ("PUT", f"/{NEW}", DATA, {"If-None-Match": "*"}),
        ["lock, record", "write + commit"],
        ["groups", "lock + lock, record + its permissions + check", "write + grant + commit"],
    ),
    "patch": (
        ("PATCH", "/{id}", {"title": "Another"}, {"If-Match": '"9999999999999"'}),
        ["lock, record", "write + commit"],
        ["groups + check", "lock + lock, record + its permissions", "write + grant + commit"],
    ),
    "poll, with more to come": (
        ("GET", "?_since=1&_limit=1", None, {}),
        ["page"],
        ["groups + check + shared ids", "page"],
    ),
    "delete": (
        ("DELETE", "/{id}", None, {}),
        ["delete"],
        ["groups + check", "lock + lock, record + its permissions", "delete + revoke + commit"],
    ),
    "delete, of an unmodified one": (
        ("DELETE", "/{id}", None, {"If-Match": '"9999999999999"'}),
        ["lock, record + delete"],
        ["groups + check", "lock + lock, record + its permissions", "delete + revoke + commit"],
    ),
    "delete all": (
        ("DELETE", "", None, {}),
        ["lock + delete all", "commit"],
        ["groups + check + shared ids", "lock + delete all", "revoke + commit"],
    ),
}


@pytest.fixture
def engine():
    return "postgresql"


@pytest.fixture
def statements_of(build_once, statements):
    """Return a function that sends a request, and returns the meanings of its statements."""

    def statements_of(path, request, settings=None):
        alice = build_once(Book, Page, settings=settings).user("alice")
        rights = {"permissions": {"read": ["system.Authenticated"]}} if path == "/pages" else {}
        for id_ in (ID, OTHER):
            alice.create(path, {**DATA, "id": id_}, **rights)
        statements.clear()
        method, rest, data, headers = request
        body = None if data is None else {"data": data}
        expected = (
            304 if rest in ("", "/{id}", "?_checksum=") and method == "GET" and headers else "2*"
        )
        alice.send(method, path + rest.format(id=ID), body, headers, expected)
        # Once a minute, the storage also reads the list of indexes.
        return [meaning(sent) for sent in statements if "pg_index" not in sent]

    return statements_of


def meaning(sent):
    statements = " ".join(sent.removeprefix("BEGIN;").split()).split(";")
    return " + ".join(
        name for text in statements for part, name in MEANINGS.items() if part in text
    )


@pytest.mark.parametrize("name", REQUESTS)
def test_records_of_a_user_cost_no_more_than_needed(statements_of, name):
    request, expected, _ = REQUESTS[name]
    assert statements_of("/books", request) == expected


def test_a_batch_of_creations_costs_two_round_trips(build_once, statements):
    alice = build_once(Book).user("alice")
    posts = [{"method": "POST", "path": "/books", "body": {"data": DATA}}] * 5
    statements.clear()
    assert alice.batch(*posts)
    assert [meaning(sent) for sent in statements] == [
        "write",
        " + ".join(["write"] * 4 + ["commit"]),
    ]


@pytest.mark.parametrize("name", REQUESTS)
def test_shared_records_cost_the_permissions_more(statements_of, name):
    request, _, expected = REQUESTS[name]
    assert statements_of("/pages", request) == expected


@pytest.mark.parametrize("name", REQUESTS)
def test_inherited_permissions_need_no_additional_statement(statements_of, name):
    request, _, expected = REQUESTS[name]
    policy = "cliquet.authorization.InheritingAuthorizationPolicy"
    # Editors aren't added to the permissions of the record.
    if name in ("put", "put, of an unmodified one", "patch"):
        expected = [*expected[:-1], "write + commit"]
    assert statements_of("/pages", request, {"multiauth.authorization_policy": policy}) == expected


class OneFolder(RouteFactory):
    """A context where all records have the permissions of one object."""

    def get_permission_object_id(self, request, record_id=None):
        return "/folder"


def test_new_records_of_a_shared_object_have_its_permissions(build):
    api = build((Page, {"factory": OneFolder}))
    alice = api.user("alice")
    api.registry.permission.add_principal_to_ace("/folder", "read", "bob")
    assert alice.post("/pages", DATA).json["permissions"] == {"read": ["bob"], "write": [alice.id]}
