"""Conditional requests."""

import threading
import uuid

import pytest

from cliquet.resource import preconditions
from tests.resource.apps import ENGINES, Note, Page

every_engine = pytest.mark.parametrize("engine", ENGINES)

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
def test_if_match_below_the_record_is_a_412_which_tells_the_record(alice, note, url, method):
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
def test_if_none_match_of_what_did_not_change_is_a_304(alice, note, path, method):
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


def test_if_match_on_a_record_that_never_was_lets_put_create_it(alice, note):
    # There is no timestamp that could be above.
    alice.put(NEW, {"n": 2}, match(note["last_modified"]), status=201)


def test_missing_record_is_a_404_whatever_the_conditions(alice):
    for headers in (match(1), none_match(1)):
        alice.get(NEW, headers, status=404)
        alice.delete(NEW, headers, status=404)
        alice.patch(NEW, {}, headers, status=404)


BAD = ["abc", "123", '"abc"', '""', '"-1"', '"0"', '"1.5"', 'W/"1"', '"1", "2"', "'1'", '"١"', ""]
BAD += [f'"{preconditions.MAX_TIMESTAMP + 1}"', '"{}"'.format("9" * 30), '"true"']


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_any_other_form_is_a_400(alice, note, url, header, value):
    for method, path in [
        ("GET", "/notes"),
        ("GET", url),
        ("POST", "/notes"),
        ("PUT", url),
        ("PATCH", url),
        ("DELETE", url),
        ("DELETE", "/notes"),
    ]:
        headers = {header: value.encode("utf-8").decode("latin-1")}
        response = alice.send(method, path, body_of(method), headers, status=400)
        assert response.json["errno"] == 107
        assert response.json["details"][0]["location"] == "headers"
        assert f"Invalid value for {header}" in response.json["message"]
    assert alice.list("/notes") == [note]


def test_if_match_has_no_star(alice, url):
    alice.put(url, {}, {"If-Match": "*"}, status=400)


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
    alice.get("/notes", {"If-None-Match": f'"{second["last_modified"] + 1}"'}, status=400)
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
    assert sorted(statuses) == [200] + [412] * 7


@every_engine
def test_of_many_writers_of_one_new_record_one_succeeds(alice):
    star = {"If-None-Match": "*"}
    statuses = at_once(8, lambda n: alice.put(NEW, {"n": n}, star, status="*"))
    assert sorted(statuses) == [201] + [412] * 7


@every_engine
def test_of_many_patches_none_is_lost(alice, note, url):
    assert at_once(8, lambda n: alice.patch(url, {f"f{n}": n}, status="*")) == [200] * 8
    assert {f"f{n}" for n in range(8)} <= set(alice.get(url).json["data"])


@every_engine
def test_of_many_deletions_one_succeeds(alice, note, url):
    statuses = at_once(8, lambda n: alice.delete(url, status="*"))
    assert sorted(statuses) == [200] + [404] * 7


@every_engine
def test_first_writes_of_a_user_may_meet(api):
    carol = api.user("carol")
    assert at_once(8, lambda n: carol.post("/notes", {"n": n}, status="*")) == [201] * 8
    assert len(carol.list("/notes")) == 8


@every_engine
def test_of_many_writers_of_a_shared_record_one_succeeds(alice):
    page = alice.create("/pages", {"n": 0})
    path = f"/pages/{page['id']}"
    condition = match(page["last_modified"])
    statuses = at_once(8, lambda n: alice.put(path, {"n": n}, condition, status="*"))
    assert sorted(statuses) == [200] + [412] * 7


def at_once(count, send):
    """Send requests from threads, and return the statuses of their answers."""
    statuses = []
    barrier = threading.Barrier(count)

    def run(n):
        barrier.wait()
        statuses.append(send(n).status_code)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


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
    assert preconditions.parse_etag('"5"') == 5
