"""The indexes for SQLite in the guide serve the queries that it lists."""

import json
import re
import sqlite3
from pathlib import Path

import pytest

from cliquet.storage.sqlite import conditions
from cliquet.storage.sqlite.dialect import same_value
from tests.resource import apps

GUIDE = Path(__file__, "../../../docs/howto/index-a-field.rst").resolve().read_text("utf-8")
SECTION = GUIDE.partition("SQLite\n------")[2]
(STATEMENTS,) = re.findall(r"code-block:: sql\n\n((?: {4}.*\n)+)", SECTION)
SERVED, REST = SECTION.partition("The indexes serve")[2].split("They don't serve")
QUERIES = [text for text in re.findall("``(.+?)``", SERVED) if "=" in text]
ROWS = 2000


@pytest.fixture(scope="module")
def alice(tmp_path_factory):
    """A user who has records, indexed as the page describes."""
    folder = tmp_path_factory.mktemp("indexed")
    with apps.builder("sqlite", folder) as build:
        alice = build(apps.Note).user("alice")
        records = [
            {"rank": n * 7 % 1000, "status": n % 3, "author": {"name": f"name{n}"}, "other": n}
            for n in range(ROWS)
        ]
        with sqlite3.connect(folder / "library.sqlite") as db:
            db.execute(
                """INSERT INTO collections (id, parent_id, collection_id, last_modified, count)
                VALUES (1, ?, 'note', ?, ?)""",
                (alice.id, ROWS, ROWS),
            )
            db.executemany(
                "INSERT INTO records (collection, last_modified, id, data) VALUES (1, ?, ?, ?)",
                [(n, f"id{n}", json.dumps(record)) for n, record in enumerate(records)],
            )
            db.executescript(STATEMENTS)
        db.close()
        # A new process, whose connections read the statistics.
        yield build(apps.Note).user("alice")


@pytest.fixture
def plans_of(alice, monkeypatch):
    """A function of a query string that returns the plans of the statements for the page."""
    sent = []

    def record(function):
        def recorded(*args):
            sent.append(function(*args))
            return sent[-1]

        return recorded

    for name in ("page", "count"):
        monkeypatch.setattr(conditions, name, record(getattr(conditions, name)))

    def plans_of(path):
        sent.clear()
        assert alice.get(path).headers["Total-Records"] != "0"
        with alice.storage._client.read() as db:
            plans = [db.execute(f"EXPLAIN QUERY PLAN {text}", params) for text, params in sent]
            return [" ".join(row[3] for row in rows) for rows in plans]

    return plans_of


@pytest.mark.parametrize("query", QUERIES)
def test_index_serves_the_documented_queries(plans_of, query):
    for plan in plans_of(f"/notes?{query}&_limit=1"):
        assert " USING INDEX records_by_" in plan
        assert "<expr>" in plan
        assert "PRIMARY KEY" not in plan


@pytest.mark.parametrize("query", ["not_rank=3", "other=3", "like_author.name=name", "_sort=rank"])
def test_index_does_not_serve_other_queries(plans_of, query):
    for plan in plans_of(f"/notes?{query}&_limit=1"):
        assert "PRIMARY KEY" in plan


def test_the_guide_lists_queries():
    assert {"rank=3", "in_rank=1,2,3", "min_rank=990", "author.name=name7"} < set(QUERIES)


def test_the_index_serves_unique_fields(alice):
    same = same_value("rank", 3)
    search = " ".join(
        ("EXPLAIN QUERY PLAN SELECT id FROM records WHERE collection = 1 AND", same.text)
    )
    with alice.storage._client.read() as db:
        (row,) = db.execute(search, same.parameters)
    assert "USING INDEX records_by_rank (collection=? AND <expr>=?)" in row[3]
