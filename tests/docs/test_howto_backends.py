"""Backups, created and restored as the guide describes: verified copies follow them."""

import os
import shutil
import subprocess
from contextlib import closing

import pytest

from tests import postgresql_server, redis_server
from tests.docs.pages import block
from tests.hostile_client import Client, make_app_on
from tests.verified_copies import PRIVATE, Reader


def run(command, folder, **variables):
    programs = f"{postgresql_server.binaries_folder()}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, **variables}
    subprocess.run(command, shell=True, check=True, cwd=folder, env=environment)


def commands(beginning):
    """Return the commands of the guide that create and restore a backup."""
    lines = block("howto/backends", "console", beginning).splitlines()
    return [line.removeprefix("$ ") for line in lines]


@pytest.fixture
def postgresql(tmp_path):
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        backup, restore = (
            lambda command=command: run(command, tmp_path, URL=url)
            for command in commands("$ pg_dump")
        )
        yield url, backup, restore


@pytest.fixture
def sqlite(tmp_path):
    if not shutil.which("sqlite3"):
        pytest.skip("sqlite3 is not installed")
    file = tmp_path / "data.sqlite"
    backup, restore = (
        lambda command=command: run(command, tmp_path, FILE=str(file))
        for command in commands("$ sqlite3")
    )
    yield f"sqlite:///{file}", backup, restore


@pytest.fixture
def redis(tmp_path):
    with closing(redis_server.Server()) as server:
        dump = server.folder / "dump.rdb"

        def backup():
            with redis_server.redis.Redis(port=server.port) as client:
                client.save()
            shutil.copy(dump, tmp_path)

        def restore():
            server.stop()
            shutil.copy(tmp_path / dump.name, dump)
            server.start()

        yield server.url(), backup, restore


@pytest.mark.parametrize("engine", ["postgresql", "sqlite", "redis"])
def test_restored_backup_is_complete_and_copies_follow_it(engine, request):
    url, backup, restore = request.getfixturevalue(engine)
    client = Client(make_app_on(engine, url))
    kept = client.create(PRIVATE, {"n": 1})
    backup()
    lost = client.create(PRIVATE, {"n": 2})
    client.send("DELETE", f"{PRIVATE}/{kept['id']}")
    reader = Reader(client, PRIVATE)
    assert reader.poll()
    assert reader.copy.records == {lost["id"]: lost}

    restore()

    client.app = make_app_on(engine, url)
    assert reader.poll()
    assert reader.copy.records == {kept["id"]: kept}
    assert list(client.app.registry.storage.find_mismatches()) == []
    created = client.create(PRIVATE, {"n": 3})
    assert created["last_modified"] > lost["last_modified"]
    assert reader.poll()
    assert reader.is_exact
