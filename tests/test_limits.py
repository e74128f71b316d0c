"""Decisions about JSON values, which look at the text first where that is enough."""

import decimal
import math

import pytest

from cliquet.http.limits import UNLIMITED, Limits, refusal
from cliquet.utils import json

LIMITS = Limits(*[UNLIMITED] * len(Limits._fields))._replace(max_values=6, max_nesting=3)


@pytest.mark.parametrize("outer", [0, 1])
@pytest.mark.parametrize(
    "value",
    [
        None,
        "a, b, c, d, e, f, g",
        "[[[[{{{{",
        "a\0",
        "\\u0000",
        {"a\0": 1},
        [[[]]],
        [[[1]]],
        [[[[]]]],
        [[[[[]]]]],
        [[], [], []],
        [1, 2, 3, 4, 5],
        [1, 2, 3, 4, 5, 6],
        {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},
        {"a": 1, "b": 2, "c": 3, "d": 4, "e": [5]},
        {"a": [], "b": {}, "c": None},
    ],
)
def test_refusals_do_not_depend_on_the_json_string(value, outer):
    text = json.dumps_bytes(value)
    assert refusal(value, text, LIMITS, outer) == refusal(value, None, LIMITS, outer)


@pytest.mark.parametrize(
    "value",
    [math.nan, [math.inf], None, {"a": None}, "\ud800", {"\udfff": 1}, 2**64, decimal.Decimal(1)],
)
def test_text_is_not_exact_where_orjson_replaces_or_refuses_a_value(value):
    assert json.exact_text(value) is None


@pytest.mark.parametrize("value", ["é", 1, 1.5, True, [], {}, {"a": ["b", {"c": -1}]}])
def test_exact_text_has_the_value(value):
    assert json.loads(json.exact_text(value)) == value
