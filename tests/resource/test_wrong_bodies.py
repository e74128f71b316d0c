"""The exact errors of wrong bodies, on every endpoint that reads a body."""

import colander
import pytest

from cliquet.resource import ResourceSchema, ShareableResource, UserResource
from cliquet.resource.schema import URL

ID = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"


class PersonSchema(colander.MappingSchema):
    name = colander.SchemaNode(colander.String())


class DocumentSchema(ResourceSchema):
    title = colander.SchemaNode(colander.String())
    number = colander.SchemaNode(colander.Integer(), missing=0)
    read = colander.SchemaNode(colander.Boolean(), missing=False)
    tags = colander.SequenceSchema(colander.SchemaNode(colander.String(), name="tag"), missing=())
    url = URL(missing="")
    date = colander.SchemaNode(colander.DateTime(), missing=None)
    author = PersonSchema(missing=colander.drop)
    state = colander.SchemaNode(
        colander.String(), missing="new", validator=colander.OneOf(["new", "old"])
    )


class Document(UserResource):
    mapping = DocumentSchema()


class Shared(ShareableResource):
    mapping = DocumentSchema()


class NoteSchema(ResourceSchema):
    title = colander.SchemaNode(colander.String(), missing="")


class Draft(ShareableResource):
    """Records whose data is optional."""

    mapping = NoteSchema()


def mapping(value):
    return f'"{value}" is not a mapping type: Does not implement dict-like functionality.'


def not_text(value, name):
    return f"{value} is not a string: {{'{name}': ''}}"


MISSING = ("data", "data is missing")

#: Bodies with data, and their errors: the name and the description.
WRONG_DATA = [
    ({"data": 5}, ("data", mapping(5))),
    ({"data": []}, ("data", mapping([]))),
    ({"data": "x"}, ("data", mapping("x"))),
    ({"data": {"title": 5}}, ("data.title", not_text(5, "title"))),
    ({"data": {"title": True}}, ("data.title", not_text(True, "title"))),
    ({"data": {"title": [1]}}, ("data.title", not_text([1], "title"))),
    ({"data": {"title": None}}, ("data.title", "Required")),
    ({"data": {"title": "x", "number": "many"}}, ("data.number", '"many" is not a number')),
    ({"data": {"title": "x", "read": "perhaps"}}, ("data.read", '"perhaps" is not a boolean')),
    ({"data": {"title": "x", "tags": "x"}}, ("data.tags", '"x" is not iterable')),
    ({"data": {"title": "x", "tags": ["x", 5]}}, ("data.tags.1", not_text(5, "tag"))),
    ({"data": {"title": "x", "url": 5}}, ("data.url", not_text(5, "url"))),
    ({"data": {"title": "x", "url": "x"}}, ("data.url", "Must be a URL")),
    ({"data": {"title": "x", "date": "x"}}, ("data.date", "Invalid date")),
    ({"data": {"title": "x", "author": 5}}, ("data.author", mapping(5))),
    ({"data": {"title": "x", "author": {}}}, ("data.author.name", "Required")),
    (
        {"data": {"title": "x", "author": {"name": 5}}},
        ("data.author.name", not_text(5, "name")),
    ),
    ({"data": {"title": "x", "state": "lost"}}, ("data.state", '"lost" is not one of new, old')),
    ({"data": {"title": "x", "state": 5}}, ("data.state", not_text(5, "state"))),
]

#: Bodies without data.
NO_DATA = [
    ({}, []),
    ({"title": "x"}, [("title", "title is not allowed")]),
    ({"read": "perhaps"}, [("read", "read is not allowed")]),
    ({"data ": {}, "b": 1}, [("b", "b is not allowed"), ("data ", "data  is not allowed")]),
]

#: The permissions of a body, and their errors.
WRONG_PERMISSIONS = [
    ("x", ("permissions", mapping("x"))),
    ([], ("permissions", mapping([]))),
    ({"read": "perhaps"}, ("permissions.read", '"perhaps" is not iterable')),
    ({"read": {}}, ("permissions.read", '"{}" is not iterable')),
    ({"read": 5}, ("permissions.read", '"5" is not iterable')),
    ({"read": ["x", 5]}, ("permissions.read.1", not_text(5, ""))),
    ({"write": [["x"]]}, ("permissions.write.0", not_text(["x"], ""))),
    ({"read": [""]}, ("permissions.read.0", "Required")),
    ({"read": [None]}, ("permissions.read.0", "Required")),
    ({"publish": []}, ("permissions", '"publish" is not one of read, write')),
]

#: Bodies that aren't JSON objects.
NOT_OBJECTS = [
    (b"null", "Invalid JSON: Should be a JSON object, got None"),
    (b"[]", "Invalid JSON: Should be a JSON object, got []"),
    (b'"x"', "Invalid JSON: Should be a JSON object, got x"),
]

METHODS = ("POST", "PUT", "PATCH")


@pytest.fixture
def user(build_once):
    return build_once(Document, Shared, Draft, settings=CREATE).user("alice")


CREATE = {f"{name}_create_principals": "system.Authenticated" for name in ("shared", "draft")}


def url_of(method, path):
    return path if method == "POST" else f"{path}/{ID}"


def errors(response):
    keys = ("location", "name", "description")
    return [tuple(map(error.get, keys)) for error in response["details"]]


def check(user, path, body, *expected, methods=METHODS):
    """Send a body to each endpoint, alone and in a batch, and compare the errors."""
    located = [("body", name, description) for name, description in expected]
    name, description = min(expected)
    message = description if name in description else f"{name} in body: {description}"
    for method in methods:
        url = url_of(method, path)
        response = user.send(method, url, body, status=400).json
        assert errors(response) == located, (method, path, body)
        assert response["message"] == message
        (batched,) = user.batch({"method": method, "path": url, "body": body})
        assert batched["body"] == response


@pytest.fixture(autouse=True)
def records(user):
    for path in ("/documents", "/shareds"):
        user.put(f"{path}/{ID}", {"title": "x"}, status=201)
    user.put(f"/drafts/{ID}", {}, status=201)


@pytest.mark.parametrize("path", ["/documents", "/shareds"])
def test_wrong_fields_are_named(user, path):
    for body, error in WRONG_DATA:
        check(user, path, body, error)


def test_missing_data_is_named(user):
    for body, others in NO_DATA:
        check(user, "/documents", body, MISSING, *others)
        check(user, "/shareds", body, MISSING, *others, methods=("POST", "PUT"))
        if others:  # the data of a PATCH, and that of a draft, is optional
            check(user, "/shareds", body, *others, methods=("PATCH",))
            check(user, "/drafts", body, *others)


def test_wrong_permissions_are_named(user):
    for permissions, error in WRONG_PERMISSIONS:
        body = {"data": {"title": "x"}, "permissions": permissions}
        check(user, "/shareds", body, error)
        check(user, "/documents", body, ("permissions", "permissions is not allowed"))
        only = {"permissions": permissions}
        check(user, "/drafts", only, error)
        check(user, "/shareds", only, error, methods=("PATCH",))
        check(user, "/shareds", only, MISSING, error, methods=("POST", "PUT"))


def test_all_errors_of_a_body_are_reported(user):
    body = {"data": {"title": 5, "number": "x"}, "permissions": {"read": [5]}, "other": 1}
    expected = [
        ("data.title", not_text(5, "title")),
        ("data.number", '"x" is not a number'),
        ("permissions.read.0", not_text(5, "")),
        ("other", "other is not allowed"),
    ]
    check(user, "/shareds", body, *expected, methods=("POST", "PUT"))


def test_bodies_that_are_not_objects_are_reported_as_a_whole(user):
    for body, description in NOT_OBJECTS:
        for path, method in (("/documents", "PUT"), ("/shareds", "PATCH"), ("/drafts", "POST")):
            headers = {"Content-Type": "application/json"}
            response = user.raw(method, url_of(method, path), body, status=400, **headers).json
            assert errors(response)[0] == ("body", None, description)
            assert response["message"] == f"body: {description}"


#: Bodies of batches.
WRONG_BATCHES = [
    ({}, ("requests", "requests is missing")),
    ({"requests": "x"}, ("requests", '"x" is not iterable')),
    ({"requests": [5]}, ("requests.0", mapping(5))),
    ({"requests": [{"path": 5}]}, ("requests.0.path", not_text(5, "path"))),
    ({"requests": [{"method": 3, "path": "/"}]}, ("requests.0.method", not_text(3, "method"))),
    ({"requests": [{"path": "/", "body": "x"}]}, ("requests.0.body", mapping("x"))),
]


def test_wrong_batches_are_named(user):
    for body, (name, description) in WRONG_BATCHES:
        response = user.send("POST", "/batch", body, status=400).json
        assert errors(response) == [("body", name, description)], body
