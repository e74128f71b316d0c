"""Lists of more records than a query brings, on every engine."""

import pytest

from tests.resource.apps import ENGINES, SERVED, Note

pytestmark = pytest.mark.parametrize("engine", [*ENGINES, *SERVED])


@pytest.fixture
def alice(build):
    return build(Note, settings={"storage_max_fetch_size": 4}).user("alice")


@pytest.mark.parametrize(
    "query", ["", "_limit=0", "_limit=1000", "_sort=n", "_sort=-even,n", "min_n=0", "_since=1"]
)
def test_records_beyond_what_a_query_brings_are_on_the_next_pages(alice, query):
    alice.fill("note", [{"n": n, "even": n % 2 == 0} for n in range(10)])
    first = alice.get(f"/notes?{query}")
    assert first.headers["Total-Records"] == "10"
    pages = alice.walk(f"/notes?{query}")
    assert [len(page) for page in pages] == [4, 4, 2]
    assert sorted(record["n"] for page in pages for record in page) == list(range(10))


def test_tombstones_beyond_what_a_query_brings_are_on_the_next_pages(alice):
    records = alice.fill("note", [{"n": n} for n in range(10)])
    alice.delete("/notes?lt_n=6")
    path = "/notes?_since=1&_sort=last_modified"
    assert alice.get(path).headers["Total-Records"] == "4"
    pages = alice.walk(path)
    changes = [record for page in pages for record in page]
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [change.get("n", "deleted") for change in changes] == [6, 7, 8, 9, *["deleted"] * 6]
    assert {change["id"] for change in changes} == {record["id"] for record in records}
