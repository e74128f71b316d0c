"""What was exported is imported with its timestamps, on the engines that one upgrades to."""

import importlib
import json
import shutil
import sys

import pytest
from pyramid.paster import bootstrap

from tests import servers
from tests.docs import service
from tests.docs.console import commands
from tests.docs.pages import blocks

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


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield request.param, f"sqlite:///{tmp_path}/service.sqlite"
    else:
        with servers.postgresql_database(servers.postgresql_url()) as url:
            yield request.param, url


@pytest.fixture
def ini(url, tmp_path, monkeypatch):
    """A configuration whose backends are ready, and a service that is imported for it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, service.MODULE, raising=False)
    path = service.write(tmp_path, "service.ini", *url)
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


def test_records_and_tombstones_keep_their_timestamps(import_lines, registry):
    assert import_lines(LINES) is None
    found, total = registry.storage.get_all("article", ALICE, include_deleted=True)
    found.sort(key=lambda record: record["last_modified"])
    assert found == [item["record"] for item in LINES[:4]]
    assert total == 2


def test_collection_is_later_than_all_that_clients_have_seen(import_lines, registry):
    import_lines(LINES)
    assert registry.storage.collection_timestamp("article", ALICE) > 1430222877727


def test_permissions_and_principals_are_imported(import_lines, registry):
    import_lines(LINES)
    permissions = registry.permission.object_permissions(f"/articles/{IDS[0]}")
    assert permissions == {"read": {"group:editors"}}
    assert registry.permission.user_principals(ALICE) == {"group:editors", "group:authors"}


@pytest.mark.parametrize("wrong", [{}, LINES[0], {"record": {}}])
def test_line_that_cannot_be_stored_is_named(import_lines, wrong):
    assert import_lines([LINES[0], wrong]).startswith("line 2: ")


def test_commands_of_the_guide_check_and_import(terminal, examples, tmp_path):
    for name in ("production", "new"):
        url = f"sqlite:///{tmp_path}/{name}.sqlite"
        service.write(tmp_path, f"{name}.ini", url=url)
    shutil.copy(examples / "import_dump.py", tmp_path)
    tmp_path.joinpath("dump.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    terminal.run("cliquet --ini production.ini migrate")
    for language, _, text in blocks("howto/upgrade"):
        assert language == "console"
        for command, _ in commands(text):
            terminal.run(command)
    left = terminal.run("cliquet --ini new.ini purge-deleted --before 1d --dry-run")
    assert "article: 2, of 1 parent" in left
