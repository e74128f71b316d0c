"""Deletion of one page of a list, on every engine."""

import pytest

from tests.resource.apps import ENGINES, SERVED, Note, Page

ORIGIN = {"Origin": "https://www.example.com"}


@pytest.fixture
def alice(build_once):
    return build_once(Note, Page).user("alice")


@pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
@pytest.mark.parametrize("path", ["/notes", "/pages"])
def test_each_page_that_a_list_has_can_be_deleted(alice, path):
    shared = {"permissions": {"read": ["system.Authenticated"]}} if path == "/pages" else {}
    for n in (3, 1, 2, 5, 4):
        alice.create(path, {"n": n}, **shared)
    url = f"{path}?_limit=2&_sort=-n&min_n=2"
    deleted = []
    while url:
        listed = alice.get(url)
        response = alice.delete(url, ORIGIN)
        assert [each["deleted"] for each in response.json["data"]] == [True, True]
        ids = [record["id"] for record in listed.json["data"]]
        assert [each["id"] for each in response.json["data"]] == ids
        for header in ("Next-Page", "Total-Records"):
            assert response.headers.get(header) == listed.headers.get(header)
            assert header in response.headers["Access-Control-Expose-Headers"]
        deleted += [record["n"] for record in listed.json["data"]]
        url = response.headers.get("Next-Page")
    assert deleted == [5, 4, 3, 2]
    assert alice.values(path) == [1]


def test_headers_of_pages_are_not_exposed_without_pages(alice):
    response = alice.delete("/notes?n=2", ORIGIN)
    assert "Next-Page" not in response.headers["Access-Control-Expose-Headers"]
