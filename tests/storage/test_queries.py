"""Examples of filters, orders and pages; ``test_equivalence`` covers random ones."""

import itertools

import pytest

from cliquet.storage import MISSING, Filter, Sort
from cliquet.utils import COMPARISON

PLACE = ("articles", "alice")

#: Values in their order, and the name of the record that has each.
ORDER = {
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

FIELDS = [
    "field",
    "q\"uo'te",
    "dot.ted",
    "$",
    "$.field",
    "back\\slash",
    "\x01",
    "",
    "é",
    "[0]",
    "?",
]


@pytest.fixture(params=FIELDS, ids=ascii)
def field(request):
    return request.param


@pytest.fixture
def values(storage, serve, field):
    """A storage with a record for each value of the field."""
    with serve():
        for name, value in ORDER.items():
            fields = {} if value is MISSING else {field: value}
            storage.create(*PLACE, {"id": name, "nested": {field: 7}, **fields})
    return storage


def found(storage, **query):
    return [record["id"] for record in storage.get_all(*PLACE, **query)[0]]


LT, MAX, MIN, GT = COMPARISON.LT, COMPARISON.MAX, COMPARISON.MIN, COMPARISON.GT
EQ, NOT, IN, EXCLUDE = COMPARISON.EQ, COMPARISON.NOT, COMPARISON.IN, COMPARISON.EXCLUDE
CONTAINS_ANY = COMPARISON.CONTAINS_ANY
NUMBERS = NAMES[NAMES.index("huge-") : NAMES.index("no")]

CASES = [
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


def test_filters_compare_within_a_type(values, field):
    for operator, value, expected in CASES:
        assert set(found(values, filters=[Filter(field, value, operator)])) == set(
            expected.split()
        ), (operator, value)


def test_not_and_exclude_find_all_the_others(values, field):
    opposite = {EQ: NOT, IN: EXCLUDE}
    for operator, value, expected in CASES:
        if operator in opposite:
            others = found(values, filters=[Filter(field, value, opposite[operator])])
            assert set(others) == set(NAMES) - set(expected.split()), (operator, value)


def test_values_of_all_types_are_sorted(values, field):
    assert found(values, sorting=[Sort(field, 1)]) == NAMES
    assert found(values, sorting=[Sort(field, -1)]) == NAMES[::-1]
    assert found(values, sorting=[Sort(field, 1)], limit=3) == NAMES[:3]


def test_rules_compare_in_the_order_of_all_types(values, field):
    for place, name in enumerate(NAMES):
        value = ORDER[name]
        expected = {
            LT: NAMES[:place],
            MAX: NAMES[: place + 1],
            EQ: [name],
            MIN: NAMES[place:],
            GT: NAMES[place + 1 :],
        }
        for operator, names in expected.items():
            rules = [[Filter(field, value, operator)]]
            query = {"pagination_rules": rules, "sorting": [Sort(field, 1)]}
            assert found(values, **query) == names, (operator, value)
            assert values.get_all(*PLACE, **query)[1] == len(NAMES)


def test_rules_on_columns_compare_in_the_order_of_all_types(storage):
    storage.create(*PLACE, {"id": "m", "last_modified": 10})
    for rank, value in enumerate([None, "a", 5, False, [], {}, MISSING]):
        for column, column_rank, lesser in (("id", 1, "a"), ("last_modified", 2, 5)):
            below = rank < column_rank or value == lesser
            for operator, expected in {LT: not below, GT: below, EQ: False}.items():
                rules = [[Filter(column, value, operator)]]
                assert bool(found(storage, pagination_rules=rules)) is expected, rules


def test_a_page_matches_all_filters_of_any_of_the_lists(storage):
    for a, b in itertools.product(range(3), range(3)):
        storage.create(*PLACE, {"id": f"{a}{b}", "a": a, "b": b})
    rules = [[Filter("a", 1, EQ), Filter("b", 1, GT)], [Filter("a", 1, GT)]]
    order = [Sort("a", 1), Sort("b", -1)]
    assert found(storage, sorting=order, pagination_rules=rules) == ["12", "22", "21", "20"]
    assert found(storage, sorting=order, pagination_rules=[[]]) == found(storage, sorting=order)
    assert found(storage, sorting=order, pagination_rules=[]) == found(storage, sorting=order)
    assert found(storage, sorting=order, pagination_rules=[[Filter("c", 1, EQ)]]) == []


def test_all_filters_must_match(storage):
    for a, b in itertools.product(range(3), range(3)):
        storage.create(*PLACE, {"id": f"{a}{b}", "a": a, "b": b})
    filters = [Filter("a", 1, MIN), Filter("b", 1, MAX), Filter("id", "21", NOT)]
    assert set(found(storage, filters=filters)) == {"10", "11", "20"}
    assert set(found(storage, filters=filters, limit=2)) < {"10", "11", "20"}


def test_id_is_filtered_as_a_string(storage):
    for name in ("1", "a", "b", "true"):
        storage.create(*PLACE, {"id": name})
    cases = [
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
        filters = [Filter("id", value, operator)]
        assert set(found(storage, filters=filters)) == set(expected.split()), (operator, value)


def test_more_ids_than_a_statement_takes_parameters_are_filtered(storage):
    storage.create(*PLACE, {"id": "a"})
    names = [str(n) for n in range(40000)]
    assert found(storage, filters=[Filter("id", [*names, "a"], IN)]) == ["a"]
    assert found(storage, filters=[Filter("id", names, EXCLUDE)]) == ["a"]
    assert found(storage, filters=[Filter("field", names, EXCLUDE)]) == ["a"]


def test_the_timestamp_is_filtered_as_a_number(storage):
    for n in (1, 2, 3):
        storage.create(*PLACE, {"id": str(n), "last_modified": n})
    cases = [
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
        assert {record["id"] for record in result} == set(expected.split()), (operator, value)
        assert total == len(result)
        page, total = storage.get_all(*PLACE, filters=filters, limit=1)
        assert (len(page), total) == (min(1, len(result)), len(result))


def test_two_conditions_on_the_timestamp_delimit_it(storage):
    for n in range(1, 6):
        storage.create(*PLACE, {"id": str(n), "last_modified": n})
    between = [Filter("last_modified", 2, GT), Filter("last_modified", 5, LT)]
    assert storage.get_all(*PLACE, filters=between, limit=1)[1] == 2
    assert found(storage, filters=between) == ["4", "3"]
    nothing = [Filter("last_modified", 4, GT), Filter("last_modified", 2, LT)]
    for query in ({}, {"limit": 1}, {"sorting": [Sort("last_modified", 1)]}):
        assert storage.get_all(*PLACE, filters=nothing, **query) == ([], 0)


def test_tombstones_are_listed_on_request_and_never_counted(storage):
    for n in range(6):
        storage.create(*PLACE, {"id": str(n), "n": n})
    storage.delete(*PLACE, "1")
    storage.delete(*PLACE, "4")
    with_tombstones = {"include_deleted": True, "sorting": [Sort("last_modified", 1)]}
    assert storage.get_all(*PLACE, sorting=[Sort("id", 1)])[1] == 4
    assert found(storage, sorting=[Sort("id", 1)]) == ["0", "2", "3", "5"]
    assert found(storage, **with_tombstones) == ["0", "2", "3", "5", "1", "4"]
    cases = [
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
    for filters, expected, total in cases:
        result, count = storage.get_all(*PLACE, filters=filters, **with_tombstones)
        assert "".join(record["id"] for record in result) == expected, filters
        assert count == total, filters
        page, count = storage.get_all(*PLACE, filters=filters, limit=1, **with_tombstones)
        assert (page, count) == (result[:1], total), filters


def test_a_live_records_own_mark_is_data_and_no_mark(storage):
    """A record that looks like a tombstone is a record, and sorts by its own values."""
    storage.create(*PLACE, {"id": "fake", "deleted": True})
    storage.create(*PLACE, {"id": "plain"})
    storage.create(*PLACE, {"id": "dead"})
    storage.delete(*PLACE, "dead")
    deleted = [Filter("deleted", True, EQ)]
    assert found(storage, filters=deleted, include_deleted=True) == ["dead"]
    order = {"sorting": [Sort("deleted", 1), Sort("id", 1)], "include_deleted": True}
    assert found(storage, **order) == ["dead", "fake", "plain"]
    after = [[Filter("deleted", True, GT)], [Filter("deleted", True, EQ), Filter("id", "dead", GT)]]
    assert found(storage, pagination_rules=after, **order) == ["fake", "plain"]


def test_without_an_order_the_latest_comes_first(storage):
    for n in range(5):
        storage.create(*PLACE, {"id": str(n)})
    storage.update(*PLACE, "2", {})
    assert found(storage) == ["2", "4", "3", "1", "0"]
    assert found(storage, limit=2) == ["2", "4"]


def test_ties_are_sorted_by_time(storage):
    for n in range(5):
        storage.create(*PLACE, {"id": str(n), "odd": n % 2})
    assert found(storage, sorting=[Sort("odd", 1)]) == ["4", "2", "0", "3", "1"]
    assert found(storage, sorting=[Sort("odd", -1)]) == ["3", "1", "4", "2", "0"]


def test_the_first_order_of_a_field_counts(storage):
    for n in range(5):
        storage.create(*PLACE, {"id": str(n), "odd": n % 2})
    order = [Sort("odd", 1), Sort("odd", -1), Sort("id", 1), Sort("odd", 1), Sort("id", -1)]
    assert found(storage, sorting=order) == ["0", "2", "4", "1", "3"]


def test_a_limit_of_nothing_is_an_empty_page(storage):
    storage.create(*PLACE, {"a": 1})
    for query in ({}, {"sorting": [Sort("a", 1)]}, {"filters": [Filter("a", 1, EQ)]}):
        assert storage.get_all(*PLACE, limit=0, **query) == ([], 1)


#: Sizes of records, limit and maximum size of the page, its number of records, whether it is cut.
SIZES = [
    ([100, 100, 100], 3, 1000, 3, False),
    ([100, 100, 100], None, 1000, 3, False),
    ([900, 20, 20], 3, 1000, 3, False),
    ([20, 20, 900], 2, 1000, 2, False),
    ([600, 600, 20], 3, 1000, 2, True),
    ([600, 600, 20], None, 1000, 2, True),
    ([600, 400], 2, 1000, 2, False),
    ([600, 400, 20], 3, 1000, 2, True),
    ([20, 2000], 2, 10, 1, True),
]


def test_page_ends_at_its_size_in_bytes(storage):
    for user, (sizes, limit, max_bytes, count, is_cut) in enumerate(SIZES):
        for place, size in enumerate(sizes):
            text = "x" * (size - len('{"place":0,"text":""}'))
            storage.create("articles", str(user), {"place": place, "text": text})
        for field in ("last_modified", "place"):
            page = storage.get_page(
                *("articles", str(user)),
                sorting=[Sort(field, 1)],
                limit=limit,
                max_bytes=max_bytes,
                include_deleted=field == "place",
            )
            assert [record["place"] for record in page.records] == list(range(count))
            assert page.is_cut == is_cut


def test_page_by_time_skips_records_outside_the_rules(storage):
    for n in range(1, 10):
        storage.create(*PLACE, {"id": str(n), "last_modified": n, "n": n % 3})
    rules = [[Filter("n", 0, EQ)]]
    for direction, expected in ((1, "369"), (-1, "963")):
        query = {"pagination_rules": rules, "sorting": [Sort("last_modified", direction)]}
        assert "".join(found(storage, **query)) == expected
        assert "".join(found(storage, limit=2, **query)) == expected[:2]
    query = {"filters": [Filter("last_modified", 3, GT)], "limit": 1}
    assert storage.get_all(*PLACE, pagination_rules=rules, **query)[1] == 6


def test_hundreds_of_filters_and_orders_are_supported(storage):
    fields = {f"field{n}": n for n in range(300)}
    storage.create(*PLACE, {"id": "a", **fields})
    filters = [Filter(name, value, EQ) for name, value in fields.items()]
    assert found(storage, filters=filters * 4) == ["a"]
    order = [Sort(name, 1) for name in list(fields)[:60]]
    rules = [
        [
            *(Filter(sort.field, fields[sort.field], EQ) for sort in order[:n]),
            Filter(order[n].field, -1, GT),
        ]
        for n in range(60)
    ]
    query = {"sorting": order, "pagination_rules": rules, "include_deleted": True}
    assert found(storage, filters=filters, **query) == ["a"]


HAS, LIKE, OR = COMPARISON.HAS, COMPARISON.LIKE, COMPARISON.OR
CONTAINS, CONTAINS_ANY = COMPARISON.CONTAINS, COMPARISON.CONTAINS_ANY


def test_has_finds_records_with_the_field(values, field):
    assert set(found(values, filters=[Filter(field, True, HAS)])) == set(NAMES) - {"missing"}
    assert found(values, filters=[Filter(field, False, HAS)]) == ["missing"]
    for column in ("id", "last_modified", "deleted"):
        assert len(found(values, filters=[Filter(column, True, HAS)])) == len(NAMES)
        assert found(values, filters=[Filter(column, False, HAS)]) == []


LIKE_CASES = [
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


@pytest.mark.parametrize("column", ["title", "id"])
def test_like_matches_strings_without_regard_to_case(storage, serve, column):
    texts = sorted({text for _, text, _ in LIKE_CASES if text})
    with serve():
        for n, text in enumerate(texts):
            storage.create(*PLACE, {"id": f"x{n}", column: text})
        storage.create(*PLACE, {"id": "1", "title": ["World"]})
        storage.create(*PLACE, {"id": "2", "title": 50})
    for pattern, text, expected in LIKE_CASES:
        if text:
            filters = [Filter(column, pattern, LIKE)]
            matching = [record[column] for record in storage.get_all(*PLACE, filters=filters)[0]]
            assert (text in matching) is expected, (pattern, text)
    assert found(storage, filters=[Filter("last_modified", "*", LIKE)]) == []


def test_every_letter_is_folded_as_in_python(storage, serve):
    letters = [chr(code) for code in range(0x20000) if chr(code) != chr(code).casefold()]
    pairs = ["".join(letters[n : n + 100]) for n in range(0, len(letters), 100)]
    with serve():
        for n, text in enumerate(pairs):
            storage.create(*PLACE, {"id": str(n), "title": text})
    for n, text in enumerate(pairs):
        filters = [Filter("title", f"*{text.casefold()}*", LIKE)]
        assert found(storage, filters=filters) == [str(n)]


def test_contains_finds_arrays_with_the_values(storage, serve):
    arrays = {
        "empty": [],
        "ab": ["a", "b"],
        "one": [1, True, None],
        "float": [1.0],
        "nested": [["a"], {"a": 1}],
        "text": "a",
        "object": {"a": 1},
    }
    with serve():
        for name, tags in arrays.items():
            storage.create(*PLACE, {"id": name, "tags": tags})
        storage.create(*PLACE, {"id": "missing"})
    cases = [
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
        assert set(found(storage, filters=filters)) == set(expected.split()), (operator, value)
    for column in ("id", "last_modified", "deleted"):
        assert found(storage, filters=[Filter(column, ["a"], CONTAINS)]) == []


def test_or_matches_all_filters_of_any_of_the_lists(storage):
    for a, b in itertools.product(range(3), range(3)):
        storage.create(*PLACE, {"id": f"{a}{b}", "a": a, "b": b})
    storage.delete(*PLACE, "02")
    either = Filter("", [[Filter("a", 0, EQ), Filter("b", 1, MIN)], [Filter("id", "22", EQ)]], OR)
    assert set(found(storage, filters=[either])) == {"01", "22"}
    assert found(storage, filters=[either, Filter("b", 2, EQ)]) == ["22"]
    deleted = Filter("", [[Filter("deleted", True, EQ)], [Filter("a", 0, EQ)]], OR)
    assert set(found(storage, filters=[deleted], include_deleted=True)) == {"02", "01", "00"}
    assert found(storage, filters=[Filter("", [], OR)]) == []
    storage.delete_all(*PLACE, filters=[either])
    assert len(found(storage)) == 6


def test_dots_descend_into_objects_unless_a_field_has_the_whole_name(storage, serve):
    people = {
        "nested": {"author": {"name": "Ann", "age": 30}},
        "own": {"author.name": "Bob", "author": {"name": "Cid"}},
        "null": {"author": {"name": None}},
        "text": {"author": "name"},
        "array": {"author": ["name"], "0": 1},
        "partial": {"author": {"name.first": "Dan"}},
        "missing": {},
    }
    with serve():
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
        assert set(found(storage, filters=[filter_])) == set(expected.split()), filter_
    order = [Sort("author.name", 1), Sort("id", 1)]
    names = ["null", "nested", "own", "array", "missing", "partial", "text"]
    assert found(storage, sorting=order) == names
    rules = [[Filter("author.name", "Ann", GT)]]
    assert found(storage, sorting=order, pagination_rules=rules) == names[2:]
