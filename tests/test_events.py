"""Events: which ones subscribers receive, and when."""

import pytest
import transaction
from pyramid.events import NewResponse
from pyramid.exceptions import ConfigurationError
from pyramid.httpexceptions import HTTPForbidden, HTTPInsufficientStorage
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet import initialization, utils
from cliquet.events import (
    ACTIONS,
    AfterResourceChanged,
    AfterResourceRead,
    ResourceChanged,
    ResourceRead,
)
from cliquet.storage.exceptions import BackendError
from cliquet.testing import DummyRequest, get_user_headers
from tests.resource import apps
from tests.resource.apps import ENGINES, AnyFields, Note, Page, UserResource

pytestmark = pytest.mark.parametrize("engine", ENGINES)

KINDS = (ResourceRead, ResourceChanged, AfterResourceRead, AfterResourceChanged)
AFTER = (AfterResourceRead, AfterResourceChanged)


class Post(UserResource):
    mapping = AnyFields()


POSTS = (
    Post,
    {"collection_path": "/blogs/{{blog}}/posts", "record_path": "/blogs/{{blog}}/p/{{id}}"},
)


HEARD = []


@pytest.fixture
def heard():
    """All the events, in their order."""
    HEARD.clear()
    return HEARD


@pytest.fixture
def build(engine, tmp_path_factory, heard):
    def build(*subscribers, settings=None, setup=None):
        """An application with subscribers: couples of a function and a kind of events."""

        def set_up(config):
            for subscriber, kind, *predicates in subscribers:
                config.add_subscriber(subscriber, kind, **(predicates[0] if predicates else {}))
            for kind in KINDS:
                config.add_subscriber(heard.append, kind)
            if setup is not None:
                setup(config)

        folder = tmp_path_factory.mktemp("events")
        settings = {**apps.backends(engine, folder), **(settings or {})}
        return apps.build(Note, Page, POSTS, settings=settings, setup=set_up)

    return build


@pytest.fixture
def alice(build, engine, applications):
    return applications.get((__name__, engine), build).user("alice")


def kinds(heard):
    return [type(event) for event in heard]


def changes(heard, kind=ResourceChanged):
    return [event for event in heard if type(event) is kind]


# One event per resource and action.


def test_event_of_a_creation_contains_the_new_record(alice, heard):
    note = alice.create("/notes", {"n": 1})
    assert kinds(heard) == [ResourceChanged, AfterResourceChanged]
    for event in heard:
        assert event.payload == {
            "timestamp": note["last_modified"],
            "action": "create",
            "uri": "/notes",
            "user_id": alice.id,
            "resource_name": "note",
        }
        assert event.impacted_records == [{"new": note}]
        assert event.request.path == "/v1/notes"


def test_put_of_a_new_record_is_a_creation(alice, heard):
    path = "/notes/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"
    note = alice.put(path, {"n": 1}).json["data"]
    payload = heard[0].payload
    assert (payload["action"], payload["uri"]) == ("create", path)
    assert payload["note_id"] == note["id"]
    assert heard[0].impacted_records == [{"new": note}]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_event_of_a_modification_contains_the_new_and_the_old_record(alice, heard, method):
    old = alice.create("/notes", {"n": 1})
    heard.clear()
    new = alice.send(method, f"/notes/{old['id']}", {"data": {"n": 2}}).json["data"]
    assert kinds(heard) == [ResourceChanged, AfterResourceChanged]
    assert heard[0].payload["action"] == "update"
    assert heard[0].payload["timestamp"] == new["last_modified"]
    assert heard[0].impacted_records == [{"new": new, "old": old}]


def test_event_of_a_deletion_contains_the_old_record(alice, heard):
    old = alice.create("/notes", {"n": 1})
    heard.clear()
    tombstone = alice.delete(f"/notes/{old['id']}").json["data"]
    assert heard[0].payload["action"] == "delete"
    (impacted,) = heard[0].impacted_records
    assert set(impacted) == {"old"}
    assert impacted["old"]["id"] == old["id"]
    assert impacted["old"]["n"] == 1
    assert impacted["old"]["last_modified"] == tombstone["last_modified"]


def test_deletion_of_a_list_is_one_event(alice, heard):
    notes = [alice.create("/notes", {"n": n}) for n in range(3)]
    heard.clear()
    alice.delete("/notes")
    (event,) = changes(heard)
    assert {item["old"]["id"] for item in event.impacted_records} == {n["id"] for n in notes}
    assert all(item["old"]["deleted"] for item in event.impacted_records)
    assert event.payload["uri"] == "/notes"
    assert "note_id" not in event.payload


def test_deletion_of_no_records_sends_no_event(alice, heard):
    alice.delete("/notes")
    assert heard == []


def test_event_of_a_read_contains_the_records(alice, heard):
    note = alice.create("/notes")
    heard.clear()
    alice.get(f"/notes/{note['id']}")
    assert kinds(heard) == [ResourceRead, AfterResourceRead]
    assert heard[0].read_records == [note]
    assert heard[0].payload["action"] == "read"
    assert heard[0].payload["note_id"] == note["id"]
    heard.clear()
    alice.get("/notes")
    assert heard[0].read_records == [note]
    heard.clear()
    alice.post("/notes", {"id": note["id"]}, status=200)
    assert kinds(heard) == [ResourceRead, AfterResourceRead]


def test_reading_an_empty_list_is_an_event(alice, heard):
    alice.get("/notes")
    assert heard[0].read_records == []


@pytest.mark.parametrize("data", [{"n": 1}, {}, {"missing": None}])
def test_patch_that_changes_nothing_is_an_update(alice, heard, data):
    note = alice.create("/notes", {"n": 1})
    heard.clear()
    alice.patch(f"/notes/{note['id']}", data)
    assert kinds(heard) == [ResourceChanged, AfterResourceChanged]
    assert heard[0].payload["action"] == "update"
    assert heard[0].impacted_records[0]["old"] == note


@pytest.mark.parametrize(
    "method, path, headers, status",
    [
        ("GET", "/notes/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10", {}, 404),
        ("GET", "/notes?n=%FF", {}, 400),
        ("DELETE", "/notes", {"If-Match": '"1"'}, 412),
        ("GET", "/notes", {"If-None-Match": '"253402300799999"'}, 304),
        ("GET", "/pages", {}, 403),
        ("GET", "/", {}, 200),
    ],
)
def test_refused_request_sends_no_event(alice, heard, method, path, headers, status):
    alice.send(method, path, None, headers, status)
    assert heard == []


def test_payload_has_the_parts_of_the_url(alice, heard):
    post = alice.create("/blogs/b/posts", {})
    assert heard[0].payload["blog"] == "b"
    heard.clear()
    alice.get(f"/blogs/b/p/{post['id']}")
    assert heard[0].payload["blog"] == "b"
    assert heard[0].payload["post_id"] == post["id"]
    assert "id" not in heard[0].payload
    assert "/blogs/{blog}/{post_id}".format(**heard[0].payload) == f"/blogs/b/{post['id']}"


def test_parts_of_the_url_are_those_of_the_moment(build, heard):
    def view(request):
        parts, request.matchdict = request.matchdict, {"blog": "b", "id": "x"}
        request.current_resource_name = "post"
        request.notify_resource_event(timestamp=1, data={"id": "x"}, action=ACTIONS.CREATE)
        request.matchdict = parts
        return {}

    build(setup=service("default", view)).send("POST", "/default", {})
    payload = heard[0].payload
    assert (payload["blog"], payload["post_id"], payload["uri"]) == ("b", "x", "/default")


def test_records_in_events_have_no_permissions(alice, heard):
    given = {"read": [alice.id]}
    page = alice.create("/pages", {"n": 1}, permissions=given)
    path = f"/pages/{page['id']}"
    alice.get(path)
    alice.put(path, {"n": 2}, permissions=given)
    alice.patch(path, {"n": 3})
    alice.get("/pages")
    alice.delete(path)
    alice.delete("/pages", status=403)
    assert len(heard) == 12
    for event in heard:
        records = getattr(event, "read_records", None) or event.impacted_records
        assert "__permissions__" not in repr(records)
        assert alice.id not in repr(records)


def test_events_have_a_readable_string(alice, heard):
    alice.create("/notes")
    assert str(heard[0]) == "<ResourceChanged create /notes>"


# Events that applications create.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_name", [False, True])
def test_application_can_create_events(engine, kind, by_name):
    request = DummyRequest(path="/v1/blogs/b/posts/x", matchdict={"blog": "b", "id": "x"})
    records = (
        "impacted_records" if kind in (ResourceChanged, AfterResourceChanged) else "read_records"
    )
    values = {"action": ACTIONS.UPDATE, "timestamp": 12, records: [{"id": "x"}], "request": request}
    event = kind(**values) if by_name else kind(*values.values())
    assert event.payload == {
        "timestamp": 12,
        "action": "update",
        "uri": "/blogs/b/posts/x",
        "user_id": request.prefixed_userid,
        "resource_name": "record",
        "blog": "b",
        "record_id": "x",
    }
    assert getattr(event, records) == [{"id": "x"}]
    assert event.request is request
    setattr(event, records, [])
    assert getattr(event, records) == []


def test_application_can_fire_events_that_it_creates(build, heard):
    def view(request):
        request.current_resource_name = "note"
        event = ResourceChanged(ACTIONS.CREATE, 1, [{"new": {"id": "x"}}], request)
        request.registry.notify(event)
        return {}

    build(setup=service("fire", view)).send("POST", "/fire", {})
    (event,) = heard
    assert (event.payload["uri"], event.payload["user_id"]) == ("/fire", None)


# In a batch.


def note(n, method="POST", path="/notes"):
    return {"method": method, "path": path, "body": {"data": {"n": n}}}


def test_batch_is_one_event_per_resource_and_action(alice, heard):
    responses = alice.batch(
        note(1),
        note(2),
        note(3, path="/pages"),
        {"path": "/notes"},
        note(4),
        {"method": "DELETE", "path": "/notes?n=1"},
    )
    assert {item["status"] for item in responses} == {200, 201}
    before = heard[:4]
    assert kinds(heard) == [
        ResourceChanged,
        ResourceChanged,
        ResourceRead,
        ResourceChanged,
        AfterResourceChanged,
        AfterResourceChanged,
        AfterResourceRead,
        AfterResourceChanged,
    ]
    received = [(event.payload["resource_name"], event.payload["action"]) for event in before]
    assert received == [
        ("note", "create"),
        ("page", "create"),
        ("note", "read"),
        ("note", "delete"),
    ]
    assert [item["new"]["n"] for item in before[0].impacted_records] == [1, 2, 4]


def test_batch_has_an_event_for_each_parent(alice, heard):
    paths = ["/blogs/a/posts", "/blogs/b/posts", "/blogs/a/posts"]
    alice.batch(*(note(n, path=path) for n, path in enumerate(paths)))
    before = changes(heard)
    assert [event.payload["blog"] for event in before] == ["a", "b"]
    assert [event.payload["uri"] for event in before] == paths[:2]
    numbers = [[item["new"]["n"] for item in event.impacted_records] for event in before]
    assert numbers == [[0, 2], [1]]
    assert len(changes(heard, AfterResourceChanged)) == 2


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_batch_has_an_event_for_each_user(build, heard, method):
    api = build()
    names = ["alice", "bob", "alice"]
    users = [api.user(name) for name in names[:2]]
    requests = [
        {**note(n, method), "headers": get_user_headers(name)} for n, name in enumerate(names)
    ]
    users[0].batch(*requests)
    first, second = (event for event in heard if type(event) in (ResourceChanged, ResourceRead))
    assert [first.payload["user_id"], second.payload["user_id"]] == [user.id for user in users]
    times = {event.payload["user_id"]: event.payload["timestamp"] for event in (first, second)}
    if method == "POST":
        assert [item["new"]["n"] for item in first.impacted_records] == [0, 2]
        (record,) = users[1].list("/notes")
        assert times[users[1].id] == record["last_modified"]


def test_events_of_refused_requests_of_a_batch_are_forgotten(build, heard):
    def view(request):
        request.current_resource_name = "note"
        request.notify_resource_event(timestamp=1, data={"id": "x"}, action=ACTIONS.CREATE)
        raise HTTPForbidden()

    alice = build(setup=service("refuse", view)).user("alice")
    alice.batch({"method": "POST", "path": "/refuse"}, status=200)
    assert heard == []
    alice.batch(note(1), {"method": "POST", "path": "/refuse"}, note(2))
    (event,) = changes(heard)
    assert [item["new"]["n"] for item in event.impacted_records] == [1, 2]


def service(name, view):
    made = cliquet.Service(name=name, path=f"/{name}")
    made.post(permission=NO_PERMISSION_REQUIRED)(view)
    return lambda config: config.add_cornice_service(made)


@pytest.mark.parametrize("error, status", [(ValueError("bug"), 500), (BackendError(), 503)])
def test_events_of_a_batch_that_fails_are_forgotten(build, heard, error, status):
    def view(request):
        raise error

    alice = build(setup=service("fail", view)).user("alice")
    alice.batch(note(1), {"method": "POST", "path": "/fail"}, status=status)
    assert heard == []
    assert alice.storage.get_all("note", alice.id) == ([], 0)


def test_events_can_be_looked_at_before_they_fire(build, heard):
    seen = []

    def view(request):
        request.current_resource_name = "note"
        request.notify_resource_event(timestamp=1, data=[{"id": "x"}], action=ACTIONS.READ)
        request.notify_resource_event(timestamp=2, data={"id": "y"}, action=ACTIONS.READ)
        for after in (False, True):
            seen.extend(request.get_resource_events(after_commit=after))
        assert heard == []
        return {}

    build(setup=service("look", view)).send("POST", "/look", {})
    assert kinds(seen) == [ResourceRead, AfterResourceRead]
    assert [record["id"] for record in seen[0].read_records] == ["x", "y"]
    assert seen[0].payload["timestamp"] == 1


def test_finished_callbacks_can_read_events_and_discard_them(build):
    seen = []

    def look(request):
        seen.append(len(request.get_resource_events()))

    def discard(request):
        look(request)
        request.bound_data.clear()

    def setup(config):
        # NewResponse is sent after all tweens have run.
        config.add_subscriber(lambda event: event.request.add_finished_callback(look), NewResponse)
        config.add_subscriber(
            lambda event: event.request.add_finished_callback(discard), NewResponse
        )

    build(setup=setup).user("alice").post("/notes", {"n": 1}, status=201)
    assert seen == [1, 1]


def test_request_of_a_batch_that_passes_the_tweens_keeps_the_events_of_the_others(build):
    seen = []

    def view(request):
        subrequest = utils.build_request(request, {"path": "/notes"})
        request.invoke_subrequest(subrequest, use_tweens=True)
        seen.extend(request.get_resource_events())
        return {}

    alice = build(setup=service("nested", view)).user("alice")
    alice.batch(note(1), {"method": "POST", "path": "/nested"})
    assert kinds(seen) == [ResourceChanged, ResourceRead]


# Before the commit, and after it.


def test_first_events_are_inside_of_the_transaction(build):
    seen = []

    def before(event):
        seen.append(("before", transaction.get().status))
        event.request.registry.storage.create("other", "x", {"n": 1})

    def after(event):
        seen.append(("after", event.request.registry.storage.get_all("other", "x")[1]))

    build((before, ResourceChanged), (after, AfterResourceChanged)).user("alice").create("/notes")
    assert seen == [("before", "Active"), ("after", 1)]


@pytest.mark.parametrize(
    "error, status",
    [(HTTPForbidden(), 403), (HTTPInsufficientStorage(), 507), (ValueError("x"), 500)]
    + [(BackendError(message="x"), 503)],
)
def test_exception_of_a_first_subscriber_cancels_everything(build, heard, error, status):
    def refuse(event):
        event.request.registry.permission.add_user_principal("x", "y")
        raise error

    api = build((refuse, ResourceChanged))
    alice = api.user("alice")
    response = alice.post("/notes", {"n": 1}, status=status)
    assert response.json["code"] == status
    alice.post("/pages", {"n": 1}, status=status)
    assert changes(heard, AfterResourceChanged) == []
    assert api.storage.get_all("note", alice.id) == ([], 0)
    assert api.storage.get_all("page", "") == ([], 0)
    assert api.permission.user_principals("x") == set()


def test_exception_of_a_first_subscriber_cancels_the_whole_batch(build, heard):
    def refuse(event):
        if event.impacted_records[-1]["new"]["n"] == 2:
            raise HTTPForbidden()

    alice = build((refuse, ResourceChanged)).user("alice")
    alice.batch(note(1), note(2), status=403)
    assert alice.storage.get_all("note", alice.id) == ([], 0)
    assert changes(heard, AfterResourceChanged) == []


def test_exception_of_an_after_subscriber_is_only_logged(build, heard, caplog):
    def fail(event):
        raise ValueError("too late")

    alice = build((fail, AfterResourceChanged), (fail, AfterResourceRead)).user("alice")
    created = alice.create("/notes", {"n": 1})
    assert alice.list("/notes") == [created]
    messages = [record.getMessage() for record in caplog.records]
    expected = "A subscriber of <AfterResourceChanged create /notes> failed"
    assert any(expected in message for message in messages)
    assert "too late" in caplog.text


def test_after_subscriber_that_fails_keeps_no_other_event_from_firing(build, heard):
    def fail(event):
        if event.payload["resource_name"] == "note":
            raise ValueError("too late")

    alice = build((fail, AfterResourceChanged)).user("alice")
    alice.batch(note(1), note(2, path="/pages"))
    after = changes(heard, AfterResourceChanged)
    assert [event.payload["resource_name"] for event in after] == ["page"]


def test_after_events_do_not_fire_if_the_commit_fails(build, heard):
    def doom(event):
        transaction.get().addBeforeCommitHook(fail)

    def fail():
        raise ValueError("the commit fails")

    alice = build((doom, ResourceChanged)).user("alice")
    alice.post("/notes", {"n": 1}, status=500)
    assert kinds(heard) == [ResourceChanged]
    assert alice.storage.get_all("note", alice.id) == ([], 0)


def test_after_events_do_not_fire_if_the_transaction_is_doomed(build, heard):
    alice = build((lambda event: transaction.doom(), ResourceChanged)).user("alice")
    alice.post("/notes", {"n": 1}, status="*")
    assert kinds(heard) == [ResourceChanged]
    assert alice.storage.get_all("note", alice.id) == ([], 0)


def test_after_events_fire_once_others_can_read(build):
    seen = []

    def after(event):
        seen.append(event.request.registry.storage.get_all("note", event.payload["user_id"])[1])

    alice = build((after, AfterResourceChanged)).user("alice")
    alice.batch(note(1), note(2))
    assert seen == [2]


def test_without_transaction_manager_all_events_fire(build, heard):
    def include(config):
        config.add_tween("cliquet.events.resource_events_tween_factory")

    sequence = [
        step
        for step in cliquet.DEFAULT_SETTINGS["initialization_sequence"]
        if step != "cliquet.events.setup_transaction_hook"
    ]
    settings = {"initialization_sequence": " ".join(sequence)}
    build(settings=settings, setup=include).user("alice").create("/notes")
    assert kinds(heard) == [ResourceChanged, AfterResourceChanged]


# Subscribers


def test_subscriber_can_delete_related_records(build):
    def cascade(event):
        storage = event.request.registry.storage
        for change in event.impacted_records:
            parent = "/notes/{id}".format(**change["old"])
            storage.delete_all(collection_id="comment", parent_id=parent, with_deleted=False)
            storage.purge_deleted(collection_id="comment", parent_id=parent)

    only = {"for_resources": ("note",), "for_actions": (ACTIONS.DELETE,)}
    api = build((cascade, ResourceChanged, only))
    alice = api.user("alice")
    paths = ["/notes/{id}".format(**alice.create("/notes")) for _ in range(2)]
    for path in paths:
        api.storage.create("comment", path, {"n": 1})
        gone = api.storage.create("comment", path, {"n": 2})
        api.storage.delete("comment", path, gone["id"])
    alice.delete(paths[0])
    assert api.storage.get_all("comment", paths[0], include_deleted=True) == ([], 0)
    records, total = api.storage.get_all("comment", paths[1], include_deleted=True)
    assert (len(records), total) == (2, 1)


def test_subscriber_can_give_principals_in_the_same_transaction(build):
    def join(event):
        for change in event.impacted_records:
            event.request.registry.permission.add_user_principal(
                change["new"]["member"], "group:{resource_name}".format(**event.payload)
            )
            if change["new"].get("forbidden"):
                raise HTTPForbidden()

    api = build((join, ResourceChanged, {"for_actions": (ACTIONS.CREATE,)}))
    alice = api.user("alice")
    alice.create("/notes", {"member": "x"})
    alice.post("/notes", {"member": "y", "forbidden": True}, status=403)
    assert api.permission.user_principals("x") == {"group:note"}
    assert api.permission.user_principals("y") == set()


def test_subscriber_can_notify_further_events(build, heard):
    def follow(event):
        request = event.request
        request.current_resource_name = "trace"
        request.notify_resource_event(timestamp=1, data={"id": "t"}, action=ACTIONS.CREATE)

    alice = build((follow, ResourceChanged, {"for_resources": "note"})).user("alice")
    alice.create("/notes")
    names = [(type(event), event.payload["resource_name"]) for event in heard]
    assert names == [
        (ResourceChanged, "note"),
        (ResourceChanged, "trace"),
        (AfterResourceChanged, "note"),
        (AfterResourceChanged, "trace"),
    ]


def test_subscriber_can_change_other_records_by_resources(build, heard):
    def mirror(event):
        storage = event.request.registry.storage
        for change in event.impacted_records:
            storage.create("mirror", "", {"of": change["new"]["id"]})

    alice = build((mirror, ResourceChanged, {"for_actions": [ACTIONS.CREATE]})).user("alice")
    created = alice.create("/notes")
    assert alice.storage.get_all("mirror", "")[0][0]["of"] == created["id"]


# Predicates.


@pytest.mark.parametrize(
    "predicates, expected",
    [
        ({}, ["note create", "page create", "note delete"]),
        ({"for_actions": (ACTIONS.DELETE,)}, ["note delete"]),
        ({"for_actions": ACTIONS.CREATE}, ["note create", "page create"]),
        ({"for_actions": ("create", "delete")}, ["note create", "page create", "note delete"]),
        ({"for_actions": ()}, []),
        ({"for_resources": ("page",)}, ["page create"]),
        ({"for_resources": "note"}, ["note create", "note delete"]),
        ({"for_resources": {"note", "page"}}, ["note create", "page create", "note delete"]),
        ({"for_resources": ()}, ["note create", "page create", "note delete"]),
        ({"for_resources": ("note",), "for_actions": (ACTIONS.DELETE,)}, ["note delete"]),
        ({"for_resources": ("other",)}, []),
        ({"for_actions": (ACTIONS.READ,)}, []),
    ],
)
def test_predicates_choose_events(build, predicates, expected):
    received = []

    def hear(event):
        received.append("{resource_name} {action}".format(**event.payload))

    alice = build((hear, ResourceChanged, predicates)).user("alice")
    path = "/notes/{id}".format(**alice.create("/notes"))
    alice.create("/pages")
    alice.delete(path)
    assert received == expected


@pytest.mark.parametrize("actions", [("creation",), "creation", (ACTIONS.READ, "CREATE"), (None,)])
def test_subscriber_of_an_unknown_action_is_refused_at_start(build, actions):
    with pytest.raises(ConfigurationError, match="is not a valid ACTIONS"):
        build((print, ResourceChanged, {"for_actions": actions}))


def test_predicates_describe_themselves(engine):
    predicate = initialization.EventActionFilter((ACTIONS.DELETE, ACTIONS.CREATE), None)
    assert predicate.text() == predicate.phash() == "for_actions = ['create', 'delete']"
    predicate = initialization.EventResourceFilter("note", None)
    assert predicate.text() == predicate.phash() == "for_resources = ['note']"


def test_actions_are_read_from_their_names(engine):
    assert ACTIONS.from_string_list(["create", "read"]) == (ACTIONS.CREATE, ACTIONS.READ)
    with pytest.raises(ValueError):
        ACTIONS.from_string_list(["creation"])
