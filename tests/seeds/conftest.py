"""Fixtures for the examples of talks and articles: packages, and an application."""

import sys
import textwrap

import pytest
from pyramid.config import global_registries
from webtest import TestApp

KINDS = ("storage", "permission", "cache")
ENGINES = {
    "memory": lambda folder: "",
    "sqlite": lambda folder: f"sqlite:///{folder}/example.sqlite",
}

SETTINGS = {"cliquet.project_name": "myproject", "cliquet.userid_hmac_secret": "secret"}


@pytest.fixture
def write_modules(tmp_path, monkeypatch):
    """A function of sources by dotted name, which makes modules that can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    written = set()

    def write(sources):
        written.update(sources)
        for name, source in sources.items():
            folder = tmp_path
            for part in name.split("."):
                folder = folder / part
                folder.mkdir(exist_ok=True)
                folder.joinpath("__init__.py").touch()
            folder.joinpath("__init__.py").write_text(textwrap.dedent(source))

    yield write
    for name in {".".join(name.split(".")[:end]) for name in written for end in (1, 2)}:
        sys.modules.pop(name, None)


@pytest.fixture(params=ENGINES)
def backends(request, tmp_path):
    """The settings of the backends, on each engine."""
    url = ENGINES[request.param](tmp_path)
    settings = {}
    for kind in KINDS:
        settings[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.{request.param}"
        settings[f"cliquet.{kind}_url"] = url
    return settings


@pytest.fixture
def serve():
    """A function of an application's factory and settings, which returns a client of it."""

    def serve(main, settings, user="alice"):
        app = main({}, **SETTINGS, **settings)
        for kind in KINDS:
            backend = getattr(global_registries.last, kind, None)
            if backend is not None:
                backend.initialize_schema()
        client = TestApp(app)
        client.authorization = ("Basic", (user, "secret"))
        return client

    return serve
