"""Properties: stored records are unchanged, and every engine filters as ``filtering`` does."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliquet import utils
from cliquet.storage import MISSING, Filter, Sort
from cliquet.storage.filtering import FieldNames, build_query
from cliquet.storage.rows import select
from cliquet.utils import COMPARISON
from cliquet.utils.fields import field_getter

PLACE = ("articles", "alice")
NAMES = FieldNames("id", "last_modified", "deleted")
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
# Values that meet one another, and some that look alike.
COMMON = st.sampled_from(
    [None, True, False, 0, 1, 2, 1.0, 1.5, -0.0, 2**53, 2**53 + 1, float(2**53)]
    + [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30, 1e30, -(10**30), 1e300, 5e-324]
    + ["", "1", "1.0", "true", "null", "a", "A", "aa", "é", "\uffff", "\U0001f600", "[1]"]
    + [[], [1], [1.0], ["1"], {}, {"a": 1}, {"a": 2}, {"b": 1}]
)
VALUE = COMMON | VALUES
FIELD = st.sampled_from(["a", "b", 'q"', "x.y", "$", "deleted"])
NESTED = st.fixed_dictionaries({"x": st.dictionaries(st.sampled_from(["y", "z", ""]), VALUE)})
RECORD = st.builds(
    lambda flat, nested: flat | nested,
    st.dictionaries(FIELD, VALUE, max_size=4),
    st.just({}) | NESTED,
)

SINGLE = st.sampled_from(
    [COMPARISON.EQ, COMPARISON.NOT, COMPARISON.MIN, COMPARISON.MAX, COMPARISON.GT, COMPARISON.LT]
)
SEVERAL = st.sampled_from(
    [COMPARISON.IN, COMPARISON.EXCLUDE, COMPARISON.CONTAINS, COMPARISON.CONTAINS_ANY]
)
ANY_FIELD = FIELD | st.sampled_from(["id", "last_modified", "x.z", "x."])
ASKED = VALUE | st.integers(1, 12) | st.sampled_from(["r0", "r1", "r2"])
PATTERN = st.lists(TEXTS | st.sampled_from(["*", "a", "é", "ß"]), max_size=3).map("".join)
CONDITION = st.one_of(
    st.builds(Filter, ANY_FIELD, ASKED, SINGLE),
    st.builds(Filter, ANY_FIELD, st.lists(ASKED, max_size=4), SEVERAL),
    st.builds(Filter, ANY_FIELD, PATTERN, st.just(COMPARISON.LIKE)),
    st.builds(Filter, ANY_FIELD, st.booleans(), st.just(COMPARISON.HAS)),
)
ALTERNATIVES = st.lists(st.lists(CONDITION, max_size=2), max_size=3)
FILTERS = st.lists(
    CONDITION | st.builds(Filter, st.just(""), ALTERNATIVES, st.just(COMPARISON.OR)), max_size=2
)
SORTING = st.lists(st.builds(Sort, ANY_FIELD, st.sampled_from([1, -1])), max_size=3)
ORDERED = st.sampled_from(
    [COMPARISON.EQ, COMPARISON.MIN, COMPARISON.MAX, COMPARISON.GT, COMPARISON.LT]
)
RULES = st.lists(
    st.lists(st.builds(Filter, ANY_FIELD, ASKED | st.just(MISSING), ORDERED), max_size=2),
    max_size=3,
)


def fill(storage, serve, records, deleted=0):
    """Store the records and delete some; return what is there, and the tombstones."""
    storage.flush()
    with serve():
        for n, record in enumerate(records):
            record |= {"id": f"r{n}", "last_modified": 2 * n + 1}
            storage.create(*PLACE, record)
        tombstones = []
        for n, record in enumerate(records[:deleted]):
            deleted = storage.delete(*PLACE, record["id"], last_modified=2 * n + 2)
            tombstones.append(deleted)
    return records[len(tombstones) :], tombstones


def row(record):
    """Return the row of a record."""
    data = {name: value for name, value in record.items() if name not in NAMES[:2]}
    return record["id"], record["last_modified"], utils.json.dumps_bytes(data)


def same(one, other):
    """Return whether two JSON values are equal, including types."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(record=st.dictionaries(TEXTS.filter(lambda name: name not in NAMES), VALUES, max_size=5))
def test_stored_value_is_returned(storage, record):
    created = storage.create(*PLACE, record)
    expected = record | {"id": created["id"], "last_modified": created["last_modified"]}
    assert same(created, expected)
    assert same(storage.get(*PLACE, created["id"]), expected)
    assert same(storage.get_all(*PLACE, limit=1)[0], [expected])
    updated = storage.update(*PLACE, created["id"], record)
    assert same(storage.get(*PLACE, created["id"]), updated)


@given(
    records=st.lists(RECORD, max_size=6),
    deleted=st.integers(0, 2),
    filters=FILTERS,
    sorting=SORTING,
    rules=RULES,
    limit=st.none() | st.integers(0, 4),
    include_deleted=st.booleans(),
)
def test_engines_return_the_results_of_the_matching_rules(
    storage, serve, records, deleted, filters, sorting, rules, limit, include_deleted
):
    live, tombstones = fill(storage, serve, records, deleted)
    query = build_query(NAMES, filters, sorting, rules, limit, include_deleted)
    dead = [(record["id"], record["last_modified"], None) for record in tombstones]
    selected, total, _ = select(query, list(map(row, live)), dead)
    page = storage.get_page(
        *PLACE,
        filters=filters,
        sorting=sorting,
        pagination_rules=rules,
        limit=limit,
        include_deleted=include_deleted,
    )
    assert [record["id"] for record in page.records] == [record["id"] for record in selected]
    assert same(page.records, selected)
    assert page.total == total
    assert page.timestamp == storage.collection_timestamp(*PLACE)


@given(records=st.lists(RECORD, max_size=6), filters=FILTERS)
def test_deleting_those_that_match_leaves_those_that_do_not(storage, serve, records, filters):
    live, _ = fill(storage, serve, records)
    matching, _, _ = select(build_query(NAMES, filters), list(map(row, live)))
    expected = [record["id"] for record in reversed(matching)]
    assert [record["id"] for record in storage.delete_all(*PLACE, filters=filters)] == expected
    left = {record["id"] for record in storage.get_all(*PLACE)[0]}
    assert left == {record["id"] for record in live} - set(expected)


def next_rules(sorting, last):
    """Return the rules that find what comes after ``last`` in the order of ``sorting``."""
    return [
        [
            *(
                Filter(same.field, field_getter(same.field, MISSING)(last), COMPARISON.EQ)
                for same in before
            ),
            Filter(
                sort.field,
                field_getter(sort.field, MISSING)(last),
                COMPARISON.GT if sort.direction > 0 else COMPARISON.LT,
            ),
        ]
        for before, sort in ((sorting[:n], sort) for n, sort in enumerate(sorting))
    ]


@given(
    records=st.lists(RECORD, max_size=7),
    deleted=st.integers(0, 3),
    sorting=SORTING,
    filters=FILTERS,
    limit=st.integers(1, 3),
    include_deleted=st.booleans(),
)
def test_a_walk_gives_each_record_once(
    storage, serve, records, deleted, sorting, filters, limit, include_deleted
):
    fill(storage, serve, records, deleted)
    sorting = [*sorting, Sort("last_modified", -1), Sort("id", 1)]
    query = {"filters": filters, "sorting": sorting, "include_deleted": include_deleted}
    whole, total = storage.get_all(*PLACE, **query)
    walked, rules = [], None
    while True:
        page, counted = storage.get_all(*PLACE, pagination_rules=rules, limit=limit, **query)
        assert counted == total
        walked += page
        if not page:
            break
        rules = next_rules(sorting, page[-1])
        assert len(walked) <= len(whole)
    assert same(walked, whole)


@pytest.mark.parametrize("seed", range(3))
def test_numbers_are_compared_exactly(storage, serve, seed):
    """Floats that differ in the last digit, and the integers between them."""
    numbers = [math.pi * 10**seed]
    for _ in range(20):
        numbers.append(math.nextafter(numbers[-1], math.inf))
    numbers += [2**53 * 2**seed + n for n in range(-10, 10)]
    numbers += [float(2**53 * 2**seed + n) for n in range(-10, 10)]
    numbers = sorted(set(numbers))
    fill(storage, serve, [{"n": number, "list": [number]} for number in numbers])
    records, _ = storage.get_all(*PLACE, sorting=[Sort("n", 1)])
    assert [record["n"] for record in records] == numbers
    for place, number in enumerate(numbers):
        equal = storage.get_all(*PLACE, filters=[Filter("n", number, COMPARISON.EQ)])
        above = storage.get_all(*PLACE, filters=[Filter("n", number, COMPARISON.GT)])
        lists = storage.get_all(*PLACE, filters=[Filter("list", [number], COMPARISON.CONTAINS)])
        assert (equal[1], above[1], lists[1]) == (1, len(numbers) - place - 1, 1)


def test_json_of_a_string_is_equal_in_every_writer():
    """Engines look for the JSON of a text in that of a record, which has two writers."""
    for code in [*range(1, 0x300), 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0x1F600]:
        text = chr(code)
        alone = utils.json.dumps_bytes(text)
        assert alone in utils.json.dumps_bytes({"field": text})
        assert alone in utils.json.dumps_bytes({"field": text, "large": 10**30})
