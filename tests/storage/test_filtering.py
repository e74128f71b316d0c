"""Functions of ``cliquet.storage.filtering`` on values that no stored record has."""

import enum
import math

import pytest

from cliquet.storage import MISSING, Filter, Sort
from cliquet.storage.filtering import (
    ALWAYS,
    FieldNames,
    Span,
    build_query,
    sort_records,
)
from cliquet.storage.operators import OPERATORS
from cliquet.storage.ordering import order_key
from cliquet.storage.rows import Part, select
from cliquet.utils import COMPARISON

NAMES = FieldNames("id", "last_modified", "deleted")


def query(**parameters):
    return build_query(NAMES, **parameters)


def test_the_order_of_types_is_that_of_postgresql():
    mixed = [[0], MISSING, 9, "z", {}, None, True]
    assert sorted(mixed, key=order_key) == [None, "z", 9, True, [0], {}, MISSING]


def test_values_of_subclasses_are_those_of_their_base_class():
    class Text(str):
        pass

    class Number(enum.IntEnum):
        TWO = 2

    class Float(float):
        pass

    assert order_key(Text("a")) == order_key("a")
    assert order_key(Number.TWO) == order_key(2)
    assert order_key(Float(2)) == order_key(2)


def test_values_outside_json_are_refused():
    with pytest.raises(TypeError, match="not a JSON value"):
        order_key(object())


@pytest.mark.parametrize(
    ("value", "number"),
    [(10**400, math.inf), (-(10**400), -math.inf), (2**63, 2.0**63), (-(2**63), -(2**63))],
)
def test_integers_beyond_64_bits_compare_as_floats(value, number):
    assert order_key(value) == order_key(number)


def test_nan_equals_no_value():
    test = OPERATORS[COMPARISON.EQ].test(math.nan)
    assert not any(map(test, map(order_key, [0, "NaN", "null", None])))


def test_sorting_is_stable():
    records = [{"id": n, "odd": n % 2} for n in range(4)]
    sort_records(records, [Sort("odd", -1)])
    assert [record["id"] for record in records] == [1, 3, 0, 2]


def test_conditions_on_the_timestamp_become_a_span():
    filters = [
        Filter("last_modified", 5, COMPARISON.GT),
        Filter("last_modified", 9, COMPARISON.MAX),
        Filter("n", 1, COMPARISON.EQ),
    ]
    built = query(filters=filters)
    assert (built.span, built.filters) == (Span(6, 9), filters[2:])


def test_the_span_of_a_page_holds_all_that_the_rules_find():
    rules = [
        [Filter("last_modified", 5, COMPARISON.LT)],
        [Filter("last_modified", 5, COMPARISON.EQ), Filter("id", "a", COMPARISON.GT)],
    ]
    assert query(pagination_rules=rules).page_span == Span(high=5)
    assert query(pagination_rules=[*rules, [Filter("id", "a", COMPARISON.EQ)]]).page_span == ALWAYS
    assert query(pagination_rules=[]).page_span == ALWAYS
    filters = [Filter("last_modified", 2, COMPARISON.MIN)]
    assert query(filters=filters, pagination_rules=rules).page_span == Span(2, 5)
    assert query(filters=filters, pagination_rules=rules).span == Span(low=2)


def test_an_order_ends_where_it_is_total():
    order = [Sort("a", 1), Sort("a", -1), Sort("id", 1), Sort("b", 1)]
    assert query(sorting=order).sorting == [Sort("a", 1), Sort("id", 1)]
    assert query(sorting=order[:1]).sorting == [Sort("a", 1), Sort("last_modified", -1)]
    assert query().sorting == [Sort("last_modified", -1)]
    assert query().by_time
    assert not query(sorting=order).by_time


def test_tombstones_are_looked_at_when_the_query_includes_them():
    live, dead = ("a", 1, b"{}"), ("b", 2, None)
    record = {"id": "a", "last_modified": 1}
    assert select(query(), [live], [dead]) == ([record], 1, Part([live]))
    both = [{"id": "b", "last_modified": 2, "deleted": True}, record]
    assert select(query(include_deleted=True), [live], [dead]) == (both, 1, Part([dead, live]))


@pytest.mark.parametrize(
    ("alternatives", "implied"),
    [
        ([], None),
        ([[]], None),
        ([[Filter("a", 1, COMPARISON.EQ)], [Filter("b", 1, COMPARISON.EQ)]], None),
        ([[Filter("a", 1, COMPARISON.EQ)], [Filter("a", 1, COMPARISON.MIN)]], None),
        (
            [
                [Filter("b", 1, COMPARISON.EQ), Filter("a", 1, COMPARISON.EQ)],
                [Filter("c", 0, COMPARISON.NOT), Filter("a", [2, 3], COMPARISON.IN)],
            ],
            Filter("a", [1, 2, 3], COMPARISON.IN),
        ),
    ],
)
def test_alternatives_with_values_of_one_field_imply_a_filter(alternatives, implied):
    first, *others = query(filters=[Filter("", alternatives, COMPARISON.OR)]).filters
    assert (first if others else None) == implied
