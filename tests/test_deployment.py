"""The configurations and the container of the example application."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from pyramid.paster import get_app, get_appsettings
from webtest import TestApp

from cliquet.scripts import serve
from cliquet.scripts.cliquet import main as command
from cliquet.scripts.cliquet import make_parser
from cliquet.settings import SETTINGS
from tests import postgresql_server, redis_server

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT.joinpath("Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load(ROOT.joinpath("docker-compose.yml").read_text("utf-8"))
KINDS = ("storage", "permission", "cache")
URLS = {"postgresql": postgresql_server.shared_url, "redis": lambda: redis_server.database_url(4)}


def ini(engine):
    return str(ROOT / "config" / f"{engine}.ini")


@pytest.fixture(autouse=True)
def bookmarks(monkeypatch):
    """The example's package can be imported."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "bookmarks"]:
        del sys.modules[name]


@pytest.mark.parametrize("engine", URLS)
def test_configuration_serves_the_example_from_its_engine(engine, monkeypatch):
    for kind in KINDS:
        monkeypatch.setenv(f"CLIQUET_{kind.upper()}_URL", URLS[engine]())
    assert command(["--ini", ini(engine), "migrate"]) == 0
    app = get_app(ini(engine))
    backends = [getattr(app.registry, kind) for kind in KINDS]
    alice = TestApp(app)
    alice.authorization = ("Basic", ("alice", "secret"))
    assert [type(backend).__module__ for backend in backends] == [
        f"cliquet.{kind}.{engine}" for kind in KINDS
    ]
    try:
        body = {"data": {"url": "https://www.example.com"}}
        made = alice.post_json("/v1/bookmarks", body, status=201).json
        assert alice.get("/v1/bookmarks").json["data"] == [made["data"]]
        assert alice.get("/v1/__heartbeat__").json == dict.fromkeys(KINDS, True)
    finally:
        for backend in backends:
            backend.flush()


@pytest.mark.parametrize("engine", URLS)
def test_configuration_loads_as_it_is(engine):
    settings = get_appsettings(ini(engine))
    assert {f"cliquet.{kind}_url" for kind in KINDS} < set(settings)
    assert settings["cliquet.project_name"] == "bookmarks"
    assert TestApp(get_app(ini(engine))).get("/v1/").json["project_name"] == "bookmarks"


def test_variables_of_the_containers_are_settings_that_the_application_loads(monkeypatch):
    variables = COMPOSE["services"]["web"]["environment"]
    assert COMPOSE["services"]["migrate"]["environment"] == variables
    assert set(variables) <= {f"CLIQUET_{setting.key.upper()}" for setting in SETTINGS}
    for name, value in variables.items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value))
    registry = get_app(configured_file()).registry
    assert type(registry.storage).__module__ == "cliquet.storage.postgresql"
    assert type(registry.cache).__module__ == "cliquet.cache.redis"


def test_services_wait_for_healthy_dependencies():
    services = COMPOSE["services"]
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "test" in services[name]["healthcheck"]
    used = [mount.partition(":")[0] for mount in services["db"]["volumes"]]
    assert used == list(COMPOSE["volumes"])


def test_urls_of_the_containers_name_their_services():
    variables = COMPOSE["services"]["web"]["environment"]
    database = COMPOSE["services"]["db"]["environment"]
    expected = "postgresql://{POSTGRES_USER}:{POSTGRES_PASSWORD}@db:5432/{POSTGRES_DB}"
    assert variables["CLIQUET_STORAGE_URL"] == expected.format(**database)
    assert variables["CLIQUET_PERMISSION_URL"] == variables["CLIQUET_STORAGE_URL"]
    assert variables["CLIQUET_CACHE_URL"].startswith("redis://cache:")


def configured_file():
    """The configuration that the variable of the image names."""
    path = re.search(r"CLIQUET_INI=/app/(\S+)", DOCKERFILE).group(1)
    return str(ROOT / path)


def test_image_copies_existing_files_that_are_not_ignored():
    copied = [
        name
        for names in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
        for name in names.split()
    ]
    ignored = ROOT.joinpath(".dockerignore").read_text("utf-8").split("\n")
    assert sorted(copied) == sorted(line[1:] for line in ignored if line.startswith("!"))
    assert all(ROOT.joinpath(name).exists() for name in copied)


def image_options():
    """The options of the command of the image, ``cliquet serve``."""
    (command,) = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    program, *arguments = json.loads(command)
    options = make_parser().parse_args(arguments)
    assert (program, options.command) == ("cliquet", "serve")
    return options


def test_image_is_stopped_by_a_signal_and_given_the_time_to_finish_requests():
    assert "STOPSIGNAL" not in DOCKERFILE  # SIGTERM stops cliquet serve
    period = COMPOSE["services"]["web"]["stop_grace_period"]
    assert int(period.removesuffix("s")) > serve.GRACE


def test_image_serves_the_port_that_is_checked_and_published():
    assert image_options().host == "0.0.0.0"
    port = image_options().port
    (check,) = re.findall(r"^HEALTHCHECK .* CMD (.*)$", DOCKERFILE, re.MULTILINE)
    assert f":{port}/v1/__lbheartbeat__" in json.loads(check)[-1]
    assert re.search(rf"^EXPOSE {port}$", DOCKERFILE, re.MULTILINE)
    assert COMPOSE["services"]["web"]["ports"] == [f"127.0.0.1:{port}:{port}"]
