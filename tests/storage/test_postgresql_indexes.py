"""The indexes in the guide serve the queries that it lists."""

import json
import re
import time
from pathlib import Path

import pytest
import transaction

from cliquet import transactions
from cliquet.storage.exceptions import UnicityError
from tests import postgresql_server
from tests.resource import apps

GUIDE = Path(__file__, "../../../docs/howto/index-a-field.rst").resolve().read_text("utf-8")
PAGE = GUIDE.partition("SQLite\n------")[0]
STATEMENTS = "".join(re.findall(r"code-block:: sql\n\n((?: {4}.*\n)+)", PAGE)).split(";")[:-1]
SERVED, NOT_SERVED = (
    [text for text in re.findall("``(.+?)``", part) if "rank" in text]
    for part in PAGE.partition("Queries that use")[2]
    .partition("Nested fields")[0]
    .split("It doesn't help")
)
INDEX = "cliquet_records_by_rank"
ROWS = 10_000
# Those that the connection has read, one after the other or through an index.
ROWS_READ = """
SELECT pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid)
FROM pg_class WHERE relname = 'cliquet_records'"""


@pytest.fixture(scope="module")
def alice():
    """A user who has records, indexed as the page describes; each rank has ten of them."""
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        settings = {
            f"{kind}_{key}": value
            for kind in ("storage", "permission", "cache")
            for key, value in {"backend": f"cliquet.{kind}.postgresql", "url": url}.items()
        }
        alice = apps.build(apps.Note, settings=settings).user("alice")
        client = alice.storage._client
        client.execute_autocommit(
            """INSERT INTO cliquet_collections (parent_id, collection_id, last_modified)
            VALUES (%s, 'note', %s)""",
            [alice.id, ROWS],
        )
        client.execute_autocommit(
            """INSERT INTO cliquet_records (collection, last_modified, id, data)
            SELECT collection, n, md5(n::text),
                   json_build_object('rank', n * 7 %% 1000, 'status', n %% 3,
                       'author', json_build_object('name', 'name' || n),
                       'title', 'Title ' || n || ' of a record',
                       'tags', json_build_array(
                           't' || n, CASE n %% 2 WHEN 1 THEN 'odd' END, json_build_array(n)))
            FROM cliquet_collections, generate_series(1, %s) AS n""",
            [ROWS],
        )
        for statement in STATEMENTS:
            client.execute_autocommit(statement)
        yield alice
        client.close()


@pytest.fixture
def plan_of(alice, monkeypatch):
    """A function of a querystring that returns the plan of the statement that finds the page."""
    client, sent = alice.storage._client, []
    read = client._read

    def recorded(statement):
        sent.append(statement)
        return read(statement)

    def plan_of(path):
        sent.clear()
        alice.get(path)
        page = next(statement for statement in sent if "pg_index" not in statement.sql)
        explained = page._replace(sql=f"EXPLAIN {page.sql}")
        return "\n".join(row[0] for row in read(explained))

    monkeypatch.setattr(client, "_read", recorded)
    return plan_of


@pytest.mark.parametrize("query", SERVED)
def test_index_serves_the_documented_queries(plan_of, query):
    plan = plan_of(f"/notes?{query}")
    assert f" {INDEX} " in plan
    assert "Seq Scan on cliquet_records" not in plan
    if "_sort" not in query:
        conditions = re.findall(rf" {INDEX} .*\n +Index Cond: (.*)", plan)
        assert conditions
        assert all("cliquet_key((data -> 'rank'::text))" in condition for condition in conditions)


@pytest.mark.parametrize("query", [query for query in SERVED if "_sort" in query])
def test_the_index_serves_the_next_pages(alice, plan_of, query):
    following = alice.get(f"/notes?{query}").headers["Next-Page"]
    plan = plan_of(following)
    assert f" {INDEX} " in plan
    assert "Seq Scan on cliquet_records" not in plan


OTHERS = {
    "cliquet_records_by_author": [
        "author.name=name7",
        "min_author.name=name98",
        "_sort=author.name&_limit=10",
        'in_author.name=["name7","name8"]',
        '_or=[{"author.name":"name7"},{"author.name":"name8"}]',
    ],
    "cliquet_records_by_title": [
        "like_title=tle 77 of",
        "like_title=*77 of*",
        "like_title=TITLE 77*",
        '_or=[{"like_title":"tle 77 of"},{"like_title":"tle 78 of"}]',
    ],
    "cliquet_records_by_tags": [
        "contains_tags=t7",
        "contains_tags=t7,odd",
        "contains_any_tags=t7,t9",
        "contains_tags=[[7]]",
        'contains_any_tags=["t7",[9]]',
        "contains_any_tags=t7&contains_any_tags=t7,t9&contains_any_tags=t7,odd",
        '_or=[{"contains_tags":["t7","odd"]},{"contains_any_tags":["t9"]}]',
    ],
}


@pytest.mark.parametrize(
    ("index", "query"), [(index, query) for index, queries in OTHERS.items() for query in queries]
)
def test_other_indexes_serve_their_queries(alice, plan_of, index, query):
    plan = plan_of(f"/notes?{query}")
    assert f" {index} " in f"{plan} ".replace("\n", " ")
    assert "Seq Scan on cliquet_records" not in plan
    if "_sort" not in query:
        assert 0 < int(alice.get(f"/notes?{query}").headers["Total-Records"]) < 300
    if "_or" not in query and "[" not in query and "&contains" not in query:
        assert f"``{query}``" in PAGE


def test_index_serves_any_number_of_alternatives_with_a_value_of_its_field(plan_of):
    alternatives = json.dumps([{"rank": rank, "not_status": rank} for rank in range(20)])
    plan = plan_of(f"/notes?_or={alternatives}")
    assert f" {INDEX} " in plan
    assert "shared" in plan


def test_presence_is_served_by_the_index(plan_of):
    assert f" {INDEX} " in plan_of("/notes?has_rank=false")


def test_trigrams_are_only_compared_if_an_index_contains_them(alice, plan_of, monkeypatch):
    assert "cliquet_trigrams" not in plan_of("/notes?like_other=text")
    client, field = alice.storage._client, "it's"
    assert "cliquet_trigrams" not in plan_of(f"/notes?like_{field}=text")
    client.execute_autocommit(
        "CREATE INDEX later ON cliquet_records USING gin (cliquet_trigrams(data -> 'it''s'))"
    )
    assert "cliquet_trigrams" not in plan_of(f"/notes?like_{field}=text")
    # The indexes are read again after a minute.
    now = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert " later " in plan_of(f"/notes?like_{field}=text")


@pytest.mark.parametrize("query", ["{}=a", "in_{}=a,true", "not_{}=true"])
def test_keys_of_strings_and_booleans_are_only_compared_if_an_index_contains_them(plan_of, query):
    assert "cliquet_key" in plan_of(f"/notes?{query.format('author.name')}")
    assert "cliquet_key" not in plan_of(f"/notes?{query.format('author.age')}")


def test_short_patterns_are_not_served(plan_of):
    assert "cliquet_records_by_title" not in plan_of("/notes?like_title=77")


@pytest.mark.parametrize("query", NOT_SERVED)
def test_index_does_not_serve_the_documented_exceptions(plan_of, query):
    assert INDEX not in plan_of(f"/notes?{query}")


def test_the_page_says_something_of_filters_and_orders():
    assert {"rank=3", "in_rank=1,2,3", "min_rank=990", "_sort=-rank&_limit=10"} < set(SERVED)
    assert NOT_SERVED == ["not_rank=3", "exclude_rank=1,2"]


def test_the_index_serves_unique_fields(alice):
    storage, client = alice.storage, alice.storage._client
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        storage.lock("note", alice.id)
        ((before,),) = client.read(ROWS_READ)
        # More often than PostgreSQL makes plans for the values, if one for any would do.
        for n in range(8):
            storage.create("note", alice.id, {"rank": ROWS + n}, unique_fields=["rank"])
        with pytest.raises(UnicityError):
            storage.create("note", alice.id, {"rank": 3}, unique_fields=["rank"])
        ((after,),) = client.read(ROWS_READ)
    manager.abort()
    assert after - before < 100


def test_an_index_of_one_collection_is_not_used(alice, plan_of):
    client = alice.storage._client
    client.execute_autocommit(f"DROP INDEX {INDEX}")
    client.execute_autocommit(
        "CREATE INDEX partial ON cliquet_records (cliquet_key(data -> 'rank')) WHERE collection = 1"
    )
    plan = plan_of("/notes?rank=3")
    client.execute_autocommit("DROP INDEX partial")
    # For the other tests of this module.
    client.execute_autocommit(next(statement for statement in STATEMENTS if INDEX in statement))
    assert "partial" not in plan
