"""Partitions as in the documentation: the storage works on them as on whole tables."""

from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from pyramid.config import Configurator

from cliquet.storage import Filter, Sort
from cliquet.storage.filtering import FieldNames, build_query
from cliquet.storage.postgresql import conditions, load_from_config
from cliquet.storage.postgresql.dialect import PostgreSQL
from cliquet.utils import COMPARISON
from tests import postgresql_server

EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation"
PARTITIONS = 8

UNIQUE_CONSTRAINTS = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint
 WHERE contype IN ('p', 'u') AND conrelid::regclass::text LIKE 'cliquet\\_%'"""


@pytest.fixture
def url():
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        yield url


@pytest.fixture
def run(url):
    """A function of statements that returns the rows of the last one."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def run(statements, parameters=None):
            cursor.execute(statements, parameters)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def storage(url, run):
    """A storage on tables in partitions."""
    storage = load_from_config(Configurator(settings={"storage_url": url}))
    storage.initialize_schema()
    run(EXPLANATION.joinpath("partitions.sql").read_text())
    yield storage
    storage._client.close()


def places(parents):
    return [("note", f"user{number}") for number in range(parents)]


def since(storage, place, timestamp):
    later = Filter("last_modified", timestamp, COMPARISON.GT)
    page = storage.get_page(
        *place, filters=[later], sorting=[Sort("last_modified", 1)], include_deleted=True
    )
    return page.records


def test_records_in_partitions_are_written_and_polled_as_in_one_table(storage):
    for place in places(20):
        first, second, third = [storage.create(*place, {"n": n}) for n in range(3)]
        changed = storage.update(*place, first["id"], {"n": "changed"})
        gone = storage.delete(*place, second["id"])
        assert since(storage, place, third["last_modified"]) == [changed, gone]
        assert storage.get_all(*place)[1] == 2
        (other,) = storage.delete_all(*place, filters=[Filter("n", 2, COMPARISON.EQ)])
        assert since(storage, place, gone["last_modified"]) == [other]


def test_purge_of_one_collection_leaves_tombstones_of_other_partitions(storage):
    for place in places(20):
        storage.delete(*place, storage.create(*place, {})["id"])
    first, *others = places(20)
    assert storage.purge_deleted(*first) == 1
    assert [len(since(storage, place, 0)) for place in others] == [1] * len(others)


def test_page_reads_one_partition(storage, run):
    for place in places(20):
        storage.create(*place, {})
    query = build_query(FieldNames("id", "last_modified", "deleted"), limit=10)
    text, parameters = conditions.page(("user0", "note"), query, PostgreSQL())
    plan = [line for (line,) in run("EXPLAIN (ANALYZE, COSTS OFF)" + text, parameters)]
    scans = [line for line in plan if " on cliquet_records_" in line]
    assert len(scans) == PARTITIONS
    assert sum("never executed" not in line for line in scans) == 1


def test_tables_by_parent_have_the_parent_in_each_key(run):
    run(EXPLANATION.joinpath("by-parent.sql").read_text())
    for table in ("cliquet_collections", "cliquet_records", "cliquet_tombstones"):
        run(f"CREATE TABLE {table}_0 PARTITION OF {table} FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    definitions = [text for (text,) in run(UNIQUE_CONSTRAINTS)]
    assert len(definitions) == 5 * 2  # of each table, and of its partition
    assert all("(parent_id, collection_id" in text for text in definitions)
