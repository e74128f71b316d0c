"""Modification of some fields of a record."""

import json

import colander
import pytest

from tests.resource.apps import ENGINES, AnyFields, Book, Note, Page, UserResource

every_engine = pytest.mark.parametrize("engine", ENGINES)


class Counter(UserResource):
    """A field changes with every change of another one."""

    mapping = AnyFields()

    def process_record(self, new, old=None):
        new = super().process_record(new, old)
        if old is not None and new.get("name") != old.get("name"):
            new["version"] = old.get("version", 0) + 1
        new.pop("transient", None)
        return new


class AddressSchema(colander.MappingSchema):
    city = colander.SchemaNode(colander.String())


class PersonSchema(AnyFields):
    name = colander.SchemaNode(colander.String())
    age = colander.SchemaNode(colander.Integer(), missing=colander.drop)
    address = AddressSchema(missing=colander.drop)


class Person(UserResource):
    mapping = PersonSchema()


class CoupleSchema(PersonSchema):
    """A rule of the record as a whole expects its required fields."""

    def validator(self, node, record):
        if record["name"] == record.get("partner"):
            raise colander.Invalid(node, "A partner has another name")


class Couple(UserResource):
    mapping = CoupleSchema()


@pytest.fixture
def alice(build_once):
    return build_once(Book, Note, Page, Counter, Person, Couple).user("alice")


@pytest.fixture
def note(alice):
    return alice.create("/notes", {"n": 1, "o": {"a": 1, "b": 2}, "none": None})


@pytest.fixture
def url(note):
    return f"/notes/{note['id']}"


@every_engine
def test_fields_of_the_first_level_are_replaced(alice, note, url):
    response = alice.patch(url, {"o": {"c": 3}, "new": 1}, status=200)
    record = response.json["data"]
    expected = {**note, "o": {"c": 3}, "new": 1, "last_modified": record["last_modified"]}
    assert record == expected
    assert record["last_modified"] > note["last_modified"]
    assert response.headers["ETag"] == f'"{record["last_modified"]}"'
    assert "Last-Modified" in response.headers
    assert alice.get(url).json["data"] == record


@every_engine
@pytest.mark.parametrize("changes", [{}, {"n": 1}, {"o": {"b": 2, "a": 1}}, {"none": None}])
def test_nothing_is_written_if_nothing_changes(alice, note, url, changes):
    before = alice.get("/notes").headers["ETag"]
    response = alice.patch(url, changes, status=200)
    assert response.json["data"] == note
    assert response.headers["ETag"] == f'"{note["last_modified"]}"'
    assert alice.get("/notes").headers["ETag"] == before


@every_engine
@pytest.mark.parametrize(
    "changes",
    [
        {"n": True},
        {"n": 1.0},
        {"n": "1"},
        {"n": None},
        {"o": {"a": 1, "b": 2.0}},
    ],
)
def test_value_that_is_equal_but_not_the_same_is_a_change(alice, note, url, changes):
    record = alice.patch(url, changes).json["data"]
    assert record["last_modified"] > note["last_modified"]
    (field,) = changes
    stored = alice.get(url).json["data"]
    assert repr(stored[field]) == repr(changes[field])


def test_light_response_contains_the_changed_fields(alice, note, url):
    headers = {"Response-Behavior": "light"}
    assert alice.patch(url, {"n": 2, "o": note["o"]}, headers).json == {"data": {"n": 2}}
    assert alice.patch(url, {"n": 2}, headers).json == {"data": {}}


def test_diff_response_contains_fields_that_differ_from_the_request(alice):
    book = alice.create("/books", {"title": "A", "pages": 1})
    path = f"/books/{book['id']}"
    headers = {"Response-Behavior": "diff"}
    assert alice.patch(path, {"title": "B"}, headers).json == {"data": {}}
    # The schema makes an integer of it.
    assert alice.patch(path, {"pages": "2", "title": "C"}, headers).json == {"data": {"pages": 2}}


def test_behavior_is_read_whatever_its_case_and_ignored_if_unknown(alice, note, url):
    assert alice.patch(url, {"n": 2}, {"Response-Behavior": "LIGHT"}).json == {"data": {"n": 2}}
    full = alice.patch(url, {"n": 3}, {"Response-Behavior": "x"}).json["data"]
    assert full["o"] == note["o"]


@pytest.mark.parametrize("behavior", ["light", "diff"])
def test_unstored_field_is_not_returned(alice, behavior):
    counter = alice.create("/counters", {"name": "a"})
    path = f"/counters/{counter['id']}"
    headers = {"Response-Behavior": behavior}
    changes = {"transient": 1, "name": "b"}
    response = alice.patch(path, changes, headers).json["data"]
    assert response == ({"name": "b"} if behavior == "light" else {})


def test_unstored_field_is_not_a_change(alice):
    counter = alice.create("/counters", {"name": "a"})
    path = f"/counters/{counter['id']}"
    assert alice.patch(path, {"transient": 1}).json["data"] == counter


def test_records_are_processed_with_the_old_one(alice):
    counter = alice.create("/counters", {"name": "a"})
    path = f"/counters/{counter['id']}"
    assert alice.patch(path, {"name": "b"}).json["data"]["version"] == 1
    assert alice.patch(path, {"name": "b"}).json["data"]["version"] == 1
    assert alice.patch(path, {"name": "c"}).json["data"]["version"] == 2


def test_readonly_field_is_refused_if_it_changes(alice):
    book = alice.create("/books", {"title": "A", "code": "x"})
    path = f"/books/{book['id']}"
    error = alice.patch(path, {"code": "y", "title": "B"}, status=400).json
    assert error["details"] == [
        {"location": "body", "name": "code", "description": "Cannot modify code"}
    ]
    assert alice.patch(path, {"code": "x", "title": "B"}).json["data"]["title"] == "B"
    assert alice.put(path, {"title": "B", "code": "y"}).json["data"]["code"] == "y"


def test_readonly_field_is_compared_exactly(build):
    class Options(AnyFields.Options):
        readonly_fields = ("n",)

    class Fixed(UserResource):
        mapping = type("FixedSchema", (AnyFields,), {"Options": Options})()

    alice = build(Fixed).user("alice")
    path = "/fixeds/{id}".format(**alice.create("/fixeds", {"n": 1}))
    for value in (True, 1.0, "1", None):
        alice.patch(path, {"n": value}, status=400)
    alice.patch(path, {"n": 1}, status=200)


def test_readonly_field_that_the_record_lacks_can_be_set_once(build):
    class Options(AnyFields.Options):
        readonly_fields = ("n",)

    class Fixed(UserResource):
        mapping = type("FixedSchema", (AnyFields,), {"Options": Options})()

    alice = build(Fixed).user("alice")
    path = "/fixeds/{id}".format(**alice.create("/fixeds", {}))
    assert alice.patch(path, {"n": 1}).json["data"]["n"] == 1
    alice.patch(path, {"n": 2}, status=400)


@pytest.mark.parametrize("bad", [None, [], "x", 1])
def test_data_that_is_not_an_object_is_refused(alice, url, bad):
    alice.send("PATCH", url, {"data": bad}, status=400)


@every_engine
def test_shared_record_is_written_by_every_patch(alice):
    """Users who modify a record are added to its ``write`` principals."""
    page = alice.create("/pages", {"n": 1}, permissions={"read": [alice.id]})
    path = f"/pages/{page['id']}"
    response = alice.patch(path, {"n": 1})
    assert response.json["data"]["last_modified"] > page["last_modified"]
    light = alice.patch(path, {"n": 1}, {"Response-Behavior": "light"}).json
    assert light == {"data": {}}


@pytest.fixture
def patch_stored(alice):
    """A function that stores a record that the schema may refuse, and patches it."""

    def patch_stored(stored, changes, status=200, path="/persons", **headers):
        (record,) = alice.fill(path[1:-1], [stored])
        body = json.dumps({"data": changes}).encode()
        headers = {"Content-Type": "application/json", **headers}
        response = alice.raw("PATCH", f"{path}/{record['id']}", body, status, **headers)
        if status == 200:
            assert alice.get(f"{path}/{record['id']}").json == response.json
            ours = {"id", "last_modified"}
            return {key: value for key, value in response.json["data"].items() if key not in ours}
        return response.json["message"]

    return patch_stored


@every_engine
def test_record_older_than_a_required_field_can_be_changed(patch_stored):
    assert patch_stored({"age": 1}, {"age": "2"}) == {"age": 2}
    assert patch_stored({"age": 1}, {"name": "Ann", "age": 2}) == {"name": "Ann", "age": 2}
    assert patch_stored({"age": "old"}, {"note": 1}) == {"age": "old", "note": 1}
    stored = {"name": "Ann", "age": [1], "address": {"town": "Oslo"}}
    assert patch_stored(stored, {"age": "3"}) == {**stored, "age": 3}


def test_changed_values_of_an_older_record_are_validated(patch_stored):
    assert "data.age in body: " in patch_stored({}, {"age": "x"}, 400)
    assert "data.name in body: Required" in patch_stored({}, {"name": None}, 400)
    merge = {"Content-Type": "application/merge-patch+json"}
    assert patch_stored({"age": 1}, {"age": None}, **merge) == {}
    removed = patch_stored({"name": "Ann", "age": "x"}, {"name": None}, 400, **merge)
    assert removed == "data.name in body: Required"


def test_error_names_the_stored_field_if_a_rule_needs_the_whole_record(patch_stored):
    message = patch_stored({}, {"age": 2}, 400, path="/couples")
    assert message == "data.name in body: Required (in the stored record)"
    message = patch_stored({"name": "Ann"}, {"partner": "Ann"}, 400, path="/couples")
    assert message == "data in body: A partner has another name"
