"""Reading collections that were never written: nothing is written, on any engine."""

import re
import sqlite3
from contextlib import closing
from uuid import uuid4

import psycopg2
import pytest

from cliquet.drivers.postgresql.watchdog import Cursor
from cliquet.drivers.redis.client import Client as RedisClient
from cliquet.drivers.sqlite import connections
from cliquet.drivers.sqlite.connections import connect
from tests import postgresql_server, redis_server
from tests.resource import apps
from tests.resource.apps import ENGINES, SERVED, Note, Page

ALL_ENGINES = [*ENGINES, *SERVED]
ID = "4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a11"
READS = [
    ("GET", "/notes", {}, 200),
    ("HEAD", "/notes", {}, 200),
    ("GET", "/notes?_since=1&_sort=n&_limit=2", {}, 200),
    ("GET", "/notes", {"If-None-Match": '"9999999999999"'}, 304),
    ("GET", f"/notes/{ID}", {}, 404),
    ("GET", "/pages", {}, 200),
    ("GET", f"/pages/{ID}", {}, "40*"),
]
SETTINGS = {"page_read_principals": "system.Authenticated"}
# Statements and commands that change a database.
WRITES_OF_SQL = re.compile(r"INSERT|UPDATE|DELETE|TRUNCATE|LOCK|BEGIN|cliquet_(lock|write|delete)")
WRITES_OF_REDIS = {"set", "setrange", "getset", "hset", "zadd", "sadd", "del", "unlink", "incr"}


def read_all(client):
    """Read as users that were never heard of, and return the timestamps of their lists."""
    timestamps = set()
    for name in ("alice", "bob"):
        for method, path, headers, status in READS:
            response = client.user(name).send(method, path, None, headers, status)
            if "ETag" in response.headers:
                timestamps.add(response.headers["ETag"])
    return timestamps


@pytest.fixture
def client(build):
    return build(Note, Page, settings=SETTINGS)


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_the_timestamp_is_stable_and_later_writes_are_later(client):
    (before,) = read_all(client)
    assert {before} == read_all(client)
    alice = client.user("alice")
    record = alice.create("/notes", {"n": 1})
    assert record["last_modified"] > int(before.strip('"'))
    assert alice.get("/notes?_since=" + before).json["data"] == [record]
    assert client.user("bob").get("/notes").headers["ETag"] == before


@pytest.mark.parametrize("engine", ["postgresql"])
def test_reading_sends_two_statements_that_only_read(client, monkeypatch):
    execute, sent = Cursor.execute, []

    def recorded(self, query, parameters=None):
        sent.append(query)
        return execute(self, query, parameters)

    monkeypatch.setattr(Cursor, "execute", recorded)
    read_all(client)  # which also prepares the statements
    alice = client.user("alice")
    for headers in ({}, {"If-None-Match": '"9999999999999"'}):
        before = len(sent)
        alice.get("/notes", headers=headers, status="*")
        assert len(sent) - before == 2
    assert [query for query in sent if WRITES_OF_SQL.search(query)] == []


@pytest.mark.parametrize("engine", ["sqlite"])
def test_reading_runs_two_statements_that_only_read(client, monkeypatch):
    sent = []

    def record(query):
        if query not in ("BEGIN", "COMMIT"):  # of a snapshot; writes begin otherwise
            sent.append(query)

    def traced(*arguments):
        connection = connect(*arguments)
        connection.set_trace_callback(record)
        return connection

    client.storage._client.close()
    monkeypatch.setattr(connections, "connect", traced)
    alice = client.user("alice")
    for headers in ({}, {"If-None-Match": '"9999999999999"'}):
        sent.clear()
        alice.get("/notes", headers=headers, status="*")
        assert len(sent) == 2
    read_all(client)
    assert [query for query in sent if WRITES_OF_SQL.search(query)] == []


@pytest.mark.parametrize("engine", ["redis"])
def test_reading_is_one_command_that_only_reads(client, monkeypatch):
    sent = []
    for name in ("call", "run"):
        send = getattr(RedisClient, name)
        monkeypatch.setattr(
            RedisClient, name, lambda *args, send=send: (sent.append(args), send(*args))[1]
        )
    alice = client.user("alice")
    for headers in ({}, {"If-None-Match": '"9999999999999"'}):
        sent.clear()
        alice.get("/notes", headers=headers, status="*")
        assert len(sent) == 1
    server = RedisClient(redis_server.shared_url())
    server.call("CONFIG", "RESETSTAT")
    read_all(client)
    statistics = server.call("INFO", "commandstats")
    commands = set(re.findall(r"cmdstat_(\w+)", str(statistics)))
    assert commands >= {"get"}
    assert commands & WRITES_OF_REDIS == set()


@pytest.mark.parametrize("engine", ["memory"])
def test_reading_keeps_nothing_in_memory(client):
    read_all(client)
    assert client.storage._collections == {}


@pytest.mark.parametrize("engine", ["postgresql"])
def test_readers_do_not_wait_for_writers_on_postgresql(client):
    before = read_all(client)
    with closing(psycopg2.connect(postgresql_server.shared_url())) as writer:
        writer.cursor().execute("LOCK TABLE cliquet_collections, cliquet_epoch IN EXCLUSIVE MODE")
        assert read_all(client) == before


@pytest.mark.parametrize("engine", ["sqlite"])
def test_readers_do_not_wait_for_writers_on_sqlite(client):
    before = read_all(client)
    with closing(sqlite3.connect(client.storage._client.path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert read_all(client) == before


@pytest.mark.parametrize("engine", ["sqlite"])
def test_connections_of_sqlite_that_refuse_to_write_are_enough_to_read(client, monkeypatch):
    before = read_all(client)

    def reader(*arguments):
        connection = connect(*arguments)
        connection.execute("PRAGMA query_only = ON")
        return connection

    client.storage._client.close()
    monkeypatch.setattr(connections, "connect", reader)
    assert read_all(client) == before
    client.user("alice").post("/notes", {}, status=503)


def test_a_role_that_can_only_read_is_enough_to_read(tmp_path):
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        settings = {
            f"{kind}_{key}": value
            for kind in ("storage", "permission", "cache")
            for key, value in {"backend": f"cliquet.{kind}.postgresql", "url": url}.items()
        }
        owner = apps.build(Note, Page, settings={**settings, **SETTINGS})
        before = read_all(owner)
        role = f"cliquet_test_{uuid4().hex}"
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
            cursor.execute(f"ALTER ROLE {role} SET default_transaction_read_only = on")
            cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
            try:
                mark = "&" if "?" in url else "?"
                of_role = f"{url}{mark}user={role}&password=secret"
                settings.update(dict.fromkeys(("storage_url", "permission_url"), of_role))
                client = apps.build(Note, Page, settings={**settings, **SETTINGS})
                assert read_all(client) == before
                client.user("alice").post("/notes", {}, status=503)
                client.storage._client.close()
            finally:
                cursor.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        owner.storage._client.close()
