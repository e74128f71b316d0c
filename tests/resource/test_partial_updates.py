"""JSON Merge Patch and JSON Patch."""

import json
import uuid

import colander
import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliquet.resource import ResourceSchema, UserResource
from cliquet.resource.patches import (
    InvalidPatch,
    apply_operations,
    merge,
)
from cliquet.utils.http import JSON_PATCH, MERGE_PATCH
from tests.resource.apps import ENGINES, SERVED, Book, Note, Page

every_server = pytest.mark.parametrize("engine", [*ENGINES, *SERVED])


class ArticleSchema(ResourceSchema):
    title = colander.SchemaNode(colander.String())
    size = colander.SchemaNode(colander.Integer(), missing=colander.drop)
    code = colander.SchemaNode(colander.String(), missing=colander.drop)

    class Options:
        readonly_fields = ("code",)


class Article(UserResource):
    mapping = ArticleSchema()


@pytest.fixture
def alice(build_once):
    return build_once(Article, Book, Note, Page).user("alice")


def patch(client, url, body, status=200, **headers):
    """Send a partial update; lists are JSON Patch, objects merge patches."""
    type_ = JSON_PATCH if isinstance(body, list) else MERGE_PATCH
    headers = {"Content-Type": type_, **headers}
    return client.raw("PATCH", url, json.dumps(body).encode(), status=status, **headers)


NOTE = {"n": 1, "o": {"a": 1, "b": {"c": 2}}, "tags": ["x", "y"], "none": None}

WITHOUT_O = {key: value for key, value in NOTE.items() if key != "o"}


@pytest.fixture
def note(alice):
    return alice.create("/notes", NOTE)


@pytest.fixture
def url(note):
    return f"/notes/{note['id']}"


def fields(record):
    return {key: value for key, value in record.items() if key not in ("id", "last_modified")}


@every_server
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": {"n": 2}}, {**NOTE, "n": 2}),
        ({"data": {"o": {"a": None, "b": {"d": 3}}}}, {**NOTE, "o": {"b": {"c": 2, "d": 3}}}),
        ({"data": {"o": None, "new": {"a": None}}}, {**WITHOUT_O, "new": {}}),
        ({"data": {"tags": ["z"]}}, {**NOTE, "tags": ["z"]}),
        ({"data": {"none": None}}, {"n": 1, "o": NOTE["o"], "tags": NOTE["tags"]}),
        ([{"op": "add", "path": "/data/n", "value": 2}], {**NOTE, "n": 2}),
        ([{"op": "add", "path": "/data/tags/-", "value": "z"}], {**NOTE, "tags": ["x", "y", "z"]}),
        ([{"op": "remove", "path": "/data/none"}], {"n": 1, "o": NOTE["o"], "tags": NOTE["tags"]}),
        (
            [{"op": "replace", "path": "/data/o/b/c", "value": 9}],
            {**NOTE, "o": {"a": 1, "b": {"c": 9}}},
        ),
        (
            [{"op": "move", "from": "/data/o/a", "path": "/data/a"}],
            {**NOTE, "o": {"b": {"c": 2}}, "a": 1},
        ),
        ([{"op": "copy", "from": "/data/o/b", "path": "/data/b"}], {**NOTE, "b": {"c": 2}}),
        (
            [
                {"op": "test", "path": "/data/o", "value": {"b": {"c": 2}, "a": 1}},
                {"op": "replace", "path": "/data/n", "value": 5},
            ],
            {**NOTE, "n": 5},
        ),
    ],
)
def test_records_are_changed_in_part(alice, note, url, body, expected):
    response = patch(alice, url, body)
    record = response.json["data"]
    assert fields(record) == expected
    assert record["last_modified"] > note["last_modified"]
    assert response.headers["ETag"] == f'"{record["last_modified"]}"'
    assert alice.get(url).json["data"] == record


@pytest.mark.parametrize(
    "body",
    [
        {"data": {}},
        {"data": {"n": 1, "missing": None}},
        [{"op": "test", "path": "/data/n", "value": 1}],
        [{"op": "add", "path": "/data/n", "value": 1}],
    ],
)
def test_nothing_is_written_if_nothing_changes(alice, note, url, body):
    assert patch(alice, url, body).json["data"] == note


def test_failed_test_is_a_409_with_the_operation(alice, note, url):
    first = {"op": "add", "path": "/data/n", "value": 2}
    for value in (7, True, "1"):
        failing = {"op": "test", "path": "/data/o/a", "value": value}
        error = patch(alice, url, [first, failing], status=409).json
        assert error["details"] == {"operation": failing, "position": 1}
    missing = {"op": "test", "path": "/data/nothing", "value": None}
    assert patch(alice, url, [missing], status=409).json["errno"] == 122
    assert alice.get(url).json["data"] == note


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "array that is not empty"),
        ({}, "object that is not empty"),
        ({"title": 1}, "title is not allowed"),
        ({"data": [1]}, "data should be an object"),
        ({"data": None}, "data should be an object"),
        ({"permissions": {}}, "permissions is not allowed"),
        ([1], "Operation 0: op should be one of"),
        ([{"op": "delete", "path": "/data/n"}], "Operation 0: op should be one of"),
        ([{"op": ["add"], "path": "/data/n", "value": 1}], "Operation 0: op should be one of"),
        ([{"op": "add", "path": "/data/n"}], "Operation 0: value is missing"),
        ([{"op": "add", "value": 1}], "Operation 0: path should begin with /data/"),
        ([{"op": "remove", "path": "/data"}], "Operation 0: path should begin with /data/"),
        ([{"op": "remove", "path": "data/n"}], "Operation 0: path should begin with /data/"),
        ([{"op": "remove", "path": "/permissions/read/x"}], "path should begin with /data/"),
        ([{"op": "move", "path": "/data/n"}], "Operation 0: from should begin with /data/"),
        ([{"op": "remove", "path": "/data/nothing"}], "Operation 0: "),
        ([{"op": "copy", "path": "/data/x", "from": "/data/~2"}], "Operation 0: "),
        ([{"op": "add", "path": "/data/tags/9", "value": 1}], "Operation 0: "),
        ([{"op": "add", "path": "/data/n/x/y", "value": 1}], "Operation 0: "),
        ([{"op": "remove", "path": "/data" + "/a" * 200}], "path should begin with /data/"),
        ([{"op": "test", "path": "/data/n", "value": 1}] * 101, "at most 100 operations"),
        ({"data": {"id": "other"}}, "Record id does not match existing record"),
        ({"data": {"last_modified": "x"}}, "Invalid value for last_modified"),
    ],
)
def test_invalid_patches_are_refused(alice, note, url, body, message):
    assert message in patch(alice, url, body, status=400).json["message"]
    assert alice.get(url).json["data"] == note


def test_copies_cannot_grow_without_limit(alice, note, url):
    doubling = [
        {"op": "copy", "from": "/data/o", "path": f"/data/o/{number}"} for number in range(50)
    ]
    error = patch(alice, url, doubling, status=400).json
    assert "copy too many values" in error["message"]


def test_bodies_are_limited_and_must_be_json(alice, note, url):
    for type_ in (MERGE_PATCH, JSON_PATCH):
        error = alice.raw("PATCH", url, b"{", status=400, **{"Content-Type": type_}).json
        assert "Invalid JSON request body" in error["message"]
        alice.raw("PATCH", url, b'"text"', status=400, **{"Content-Type": type_})
        alice.raw("PATCH", url, b'{"data":"\\u0000"}', status=400, **{"Content-Type": type_})
        alice.raw("PATCH", url, b"", status=400, **{"Content-Type": type_})


def test_result_is_validated(alice):
    article = alice.create("/articles", {"title": "A", "size": 3, "code": "x"})
    url = f"/articles/{article['id']}"
    assert fields(patch(alice, url, {"data": {"size": None}}).json["data"]) == {
        "title": "A",
        "code": "x",
    }
    refused = [
        ({"data": {"title": None}}, "data.title"),
        ([{"op": "remove", "path": "/data/title"}], "data.title"),
        ({"data": {"size": "x"}}, "data.size"),
        ({"data": {"code": "y"}}, "Cannot modify code"),
        ({"data": {"code": None}}, "Cannot modify code"),
        ([{"op": "move", "from": "/data/code", "path": "/data/size"}], "Cannot modify code"),
    ]
    for body, message in refused:
        assert message in patch(alice, url, body, status=400).json["message"]


@every_server
def test_permissions_are_changed_in_part(alice):
    page = alice.post("/pages", {"n": 1}, permissions={"read": ["a", "b"]}, status=201).json
    url = f"/pages/{page['data']['id']}"
    own = page["permissions"]["write"]

    def permissions(body, status=200):
        return patch(alice, url, body, status).json.get("permissions")

    add = [{"op": "add", "path": "/permissions/read/c", "value": True}]
    assert permissions(add) == {"read": ["a", "b", "c"], "write": own}
    remove = [{"op": "remove", "path": "/permissions/read/a"}]
    assert permissions(remove) == {"read": ["b", "c"], "write": own}
    assert permissions({"permissions": {"read": ["z"]}})["read"] == ["z"]
    both = {"data": {"n": 2}, "permissions": {"read": None}}
    response = patch(alice, url, both).json
    assert (response["data"]["n"], response["permissions"]) == (2, {"write": own})
    for body in (
        {"permissions": {"own": ["a"]}},
        {"permissions": {"read": "a"}},
        {"permissions": {"read": {"a": True}}},
        {"permissions": []},
        [{"op": "add", "path": "/permissions/read", "value": {}}],
        [{"op": "add", "path": "/permissions/own/a", "value": True}],
    ):
        patch(alice, url, body, status=400)


def test_preconditions_and_response_behavior_apply(alice, note, url):
    stale = {"If-Match": '"1"'}
    patch(alice, url, {"data": {"n": 2}}, status=412, **stale)
    light = {"Response-Behavior": "light"}
    body = {"data": {"n": 2, "o": None}}
    assert patch(alice, url, body, **light).json == {"data": {"n": 2}}
    patch(alice, f"/notes/{uuid.uuid4()}", body, status=404)


def test_accepted_types_are_announced(alice, note, url):
    response = alice.raw("PATCH", url, b"x", status=415, **{"Content-Type": "text/plain"})
    types = f"application/json, {MERGE_PATCH}, {JSON_PATCH}"
    assert response.headers["Accept-Patch"] == types
    response = alice.raw("PUT", url, b"{}", status=415, **{"Content-Type": MERGE_PATCH})
    assert "Accept-Patch" not in response.headers
    alice.raw("POST", "/notes", b"{}", status=415, **{"Content-Type": JSON_PATCH})
    preflight = {"Origin": "https://example.com", "Access-Control-Request-Method": "PATCH"}
    assert "Accept-Patch" not in alice.raw("OPTIONS", url, b"", **preflight).headers
    assert alice.raw("OPTIONS", url, b"", status=400).headers["Accept-Patch"] == types
    assert "Accept-Patch" not in alice.raw("OPTIONS", "/notes", b"", status=400).headers


@every_server
def test_partial_updates_in_batches_have_their_own_types(alice, note, url):
    change = {"op": "add", "path": "/data/n", "value": 5}
    failing = {"op": "test", "path": "/data/n", "value": 1}

    def patches(body, type_):
        headers = {"Content-Type": type_}
        return {"method": "PATCH", "path": f"/v1{url}", "body": body, "headers": headers}

    responses = alice.batch(
        patches([change], JSON_PATCH),
        patches({"data": {"o": {"a": None}}}, MERGE_PATCH),
        patches({"data": {"none": 1}}, "application/json"),
        patches([failing], JSON_PATCH),
        patches({"data": []}, MERGE_PATCH),
        patches({"data": {"n": 5}}, "text/plain"),
    )
    assert [each["status"] for each in responses] == [200, 200, 200, 409, 400, 200]
    assert responses[3]["body"]["details"] == {"operation": failing, "position": 0}
    expected = {**NOTE, "n": 5, "o": {"b": {"c": 2}}, "none": 1}
    assert fields(alice.get(url).json["data"]) == expected
    created, patched = alice.batch(
        {"method": "PUT", "path": f"/v1/notes/{uuid.uuid4()}", "body": {"data": {"n": 1}}},
        {"body": {"data": {"o": None}}},
        defaults={"method": "PATCH", "path": f"/v1{url}", "headers": {"content-type": MERGE_PATCH}},
    )
    assert created["body"]["data"]["n"] == 1  # only PATCH has other formats
    assert "o" not in patched["body"]["data"]


@pytest.mark.parametrize(
    ("method", "type_"),
    [("PATCH", "application/json"), ("PATCH", MERGE_PATCH), ("PUT", JSON_PATCH)],
)
def test_other_bodies_in_batches_are_objects(alice, url, method, type_):
    request = {
        "method": method,
        "path": f"/v1{url}",
        "body": [],
        "headers": {"Content-Type": type_},
    }
    error = alice.batch(request, status=400).json
    assert error["details"][0]["name"] == "requests.0.body"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON_VALUES)


@given(OBJECTS, OBJECTS)
def test_merging_is_as_in_rfc_7396(target, changes):
    merged = merge(target, changes)
    assert merge(merged, changes) == merged
    for name, value in changes.items():
        if value is None:
            assert name not in merged
        elif not isinstance(value, dict):
            assert merged[name] == value
    assert all(merged[name] == target[name] for name in target if name not in changes)


@given(OBJECTS, OBJECTS)
def test_operations_between_two_records_lead_from_one_to_the_other(one, other):
    operations = [
        {**operation, "path": f"/data{operation['path']}"}
        | ({"from": f"/data{operation['from']}"} if "from" in operation else {})
        for operation in jsonpatch.make_patch(one, other)
    ]
    if operations:
        assert apply_operations({"data": one}, operations, 1000) == {"data": other}
    else:
        with pytest.raises(InvalidPatch):
            apply_operations({"data": one}, operations, 1000)
