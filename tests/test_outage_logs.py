"""Log lines about a database that is down, with both engines that have a server."""

import pytest
from pyramid.config import Configurator
from webtest import TestApp

import cliquet
from cliquet.drivers import outages
from cliquet.resource import ResourceSchema, UserResource, register_resource
from cliquet.state import state_of
from cliquet.testing import get_user_headers

KINDS = ("storage", "permission", "cache")
#: Nothing listens on this port.
SERVERS = {"PostgreSQL": "postgresql://127.0.0.1:1/x", "Redis": "redis://127.0.0.1:1/0"}


class Note(UserResource):
    mapping = ResourceSchema()


@pytest.fixture(params=SERVERS)
def engine(request):
    return request.param


@pytest.fixture
def client(engine, caplog):
    settings = {"project_name": "notes", "userid_hmac_secret": "secret"}
    for kind in KINDS:
        settings[f"{kind}_backend"] = f"cliquet.{kind}.{engine.lower()}"
        settings[f"{kind}_url"] = SERVERS[engine]
    config = Configurator(settings=settings)
    cliquet.initialize(config, version="1.0")
    for service in register_resource(Note):
        config.add_cornice_service(service)
    client = TestApp(config.make_wsgi_app(), extra_environ={"HTTP_HOST": "localhost"})
    client.registry = config.registry
    caplog.clear()
    return client


def lines(caplog):
    """Return the lines of failures; each has the exception, for handlers that send it."""
    failures = [each for each in caplog.records if each.levelname in ("ERROR", "CRITICAL")]
    assert all(record.exc_info for record in failures)
    return [record.getMessage() for record in failures]


def send_requests(client):
    headers = get_user_headers("alice")
    for method in (client.get, client.delete):
        method("/v1/notes", headers=headers, status=503)
    batch = {"requests": [{"path": "/v1/notes"}]}
    client.post_json("/v1/batch", batch, headers=headers, status=503)


def test_failed_requests_log_one_line_without_traceback(client, engine, caplog):
    send_requests(client)
    (line,) = lines(caplog)
    assert f" {engine} is unavailable; logged once per minute: " in line
    assert "\n" not in line and "Traceback" not in line


def test_outage_is_logged_again_after_a_minute(client, engine, caplog, monkeypatch):
    send_requests(client)
    state_of(client.registry).logged_outages[engine] -= outages.INTERVAL
    send_requests(client)
    assert len(lines(caplog)) == 2


def test_heartbeats_log_one_line_per_backend(client, caplog):
    client.registry.heartbeats.cache_seconds = 0
    for _ in range(2):
        client.get("/v1/__heartbeat__", status=503)
    logged = sorted(lines(caplog), key=lambda line: line.partition("The ")[2])
    for kind, line in zip(sorted(KINDS), logged, strict=True):
        assert f" The {kind} backend failed; logged once per minute: " in line
        assert "\n" not in line
