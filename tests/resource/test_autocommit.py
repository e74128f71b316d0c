"""Writes in one statement, and the code of applications that prevents them.

Each test sends the same requests to a plain resource, and to one with code of the application: the
responses are equal, and only those of the plain resource take one statement.
"""

import contextvars
from functools import partial
from types import SimpleNamespace

import pytest
import transaction
from pyramid import httpexceptions, renderers
from pyramid.config import Configurator
from pyramid.events import BeforeRender, NewRequest, NewResponse
from pyramid.interfaces import ITweens

from cliquet import transactions
from cliquet.authorization import RouteFactory
from cliquet.events import AfterResourceChanged, ResourceChanged
from cliquet.http.renderers import JSONRenderer
from cliquet.resource import Model, ShareableResource, UserResource, ViewSet
from cliquet.resource.autocommit import has_observers, is_plain
from cliquet.transactions.autocommit import can_autocommit
from tests.resource.apps import AnyFields, CardSchema, Client

ID = "4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a11"
NEW = "4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a12"
LATER = '"9999999999999"'


class Plain(UserResource):
    mapping = AnyFields()

    def get_parent_id(self, request):
        return super().get_parent_id(request)

    def is_known_field(self, field):
        return super().is_known_field(field)


def override(name):
    """Return a resource that overrides a method as applications do."""

    def method(self, *args, **kwargs):
        return getattr(super(resource_cls, self), name)(*args, **kwargs)

    attributes = {"mapping": AnyFields(), name: method}
    resource_cls = type(name.replace("_", ""), (UserResource,), attributes)
    return resource_cls


class Init(UserResource):
    """A resource whose constructor has no context, as in early versions."""

    mapping = AnyFields()

    def __init__(self, request):
        super().__init__(request)


class OwnModel(UserResource):
    mapping = AnyFields()
    default_model = type("OwnModel", (Model,), {})


class Shared(ShareableResource):
    mapping = AnyFields()


class Unique(UserResource):
    mapping = CardSchema()


def keep(response, request):
    return response


METHODS = (
    *("process_record", "postprocess", "collection_post", "put", "delete", "_storable", "_save"),
    *("_get_record_or_404", "_add_timestamp_header", "_raise_412_if_modified", "timestamp"),
)
OVERRIDES = {
    **{name: (override(name), ViewSet()) for name in METHODS},
    "constructor": (Init, ViewSet()),
    "model": (OwnModel, ViewSet()),
    "permissions": (Shared, ShareableResource.default_viewset()),
    "viewset": (Plain, type("OwnViewSet", (ViewSet,), {})()),
    "factory": (Plain, ViewSet(factory=RouteFactory)),
    "filters": (Plain, ViewSet(default_arguments={"filters": [keep]})),
}
#: Resources with code of the application, which the tests compare with plain ones.
RESOURCES = [OVERRIDES[name][0] for name in ("process_record", "postprocess", "put")]
RESOURCES += [Shared, Unique]
SETTINGS = {"shared_create_principals": "system.Authenticated"}

#: The requests that take one statement, and those that fall back to a transaction.
ALONE = (
    ("POST", "", {"n": 1}, {}),
    ("PUT", f"/{ID}", {"n": 2}, {}),
    ("PUT", f"/{NEW}", {"n": 3}, {}),
    ("DELETE", f"/{NEW}", None, {}),
    ("DELETE", f"/{ID}", None, {"If-Match": LATER}),
)
REFUSED = (
    ("DELETE", f"/{NEW}", None, {}),
    ("DELETE", f"/{ID}", None, {"If-Match": '"1"'}),
    ("DELETE", f"/{ID}", None, {"If-Match": "W/" + LATER}),
    ("DELETE", f"/{NEW}", None, {"If-Match": "x"}),
    ("DELETE", f"/{NEW}", None, {"If-None-Match": "x"}),
    ("DELETE", f"/{ID}", None, {"If-None-Match": "x"}),
    ("PUT", f"/{ID}", {"n": 1, "id": NEW}, {}),
    ("PUT", f"/{ID}", {"n": 1, "last_modified": "x"}, {}),
    ("PUT", f"/{ID}", {"n": 1}, {"If-Match": '"1"'}),
    ("PUT", f"/{ID}", {"n": 1}, {"If-None-Match": "*"}),
    ("DELETE", f"/{ID}?last_modified=x", None, {}),
    ("PUT", "/invalid", {"n": 1}, {}),
    ("DELETE", "/invalid", None, {}),
)
KEPT = (
    ("DELETE", f"/{ID}", None, {"If-Match": "*"}),
    ("PUT", f"/{ID}", {"n": 1, "last_modified": 5}, {}),
    ("DELETE", f"/{ID}?last_modified=9999999999999", None, {}),
    ("POST", "", {"n": 1, "id": ID}, {}),
)


@pytest.fixture
def engine():
    return "postgresql"


@pytest.fixture
def alice(build_once):
    return build_once(Plain, *RESOURCES, settings=SETTINGS).user("alice")


@pytest.fixture
def count(statements):
    """A function that sends requests, and returns the number of statements of each, and responses.

    Ids that the service chose and timestamps are left out of the responses.
    """

    def count(client, path, *requests, **headers):
        client.flush()
        client.create(path, {"id": ID, "n": 0})
        numbers, responses = [], []
        for method, rest, data, own in requests:
            statements.clear()
            body = None if data is None else {"data": data}
            response = client.send(method, path + rest, body, {**own, **headers}, status="*")
            numbers.append(len(statements))
            responses.append(outcome(response))
        return numbers, responses

    return count


def outcome(response):
    body = response.json
    record = body.get("data") or body.get("details")
    record = {} if not isinstance(record, dict) else record.get("existing", record)
    assert "last_modified" not in record or record.pop("last_modified") > 1
    if record.get("id") not in (ID, NEW):
        record.pop("id", None)
    body.pop("permissions", None)
    return response.status_code, body, sorted(response.headers)


def test_writes_of_plain_resources_take_one_statement(alice, count):
    numbers, responses = count(alice, "/plains", *ALONE)
    assert numbers == [1] * len(ALONE)
    assert [status for status, _, _ in responses] == [201, 200, 201, 200, 200]
    assert alice.values("/plains") == [1]


@pytest.mark.parametrize("resource_cls", RESOURCES)
def test_overrides_prevent_single_statements_with_equal_responses(alice, count, resource_cls):
    numbers, responses = count(alice, f"/{resource_cls.__name__.lower()}s", *ALONE)
    assert min(numbers) > 1
    assert responses == count(alice, "/plains", *ALONE)[1]


def test_resources_can_have_code_that_runs_before_the_write():
    viewset = ViewSet(name="any", collection_path="/any", record_path="/any/{id}")
    assert is_plain(SimpleNamespace(resource=Plain, viewset=viewset))


@pytest.mark.parametrize("name", OVERRIDES)
def test_resources_with_other_code_are_not_plain(name):
    resource_cls, viewset = OVERRIDES[name]
    assert not is_plain(SimpleNamespace(resource=resource_cls, viewset=viewset))


def test_services_without_a_resource_are_not_plain():
    assert not is_plain(SimpleNamespace())


def test_requests_that_need_the_record_have_equal_responses(alice, count):
    numbers, responses = count(alice, "/plains", *REFUSED, *KEPT)
    assert [status for status, _, _ in responses] == [
        *(404, 412, 412, 404, 404, 400, 400, 400, 412, 412, 400, 400, 400),
        *(200, 201, 200, 201),
    ]
    assert responses == count(alice, "/puts", *REFUSED, *KEPT)[1]


# Actions of applications during a request; a header of the request selects one.


class Participant:
    """A data manager that can't commit."""

    transaction_manager = transaction.manager

    def sortKey(self):
        return "~"

    def abort(self, txn):
        pass

    tpc_begin = commit = tpc_finish = tpc_abort = abort

    def tpc_vote(self, txn):
        raise httpexceptions.HTTPConflict()


def fail():
    raise httpexceptions.HTTPConflict()


ACTIONS = {
    "join": lambda request: request.tm.get().join(Participant()),
    "hook": lambda request: request.tm.get().addBeforeCommitHook(fail),
    "doom": lambda request: request.tm.doom(),
}


def act(event):
    action = event.request.headers.get("Act")
    if action:
        ACTIONS[action](event.request)


@pytest.fixture(scope="module")
def acting(built):
    return {}


@pytest.fixture
def bob(build, acting):
    if not acting:
        api = build(Plain, setup=lambda config: config.add_subscriber(act, NewRequest))
        acting["app"] = api.app
    return Client(acting["app"]).user("bob")


def test_subscribers_before_the_view_permit_single_statements(bob, count):
    assert count(bob, "/plains", *ALONE)[0] == [1] * len(ALONE)


@pytest.mark.parametrize("action", ACTIONS)
def test_writes_are_undone_with_the_transaction(bob, count, action):
    numbers, _ = count(bob, "/plains", *ALONE, Act=action)
    assert max(numbers) > 1
    assert bob.values("/plains") == [0]


def test_writes_only_commit_themselves_if_the_participants_are_known():
    def check():
        assert not can_autocommit()
        manager = transaction.TransactionManager(explicit=True)
        txn = manager.begin()
        with transactions.RequestAttempt(manager):
            assert can_autocommit()
            del txn._resources
            assert not can_autocommit()

    contextvars.copy_context().run(check)


@pytest.mark.parametrize("event", [ResourceChanged, AfterResourceChanged])
def test_subscribers_to_changes_receive_the_old_records(bob, count, event):
    received = []
    bob.registry.registerHandler(received.append, [event])
    try:
        numbers, _ = count(bob, "/plains", *ALONE)
    finally:
        bob.registry.unregisterHandler(received.append, [event])
    assert min(numbers) > 1
    records = [each.impacted_records[0] for each in received]
    assert [record.get("old", {}).get("n") for record in records] == [None, None, 0, None, 3, 2]


def test_overridden_methods_of_the_storage_see_each_request(bob, count, monkeypatch):
    storage, seen = bob.registry.storage, []
    get_for_update = storage.get_for_update

    def recorded(*args, **kwargs):
        seen.append(kwargs["object_id"])
        return get_for_update(*args, **kwargs)

    monkeypatch.setattr(storage, "get_for_update", recorded)
    count(bob, "/plains", *ALONE)
    assert seen == [ID, ID, NEW, NEW, ID]


#: Methods that tests replace, and how often the requests call them, with the one before them.
REPLACED = {
    **{(cls, "process_record"): 4 for cls in (Plain, UserResource)},
    **{(cls, "postprocess"): 6 for cls in (Plain, UserResource)},
    **{(cls, "_get_record_or_404"): 5 for cls in (Plain, UserResource)},
    **{(cls, "_raise_412_if_modified"): 5 for cls in (Plain, UserResource)},
    **{(cls, "_add_timestamp_header"): 2 for cls in (Plain, UserResource)},
    (Model, "get_record"): 5,
    (Model, "create_record"): 3,
    (Model, "update_record"): 1,
    (Model, "delete_record"): 2,
}


@pytest.mark.parametrize(("owner", "name"), REPLACED)
def test_methods_can_be_replaced_after_the_first_write(bob, count, monkeypatch, owner, name):
    numbers, plain = count(bob, "/plains", *ALONE)
    assert numbers == [1] * len(ALONE)
    seen, method = [], getattr(owner, name)

    def recorded(self, *args, **kwargs):
        seen.append(type(self))
        return method(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, recorded)
    assert count(bob, "/plains", *ALONE)[1] == plain
    assert len(seen) == REPLACED[owner, name]


def test_a_generated_id_that_is_taken_returns_its_record(bob, count, monkeypatch):
    generator = bob.registry.id_generator
    monkeypatch.setattr(type(generator), "__call__", lambda self: ID)
    ((number,), ((status, body, _),)) = count(bob, "/plains", ALONE[0])
    assert (number > 1, status, body) == (True, 200, {"data": {"id": ID, "n": 0}})


# Applications with code between the views and the commit.


def own_tween(handler, registry):
    return handler


def add_explicit_tween(config):
    config.registry.getUtility(ITweens).add_explicit("", own_tween)


def deriver(view, info):
    return view


def subscriber(event):
    pass


OBSERVERS = {
    "tween": lambda config: config.add_tween(f"{__name__}.own_tween"),
    "view deriver": lambda config: config.add_view_deriver(deriver),
    "responses": lambda config: config.add_subscriber(subscriber, NewResponse),
    "rendering": lambda config: config.add_subscriber(subscriber, BeforeRender),
    "any event": lambda config: config.add_subscriber(subscriber),
    "object": lambda config: config.add_subscriber(partial(subscriber), NewResponse),
    "explicit tween": add_explicit_tween,
    "renderer": lambda config: config.add_renderer("json", renderers.JSON()),
    "veto": lambda config: config.add_settings({"tm.commit_veto": "a.veto"}),
}


def is_observed(*steps):
    config = Configurator()
    config.include("pyramid_tm")
    config.add_renderer("json", JSONRenderer)
    config.commit()
    for step in steps:
        step(config)
    config.commit()
    return has_observers(config.registry)


def test_the_code_of_pyramid_permits_single_statements():
    assert not is_observed(lambda config: config.add_subscriber(subscriber, NewRequest))


@pytest.mark.parametrize("name", OBSERVERS)
def test_code_that_can_run_after_the_write_prevents_single_statements(name):
    assert is_observed(OBSERVERS[name])
