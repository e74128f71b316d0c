"""Listeners that the settings subscribe to events."""

import functools
import json
import socket
import time
import traceback
import uuid
from contextlib import closing

import pytest
import redis
from pyramid.exceptions import ConfigurationError
from pyramid.httpexceptions import HTTPForbidden

from cliquet.events import (
    ACTIONS,
    AfterResourceChanged,
    AfterResourceRead,
    ResourceChanged,
    ResourceRead,
)
from cliquet.listeners import ListenerBase
from tests import redis_server

MODULE = "tests.test_listeners"
HEARD = []


class Failing(ListenerBase):
    after_commit = True

    def __call__(self, event):
        raise ZeroDivisionError("this listener fails")


class Recorder(ListenerBase):
    def __call__(self, event):
        HEARD.append(event)


class LateRecorder(Recorder):
    after_commit = True


def refuse(event):
    HEARD.append(event)
    raise HTTPForbidden()


def fail(event):
    raise ZeroDivisionError("this listener fails")


def write(event):
    """A function, which is a listener too."""
    HEARD.append(event)
    event.request.registry.storage.create("log", "", {"of": event.payload["uri"]})


LISTENERS = {
    "failing": Failing(),
    "recorder": Recorder(),
    "late": LateRecorder(),
    "refuse": refuse,
    "fail": fail,
    "write": write,
    "partial": functools.partial(write),
    "method": HEARD.append,
}


def load_from_config(config, prefix):
    """Return the listener whose name is in the prefix of its settings."""
    name = prefix.split(".")[-2]
    return LISTENERS.get(name) or Recorder()


def settings_of(*names, **settings):
    """Return the settings of listeners of this module."""
    uses = {f"event_listeners.{name}.use": MODULE for name in names}
    return {"event_listeners": " ".join(names), **uses, **settings}


@pytest.fixture(autouse=True)
def forget():
    HEARD.clear()


def test_base_class_requires_a_call_method():
    with pytest.raises(NotImplementedError):
        ListenerBase("any", argument=1)(None)


@pytest.mark.parametrize("statsd", [False, True])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("recorder", ResourceChanged),
        ("write", ResourceChanged),
        ("partial", ResourceChanged),
        ("method", ResourceChanged),
        ("late", AfterResourceChanged),
    ],
)
def test_any_callable_is_a_listener(serve, alice, name, expected, statsd):
    settings = {"statsd_url": "udp://127.0.0.1:9"} if statsd else {}
    client = serve(settings_of(name, **settings))
    client.post_json("/spores", {"data": {}}, headers=alice, status=201)
    assert [type(event) for event in HEARD] == [expected]


@pytest.mark.parametrize(
    ("name", "expected"), [("recorder", ResourceRead), ("late", AfterResourceRead)]
)
def test_listener_of_reads_gets_the_read_event(serve, alice, name, expected):
    client = serve(settings_of(name, **{f"event_listeners.{name}.actions": "read"}))
    client.post_json("/spores", {"data": {}}, headers=alice, status=201)
    client.get("/spores", headers=alice)
    assert [type(event) for event in HEARD] == [expected]


@pytest.mark.parametrize(("name", "status"), [("refuse", 403), ("fail", 500)])
def test_listener_that_raises_before_the_commit_cancels_the_change(serve, alice, name, status):
    client = serve(settings_of("write", name))
    client.post_json("/spores", {"data": {}}, headers=alice, status=status)
    requests = [{"method": "POST", "path": "/spores", "body": {"data": {}}}]
    client.post_json("/batch", {"requests": requests}, headers=alice, status=status)
    assert len(HEARD) == (4 if name == "refuse" else 2)
    assert client.get("/spores", headers=alice).json["data"] == []
    assert client.registry.storage.get_all("log", "") == ([], 0)


def test_listener_writes_in_the_same_transaction(serve, alice):
    client = serve(settings_of("write"))
    client.post_json("/spores", {"data": {}}, headers=alice, status=201)
    (record,), _ = client.registry.storage.get_all("log", "")
    assert record["of"] == "/spores"


@pytest.mark.parametrize("prefix", ["event_listeners.test_listeners", f"event_listeners.{MODULE}"])
def test_listener_named_by_its_module_has_settings_of_the_last_part(serve, alice, prefix):
    settings = {"event_listeners": MODULE, "event_listeners.test_listeners.actions": "delete"}
    if prefix.endswith(MODULE):  # with ``use``, the prefix is the whole name
        settings.update({f"{prefix}.use": MODULE, f"{prefix}.actions": "delete"})
    client = serve(settings)
    client.post_json("/spores", {"data": {}}, headers=alice, status=201)
    client.delete("/spores", headers=alice)
    assert [event.payload["action"] for event in HEARD] == ["delete"]


@pytest.mark.parametrize("names", ["failing late", "late failing"])
def test_listener_that_fails_after_the_commit_is_only_logged(serve, alice, caplog, names):
    client = serve(settings_of(*names.split()))
    client.post_json("/spores", {"data": {}}, headers=alice, status=201)
    assert [event.payload["action"] for event in HEARD] == ["create"]
    (failure,) = [record for record in caplog.records if "listener" in record.message]
    expected = "The listener failing failed on <AfterResourceChanged create /spores>"
    assert expected in failure.message
    assert failure.exc_info[0] is ZeroDivisionError
    (_, call) = traceback.walk_tb(failure.exc_info[2])
    assert call[0].f_locals == {}  # the values of the request aren't sent to anyone


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


@pytest.mark.parametrize("include_records", [None, "false", "true"])
def test_payload_of_changes_is_pushed(serve, settings, pushed, alice, include_records):
    if include_records is not None:
        settings["event_listeners.queue.include_records"] = include_records
    client = serve(settings)
    created = client.post_json("/spores", {"data": {"size": 1}}, headers=alice).json["data"]
    url = f"/spores/{created['id']}"
    updated = client.patch_json(url, {"data": {"size": 2}}, headers=alice).json["data"]
    client.delete(url, headers=alice)
    user = client.get("/", headers=alice).json["user"]["id"]
    messages = pushed()
    records = [message.pop("impacted_records", None) for message in messages]
    creation, update, deletion = messages
    assert creation == {
        "timestamp": created["last_modified"],
        "action": "create",
        "uri": "/spores",
        "user_id": user,
        "resource_name": "spore",
    }
    assert (update["action"], update["spore_id"]) == ("update", created["id"])
    assert deletion["action"] == "delete"
    if include_records != "true":
        assert records == [None] * 3
        return
    assert records[:2] == [[{"new": created}], [{"new": updated, "old": created}]]
    assert records[2][0]["old"]["size"] == 2


def test_batch_is_one_message_of_each_resource_and_action(serve, settings, pushed, alice):
    requests = [
        {"method": "POST", "path": f"/{name}s", "body": {"data": {"name": "x"}}}
        for name in ("spore", "mushroom", "spore")
    ]
    settings["event_listeners.queue.include_records"] = True
    serve(settings).post_json("/batch", {"requests": requests}, headers=alice)
    messages = {message["resource_name"]: message for message in pushed()}
    assert len(messages["spore"]["impacted_records"]) == 2
    assert len(messages["mushroom"]["impacted_records"]) == 1


def test_undone_changes_are_not_pushed(serve, settings, pushed, alice):
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


def test_settings_can_come_from_the_environment(
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
    assert "Cannot push <AfterResourceChanged create /spores> to " in failure.message
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
    assert "Cannot push" in caplog.text


def test_request_waits_for_a_few_seconds_at_most(serve, settings, server, alice):
    client = serve(settings)
    server.pause()
    try:
        began = time.monotonic()
        client.post_json("/spores", {"data": {}}, headers=alice, status=201)
        assert time.monotonic() - began < 8, "it hangs"
    finally:
        server.resume()


def test_server_that_is_down_at_start_is_logged(serve, settings, server, caplog):
    server.stop()
    try:
        serve(settings)
    finally:
        server.start()
    assert f"event_listeners.queue.server_url: {server.url()} does not respond" in caplog.text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("server_url", "postgresql://me:secret@localhost", "redis://host:port/database"),
        ("url", "sqlite:///file", "redis://host:port/database"),
        ("pool_size", "lots", "an integer, 1 or more"),
        ("pool_size", "0", "an integer, 1 or more"),
        ("include_records", "maybe", "true or false"),
    ],
)
def test_invalid_setting_is_reported(serve, settings, key, value, expected):
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

    settings["event_listeners.queue.include_records"] = True
    assert serve(settings, setup=setup).get("/odd", headers=alice).json == {}
    assert "The listener queue failed" in caplog.text
    assert pushed() == []
