"""Random queries, compared with a direct evaluation of what the protocol says."""

import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliquet.storage import MISSING
from tests.resource.apps import ENGINES, SERVED, Note, Page

EXAMPLES = settings.default.max_examples // 3  # each is many requests

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.5, 2.0]),
    st.sampled_from(["a", "A", "ab", "ß", "ss", "İ", "null", "true", "1", "a,b", "[", "%_"]),
    TEXTS,
)
# Large numbers in several notations, and values that look alike.
ELEMENTS = SCALARS | st.sampled_from(
    [2**53 + 1, float(2**53 + 2), 2**60 + 1, float(2**60), 2**64 + 1, 10**22, 1e22, 10**30, 1e30]
    + [0, 1.0, 1e-7, [], [1], [1.0], {}, {"a": 1}, {"a": 1.0}, {"b": None, "a": '"'}, "[]", "{}"]
)
VALUES = SCALARS | st.lists(ELEMENTS, max_size=3)
NESTED = st.dictionaries(st.sampled_from(["x", "y", "ü\"'"]), VALUES, max_size=2)
RECORD = st.dictionaries(
    st.sampled_from(["f", "g", "o", "o.x", "ü"]), VALUES | NESTED, max_size=4
).map(lambda record: {**record, "k": 1})
FIELDS = st.sampled_from(["f", "g", "o", "o.x", "o.y", "o.x.y", "ü", "o.ü\"'"])

#: Operators with their values, as JSON.
PAIRS = st.one_of(
    st.tuples(st.sampled_from(["", "not", "min", "max", "gt", "lt"]), FIELDS, SCALARS),
    st.tuples(st.sampled_from(["in", "exclude"]), FIELDS, st.lists(VALUES, min_size=1, max_size=3)),
    st.tuples(
        st.sampled_from(["contains", "contains_any"]),
        FIELDS,
        st.lists(ELEMENTS, min_size=1, max_size=2),
    ),
    st.tuples(st.just("has"), FIELDS, st.booleans()),
    st.tuples(
        st.just("like"),
        FIELDS,
        st.lists(st.sampled_from(["*", "a", "B", "s", "ß", "i", "%"]), max_size=3).map("".join),
    ),
)
QUERIES = st.tuples(
    st.lists(PAIRS, max_size=2), st.lists(st.lists(PAIRS, min_size=1, max_size=2), max_size=2)
)
ORDERS = st.lists(
    st.tuples(st.sampled_from(["", "-"]), FIELDS).map("".join), max_size=2, unique_by=str.lower
)


def select(record, field):
    """Return the value of a field, which can be nested."""
    if field in record:
        return record[field]
    value = record
    for name in field.split("."):
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def kind(value):
    """Return the type of a JSON value, as filters distinguish them."""
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, (int, float)) else type(value)


def same(one, other):
    if kind(one) is not kind(other):
        return False
    if isinstance(one, (list, dict)):
        return json.dumps(one) == json.dumps(other)  # compared as JSON
    return one == other


def same_elements(one, other):
    """Return whether elements of arrays are equal: numbers, if their decimals in JSON are."""
    if kind(one) is kind(other) is float:
        return Decimal(json.dumps(one)) == Decimal(json.dumps(other))
    return same(one, other)


def like(text, pattern):
    """Match by recursion over both strings."""
    if "*" not in pattern:
        return pattern.casefold() in text.casefold()

    def rest(text, pattern):
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(rest(text[start:], pattern[1:]) for start in range(len(text) + 1))
        return text[:1] == pattern[0] and rest(text[1:], pattern[1:])

    return rest(text.casefold(), pattern.casefold())


RANGES = {
    "min": lambda value, bound: value >= bound,
    "max": lambda value, bound: value <= bound,
    "gt": lambda value, bound: value > bound,
    "lt": lambda value, bound: value < bound,
}


def matches(record, pair):
    operator, field, wanted = pair
    value = select(record, field)
    if operator in ("", "in"):
        return any(same(value, each) for each in (wanted if operator else [wanted]))
    if operator in ("not", "exclude"):
        return not matches(record, ("in", field, [wanted] if operator == "not" else wanted))
    if operator in RANGES:
        is_ordered = kind(value) is kind(wanted) and kind(wanted) in (str, float, bool)
        return is_ordered and RANGES[operator](value, wanted)
    if operator == "has":
        return (value is not MISSING) is wanted
    if operator == "like":
        return isinstance(value, str) and like(value, wanted)
    if not isinstance(value, list):
        return False
    matching = [any(same_elements(each, item) for item in value) for each in wanted]
    return (all if operator == "contains" else any)(matching)


def name_of(operator, field):
    return f"{operator}_{field}" if operator else field


def parameters(query):
    """Return the query string of filters and alternatives."""
    pairs, alternatives = query
    objects = [{name_of(op, field): value for op, field, value in some} for some in alternatives]
    params = [("_or", json.dumps([{name_of(*pair[:2]): pair[2]}])) for pair in pairs]
    if objects:
        params.append(("_or", json.dumps(objects)))
    return params


def expected_records(records, query):
    pairs, alternatives = query
    # Later pairs of an object replace earlier ones of the same name.
    objects = [{name_of(*pair[:2]): pair for pair in some}.values() for some in alternatives]
    return [
        record
        for record in records
        if all(matches(record, pair) for pair in pairs)
        and (not objects or any(all(matches(record, p) for p in some) for some in objects))
    ]


def pages(client, path, params):
    """Return the records of all pages, and the total."""
    url, records = f"{path}?{urlencode(params)}", []
    while url:
        response = client.get(url)
        records += response.json["data"]
        url = response.headers.get("Next-Page")
    return records, int(response.headers["Total-Records"])


@pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
@settings(max_examples=EXAMPLES)
@given(
    records=st.lists(RECORD, max_size=6),
    deleted=st.integers(0, 2),
    query=QUERIES,
    order=ORDERS,
    path=st.sampled_from(["/notes", "/pages"]),
)
def test_queries_return_the_records_of_a_direct_evaluation(
    build_once, records, deleted, query, order, path
):
    alice = build_once(Note, Page).user("alice")
    # The last record is never deleted: shared collections without readable records are a 403.
    records = [*records, {"k": 1}]
    deleted = min(deleted, len(records) - 1)
    shared = {"permissions": {"read": ["system.Authenticated"]}} if path == "/pages" else {}
    stored = [alice.post(path, record, status=201, **shared).json["data"] for record in records]
    for record in stored[:deleted]:
        alice.delete(f"{path}/{record['id']}")
    expected = expected_records(stored[deleted:], query)
    params = parameters(query)
    paging = [("_sort", ",".join(order)), ("_limit", "2")]
    results, total = pages(alice, path, [*params, *paging])
    ids = [record["id"] for record in results]
    assert sorted(ids) == sorted(record["id"] for record in expected)
    assert total == len(expected)
    whole = alice.get(f"{path}?{urlencode([*params, paging[0]])}").json["data"]
    assert [record["id"] for record in whole] == ids
    since = alice.get(f"{path}?{urlencode([*params, ('_since', '0')])}").json["data"]
    live = {record["id"] for record in since if not record.get("deleted")}
    assert live == set(ids)
    batch = alice.batch({"path": f"/v1{path}?{urlencode([*params, paging[0]])}"})
    assert batch[0]["body"]["data"] == whole
    if path == "/notes":
        gone = alice.delete(f"{path}?{urlencode(params)}").json["data"]
        assert {record["id"] for record in gone} == set(ids)
