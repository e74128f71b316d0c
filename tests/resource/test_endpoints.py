"""Every endpoint of a resource, and the headers of its responses."""

import time
import uuid

import pytest

from tests.resource.apps import ENGINES, Book, Note

pytestmark = pytest.mark.parametrize("engine", ENGINES)

TOMBSTONE = {"id", "last_modified", "deleted"}


@pytest.fixture
def api(build_once):
    return build_once(Book, Note)


@pytest.fixture
def alice(api):
    return api.user("alice")


@pytest.fixture
def bob(api):
    return api.user("bob")


def missing():
    return f"/books/{uuid.uuid4()}"


def url(record):
    return f"/books/{record['id']}"


def etag(record):
    return '"{last_modified}"'.format(**record)


def test_timestamp_of_an_empty_list_is_stable(alice):
    first, second = alice.get("/books"), alice.get("/books")
    assert first.json == {"data": []}
    assert first.headers["Total-Records"] == "0"
    assert "Next-Page" not in first.headers
    assert first.headers["ETag"] == second.headers["ETag"]


def test_timestamp_of_an_empty_list_grows_with_the_first_write(alice):
    before = int(alice.get("/books").headers["ETag"].strip('"'))
    assert alice.create("/books", {"title": "A"})["last_modified"] > before


def test_list_gives_the_latest_records_first(alice):
    for n in range(3):
        alice.create("/notes", {"n": n})
    response = alice.get("/notes")
    assert [record["n"] for record in response.json["data"]] == [2, 1, 0]
    assert response.headers["Total-Records"] == "3"
    assert response.headers["ETag"] == etag(response.json["data"][0])
    assert response.headers["Last-Modified"].endswith(" GMT")
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.content_type == "application/json"


def test_headers_of_a_list_come_alone_with_head(alice):
    alice.create("/books", {"title": "A"})
    listed, headers_only = alice.get("/books"), alice.head("/books")
    assert headers_only.body == b""
    for name in ("ETag", "Last-Modified", "Total-Records", "Cache-Control"):
        assert headers_only.headers[name] == listed.headers[name]


def test_headers_that_pages_of_other_origins_can_read_depend_on_the_endpoint(alice):
    book = alice.create("/books", {"title": "A"})
    common = {"Backoff", "Retry-After", "Alert", "Content-Length", "Vary"}
    record = common | {"Last-Modified", "ETag", "Cache-Control", "Expires", "Pragma"}

    def exposed(response):
        names = response.headers["Access-Control-Expose-Headers"].split(",")
        return {name.strip() for name in names}

    origin = {"Origin": "https://there.example"}
    assert exposed(alice.get("/books", origin)) == record | {"Next-Page", "Total-Records"}
    assert exposed(alice.get(url(book), origin)) == record
    assert exposed(alice.put(url(book), {"title": "B"}, origin)) == common


def test_post_creates_a_record(alice):
    response = alice.post("/books", {"title": "A"}, status=201)
    book = response.json["data"]
    assert book == {**book, "title": "A", "pages": 0, "code": ""}
    assert uuid.UUID(book["id"]).version == 4
    assert abs(book["last_modified"] - time.time() * 1000) < 60_000
    assert alice.list("/books") == [book]


def test_post_with_an_id_creates_that_record(alice):
    chosen_id = str(uuid.uuid4())
    assert alice.create("/books", {"id": chosen_id, "title": "A"})["id"] == chosen_id
    assert alice.get(f"/books/{chosen_id}").json["data"]["title"] == "A"


def test_post_with_an_existing_id_returns_the_record_unchanged(alice):
    book = alice.create("/books", {"title": "A"})
    response = alice.post("/books", {"id": book["id"], "title": "B"}, status=200)
    assert response.json["data"] == book
    assert alice.list("/books") == [book]


def test_post_with_the_id_of_a_tombstone_creates_the_record_again(alice):
    book = alice.create("/books", {"title": "A"})
    alice.delete(url(book))
    again = alice.create("/books", {"id": book["id"], "title": "B"})
    assert again["last_modified"] > book["last_modified"]
    assert alice.list("/books?_since=1") == [again]


def test_delete_of_a_list_returns_the_tombstones(alice):
    created = [alice.create("/books", {"title": "A"}) for _ in range(2)]
    tombstones = alice.delete("/books").json["data"]
    assert {item["id"] for item in tombstones} == {book["id"] for book in created}
    assert all(set(item) == TOMBSTONE and item["deleted"] is True for item in tombstones)
    assert len({item["last_modified"] for item in tombstones}) == 2
    assert alice.list("/books") == []


def test_delete_of_a_list_deletes_matching_records(alice):
    for pages in (1, 2, 3):
        alice.create("/books", {"title": "A", "pages": pages})
    assert len(alice.delete("/books?min_pages=2").json["data"]) == 2
    assert alice.values("/books", "pages") == [1]


@pytest.fixture
def books(alice):
    return [alice.create("/books", {"title": "A", "pages": n}) for n in range(5)]


@pytest.mark.parametrize(
    "query, deleted",
    [
        ("_limit=2", [4, 3]),
        ("_limit=2&_sort=pages", [0, 1]),
        ("_limit=1&min_pages=3&_sort=pages", [3]),
        ("_sort=-pages", [4, 3, 2, 1, 0]),
        ("_limit=0&_sort=pages", [0, 1, 2, 3, 4]),
        ("_limit=", [4, 3, 2, 1, 0]),
        ("_limit=9", [4, 3, 2, 1, 0]),
        ("_limit=2&min_pages=9", []),
    ],
)
def test_delete_deletes_the_page_that_get_lists(alice, books, query, deleted):
    listed = alice.get(f"/books?{query}")
    tombstones = alice.delete(f"/books?{query}").json["data"]
    ids = [books[n]["id"] for n in deleted]
    assert [record["id"] for record in listed.json["data"]] == ids
    assert [tombstone["id"] for tombstone in tombstones] == ids
    assert len(alice.list("/books")) == 5 - len(deleted)


def test_delete_walks_the_pages_of_a_list(alice, books):
    path, pages = "/books?_limit=2&_sort=pages", []
    while path:
        response = alice.delete(path)
        pages.append([tombstone["id"] for tombstone in response.json["data"]])
        path = response.headers.get("Next-Page", "")
    ids = [book["id"] for book in books]
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    assert alice.list("/books") == []


def test_delete_with_token_deletes_the_following_records(alice, books):
    page = alice.get("/books?_limit=3&_sort=pages").headers["Next-Page"]
    assert len(alice.delete(page).json["data"]) == 2
    assert sorted(alice.values("/books", "pages")) == [0, 1, 2]


def test_delete_without_a_limit_is_not_cut_by_the_settings(build, engine):
    alice = build(Book, settings={"paginate_by": 2}).user("alice")
    alice.delete("/books")
    for n in range(5):
        alice.create("/books", {"title": "A", "pages": n})
    assert len(alice.delete("/books?_sort=pages").json["data"]) == 2
    assert len(alice.delete("/books").json["data"]) == 3


@pytest.mark.parametrize(
    "query",
    [
        "_sinse=1",
        "_limits=2",
        "_Limit=2",
        "_=1",
        "%20_limit=2",
        "pages=1&_filter=x",
        "_limit=x",
        "_limit=-1",
        "_sort=unknown",
        "_token=x",
        "_since=x",
    ],
)
def test_delete_with_an_unknown_or_invalid_parameter_deletes_nothing(alice, books, query):
    error = alice.delete(f"/books?{query}", status=400).json
    assert error["errno"] == 107
    assert error["details"][0]["location"] == "querystring"
    assert len(alice.list("/books")) == 5


def test_delete_of_an_empty_list_changes_no_timestamp(alice):
    before = alice.get("/books").headers["ETag"]
    assert alice.delete("/books").json == {"data": []}
    assert alice.get("/books").headers["ETag"] == before


def test_get_returns_the_record_and_its_timestamp(alice):
    book = alice.create("/books", {"title": "A"})
    alice.create("/books", {"title": "later"})
    response = alice.get(url(book))
    assert response.json == {"data": book}
    assert response.headers["ETag"] == etag(book)
    assert response.headers["Last-Modified"].endswith(" GMT")
    assert response.headers["Cache-Control"] == "no-cache"


def test_head_of_a_record_has_its_headers(alice):
    book = alice.create("/books", {"title": "A"})
    response = alice.head(url(book))
    assert response.headers["ETag"] == etag(book)
    assert response.body == b""


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_missing_record_is_a_404(alice, method):
    body = {"data": {"title": "B"}} if method == "PATCH" else None
    error = alice.send(method, missing(), body, status=404).json
    assert error["errno"] == 111
    assert error["message"] == "The resource you are looking for could not be found."


def test_put_creates_the_record_that_is_missing(alice):
    path = missing()
    response = alice.put(path, {"title": "A"}, status=201)
    assert alice.get(path).json == response.json
    assert response.headers["ETag"] == etag(response.json["data"])
    assert "Last-Modified" in response.headers


def test_put_replaces_the_record(alice):
    book = alice.create("/books", {"title": "A", "pages": 3})
    response = alice.put(url(book), {"title": "B"}, status=200)
    replaced = response.json["data"]
    assert replaced == {**book, "title": "B", "pages": 0, "last_modified": response_time(response)}
    assert replaced["last_modified"] > book["last_modified"]
    assert alice.list("/books") == [replaced]


def response_time(response):
    return int(response.headers["ETag"].strip('"'))


def test_put_after_a_deletion_creates_the_record_again(alice):
    book = alice.create("/books", {"title": "A"})
    alice.delete(url(book))
    alice.put(url(book), {"title": "B"}, status=201)
    assert [item.get("deleted") for item in alice.list("/books?_since=1")] == [None]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_body_can_contain_the_id_of_the_url(alice, method):
    book = alice.create("/books", {"title": "A"})
    body = {"data": {"id": book["id"], "title": "B"}}
    assert alice.send(method, url(book), body).json["data"]["id"] == book["id"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_body_cannot_contain_another_id(build, alice, method):
    note = alice.create("/notes", {"n": 1})
    body = {"data": {"id": str(uuid.uuid4()), "n": 2}}
    error = alice.send(method, f"/notes/{note['id']}", body, status=400).json
    assert error["errno"] == 107
    assert error["details"][0]["name"] == "id"
    assert error["details"][0]["description"] == "Record id does not match existing record"
    assert alice.list("/notes") == [note]


def test_delete_returns_the_tombstone(alice):
    book = alice.create("/books", {"title": "A"})
    tombstone = alice.delete(url(book)).json["data"]
    assert tombstone == {
        "id": book["id"],
        "last_modified": tombstone["last_modified"],
        "deleted": True,
    }
    assert tombstone["last_modified"] > book["last_modified"]
    alice.get(url(book), status=404)
    alice.delete(url(book), status=404)
    assert alice.list("/books?_since=1") == [tombstone]


def test_every_write_increases_the_timestamp_of_the_list(alice):
    times = [response_time(alice.get("/books"))]

    def note():
        times.append(response_time(alice.get("/books")))

    book = alice.create("/books", {"title": "A"})
    note()
    alice.put(url(book), {"title": "B"})
    note()
    alice.patch(url(book), {"title": "C"})
    note()
    alice.delete(url(book))
    note()
    assert times == sorted(set(times))


def test_users_do_not_see_the_records_of_others(alice, bob):
    book = alice.create("/books", {"title": "A"})
    assert bob.list("/books") == []
    bob.get(url(book), status=404)
    bob.patch(url(book), {"title": "B"}, status=404)
    bob.delete(url(book), status=404)
    bob.put(url(book), {"title": "B"}, status=201)
    bob.delete("/books")
    assert alice.list("/books") == [book]


@pytest.mark.parametrize("path", ["/books", "/books/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"])
def test_anonymous_requests_return_401(api, path):
    response = api.get(path, status=401)
    assert response.json["errno"] == 104
    assert "WWW-Authenticate" in response.headers


@pytest.mark.parametrize("method, find", [("PUT", lambda: "/books"), ("POST", missing)])
def test_other_methods_are_not_allowed(alice, method, find):
    path = find()
    response = alice.send(method, path, {"data": {}}, status=405)
    assert response.json["errno"] == 115
    assert "GET" in response.headers["Allow"]
