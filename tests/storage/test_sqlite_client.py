"""The client of an SQLite file: its URL, its connections."""

import gc
import os
import sqlite3
import threading
import weakref

import pytest
from pyramid.exceptions import ConfigurationError

from cliquet.drivers.sqlite import connections
from cliquet.drivers.sqlite.client import Client, create_from_config
from cliquet.drivers.sqlite.url import DEFAULT_TIMEOUT, parse_url
from cliquet.storage.exceptions import BackendError
from cliquet.storage.sqlite import Storage, load_from_config
from tests.configuration import backend_config

PLACE = ("articles", "alice")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file.sqlite")


@pytest.fixture
def client(path):
    client = Client(path)
    yield client
    client.close()


@pytest.fixture
def storage(client):
    storage = Storage(client)
    storage.initialize_schema()
    return storage


def config(**settings):
    return backend_config(settings)


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:///file", "file"),
            ("sqlite:///folder/file.db", "folder/file.db"),
            ("sqlite:////folder/file.db", "/folder/file.db"),
            ("sqlite:////a%20b%3F%23%C3%A9", "/a b?#é"),
            ("SQLite:///file", "file"),
        ],
    )
    def test_it_names_a_file(self, url, path):
        assert parse_url(url) == (path, DEFAULT_TIMEOUT)

    def test_url_can_contain_the_timeout(self):
        assert parse_url("sqlite:///file?timeout=2.5") == ("file", 2.5)

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("", "''"),
            ("file.db", "'file.db'"),
            ("redis://localhost", "'redis://localhost'"),
            ("postgresql://me:secret@db/x", "'postgresql://me:***@db/x'"),
            ("postgresql://me@db/x", "'postgresql://me@db/x'"),
            ("sqlite://", "use the memory backend"),
            ("sqlite:///", "use the memory backend"),
            ("sqlite:///:memory:", "use the memory backend"),
            ("sqlite://:memory:", "use the memory backend"),
            ("sqlite://host/file", "'sqlite://host/file'"),
            ("sqlite:///a#b", "'sqlite:///a#b'"),
            ("sqlite:///a%00b", "'sqlite:///a%00b'"),
            ("sqlite://[", "'sqlite://['"),
            ("sqlite:///a?timeout", "?timeout=SECONDS"),
            ("sqlite:///a?timeout=", "?timeout=SECONDS"),
            ("sqlite:///a?timeout=0", "?timeout=SECONDS"),
            ("sqlite:///a?timeout=nan", "?timeout=SECONDS"),
            ("sqlite:///a?timeout=1e9", "?timeout=SECONDS"),
            ("sqlite:///a?mode=ro", "?timeout=SECONDS"),
        ],
    )
    def test_errors_contain_no_password(self, url, expected):
        with pytest.raises(ConfigurationError) as caught:
            load_from_config(config(storage_url=url))
        message = str(caught.value)
        assert message.startswith("storage_url = ") and "expected sqlite:///" in message
        assert expected in message
        assert "secret" not in message

    def test_missing_setting_is_reported(self):
        with pytest.raises(ConfigurationError, match="cache_url = ''"):
            create_from_config(config(), "cache_")

    def test_the_backends_of_an_application_share_the_client_of_a_file(self, tmp_path):
        os.symlink(tmp_path, tmp_path / "link")
        one = config(
            storage_url=f"sqlite:///{tmp_path}/one",
            permission_url=f"sqlite:///{tmp_path}/link/one?timeout=1",
            cache_url=f"sqlite:///{tmp_path}/two",
        )
        storage, permission, cache = (
            create_from_config(one, prefix) for prefix in ("storage_", "permission_", "cache_")
        )
        assert storage is permission is not cache
        other = config(storage_url=f"sqlite:///{tmp_path}/one")
        assert create_from_config(other, "storage_") is not storage


class TestConnections:
    def count(self, client):
        return len(client._connections._idle)

    def test_they_are_kept_and_the_last_one_is_the_next_one(self, client, storage):
        with client.read() as first, client.read() as second:
            assert first is not second
        with client.read() as again:
            assert again is first
        assert self.count(client) == 2

    def test_no_more_are_kept_than_needed(self, client, storage, monkeypatch):
        monkeypatch.setattr(connections, "_IDLE_READERS", 1)
        with client.read(), client.read():
            pass
        assert self.count(client) == 1

    def test_one_that_met_a_failure_is_not_used_again(self, client, storage):
        with pytest.raises(BackendError), client.read() as db:
            db.execute("SELECT nonsense")
        assert self.count(client) == 0

    def test_they_are_closed_and_opened_again(self, client, storage):
        storage.create(*PLACE, {"id": "a"})
        client.close()
        client.close()
        assert self.count(client) == 0
        assert storage.get(*PLACE, "a")["id"] == "a"
        assert storage.create(*PLACE, {"id": "b"})["id"] == "b"

    def test_one_that_is_in_use_is_not_closed(self, client, storage, serve):
        with serve():
            storage.create(*PLACE, {"id": "a"})
            client.close()
        assert storage.get(*PLACE, "a")["id"] == "a"

    def test_they_are_closed_with_the_client(self, path):
        client = Client(path)
        storage = Storage(client)
        storage.initialize_schema()
        storage.create(*PLACE, {})
        with client.read() as reader:
            pass
        writer = client._connections.writer()
        gone = weakref.ref(client)
        del client, storage
        gc.collect()
        assert gone() is None
        for connection in (reader, writer):
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                connection.execute("SELECT 1")

    def test_inherited_connections_are_neither_used_nor_closed_by_a_fork(
        self, client, storage, monkeypatch
    ):
        """As a child process sees it, whose id is another."""
        storage.create(*PLACE, {"id": "a"})
        inherited = client._connections
        with client.read() as reader:
            pass
        monkeypatch.setattr(os, "getpid", lambda: 0)
        inherited.close()
        assert storage.get(*PLACE, "a")["id"] == "a"
        storage.create(*PLACE, {"id": "b"})
        client.close()
        assert client._connections is not inherited
        assert reader.execute("SELECT count(*) FROM records").fetchone() == (2,)
        assert inherited.mutex.acquire(blocking=False)
        inherited.mutex.release()
        monkeypatch.undo()
        inherited.close()

    def test_a_first_write_waits_while_others_have_the_file_to_themselves(self, storage, path):
        """As at the end of a process, whose last connection empties the log."""
        storage.create(*PLACE, {"id": "a"})
        storage._client.close()
        other = connections.connect(path, 0)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        ending = threading.Timer(0.1, other.close)
        ending.start()
        assert storage.create(*PLACE, {"id": "b"})["id"] == "b"
        ending.join()
