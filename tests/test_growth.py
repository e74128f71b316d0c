"""The benchmark of growth: its collections are what it says, and it measures all of it."""

import json

import pytest

from benchmarks import growth
from benchmarks.toolkit import make_app
from tests import postgresql_server


@pytest.fixture(scope="module")
def user():
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        app = make_app(dict(growth.backends(url)))
        user = growth.User(app, growth.SMALLEST)
        growth.prepare(url, [user])
        yield user
        app.registry.storage._client.close()


def response_of(user, name):
    (operation,) = (operation for operation in growth.OPERATIONS if operation.name == name)
    return user.timed(operation.make(user))[1]


def test_total_is_that_of_the_records(user):
    assert response_of(user, "list").headers["Total-Records"] == str(user.size)
    assert len(response_of(user, "list").json["data"]) == 100


def test_page_by_token_begins_in_the_middle(user):
    data = response_of(user, "page by token").json["data"]
    times = [record["last_modified"] for record in data]
    assert user.middle > times[0] >= user.middle - 101 * growth.STEP
    assert len(times) == 100


def test_sorted_page_by_token_begins_in_the_middle(user):
    data = response_of(user, "sort by token, with an index").json["data"]
    assert [record["size"] for record in data] == list(range(user.half + 101, user.half + 201))


def test_poll_brings_records_and_tombstones(user):
    data = response_of(user, "_since, 99 changes").json["data"]
    assert len(data) == 99
    assert sum(record.get("deleted", False) for record in data) == 9


FOUND = {
    "filter": 1,
    "in_": 2,
    "_or": 2,
    "has_": growth.RARE,
    "like_": 1,
    "contains_": 1,
    "contains_any_": 2,
    "nested filter": 1,
    "nested sort": 100,
}


@pytest.mark.parametrize("name", FOUND)
def test_filters_find_as_many_records_with_and_without_index(user, name):
    for suffix in ("with an index", "without index"):
        assert len(response_of(user, f"{name}, {suffix}").json["data"]) == FOUND[name]


def test_table_has_each_selected_operation_and_size(tmp_path, capsys):
    path = tmp_path / "growth.json"
    arguments = [
        "--url",
        postgresql_server.shared_url(),
        "--json",
        str(path),
        "--rounds",
        "2",
        "--only",
        "sort",
    ]
    growth.main([*arguments, "--sizes", "1100", "1000"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["milliseconds", "1000", "1100", "ratio", "goal"]
    names = [each.name for each in growth.OPERATIONS if "sort" in each.name]
    assert [line.startswith(name) for line, name in zip(lines[1:], names, strict=True)]
    table = json.loads(path.read_text())
    assert list(table["operations"]) == names
    assert table["sizes"] == [1000, 1100]


def test_excessive_growth_is_marked():
    operation = growth.Operation("get", growth.get, 1.15)
    assert growth.described(operation, [1.0, 9.0, 1.15]).split()[-2:] == ["1.15", "1.15"]
    assert growth.described(operation, [1.0, 1.0, 1.16]).split()[-3:] == ["1.16", "1.15", "missed"]
    assert growth.described(operation._replace(goal=None), [1.0, 9.0]).endswith("9.00  linear")


def test_collections_that_are_too_small_are_refused(capsys):
    with pytest.raises(SystemExit):
        growth.main(["--sizes", "10"])
    assert "--sizes: expected 1000 or more" in capsys.readouterr().err
