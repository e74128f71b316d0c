"""Tokens and rules of pages."""

from cliquet.resource import pagination
from cliquet.storage import MISSING, Filter, Sort
from cliquet.utils import COMPARISON

ORDER = [Sort("a", 1), Sort("b", -1), Sort("last_modified", -1)]


def test_token_contains_the_sorted_values():
    record = {"a": [1], "last_modified": 5, "c": 1}
    text = pagination.encode_token(record, ORDER, 3)
    last, offset = pagination.decode_token(text, ORDER, "last_modified")
    assert last == {"a": [1], "last_modified": 5}
    assert offset == 3


def test_rules_compare_each_field_with_the_previous_ones_equal():
    last = {"a": 1, "last_modified": 5}
    assert pagination.pagination_rules(last, ORDER) == [
        [Filter("a", 1, COMPARISON.GT)],
        [Filter("a", 1, COMPARISON.EQ), Filter("b", MISSING, COMPARISON.LT)],
        [
            Filter("a", 1, COMPARISON.EQ),
            Filter("b", MISSING, COMPARISON.EQ),
            Filter("last_modified", 5, COMPARISON.LT),
        ],
    ]
