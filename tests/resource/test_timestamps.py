"""Timestamps that clients give, for replication."""

import itertools
import uuid

import pytest

from cliquet.resource.preconditions import MAX_TIMESTAMP
from tests.resource.apps import ENGINES, SERVED, Book, Note, Page

every_engine = pytest.mark.parametrize("engine", ENGINES)

READABLE = {"page_read_principals": "system.Authenticated"}
PAST, FUTURE = 1_000_000_000_000, 4_000_000_000_000


@pytest.fixture
def alice(build_once):
    return build_once(Note, Book, Page, settings=READABLE).user("alice")


def collection_time(alice, path="/notes"):
    return int(alice.get(path).headers["ETag"].strip('"'))


def new():
    return f"/notes/{uuid.uuid4()}"


@every_engine
@pytest.mark.parametrize("path", ["/notes", "/pages"])
def test_record_is_created_at_the_given_time(alice, path):
    record = alice.create(path, {"title": "A", "last_modified": FUTURE})
    assert record["last_modified"] == FUTURE
    assert collection_time(alice, path) == FUTURE


@every_engine
def test_record_created_in_the_past_moves_the_list_to_now(alice):
    before = alice.create("/notes")["last_modified"]
    record = alice.create("/notes", {"last_modified": PAST})
    assert record["last_modified"] == PAST
    assert FUTURE > collection_time(alice) > before


@every_engine
def test_put_creates_at_the_given_time(alice):
    path = new()
    response = alice.put(path, {"last_modified": PAST}, status=201)
    assert response.json["data"]["last_modified"] == PAST
    assert response.headers["ETag"] == f'"{PAST}"'


@every_engine
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_later_time_is_taken_and_an_earlier_one_ignored(alice, method):
    note = alice.create("/notes", {"n": 1})
    path = f"/notes/{note['id']}"

    numbers = itertools.count()

    def modified(time):
        body = {"data": {"n": next(numbers), "last_modified": time}}
        return alice.send(method, path, body, status=200).json["data"]["last_modified"]

    now = modified(PAST)
    assert FUTURE > now > note["last_modified"]
    assert modified(FUTURE) == FUTURE
    assert modified(FUTURE) == FUTURE + 1
    assert modified(PAST) == FUTURE + 2
    assert collection_time(alice) == FUTURE + 2


@every_engine
@pytest.mark.parametrize("quotes", ["", "%22"])
def test_deletion_takes_a_later_time_and_ignores_an_earlier_one(alice, quotes):
    first, second = alice.create("/notes"), alice.create("/notes")

    def deleted(note, time):
        path = f"/notes/{note['id']}?last_modified={quotes}{time}{quotes}"
        return alice.delete(path).json["data"]["last_modified"]

    assert FUTURE > deleted(first, PAST) > second["last_modified"]
    assert deleted(second, FUTURE) == FUTURE
    assert collection_time(alice) == FUTURE


@every_engine
def test_time_that_is_taken_gives_the_next_free_one(alice):
    for n in range(3):
        record = alice.create("/notes", {"last_modified": FUTURE})
        assert record["last_modified"] == FUTURE + n
    alice.delete(f"/notes/{record['id']}?last_modified={FUTURE}")
    times = [record["last_modified"] for record in alice.list("/notes?_since=1")]
    assert len(set(times)) == 3


@every_engine
@pytest.mark.parametrize("time", [1, MAX_TIMESTAMP])
def test_least_and_greatest_times_are_accepted(alice, time):
    note = alice.create("/notes", {"last_modified": time})
    assert note["last_modified"] == time
    assert alice.get(f"/notes/{note['id']}").json["data"] == note
    assert alice.list(f"/notes?last_modified={time}") == [note]


BAD = [0, -1, MAX_TIMESTAMP + 1, 10**30, 1.5, 1e3, "1", "abc", "", True, [1], {}]


@pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
@pytest.mark.parametrize("time", [PAST, FUTURE, *BAD])
def test_time_is_ignored_where_unknown_fields_are(alice, time):
    before = alice.create("/books", {"title": "A"})["last_modified"]
    book = alice.create("/books", {"title": "A", "last_modified": time})
    times = [book["last_modified"]]
    url = f"/books/{book['id']}"
    for n, method in enumerate(("PUT", "PATCH", "PUT")):
        body = {"data": {"title": f"A{n}", "last_modified": time}}
        times.append(alice.send(method, url, body, status=200).json["data"]["last_modified"])
    path = f"/books/{uuid.uuid4()}"
    body = {"data": {"title": "B", "last_modified": time}}
    times.append(alice.send("PUT", path, body, status=201).json["data"]["last_modified"])
    assert times == sorted({before, *times} - {before})
    assert before < times[0] and times[-1] < FUTURE


@pytest.mark.parametrize("time", BAD)
@pytest.mark.parametrize("path", ["/notes", "/pages"])
def test_invalid_time_is_a_400(alice, path, time):
    record = alice.create(path, {"title": "A"})
    body = {"data": {"title": "B", "last_modified": time}}
    url = f"{path}/{record['id']}"
    for method, target in [("POST", path), ("PUT", url), ("PATCH", url)]:
        error = alice.send(method, target, body, status=400).json
        assert error["errno"] == 107
        assert error["details"][0]["name"] == "last_modified"
    assert alice.list(path) == [record]


@pytest.mark.parametrize("path", ["/notes", "/pages"])
def test_null_is_not_a_time(alice, path):
    alice.post(path, {"title": "A", "last_modified": None}, status=400)


@pytest.mark.parametrize("time", ["abc", "1.5", "true", "null", str(MAX_TIMESTAMP + 1)])
def test_deletion_at_an_invalid_time_is_a_400(alice, time):
    note = alice.create("/notes")
    path = f"/notes/{note['id']}?last_modified={time}"
    assert alice.delete(path, status=400).json["details"][0]["location"] == "querystring"
    assert alice.list("/notes") == [note]


@pytest.mark.parametrize("time", ["", "0", "-1", "1", '"0"'])
def test_deletion_at_an_earlier_time_is_now(alice, time):
    note = alice.create("/notes")
    tombstone = alice.delete(f"/notes/{note['id']}?last_modified={time}").json["data"]
    assert tombstone["last_modified"] > note["last_modified"]


def test_time_that_the_list_has_reached_is_accepted_back_above_the_maximum(alice):
    alice.create("/notes", {"last_modified": MAX_TIMESTAMP})
    note = alice.create("/notes", {"n": 1})
    assert note["last_modified"] > MAX_TIMESTAMP
    path = f"/notes/{note['id']}"
    again = alice.put(path, note, status=200).json["data"]
    assert again["last_modified"] > note["last_modified"]
    again = alice.patch(path, {**again, "n": 2}, status=200).json["data"]
    alice.post("/notes", {"last_modified": again["last_modified"] + 1}, status=400)


def test_deletion_accepts_back_a_time_above_the_maximum(alice):
    alice.create("/notes", {"last_modified": MAX_TIMESTAMP})
    note = alice.create("/notes", {"n": 1})
    alice.delete(f"/notes/{note['id']}?last_modified={note['last_modified']}", status=200)


def test_patch_of_the_time_alone_is_a_change_if_it_is_later(alice):
    note = alice.create("/notes", {"n": 1})
    path = f"/notes/{note['id']}"
    same = alice.patch(path, {"last_modified": note["last_modified"]}).json["data"]
    assert same == note
    assert alice.patch(path, {"last_modified": PAST}).json["data"] == note
    assert alice.patch(path, {"last_modified": FUTURE}).json["data"]["last_modified"] == FUTURE
