"""The package itself: what it exports, and what ``config.include("cliquet")`` does."""

import importlib.metadata

import pytest
import webtest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.response import Response

import cliquet
from cliquet.initialization import setup_backoff
from cliquet.testing import get_user_headers
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
def test_exported_names_exist(name):
    assert getattr(cliquet, name)


def test_plugins_of_the_settings_find_the_backends_and_are_under_the_prefix(serve_anew):
    SEEN.clear()
    client = serve_anew({"includes": "tests.test_includeme"})
    assert SEEN == [client.registry.storage]
    hello = client.get("/").json
    assert hello["capabilities"]["plugin"]["description"] == "Mine"
    assert hello["settings"]["plugin.colour"] == "red"
    assert client.get("/__heartbeat__").json["plugin"] is True
    assert client.get("/plugin").json == {"plugin": True}


def test_plugin_that_cannot_be_imported_keeps_the_application_from_starting(serve):
    with pytest.raises((ConfigurationError, ImportError), match="no_such_plugin"):
        serve({"includes": "no_such_plugin"})


def test_steps_of_the_settings_replace_ours(serve_anew):
    SEEN.clear()
    steps = [
        "tests.test_includeme.setup_mine" if step.endswith("setup_backoff") else step
        for step in cliquet.DEFAULT_SETTINGS["initialization_sequence"]
    ]
    client = serve_anew({"backoff": "3", "initialization_sequence": "\n".join(steps)})
    assert SEEN == ["mine"]
    assert client.get("/").headers["Backoff"] == "3"


def test_steps_that_are_left_out_do_nothing(serve):
    steps = cliquet.DEFAULT_SETTINGS["initialization_sequence"]
    fewer = [step for step in steps if not step.endswith(("setup_backoff", "setup_deprecation"))]
    settings = {"backoff": "3", "eos": "2015-01-01", "initialization_sequence": " ".join(fewer)}
    assert "Backoff" not in serve(settings).get("/").headers


#: The initialization sequence of Cliquet 3.1.
STEPS = [
    *(
        f"cliquet.initialization.setup_{step}"
        for step in (
            "request_bound_data json_serializer logging storage permission cache requests_scheme "
            "vary_headers version_redirection deprecation authentication backoff statsd listeners"
        ).split()
    ),
    "cliquet.events.setup_transaction_hook",
]

# Behavior of requests after all steps, and the step that causes it.
DONE_BY = {
    "storage": ("setup_storage", lambda client: hasattr(client.registry, "id_generator")),
    "permission": ("setup_permission", lambda client: hasattr(client.registry, "permission")),
    "cache": ("setup_cache", lambda client: hasattr(client.registry, "cache")),
    "host": (
        "setup_requests_scheme",
        lambda client: client.get("/").json["url"].startswith("https://host.example/"),
    ),
    "vary": ("setup_vary_headers", lambda client: "Vary" in client.get("/").headers),
    "version": (
        "setup_version_redirection",
        lambda client: client.app.get("/echo", status="*").status_code == 307,
    ),
    "slash": (
        "setup_version_redirection",
        lambda client: client.get("/echo/", status="*").status_code == 307,
    ),
    "alert": ("setup_deprecation", lambda client: "Alert" in client.get("/").headers),
    "user": (
        "setup_authentication",
        lambda client: "user" in client.get("/", headers=get_user_headers("alice")).json,
    ),
    "backoff": ("setup_backoff", lambda client: "Backoff" in client.get("/").headers),
}

EVERYTHING = {
    "backoff": "3",
    "eos": "2069-01-01",
    "http_scheme": "https",
    "http_host": "host.example",
    "userid_hmac_secret": "x",
    **{f"{kind}_backend": f"cliquet.{kind}.memory" for kind in ("storage", "permission", "cache")},
}


class Client:
    """A client of an application with all features, whose sequence lacks one step."""

    def __init__(self, missing=None):
        steps = [step for step in STEPS if not missing or not step.endswith(missing)]
        config = Configurator(settings={**EVERYTHING, "initialization_sequence": steps})
        cliquet.initialize(config, version="1.0", project_name="x")
        config.add_route("echo", "/echo")
        config.add_view(lambda request: {}, route_name="echo", renderer="json")
        self.registry = config.registry
        self.app = webtest.TestApp(config.make_wsgi_app())

    def get(self, path, **options):
        return self.app.get(f"/v1{path}", **options)


def test_default_sequence_is_that_of_3_1():
    assert list(cliquet.DEFAULT_SETTINGS["initialization_sequence"]) == STEPS


def test_steps_of_3_1_do_everything():
    client = Client()
    assert [done for done, (_, shows) in DONE_BY.items() if not shows(client)] == []


@pytest.mark.parametrize("step", sorted({step for step, _ in DONE_BY.values()}))
def test_step_has_only_the_effects_of_3_1(step):
    client = Client(missing=step)
    missing = {done for done, (_, shows) in DONE_BY.items() if not shows(client)}
    assert missing == {done for done, (by, _) in DONE_BY.items() if by == step}


def override(config):
    """Be a plugin that overrides parts of the toolkit."""
    config.add_request_method(lambda request: {"id": "overridden"}, "get_user_info")
    config.add_request_method(lambda request: "overridden", "current_resource_name", reify=True)
    config.add_directive("add_api_capability", lambda config, name: SEEN.append(name))
    config.add_notfound_view(lambda request: Response("overridden", status=404))
    config.add_renderer("json", lambda info: lambda value, system: '{"overridden": true}')
    config.add_api_capability("overridden")
    config.include("cornice")
    config.add_route("mine", "/__lbheartbeat__")
    config.add_view(lambda request: Response("overridden"), route_name="mine")


def test_package_of_the_settings_can_override_any_part_of_the_toolkit(serve):
    SEEN.clear()

    def setup(config):
        config.include("cornice")
        config.add_route("names", "/names")
        config.add_view(names, route_name="names", renderer="string")

    def names(request):
        return f"{request.get_user_info()['id']} {request.current_resource_name}"

    client = serve({"includes": "tests.test_includeme.override"}, setup=setup)
    assert SEEN == ["overridden"]
    assert client.get("/names").text == "overridden overridden"
    assert client.get("/nowhere", status=404).text == "overridden"
    assert client.get("/__lbheartbeat__").text == "overridden"
    assert client.get("/").text == '{"overridden": true}'


@pytest.mark.parametrize("how", ["setting", "directive"])
@pytest.mark.parametrize("package", ["cornice", "pyramid_tm"])
def test_application_can_include_packages_of_the_toolkit_before_it(package, how):
    included = {"pyramid.includes": package} if how == "setting" else {}
    config = Configurator(settings={**testapp.SETTINGS, **included})
    if how == "directive":
        config.include(package)
    client = webtest.TestApp(testapp.main(config=config))
    assert client.get("/v0/nothing", status=404).json["errno"] == 111
    user = client.get("/v0/", headers=get_user_headers("alice")).json["user"]
    assert user["id"].startswith("basicauth:")
    assert client.get("/v0/mushrooms", status=401).json["errno"] == 104


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
