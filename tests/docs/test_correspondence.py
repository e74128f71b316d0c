"""The comparison of pages with what one gets: what it lets pass, and what it finds."""

import pytest

from tests.docs.correspondence import Correspondence, Mismatch

ONE, OTHER = "8d9c3f0e-5b1a-4c7e-9f3d-2a6b8e4c1d07", "f2a7c6d1-04be-4e19-8c55-7d3e9b0a6f42"
REAL, REAL_OTHER = "31b4e8a9-c2d7-4f60-a1e3-5c8f7b2d9e14", "b60d5f27-93ae-4b18-8f4c-e1a7c3920d5b"


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ("as it is", "as it is\n"),
        ("KIND   TIME", "KIND TIME"),
        (f"id {ONE}", f"id {REAL}"),
        ("Date: Sat, 21 Nov 2026 10:22:54 GMT", "Date: Sun, 22 Nov 2026 00:00:00 GMT"),
        ("2 passed in 0.41s", "2 passed in 1.5s"),
        ('head\n\n{"a": [1, 2],\n "b": {}}', 'head\r\n\r\n{"a":[1,2],"b":{}}'),
        ("first\n...\nlast", "first\nsecond\nthird\nlast"),
        ("first\n...", "first"),
        ("...", ""),
    ],
)
def test_values_that_vary_can_differ(shown, actual):
    Correspondence().compare(shown, actual)


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ("as it is", "as it was"),
        ("one line", "one line\nmore"),
        ("one line\nmore", "one line"),
        ("", "more"),
        (f"id {ONE}", "id 7"),
        ("3 passed in 0.41s", "2 passed in 0.41s"),
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', '{"a": 1, "b": 2}'),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
        ("first\n...\nlast", "first\nsecond"),
        ("...\nlast", "last\nmore"),
    ],
)
def test_other_differences_are_found(shown, actual):
    with pytest.raises(Mismatch):
        Correspondence().compare(shown, actual)


def test_ids_correspond_one_to_one():
    correspondence = Correspondence()
    correspondence.compare(ONE, REAL)
    correspondence.compare(ONE, REAL)
    with pytest.raises(Mismatch, match="was .* before"):
        correspondence.compare(ONE, REAL_OTHER)
    with pytest.raises(Mismatch, match="as before"):
        correspondence.compare(OTHER, REAL)


def test_timestamps_are_in_the_order_of_the_page():
    correspondence = Correspondence()
    correspondence.compare("1795256612042", "1800000000000")
    correspondence.compare("1795256655310", "1800000000001")
    with pytest.raises(Mismatch, match="another order"):
        correspondence.compare("1795256633333", "1800000000002")


def test_commands_contain_the_values_of_earlier_responses():
    correspondence = Correspondence()
    correspondence.compare(f"id {ONE}", f"id {REAL}")
    assert correspondence.meant(f"curl /{ONE}/{OTHER}") == f"curl /{REAL}/{OTHER}"
    correspondence.compare(OTHER, OTHER)
    with pytest.raises(Mismatch):
        correspondence.compare(OTHER, REAL_OTHER)
