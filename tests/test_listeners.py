"""Listeners: what the settings have called once a change is committed."""

import json
import socket
import time
import traceback
import uuid
from contextlib import closing

import pytest
import redis
from pyramid.exceptions import ConfigurationError

from cliquet.events import ACTIONS
from cliquet.listeners import ListenerBase
from tests import redis_server

HEARD = []


class Deaf(ListenerBase):
    def __call__(self, event):
        raise ZeroDivisionError("this listener fails")


class Ear(ListenerBase):
    def __call__(self, event):
        HEARD.append(event.payload["action"])


def load_from_config(config, prefix):
    """Be the module of both."""
    return Deaf() if prefix == "event_listeners.deaf." else Ear()


def test_listener_must_say_what_it_does():
    with pytest.raises(NotImplementedError):
        ListenerBase()(None)


@pytest.mark.parametrize("names", ["deaf ear", "ear deaf"])
def test_listener_that_fails_harms_neither_the_request_nor_the_others(serve, alice, caplog, names):
    HEARD.clear()
    uses = {f"event_listeners.{name}.use": "tests.test_listeners" for name in ("deaf", "ear")}
    client = serve({"event_listeners": names, **uses})
    client.post_json("/spores", {"data": {}}, headers=alice, status=201)
    assert HEARD == ["create"]
    (failure,) = [record for record in caplog.records if "listener" in record.message]
    assert failure.message == "The listener deaf failed on <AfterResourceChanged create /spores>"
    assert failure.exc_info[0] is ZeroDivisionError
    (_, call) = traceback.walk_tb(failure.exc_info[2])
    assert call[0].f_locals == {}  # nobody is sent what the request brought


@pytest.fixture(scope="module")
def server():
    server = redis_server.Server()
    yield server
    server.close()


@pytest.fixture
def listname():
    return f"events-{uuid.uuid4()}"


@pytest.fixture
def settings(server, listname):
    return {
        "event_listeners": "queue",
        "event_listeners.queue.use": "cliquet.listeners.redis",
        "event_listeners.queue.server_url": server.url(),
        "event_listeners.queue.listname": listname,
    }


@pytest.fixture
def pushed(server, listname):
    """A function that takes what was pushed, the first one first."""

    def pushed():
        with redis.Redis.from_url(server.url()) as client:
            items = client.lrange(listname, 0, -1)
            client.delete(listname)
        return [json.loads(item) for item in reversed(items)]

    return pushed


def test_changes_are_pushed_with_their_records(serve, settings, pushed, alice):
    client = serve(settings)
    created = client.post_json("/spores", {"data": {"size": 1}}, headers=alice).json["data"]
    url = f"/spores/{created['id']}"
    updated = client.patch_json(url, {"data": {"size": 2}}, headers=alice).json["data"]
    client.delete(url, headers=alice)
    user = client.get("/", headers=alice).json["user"]["id"]
    creation, update, deletion = pushed()
    assert creation == {
        "timestamp": created["last_modified"],
        "action": "create",
        "uri": "/spores",
        "user_id": user,
        "resource_name": "spore",
        "impacted_records": [{"new": created}],
    }
    assert update["action"] == "update"
    assert update["spore_id"] == created["id"]
    assert update["impacted_records"] == [{"new": updated, "old": created}]
    assert deletion["action"] == "delete"
    assert deletion["impacted_records"][0]["old"]["size"] == 2


def test_batch_is_one_message_of_each_resource_and_action(serve, settings, pushed, alice):
    requests = [
        {"method": "POST", "path": f"/{name}s", "body": {"data": {"name": "x"}}}
        for name in ("spore", "mushroom", "spore")
    ]
    serve(settings).post_json("/batch", {"requests": requests}, headers=alice)
    messages = {message["resource_name"]: message for message in pushed()}
    assert len(messages["spore"]["impacted_records"]) == 2
    assert len(messages["mushroom"]["impacted_records"]) == 1


def test_what_is_undone_is_not_pushed(serve, settings, pushed, alice):
    requests = [
        {"method": "POST", "path": "/spores", "body": {"data": {}}},
        {"path": "/fail/bug"},
    ]
    serve(settings).post_json("/batch", {"requests": requests}, headers=alice, status=500)
    assert pushed() == []


def test_actions_and_resources_are_those_of_the_settings(serve, settings, pushed, alice):
    settings["event_listeners.queue.actions"] = "read delete"
    settings["event_listeners.queue.resources"] = "spore"
    client = serve(settings)
    client.post_json("/mushrooms", {"data": {"name": "a"}}, headers=alice)
    client.post_json("/spores", {"data": {}}, headers=alice)
    client.get("/mushrooms", headers=alice)
    client.get("/spores", headers=alice)
    client.delete("/mushrooms", headers=alice)
    client.delete("/spores", headers=alice)
    messages = pushed()
    assert [(m["resource_name"], m["action"]) for m in messages] == [
        ("spore", "read"),
        ("spore", "delete"),
    ]
    assert "impacted_records" not in messages[0]


def test_settings_may_come_from_the_environment(
    serve, server, listname, pushed, alice, monkeypatch
):
    monkeypatch.setenv("CLIQUET_EVENT_LISTENERS", "queue")
    monkeypatch.setenv("CLIQUET_EVENT_LISTENERS_QUEUE_USE", "cliquet.listeners.redis")
    monkeypatch.setenv("CLIQUET_EVENT_LISTENERS_QUEUE_URL", server.url())
    monkeypatch.setenv("CLIQUET_EVENT_LISTENERS_QUEUE_LISTNAME", listname)
    monkeypatch.setenv("CLIQUET_EVENT_LISTENERS_QUEUE_ACTIONS", "delete")
    client = serve()
    client.post_json("/spores", {"data": {}}, headers=alice)
    client.delete("/spores", headers=alice)
    assert [message["action"] for message in pushed()] == ["delete"]


def test_pushes_are_timed(serve, settings, alice):
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        client = serve({**settings, "statsd_url": f"udp://127.0.0.1:{receiver.getsockname()[1]}"})
        client.post_json("/spores", {"data": {}}, headers=alice)
        while not (line := receiver.recv(1000)).startswith(b"testapp.listeners.queue:"):
            pass
        assert line.endswith(b"|ms")


def test_request_is_unharmed_when_redis_is_down_and_served_when_it_is_back(
    serve, settings, server, pushed, alice, caplog
):
    client = serve(settings)
    server.stop()
    try:
        client.post_json("/spores", {"data": {}}, headers=alice, status=201)
    finally:
        server.start()
    (failure,) = [record for record in caplog.records if record.name == "cliquet.listeners.redis"]
    assert failure.message.startswith("<AfterResourceChanged create /spores> is not pushed on ")
    assert "refused" in failure.message
    assert failure.exc_info is None
    client.delete("/spores", headers=alice)
    assert [message["action"] for message in pushed()] == ["delete"]


def test_request_is_unharmed_when_redis_hangs(serve, settings, server, alice, caplog):
    settings["event_listeners.queue.server_url"] += "?socket_timeout=0.1"
    client = serve(settings)
    server.pause()
    try:
        client.post_json("/spores", {"data": {}}, headers=alice, status=201)
    finally:
        server.resume()
    assert "is not pushed on" in caplog.text


def test_request_waits_for_a_few_seconds_at_most(serve, settings, server, alice):
    client = serve(settings)
    server.pause()
    try:
        began = time.monotonic()
        client.post_json("/spores", {"data": {}}, headers=alice, status=201)
        assert time.monotonic() - began < 8, "it hangs"
    finally:
        server.resume()


def test_server_that_is_down_at_start_is_told(serve, settings, server, caplog):
    server.stop()
    try:
        serve(settings)
    finally:
        server.start()
    assert f"event_listeners.queue.server_url: {server.url()} doesn't answer" in caplog.text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("server_url", "", "redis://host:port/database"),
        ("server_url", "postgresql://me:secret@localhost", "redis://host:port/database"),
        ("url", "sqlite:///file", "redis://host:port/database"),
        ("pool_size", "lots", "an integer, 1 or more"),
        ("pool_size", "0", "an integer, 1 or more"),
    ],
)
def test_wrong_setting_is_told(serve, settings, key, value, expected):
    name = f"event_listeners.queue.{key}"
    with pytest.raises(ConfigurationError) as raised:
        serve({**settings, name: value})
    assert str(raised.value).startswith(f"{name} = ")
    assert f"expected {expected}" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_event_of_the_application_with_something_else_than_json_is_only_logged(
    serve, settings, pushed, alice, caplog
):
    def setup(config):
        config.add_route("odd", "/odd")
        config.add_view(odd, route_name="odd", renderer="json")

    def odd(request):
        request.current_resource_name = "odd"
        request.notify_resource_event(1, {"odd": object()}, ACTIONS.CREATE)
        return {}

    assert serve(settings, setup=setup).get("/odd", headers=alice).json == {}
    assert "The listener queue failed" in caplog.text
    assert pushed() == []
