"""Listeners of applications: each request that reads or changes records leads to them."""

import inspect
import sys
import types

import pytest

from cliquet.events import (
    ACTIONS,
    AfterResourceChanged,
    AfterResourceRead,
    ResourceChanged,
    ResourceRead,
)
from cliquet.listeners import ListenerBase
from cliquet.resource import ShareableResource, UserResource
from tests.extension_points import requests
from tests.extension_points.spies import Calls, override
from tests.extension_points.test_resources import (
    LISTS,
    READS,
    in_and_out_of_batches,
)
from tests.resource import apps

BEFORE = (ResourceChanged, ResourceRead)
AFTER = (AfterResourceChanged, AfterResourceRead)

READ = f"{READS} {LISTS} POST_EXISTING POST_CONFLICT"

#: The requests that lead to a listener, by the action of their event.
BY_ACTION = {
    "create": "POST POST_WITH_ID PUT_NEW PUT_DELETED",
    "update": "PUT PATCH PATCH_SAME",
    "delete": "DELETE DELETE_FILTERED DELETE_LIST",
    "read": READ,
}


class Silent(ListenerBase):
    def __call__(self, event):
        pass


def build(base, calls, actions, after_commit):
    """Return a client of things, whose events go to a listener."""
    module = types.ModuleType("own_listener")
    listener = override(Silent, "__call__", calls=calls)
    listener.after_commit = after_commit
    module.load_from_config = lambda config, prefix: listener()
    sys.modules[module.__name__] = module
    thing = type("Thing", (base,), {"mapping": requests.ThingSchema()})
    settings = {
        **apps.backends("memory", None),
        **{f"thing_{name}_principals": "system.Everyone" for name in ("create", "read", "write")},
        "event_listeners": "own",
        "event_listeners.own.use": module.__name__,
        "event_listeners.own.actions": actions,
    }
    return apps.build(thing, settings=settings).user("alice")


@in_and_out_of_batches
@pytest.mark.parametrize("after_commit", [False, True])
@pytest.mark.parametrize("action", BY_ACTION)
@pytest.mark.parametrize("base", [UserResource, ShareableResource])
def test_listener_is_called_for_its_actions(base, action, after_commit, send):
    calls = Calls()
    client = build(base, calls, action, after_commit)
    called = []
    for request, exchange in requests.walk(client, "/things", send):
        calls.clear()
        exchange()
        assert len(calls) <= 1
        for _, arguments in calls:
            called.append(request)
            event = arguments["event"]
            names = AFTER if after_commit else BEFORE
            assert type(event) is names[action == "read"]
            assert event.payload["action"] == ACTIONS(action).value
    expected = BY_ACTION[action].split()
    assert called == [name for name in requests.REQUESTS if name in expected]


@pytest.mark.parametrize("action", ["create", "update", "delete"])
def test_listener_that_refuses_is_obeyed(action):
    calls = Calls()
    client = build(UserResource, calls, action, after_commit=False)
    normal = {
        name: exchange() for name, exchange in requests.walk(client, "/things", requests.send)
    }
    client.storage.flush()
    exchanges = requests.walk(client, "/things", requests.send)
    requests.check_override(exchanges, calls, BY_ACTION[action], normal)


def test_each_public_name_is_tested():
    public = {name for name, _ in inspect.getmembers_static(ListenerBase)}
    assert {name for name in public if not name.startswith("_")} == {"after_commit"}
