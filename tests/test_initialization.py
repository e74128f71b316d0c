import importlib
import logging
import pstats
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import webtest
from newrelic.api.exceptions import ConfigurationError as NewRelicError
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

import cliquet
from cliquet.initialization import install_middlewares
from cliquet.listeners import ListenerBase
from cliquet.settings.table import INITIALIZATION_SEQUENCE
from cliquet.settings.validation import InvalidSettings
from cliquet.testing import get_user_headers
from cliquet.utils import env_name
from cliquet.utils.installation import install_command
from tests import testapp
from tests.reuse import Applications

ROOT = Path(__file__).parent.parent
HEARD = []


@pytest.fixture
def applications():
    """New ones for each test, because these tests change them."""
    return Applications(kept=0)


class Listener(ListenerBase):
    def __init__(self, name):
        self.name = name

    def __call__(self, event):
        HEARD.append((self.name, event.payload["resource_name"], event.payload["action"]))


def load_from_config(config, prefix=None):
    """Be the module of a listener, and of a backend that is none."""
    return object() if prefix is None else Listener(config.get_settings()[prefix + "label"])


def configured(settings=None, **options):
    config = Configurator(settings=settings or {})
    cliquet.initialize(config, **options)
    return config


def client_of(config):
    return webtest.TestApp(config.make_wsgi_app())


def test_version_determines_the_prefix_and_the_api_version():
    config = configured(version="3.14.1", project_name="pi")
    hello = client_of(config).get("/v3/").json
    assert (hello["project_version"], hello["http_api_version"]) == ("3.14.1", "3.14")
    assert config.route_prefix == config.registry.route_prefix == "v3"


@pytest.mark.parametrize(
    ("version", "api"), [("2", "2"), ("3.1-stable", "3.1"), ("0.0.1", "0.0"), ("dev", "0.0")]
)
def test_version_of_the_api_has_at_most_two_numbers(version, api):
    config = configured(version=version, project_name="x")
    assert config.get_settings()["http_api_version"] == api


def test_setting_sets_another_version_of_project_and_api():
    settings = {"cliquet.project_version": "9.9", "x.http_api_version": "4.2"}
    config = configured(settings, version="1.0", project_name="x")
    hello = client_of(config).get("/v4/").json
    assert (hello["project_version"], hello["http_api_version"]) == ("9.9", "4.2")


def test_application_without_version_is_refused():
    with pytest.raises(ConfigurationError, match="project_version"):
        configured(project_name="x")


def test_application_without_name_is_warned():
    with pytest.warns(UserWarning, match="No value specified for `project_name`"):
        configured(version="1.0")


def test_name_is_that_of_the_settings_then_of_the_environment(monkeypatch):
    def name_of(settings):
        return configured(settings, version="1.0", project_name="arg").get_settings()

    assert name_of({})["project_name"] == "arg"
    assert name_of({"project_name": "bare"})["project_name"] == "bare"
    assert name_of({"cliquet.project_name": "file"})["project_name"] == "file"
    monkeypatch.setenv("CLIQUET_PROJECT_NAME", "env")
    assert name_of({"cliquet.project_name": "file"})["project_name"] == "env"


def test_settings_added_before_count_and_defaults_of_the_application_win_over_ours():
    config = Configurator(settings={"cliquet.backoff": "3"})
    config.add_settings({"cliquet.project_name": "x"})
    defaults = {"x.paginate_by": 5, "cliquet.backoff": 7, "who": "system.Everyone"}
    cliquet.initialize(config, version="1.0", default_settings=defaults)
    settings = config.get_settings()
    assert (settings["paginate_by"], settings["backoff"]) == (5, 3)
    assert settings["who"] == "system.Everyone"


def test_old_name_of_initialize_warns():
    with pytest.warns(DeprecationWarning, match="initialize_cliquet"):
        cliquet.initialize_cliquet(Configurator(), version="1.0", project_name="x")


def test_package_can_be_included_alone_and_twice():
    config = Configurator(settings={"project_name": "alone"})
    config.include("cliquet")
    config.include("cliquet")
    cliquet.includeme(config)
    client = client_of(config)
    assert client.get("/").json["project_name"] == "alone"
    assert client.get("/__lbheartbeat__").json == {}
    assert client.get("/nowhere", status=404).json["errno"] == 111
    batch = client.post_json("/batch", {"requests": [{"path": "/"}]}).json
    assert batch["responses"][0]["body"]["project_name"] == "alone"


def test_package_can_be_included_under_a_prefix():
    config = Configurator(settings={"project_name": "alone"})
    config.include("cliquet", route_prefix="v7")
    assert client_of(config).get("/v7/").json["url"] == "http://localhost/v7/"


def test_two_applications_do_not_influence_each_other(serve):
    one = serve({"cliquet.cors_origins": "http://one.example", "cliquet.backoff": "1"})
    two = serve({"cliquet.cors_origins": "http://two.example"}, version="2.0", prefix="v2")
    headers = {"Origin": "http://one.example"}
    for _ in range(2):
        first = one.get("/echo", headers=headers)
        assert first.headers["Access-Control-Allow-Origin"] == "http://one.example"
        assert first.headers["Backoff"] == "1"
        second = two.get("/echo", headers=headers, status=400)
        assert "Backoff" not in second.headers
        assert second.json["details"][0]["name"] == "Origin"
    one.post_json("/mushrooms", {"data": {"name": "a"}}, headers=get_user_headers("alice"))
    records = two.get("/mushrooms", headers=get_user_headers("alice")).json["data"]
    assert records == []


@pytest.mark.parametrize("kind", ["storage", "permission", "cache"])
def test_backend_of_another_class_is_reported(kind):
    settings = {f"{kind}_backend": "tests.test_initialization"}
    with pytest.raises(ConfigurationError, match=f"{kind}_backend = .*expected .*{kind}"):
        configured(settings, version="1.0", project_name="x")


def test_backends_that_are_not_configured_are_absent():
    registry = configured(version="1.0", project_name="x").registry
    for kind in ("storage", "permission", "cache"):
        assert not hasattr(registry, kind)
    assert registry.heartbeats == {}


def test_resource_without_storage_is_refused_at_start():
    config = configured(version="1.0", project_name="x")
    with pytest.raises(ConfigurationError, match="storage_backend is not set"):
        config.scan("tests.testapp")


def test_shared_resource_without_permission_backend_is_refused_at_start():
    settings = {"storage_backend": "cliquet.storage.memory"}
    config = configured(settings, version="1.0", project_name="x")
    with pytest.raises(ConfigurationError, match="permission_backend is not set"):
        config.scan("tests.testapp")


def test_missing_step_of_a_backend_is_reported():
    sequence = [step for step in INITIALIZATION_SEQUENCE if not step.endswith("setup_storage")]
    expected = "initialization_sequence lacks a step, expected cliquet.initialization.setup_storage"
    settings = {
        "storage_backend": "cliquet.storage.memory",
        "initialization_sequence": sequence,
    }
    config = configured(settings, version="1.0", project_name="x")
    with pytest.raises(ConfigurationError, match=f"needs a storage backend: {expected}"):
        config.scan("tests.testapp")


def test_capability_can_be_added_once(serve):
    def setup(config):
        config.add_api_capability("paint", description="Colours", url="http://x", deep=2)
        with pytest.raises(ValueError, match=r"The 'paint' API .* registered \({'description'"):
            config.add_api_capability("paint")

    capabilities = serve(setup=setup).get("/").json["capabilities"]
    assert capabilities == {"paint": {"description": "Colours", "url": "http://x", "deep": 2}}


def test_backoff_and_vary_can_be_changed_while_running(serve):
    client = serve()
    assert "Backoff" not in client.get("/").headers
    client.registry.settings["backoff"] = 10
    client.registry.settings["vary"] = "Cookie"
    headers = client.get("/").headers
    assert (headers["Backoff"], headers["Vary"]) == ("10", "Cookie")
    client.registry.settings["vary"] = ""
    assert "Vary" not in client.get("/").headers


def test_vary_of_the_application_is_kept(serve):
    def setup(config):
        config.add_route("v", "/v")
        config.add_view(vary, route_name="v", renderer="json")

    def vary(request):
        request.response.headers["Vary"] = "Accept"
        return {}

    assert serve(setup=setup).get("/v").headers["Vary"] == "Accept, Authorization"


@pytest.mark.parametrize("words", ["A B", "A,B", " A,  B ", "A\nB", "['A', 'B']", ["A", "B"]])
def test_names_of_the_setting_vary_are_separated_by_commas(serve, words):
    assert serve({"vary": words}).get("/").headers["Vary"] == "A, B"


@pytest.mark.parametrize("url", ["/", "/mushrooms", "/unknown", "/mushrooms/"])
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://page.example", "http://page.example"), ("http://foe.example", None)],
)
def test_preflight_after_the_end_succeeds_and_lets_pages_read_the_410(serve, url, origin, allowed):
    client = serve({"eos": "2015-01-01", "cors_origins": "http://page.example"})
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,x-own",
    }
    preflight = client.options(url, headers=headers, status=200)
    assert preflight.headers.get("Access-Control-Allow-Origin") == allowed
    assert preflight.headers["Access-Control-Allow-Methods"] == "PUT"
    assert preflight.headers["Access-Control-Allow-Headers"] == "authorization,x-own"
    gone = client.put(url, headers=headers, status=410)
    assert gone.headers.get("Access-Control-Allow-Origin") == allowed
    del headers["Access-Control-Request-Headers"]
    preflight = client.options(url, headers=headers, status=200)
    assert "Access-Control-Allow-Headers" not in preflight.headers


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://a"}, {"Access-Control-Request-Method": "GET"}]
)
def test_options_request_without_preflight_is_gone_after_the_end_of_service(serve, headers):
    serve({"eos": "2015-01-01"}).options("/mushrooms", headers=headers, status=410)


def test_end_of_service_can_be_announced_and_passed_while_running(serve):
    client = serve()
    client.registry.settings["eos"] = "2069-01-01"
    alert = client.get("/").headers["Alert"]
    assert alert == r'{"code":"soft-eol","message":null,"url":"https:\/\/docs.example\/"}'
    client.registry.settings["eos"] = "2015-01-01"
    client.registry.settings["eos_message"] = "C’est fini"
    gone = client.get("/mushrooms", headers={"Origin": "http://a.example"}, status=410)
    assert gone.json["errno"] == 202
    assert gone.headers["Alert"].isascii()
    assert "hard-eol" in gone.headers["Alert"]
    assert gone.headers["Access-Control-Allow-Origin"] == "http://a.example"


def test_scheme_or_host_of_urls_can_be_set_alone(serve):
    assert serve({"http_scheme": "https"}).get("/").json["url"].startswith("https://localhost")
    assert serve({"http_host": "a.example:1"}).get("/").json["url"] == "http://a.example:1/v0/"


def test_empty_secret_is_warned(caplog):
    with caplog.at_level(logging.WARNING, "cliquet"):
        configured(version="1.0", project_name="x")
    assert "userid_hmac_secret is empty" in caplog.text
    caplog.clear()
    configured({"userid_hmac_secret": "x"}, version="1.0", project_name="x")
    assert caplog.text == ""


def test_listeners_hear_the_actions_and_resources_of_their_settings(serve):
    HEARD.clear()
    settings = {
        "event_listeners": "all few",
        "event_listeners.all.use": "tests.test_initialization",
        "event_listeners.all.label": "all",
        "event_listeners.few.use": "tests.test_initialization",
        "event_listeners.few.label": "few",
        "event_listeners.few.actions": "read delete",
        "event_listeners.few.resources": "spore",
    }
    client = serve(settings)
    headers = get_user_headers("alice")
    client.post_json("/mushrooms", {"data": {"name": "a"}}, headers=headers)
    spore = client.post_json("/spores", {"data": {}}, headers=headers).json["data"]
    client.get("/spores", headers=headers)
    client.delete("/spores/" + spore["id"], headers=headers)
    assert sorted(HEARD) == [
        ("all", "mushroom", "create"),
        ("all", "spore", "create"),
        ("all", "spore", "delete"),
        ("few", "spore", "delete"),
        ("few", "spore", "read"),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"event_listeners.a.use": "no.such"}, "expected a module with load_from_config: No"),
        ({"event_listeners.a.use": "cliquet.storage.memory"}, "event_listeners.a.use"),
        (
            {
                "event_listeners.a.use": "tests.test_initialization",
                "event_listeners.a.label": "",
                "event_listeners.a.actions": "fly",
            },
            "expected some of create, delete, read, update",
        ),
    ],
)
def test_wrong_listener_is_reported(serve, settings, message):
    if settings["event_listeners.a.use"] == "cliquet.storage.memory":
        settings["event_listeners.a.use"] = "tests.not_a_listener"
    with pytest.raises(ConfigurationError) as raised:
        serve({"event_listeners": "a", **settings})
    assert message in str(raised.value)


def test_application_without_middlewares_is_left_alone(serve):
    app = serve().app
    assert cliquet.install_middlewares(app) is app
    assert cliquet.install_middlewares(app, {}) is app


@pytest.mark.parametrize(
    "key", ["profiler_enabled", "cliquet.profiler_enabled", "x.profiler_enabled"]
)
@pytest.mark.parametrize("source", ["file", "environment"])
def test_middlewares_wrap_an_application_that_is_wrapped_already(
    serve, tmp_path, monkeypatch, key, source
):
    app = serve().app
    settings = {"cliquet.project_name": "x", "profiler_dir": str(tmp_path), key: "true"}
    if source == "environment":
        monkeypatch.setenv(env_name(key), settings.pop(key))
    wrapped = cliquet.install_middlewares(lambda *args: app(*args), settings)
    webtest.TestApp(wrapped).get("/v0/")
    assert len(list(tmp_path.iterdir())) == 1


def test_wrapped_application_without_settings_is_left_alone():
    def app(environ, start_response):
        """Be a WSGI application."""

    assert cliquet.install_middlewares(app) is app
    assert install_middlewares(app, {}) is app


@pytest.mark.parametrize(
    "key", ["profiler_enabled", "cliquet.profiler_enabled", "testapp.profiler_enabled"]
)
def test_middlewares_are_installed_by_the_settings_of_the_file(serve, tmp_path, key):
    """They are what PasteDeploy gives: neither completed nor without prefixes."""
    settings = {key: "true", "cliquet.profiler_dir": str(tmp_path)}
    app = serve().app
    webtest.TestApp(cliquet.install_middlewares(app, settings)).get("/v0/")
    assert len(list(tmp_path.iterdir())) == 1


def test_middlewares_are_installed_by_the_environment(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIQUET_PROFILER_ENABLED", "true")
    app = serve({"profiler_dir": str(tmp_path)}).app
    webtest.TestApp(cliquet.install_middlewares(app, {"profiler_enabled": "false"})).get("/v0/")
    assert len(list(tmp_path.iterdir())) == 1


def test_profiler_writes_a_profile_of_each_request(serve, tmp_path):
    app = serve().app
    settings = {"profiler_enabled": "true", "profiler_dir": str(tmp_path)}
    webtest.TestApp(cliquet.install_middlewares(app, settings)).get("/v0/")
    (profile,) = tmp_path.glob("*.GET.v0.*ms.prof")
    functions = {name for _, _, name in pstats.Stats(str(profile)).stats}
    assert "get_hello" in functions


def test_profiles_of_concurrent_requests_and_any_path_are_kept(serve, tmp_path):
    settings = {"profiler_enabled": "true", "profiler_dir": str(tmp_path)}
    client = webtest.TestApp(cliquet.install_middlewares(serve().app, settings))
    for path in ("/v0/", "/v0/", "/v0/", f"/v0/{'x' * 300}", "/v0/%00..%0A%C3%A9"):
        client.get(path, status="*")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 5
    assert all(name.isascii() and name.isprintable() for name in names)


def test_missing_folder_of_profiles_is_reported(serve, tmp_path):
    settings = {"profiler_enabled": "true", "profiler_dir": str(tmp_path / "missing")}
    with pytest.raises(ConfigurationError, match="profiler_dir = .*expected an existing directory"):
        cliquet.install_middlewares(serve().app, settings)


def replace_agent(monkeypatch, agent):
    """Replace New Relic's agent, whether another test has imported it or not."""
    monkeypatch.setitem(sys.modules, "newrelic.agent", agent)
    monkeypatch.setattr(importlib.import_module("newrelic"), "agent", agent, raising=False)


def test_new_relic_wraps_the_application(serve, monkeypatch):
    """The agent itself, which changes the process that it is in, is in tests/test_newrelic.py."""
    app, called = serve().app, []
    agent = SimpleNamespace(
        initialize=lambda *args: called.append(args),
        WSGIApplicationWrapper=lambda wrapped: ("wrapped", wrapped),
    )
    replace_agent(monkeypatch, agent)
    settings = {"newrelic_config": "newrelic.ini", "newrelic_env": "production"}
    assert cliquet.install_middlewares(app, settings) == ("wrapped", app)
    assert called == [("newrelic.ini", "production")]


def test_configuration_file_that_new_relic_refuses_is_reported(serve, monkeypatch):
    def initialize(path, environment):
        raise NewRelicError("Unable to open configuration file.")

    replace_agent(monkeypatch, SimpleNamespace(initialize=initialize))
    settings = {"cliquet.newrelic_config": "bogus!"}
    expected = (
        "newrelic_config = 'bogus!' (from the configuration): expected a configuration file of "
        "New Relic (Unable to open configuration file.)"
    )
    with pytest.raises(InvalidSettings, match=re.escape(expected)):
        cliquet.install_middlewares(serve().app, settings)


def test_transactions_of_new_relic_have_the_names_of_services(serve, monkeypatch, alice):
    names = []
    agent = SimpleNamespace(set_transaction_name=names.append)
    replace_agent(monkeypatch, agent)
    client = serve({"newrelic_config": "newrelic.ini"})
    client.get("/mushrooms", headers=alice)
    client.get("/nowhere", status=404)
    client.post_json("/batch", {"requests": [{"path": "/mushrooms"}]}, headers=alice)
    assert names == ["mushroom-collection.GET", "batch.POST"]


def test_missing_package_of_a_middleware_is_reported(serve, monkeypatch):
    monkeypatch.setitem(sys.modules, "werkzeug.middleware.profiler", None)
    with pytest.raises(ConfigurationError, match=re.escape(install_command("monitoring"))):
        cliquet.install_middlewares(serve().app, {"profiler_enabled": "true"})


def test_new_relic_without_its_package_is_an_error_of_the_middlewares(serve, monkeypatch):
    monkeypatch.setitem(sys.modules, "newrelic.agent", None)
    settings = {"newrelic_config": "newrelic.ini"}
    app = serve(settings).app
    with pytest.raises(ConfigurationError, match="expected the package newrelic"):
        cliquet.install_middlewares(app, settings)


NOT_IMPORTED = """
import sys
import threading
import cliquet
from tests import testapp
cliquet.install_middlewares(testapp.main())
prefixes = tuple(f"{name}." for name in sys.argv[1:])
print(sorted(name for name in sys.modules if f"{name}.".startswith(prefixes)))
print(threading.active_count())
"""


def test_packages_of_extras_and_their_threads_are_only_loaded_where_configured():
    monitoring = ["newrelic", "sentry_sdk", "werkzeug", "raven"]
    streams = ["cliquet.asgi", "cliquet.live", "a2wsgi", "uvicorn"]
    command = [sys.executable, "-c", NOT_IMPORTED, *monitoring, *streams]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n1\n", done.stderr


def test_application_can_set_its_own_security_policy():
    class Policy:
        def identity(self, request):
            return None

        def authenticated_userid(self, request):
            return None

        def permits(self, request, context, permission):
            return True

        def remember(self, request, userid, **kw):
            return []

        def forget(self, request, **kw):
            return []

    config = Configurator(settings=testapp.SETTINGS)
    cliquet.initialize(config, version="1.0")
    config.set_security_policy(Policy())
    config.scan("tests.testapp")
    client = client_of(config)
    assert client.get("/v1/mushrooms").json == {"data": []}
    assert client.get("/v1/echo").json["principals"] == ["system.Everyone"]
