"""Lists of the engines, beyond the contract: default order, size of a page, many conditions."""

from importlib import import_module

import pytest

from cliquet.storage import Filter, Sort
from cliquet.testing.contracts.samples import PLACE, fill, ids_of
from cliquet.utils import COMPARISON

GT, EQ, LIKE = COMPARISON.GT, COMPARISON.EQ, COMPARISON.LIKE
IN, EXCLUDE = COMPARISON.IN, COMPARISON.EXCLUDE
CONTAINS, CONTAINS_ANY = COMPARISON.CONTAINS, COMPARISON.CONTAINS_ANY


def test_more_ids_than_a_statement_takes_parameters_are_filtered(storage):
    storage.create(*PLACE, {"id": "a"})
    names = [str(n) for n in range(40000)]
    assert ids_of(storage, filters=[Filter("id", [*names, "a"], IN)]) == ["a"]
    assert ids_of(storage, filters=[Filter("id", names, EXCLUDE)]) == ["a"]
    assert ids_of(storage, filters=[Filter("field", names, EXCLUDE)]) == ["a"]


def test_a_live_records_own_mark_is_data_and_no_mark(storage):
    """A record that looks like a tombstone is a record, and sorts by its own values."""
    storage.create(*PLACE, {"id": "fake", "deleted": True})
    storage.create(*PLACE, {"id": "plain"})
    storage.create(*PLACE, {"id": "dead"})
    storage.delete(*PLACE, "dead")
    deleted = [Filter("deleted", True, EQ)]
    assert ids_of(storage, filters=deleted, include_deleted=True) == ["dead"]
    order = {"sorting": [Sort("deleted", 1), Sort("id", 1)], "include_deleted": True}
    assert ids_of(storage, **order) == ["dead", "fake", "plain"]
    after = [[Filter("deleted", True, GT)], [Filter("deleted", True, EQ), Filter("id", "dead", GT)]]
    assert ids_of(storage, pagination_rules=after, **order) == ["fake", "plain"]


def test_without_an_order_the_latest_comes_first(storage):
    fill(storage)
    storage.update(*PLACE, "2", {})
    assert ids_of(storage) == ["2", "4", "3", "1", "0"]
    assert ids_of(storage, limit=2) == ["2", "4"]


def test_ties_are_sorted_by_time(storage):
    fill(storage)
    assert ids_of(storage, sorting=[Sort("odd", 1)]) == ["4", "2", "0", "3", "1"]
    assert ids_of(storage, sorting=[Sort("odd", -1)]) == ["3", "1", "4", "2", "0"]


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


#: Numbers that are not timestamps of records, and the ids of the records after them.
NUMBERS = {5.5: ["6", "7"], 5.4: ["6", "7"], -1e300: ["4", "5", "6", "7"], 2**63: [], 10**40: []}


@pytest.mark.parametrize("number", NUMBERS)
def test_page_by_time_starts_after_any_number(storage, number):
    for time in range(4, 8):
        storage.create(*PLACE, {"id": str(time), "last_modified": time})
    rules = [[Filter("last_modified", number, GT)]]
    order = [Sort("last_modified", 1)]
    assert ids_of(storage, pagination_rules=rules, sorting=order) == NUMBERS[number]


def test_hundreds_of_filters_and_orders_are_supported(storage):
    fields = {f"field{n}": n for n in range(300)}
    storage.create(*PLACE, {"id": "a", **fields})
    filters = [Filter(name, value, EQ) for name, value in fields.items()]
    assert ids_of(storage, filters=filters * 4) == ["a"]
    order = [Sort(name, 1) for name in list(fields)[:60]]
    rules = [
        [
            *(Filter(sort.field, fields[sort.field], EQ) for sort in order[:n]),
            Filter(order[n].field, -1, GT),
        ]
        for n in range(60)
    ]
    query = {"sorting": order, "pagination_rules": rules, "include_deleted": True}
    assert ids_of(storage, filters=filters, **query) == ["a"]


def test_many_filters_on_a_field_select_the_same_records_as_few(storage):
    values = ["Ab", "ß", 2, 2**53 + 1, None, [], ["Ab"], [2.0, None], [10**30, [1], {"a": 1}]]
    for n, value in enumerate(values):
        storage.create(*PLACE, {"id": str(n), "field": value})
    selections = [
        (EQ, 2.0, "2"),
        (LIKE, "B", "0"),
        (LIKE, "*S", "1"),
        (COMPARISON.HAS, True, "012345678"),
        (CONTAINS, ["Ab"], "6"),
        (CONTAINS, [2, None], "7"),
        (CONTAINS, [], "5678"),
        (CONTAINS, [1e30, {"a": 1}], "8"),
        (CONTAINS_ANY, [2**53 + 1, "Ab", [1]], "68"),
        (CONTAINS, [1e30, "a\0"], ""),
        (CONTAINS_ANY, ["a\0"], ""),
        (CONTAINS_ANY, [[1.0], {"b": 1}, {}, {"a": 1}], "8"),
        (CONTAINS_ANY, [], ""),
    ]
    for comparison, value, expected in selections:
        filter_ = Filter("field", value, comparison)
        alternatives = ([Filter("", [[filter_]] * count, COMPARISON.OR)] for count in (1, 9))
        # Copies, because the same object would count as one filter.
        copies = [filter_._replace() for _ in range(9)]
        for filters in (*alternatives, copies):
            order = [Sort("id", 1)]
            assert "".join(ids_of(storage, filters=filters, sorting=order)) == expected


def test_every_letter_is_folded_as_in_python(storage, serve):
    letters = [chr(code) for code in range(0x20000) if chr(code) != chr(code).casefold()]
    pairs = ["".join(letters[n : n + 100]) for n in range(0, len(letters), 100)]
    with serve():
        for n, text in enumerate(pairs):
            storage.create(*PLACE, {"id": str(n), "title": text})
    for n, text in enumerate(pairs):
        filters = [Filter("title", f"*{text.casefold()}*", LIKE)]
        assert ids_of(storage, filters=filters) == [str(n)]


@pytest.mark.parametrize("engine", ["memory", "redis"])
def test_query_for_some_ids_reads_these_records(engine, storage, monkeypatch):
    module = import_module(f"cliquet.storage.{engine}")
    ids = [storage.create(*PLACE, {})["id"] for _ in range(3)]
    storage.delete(*PLACE, ids[1])
    rows, select = [], module.select

    def record(query, live, dead):
        rows.append([*live, *dead])
        return select(query, live, dead)

    monkeypatch.setattr(module, "select", record)
    for id_, deleted in ((ids[0], None), (ids[1], True), (ids[2], None), ("unknown", None)):
        filters = [Filter("id", id_, EQ)]
        records, _ = storage.get_all(*PLACE, filters=filters, include_deleted=True)
        expected = [(id_, deleted)] if id_ in ids else []
        assert [(record["id"], record.get("deleted")) for record in records] == expected
    assert [len(each) for each in rows] == [1, 1, 1, 0]
    for values, include_deleted, count in (
        ([ids[0], "unknown", ids[1], ids[0], 7], True, 2),
        ([ids[2], ids[1], ids[0]], False, 2),
        ([], True, 0),
    ):
        filters = [Filter("id", values, COMPARISON.IN)]
        records, total = storage.get_all(
            *PLACE, filters=filters, include_deleted=include_deleted, sorting=[Sort("id", 1)]
        )
        found = [record["id"] for record in records]
        assert found == sorted(found)
        assert set(found) == (set(values) & set(ids)) - (set() if include_deleted else {ids[1]})
        assert total == len({*found} - {ids[1]})
        assert len(rows[-1]) == count


def test_records_in_a_span_are_found_by_id(storage):
    times = [storage.create(*PLACE, {"id": id_})["last_modified"] for id_ in "abc"]
    filters = [
        Filter("id", ["c", "a"], COMPARISON.IN),
        Filter("last_modified", times[0], COMPARISON.GT),
    ]
    assert ids_of(storage, filters=filters) == ["c"]
    assert [record["id"] for record in storage.delete_all(*PLACE, filters)] == ["c"]
    assert ids_of(storage, sorting=[Sort("id", 1)]) == ["a", "b"]
