"""Contract of the storage backends: filters, orders and pages."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from cliquet.storage import MISSING, Filter, Sort, StorageBase
from cliquet.testing.contracts.samples import PLACE, fill, ids_of
from cliquet.utils import COMPARISON

LT, MAX, MIN, GT = COMPARISON.LT, COMPARISON.MAX, COMPARISON.MIN, COMPARISON.GT
EQ, NOT, IN, EXCLUDE = COMPARISON.EQ, COMPARISON.NOT, COMPARISON.IN, COMPARISON.EXCLUDE
HAS, LIKE = COMPARISON.HAS, COMPARISON.LIKE
CONTAINS, CONTAINS_ANY = COMPARISON.CONTAINS, COMPARISON.CONTAINS_ANY

#: Values in their order, and the id of the record that has each.
ORDER: dict[str, Any] = {
    "null": None,
    "empty": "",
    "digits": "2",
    "capital": "B",
    "letter": "a",
    "word": "true",
    "accent": "é",
    "end": "\uffff",
    "emoji": "\U0001f600",
    "huge-": -(10**30),
    "negative": -1.5,
    "two": 2,
    "half": 2.5,
    "large": 2**53,
    "larger": 2**53 + 1,
    "largest": 2**63 - 1,
    "beyond": 2**65,
    "huge": 10**30,
    "no": False,
    "yes": True,
    "array2": ["a"],
    "array": [1],
    "object": {"a": 1},
    "object2": {"b": []},
    "missing": MISSING,
}
NAMES = list(ORDER)
NUMBERS = NAMES[NAMES.index("huge-") : NAMES.index("no")]

CASES: list[tuple[COMPARISON, Any, str]] = [
    (EQ, 2, "two"),
    (EQ, 2.0, "two"),
    (EQ, "2", "digits"),
    (EQ, True, "yes"),
    (EQ, 1, ""),
    (EQ, "true", "word"),
    (EQ, None, "null"),
    (EQ, "", "empty"),
    (EQ, 2**53, "large"),
    (EQ, 2**53 + 1, "larger"),
    (EQ, float(2**53), "large"),
    (EQ, 10**30, "huge"),
    (EQ, 2**63 - 1, "largest"),
    (EQ, 2**63, ""),
    (EQ, [1], "array"),
    (EQ, (1,), "array"),
    (EQ, {"a": 1}, "object"),
    (EQ, "[1]", ""),
    (EQ, "\U0001f600", "emoji"),
    (EQ, "a\0b", ""),
    (EQ, float("nan"), ""),
    (EQ, float("inf"), ""),
    (IN, [2, "a", None, [1], False], "null letter two no array"),
    (IN, ("a", "B", "a\0"), "capital letter"),
    (IN, (2, 2.5, -1.5, 10**30, 7), "negative two half huge"),
    (IN, (True, False), "no yes"),
    (IN, [], ""),
    (IN, {"a"}, "letter"),
    (EQ, MISSING, "missing"),
    (IN, [MISSING, "a"], "letter missing"),
    (CONTAINS_ANY, [MISSING, 1], "array"),
    (LT, 2, "huge- negative"),
    (MAX, 2, "huge- negative two"),
    (MIN, 2**63 - 1, "largest beyond huge"),
    (GT, 2**63 - 1, "beyond huge"),
    (GT, 2**53, "larger largest beyond huge"),
    (GT, "a", "word accent end emoji"),
    (MIN, "a", "letter word accent end emoji"),
    (LT, "2", "empty"),
    (GT, "\uffff", "emoji"),
    (GT, False, "yes"),
    (MIN, False, "no yes"),
    (LT, False, ""),
    (GT, None, ""),
    (MIN, None, ""),
    (MIN, [0], ""),
    (MAX, {}, ""),
    (GT, 10**400, ""),
    (MAX, 10**400, " ".join(NUMBERS)),
    (GT, -(10**400), " ".join(NUMBERS)),
    (MIN, float("nan"), ""),
]

FIELDS = ["q\"uo'te", "dot.ted", "$", "$.field", "back\\slash", "\x01", "", "é", "[0]", "?"]


def store_values(storage: StorageBase) -> None:
    """Store a record for each value of ``field``, in another order than that of the values."""
    for name in [*NAMES[::2], *NAMES[1::2]]:
        value = ORDER[name]
        fields = {} if value is MISSING else {"field": value}
        storage.create(*PLACE, {"id": name, "nested": {"field": 7}, **fields})


def store_pairs(storage: StorageBase) -> None:
    """Store a record for each pair of the values 0 to 2 of ``a`` and ``b``."""
    for a, b in itertools.product((1, 2, 0), (2, 0, 1)):
        storage.create(*PLACE, {"id": f"{a}{b}", "a": a, "b": b})


class QueryContract:
    """Tests of the lists of a storage backend."""

    def test_filters_compare_within_a_type(self, storage: StorageBase) -> None:
        store_values(storage)
        opposite = {EQ: NOT, IN: EXCLUDE}
        for operator, value, expected in CASES:
            names = set(expected.split())
            filter_ = Filter("field", value, operator)
            assert set(ids_of(storage, filters=[filter_])) == names, filter_
            if operator in opposite:
                filter_ = Filter("field", value, opposite[operator])
                assert set(ids_of(storage, filters=[filter_])) == set(NAMES) - names, filter_

    def test_all_filters_must_match(self, storage: StorageBase) -> None:
        store_pairs(storage)
        filters = [Filter("a", 1, MIN), Filter("b", 1, MAX), Filter("id", "21", NOT)]
        assert set(ids_of(storage, filters=filters)) == {"10", "11", "20"}
        assert set(ids_of(storage, filters=filters, limit=2)) < {"10", "11", "20"}

    def test_values_of_all_types_are_sorted(self, storage: StorageBase) -> None:
        store_values(storage)
        assert ids_of(storage, sorting=[Sort("field", 1)]) == NAMES
        assert ids_of(storage, sorting=[Sort("field", -1)]) == NAMES[::-1]
        assert ids_of(storage, sorting=[Sort("field", 1)], limit=3) == NAMES[:3]

    def test_each_sort_order_decides_among_equal_records(self, storage: StorageBase) -> None:
        store_pairs(storage)
        cases = [
            ((1, 1), "00 01 02 10 11 12 20 21 22"),
            ((1, -1), "02 01 00 12 11 10 22 21 20"),
            ((-1, 1), "20 21 22 10 11 12 00 01 02"),
            ((-1, -1), "22 21 20 12 11 10 02 01 00"),
        ]
        for (a, b), expected in cases:
            assert ids_of(storage, sorting=[Sort("a", a), Sort("b", b)]) == expected.split()
        times = ids_of(storage, sorting=[Sort("last_modified", 1)])
        assert times == "12 10 11 22 20 21 02 00 01".split()
        assert ids_of(storage, sorting=[Sort("last_modified", -1)]) == times[::-1]

    def test_first_sort_order_of_a_field_counts(self, storage: StorageBase) -> None:
        fill(storage)
        order = [Sort("odd", 1), Sort("odd", -1), Sort("id", 1), Sort("odd", 1), Sort("id", -1)]
        assert ids_of(storage, sorting=order) == ["0", "2", "4", "1", "3"]

    def test_rules_compare_in_the_order_of_all_types(self, storage: StorageBase) -> None:
        store_values(storage)
        sorting = [Sort("field", 1)]
        for place, name in enumerate(NAMES):
            expected = {
                LT: NAMES[:place],
                MAX: NAMES[: place + 1],
                EQ: [name],
                MIN: NAMES[place:],
                GT: NAMES[place + 1 :],
            }
            for operator, names in expected.items():
                rules = [[Filter("field", ORDER[name], operator)]]
                records, total = storage.get_all(*PLACE, sorting=sorting, pagination_rules=rules)
                assert [record["id"] for record in records] == names, rules
                assert total == len(NAMES)

    def test_rules_on_id_and_timestamp_compare_in_the_order_of_all_types(
        self, storage: StorageBase
    ) -> None:
        storage.create(*PLACE, {"id": "m", "last_modified": 10})
        values: list[Any] = [None, "a", 5, False, [], {}, MISSING]
        for rank, value in enumerate(values):
            for field, field_rank, lesser in (("id", 1, "a"), ("last_modified", 2, 5)):
                below = rank < field_rank or value == lesser
                for operator, expected in {LT: not below, GT: below, EQ: False}.items():
                    rules = [[Filter(field, value, operator)]]
                    assert bool(ids_of(storage, pagination_rules=rules)) is expected, rules

    def test_page_has_the_records_that_match_all_filters_of_any_rule(
        self, storage: StorageBase
    ) -> None:
        store_pairs(storage)
        rules = [[Filter("a", 1, EQ), Filter("b", 1, GT)], [Filter("a", 1, GT)]]
        order: Any = {"sorting": [Sort("a", 1), Sort("b", -1)]}
        assert ids_of(storage, pagination_rules=rules, **order) == ["12", "22", "21", "20"]
        assert ids_of(storage, pagination_rules=rules, limit=2, **order) == ["12", "22"]
        everything = ids_of(storage, **order)
        assert ids_of(storage, pagination_rules=[[]], **order) == everything
        assert ids_of(storage, pagination_rules=[], **order) == everything
        assert ids_of(storage, pagination_rules=[[Filter("c", 1, EQ)]], **order) == []

    def test_rules_and_limit_do_not_change_the_total(self, storage: StorageBase) -> None:
        fill(storage)
        filters, rules = [Filter("n", 0, GT)], [[Filter("n", 2, GT)]]
        order = [Sort("n", 1)]
        cases: list[tuple[dict[str, Any], list[int], int]] = [
            ({}, [0, 1, 2, 3, 4], 5),
            ({"limit": 2}, [0, 1], 5),
            ({"limit": 7}, [0, 1, 2, 3, 4], 5),
            ({"limit": 0}, [], 5),
            ({"limit": 0, "filters": filters}, [], 4),
            ({"limit": 2, "filters": filters}, [1, 2], 4),
            ({"limit": 1, "pagination_rules": rules}, [3], 5),
            ({"limit": 1, "pagination_rules": rules, "filters": filters}, [3], 4),
        ]
        for query, expected, total in cases:
            for sorting in (order, [*order, Sort("id", 1)]):
                records, counted = storage.get_all(*PLACE, sorting=sorting, **query)
                assert ([record["n"] for record in records], counted) == (expected, total), query
        assert len(storage.get_all(*PLACE, limit=2)[0]) == 2

    def test_page_by_time_skips_records_outside_the_rules(self, storage: StorageBase) -> None:
        for n in range(1, 10):
            storage.create(*PLACE, {"id": str(n), "last_modified": n, "n": n % 3})
        rules = [[Filter("n", 0, EQ)]]
        for direction, expected in ((1, "369"), (-1, "963")):
            query: Any = {
                "pagination_rules": rules,
                "sorting": [Sort("last_modified", direction)],
            }
            assert "".join(ids_of(storage, **query)) == expected
            assert "".join(ids_of(storage, limit=2, **query)) == expected[:2]
        since = [Filter("last_modified", 3, GT)]
        assert storage.get_all(*PLACE, filters=since, pagination_rules=rules, limit=1)[1] == 6

    def test_id_is_filtered_as_a_string(self, storage: StorageBase) -> None:
        for name in ("1", "a", "b", "true"):
            storage.create(*PLACE, {"id": name})
        cases: list[tuple[COMPARISON, Any, str]] = [
            (EQ, "a", "a"),
            (EQ, 1, ""),
            (EQ, True, ""),
            (EQ, None, ""),
            (NOT, "a", "1 b true"),
            (NOT, None, "1 a b true"),
            (IN, ["a", "b", "c", 1, None], "a b"),
            (EXCLUDE, ["a", "b"], "1 true"),
            (IN, [], ""),
            (MIN, "b", "b true"),
            (LT, 5, ""),
            (LT, "a\0", "1 a"),
            (IN, ["a\0", "b\0", "1"], "1"),
        ]
        for operator, value, expected in cases:
            filter_ = Filter("id", value, operator)
            assert set(ids_of(storage, filters=[filter_])) == set(expected.split()), filter_

    def test_timestamp_is_filtered_as_a_number(self, storage: StorageBase) -> None:
        for n in (1, 2, 3):
            storage.create(*PLACE, {"id": str(n), "last_modified": n})
        cases: list[tuple[COMPARISON, Any, str]] = [
            (EQ, 2, "2"),
            (EQ, 2.0, "2"),
            (EQ, "2", ""),
            (NOT, 2, "1 3"),
            (NOT, "2", "1 2 3"),
            (IN, [1, 3.0, "2"], "1 3"),
            (EXCLUDE, [1, 3], "2"),
            (MIN, 2, "2 3"),
            (MIN, 2.5, "3"),
            (GT, 2, "3"),
            (MAX, 2, "1 2"),
            (LT, 2, "1"),
            (LT, 10**30, "1 2 3"),
            (GT, -(2**63), "1 2 3"),
            (LT, 2**63 - 1, "1 2 3"),
            (GT, 2**63, ""),
            (GT, "a", ""),
            (MAX, True, ""),
            (EQ, None, ""),
        ]
        for operator, value, expected in cases:
            filters = [Filter("last_modified", value, operator)]
            result, total = storage.get_all(*PLACE, filters=filters)
            assert {record["id"] for record in result} == set(expected.split()), filters
            assert total == len(result)
            page, total = storage.get_all(*PLACE, filters=filters, limit=1)
            assert (len(page), total) == (min(1, len(result)), len(result))

    def test_two_filters_on_the_timestamp_delimit_it(self, storage: StorageBase) -> None:
        for n in range(1, 6):
            storage.create(*PLACE, {"id": str(n), "last_modified": n})
        between = [Filter("last_modified", 2, GT), Filter("last_modified", 5, LT)]
        assert storage.get_all(*PLACE, filters=between, limit=1)[1] == 2
        latest_first = [Sort("last_modified", -1)]
        assert ids_of(storage, filters=between, sorting=latest_first) == ["4", "3"]
        nothing = [Filter("last_modified", 4, GT), Filter("last_modified", 2, LT)]
        queries: list[dict[str, Any]] = [{}, {"limit": 1}, {"sorting": [Sort("last_modified", 1)]}]
        for query in queries:
            assert storage.get_all(*PLACE, filters=nothing, **query) == ([], 0)

    def test_tombstones_are_listed_on_request_and_never_counted(self, storage: StorageBase) -> None:
        fill(storage, 6)
        storage.delete(*PLACE, "1")
        storage.delete(*PLACE, "4")
        live = [Sort("id", 1)]
        assert storage.get_all(*PLACE, sorting=live)[1] == 4
        assert ids_of(storage, sorting=live) == ["0", "2", "3", "5"]
        assert ids_of(storage, filters=[Filter("deleted", True, EQ)]) == []
        cases: list[tuple[list[Filter], str, int]] = [
            ([], "023514", 4),
            ([Filter("deleted", True, EQ)], "14", 0),
            ([Filter("deleted", True, NOT)], "0235", 4),
            ([Filter("deleted", False, EQ)], "0235", 4),
            ([Filter("deleted", [True, False], IN)], "023514", 4),
            ([Filter("deleted", "true", EQ)], "", 0),
            ([Filter("deleted", None, EQ)], "", 0),
            ([Filter("n", 3, MIN)], "35", 2),
            ([Filter("n", 3, NOT)], "02514", 3),
            ([Filter("id", "4", EQ)], "4", 0),
            ([Filter("id", ["4", "5"], IN)], "54", 1),
        ]
        query: Any = {"include_deleted": True, "sorting": [Sort("last_modified", 1)]}
        for filters, expected, total in cases:
            result, count = storage.get_all(*PLACE, filters=filters, **query)
            assert "".join(record["id"] for record in result) == expected, filters
            assert count == total, filters
            page, count = storage.get_all(*PLACE, filters=filters, limit=1, **query)
            assert (page, count) == (result[:1], total), filters

    @pytest.mark.parametrize("field", FIELDS, ids=ascii)
    def test_any_string_is_the_name_of_a_field(self, storage: StorageBase, field: str) -> None:
        values: dict[str, Any] = {"a": "x", "b": 2, "c": 2.5, "d": [1]}
        for n, (name, value) in enumerate(values.items()):
            others: dict[str, Any] = {other: n for other in ("field", *FIELDS) if other != field}
            storage.create(*PLACE, {"id": name, **others, field: value, "nested": {field: 7}})
        storage.create(*PLACE, {"id": "e", "nested": {field: 7}})
        cases: list[tuple[COMPARISON, Any, str]] = [
            (EQ, "x", "a"),
            (NOT, 2, "acde"),
            (IN, [2, [1]], "bd"),
            (EXCLUDE, ["x", 2], "cde"),
            (MIN, 2, "bc"),
            (HAS, True, "abcd"),
            (LIKE, "X", "a"),
            (CONTAINS, [1], "d"),
        ]
        sorting = [Sort(field, 1)]
        for operator, value, expected in cases:
            filters = [Filter(field, value, operator)]
            assert "".join(ids_of(storage, filters=filters, sorting=sorting)) == expected, filters
        rules = [[Filter(field, 2, GT)]]
        assert ids_of(storage, pagination_rules=rules, sorting=sorting) == ["c", "d", "e"]
