"""What the examples of the documentation need around them: their folder, and an application."""

import configparser
import sys
from pathlib import Path

import pytest
from pyramid.config import Configurator
from webtest import TestApp

import cliquet
from cliquet.testing import get_request_class, get_user_headers

EXAMPLES = Path(__file__).parents[2] / "docs" / "howto" / "examples"

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
