"""What was exported is imported with its timestamps, on the engines that one upgrades to."""

import importlib
import json
import sys

import pytest
from pyramid.paster import bootstrap

from tests import servers

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

INI = """
[app:main]
use = call:service_of_the_test:main
cliquet.project_name = service
cliquet.userid_hmac_secret = secret
cliquet.storage_backend = cliquet.storage.{engine}
cliquet.storage_url = {url}
cliquet.permission_backend = cliquet.permission.{engine}
cliquet.permission_url = {url}
"""

APPLICATION = """
import cliquet
from pyramid.config import Configurator

def main(global_config, **settings):
    config = Configurator(settings=settings)
    cliquet.initialize(config, version="1.0")
    return config.make_wsgi_app()
"""


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
    monkeypatch.delitem(sys.modules, "service_of_the_test", raising=False)
    tmp_path.joinpath("service_of_the_test.py").write_text(APPLICATION)
    path = tmp_path / "service.ini"
    path.write_text(INI.format(engine=url[0], url=url[1]))
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
