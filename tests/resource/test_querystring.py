"""Query strings of resources."""

from urllib.parse import quote

import pytest

from cliquet.resource.filters import Fields, FilterReader
from cliquet.storage import Filter
from cliquet.utils import COMPARISON
from tests.resource.apps import ENGINES, Book, Note

every_engine = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture
def alice(build_once):
    return build_once(Book, Note).user("alice")


@pytest.fixture
def notes(alice):
    records = [{"n": n, "even": n % 2 == 0, "text": "abcde"[n]} for n in range(5)]
    return alice.fill("note", records)


@every_engine
@pytest.mark.parametrize(
    "query, found",
    [
        ("n=2", [2]),
        ("n=2.0", [2]),
        ("n=2e0", [2]),
        ('n="2"', []),
        ("text=c", [2]),
        ('text="c"', [2]),
        ("even=true", [0, 2, 4]),
        ("even=YES", [0, 2, 4]),
        ("even=off", [1, 3]),
        ("not_n=2", [0, 1, 3, 4]),
        ("min_n=3", [3, 4]),
        ("gt_n=3", [4]),
        ("max_n=1", [0, 1]),
        ("lt_n=1", [0]),
        ("gt_n=0&lt_n=4", [1, 2, 3]),
        ("in_n=1,3,9", [1, 3]),
        ("in_text=a,e", [0, 4]),
        ("exclude_n=0,1,2", [3, 4]),
        ("exclude_text=a", [1, 2, 3, 4]),
        ("n=1&even=true", []),
        ("min_text=d", [3, 4]),
        ("missing=1", []),
        ("not_missing=1", [0, 1, 2, 3, 4]),
        ("_unknown=1&_sort=n", [0, 1, 2, 3, 4]),
        ("deleted=true", []),
        ("deleted=false", [0, 1, 2, 3, 4]),
        ("not_deleted=true", [0, 1, 2, 3, 4]),
        (" n =2", [2]),
    ],
)
def test_filters_find(alice, notes, query, found):
    assert sorted(alice.values(f"/notes?{query}")) == found
    assert alice.get(f"/notes?{query}").headers["Total-Records"] == str(len(found))


@every_engine
def test_filters_on_the_id_find(alice, notes):
    records = alice.list("/notes?_sort=n")
    first, second = records[0]["id"], records[1]["id"]
    assert alice.list(f"/notes?id={first}") == records[:1]
    assert alice.list(f"/notes?in_id={first},{second}&_sort=n") == records[:2]
    assert alice.list(f"/notes?exclude_id={first}&_sort=n") == records[1:]
    assert alice.list(f"/notes?not_id={first}&_sort=n") == records[1:]


@every_engine
@pytest.mark.parametrize("quotes", ["", '"'])
def test_filters_on_the_timestamp_find(alice, notes, quotes):
    records = alice.list("/notes?_sort=last_modified")
    middle = records[2]["last_modified"]
    value = quote(f"{quotes}{middle}{quotes}")

    def found(query):
        return sorted(alice.values(f"/notes?{query}={value}"))

    assert found("_since") == [3, 4]
    assert found("_before") == [0, 1]
    assert found("_to") == [0, 1]
    assert found("last_modified") == [2]
    assert found("not_last_modified") == [0, 1, 3, 4]
    assert found("min_last_modified") == [2, 3, 4]
    assert found("gt_last_modified") == [3, 4]
    assert found("max_last_modified") == [0, 1, 2]
    assert found("lt_last_modified") == [0, 1]
    assert found("in_last_modified") == [2]
    assert found("exclude_last_modified") == [0, 1, 3, 4]


@every_engine
def test_tombstones_are_listed_when_a_filter_is_on_the_timestamp(alice, notes):
    alice.delete("/notes?n=4")
    assert len(alice.list("/notes")) == 4
    for query in ("_since=1", "gt_last_modified=1", "not_last_modified=1", "_before=9999999999999"):
        records = alice.list(f"/notes?{query}")
        assert [record.get("deleted") for record in records].count(True) == 1, query
        assert alice.get(f"/notes?{query}").headers["Total-Records"] == "4"
    assert len(alice.list("/notes?_since=1&deleted=true")) == 1
    assert len(alice.list("/notes?_since=1&not_deleted=true")) == 4
    assert alice.list("/notes?deleted=true") == []


@every_engine
def test_client_that_polls_since_the_etag_misses_nothing(alice, notes):
    known = {record["id"]: record for record in alice.list("/notes")}
    etag = alice.get("/notes").headers["ETag"]
    first, second = sorted(known)[:2]
    alice.delete(f"/notes/{first}")
    alice.patch(f"/notes/{second}", {"n": 9})
    added = alice.create("/notes", {"n": 10})
    changes = alice.list(f"/notes?_since={quote(etag)}")
    assert {record["id"] for record in changes} == {first, second, added["id"]}


def test_to_is_deprecated(alice):
    assert "_before" in alice.get("/notes?_to=123").headers["Alert"]
    assert "Alert" not in alice.get("/notes?_before=123").headers


@every_engine
@pytest.mark.parametrize(
    "order, expected",
    [
        ("n", [0, 1, 2, 3, 4]),
        ("+n", [0, 1, 2, 3, 4]),
        ("%2Bn", [0, 1, 2, 3, 4]),
        ("-n", [4, 3, 2, 1, 0]),
        ("even,-n", [3, 1, 4, 2, 0]),
        ("-even,n", [0, 2, 4, 1, 3]),
        ("%20even%20,%20-n%20", [3, 1, 4, 2, 0]),
        ("even", [3, 1, 4, 2, 0]),
        ("even,last_modified", [1, 3, 0, 2, 4]),
        ("last_modified", [0, 1, 2, 3, 4]),
        (",,n,", [0, 1, 2, 3, 4]),
        ("n,-n", [0, 1, 2, 3, 4]),
        ("last_modified,-n", [0, 1, 2, 3, 4]),
        ("missing", [4, 3, 2, 1, 0]),
    ],
)
def test_sort_orders(alice, notes, order, expected):
    assert alice.values(f"/notes?_sort={order}") == expected


@pytest.mark.parametrize("query", ["hello=1", "min_hello=1", "in_hello=1", "title_=1", "=1"])
def test_filter_on_an_unknown_field_is_a_400(alice, query):
    error = alice.get(f"/books?{query}", status=400).json
    name = query.split("=")[0]
    assert error["errno"] == 107
    assert f"Unknown filter field '{name}'" in error["message"]
    assert error["details"][0]["location"] == "querystring"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_filters_are_checked_before_the_limit_and_the_limit_before_the_order(alice, method):
    def refused(query):
        return alice.send(method, f"/books?{query}", status=400).json["message"]

    assert "hello" in refused("_limit=x&_sort=nothing&hello=1")
    assert "_limit" in refused("_sort=nothing&_limit=x")


def test_unknown_parameters_that_start_with_an_underscore_are_ignored(alice):
    alice.create("/books", {"title": "A"})
    assert len(alice.list("/books?_hello=1&_min_pages=8")) == 1


def test_field_whose_name_begins_like_a_comparison_is_a_field():
    fields = Fields(lambda field: field == "min_age", "id", "last_modified")
    assert FilterReader(fields).read_all([("min_age", "3")]) == [
        Filter("min_age", [3, "3"], COMPARISON.IN)
    ]


def test_sort_on_an_unknown_field_is_a_400(alice):
    error = alice.get("/books?_sort=-hello", status=400).json
    assert error["message"] == "querystring: Unknown sort field 'hello'"


@pytest.mark.parametrize(
    "query",
    [
        "_since=abc",
        "_since=",
        "_before=null",
        "gt_last_modified=null",
        '_since=W/"a"',
        '_since="1", "2"',
        "_since=1.5",
        "_since=true",
        "_before=abc",
        "_to=abc",
        "last_modified=abc",
        "gt_last_modified=",
        "in_last_modified=1,a",
        "in_last_modified=1,",
        "exclude_last_modified=0.5",
        "in_id=1",
        "in_id=a,true",
        "exclude_id=1.5",
        "n=%00",
        'n="%5Cu0000"',
        "in_n=a,%00",
    ],
)
def test_value_that_a_filter_cannot_have_is_a_400(alice, query):
    error = alice.get(f"/notes?{query}", status=400).json
    assert error["errno"] == 107
    assert f"Invalid value for {query.split('=')[0]}" in error["message"]
    assert alice.delete(f"/notes?{query}", status=400).json["errno"] == 107


@every_engine
@pytest.mark.parametrize(
    "query",
    [
        "n=1e999",
        "n=" + "9" * 400,
        "n=99999999999999999999999",
        "min_n=-1e308",
        "gt_n=",
        "lt_n=true",
        "in_n=",
        "min_n=%22%22",
        "n='%20OR%201=1--",
        "in_id=",
        "n=%F0%9F%98%80",
        "_since=253402300799999",
        "_sort=n'--,%22",
        "_sort=n%00",
        "_fields=%00",
        "a.b=1",
        "min_last_modified=1&max_last_modified=253402300799999",
        "id=%00",
        "%00=1",
    ],
)
def test_no_parameter_is_a_failure(alice, notes, query):
    assert alice.get(f"/notes?{query}", status="*").status_code in (200, 400)


def test_querystring_that_is_not_utf8_is_a_400(alice):
    for path in ("/notes?n=%FF", "/notes?%FF=1", "/notes?_sort=%FF"):
        error = alice.get(path, status=400).json
        assert error["message"] == "querystring: Should be encoded in UTF-8"
    alice.delete("/notes?n=%FF", status=400)


@every_engine
def test_fields_parameter_selects_the_returned_fields(alice):
    note = alice.create("/notes", {"a": {"b": 1, "c": {"d": 2, "e": 3}}, "f": 4, "g.h": 5, "i": 6})
    identity = {"id": note["id"], "last_modified": note["last_modified"]}
    for path in ("/notes", f"/notes/{note['id']}"):

        def selected(fields, path=path):
            data = alice.get(f"{path}?_fields={fields}").json["data"]
            return data[0] if isinstance(data, list) else data

        assert selected("") == selected(",") == note
        assert selected("f") == {**identity, "f": 4}
        assert selected("f,i") == {**identity, "f": 4, "i": 6}
        assert selected("id") == identity
        assert selected("a.b") == {**identity, "a": {"b": 1}}
        assert selected("a.b,a.c.e") == {**identity, "a": {"b": 1, "c": {"e": 3}}}
        assert selected("g.h") == {**identity, "g.h": 5}
        assert selected("f.x") == {**identity, "f": 4}
        assert selected("nothing") == identity


def test_fields_parameter_applies_to_tombstones(alice):
    alice.create("/notes", {"n": 1})
    alice.delete("/notes")
    (tombstone,) = alice.list("/notes?_since=1&_fields=n")
    assert set(tombstone) == {"id", "last_modified", "deleted"}


@pytest.mark.parametrize("path", ["/books", "/books/{id}"])
def test_fields_that_do_not_exist_are_a_400(alice, path):
    book = alice.create("/books", {"title": "A"})
    error = alice.get(path.format(**book) + "?_fields=title,x,y.z", status=400).json
    assert "Fields x,y.z do not exist" in error["message"]
