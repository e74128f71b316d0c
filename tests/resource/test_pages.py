"""Lists by pages: each record exactly once, whatever the order."""

import base64
import json
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.resource.apps import ENGINES, AnyFields, Note, UserResource

pytestmark = pytest.mark.parametrize("engine", ENGINES)

VALUES = [3, 1, "1", None, {"a": 1}, [1], True, 1.5, "", "b", {"a": 2}, False, 10**20, -1]


@pytest.fixture
def alice(build_once):
    return build_once(Note).user("alice")


@pytest.fixture
def notes(alice):
    """Records that have fields of all types, or lack them."""
    with_value = [{"n": n, "value": value} for n, value in enumerate(VALUES)]
    without = [{"n": n, "even": n % 2 == 0} for n in range(14, 20)]
    return alice.fill("note", with_value + without)


ORDERS = [
    "",
    "last_modified",
    "-last_modified",
    "id",
    "-id",
    "n",
    "-n",
    "value",
    "-value",
    "even,-value",
    "-even,n",
    "even,last_modified",
    "missing",
    "-missing,value",
    "value,last_modified,n",
    "deleted,n",
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 7])
def test_walk_gives_each_record_once_in_the_order_of_the_whole(alice, notes, order, limit):
    whole = alice.list(f"/notes?_sort={order}")
    pages = alice.walk(f"/notes?_sort={order}&_limit={limit}")
    assert [record for page in pages for record in page] == whole
    assert len(whole) == len(notes)
    assert all(len(page) == limit for page in pages[:-1])
    assert 1 <= len(pages[-1]) <= limit


@pytest.mark.parametrize("order", ["", "last_modified", "value", "-deleted", "n,-last_modified"])
def test_walk_gives_tombstones_too(alice, notes, order):
    for record in notes[::3]:
        alice.delete(f"/notes/{record['id']}")
    whole = alice.list(f"/notes?_since=1&_sort={order}")
    assert len(whole) == len(notes)
    pages = alice.walk(f"/notes?_since=1&_sort={order}&_limit=3")
    assert [record for page in pages for record in page] == whole


def test_walk_keeps_the_filters(alice, notes):
    pages = alice.walk("/notes?min_n=5&not_n=7&_sort=n&_limit=4&_fields=n")
    numbers = [record["n"] for page in pages for record in page]
    assert numbers == [n for n in range(5, 20) if n != 7]
    assert all(set(record) == {"n", "id", "last_modified"} for page in pages for record in page)


def test_total_is_that_of_all_pages(alice, notes):
    path = "/notes?min_n=5&_limit=4"
    while path is not None:
        response = alice.get(path)
        assert response.headers["Total-Records"] == "15"
        path = response.headers.get("Next-Page")


def test_additions_and_removals_do_not_shift_pages(alice, notes):
    response = alice.get("/notes?_sort=n&_limit=5")
    seen = [record["n"] for record in response.json["data"]]
    alice.delete(f"/notes/{notes[0]['id']}")
    alice.delete(f"/notes/{notes[4]['id']}")
    alice.create("/notes", {"n": 2.5})
    for page in alice.walk(response.headers["Next-Page"]):
        seen += [record["n"] for record in page]
    assert seen == list(range(20))


def test_last_page_has_no_next_one_even_when_it_is_full(alice, notes):
    assert "Next-Page" not in alice.get("/notes?_limit=20").headers
    assert "Next-Page" in alice.get("/notes?_limit=19").headers


def test_next_page_is_an_absolute_url_with_the_parameters(alice, notes):
    url = alice.get("/notes?_limit=2&_sort=n&not_value=%C3%A9%26").headers["Next-Page"]
    parts = urlsplit(url)
    assert url.startswith("http://localhost:80/v1/notes?") or url.startswith(
        "http://localhost/v1/notes?"
    )
    parameters = parse_qs(parts.query)
    assert parameters["_limit"] == ["2"]
    assert parameters["_sort"] == ["n"]
    assert parameters["not_value"] == ["é&"]
    assert len(parameters["_token"]) == 1


def test_sizes_of_pages_are_at_most_the_setting(build):
    alice = build(Note, settings={"paginate_by": 3}).user("alice")
    alice.fill("note", [{"n": n} for n in range(7)])
    for path, size in [
        ("/notes", 3),
        ("/notes?_limit=", 3),
        ("/notes?_limit=0", 3),
        ("/notes?_limit=2", 2),
        ("/notes?_limit=5", 3),
        ("/notes?_limit=%2B1", 1),
    ]:
        assert len(alice.list(path)) == size, path
    assert [len(page) for page in alice.walk("/notes")] == [3, 3, 1]


@pytest.mark.parametrize("limit", ["-1", "a", "1.5", "true", "1e3", "٣", "9" * 5000])
def test_limit_that_is_not_a_natural_number_is_a_400(alice, limit):
    error = alice.get(f"/notes?_limit={quote(limit)}", status=400).json
    assert error["message"] == "querystring: _limit should be an integer"


def token(content):
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "bad",
    [
        "!",
        "abc",
        "é",
        base64.urlsafe_b64encode(b"\xff\xff").decode(),
        base64.urlsafe_b64encode(b"{").decode(),
        token([]),
        token("x"),
        token({}),
        token({"last_record": None}),
        token({"last_record": [1]}),
        token({"last_record": {}}),
        token({"last_record": {"n": 1}}),
        token({"last_record": {"last_modified": "1"}}),
        token({"last_record": {"last_modified": True}}),
        token({"last_record": {"last_modified": 1.5}}),
        token({"last_record": {"last_modified": 1, "other": 1}}),
        token({"last_record": {"last_modified": 1, "n": "\0"}}),
        token({"last_record": {"last_modified": 10**30}}),
        token({"last_record": {"last_modified": -(10**30)}}),
        token({"last_record": {"last_modified": 1}, "offset": "x"}),
    ],
)
def test_invented_token_is_not_a_server_error(alice, notes, bad):
    response = alice.get(f"/notes?_sort=n&_token={quote(bad)}", status="*")
    assert response.status_code in (200, 400)
    if response.status_code == 400:
        assert response.json["message"] == "querystring: _token has invalid content"


def test_empty_token_is_ignored(alice, notes):
    assert len(alice.list("/notes?_token=")) == len(notes)


def test_token_of_another_order_is_refused(alice, notes):
    url = alice.get("/notes?_sort=value&_limit=2").headers["Next-Page"]
    alice.get(url.replace("_sort=value", "_sort=n"), status=400)


def test_tokens_contain_only_the_sorted_fields(alice):
    alice.create("/notes", {"n": 1, "secret": "x"})
    alice.create("/notes", {"n": 2, "secret": "x"})
    url = alice.get("/notes?_sort=n&_limit=1").headers["Next-Page"]
    content = base64.urlsafe_b64decode(parse_qs(urlsplit(url).query)["_token"][0])
    assert set(json.loads(content)["last_record"]) == {"n", "last_modified"}


def test_pages_of_models_that_override_the_query_have_a_timestamp(build):
    class Model(UserResource.default_model):
        def get_records(self, *args, **kwargs):
            self.asked_with = kwargs
            return super().get_records(*args, **kwargs)

    class Memo(UserResource):
        mapping = AnyFields()
        default_model = Model

    alice = build(Memo).user("alice")
    record = alice.create("/memos")
    response = alice.get("/memos")
    assert response.headers["ETag"] == f'"{record["last_modified"]}"'
    assert response.json["data"] == [record]
