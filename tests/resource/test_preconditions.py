"""Conditional requests."""

import itertools
import uuid

import pytest

from cliquet.resource import preconditions
from cliquet.resource.preconditions import ANY, Conditions, Kind, State, Tag
from tests.resource.apps import ENGINES, SERVED, Note, Page
from tests.scenarios import at_once

every_engine = pytest.mark.parametrize("engine", ENGINES)
every_server = pytest.mark.parametrize("engine", [*ENGINES, *SERVED])

NEW = f"/notes/{uuid.UUID(int=1, version=4)}"


@pytest.fixture
def api(build_once):
    return build_once(Note, Page)


@pytest.fixture
def alice(api):
    return api.user("alice")


@pytest.fixture
def note(alice):
    return alice.create("/notes", {"n": 1})


@pytest.fixture
def url(note):
    return f"/notes/{note['id']}"


def match(timestamp):
    return {"If-Match": f'"{timestamp}"'}


def none_match(timestamp):
    return {"If-None-Match": f'"{timestamp}"'}


def body_of(method):
    return {"data": {"n": 2}} if method in ("POST", "PUT", "PATCH") else None


@every_engine
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_if_match_of_the_record_lets_through(alice, note, url, method):
    time = note["last_modified"]
    alice.send(method, url, body_of(method), match(time))


@every_engine
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_stale_if_match_is_a_412_with_the_record(alice, note, url, method):
    time = note["last_modified"] - 1
    response = alice.send(method, url, body_of(method), match(time), status=412)
    assert response.json["errno"] == 114
    assert response.json["message"] == "Resource was modified meanwhile"
    assert response.json["details"] == {"existing": note}
    assert response.headers["ETag"] == f'"{note["last_modified"]}"'
    assert "Last-Modified" in response.headers
    assert alice.get(url).json["data"] == note


@every_engine
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_if_match_on_a_list_is_about_its_timestamp(alice, note, method):
    time = note["last_modified"]
    response = alice.send(method, "/notes", body_of(method), match(time - 1), status=412)
    assert response.json["details"] == {}
    assert response.headers["ETag"] == f'"{time}"'
    assert alice.list("/notes") == [note]
    alice.send(method, "/notes", body_of(method), match(time))


@every_engine
def test_if_match_counts_deletions_of_the_list(alice, note, url):
    time = note["last_modified"]
    alice.delete(url)
    alice.post("/notes", {}, match(time), status=412)


@pytest.mark.parametrize("path", ["/notes", "/notes/{id}"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@every_engine
def test_if_none_match_of_unchanged_data_is_a_304(alice, note, path, method):
    path = path.format(**note)
    time = note["last_modified"]
    for seen in (time, time + 1):
        response = alice.send(method, path, None, none_match(seen), status=304)
        assert response.headers["ETag"] == f'"{time}"'
        assert response.body == b""
    assert alice.send(method, path, None, none_match(time - 1)).status_code == 200


def test_if_none_match_with_a_timestamp_is_for_reading_only(alice, note, url):
    seen = none_match(note["last_modified"])
    alice.put(url, {"n": 2}, seen, status=200)
    alice.patch(url, {"n": 3}, none_match(preconditions.MAX_TIMESTAMP), status=200)
    alice.post("/notes", {"n": 2}, seen, status=201)
    alice.delete(url, seen, status=200)


@every_engine
def test_if_none_match_star_creates_a_record_that_does_not_exist(alice):
    alice.put(NEW, {"n": 1}, {"If-None-Match": "*"}, status=201)
    existing = alice.get(NEW).json["data"]
    error = alice.put(NEW, {"n": 2}, {"If-None-Match": "*"}, status=412).json
    assert error["details"] == {"existing": existing}
    body = {"id": existing["id"], "n": 2}
    error = alice.post("/notes", body, {"If-None-Match": "*"}, status=412).json
    assert error["details"] == {"existing": existing}


@every_engine
def test_tombstone_does_not_count_for_if_none_match_star(alice, note, url):
    alice.delete(url)
    alice.put(url, {"n": 2}, {"If-None-Match": "*"}, status=201)
    alice.delete(url)
    alice.post("/notes", {"id": note["id"]}, {"If-None-Match": "*"}, status=201)


def test_record_with_a_field_as_of_tombstones_counts_for_if_none_match_star(alice):
    record = alice.create("/notes", {"deleted": True})
    headers = {"If-None-Match": "*"}
    alice.put("/notes/{id}".format(**record), {}, headers=headers, status=412)
    alice.post("/notes", {"id": record["id"]}, headers=headers, status=412)


def test_if_none_match_star_of_a_post_without_id_creates(alice, note):
    alice.post("/notes", {"n": 1}, {"If-None-Match": "*"}, status=201)


def test_if_none_match_star_has_no_effect_on_other_methods(alice, note, url):
    star = {"If-None-Match": "*"}
    alice.get("/notes", star, status=200)
    alice.get(url, star, status=200)
    alice.head(url, star, status=200)
    alice.patch(url, {"n": 2}, star, status=200)
    alice.delete(url, star, status=200)
    alice.delete("/notes", star, status=200)


def test_both_conditions_hold(alice, note, url):
    headers = {**match(note["last_modified"]), "If-None-Match": "*"}
    alice.put(url, {"n": 2}, headers, status=412)
    alice.put(NEW, {"n": 2}, headers, status=201)


@every_engine
def test_put_to_a_deleted_record_is_compared_with_the_tombstone(alice, note, url):
    deleted = alice.delete(url).json["data"]["last_modified"]
    response = alice.put(url, {"n": 2}, match(deleted - 1), status=412)
    assert response.headers["ETag"] == f'"{deleted}"'
    assert response.json["details"]["existing"]["deleted"] is True
    alice.get(url, status=404)
    alice.put(url, {"n": 2}, match(deleted), status=201)


def test_missing_record_is_a_404_whatever_the_conditions(alice):
    malformed = [{header: "abc"} for header in ("If-Match", "If-None-Match")]
    for headers in (match(1), none_match(1), *malformed):
        alice.get(NEW, headers, status=404)
        alice.delete(NEW, headers, status=404)
        alice.patch(NEW, {}, headers, status=404)


MALFORMED = ["abc", "123", "'1'", '"1', '1"', '"a"b"', 'w/"1"', 'W/ "1"', '"1" "2"', '*, "1"', "**"]
MALFORMED += ['""', '"1", ""']


@pytest.mark.parametrize("value", MALFORMED)
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_header_that_is_not_a_list_of_tags_is_a_400(alice, note, url, header, value):
    for method, path in [
        ("GET", "/notes"),
        ("GET", url),
        ("POST", "/notes"),
        ("PUT", url),
        ("PUT", NEW),
        ("PATCH", url),
        ("DELETE", url),
        ("DELETE", "/notes"),
    ]:
        response = alice.send(method, path, body_of(method), {header: value}, status=400)
        assert response.json["errno"] == 107
        assert response.json["details"][0]["location"] == "headers"
        assert f"Invalid value for {header}" in response.json["message"]
    assert alice.list("/notes") == [note]


@pytest.mark.parametrize(
    "header, expected",
    [
        ("", None),
        ("  ", None),
        (",", None),
        ("*", ANY),
        (" * ", ANY),
        ('"5"', [Tag(5)]),
        ('"0"', [Tag(0)]),
        ('"-1"', [Tag(-1)]),
        ('"{}"'.format("9" * 30), [Tag(10**30 - 1)]),
        ('W/"5"', [Tag(5, True)]),
        ('"5-gzip"', [Tag(None)]),
        ('"1.5"', [Tag(None)]),
        ('"a1,\x80"', [Tag(None)]),
        ('"abc"', [Tag(None)]),
        ('W/"abc"', [Tag(None, True)]),
        ('"a", "b"', [Tag(None), Tag(None)]),
        ('"5","6"', [Tag(5), Tag(6)]),
        (' "5" ,\t, W/"6" , ', [Tag(5), Tag(6, True)]),
    ],
)
def test_headers_are_lists_of_tags(header, expected):
    assert preconditions.parse_tags(header) == expected


@pytest.mark.parametrize("header", ['"abc"', 'W/"a-b"', ' "abc" ,'])
def test_seen_tags_are_not_a_single_word(header):
    with pytest.raises(ValueError, match="not an entity tag of this service"):
        preconditions.parse_seen_tags(header)


@pytest.mark.parametrize("header", ["", "*", '"a1"', '"a", "b"'])
def test_seen_tags_are_parsed_like_others(header):
    assert preconditions.parse_seen_tags(header) == preconditions.parse_tags(header)


RECORD, TOMBSTONE = State(Kind.RECORD, 10), State(Kind.TOMBSTONE, 10)
COLLECTION, NOTHING = State(Kind.COLLECTION, 10), State(Kind.NOTHING)
READS, CREATIONS, OTHERS = ("GET", "HEAD"), ("PUT", "POST"), ("PATCH", "DELETE")

#: For each header value: the states that If-Match accepts, those that a reader with
#: If-None-Match has seen, and those that PUT and POST with If-None-Match refuse.
EVERYTHING = {RECORD, TOMBSTONE, COLLECTION, NOTHING}
PRESENT = EVERYTHING - {NOTHING}
TABLE = {
    "": (EVERYTHING, set(), set()),
    "*": ({RECORD, COLLECTION}, set(), {RECORD}),
    '"9"': ({NOTHING}, set(), set()),
    '"0"': ({NOTHING}, set(), set()),
    '"-1"': ({NOTHING}, set(), set()),
    '"10"': (EVERYTHING, PRESENT, set()),
    '"11"': (EVERYTHING, PRESENT, set()),
    '"10-gzip"': (set(), set(), set()),
    'W/"9"': (set(), set(), set()),
    'W/"10"': (set(), PRESENT, set()),
    'W/"11"': (set(), PRESENT, set()),
    'W/"x1"': (set(), set(), set()),
    '"9", "x"': ({NOTHING}, set(), set()),
    '"9", "10"': (EVERYTHING, PRESENT, set()),
    '"x", W/"10"': (set(), PRESENT, set()),
    'W/"11", "9"': ({NOTHING}, PRESENT, set()),
}


@pytest.mark.parametrize("method", [*READS, *CREATIONS, *OTHERS])
@pytest.mark.parametrize("header", TABLE)
def test_conditions_hold_for_some_states(header, method):
    accepted, seen, refused = TABLE[header]
    tags = preconditions.parse_tags(header)
    for state in EVERYTHING:
        expected = None if state in accepted else 412
        assert preconditions.check(Conditions(if_match=tags), method, state) == expected
        expected = None
        if method in READS and state in seen:
            expected = 304
        if method in CREATIONS and state in refused:
            expected = 412
        assert preconditions.check(Conditions(if_none_match=tags), method, state) == expected


def test_if_match_is_evaluated_first():
    conditions = Conditions(if_match=[Tag(9)], if_none_match=[Tag(10)])
    assert preconditions.check(conditions, "GET", RECORD) == 412
    conditions = Conditions(if_match=[Tag(10)], if_none_match=[Tag(10)])
    assert preconditions.check(conditions, "GET", RECORD) == 304


FORMS = {
    "older": '"{older}"',
    "equal": '"{time}"',
    "newer": '"{newer}"',
    "weak": 'W/"{time}"',
    "foreign": '"{time}-gzip"',
    "another server's": '"5f3a-1a2b"',
    "list": '"{older}", "x", "{time}"',
    "list without": '"{older}", W/"{older}"',
    "star": "*",
    "empty": "",
}
HOLD = {"equal", "newer", "list", "star", "empty"}


@every_server
@pytest.mark.parametrize("form", FORMS)
def test_if_match_over_http(alice, note, url, form):
    time = note["last_modified"]
    value = FORMS[form].format(older=time - 1, time=time, newer=time + 1)
    expected = 200 if form in HOLD else 412
    for method, path in itertools.product(["GET", "HEAD"], [url, "/notes"]):
        response = alice.send(method, path, None, {"If-Match": value}, status="*")
        assert response.status_code == expected, (method, path)
    response = alice.delete("/notes?n=9", {"If-Match": value}, status="*")
    assert response.status_code == expected
    response = alice.patch(url, {"n": 2}, {"If-Match": value}, status="*")
    assert response.status_code == expected
    assert alice.values("/notes") == [2 if form in HOLD else 1]


@every_server
@pytest.mark.parametrize("form", FORMS)
def test_put_of_an_id_that_never_existed_is_not_compared_with_the_collection(alice, note, form):
    time = note["last_modified"]
    value = FORMS[form].format(older=time - 1, time=time, newer=time + 1)
    response = alice.put(NEW, {"n": 2}, {"If-Match": value}, status="*")
    refused = ("star", "weak", "foreign", "another server's")
    assert response.status_code == (412 if form in refused else 201)
    if form in refused:
        assert response.json["errno"] == 114
        assert response.json["details"] == {}
        assert response.headers["ETag"] == alice.get("/notes").headers["ETag"]


@every_server
@pytest.mark.parametrize("form", FORMS)
def test_if_match_with_a_tombstone_over_http(alice, note, url, form):
    time = alice.delete(url).json["data"]["last_modified"]
    value = FORMS[form].format(older=time - 1, time=time, newer=time + 1)
    response = alice.put(url, {"n": 2}, {"If-Match": value}, status="*")
    assert response.status_code == (201 if form in HOLD - {"star"} else 412)


@every_server
@pytest.mark.parametrize("form", FORMS)
def test_if_none_match_over_http(alice, note, url, form):
    time = note["last_modified"]
    headers = {"If-None-Match": FORMS[form].format(older=time - 1, time=time, newer=time + 1)}
    seen = form in ("equal", "newer", "weak", "list")
    for method, path in itertools.product(["GET", "HEAD"], [url, "/notes"]):
        response = alice.send(method, path, None, headers, status="*")
        assert response.status_code == (304 if seen else 200), (method, path)
    refused = 412 if form == "star" else 200
    assert alice.put(url, {"n": 2}, headers, status="*").status_code == refused
    assert alice.patch(url, {"n": 3}, headers, status="*").status_code == 200


@every_engine
def test_etag_that_the_server_gave_is_accepted_back_even_above_the_maximum(alice):
    top = preconditions.MAX_TIMESTAMP
    first = alice.create("/notes", {"n": 1, "last_modified": top})
    assert first["last_modified"] == top
    second = alice.create("/notes", {"n": 2})
    assert second["last_modified"] > top
    response = alice.get("/notes")
    assert response.headers["Last-Modified"] == "Fri, 31 Dec 9999 23:59:59 GMT"
    etag = response.headers["ETag"]
    alice.get("/notes", {"If-None-Match": etag}, status=304)
    alice.get(f"/notes?_since={etag}", status=200)
    url = f"/notes/{second['id']}"
    alice.get(url, {"If-None-Match": etag}, status=304)
    third = alice.put(url, {"n": 3}, {"If-Match": etag}, status=200).json["data"]
    alice.put(url, {"n": 3}, {"If-Match": etag}, status=412)
    alice.delete(url, {"If-Match": f'"{third["last_modified"]}"'}, status=200)


@every_engine
def test_of_many_writers_with_one_etag_one_succeeds(alice, note, url):
    statuses = at_once(
        8, lambda n: alice.put(url, {"n": n}, match(note["last_modified"]), status="*")
    )
    assert statuses == [200] + [412] * 7


@every_engine
def test_of_many_writers_of_one_new_record_one_succeeds(alice):
    star = {"If-None-Match": "*"}
    statuses = at_once(8, lambda n: alice.put(NEW, {"n": n}, star, status="*"))
    assert statuses == [201] + [412] * 7


@every_server
def test_creation_that_arrives_after_the_deletion_does_not_bring_the_record_back(alice):
    def send(n):
        if n:
            return alice.put(NEW, {"n": n}, match(0), status="*")
        while (response := alice.delete(NEW, status="*")).status_code == 404:
            pass
        return response

    assert at_once(6, send) == [200, 201] + [412] * 4
    alice.get(NEW, status=404)


@every_engine
def test_of_many_patches_none_is_lost(alice, note, url):
    assert at_once(8, lambda n: alice.patch(url, {f"f{n}": n}, status="*")) == [200] * 8
    assert {f"f{n}" for n in range(8)} <= set(alice.get(url).json["data"])


@every_engine
def test_of_many_deletions_one_succeeds(alice, note, url):
    statuses = at_once(8, lambda n: alice.delete(url, status="*"))
    assert statuses == [200] + [404] * 7


@every_engine
def test_first_writes_of_a_user_can_meet(api):
    carol = api.user("carol")
    assert at_once(8, lambda n: carol.post("/notes", {"n": n}, status="*")) == [201] * 8
    assert len(carol.list("/notes")) == 8


@every_engine
def test_of_many_writers_of_a_shared_record_one_succeeds(alice):
    page = alice.create("/pages", {"n": 0})
    path = f"/pages/{page['id']}"
    condition = match(page["last_modified"])
    statuses = at_once(8, lambda n: alice.put(path, {"n": n}, condition, status="*"))
    assert statuses == [200] + [412] * 7


@pytest.mark.parametrize(
    "timestamp, date",
    [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (1430222877724, "Tue, 28 Apr 2015 12:07:57 GMT"),
        (1709164800000, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (preconditions.MAX_TIMESTAMP, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (10**18, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_dates_are_those_of_http(timestamp, date):
    assert preconditions.http_date(timestamp) == date


def test_etag_is_the_timestamp_between_quotes():
    assert preconditions.etag(5) == '"5"'
