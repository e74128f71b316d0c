"""Viewsets of applications: the registration of a resource asks what they override."""

import inspect

import pytest

from cliquet.resource import ShareableResource, ShareableViewSet, UserResource, ViewSet
from tests.extension_points import requests
from tests.extension_points.spies import Calls, override
from tests.resource import apps

BASES = {ViewSet: UserResource, ShareableViewSet: ShareableResource}

COLLECTION = ("GET", "POST", "DELETE")
RECORD = ("GET", "PUT", "PATCH", "DELETE")
EVERY_ENDPOINT = [
    *(("collection", method) for method in COLLECTION),
    *(("record", method) for method in RECORD),
]

#: Makes the arguments that a method gets for an endpoint, from its type and HTTP method.
OF_ENDPOINTS = {
    "get_view": lambda kind, method, cls: {"endpoint_type": kind, "method": method.lower()},
    "get_view_arguments": lambda kind, method, cls: {
        "endpoint_type": kind,
        "resource_cls": cls,
        "method": method,
    },
    "get_record_schema": lambda kind, method, cls: {"resource_cls": cls, "method": method},
}

#: The attributes, which classes and keyword arguments of the registration set.
ATTRIBUTES = {
    *("collection_get_arguments", "collection_methods", "collection_path", "default_arguments"),
    *("default_collection_arguments", "default_patch_arguments", "default_post_arguments"),
    *("default_put_arguments", "default_record_arguments", "factory", "readonly_methods"),
    *("record_get_arguments", "record_methods", "record_path", "service_arguments"),
    *("service_name", "validate_schema_for"),
}


def register(base, *names, **attributes):
    """Return the calls during the registration of a resource, its class, and a client."""
    calls = Calls()
    thing = type("Thing", (BASES[base],), {"mapping": requests.ThingSchema()})
    thing.default_viewset = override(base, *names, calls=calls)
    principals = {
        f"thing_{permission}_principals": "system.Authenticated"
        for permission in ("create", "read", "write")
    }
    settings = {**apps.backends("memory", None), **principals}
    client = apps.build((thing, attributes), settings=settings).user("alice")
    return calls, thing, client


@pytest.fixture(scope="module")
def normal():
    """The responses of resources whose viewset overrides nothing."""
    return {
        base: {
            name: exchange()
            for name, exchange in requests.walk(register(base)[2], "/things", requests.send)
        }
        for base in BASES
    }


def arguments_of(name, cls):
    """Return the arguments of all calls of a method."""
    if name in OF_ENDPOINTS:
        return [OF_ENDPOINTS[name](kind, method, cls) for kind, method in EVERY_ENDPOINT]
    if name.endswith("_arguments") and name.startswith(("collection", "record")):
        kind = name.partition("_")[0]
        return [{"resource": cls, "method": m} for each, m in EVERY_ENDPOINT if each == kind]
    return {
        "get_service_name": [
            {"endpoint_type": kind, "resource_cls": cls} for kind in ("collection", "record")
        ],
        "get_service_arguments": [{}, {}],
        "update": [{"kwargs": {}}],
    }[name]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "name",
    [
        *OF_ENDPOINTS,
        *("collection_arguments", "record_arguments"),
        *("get_service_name", "get_service_arguments", "update"),
    ],
)
def test_override_is_called_with_its_arguments(normal, base, name):
    calls, cls, client = register(base, name)
    expected = arguments_of(name, cls)
    assert [arguments for _, arguments in calls][: len(expected)] == expected
    for request, exchange in requests.walk(client, "/things", requests.send):
        assert exchange() == normal[base][request]


@pytest.mark.parametrize("base", BASES)
def test_name_is_requested_for_each_class(normal, base):
    calls, cls, client = register(base, "get_name")
    assert calls
    assert [arguments for _, arguments in calls] == [{"resource_cls": cls}] * len(calls)
    assert client.get("/things").status_code == 200


@pytest.mark.parametrize("base", BASES)
def test_each_endpoint_is_requested_with_the_settings(base):
    calls, _, client = register(base, "is_endpoint_enabled")
    endpoints = [
        (arguments["endpoint_type"], arguments["resource_name"], arguments["method"])
        for _, arguments in calls
    ]
    assert endpoints == [(kind, "thing", method.lower()) for kind, method in EVERY_ENDPOINT]
    assert all(arguments["settings"]["project_name"] == "library" for _, arguments in calls)


def test_update_gets_the_arguments_of_the_registration():
    calls, _, _ = register(ViewSet, "update", record_methods=("GET",))
    assert calls == [("update", {"kwargs": {"record_methods": ("GET",)}})]


@pytest.mark.parametrize("base", BASES)
def test_results_of_overrides_take_effect(base):
    class Own(base):
        def get_name(self, resource_cls):
            return "box"

        def get_service_name(self, endpoint_type, resource_cls):
            return f"own-{endpoint_type}"

        def get_service_arguments(self):
            return {**super().get_service_arguments(), "description": "Own"}

        def get_view(self, endpoint_type, method):
            is_list = (endpoint_type, method) == ("collection", "get")
            return "own_list" if is_list else super().get_view(endpoint_type, method)

        def is_endpoint_enabled(self, endpoint_type, resource_name, method, settings):
            return method != "delete"

    class Thing(BASES[base]):
        mapping = requests.ThingSchema()
        default_viewset = Own

        def own_list(self):
            return {"own": True}

    principals = {f"box_{name}_principals": "system.Everyone" for name in ("create", "read")}
    alice = apps.build(Thing, settings={**apps.backends("memory", None), **principals}).user("a")
    assert alice.get("/boxs").json == {"own": True}
    record = alice.create("/boxs")
    alice.delete(f"/boxs/{record['id']}", status=405)


@pytest.mark.parametrize("base", BASES)
def test_each_public_name_is_in_a_table(base):
    public = {name for name, _ in inspect.getmembers_static(base) if not name.startswith("_")}
    methods = {
        *OF_ENDPOINTS,
        *("collection_arguments", "record_arguments", "get_name", "is_endpoint_enabled"),
        *("get_service_name", "get_service_arguments", "update"),
    }
    assert public == methods | ATTRIBUTES
