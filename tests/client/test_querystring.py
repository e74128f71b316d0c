"""Query strings of the Python client, read by the server."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliquet.client.querystring import querystring
from cliquet.resource.filters import Fields, FilterReader, guesses
from cliquet.storage import Filter
from cliquet.utils import COMPARISON, json

#: Strings that the server accepts.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
AMBIGUOUS = st.sampled_from(
    [
        "true",
        "No",
        "3",
        "-1.5e3",
        "007",
        '"',
        '""',
        '"a"',
        ",",
        'a","b',
        "",
        " ",
        "\\u002c",
        "+",
        "&=#",
    ]
)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = TEXTS | AMBIGUOUS | NUMBERS | st.booleans()
LISTS = ("in", "exclude", "contains", "contains_any")
PREFIXES = {name: COMPARISON[name.upper()] for name in ("min", "max", "gt", "lt", "not", *LISTS)}


def likeliest(field, text):
    """Return the first value that a string could stand for, in a list."""
    return guesses(field, text)[:1]


def read(query):
    """Return the filters that the server reads."""
    params = parse_qsl(query.removeprefix("?"), keep_blank_values=True, strict_parsing=True)
    is_known_field = {"title", "last_modified"}.__contains__
    fields = Fields(is_known_field, "id", "last_modified", likeliest, likeliest)
    return FilterReader(fields).read_all(params)


def same(found, *expected):
    return [(f.field, f.operator) for f in found] == [
        (f.field, f.operator) for f in expected
    ] and json.same([f.value for f in found], [f.value for f in expected])


@given(VALUES, st.sampled_from(sorted(set(PREFIXES) - set(LISTS))))
def test_value_keeps_its_type(value, prefix):
    values = read(querystring({"title": value, f"{prefix}_title": value}))
    equal = Filter("title", value, COMPARISON.EQ)
    assert same(values, equal, Filter("title", value, PREFIXES[prefix]))


@given(st.lists(VALUES, min_size=1), st.sampled_from(LISTS))
def test_values_of_a_list_keep_their_types(values, prefix):
    found = read(querystring({f"{prefix}_title": values}))
    assert same(found, Filter("title", values, PREFIXES[prefix]))


@given(TEXTS | AMBIGUOUS, st.booleans())
def test_patterns_and_presence_are_sent(pattern, presence):
    values = read(querystring({"like_title": pattern, "has_title": presence}))
    like = Filter("title", pattern, COMPARISON.LIKE)
    assert same(values, like, Filter("title", presence, COMPARISON.HAS))


def test_only_ambiguous_strings_are_quoted():
    assert querystring({"title": "Hello world", "not_title": "3"}) == (
        "?title=Hello+world&not_title=%223%22"
    )


def test_options_are_strings_numbers_or_lists():
    params = {"_sort": ["-a", "b"], "_fields": "a,b.c", "_limit": 3, "_since": '"5"'}
    assert parse_qsl(querystring(params)[1:]) == [
        ("_sort", "-a,b"),
        ("_fields", "a,b.c"),
        ("_limit", "3"),
        ("_since", '"5"'),
    ]


def test_options_that_are_none_are_left_out():
    assert querystring({"_limit": None, "_since": None}) == ""


@pytest.mark.parametrize("value", [b"x", {"a": 1}, [b"x"], [["a"]]])
def test_invalid_filter_value_is_refused(value):
    with pytest.raises(TypeError, match="title is .*: expected"):
        querystring({"title": value})


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], []])
def test_value_that_matches_nothing_is_refused(value):
    with pytest.raises(ValueError, match="in_title is .*: expected"):
        querystring({"in_title": value})


def test_unknown_option_is_refused():
    with pytest.raises(TypeError, match="Unknown option _order: expected one of _sort, _limit"):
        querystring({"_order": "title"})


def test_null_and_alternatives_are_sent():
    assert querystring({"title": None, "not_title": "null"}) == "?title=null&not_title=%22null%22"
    assert parse_qsl(querystring({"_or": [{"title": "a"}], "_count": False})[1:]) == [
        ("_or", '[{"title": "a"}]'),
        ("_count", "false"),
    ]
    (null,) = read(querystring({"title": None}))
    assert null == Filter("title", None, COMPARISON.EQ)
