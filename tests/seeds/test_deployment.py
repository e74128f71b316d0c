"""The examples of configuration and deployment: settings, environment, metrics, profiles."""

import contextlib
import importlib
import logging
import socket

import pytest

from tests import postgresql_server, redis_server

MYPROJECT = """
    import cliquet
    from pyramid.config import Configurator

    __version__ = '1.0'

    def main(global_config, **settings):
        config = Configurator(settings=settings)
        cliquet.initialize(config, __version__)
        app = config.make_wsgi_app()
        return cliquet.install_middlewares(app)
"""

RENDERER = """
    class FluentRenderer(object):
        def __init__(self, settings):
            self.settings = settings

        def __call__(self, logger, name, event_dict):
            return 'fluent {path} {code}'.format(**event_dict)
"""


@pytest.fixture
def main(write_modules):
    write_modules({"myproject": MYPROJECT, "cliquet_fluent": RENDERER})
    return importlib.import_module("myproject").main


@pytest.mark.parametrize(
    ("engine", "url_in"),
    [
        ("sqlite", lambda folder: f"sqlite:///{folder}/service.sqlite"),
        ("redis", lambda folder: redis_server.database_url(4)),
        # As the talk writes it: SQLAlchemy knows this scheme no longer.
        (
            "postgresql",
            lambda folder: postgresql_server.shared_url().replace("postgresql:", "postgres:"),
        ),
    ],
)
def test_environment_configures_the_backends(main, serve, monkeypatch, tmp_path, engine, url_in):
    url = url_in(tmp_path)
    monkeypatch.setenv("CLIQUET_CACHE_BACKEND", f"cliquet.cache.{engine}")
    monkeypatch.setenv("CLIQUET_CACHE_URL", url)
    monkeypatch.setenv("CLIQUET_STORAGE_BACKEND", f"cliquet.storage.{engine}")
    monkeypatch.setenv("CLIQUET_STORAGE_URL", url)
    client = serve(main, {"cliquet.storage_backend": "cliquet.storage.memory"})
    assert client.get("/v1/__heartbeat__").json == {"cache": True, "storage": True}
    assert client.app.registry.storage.__module__ == f"cliquet.storage.{engine}"


def test_log_lines_are_written_by_the_renderer_of_the_settings(main, serve, caplog):
    client = serve(main, {"cliquet.logging_renderer": "cliquet_fluent.FluentRenderer"})
    with caplog.at_level(logging.INFO, "cliquet"):
        client.get("/v1/")
    assert caplog.messages[-1] == "fluent /v1/ 200"


def test_metrics_are_sent_to_statsd(main, serve, backends):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(10)
        url = f"udp://localhost:{statsd.getsockname()[1]}"
        client = serve(main, {"cliquet.statsd_url": url, **backends})
        with contextlib.closing(client.app.registry.statsd._client):
            client.get("/v1/")
        metrics = set()
        while "myproject.view.hello.GET" not in metrics:
            metrics.add(statsd.recv(1024).decode().partition(":")[0])
    assert "myproject.storage.storage.initialize_schema" in metrics


@pytest.mark.parametrize("enabled, count", [("true", 1), ("false", 0)])
def test_profiler_writes_a_profile_of_each_request(main, serve, tmp_path, enabled, count):
    settings = {"cliquet.profiler_enabled": enabled, "cliquet.profiler_dir": str(tmp_path)}
    client = serve(main, settings)
    assert client.get("/v1/").json["project_name"] == "myproject"
    assert len(list(tmp_path.glob("*.prof"))) == count
