"""The package itself: what it exports, and what ``config.include("cliquet")`` does."""

import importlib.metadata

import pytest
import webtest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

import cliquet
from cliquet.initialization import setup_backoff
from tests import testapp

SEEN = []


def includeme(config):
    """Be a plugin, as the setting ``includes`` names it."""
    SEEN.append(config.registry.storage)
    config.add_api_capability("plugin", description="Mine")
    config.registry.heartbeats["plugin"] = lambda request: True
    config.registry.public_settings.add("plugin.colour")
    config.add_settings({"plugin.colour": "red"})
    config.add_route("plugin", "/plugin")
    config.add_view(lambda request: {"plugin": True}, route_name="plugin", renderer="json")


def setup_mine(config):
    SEEN.append("mine")
    setup_backoff(config)


def test_version_is_that_of_the_distribution():
    assert cliquet.__version__ == importlib.metadata.version("cliquet")
    assert cliquet.PROTOCOL_VERSION == "2"


@pytest.mark.parametrize("name", cliquet.__all__)
def test_what_is_exported_exists(name):
    assert getattr(cliquet, name)


def test_plugins_of_the_settings_find_the_backends_and_are_under_the_prefix(serve):
    SEEN.clear()
    client = serve({"includes": "tests.test_includeme"})
    assert SEEN == [client.registry.storage]
    hello = client.get("/").json
    assert hello["capabilities"]["plugin"]["description"] == "Mine"
    assert hello["settings"]["plugin.colour"] == "red"
    assert client.get("/__heartbeat__").json["plugin"] is True
    assert client.get("/plugin").json == {"plugin": True}


def test_plugin_that_cannot_be_imported_keeps_the_application_from_starting(serve):
    with pytest.raises((ConfigurationError, ImportError), match="no_such_plugin"):
        serve({"includes": "no_such_plugin"})


def test_steps_of_the_settings_replace_ours(serve):
    SEEN.clear()
    steps = [
        "tests.test_includeme.setup_mine" if step.endswith("setup_backoff") else step
        for step in cliquet.DEFAULT_SETTINGS["initialization_sequence"]
    ]
    client = serve({"backoff": "3", "initialization_sequence": "\n".join(steps)})
    assert SEEN == ["mine"]
    assert client.get("/").headers["Backoff"] == "3"


def test_steps_that_are_left_out_do_nothing(serve):
    steps = cliquet.DEFAULT_SETTINGS["initialization_sequence"]
    fewer = [step for step in steps if not step.endswith(("setup_backoff", "setup_deprecation"))]
    settings = {"backoff": "3", "eos": "2015-01-01", "initialization_sequence": " ".join(fewer)}
    assert "Backoff" not in serve(settings).get("/").headers


def test_one_application_does_not_get_the_plugins_of_another(serve):
    serve({"includes": "tests.test_includeme"})
    assert serve().get("/").json["capabilities"] == {}


def test_views_of_the_toolkit_need_no_permission():
    config = Configurator(settings=testapp.SETTINGS)
    config.set_default_permission("nobody")
    cliquet.initialize(config, version="1.0")
    client = webtest.TestApp(config.make_wsgi_app())
    for url in ("/v1/", "/v1/__heartbeat__", "/v1/__lbheartbeat__"):
        client.get(url)
    client.post_json("/v1/batch", {"requests": []})
