"""Fixtures for the examples of the documentation: their folder, and an application."""

import configparser
import os
import sys
import sysconfig
import threading
from contextlib import ExitStack, contextmanager

import pytest
from pyramid.config import Configurator
from waitress.server import create_server
from webtest import TestApp

import cliquet
from cliquet.testing import get_request_class, get_user_headers
from tests.docs.guide import Guide
from tests.docs.pages import DOCS
from tests.docs.terminal import ServerTerminal, Terminal
from tests.processes import free_port

ROOT = DOCS.parent
EXAMPLES = DOCS / "howto" / "examples"

SETTINGS = {
    "cliquet.project_name": "myproject",
    "cliquet.userid_hmac_secret": "secret",
    **{
        f"cliquet.{kind}_backend": f"cliquet.{kind}.memory"
        for kind in ("storage", "permission", "cache")
    },
}


@pytest.fixture(autouse=True)
def examples(monkeypatch):
    """The modules of the examples can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(EXAMPLES / "cliquet-quotas")
    monkeypatch.syspath_prepend(EXAMPLES)
    before = set(sys.modules)
    yield EXAMPLES
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(EXAMPLES)):
            del sys.modules[name]


@pytest.fixture
def settings_of(examples):
    """A function that reads the settings of an example: an .ini file, or some lines of one."""

    def settings_of(name):
        parser = configparser.ConfigParser(interpolation=None, delimiters="=")
        parser.optionxform = str
        text = examples.joinpath(name).read_text()
        parser.read_string(text if text.startswith("[") else f"[app:main]\n{text}")
        return {key: value for key, value in parser["app:main"].items() if key != "use"}

    return settings_of


@pytest.fixture
def serve():
    """A function of modules with views, and settings, which returns a client of Alice's."""

    def serve(*modules, settings=None, user="alice", include=()):
        config = Configurator(settings={**SETTINGS, **(settings or {})})
        cliquet.initialize(config, version="1.0")
        for name in include:
            config.include(name)
        for name in modules:
            config.scan(name)
        client = TestApp(config.make_wsgi_app())
        client.RequestClass = get_request_class("v1")
        client.registry = client.app.registry
        if user:
            client.extra_environ = headers_of(user)
        return client

    return serve


def headers_of(user):
    return {"HTTP_AUTHORIZATION": get_user_headers(user)["Authorization"]}


@pytest.fixture
def become():
    """A function that makes a client another user's."""

    def become(client, user):
        client.extra_environ = headers_of(user)
        return client

    return become


@contextmanager
def listening(app):
    """Serve an application from a thread; give the port."""
    server = create_server(app, listen="127.0.0.1:0", asyncore_use_poll=True)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.effective_port
    finally:
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(server.close)  # by its own thread, which waits for the sockets
        thread.join()


@pytest.fixture
def listen():
    """A function of an application, which serves it and returns the port."""
    with ExitStack() as running:
        yield lambda app: running.enter_context(listening(app))


@pytest.fixture
def terminal(tmp_path):
    """One that begins in an empty folder; Python finds the modules there, and the examples."""
    tmp_path.joinpath(".curlrc").write_text("silent")
    path = [sysconfig.get_path("scripts"), os.environ["PATH"]]
    python_path = [str(ROOT), str(EXAMPLES), "."]
    environment = {
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": os.pathsep.join(python_path),
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    terminal = Terminal(tmp_path, environment)
    yield terminal
    terminal.close()


@pytest.fixture
def server(tmp_path):
    """A terminal for servers, which listen on its ``port``."""
    server = ServerTerminal(tmp_path / "server.log", free_port())
    yield server
    server.kill()


@pytest.fixture
def guide(tmp_path, monkeypatch):
    """A reader in an empty folder, where only installed modules can be imported."""
    path = [entry for entry in sys.path if not entry.startswith(str(EXAMPLES))]
    monkeypatch.setattr(sys, "path", path)
    folder = tmp_path / "empty"
    folder.mkdir()
    tmp_path.joinpath("cliquet").symlink_to(ROOT)  # some guides require a clone
    monkeypatch.chdir(folder)
    programs = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    environment = {"PATH": programs, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    terminal = Terminal(folder, environment)
    guide = Guide(folder, terminal, listening)
    yield guide
    guide.close()
    terminal.close()
