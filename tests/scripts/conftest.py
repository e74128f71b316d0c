"""Configuration files to run the command with."""

from importlib import import_module

import pytest
from pyramid.config import Configurator

from tests import postgresql_server, redis_server
from tests.scripts.myapp import SETTINGS

KINDS = ("storage", "permission", "cache")

#: The URL of each engine that has one, for a folder.
URLS = {
    "sqlite": lambda folder: f"sqlite:///{folder}/myapp.sqlite",
    "postgresql": lambda folder: postgresql_server.shared_url(),
    "redis": lambda folder: redis_server.database_url(5),
}


def stripped(text):
    """An indented line would go on with the one before."""
    return "".join(f"{line.strip()}\n" for line in text.splitlines())


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv("CLIQUET_INI", raising=False)


@pytest.fixture
def write_ini(tmp_path):
    """A function that writes a configuration file, and returns its path."""

    def write(text=SETTINGS, factory="application"):
        path = tmp_path / "myapp.ini"
        path.write_text(f"[app:main]\nuse = call:tests.scripts.myapp:{factory}\n{stripped(text)}")
        return str(path)

    return write


@pytest.fixture
def settings_of(tmp_path):
    """A function of an engine, or a URL of it, that makes the settings of a file."""

    def settings_of(engine, url=None):
        url = url or URLS[engine](tmp_path)
        lines = [
            f"cliquet.{kind}_backend = cliquet.{kind}.{engine}\ncliquet.{kind}_url = {url}\n"
            for kind in KINDS
        ]
        return stripped(SETTINGS) + "".join(lines)

    return settings_of


@pytest.fixture(params=URLS)
def engine(request):
    return request.param


@pytest.fixture
def storage(engine, tmp_path):
    """The storage of an engine, empty at first."""
    config = Configurator(settings={"storage_url": URLS[engine](tmp_path)})
    storage = import_module(f"cliquet.storage.{engine}").load_from_config(config)
    storage.initialize_schema()
    storage.flush()  # commands read what other tests have left as well
    yield storage
    storage.flush()


@pytest.fixture
def sqlite(settings_of, tmp_path):
    """Settings for one file, and its path."""
    return settings_of("sqlite"), tmp_path / "myapp.sqlite"


@pytest.fixture
def explanation(capsys):
    """A function that returns the error message: one line."""

    def explanation():
        (line,) = capsys.readouterr().err.splitlines()
        prefix, _, text = line.partition("cliquet: error: ")
        assert prefix == ""
        return text

    return explanation
