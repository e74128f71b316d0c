"""Policies and contexts of applications: each request leads to what they override."""

import inspect

import pytest

from cliquet.authorization import AuthorizationPolicy, RouteFactory
from cliquet.resource import ShareableResource, UserResource
from tests.extension_points import requests
from tests.extension_points.backends import allow
from tests.extension_points.requests import FIRST, THIRD
from tests.extension_points.spies import Calls, override
from tests.extension_points.test_resources import ALL, LISTS, in_and_out_of_batches
from tests.resource import apps

LISTED = f"{LISTS} LIST_SEEN DELETE_FILTERED DELETE_LIST"

#: The requests to shared records that lead to each method of a context.
OF_CONTEXTS = {
    "check_permission": ALL,
    "get_prefixed_userid": ALL,
    "get_permission_object_id": ALL,
    "fetch_shared_records": LISTED,
    "get_shared_ids": LISTED,
    "extract_object_id": LISTED,
}

#: The requests that lead to each method of a policy: to records of a user, to shared records.
OF_POLICIES = {
    "permits": (ALL, ALL),
    "get_bound_permissions": ("", ALL),
}

#: The attributes of a context, which subclasses assign.
ATTRIBUTES = {
    *("allowed_principals", "current_record", "method_permissions", "on_collection"),
    *("permission_object_id", "required_permission", "resource_name", "shared_ids"),
}

NOT_CALLED = {"principals_allowed_by_permission": "Pyramid calls it for applications"}
NEW = {"record_is_new": "derived from current_record"}
NEW_OF_POLICIES = {
    "grants_write_to_editors": "an attribute (tests/resource/test_inheritance.py)",
    "prefetch_check": "saves a statement; decisions don't depend on it",
}

POLICY_CALLS = Calls()


def own_policy(name):
    """Return the dotted name of a policy that overrides a method."""
    class_ = override(AuthorizationPolicy, name, calls=POLICY_CALLS)
    if name == "get_bound_permissions":
        note = class_.get_bound_permissions

        def get_bound_permissions(self, object_uri, permission):
            note(self, object_uri, permission)
            return [(object_uri, permission)]

        class_.get_bound_permissions = get_bound_permissions
    globals()[f"Own_{name}"] = class_
    return f"{__name__}.Own_{name}"


def build(factory=RouteFactory, policy=None, way="records", **settings):
    """Return a client of things of a user and of shared things, to which the user has access."""

    class Thing(UserResource):
        mapping = requests.ThingSchema()

    class Shared(ShareableResource):
        mapping = requests.ThingSchema()

    if policy is not None:
        settings["multiauth.authorization_policy"] = policy
    client = apps.build(
        (Thing, {"factory": factory}),
        (Shared, {"factory": factory}),
        settings={**apps.backends("memory", None), **settings},
    ).user("alice")
    allow(client, "/shareds", way)
    return client


@pytest.fixture(scope="module")
def normal():
    """The responses of an application that overrides nothing."""
    return {
        (path, send): {name: exchange() for name, exchange in requests.walk(build(), path, send)}
        for path in ("/things", "/shareds")
        for send in (requests.send, requests.send_in_batch)
    }


@in_and_out_of_batches
@pytest.mark.parametrize("name", OF_CONTEXTS)
def test_override_of_a_context_is_called_and_obeyed(normal, name, send):
    calls = Calls()
    client = build(override(RouteFactory, name, calls=calls))
    exchanges = requests.walk(client, "/shareds", send)
    requests.check_override(exchanges, calls, OF_CONTEXTS[name], normal["/shareds", send])


@in_and_out_of_batches
@pytest.mark.parametrize("path, place", [("/things", 0), ("/shareds", 1)])
@pytest.mark.parametrize("name", OF_POLICIES)
def test_override_of_a_policy_is_called_and_obeyed(normal, name, path, place, send):
    client = build(policy=own_policy(name))
    exchanges, expected = requests.walk(client, path, send), OF_POLICIES[name][place]
    requests.check_override(exchanges, POLICY_CALLS, expected, normal[path, send])


@in_and_out_of_batches
@pytest.mark.parametrize("path", ["/things", "/shareds"])
def test_policy_that_permits_nothing_is_obeyed(monkeypatch, path, send):
    own_policy("permits")
    monkeypatch.setattr(f"{__name__}.Own_permits.permits", lambda *args: False)
    client = build(policy=f"{__name__}.Own_permits", way="collection")
    statuses = {exchange()[0] for _, exchange in requests.walk(client, path, send)}
    assert statuses == {403}


def test_arguments_are_those_of_3_1():
    calls = Calls()
    factory = override(RouteFactory, *OF_CONTEXTS, calls=calls)
    client = build(factory, own_policy("permits"))
    client.put(f"/shareds/{FIRST}", {})
    POLICY_CALLS.clear()
    calls.clear()
    client.get("/shareds")
    ((_, arguments),) = POLICY_CALLS
    assert list(arguments) == ["context", "principals", "permission"]
    assert isinstance(arguments["context"], RouteFactory)
    assert isinstance(arguments["principals"], list)
    assert client.id.partition(":")[2] in arguments["principals"]
    assert arguments["permission"] == "dynamic"
    latest = dict(reversed(calls))
    assert latest["check_permission"]["args"][0] == "read"
    assert client.id in latest["check_permission"]["args"][1]
    assert isinstance(latest["check_permission"]["args"][1], list)
    assert latest["fetch_shared_records"]["perm"] == "read"
    assert isinstance(latest["fetch_shared_records"]["principals"], list)
    assert latest["fetch_shared_records"]["get_bound_permissions"] is None
    assert latest["get_permission_object_id"]["record_id"] in (None, "*")
    assert latest["extract_object_id"]["object_uri"].startswith("/shareds/")


def test_bound_permissions_get_the_object_and_the_permission():
    client = build(policy=own_policy("get_bound_permissions"), way="collection")
    for method, path, data, expected in [
        ("PUT", f"/shareds/{FIRST}", {}, ("/shareds", "shared:create")),
        ("GET", f"/shareds/{FIRST}", None, (f"/shareds/{FIRST}", "read")),
        ("PUT", f"/shareds/{FIRST}", {}, (f"/shareds/{FIRST}", "write")),
        ("GET", "/shareds", None, ("/shareds", "read")),
        ("DELETE", "/shareds", None, ("/shareds", "write")),
    ]:
        POLICY_CALLS.clear()
        client.send(method, path, None if data is None else {"data": data})
        _, arguments = POLICY_CALLS[0]
        assert tuple(arguments.values()) == expected


def assigning(name, value):
    """Return a class of contexts that assign an attribute."""

    class Assigning(RouteFactory):
        def __init__(self, request):
            super().__init__(request)
            setattr(self, name, value)

    return Assigning


def test_assigned_principals_are_allowed():
    client = build(assigning("allowed_principals", ["system.Authenticated"]), way="none")
    assert client.put(f"/shareds/{FIRST}", {}, status=201)
    assert client.list("/shareds")


@pytest.mark.parametrize(
    "name, value, entry",
    [
        ("required_permission", "publish", ("/shareds", "publish")),
        ("permission_object_id", "/fixed", ("/fixed", "shared:create")),
        ("resource_name", "other", ("/shareds", "other:create")),
        ("method_permissions", {"post": "add"}, ("/shareds", "add")),
    ],
)
def test_assigned_attributes_determine_the_check(name, value, entry):
    client = build(assigning(name, value), way="none")
    client.post("/shareds", {}, status=403)
    client.permission.add_principal_to_ace(*entry, client.id)
    client.post("/shareds", {}, status=201)


def test_assigned_ids_are_listed():
    client = build(assigning("shared_ids", [THIRD]), way="collection")
    client.put(f"/shareds/{FIRST}", {})
    client.put(f"/shareds/{THIRD}", {})
    assert client.values("/shareds", "id") == [THIRD]


def test_assigned_record_is_the_current_one():
    record = {"id": FIRST, "last_modified": 5, "__permissions__": {}}
    client = build(assigning("current_record", record), way="collection")
    body = {"data": {"n": 1}}
    client.send("PUT", f"/shareds/{FIRST}", body, {"If-Match": '"4"'}, status=412)
    client.send("PUT", f"/shareds/{FIRST}", body, {"If-Match": '"5"'}, status=200)


def test_record_can_be_treated_as_a_collection():
    client = build(assigning("on_collection", False), way="records")
    client.get("/shareds", status=403)


def test_each_public_name_is_in_a_table():
    for class_, known in (
        (RouteFactory, {*OF_CONTEXTS, *ATTRIBUTES, *NEW}),
        (AuthorizationPolicy, {*OF_POLICIES, *NOT_CALLED, *NEW_OF_POLICIES}),
    ):
        public = {name for name, _ in inspect.getmembers_static(class_)}
        assert {name for name in public if not name.startswith("_")} == known
