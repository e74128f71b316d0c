"""The commands ``migrate`` and ``flush-cache``."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
from pyramid.config import Configurator

from cliquet.cache.memory import Cache
from cliquet.drivers.backend import Backend, pending_migrations
from cliquet.drivers.redis.client import Client
from cliquet.scripts.cliquet import deprecated_init, init_schema, main
from cliquet.storage.memory import Storage
from tests import postgresql_server, redis_server
from tests.scripts.myapp import ALL_IN_MEMORY, SETTINGS


class OfSomebodyElse(Storage):
    """Makes more than the engine that it derives from, without a word about it."""

    made = None

    def initialize_schema(self):
        type(self).made = True


def load_from_config(config):
    return OfSomebodyElse()


STORAGE_OF_SOMEBODY_ELSE = "cliquet.storage_backend = tests.scripts.test_schema\n"


@pytest.fixture(autouse=True)
def nothing_made(monkeypatch):
    monkeypatch.setattr(OfSomebodyElse, "made", False)


@pytest.fixture
def run(write_ini, capsys):
    """A function that runs a command without errors, and returns its lines."""

    def run(settings, *arguments):
        assert main(["--ini", write_ini(settings), *arguments]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.splitlines()

    return run


def test_migrate_prints_each_step_on_sqlite(run, sqlite):
    lines = run(sqlite[0], "migrate")
    assert lines[:2] == [
        "storage: migrating cliquet.storage.sqlite",
        "storage: create table storage_metadata",
    ]
    assert "permission: create table access_control_entries" in lines
    assert lines[-2:] == ["cache: create index cache_by_expiry", "cache: ready"]
    assert len(run(sqlite[0], "migrate")) == 6


def test_dry_run_creates_no_file(run, sqlite):
    settings, path = sqlite
    lines = run(settings, "migrate", "--dry-run")
    assert not path.exists()
    done = run(settings, "migrate")
    assert [line for line in lines if "create" in line] == [
        line for line in done if "create" in line
    ]


def test_dry_run_lists_missing_tables_of_a_file(run, sqlite):
    settings, path = sqlite
    run(settings, "migrate")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE cache")
    for _ in range(2):  # the second shows that the first has changed nothing
        assert run(settings, "migrate", "--dry-run") == [
            "storage: cliquet.storage.sqlite is up to date",
            "permission: cliquet.permission.sqlite is up to date",
            "cache: cliquet.cache.sqlite has pending migrations",
            "cache: create table cache",
            "cache: create index cache_by_expiry",
        ]


def test_dry_run_fails_as_migrate_does_in_a_folder_that_is_missing(
    write_ini, settings_of, tmp_path, explanation
):
    ini = write_ini(settings_of("sqlite", f"sqlite:///{tmp_path}/missing/file"))
    assert main(["--ini", ini, "migrate", "--dry-run"]) == 1
    assert "does its folder exist" in explanation()


def test_steps_are_listed_on_postgresql(run, settings_of):
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        settings = settings_of("postgresql", url)
        lines = run(settings, "migrate", "--dry-run")
        assert lines == run(settings, "migrate", "--dry-run"), "a dry run changed something"
        assert lines[:3] == [
            "storage: cliquet.storage.postgresql has pending migrations",
            "storage: from version 0 to 5",
            "permission: cliquet.permission.postgresql has pending migrations",
        ]
        assert run(settings, "migrate")[:3] == [
            "storage: migrating cliquet.storage.postgresql",
            "storage: from version 0 to 5",
            "storage: ready",
        ]
        assert run(settings, "migrate", "--dry-run") == [
            "storage: cliquet.storage.postgresql is up to date",
            "permission: cliquet.permission.postgresql is up to date",
            "cache: cliquet.cache.postgresql is up to date",
        ]


def test_only_the_storage_has_something_to_do_on_redis(run, settings_of):
    url = redis_server.database_url(5)
    settings = settings_of("redis", url)
    Client(url).call("FLUSHDB")
    assert run(settings, "migrate", "--dry-run") == [
        "storage: cliquet.storage.redis has pending migrations",
        "storage: set the timestamp of empty collections",
        "permission: cliquet.permission.redis is up to date",
        "cache: cliquet.cache.redis is up to date",
    ]
    run(settings, "migrate")
    assert run(settings, "migrate", "--dry-run") == [
        "storage: cliquet.storage.redis is up to date",
        "permission: cliquet.permission.redis is up to date",
        "cache: cliquet.cache.redis is up to date",
    ]


def test_dry_run_skips_backends_that_cannot_list_their_steps(run):
    settings = SETTINGS + STORAGE_OF_SOMEBODY_ELSE
    lines = run(settings, "migrate", "--dry-run")
    assert lines[0] == "storage: tests.scripts.test_schema can't list its pending migrations"
    assert OfSomebodyElse.made is False
    assert run(settings, "migrate")[:2] == [
        "storage: migrating tests.scripts.test_schema",
        "storage: ready",
    ]
    assert OfSomebodyElse.made is True


def test_backend_lists_its_steps():
    class WithSteps(OfSomebodyElse):
        def pending_migrations(self):
            return ["a step"]

    class Derived(WithSteps):
        pass

    class WithoutSteps(WithSteps):
        def initialize_schema(self):
            """More steps than those of the base class."""

    assert pending_migrations(WithSteps()) == pending_migrations(Derived()) == ["a step"]
    for backend in (WithoutSteps(), OfSomebodyElse(), Backend()):
        assert pending_migrations(backend) is None


def test_flush_cache_empties_the_cache(run, sqlite):
    settings, path = sqlite
    run(settings, "migrate")
    config = Configurator(settings={"cache_url": f"sqlite:///{path}"})
    cache = config.maybe_dotted("cliquet.cache.sqlite").load_from_config(config)
    cache.set("key", "value")
    assert run(settings, "flush-cache") == ["cache: cliquet.cache.sqlite flushed"]
    assert cache.get("key") is None


def test_flush_cache_is_for_read_only_services_too(run, monkeypatch):
    flushed = []
    monkeypatch.setattr(Cache, "flush", lambda self: flushed.append(self))
    run(SETTINGS + ALL_IN_MEMORY + "cliquet.readonly = true\n", "flush-cache")
    assert len(flushed) == 1


def test_flush_cache_needs_a_cache(write_ini, explanation):
    assert main(["--ini", write_ini(), "flush-cache"]) == 1
    assert explanation() == "No cache backend. Set cache_backend."


class Recorder:
    """A backend that records that its schema was initialized."""

    def __init__(self):
        self.initialized = 0

    def initialize_schema(self):
        self.initialized += 1


def environment(*kinds, **settings):
    registry = SimpleNamespace(settings=settings, **{kind: Recorder() for kind in kinds})
    return registry, {"registry": registry}


@pytest.mark.parametrize("kinds", [("cache", "storage", "permission"), ("storage",), ()])
def test_init_schema_initializes_each_backend(kinds):
    registry, env = environment(*kinds)
    init_schema(env)
    assert [getattr(registry, kind).initialized for kind in kinds] == [1] * len(kinds)


def test_init_schema_only_warns_for_backends_that_are_read_only():
    registry, env = environment("cache", "storage", "permission", readonly="true")
    with pytest.warns(UserWarning) as warned:
        init_schema(env)
    assert [str(warning.message) for warning in warned] == [
        "Cannot migrate the storage backend while in readonly mode.",
        "Cannot migrate the permission backend while in readonly mode.",
    ]
    backends = registry.cache, registry.storage, registry.permission
    assert [backend.initialized for backend in backends] == [1, 0, 0]


def test_deprecated_init_warns_and_initializes():
    registry, env = environment("storage")
    with pytest.warns(UserWarning, match="'init' command is deprecated, use 'migrate' instead."):
        deprecated_init(env)
    assert registry.storage.initialized == 1
