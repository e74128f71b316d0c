"""The arguments that requests pass to the methods that applications override."""

from unittest.mock import ANY

import pytest
from pyramid.request import Request
from pyramid.response import Response

from cliquet.authorization import RouteFactory
from cliquet.events import ACTIONS
from cliquet.resource import Model, ShareableModel, ShareableResource, UserResource
from cliquet.storage import Filter, Sort, StorageBase
from cliquet.storage.exceptions import UnicityError
from cliquet.storage.generators import UUID4
from cliquet.utils import COMPARISON
from tests.extension_points import requests
from tests.extension_points.requests import FIRST, THIRD
from tests.extension_points.spies import Calls, override
from tests.resource import apps

CREATED = {"id": FIRST, "n": 2, "code": "a", "last_modified": ANY}
REPLACED = {"id": FIRST, "n": 3, "last_modified": ANY}
PATCHED = {"id": FIRST, "n": 4, "last_modified": ANY}
OTHER = {"id": THIRD, "n": 1, "last_modified": ANY}
TOMBSTONE = {"id": FIRST, "deleted": True, "last_modified": ANY}

BY_TIME = [Sort("last_modified", -1)]
BY_N = [Sort("n", 1), *BY_TIME]
N_IS_4 = [Filter("n", 4, COMPARISON.EQ)]
N_IS_5 = [Filter("n", 5, COMPARISON.EQ)]
SAME_ID = [Filter("id", FIRST, COMPARISON.EQ)]
RULES = [
    [Filter("n", 1, COMPARISON.GT)],
    [Filter("n", 1, COMPARISON.EQ), Filter("last_modified", ANY, COMPARISON.LT)],
]
UNIQUE = {"parent_id": None, "unique_fields": ("code",)}
QUERY = {
    "filters": [],
    "sorting": BY_TIME,
    "pagination_rules": [],
    "limit": None,
    "include_deleted": False,
    "parent_id": None,
}


class Instance:
    """Equal to every object of a class."""

    def __init__(self, class_, **attributes):
        self._class, self._attributes = class_, attributes

    def __eq__(self, other):
        return isinstance(other, self._class) and all(
            getattr(other, name) == value for name, value in self._attributes.items()
        )

    def __repr__(self):
        return f"{self._class.__name__} {self._attributes}"


REQUEST, RESPONSE, CONTEXT = Instance(Request), Instance(Response), Instance(RouteFactory)

#: The arguments of the first call of a method that a request leads to.
ARGUMENTS = [
    (UserResource, "__init__", "LIST", {"request": REQUEST, "context": None}),
    (ShareableResource, "__init__", "LIST", {"request": REQUEST, "context": CONTEXT}),
    (
        Model,
        "__init__",
        "LIST",
        {
            "storage": Instance(StorageBase),
            "id_generator": Instance(UUID4),
            "collection_id": "ownuserresource",
            "parent_id": Instance(str),
            "auth": Instance(str),
        },
    ),
    (UserResource, "get_parent_id", "LIST", {"request": REQUEST}),
    (UserResource, "is_known_field", "LIST_FILTERED", {"field": "n"}),
    (UserResource, "process_record", "POST", {"new": {"n": 1}, "old": None}),
    (UserResource, "process_record", "POST_EXISTING", {"new": {"id": FIRST}, "old": None}),
    (
        UserResource,
        "process_record",
        "PUT_NEW",
        {"new": {"id": FIRST, "n": 2, "code": "a"}, "old": None},
    ),
    (UserResource, "process_record", "PUT", {"new": {"id": FIRST, "n": 3}, "old": CREATED}),
    (UserResource, "process_record", "PATCH", {"new": {"id": FIRST, "n": 4}, "old": REPLACED}),
    (
        UserResource,
        "process_record",
        "PUT_DELETED",
        {"new": {"id": FIRST, "n": 5}, "old": TOMBSTONE},
    ),
    (UserResource, "apply_changes", "PATCH", {"record": REPLACED, "changes": {"n": 4}}),
    (
        UserResource,
        "postprocess",
        "PUT_NEW",
        {"result": CREATED, "action": ACTIONS.CREATE, "old": None},
    ),
    (
        UserResource,
        "postprocess",
        "POST_EXISTING",
        {"result": CREATED, "action": ACTIONS.READ, "old": None},
    ),
    (
        UserResource,
        "postprocess",
        "PUT",
        {"result": REPLACED, "action": ACTIONS.UPDATE, "old": CREATED},
    ),
    (
        UserResource,
        "postprocess",
        "PATCH",
        {"result": PATCHED, "action": ACTIONS.UPDATE, "old": REPLACED},
    ),
    (UserResource, "postprocess", "GET", {"result": PATCHED, "action": ACTIONS.READ, "old": None}),
    (
        UserResource,
        "postprocess",
        "LIST",
        {"result": [PATCHED, OTHER], "action": ACTIONS.READ, "old": None},
    ),
    (
        UserResource,
        "postprocess",
        "DELETE",
        {"result": TOMBSTONE, "action": ACTIONS.DELETE, "old": {**PATCHED, **TOMBSTONE}},
    ),
    (
        UserResource,
        "postprocess",
        "DELETE_FILTERED",
        {"result": [TOMBSTONE], "action": ACTIONS.DELETE, "old": None},
    ),
    (UserResource, "_extract_filters", "LIST", {"queryparams": None}),
    (UserResource, "_extract_sorting", "LIST", {"limit": None}),
    (UserResource, "_extract_sorting", "PAGE", {"limit": 1}),
    (
        UserResource,
        "_extract_pagination_rules_from_token",
        "PAGE",
        {"limit": 1, "sorting": BY_N},
    ),
    (
        UserResource,
        "_build_pagination_rules",
        "NEXT_PAGE",
        {"sorting": BY_N, "last_record": {"n": 1, "last_modified": ANY}, "rules": None},
    ),
    (
        UserResource,
        "_build_pagination_token",
        "PAGE",
        {"sorting": BY_N, "last_record": OTHER, "offset": 1},
    ),
    (
        UserResource,
        "_next_page_url",
        "PAGE",
        {"sorting": BY_N, "limit": 1, "last_record": OTHER, "offset": 1},
    ),
    (UserResource, "_get_record_or_404", "GET", {"record_id": FIRST}),
    (UserResource, "_get_record_or_404", "POST_WITH_ID", {"record_id": THIRD}),
    (UserResource, "_raise_400_if_invalid_id", "GET_INVALID_ID", {"record_id": "invalid"}),
    (UserResource, "_raise_400_if_id_mismatch", "PUT", {"new_id": FIRST, "record_id": FIRST}),
    (UserResource, "_raise_304_if_not_modified", "GET", {"record": PATCHED}),
    (UserResource, "_raise_304_if_not_modified", "LIST", {"record": None}),
    (UserResource, "_raise_412_if_modified", "POST", {"record": None}),
    (UserResource, "_raise_412_if_modified", "POST_EXISTING", {"record": CREATED}),
    (UserResource, "_raise_412_if_modified", "PUT_STALE", {"record": REPLACED}),
    (UserResource, "_raise_412_if_modified", "PUT_DELETED", {"record": TOMBSTONE}),
    (UserResource, "_raise_412_if_modified", "DELETE", {"record": PATCHED}),
    (UserResource, "_raise_412_if_modified", "DELETE_LIST", {"record": None}),
    (
        UserResource,
        "_raise_conflict",
        "PUT_CONFLICT",
        {"exception": Instance(UnicityError, field="code", record=CREATED)},
    ),
    (UserResource, "_add_timestamp_header", "GET", {"response": RESPONSE, "timestamp": ANY}),
    (UserResource, "_add_timestamp_header", "LIST", {"response": RESPONSE, "timestamp": None}),
    (UserResource, "_add_cache_header", "GET", {"response": RESPONSE}),
    (Model, "timestamp", "LIST", {"parent_id": None}),
    (Model, "get_records", "LIST", QUERY),
    (Model, "get_records", "LIST_FILTERED", {**QUERY, "filters": N_IS_4}),
    (Model, "get_records", "PAGE", {**QUERY, "sorting": BY_N, "limit": 1}),
    (
        Model,
        "get_records",
        "NEXT_PAGE",
        {**QUERY, "sorting": BY_N, "pagination_rules": RULES, "limit": 1},
    ),
    (
        Model,
        "get_records",
        "PUT_DELETED",
        {
            **QUERY,
            "filters": SAME_ID,
            "sorting": None,
            "pagination_rules": None,
            "include_deleted": True,
        },
    ),
    (Model, "get_record", "GET", {"record_id": FIRST, "parent_id": None}),
    (Model, "create_record", "POST", {"record": {"n": 1}, **UNIQUE}),
    (Model, "create_record", "PUT_DELETED", {"record": {"id": FIRST, "n": 5}, **UNIQUE}),
    (Model, "update_record", "PUT", {"record": {"id": FIRST, "n": 3}, **UNIQUE}),
    (Model, "update_record", "PATCH", {"record": {"id": FIRST, "n": 4}, **UNIQUE}),
    (
        Model,
        "delete_record",
        "DELETE",
        {"record": PATCHED, "parent_id": None, "last_modified": None},
    ),
    (Model, "delete_records", "DELETE_FILTERED", {"filters": N_IS_5, "parent_id": None}),
    (Model, "delete_records", "DELETE_LIST", {"filters": [], "parent_id": None}),
    (
        ShareableResource,
        "process_record",
        "PUT",
        {
            "new": {"id": FIRST, "n": 3},
            "old": {**CREATED, "__permissions__": {"write": Instance(set)}},
        },
    ),
    (
        ShareableResource,
        "postprocess",
        "PATCH_SAME",
        {
            "result": {**PATCHED, "__permissions__": {"write": Instance(set)}},
            "action": ACTIONS.UPDATE,
            "old": {**PATCHED, "__permissions__": {"write": Instance(set)}},
        },
    ),
    (ShareableModel, "_allow_write", "PUT_NEW", {"perm_object_id": f"/things/{FIRST}"}),
]


@pytest.fixture(scope="module")
def called():
    """The calls of all methods, by the class, the request and the name."""
    arguments_by_name = {}
    for base, model in ((UserResource, Model), (ShareableResource, ShareableModel)):
        calls = {owner: Calls() for owner in (base, model)}
        own = {
            owner: override(
                owner, *(name for each, name, *_ in ARGUMENTS if each is owner), calls=calls[owner]
            )
            for owner in calls
        }
        own[base].mapping = requests.ThingSchema()
        own[base].default_model = own[model]
        settings = {
            **apps.backends("memory", None),
            **{f"thing_{name}_principals": "system.Everyone" for name in ("create", "read")},
            "thing_write_principals": "system.Everyone",
        }
        client = apps.build((own[base], {"name": "thing"}), settings=settings).user("alice")
        for request, exchange in requests.walk(client, "/things", requests.send):
            for noted in calls.values():
                noted.clear()
            exchange()
            for owner, noted in calls.items():
                for name, arguments in reversed(noted):
                    arguments_by_name[owner, name, request] = arguments
    return arguments_by_name


@pytest.mark.parametrize(
    "owner, name, request_, arguments",
    ARGUMENTS,
    ids=[f"{owner.__name__}-{name}-{request}" for owner, name, request, _ in ARGUMENTS],
)
def test_arguments_are_those_of_3_1(called, owner, name, request_, arguments):
    assert called[owner, name, request_] == arguments
