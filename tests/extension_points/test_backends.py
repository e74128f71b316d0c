"""Methods of backends that other packages override: each request leads to them."""

import inspect

import pytest

from cliquet.scripts.cliquet import init_schema
from tests.extension_points import requests
from tests.extension_points.backends import BASES, Application
from tests.extension_points.requests import FIRST
from tests.extension_points.test_resources import (
    ALL,
    LISTS,
    OF_MODELS,
    PATCHES,
    in_and_out_of_batches,
)
from tests.resource.apps import ENGINES, SERVED

# The tests of modules reach all their lines and branches.
pytestmark = pytest.mark.application

CREATIONS = "POST POST_WITH_ID PUT_NEW PUT_DELETED"

#: The requests that lead to each method: those to records of a user, those to shared records.
TABLE = {
    ("storage", "collection_timestamp"): (f"{LISTS} LIST_SEEN",) * 2,
    ("storage", "get"): (OF_MODELS["get_record"],) * 2,
    # A PUT looks for a tombstone if something depends on it.
    ("storage", "get_all"): (LISTS,) * 2,
    ("storage", "create"): (OF_MODELS["create_record"],) * 2,
    ("storage", "update"): ("PUT PATCH", f"PUT {PATCHES}"),
    ("storage", "delete"): ("DELETE",) * 2,
    ("storage", "delete_all"): ("DELETE_FILTERED DELETE_LIST",) * 2,
    ("permission", "user_principals"): (ALL, ALL),
    ("permission", "check_permission"): ("", ALL),
    ("permission", "object_permission_authorized_principals"): ("", ALL),
    ("permission", "object_permission_principals"): ("", ALL),
    ("permission", "principals_accessible_objects"): (
        "",
        f"{LISTS} LIST_SEEN DELETE_FILTERED DELETE_LIST",
    ),
    ("permission", "object_permissions"): (
        "",
        f"{CREATIONS} POST_EXISTING POST_CONFLICT PUT PUT_STALE {PATCHES} "
        "GET HEAD GET_FIELDS GET_SEEN DELETE",
    ),
    ("permission", "add_principal_to_ace"): ("", f"{CREATIONS} PUT {PATCHES}"),
    ("permission", "delete_object_permissions"): ("", "DELETE DELETE_FILTERED DELETE_LIST"),
}

#: The method that requests with permissions in their body lead to.
REPLACE = "replace_object_permissions"

#: The methods that a heartbeat calls, and those that it calls in read-only mode.
OF_HEARTBEATS = {
    "storage": ("create delete", "get_all"),
    "permission": ("add_user_principal remove_user_principal user_principals", "user_principals"),
    "cache": ("set get delete", "set get delete"),
}

#: The methods that no request leads to, with their callers.
OF_OTHERS = {
    ("storage", "initialize_schema"): "the command migrate",
    ("storage", "flush"): "applications and their tests",
    ("storage", "purge_deleted"): "applications and the command purge-deleted",
    ("permission", "initialize_schema"): "the command migrate",
    ("permission", "flush"): "applications and their tests",
    ("permission", "remove_principal"): "applications",
    ("permission", "remove_principal_from_ace"): "applications",
    ("cache", "initialize_schema"): "the command migrate",
    ("cache", "flush"): "applications and their tests",
    ("cache", "ttl"): "applications",
    ("cache", "expire"): "applications",
}

#: The methods that 3.1 didn't have: backends may lack them, and nothing depends on an override.
NEW = {
    "check_durability pending_migrations verify": BASES,
    "collection_timestamps count_deleted get_for_update get_page get_parents lock": ["storage"],
    "checksum find_mismatches": ["storage"],
    "expect_no_permissions object_permissions_for_update": ["permission"],
    "prefetch_check prefetch_object_permissions": ["permission"],
    "replace_principal_users": ["permission"],
}

PATHS = ("/things", "/shareds")


def in_order(names):
    return [name for name in requests.REQUESTS if name in names.split()]


@pytest.fixture(scope="module")
def normal():
    """The responses of an application whose backends override nothing."""
    application = Application({})
    return {
        (path, send): {name: exchange() for name, exchange in application.walk(path, send)}
        for path in PATHS
        for send in (requests.send, requests.send_in_batch)
    }


@pytest.mark.parametrize("kind, name", TABLE)
def test_override_is_called_and_obeyed(normal, kind, name):
    application = Application({kind: [name]})
    for path, expected in zip(PATHS, TABLE[kind, name], strict=True):
        exchanges = application.walk(path, requests.send)
        requests.check_override(exchanges, application.calls, expected, normal[path, requests.send])


@in_and_out_of_batches
@pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
def test_overrides_of_every_engine_are_called(normal, engine, send, tmp_path):
    names = {kind: [n for k, n in TABLE if k == kind] for kind in ("storage", "permission")}
    application = Application(names, engine, tmp_path)
    try:
        for path, place in zip(PATHS, (0, 1), strict=True):
            called = {case: [] for case in TABLE}
            for request, exchange in application.walk(path, send):
                application.calls.clear()
                assert exchange() == normal[path, send][request]
                of_request = {name for name, _ in application.calls}
                for kind, name in called:
                    called[kind, name] += [request] * (name in of_request)
            assert called == {case: in_order(TABLE[case][place]) for case in TABLE}
    finally:
        application.client.storage.flush()
        application.client.permission.flush()


@in_and_out_of_batches
@pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
def test_permissions_of_a_body_are_replaced_through_the_override(engine, send, tmp_path):
    application = Application({"permission": [REPLACE]}, engine, tmp_path)
    given = {"read": ["system.Everyone"]}
    body = {"data": {"id": FIRST}, "permissions": given}
    application.walk("/shareds", send)
    try:
        for method, below in (("POST", ""), ("PUT", f"/{FIRST}"), ("PATCH", f"/{FIRST}")):
            application.calls.clear()
            *_, content = send(application.alice, method, "/shareds" + below, body, {})
            assert content["permissions"]["read"] == given["read"]
            ((_, arguments),) = application.calls
            assert arguments["object_id"] == f"/shareds/{FIRST}"
            assert arguments["permissions"]["read"] == given["read"]
    finally:
        application.client.storage.flush()
        application.client.permission.flush()


@pytest.mark.parametrize("is_readonly", [False, True])
@pytest.mark.parametrize("kind", OF_HEARTBEATS)
def test_heartbeat_calls_overrides(kind, is_readonly):
    names = OF_HEARTBEATS[kind][is_readonly].split()
    application = Application({kind: names})
    application.client.registry.settings["readonly"] = is_readonly
    application.client.get("/__heartbeat__", status=200)
    assert [name for name, _ in application.calls] == names


def test_migration_calls_overrides():
    application = Application({kind: ["initialize_schema"] for kind in BASES})
    application.calls.clear()
    init_schema({"registry": application.client.registry})
    assert [name for name, _ in application.calls] == ["initialize_schema"] * 3


@pytest.mark.parametrize("kind", BASES)
def test_each_public_method_of_a_backend_is_in_a_table(kind):
    public = {
        name
        for name, _ in inspect.getmembers(BASES[kind], inspect.isfunction)
        if not name.startswith("_")
    }
    known = {name for each, name in [*TABLE, *OF_OTHERS] if each == kind}
    known |= {REPLACE} if kind == "permission" else set()
    known.update(*(names.split() for names in OF_HEARTBEATS[kind]))
    new = {name for names, kinds in NEW.items() if kind in kinds for name in names.split()}
    assert known.isdisjoint(new)
    assert public == known | new
