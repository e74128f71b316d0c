"""Limits of single requests, on every engine."""

import functools
import json

import pytest
from webob import Request

from cliquet.http.limits import Budget, limits_of
from cliquet.resource import UserResource
from cliquet.storage import StorageBase
from cliquet.testing import get_user_headers
from tests.resource.apps import ENGINES, SERVED, AnyFields

every_engine = pytest.mark.parametrize("engine", [*ENGINES, *SERVED])

SMALL = {
    "max_body_bytes": 2000,
    "max_record_bytes": 500,
    "max_values": 60,
    "max_nesting": 10,
    "max_digits": 30,
    "max_filters": 4,
    "max_filter_values": 5,
    "max_sort_fields": 2,
    "max_selected_fields": 3,
}


class Note(UserResource):
    mapping = AnyFields()


@pytest.fixture
def alice(build_once):
    return build_once(Note, settings=SMALL).user("alice")


def nested(levels):
    return json.loads("[" * levels + "]" * levels)


QUERIES = {
    "max_filters": ("a=1&b=2&c=3&d=4", "a=1&b=2&c=3&d=4&e=5"),
    "max_filters with the same field": ("a=1&a=2&min_a=3&_since=1", "a=1&a=2&a=3&_since=1&not_a=4"),
    "max_filter_values": ("in_a=1,2,3,4,5", "in_a=1,2,3,4,5,6"),
    "max_filter_values of exclude_": ("exclude_a=1,2,3,4,5", "exclude_a=,,,,,"),
    "max_filter_values of ids": ("in_id=a,b,c,d,e", "in_id=a,b,c,d,e,f"),
    "max_sort_fields": ("_sort=a,-b", "_sort=a,-b,c"),
    "max_sort_fields with the same field": ("_sort=a,a", "_sort=a,a,a"),
    "max_selected_fields": ("_fields=a,b,c", "_fields=a,b,c,a"),
    "max_selected_fields with dots": ("_fields=a.b,a.c,a.d", "_fields=a.b,a.c,a.d,a.e"),
}


@every_engine
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("name", QUERIES)
def test_query_string_within_and_beyond_a_limit(alice, name, method):
    accepted, refused = QUERIES[name]
    if method == "DELETE" and "_fields" in accepted:
        pytest.skip("a DELETE selects no fields")
    response = alice.send(method, f"/notes?{refused}", status=400)
    if method != "HEAD":
        assert f"(setting {name.split()[0]})" in response.json["message"]
    alice.send(method, f"/notes?{accepted}", status=200)


DATA = {
    "max_values": ([1] * 50, [1] * 70, 400),
    "max_values of objects": ([{}] * 50, [{}] * 70, 400),
    "max_values of keys": ({f"k{n}": n for n in range(40)}, {f"k{n}": n for n in range(70)}, 400),
    "max_nesting": (nested(9), nested(10), 400),
    "max_digits": (10**29, 10**30, 400),
    "max_digits of a negative": (-(10**29), -(10**30), 400),
    "max_record_bytes": ("x" * 400, "x" * 600, 413),
    "max_body_bytes": ("x" * 400, "x" * 3000, 413),
}


@every_engine
@pytest.mark.parametrize("name", DATA)
def test_body_within_and_beyond_a_limit(alice, name):
    accepted, refused, status = DATA[name]
    note = alice.create("/notes", {"a": 1})
    path = f"/notes/{note['id']}"
    for method, url in (("POST", "/notes"), ("PUT", path), ("PATCH", path)):
        response = alice.send(method, url, {"data": {"a": refused}}, status=status)
        assert response.json["errno"] == (107 if status == 400 else 113)
        assert alice.get(path).json["data"] == note
    assert alice.values("/notes", "a") == [1]
    for method, url in (("POST", "/notes"), ("PUT", path), ("PATCH", path)):
        assert alice.send(method, url, {"data": {"a": accepted}}).json["data"]["a"] == accepted


@every_engine
def test_record_cannot_grow_beyond_its_limit_by_small_changes(alice):
    path = f"/notes/{alice.create('/notes', {'a': 1})['id']}"
    statuses = [
        alice.send("PATCH", path, {"data": {f"field{n}": "x" * 40}}, status="*").status_int
        for n in range(12)
    ]
    assert statuses[:6] == [200] * 6
    assert statuses[-1] == 413
    assert len(json.dumps(alice.get(path).json["data"])) < 700


def test_body_of_unknown_length_is_read_no_further_than_its_limit(alice):
    class Endless:
        read_bytes = 0

        def read(self, size=-1):
            assert size >= 0
            self.read_bytes += size
            return b"x" * size

    source = Endless()
    request = Request.blank("/v1/notes", method="POST", headers=get_user_headers("alice"))
    request.content_type = "application/json"
    request.environ.update({"wsgi.input": source, "wsgi.input_terminated": True})
    request.environ.pop("CONTENT_LENGTH", None)
    response = request.get_response(alice.app)
    assert response.status_int == 413
    assert response.json["message"] == (
        "The body is larger than 2000 bytes (setting max_body_bytes)"
    )
    assert source.read_bytes <= 1 << 16  # a buffer


def batch(client, requests, **rest):
    return client.send("POST", "/batch", {"requests": requests, **rest}, status="*")


def test_defaults_of_a_batch_count_in_each_request(alice):
    body = {"data": {"a": [1] * 10}}
    defaults = {"method": "POST", "path": "/notes", "body": body}
    assert batch(alice, [{}] * 2, defaults=defaults).status_int == 200
    response = batch(alice, [{}] * 10, defaults=defaults)
    assert response.status_int == 400
    assert "(setting max_values)" in response.json["message"]
    defaults["body"] = {"data": {"a": "x" * 300}}
    assert batch(alice, [{}] * 3, defaults=defaults).status_int == 200
    response = batch(alice, [{}] * 7, defaults=defaults)
    assert response.status_int == 413
    assert "(setting max_body_bytes)" in response.json["message"]
    assert len(alice.get("/notes").json["data"]) == 5


def test_defaults_that_the_requests_replace_do_not_count(alice):
    defaults = {"method": "POST", "path": "/notes", "body": {"data": {"a": [1] * 10}}}
    response = batch(alice, [{"body": {"data": {"a": 2}}}] * 5, defaults=defaults)
    assert [each["status"] for each in response.json["responses"]] == [201] * 5
    assert alice.values("/notes", "a") == [2] * 5


# Pages and batches of large records.


@pytest.fixture
def large(build_once):
    """A user with 60 records of about 1000 bytes."""
    api = build_once(Note, settings={"max_page_bytes": 10_000, "batch_max_bytes": 30_000})
    alice = api.user("alice")
    owner = alice.id
    for number in range(60):
        api.storage.create("note", owner, {"n": number, "text": "x" * 970})
    return alice


ORDERS = ["", "_sort=last_modified", "_sort=n", "_sort=-n,last_modified", "_since=1", "min_n=5"]


@every_engine
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", ["", "_limit=50"])
def test_page_ends_early_when_its_records_are_large(large, order, limit):
    url = "/notes?" + "&".join(filter(None, (order, limit)))
    seen = []
    while url:
        response = large.get(url)
        page = response.json["data"]
        assert 1 <= len(page) <= 11
        assert len(response.body) < 12_000
        assert response.headers["Total-Records"] == ("55" if order == "min_n=5" else "60")
        seen += [record["n"] for record in page]
        url = response.headers.get("Next-Page", "").partition("/v1")[2]
    expected = sorted(range(5 if order == "min_n=5" else 0, 60))
    assert sorted(seen) == expected
    if order in ("", "_sort=-n,last_modified"):
        assert seen == expected[::-1]
    elif "_sort" in order:
        assert seen == expected


@every_engine
def test_pages_with_tombstones_leave_nothing_out(large):
    ids = [record["id"] for record in walk(large, "/notes?_sort=n")]
    for object_id in ids[::3]:
        large.delete(f"/notes/{object_id}")
    for order in ("_since=1", "_since=1&_sort=last_modified", "_since=1&_sort=n"):
        records = walk(large, f"/notes?{order}")
        assert sorted(record["id"] for record in records) == sorted(ids)
        assert sum(record.get("deleted", False) for record in records) == 20


def walk(client, url):
    records = []
    while url:
        response = client.get(url)
        records += response.json["data"]
        url = response.headers.get("Next-Page", "").partition("/v1")[2]
    return records


@every_engine
def test_page_has_a_record_however_large_it_is(build):
    alice = build(Note, settings={"max_page_bytes": 100}).user("alice")
    for number in range(3):
        alice.create("/notes", {"n": number, "text": "x" * 1000})
    response = alice.get("/notes")
    assert [record["n"] for record in response.json["data"]] == [2]
    assert [record["n"] for record in walk(alice, "/notes")] == [2, 1, 0]


def test_storage_of_others_can_ignore_the_size_of_pages(build):
    api = build(Note, settings={"max_page_bytes": 100})
    alice = api.user("alice")
    for number in range(3):
        alice.create("/notes", {"n": number, "text": "x" * 1000})
    storage = api.storage
    storage.get_all = functools.partial(StorageBase.get_all, storage)  # as if it were overridden
    assert len(alice.get("/notes").json["data"]) == 3


@every_engine
def test_batch_of_lists_is_refused_once_its_bytes_are_spent(large):
    response = batch(large, [{"path": "/notes"}] * 8)
    statuses = [each["status"] for each in response.json["responses"]]
    assert statuses == [200, 200, 200, 413, 413, 413, 413, 413]
    refused = response.json["responses"][-1]
    assert refused["body"]["errno"] == 113
    assert "(setting batch_max_bytes)" in refused["body"]["message"]
    assert len(response.body) < 40_000


@every_engine
def test_records_read_for_short_responses_count_towards_the_limit(large):
    response = batch(large, [{"path": "/notes?_fields=n"}] * 8)
    assert [each["status"] for each in response.json["responses"]] == [200] * 3 + [413] * 5


def test_batch_is_refused_once_its_time_is_over(build, monkeypatch):
    alice = build(Note, settings={"batch_timeout_seconds": 5}).user("alice")
    moments = iter([0, 1, 4, 6, 6, 6])
    monkeypatch.setattr("cliquet.http.limits.time.monotonic", lambda: next(moments))
    create = {"method": "POST", "path": "/notes", "body": {"data": {"n": 1}}}
    response = batch(alice, [create] * 4)
    monkeypatch.undo()
    assert [each["status"] for each in response.json["responses"]] == [201, 201, 413, 413]
    refused = response.json["responses"][-1]["body"]
    assert "(setting batch_timeout_seconds)" in refused["message"]
    assert alice.values("/notes", "n") == [1, 1]


def test_empty_settings_mean_no_limit(build):
    alice = build(Note, settings={**dict.fromkeys(SMALL, ""), "max_page_bytes": ""}).user("alice")
    many = "&".join(f"f{number}=1" for number in range(30))
    alice.get(f"/notes?{many}")
    alice.get("/notes?_sort=" + ",".join(f"f{number}" for number in range(10)))
    alice.create("/notes", {"a": "x" * 300_000})
    assert len(alice.get("/notes").json["data"]) == 1


def test_budget_counts_the_bytes_of_the_batch(build):
    limits = limits_of(build(Note).registry)._replace(max_page_bytes=50, batch_max_bytes=70)
    budget = Budget(limits)
    assert (budget.page_bytes(), budget.spent()) == (50, None)
    budget.respond(60)
    assert (budget.page_bytes(), budget.spent()) == (10, None)
    budget.read(60)
    assert (budget.page_bytes(), budget.spent()) == (10, None)
    budget.respond(1)
    assert (budget.page_bytes(), budget.spent()) == (0, "batch_max_bytes")


# Errors.


def test_errors_are_not_much_larger_than_the_request(build):
    alice = build(Note).user("alice")
    for url in (f"/notes?_since={'x' * 5000}", f"/notes?in_last_modified={'x' * 5000}"):
        assert len(alice.get(url, status=400).body) < 1500
    response = alice.send("POST", "/notes", {"x" * 5000: 1}, status=400)
    assert len(response.body) < 1500
    response = alice.send("POST", "/notes", {f"field{n}": 1 for n in range(500)}, status=400)
    assert len(response.json["details"]) == 100


@every_engine
def test_large_responses_in_a_batch_are_the_same_as_elsewhere(build):
    alice = build(Note).user("alice")
    for number in range(30):
        alice.create("/notes", {"n": number, "big": 10**40, "text": "é\n" * 3000})
    whole = alice.get("/notes").json
    assert len(json.dumps(whole)) > 1 << 16
    (response,) = batch(alice, [{"path": "/notes"}]).json["responses"]
    assert response["body"] == whole
    assert response["headers"]["Total-Records"] == "30"
    (response,) = batch(alice, [{"path": "/notes", "method": "HEAD"}]).json["responses"]
    assert response["body"] == ""
