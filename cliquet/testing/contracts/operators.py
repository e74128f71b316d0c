"""Contract of the storage backends: operators of filters that 3.1 lacked."""

from __future__ import annotations

from typing import Any

import pytest

from cliquet.storage import Filter, Sort, StorageBase
from cliquet.testing.contracts.queries import NAMES, store_pairs, store_values
from cliquet.testing.contracts.samples import PLACE, ids_of
from cliquet.utils import COMPARISON

EQ, IN, MIN, GT = COMPARISON.EQ, COMPARISON.IN, COMPARISON.MIN, COMPARISON.GT
HAS, LIKE, OR = COMPARISON.HAS, COMPARISON.LIKE, COMPARISON.OR
CONTAINS, CONTAINS_ANY = COMPARISON.CONTAINS, COMPARISON.CONTAINS_ANY

#: A pattern, a string, and whether they match.
LIKE_CASES: list[tuple[str, str, bool]] = [
    ("world", "Hello, World!", True),
    ("o, w", "Hello, World!", True),
    ("", "", True),
    ("*", "", True),
    ("hello*", "Hello, World!", True),
    ("*hello", "Hello, World!", False),
    ("*WORLD!", "Hello, World!", True),
    ("wor*ld", "Hello, World!", False),
    ("h*o*!", "Hello, World!", True),
    ("h*!*o", "Hello, World!", False),
    ("aba*aba", "ababa", False),
    ("a**b", "ab", True),
    ("a*a", "a", False),
    ("50%", "500", False),
    ("50%", "50%", True),
    ("a_c", "abc", False),
    ("a\\c", "a\\c", True),
    ("a\\*", "a\\b", True),
    ("STRASSE", "Straße", True),
    ("straße", "STRASSE", True),
    ("ὀδυσσεύσ", "ὈΔΥΣΣΕΎΣ", True),
    ("привет", "ПРИВЕТ", True),
    ("é", "E", False),
    ("i", "İ", True),
    ("ﬁ", "FI", True),
    ("\U0001f600*", "\U0001f600!", True),
    ("a\0b", "ab", False),
]


class OperatorContract:
    """Tests of the operators on a storage backend."""

    def test_has_finds_records_with_the_field(self, storage: StorageBase) -> None:
        store_values(storage)
        assert set(ids_of(storage, filters=[Filter("field", True, HAS)])) == {*NAMES} - {"missing"}
        assert ids_of(storage, filters=[Filter("field", False, HAS)]) == ["missing"]
        for field in ("id", "last_modified", "deleted"):
            assert len(ids_of(storage, filters=[Filter(field, True, HAS)])) == len(NAMES)
            assert ids_of(storage, filters=[Filter(field, False, HAS)]) == []

    @pytest.mark.parametrize("column", ["title", "id"])
    def test_like_matches_strings_without_regard_to_case(
        self, storage: StorageBase, column: str
    ) -> None:
        texts = sorted({text for _, text, _ in LIKE_CASES if text})
        for n, text in enumerate(texts):
            storage.create(*PLACE, {"id": f"x{n}", column: text})
        storage.create(*PLACE, {"id": "1", "title": ["World"]})
        storage.create(*PLACE, {"id": "2", "title": 50})
        for pattern, text, expected in LIKE_CASES:
            if text:
                filters = [Filter(column, pattern, LIKE)]
                matching = [
                    record[column] for record in storage.get_all(*PLACE, filters=filters)[0]
                ]
                assert (text in matching) is expected, (pattern, text)
        assert ids_of(storage, filters=[Filter("last_modified", "*", LIKE)]) == []

    def test_contains_finds_arrays_with_the_values(self, storage: StorageBase) -> None:
        arrays: dict[str, Any] = {
            "empty": [],
            "ab": ["a", "b"],
            "one": [1, True, None],
            "float": [1.0],
            "nested": [["a"], {"a": 1}],
            "text": "a",
            "object": {"a": 1},
        }
        for name, tags in arrays.items():
            storage.create(*PLACE, {"id": name, "tags": tags})
        storage.create(*PLACE, {"id": "missing"})
        cases: list[tuple[COMPARISON, Any, str]] = [
            (CONTAINS, ["a"], "ab"),
            (CONTAINS, ["a", "b", "a"], "ab"),
            (CONTAINS, ["a", 1], ""),
            (CONTAINS, [1], "one float"),
            (CONTAINS, [1, None], "one"),
            (CONTAINS, [True], "one"),
            (CONTAINS, [["a"]], "nested"),
            (CONTAINS, [], "empty ab one float nested"),
            (CONTAINS_ANY, ["a", 1, "z"], "ab one float"),
            (CONTAINS_ANY, [{"a": 1}, False], "nested"),
            (CONTAINS_ANY, [], ""),
        ]
        for operator, value, expected in cases:
            filters = [Filter("tags", value, operator)]
            assert set(ids_of(storage, filters=filters)) == set(expected.split()), (
                operator,
                value,
            )
        for column in ("id", "last_modified", "deleted"):
            assert ids_of(storage, filters=[Filter(column, ["a"], CONTAINS)]) == []

    def test_or_matches_all_filters_of_any_of_the_lists(self, storage: StorageBase) -> None:
        store_pairs(storage)
        storage.delete(*PLACE, "02")
        either = Filter(
            "", [[Filter("a", 0, EQ), Filter("b", 1, MIN)], [Filter("id", "22", EQ)]], OR
        )
        assert set(ids_of(storage, filters=[either])) == {"01", "22"}
        assert ids_of(storage, filters=[either, Filter("b", 2, EQ)]) == ["22"]
        deleted = Filter("", [[Filter("deleted", True, EQ)], [Filter("a", 0, EQ)]], OR)
        assert set(ids_of(storage, filters=[deleted], include_deleted=True)) == {"02", "01", "00"}
        assert ids_of(storage, filters=[Filter("", [], OR)]) == []
        storage.delete_all(*PLACE, filters=[either])
        assert len(ids_of(storage)) == 6

    def test_dots_descend_into_objects_unless_a_field_has_the_whole_name(
        self, storage: StorageBase
    ) -> None:
        people: dict[str, dict[str, Any]] = {
            "nested": {"author": {"name": "Ann", "age": 30}},
            "own": {"author.name": "Bob", "author": {"name": "Cid"}},
            "null": {"author": {"name": None}},
            "text": {"author": "name"},
            "array": {"author": ["name"], "0": 1},
            "partial": {"author": {"name.first": "Dan"}},
            "missing": {},
        }
        for name, fields in people.items():
            storage.create(*PLACE, {"id": name, **fields})
        cases = [
            (Filter("author.name", "Ann", EQ), "nested"),
            (Filter("author.name", ["Ann", "Bob", "Cid"], IN), "nested own"),
            (Filter("author.name", "Cid", EQ), ""),
            (Filter("author.name", None, EQ), "null"),
            (Filter("author.name", True, HAS), "nested own null"),
            (Filter("author.name", "ANN", LIKE), "nested"),
            (Filter("author.age", 18, MIN), "nested"),
            (Filter("author.0", True, HAS), ""),
            (Filter("author.name.first", True, HAS), ""),
            (Filter("author.", True, HAS), ""),
            (Filter(".", True, HAS), ""),
            (Filter("a\0.b", True, HAS), ""),
        ]
        for filter_, expected in cases:
            assert set(ids_of(storage, filters=[filter_])) == set(expected.split()), filter_
        order = [Sort("author.name", 1), Sort("id", 1)]
        names = ["null", "nested", "own", "array", "missing", "partial", "text"]
        assert ids_of(storage, sorting=order) == names
        rules = [[Filter("author.name", "Ann", GT)]]
        assert ids_of(storage, sorting=order, pagination_rules=rules) == names[2:]
