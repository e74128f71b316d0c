"""Refused bodies, ids and values."""

import json
import random
import uuid
from enum import Enum
from string import ascii_lowercase

import colander
import pytest

from cliquet.storage.generators import Generator
from tests.resource.apps import (
    ENGINES,
    SERVED,
    AnyFields,
    Book,
    Note,
    Page,
    ResourceSchema,
    ShareableResource,
    UserResource,
)

every_engine = pytest.mark.parametrize("engine", ENGINES)

JSON = {"Content-Type": "application/json"}
ID = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"


class SoundSchema(AnyFields):
    frequency = colander.SchemaNode(colander.Float(), validator=colander.Range(min=1))
    author = colander.SchemaNode(
        colander.Mapping(),
        colander.SchemaNode(colander.String(), name="name"),
        name="author",
        missing=colander.drop,
    )


class Sound(UserResource):
    mapping = SoundSchema()


class DraftSchema(ResourceSchema):
    title = colander.SchemaNode(colander.String(), missing="Untitled")


class Draft(UserResource):
    mapping = DraftSchema()


class LimitSchema(ResourceSchema):
    least = colander.SchemaNode(colander.Integer(), missing=1)
    most = colander.SchemaNode(colander.Integer(), missing=0)

    def validator(self, node, record):
        if record["most"] < record["least"]:
            raise colander.Invalid(node, "Should not be less than least")


class Limit(UserResource):
    mapping = LimitSchema()


class RestrictedSchema(ResourceSchema):
    title = colander.SchemaNode(colander.String())


class Restricted(ShareableResource):
    mapping = RestrictedSchema()


@pytest.fixture
def api(build_once):
    return build_once(Book, Note, Page, Sound, Draft, Limit)


@pytest.fixture
def alice(api):
    return api.user("alice")


def details(response):
    assert response.json["errno"] == 107
    assert response.json["error"] == "Invalid parameters"
    return [
        (item["location"], item["name"], item["description"]) for item in response.json["details"]
    ]


# Schemas.


def test_unknown_fields_are_dropped(alice):
    book = alice.create("/books", {"title": "A", "unknown": 1})
    assert set(book) == {"id", "last_modified", "title", "pages", "code"}
    path = f"/books/{book['id']}"
    assert "unknown" not in alice.put(path, {"title": "B", "unknown": 1}).json["data"]
    assert "unknown" not in alice.patch(path, {"title": "C", "unknown": 1}).json["data"]


@every_engine
def test_unknown_fields_are_kept_if_the_schema_says_so(alice):
    data = {"any": {"thing": [1, None, True, 1.0, "é"]}, "": 1, "a.b": 2, "__x__": 3}
    note = alice.create("/notes", data)
    path = f"/notes/{note['id']}"
    assert {key: note[key] for key in data} == data
    assert alice.get(path).json["data"] == note
    patched = alice.patch(path, {"more": 1}).json["data"]
    assert patched == {**note, "more": 1, "last_modified": patched["last_modified"]}
    assert "any" not in alice.put(path, {"n": 1}).json["data"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_missing_field_is_reported(alice, method):
    path = "/books" if method == "POST" else f"/books/{uuid.uuid4()}"
    response = alice.send(method, path, {"data": {}}, status=400)
    assert details(response) == [("body", "data.title", "Required")]
    assert response.json["message"] == "data.title in body: Required"


def test_invalid_field_is_reported_with_its_path(alice):
    data = {"frequency": "x", "author": {}}
    response = alice.post("/sounds", data, status=400)
    assert [(location, name) for location, name, _ in details(response)] == [
        ("body", "data.frequency"),
        ("body", "data.author.name"),
    ]


def test_patch_with_invalid_result_is_refused(alice):
    sound = alice.create("/sounds", {"frequency": 2, "author": {"name": "A"}})
    path = f"/sounds/{sound['id']}"
    for changes in ({"frequency": 0}, {"frequency": None}, {"author": {}}, {"author": 1}):
        assert details(alice.patch(path, changes, status=400))[0][1].startswith("data.")
    assert alice.get(path).json["data"] == sound


@pytest.mark.parametrize("body", [{}, {"title": "A"}, {"data": None}, {"permissions": {}}])
def test_body_without_data_is_refused_if_the_schema_requires_a_field(alice, body):
    record = alice.create("/books", {"title": "A"})
    url = f"/books/{record['id']}"
    for method, path in [("POST", "/books"), ("PUT", url), ("PATCH", url)]:
        assert details(alice.send(method, path, body, status=400))
    assert alice.list("/books") == [record]


BODIES_WITHOUT_DATA = [b"", b"{}", b'{"data": null}', b'{"data": {}}']


@pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
@pytest.mark.parametrize("path", ["/drafts", "/notes", "/pages"])
@pytest.mark.parametrize("body", BODIES_WITHOUT_DATA)
def test_data_is_optional_where_the_schema_accepts_an_empty_record(alice, path, body):
    default = {"title": "Untitled"} if path == "/drafts" else {}
    created = alice.raw("POST", path, body, status=201, **JSON).json["data"]
    url = f"{path}/{uuid.uuid4()}"
    put = alice.raw("PUT", url, body, status=201, **JSON).json["data"]
    for record in (created, put):
        assert record == {**default, "id": record["id"], "last_modified": record["last_modified"]}
    replaced = alice.raw("PUT", url, body, status=200, **JSON).json["data"]
    assert replaced == {**put, "last_modified": replaced["last_modified"]}


def test_records_without_data_share_no_default(alice):
    first = alice.send("POST", "/drafts", {}, status=201).json["data"]
    second = alice.send("POST", "/drafts", {}, status=201).json["data"]
    assert first["id"] != second["id"]


def test_data_is_required_if_only_a_validator_of_the_schema_refuses_an_empty_record(alice):
    response = alice.send("POST", "/limits", {}, status=400)
    assert details(response) == [("body", "data", "data is missing")]
    alice.create("/limits", {"most": 1})


@pytest.mark.parametrize("body", [b"[1]", b'{"data": "x"}', b"{"])
def test_body_without_type_is_ignored(alice, body):
    alice.raw("POST", "/notes", body, status=201, **{"Content-Type": ""})


@pytest.mark.parametrize("body", [{}, {"data": None}, {"permissions": {}}])
def test_patch_of_a_record_without_permissions_requires_data(alice, body):
    note = alice.create("/notes")
    assert details(alice.send("PATCH", f"/notes/{note['id']}", body, status=400))


@pytest.mark.parametrize("data", [[], "x", 1])
@pytest.mark.parametrize("path", ["/books", "/notes"])
def test_data_of_another_type_are_refused(alice, path, data):
    body = {"data": data}
    record = alice.create(path, {"title": "A"})
    for method, url in [("POST", path), ("PUT", f"{path}/{record['id']}")]:
        assert details(alice.send(method, url, body, status=400))
    assert details(alice.send("PATCH", f"{path}/{record['id']}", body, status=400))
    assert alice.list(path) == [record]


def test_unknown_fields_of_a_strict_schema_are_named_by_their_mapping(build):
    class ClosedSchema(ResourceSchema):
        n = colander.SchemaNode(colander.Integer(), missing=colander.drop)

        def schema_type(self, **kw):
            return colander.Mapping(unknown="raise")

    class Closed(UserResource):
        mapping = ClosedSchema()

    alice = build(Closed).user("alice")
    path = f"/closeds/{alice.create('/closeds', {'n': 1})['id']}"
    for method, target in [("POST", "/closeds"), ("PUT", path), ("PATCH", path)]:
        response = alice.send(method, target, {"data": {"zz": 1}}, status=400)
        ((location, name, description),) = details(response)
        assert (location, name) == ("body", "data")
        assert "zz" in description


@pytest.mark.parametrize("path", ["/books", "/notes", "/pages"])
def test_other_keys_next_to_the_data_are_refused(alice, path):
    record = alice.create(path, {"title": "A"})
    body = {"data": {"title": "B"}, "other": 1}
    url = f"{path}/{record['id']}"
    for method, target in [("POST", path), ("PUT", url), ("PATCH", url)]:
        errors = details(alice.send(method, target, body, status=400))
        assert errors == [("body", "other", "other is not allowed")]


@pytest.mark.parametrize(
    "body, expected",
    [
        ({"data": None}, [("data", "Required")]),
        ({"other": 1}, [("data", "data is missing"), ("other", "other is not allowed")]),
        (
            {"other": 1, "data": None, "more": 2},
            [
                ("data", "Required"),
                ("more", "more is not allowed"),
                ("other", "other is not allowed"),
            ],
        ),
        (
            {"other": 1, "data": [], "permissions": {"read": 1}},
            [
                ("data", '"[]" is not a mapping type: Does not implement dict-like functionality.'),
                ("permissions.read", '"1" is not iterable'),
                ("other", "other is not allowed"),
            ],
        ),
    ],
)
def test_errors_of_data_come_before_the_keys_that_are_not_allowed(build_once, body, expected):
    settings = {"restricted_create_principals": "system.Authenticated"}
    alice = build_once(Restricted, settings=settings).user("alice")
    path = f"/restricteds/{alice.create('/restricteds', {'title': 'A'})['id']}"
    for method, target in [("POST", "/restricteds"), ("PUT", path)]:
        response = alice.send(method, target, body, status=400)
        assert details(response) == [("body", *error) for error in expected]


def test_permissions_are_for_shareable_resources_alone(alice):
    response = alice.post("/notes", {}, permissions={"read": []}, status=400)
    assert details(response) == [("body", "permissions", "permissions is not allowed")]


# Bodies.

NOT_JSON = [
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"1",
    b'{"data": {"a": NaN}}',
    b'{"data": {"a": Infinity}}',
    b'{"data": {"a": -Infinity}}',
    b'{"data": {"a": 1e999}}',
    b'{"data": {"a": "\xff"}}',
    b'{"data": {"a": "\xed\xa0\x80"}}',
    b'{"data": {"a": "\\ud800"}}',
    b'{"data": {"\\udfff": 1}}',
    b'{"data": {"a": "\\u0000"}}',
    b'{"data": {"\\u0000": 1}}',
    b'{"data": {"a": "b",}}',
    '{"data": {}}'.encode("utf-16"),
    b'{"data": {"a": ' + b"[" * 101 + b"]" * 101 + b"}}",
    b'{"data": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    b'{"data": {"a": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}}",
    b"\xef\xbb\xbf{",
]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_body_that_cannot_be_kept_is_a_400(alice, body):
    note = alice.create("/notes", {"n": 1})
    url = f"/notes/{note['id']}"
    for method, path in [("POST", "/notes"), ("PUT", url), ("PATCH", url)]:
        response = alice.raw(method, path, body, status=400, **JSON)
        assert details(response)
    assert alice.list("/notes") == [note]


KEPT = [
    10**30,
    -(10**19),
    2**63,
    0.1,
    1e308,
    5e-324,
    1.0,
    -0.0,
    1,
    True,
    "\u0001\u007f\ufffe\U0001f600",
    "\\u0000",
    {"": {"": ""}},
    [[[]]],
    None,
    {"\u2028": "\\ud800"},
]


@every_engine
@pytest.mark.parametrize("value", KEPT, ids=range(len(KEPT)))
def test_accepted_values_are_returned_unchanged(alice, value):
    note = alice.create("/notes", {"value": value})
    for record in (note, alice.get(f"/notes/{note['id']}").json["data"], alice.list("/notes")[0]):
        assert json.dumps(record["value"]) == json.dumps(value)


def test_processed_record_must_be_storable(build):
    class Made(UserResource):
        mapping = AnyFields()

        def process_record(self, new, old=None):
            return {**super().process_record(new, old), "made": chr(new.get("code", 32))}

    alice = build(Made).user("alice")
    made = alice.create("/mades")
    path = f"/mades/{made['id']}"
    for method, target in [("POST", "/mades"), ("PUT", path), ("PATCH", path)]:
        for code in (0, 0xD800):
            response = alice.send(method, target, {"data": {"code": code}}, status=400)
            assert details(response)[0][1] == "data"
    assert alice.list("/mades") == [made]


@every_engine
def test_hundred_levels_are_kept(alice):
    value = 1
    for _ in range(98):
        value = [value]
    note = alice.create("/notes", {"value": value})
    assert alice.get(f"/notes/{note['id']}").json["data"]["value"] == value


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "x"])
def test_body_of_another_type_is_a_415(alice, content_type):
    note = alice.create("/notes", {"n": 1})
    url = f"/notes/{note['id']}"
    for method, path in [("POST", "/notes"), ("PUT", url), ("PATCH", url)]:
        headers = {"Content-Type": content_type}
        response = alice.raw(method, path, b'{"data": {}}', status=415, **headers)
        assert response.json["code"] == 415
        assert response.json["errno"] == 107
    assert alice.list("/notes") == [note]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_type_of_json_is_accepted_with_its_charset(alice, content_type):
    headers = {"Content-Type": content_type}
    alice.raw("POST", "/notes", b'{"data": {}}', status=201, **headers)


def test_client_that_accepts_no_json_gets_a_406(alice):
    for path in ("/notes", f"/notes/{uuid.uuid4()}"):
        response = alice.get(path, {"Accept": "text/html"}, status=406)
        assert response.json["errno"] == 107
    alice.get("/notes", {"Accept": "text/html, application/*;q=0.5"}, status=200)


# Ids.

BAD_IDS = [
    "abc",
    "E0E4F2D4-1F5E-4A1A-9B6A-0C1A6D3B7F10",
    "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10%0A",
    "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10%00",
    "%00",
    "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10%20",
    "%C3%A9",
    "*",
    "%2A",
]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_id_that_the_generator_does_not_make_is_a_400(alice, bad):
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        body = {"data": {"n": 1}} if method in ("PUT", "PATCH") else None
        response = alice.send(method, f"/notes/{bad}", body, status=400)
        assert details(response) == [("path", None, "Invalid record id")]
        assert response.json["message"] == "path: Invalid record id"
    assert alice.list("/notes") == []


@pytest.mark.parametrize(
    "good",
    [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        *(f"e0e4f2d4-1f5e-{version}a1a-9b6a-0c1a6d3b7f10" for version in "12345678"),
        "e0e4f2d4-1f5e-4a1a-0b6a-0c1a6d3b7f10",
    ],
)
def test_ids_are_uuids_of_any_version(alice, good):
    alice.put(f"/notes/{good}", {"n": 1}, status=201)
    assert alice.get(f"/notes/{good}").json["data"]["id"] == good
    alice.delete(f"/notes/{good}", status=200)
    alice.post("/notes", {"id": good}, status=201)


@pytest.mark.parametrize("bad", ["abc", "", 1, None, True, [], {}, 1.5, f"{ID}\n"])
@pytest.mark.parametrize("path", ["/notes", "/books", "/pages"])
def test_posted_id_that_the_generator_does_not_make_is_a_400(alice, path, bad):
    response = alice.post(path, {"id": bad, "title": "A"}, status=400)
    assert details(response) == [("path", None, "Invalid record id")]


class Words(Generator):
    regexp = r"^[a-z\n\0]+$"
    count = 0

    def __call__(self):
        Words.count += 1
        return "word" + "x" * Words.count


@every_engine
def test_custom_generator_creates_and_checks_ids(build):
    settings = {"id_generator": f"{__name__}.Words"}
    alice = build(Note, settings=settings, setup=None).user("alice")
    assert alice.create("/notes")["id"].startswith("wordx")
    alice.put("/notes/abc", {}, status=201)
    assert alice.create("/notes", {"id": "def"})["id"] == "def"
    for bad in ("ABC", str(uuid.uuid4()), "abc%0A", "abc%00", "a%0Ab%00"):
        alice.put(f"/notes/{bad}", {}, status=400)
    assert len(alice.list("/notes")) == 3


class Barrel(UserResource):
    """Records that the URL isolates."""

    mapping = AnyFields()

    def get_parent_id(self, request):
        return request.matchdict["cellar"]


IN_CELLARS = {
    "collection_path": "/cellars/{{cellar}}/barrels",
    "record_path": "/cellars/{{cellar}}/barrels/{{id}}",
}
TOO_LONG = "".join(random.Random(1).choices(ascii_lowercase, k=1025))
LONGEST = TOO_LONG[1:]


@pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
def test_ids_and_principals_that_are_too_long_for_an_index_are_400(build):
    settings = {"id_generator": f"{__name__}.Words"}
    alice = build(Note, Page, (Barrel, IN_CELLARS), settings=settings).user("alice")
    for text, status in ((LONGEST, 201), (TOO_LONG, 400)):
        alice.put(f"/notes/{text}", {}, status=status)
        alice.post("/notes", {"id": text[::-1]}, status=status)
        alice.post(f"/cellars/{text}/barrels", {}, status=status)
        alice.put(f"/pages/{text}", {}, status=status, permissions={"read": [LONGEST]})
        alice.post("/pages", {}, status=status, permissions={"read": [text]})
        alice.post("/pages", {}, status=status, permissions={"read": ["\x1a" * len(text)]})


def test_path_that_is_not_utf8_is_a_400(alice):
    assert alice.get("/notes/%FF", status=400).json["errno"] == 107


def test_path_below_a_record_is_a_404(alice):
    note = alice.create("/notes")
    assert alice.get(f"/notes/{note['id']}/x", status=404).json["errno"] == 111


class PriceSchema(AnyFields):
    price = colander.SchemaNode(colander.Decimal(), missing=colander.drop)
    tags = colander.SchemaNode(colander.Set(), missing=colander.drop)
    day = colander.SchemaNode(colander.Date(), missing=colander.drop)
    hour = colander.SchemaNode(colander.Time(), missing=colander.drop)
    prices = colander.SchemaNode(
        colander.Sequence(), colander.SchemaNode(colander.Decimal()), missing=colander.drop
    )


class Offer(UserResource):
    mapping = PriceSchema()


@pytest.fixture
def offers(build):
    return build(Offer).user("alice")


def test_deserialized_values_are_returned_and_stored_as_json(offers):
    given = {
        "price": 2.5,
        "tags": ["b", "a"],
        "day": "2026-11-21",
        "hour": "12:30:00",
        "prices": [3, "4.25"],
    }
    expected = {**given, "tags": ["a", "b"], "prices": [3, 4.25]}
    created = offers.create("/offers", given)
    url = f"/offers/{created['id']}"
    for response in (
        created,
        offers.get(url).json["data"],
        offers.patch(url, {"price": "2.50"}).json["data"],
        offers.put(url, given).json["data"],
    ):
        assert {key: response[key] for key in expected} == expected
    assert offers.patch(url, {"price": 3}).json["data"]["price"] == 3


@pytest.mark.parametrize("price", ["0.1234567890123456789", "NaN", "Infinity", "1E+999999999"])
def test_decimals_that_no_number_equals_are_refused(offers, price):
    response = offers.post("/offers", {"price": price}, status=400)
    assert "data cannot be stored: a " in response.json["message"]
    assert offers.list("/offers") == []


# Types that fail.


class Colour(Enum):
    RED = 1


class OddSchema(ResourceSchema):
    tags = colander.SchemaNode(colander.Set(), missing=colander.drop)
    price = colander.SchemaNode(colander.Decimal(), missing=colander.drop)
    colour = colander.SchemaNode(colander.Enum(Colour), missing=colander.drop)
    flag = colander.SchemaNode(colander.Boolean(), missing=colander.drop)


class Odd(UserResource):
    mapping = OddSchema()


class SharedOdd(ShareableResource):
    mapping = OddSchema()


ODD_VALUES = [
    ("tags", [[]]),
    ("tags", [{"a": 1}]),
    ("colour", [1]),
    ("colour", {"a": 1}),
    ("price", "1" * 4301),
    ("price", "1" * 100_000),
    ("price", "1E+999999"),
    ("price", "NaN"),
    ("price", "sNaN"),
    ("price", "Infinity"),
    ("flag", "maybe"),
    ("flag", ""),
    ("flag", []),
    ("flag", {}),
]


@pytest.mark.parametrize("field, value", ODD_VALUES)
@pytest.mark.parametrize("path", ["/odds", "/sharedodds"])
def test_a_value_that_a_type_cannot_read_is_a_400(build_once, path, field, value):
    settings = dict.fromkeys(
        ("sharedodd_create_principals", "sharedodd_read_principals"), "system.Authenticated"
    )
    alice = build_once(Odd, SharedOdd, settings=settings).user("alice")
    known = alice.create(path, {})
    body = {"data": {field: value}}
    targets = [("POST", path), ("PUT", f"{path}/{known['id']}"), ("PATCH", f"{path}/{known['id']}")]
    for method, target in targets:
        error = alice.send(method, target, body, status=400).json
        assert error["errno"] == 107
        assert error["details"][0]["location"] == "body"
        assert error["details"][0]["name"] in (f"data.{field}", "data")
    requests = [{"method": method, "path": target, "body": body} for method, target in targets]
    assert [response["status"] for response in alice.batch(*requests)] == [400, 400, 400]
    assert alice.list(path) == [known]


@pytest.mark.parametrize("number", ["12", 0, -1, " 1 ", "1.5", "1E+3", "0.1", "9" * 15, "1E+30"])
def test_decimals_that_equal_a_float_are_stored_as_one(build_once, number):
    alice = build_once(Odd).user("alice")
    price = alice.create("/odds", {"price": number})["price"]
    assert (type(price), price) == (float, float(number))


@pytest.mark.parametrize("number", ["1234567890123456789", "12345678901234567890.00", "1" * 4300])
def test_decimals_that_equal_an_integer_alone_are_stored_as_one(build_once, number):
    alice = build_once(Odd).user("alice")
    price = alice.create("/odds", {"price": number})["price"]
    assert (type(price), price) == (int, int(number.partition(".")[0]))


def test_null_is_a_missing_boolean(build_once):
    alice = build_once(Odd).user("alice")
    record = alice.create("/odds", {"flag": None})
    assert "flag" not in record
    path = f"/odds/{record['id']}"
    assert alice.patch(path, {"flag": True}).json["data"]["flag"] is True
    assert "flag" not in alice.put(path, {"flag": None}).json["data"]


def test_generator_without_a_method_to_create_ids_is_abstract():
    with pytest.raises(NotImplementedError, match="Generator does not create ids"):
        Generator()
