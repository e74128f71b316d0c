"""Methods of resources and models that applications override: each request leads to them.

Shareable resources are reached in three ways: by principals in the settings, by permissions on
the collection, and by permissions on single records.
"""

import functools
import inspect

import pytest

from cliquet.resource import Model, ShareableModel, ShareableResource, UserResource
from tests.extension_points import requests
from tests.extension_points.backends import allow
from tests.extension_points.requests import ThingSchema
from tests.extension_points.spies import PARAMETERS, Calls, override
from tests.resource import apps

# The tests of modules reach all their lines and branches.
pytestmark = pytest.mark.application

#: Requests that read the same.
READS = "GET HEAD GET_FIELDS"
LISTS = "LIST HEAD_LIST LIST_FIELDS LIST_FILTERED PAGE NEXT_PAGE"
POSTS = "POST POST_WITH_ID POST_EXISTING POST_CONFLICT"
PUTS = "PUT_NEW PUT_CONFLICT PUT PUT_DELETED"
PATCHES = "PATCH PATCH_SAME"
DELETES = "DELETE DELETE_FILTERED DELETE_LIST"
ALL = " ".join(requests.REQUESTS)

#: The requests that lead to each method of a resource.
OF_RESOURCES = {
    "__init__": ALL,
    # Endpoints.
    "collection_get": f"{LISTS} LIST_SEEN",
    "collection_post": POSTS,
    "collection_delete": "DELETE_FILTERED DELETE_LIST",
    "get": f"{READS} GET_SEEN GET_MISSING GET_INVALID_ID",
    "put": f"{PUTS} PUT_STALE",
    "patch": PATCHES,
    "delete": "DELETE",
    # Decisions of applications
    "get_parent_id": ALL,
    "is_known_field": "GET_FIELDS LIST_FIELDS LIST_FILTERED PAGE NEXT_PAGE DELETE_FILTERED",
    "process_record": f"{POSTS} {PUTS} {PATCHES}",
    "apply_changes": PATCHES,
    "postprocess": f"{READS} {LISTS} {POSTS} PUT_NEW PUT PUT_DELETED {PATCHES} {DELETES}",
    # The query string.
    "_get_known_fields": "GET_FIELDS LIST_FIELDS LIST_FILTERED PAGE NEXT_PAGE DELETE_FILTERED",
    "_extract_filters": f"{LISTS} DELETE_FILTERED DELETE_LIST",
    "_extract_limit": LISTS,
    "_extract_sorting": LISTS,
    "_extract_partial_fields": f"{READS} {LISTS}",
    "_extract_pagination_rules_from_token": LISTS,
    "_build_pagination_rules": "NEXT_PAGE",
    "_build_pagination_token": "PAGE",
    "_next_page_url": "PAGE",
    # Reads and refusals.
    "_get_record_or_404": (
        f"POST_WITH_ID POST_EXISTING POST_CONFLICT {PUTS} PUT_STALE {PATCHES} "
        f"{READS} GET_SEEN GET_MISSING DELETE"
    ),
    "_raise_400_if_invalid_id": (
        f"POST_WITH_ID POST_EXISTING {PUTS} PUT_STALE {PATCHES} "
        f"{READS} GET_SEEN GET_MISSING GET_INVALID_ID DELETE"
    ),
    "_raise_400_if_id_mismatch": f"{PUTS} {PATCHES}",
    "_raise_304_if_not_modified": f"{READS} GET_SEEN {LISTS} LIST_SEEN",
    "_raise_412_if_modified": (
        f"{POSTS} PUT PUT_STALE PUT_DELETED {PATCHES} {READS} {LISTS} {DELETES}"
    ),
    "_raise_conflict": "PUT_CONFLICT",
    # Headers.
    "_add_timestamp_header": (
        f"{READS} GET_SEEN {LISTS} LIST_SEEN PUT_NEW PUT PUT_STALE PUT_DELETED {PATCHES}"
    ),
    "_add_cache_header": f"{READS} {LISTS}",
}

#: The requests that lead to each method of a model.
OF_MODELS = {
    "__init__": ALL,
    "timestamp": f"{LISTS} LIST_SEEN",
    "get_records": f"{LISTS} PUT_NEW PUT_CONFLICT PUT_DELETED",
    "get_record": OF_RESOURCES["_get_record_or_404"],
    "create_record": "POST POST_WITH_ID POST_CONFLICT PUT_NEW PUT_CONFLICT PUT_DELETED",
    "update_record": "PUT PATCH",
    "delete_record": "DELETE",
    "delete_records": "DELETE_FILTERED DELETE_LIST",
}

OF_SHAREABLE_MODELS = {
    **OF_MODELS,
    # A user who changes nothing is given the permission to write too.
    "update_record": "PUT PATCH PATCH_SAME",
    "_allow_write": "POST POST_WITH_ID PUT_NEW PUT PUT_DELETED PATCH PATCH_SAME",
}

TABLE = {
    UserResource: OF_RESOURCES,
    ShareableResource: OF_RESOURCES,
    Model: OF_MODELS,
    ShareableModel: OF_SHAREABLE_MODELS,
}
#: The attributes and properties, which subclasses set.
OF_RESOURCE_CLASSES = {
    *("mapping", "default_model", "default_viewset", "collection", "timestamp"),
    # Set by the constructor.
    *("request", "context", "model", "record_id", "force_patch_update"),
}
OF_MODEL_CLASSES = {"id_field", "modified_field", "deleted_field"}

#: The names that 3.1 didn't have.
NEW = {
    Model: {
        *("locking", "known_timestamp", "pages_with_timestamp"),
        *("max_page_bytes", "page_bytes", "page_is_cut", "counting"),
        *("checksum", "checksum_ids", "known_checksum", "with_checksum"),
    },
}

ATTRIBUTES = {
    UserResource: OF_RESOURCE_CLASSES,
    ShareableResource: {*OF_RESOURCE_CLASSES, "permissions"},
    Model: {*OF_MODEL_CLASSES, *NEW[Model]},
    ShareableModel: {
        *(*OF_MODEL_CLASSES, *NEW[Model]),
        *("permissions_field", "permission", "get_permission_object_id", "current_principal"),
        "grants_write_to_editors",
    },
}

WAYS = {UserResource: ("own",), ShareableResource: ("settings", "collection", "records")}
MODELS = {Model: UserResource, ShareableModel: ShareableResource}
CASES = [
    (owner, name, way)
    for owner, methods in TABLE.items()
    for name in methods
    for way in WAYS[MODELS.get(owner, owner)]
]


def _define(owner, name, calls):
    """Return a resource class of which it, or its model, overrides a method."""
    overriding = override(owner, *([name] if name else ()), calls=calls)
    if owner in MODELS:
        attributes = {"mapping": ThingSchema(), "default_model": overriding}
        return type("Own", (MODELS[owner],), attributes)
    overriding.mapping = ThingSchema()
    return overriding


class Application:
    """Serves a resource for each case, and those that override nothing."""

    def __init__(self):
        resources, settings, self.calls = [], {}, {}
        normal = [(base, None, way) for base, ways in WAYS.items() for way in ways]
        for case in [*CASES, *normal]:
            owner, name, way = case
            self.calls[case] = Calls()
            resources.append((_define(owner, name, self.calls[case]), {"name": _label(*case)}))
            if way == "settings":
                for permission in ("create", "read", "write"):
                    key = f"{_label(*case)}_{permission}_principals"
                    settings[key] = "system.Authenticated"
        backends = apps.backends("memory", None)
        self.client = apps.build(*resources, settings={**backends, **settings}).user("alice")

    def walk(self, owner, name, way, send):
        """Yield the requests to the resource of a case, which is empty."""
        label = _label(owner, name, way)
        self.client.storage.flush()
        self.client.permission.flush()
        allow(self.client, f"/{label}s", way)
        return requests.walk(self.client, f"/{label}s", send)

    @functools.cache  # noqa: B019 (there is one application)
    def normal_responses(self, owner, way, send):
        base = MODELS.get(owner, owner)
        return {name: exchange() for name, exchange in self.walk(base, None, way, send)}


def _label(owner, name, way):
    return f"{owner.__name__}{name or 'nothing'}-{way}".lower()


@pytest.fixture(scope="module")
def application():
    return Application()


every_case = pytest.mark.parametrize(
    "owner, name, way", CASES, ids=lambda value: getattr(value, "__name__", value)
)

in_and_out_of_batches = pytest.mark.parametrize("send", [requests.send, requests.send_in_batch])


def test_every_kind_of_request_has_its_status(application):
    for owner, ways in WAYS.items():
        for way in ways:
            responses = application.normal_responses(owner, way, requests.send)
            assert {name: status for name, (status, _) in responses.items()} == {
                **dict.fromkeys(requests.REQUESTS, 200),
                **dict.fromkeys(["POST", "POST_WITH_ID", "PUT_NEW", "PUT_DELETED"], 201),
                **dict.fromkeys(["GET_SEEN", "LIST_SEEN"], 304),
                "GET_INVALID_ID": 400,
                "GET_MISSING": 404,
                "PUT_CONFLICT": 409,
                "PUT_STALE": 412,
            }


def check(application, case, send):
    owner, name, way = case
    normal = application.normal_responses(owner, way, send)
    exchanges = application.walk(*case, send)
    requests.check_override(exchanges, application.calls[case], TABLE[owner][name], normal)


@every_case
def test_override_is_called_and_obeyed(application, owner, name, way):
    check(application, (owner, name, way), requests.send)


@pytest.mark.parametrize("owner, name", [(owner, name) for owner in TABLE for name in TABLE[owner]])
def test_override_is_called_and_obeyed_in_batches(application, owner, name):
    """Requests in a batch look up permissions like others, so one way to override is enough."""
    *_, way = WAYS[MODELS.get(owner, owner)]
    check(application, (owner, name, way), requests.send_in_batch)


@pytest.mark.parametrize("owner", TABLE)
def test_each_public_name_is_in_a_table(owner):
    names = set(dir(owner)).union(*map(inspect.get_annotations, owner.__mro__))
    public = {name for name in names if not name.startswith("_")}
    assert public <= {*TABLE[owner], *ATTRIBUTES[owner]}


@pytest.mark.parametrize("owner", TABLE)
def test_each_listed_method_is_in_a_table(owner):
    listed = {name.rpartition(".") for name in PARAMETERS}
    methods = {name for path, _, name in listed if path == f"cliquet.resource.{owner.__name__}"}
    assert methods <= set(TABLE[owner])
