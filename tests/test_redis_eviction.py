"""A Redis server that deletes keys to free memory."""

import pytest
import redis
import webtest

from cliquet.heartbeats import Heartbeats
from cliquet.testing import get_request_class
from tests import redis_server, testapp

KINDS = ("storage", "permission", "cache")


@pytest.fixture(scope="module")
def server():
    server = redis_server.Server()
    yield server
    server.close()


@pytest.fixture
def set_policy(server, monkeypatch):
    monkeypatch.setattr(Heartbeats, "cache_seconds", 0)

    def set_policy(policy):
        with redis.Redis(port=server.port) as client:
            client.config_set("maxmemory-policy", policy)

    yield set_policy
    set_policy("noeviction")


def make_client(server, *kinds):
    settings = {f"cliquet.{kind}_backend": f"cliquet.{kind}.memory" for kind in KINDS}
    for kind in kinds:
        settings[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.redis"
        settings[f"cliquet.{kind}_url"] = server.url()
    client = webtest.TestApp(testapp.main(settings))
    client.RequestClass = get_request_class("v0")
    return client


POLICIES = {
    "noeviction": True,
    "volatile-lru": True,  # it deletes what expires: records never do
    "volatile-ttl": True,
    "allkeys-lru": False,
    "allkeys-lfu": False,
    "allkeys-random": False,
}


@pytest.mark.parametrize(("policy", "is_durable"), POLICIES.items())
@pytest.mark.parametrize("readonly", [False, True])
def test_heartbeat_of_storage_and_permission_is_false_where_keys_are_evicted(
    server, set_policy, policy, is_durable, readonly
):
    set_policy(policy)
    client = make_client(server, *KINDS)
    client.app.registry.settings["readonly"] = readonly
    response = client.get("/__heartbeat__", status=200 if is_durable else 503)
    assert response.json == {"storage": is_durable, "permission": is_durable, "cache": True}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("policy", "is_durable"), POLICIES.items())
def test_start_logs_a_server_that_evicts_records_or_permissions(
    server, set_policy, policy, is_durable, kind, caplog
):
    set_policy(policy)
    make_client(server, kind)
    if is_durable or kind == "cache":
        assert caplog.messages == []
    else:
        (line,) = caplog.messages
        assert line.startswith(f"{kind}_url: {server.url()} can lose data: maxmemory-policy is ")
        assert "set it to noeviction" in line


def test_policy_that_changes_shows_in_the_next_heartbeat(server, set_policy):
    client = make_client(server, "storage")
    client.get("/__heartbeat__", status=200)
    set_policy("allkeys-lru")
    client.get("/__heartbeat__", status=503)
    set_policy("noeviction")
    client.get("/__heartbeat__", status=200)
