"""Data of 3.1 is exported and imported as in the guide, and the new service serves it."""

import functools
import importlib
import json
import re
import shutil
import sys

import psycopg2
import pytest
import redis
from pyramid.paster import bootstrap, get_app
from pyramid.registry import Registry
from webtest import TestApp

from cliquet.http.limits import NO_LIMITS, Limits, limits_of
from cliquet.settings import DEFAULT_SETTINGS
from cliquet.testing import get_request_class, get_user_headers
from tests import postgresql_server, redis_server
from tests.docs import service
from tests.docs.console import commands
from tests.docs.pages import DOCS, block, blocks

PAGE = "howto/upgrade"
#: Commands that need PyPI, an application of the reader, or psql.
NOT_HERE = ("$ python3.11", "$ python -m pytest", "$ psql")

ALICE = "basicauth:3f2a"
IDS = [f"4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a1{digit}" for digit in range(4)]

LINES = [
    *(
        {"collection_id": "article", "parent_id": ALICE, "record": record}
        for record in (
            {"id": IDS[0], "last_modified": 1430222877724, "title": "First"},
            {"id": IDS[1], "last_modified": 1430222877725, "deleted": True},
            {"id": IDS[2], "last_modified": 1430222877726, "deleted": True},
            {"id": IDS[3], "last_modified": 1430222877727, "title": "Last", "price": 1.10},
        )
    ),
    {"object_id": f"/articles/{IDS[0]}", "permissions": {"read": ["group:editors"]}},
    {"user_id": ALICE, "principals": ["group:editors", "group:authors"]},
]


APPLICATION = """
import cliquet
from cliquet import resource
from pyramid.config import Configurator


class Schema(resource.ResourceSchema):
    class Options:
        preserve_unknown = True


@resource.register()
class Article(resource.ShareableResource):
    mapping = Schema()


@resource.register()
class Bookmark(resource.UserResource):
    mapping = Schema()


def main(global_config, **settings):
    config = Configurator(settings=settings)
    cliquet.initialize(config, version="1.0")
    config.scan(__name__)
    return config.make_wsgi_app()
"""

write = functools.partial(service.write, code=APPLICATION)


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield request.param, f"sqlite:///{tmp_path}/service.sqlite"
    elif request.param == "redis":
        url = redis_server.database_url(4)
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        yield request.param, url
    else:
        with postgresql_server.database_on(postgresql_server.shared_url()) as url:
            yield request.param, url


@pytest.fixture
def ini(url, tmp_path, monkeypatch):
    """A configuration whose backends are ready, and an importable service for it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, service.MODULE, raising=False)
    path = write(tmp_path, "service.ini", *url)
    with bootstrap(str(path)) as environment:
        environment["registry"].storage.initialize_schema()
        environment["registry"].permission.initialize_schema()
    return str(path)


@pytest.fixture
def import_lines(ini, tmp_path):
    """A function of items, which imports them and returns the failure, if any."""

    def import_lines(items):
        dump = tmp_path / "dump.jsonl"
        dump.write_text("".join(json.dumps(item) + "\n" for item in items))
        return importlib.import_module("import_dump").main([ini, str(dump)])

    return import_lines


@pytest.fixture
def registry(ini):
    with bootstrap(ini) as environment:
        yield environment["registry"]


def test_records_permissions_and_timestamps_are_imported(import_lines, registry):
    assert import_lines(LINES) is None
    found, total = registry.storage.get_all("article", ALICE, include_deleted=True)
    found.sort(key=lambda record: record["last_modified"])
    assert found == [item["record"] for item in LINES[:4]]
    assert total == 2
    # The collection's timestamp is later than any that clients have seen.
    assert registry.storage.collection_timestamp("article", ALICE) > 1430222877727
    permissions = registry.permission.object_permissions(f"/articles/{IDS[0]}")
    assert permissions == {"read": {"group:editors"}}
    assert registry.permission.user_principals(ALICE) == {"group:editors", "group:authors"}


def test_line_that_cannot_be_stored_is_named(import_lines):
    for good, wrong in ((LINES[0], LINES[0]), (LINES[1], {}), (LINES[3], {"record": {}})):
        assert import_lines([good, wrong]).startswith("line 2: ")


#: Tables of 3.1 in PostgreSQL, with the function that the export calls.
TABLES_OF_3_1 = """
CREATE FUNCTION as_epoch(moment TIMESTAMP) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS
    $$ SELECT (extract(epoch FROM moment) * 1000)::bigint $$;
CREATE TABLE records (
    id TEXT NOT NULL, parent_id TEXT NOT NULL, collection_id TEXT NOT NULL,
    last_modified TIMESTAMP NOT NULL, data {json} NOT NULL,
    PRIMARY KEY (id, parent_id, collection_id));
CREATE TABLE deleted (
    id TEXT NOT NULL, parent_id TEXT NOT NULL, collection_id TEXT NOT NULL,
    last_modified TIMESTAMP NOT NULL, PRIMARY KEY (id, parent_id, collection_id));
CREATE TABLE timestamps (
    parent_id TEXT NOT NULL, collection_id TEXT NOT NULL, last_modified TIMESTAMP NOT NULL,
    PRIMARY KEY (parent_id, collection_id));
CREATE TABLE user_principals (user_id TEXT PRIMARY KEY, principals TEXT[]);
CREATE TABLE access_control_entries (
    object_id TEXT, permission TEXT, principals TEXT[], PRIMARY KEY (object_id, permission));
CREATE TABLE metadata (name VARCHAR(128) NOT NULL, value VARCHAR(512) NOT NULL);
"""

#: Collections of the old service, by the user that they belong to: ids, milliseconds and data.
#: A record without data is deleted.
FIRST = 1430222877724
ODD = {"title": 'Caf\u00e9 "1.10"\\n', "tags": ["b", "a"], "price": 1.1, "big": 2**60, "none": None}
ARTICLES = {IDS[0]: (FIRST, ODD), IDS[1]: (FIRST + 1, None), IDS[2]: (FIRST + 2, {"title": "Own"})}
BOOKMARKS = {IDS[3]: (FIRST + 3, {"title": "Alice's"}), IDS[1]: (FIRST + 4, None)}


@pytest.fixture
def new_service(ini, tmp_path):
    """A function that imports a dump and returns a client of the service."""

    def new_service(dump):
        tmp_path.joinpath("dump.jsonl").write_text(dump, encoding="utf-8")
        failure = importlib.import_module("import_dump").main([ini, f"{tmp_path}/dump.jsonl"])
        assert failure is None
        return client_of(ini)

    return new_service


def client_of(ini):
    client = TestApp(get_app(ini))
    client.RequestClass = get_request_class("v1")
    return client


def user_id(client, name):
    return client.get("/", headers=get_user_headers(name)).json["user"]["id"]


@pytest.fixture
def users(tmp_path):
    """The ids of Alice and Bob, which are computed from the secret."""
    path = write(tmp_path, "ids.ini", url=f"sqlite:///{tmp_path}/ids.sqlite")
    client = client_of(str(path))
    return user_id(client, "alice"), user_id(client, "bob")


def permissions_of(alice):
    return {
        ("/articles", "read"): [alice],
        (f"/articles/{IDS[0]}", "write"): [alice],
        (f"/articles/{IDS[0]}", "read"): ["group:editors"],
        (f"/articles/{IDS[2]}", "write"): [alice],
    }


def fill_tables(url, json_type, alice, bob):
    """Create the tables of 3.1 with the data of the old service."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES_OF_3_1.format(json=json_type))
        moment = "to_timestamp(%s / 1000.0) AT TIME ZONE 'UTC'"
        for place, records in (("article", ""), ARTICLES), (("bookmark", alice), BOOKMARKS):
            for id_, (last_modified, data) in records.items():
                values = [*place, id_, last_modified]
                columns, more = "collection_id, parent_id, id, last_modified", ""
                if data is not None:
                    values.append(json.dumps(data))
                    columns, more = f"{columns}, data", ", %s"
                table = "deleted" if data is None else "records"
                cursor.execute(
                    f"INSERT INTO {table} ({columns}) VALUES (%s, %s, %s, {moment}{more})",  # noqa: S608
                    values,
                )
        # 3.1 kept the tombstone of an id that was used again.
        cursor.execute(
            "INSERT INTO deleted SELECT id, parent_id, collection_id, "
            "last_modified - interval '1 day' FROM records"
        )
        for (object_id, name), principals in permissions_of(alice).items():
            cursor.execute(
                "INSERT INTO access_control_entries VALUES (%s, %s, %s)",
                [object_id, name, principals],
            )
        cursor.execute("INSERT INTO user_principals VALUES (%s, %s)", [bob, ["group:editors"]])
    connection.close()


def exported_by_sql(url, script):
    """Return the lines that psql would print with the script."""
    lines = []
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        for statement in script.read_text().split(";\n"):
            if statement.strip():
                cursor.execute(statement)
                lines += [
                    json.dumps(row[0]) if isinstance(row[0], dict) else row[0] for row in cursor
                ]
    connection.close()
    return "".join(f"{line}\n" for line in lines)


def fill_backends(registry, alice, bob):
    """Store the data of the old service through the API of the backends."""
    for place, records in (("article", ""), ARTICLES), (("bookmark", alice), BOOKMARKS):
        for id_, (last_modified, data) in records.items():
            record = {"id": id_, "last_modified": last_modified - 1000}
            registry.storage.create(*place, record)
            if data is None:
                registry.storage.delete(*place, id_, last_modified=last_modified)
            else:
                new = {**data, "id": id_, "last_modified": last_modified}
                registry.storage.update(*place, id_, new)
    for (object_id, name), principals in permissions_of(alice).items():
        for principal in principals:
            registry.permission.add_principal_to_ace(object_id, name, principal)
    registry.permission.add_user_principal(bob, "group:editors")


def listed(response):
    return {record["id"]: record for record in response.json["data"]}


def expected(records):
    return {
        id_: {"id": id_, "last_modified": time, **({"deleted": True} if data is None else data)}
        for id_, (time, data) in records.items()
    }


def check_service(client, alice):
    """Check that the service serves the data of the old one, to those who had access."""
    of_alice, of_bob, of_carol = map(get_user_headers, ("alice", "bob", "carol"))
    since = {"_since": str(FIRST - 1)}
    bookmarks = client.get("/bookmarks", since, headers=of_alice)
    assert listed(bookmarks) == expected(BOOKMARKS)
    assert bookmarks.headers["Total-Records"] == "1"
    assert listed(client.get("/bookmarks", headers=of_bob)) == {}

    assert listed(client.get("/articles", since, headers=of_alice)) == expected(ARTICLES)
    article = f"/articles/{IDS[0]}"
    permissions = {"write": [alice], "read": ["group:editors"]}
    response = client.get(article, headers=of_bob)
    assert response.json == {"data": expected(ARTICLES)[IDS[0]], "permissions": permissions}
    assert response.headers["ETag"] == f'"{FIRST}"'
    client.patch_json(article, {"data": {"title": "Bob's"}}, headers=of_bob, status=403)
    client.get(f"/articles/{IDS[2]}", headers=of_bob, status=403)
    client.get(article, headers=of_carol, status=403)
    client.get(f"/bookmarks/{IDS[1]}", headers=of_alice, status=404)

    matching = {**of_alice, "If-Match": f'"{FIRST}"'}
    client.patch_json(article, {"data": {"title": "New"}}, headers=matching)
    client.patch_json(article, {"data": {"title": "New"}}, headers=matching, status=412)


@pytest.mark.parametrize("json_type", ["JSON", "JSONB"])
def test_service_serves_records_from_the_tables_of_3_1(json_type, new_service, users, examples):
    with postgresql_server.database_on(postgresql_server.shared_url()) as old:
        fill_tables(old, json_type, *users)
        dump = exported_by_sql(old, examples / "export_postgresql.sql")
    check_service(new_service(dump), users[0])


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1.5e300, "b": -0.0, "c": 1e2}',
        '{"a": "\\u0000"}',
        '{"a": "\\ud800"}',
        '{\n "a": "\\n"\n}',
        "{}",
    ],
)
def test_export_keeps_data_as_it_was_written(text, examples):
    with postgresql_server.database_on(postgresql_server.shared_url()) as old:
        fill_tables(old, "JSON", ALICE, "")
        connection = psycopg2.connect(old)
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO records VALUES ('a', '', 'odd', now(), %s)", [text])
        connection.close()
        lines = exported_by_sql(old, examples / "export_postgresql.sql").splitlines()
    (exported,) = (item for item in map(json.loads, lines) if item.get("collection_id") == "odd")
    assert repr(exported["data"]) == repr(json.loads(text))
    assert exported["record"]["id"] == "a"


def test_service_serves_records_read_through_the_storage_api(new_service, users, tmp_path, capsys):
    alice, bob = users
    old = write(tmp_path, "old.ini", url=f"sqlite:///{tmp_path}/old.sqlite")
    with bootstrap(str(old)) as environment:
        environment["registry"].storage.initialize_schema()
        environment["registry"].permission.initialize_schema()
        fill_backends(environment["registry"], alice, bob)
    collections = tmp_path / "collections.json"
    collections.write_text(json.dumps([["article", "", "/articles"], ["bookmark", alice, None]]))
    tmp_path.joinpath("users.json").write_text(json.dumps([bob]))
    exporter = importlib.import_module("export_storage")
    capsys.readouterr()
    exporter.main(str(old), str(collections), f"{tmp_path}/users.json")
    check_service(new_service(capsys.readouterr().out), alice)


def test_deletions_keep_the_order_of_their_timestamps(import_lines, registry):
    lines = [
        {
            "collection_id": "article",
            "parent_id": ALICE,
            "record": {"id": str(number), "last_modified": FIRST + number, "deleted": True},
        }
        for number in range(50)
    ]
    assert import_lines(lines) is None
    records, _ = registry.storage.get_all("article", ALICE, include_deleted=True)
    records.sort(key=lambda record: record["last_modified"])
    assert records == [line["record"] for line in lines]


def test_commands_of_the_guide_export_and_import(terminal, examples, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("old", "new"):
        write(tmp_path, f"{name}.ini", url=f"sqlite:///{tmp_path}/{name}.sqlite")
    for name in ("export_storage.py", "import_dump.py"):
        shutil.copy(examples / name, tmp_path)
    collections, users = (text for language, _, text in blocks(PAGE) if language == "json")
    tmp_path.joinpath("collections.json").write_text(collections)
    tmp_path.joinpath("users.json").write_text(users)
    (bob,) = json.loads(users)
    terminal.run("cliquet --ini old.ini migrate")
    with bootstrap(f"{tmp_path}/old.ini") as environment:
        fill_backends(environment["registry"], json.loads(collections)[1][1], bob)
    for language, _, text in blocks(PAGE):
        if language == "console" and not text.startswith(NOT_HERE):
            for command, _ in commands(text):
                terminal.run(command)
    with bootstrap(f"{tmp_path}/new.ini") as environment:
        registry = environment["registry"]
        records, total = registry.storage.get_all("article", "", include_deleted=True)
        assert {record["id"]: record for record in records} == expected(ARTICLES)
        assert total == 2
        assert registry.permission.user_principals(bob) == {"group:editors"}


def test_settings_of_the_guide_remove_each_limit(settings_of):
    text = block(PAGE, "ini")
    settings = dict(line.split(" =") for line in text.splitlines())
    assert {key.removeprefix("cliquet.") for key in settings} == {*Limits._fields}
    highest = {"max_nesting": 500, "max_digits": 4300}
    registry = Registry()
    registry.settings = {**DEFAULT_SETTINGS, **dict.fromkeys(Limits._fields), **highest}
    assert limits_of(registry)._asdict() == {**NO_LIMITS._asdict(), **highest}


def test_table_of_the_guide_has_each_limit_with_its_default():
    page = DOCS.joinpath(f"{PAGE}.rst").read_text()
    rows = dict(re.findall(r"^``(\w+)`` +(\d+) ", page, re.MULTILINE))
    assert rows == {key: str(DEFAULT_SETTINGS[key]) for key in Limits._fields}


def test_service_of_the_guide_validates_the_body_first(serve, tmp_path, monkeypatch):
    tmp_path.joinpath("feedback_of_the_test.py").write_text(block(PAGE, "python"))
    monkeypatch.syspath_prepend(tmp_path)
    client = serve("feedback_of_the_test")
    assert client.post_json("/feedback", {"text": "Good"}).json == {"received": "Good"}
    refused = client.post_json("/feedback", {"text": "a" * 1001}, status=400)
    assert "too long" in refused.text
    assert "text" in client.post_json("/feedback", {}, status=400).text
