"""Batches whose requests all succeed or are all undone (``"atomic": true``)."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from pyramid import httpexceptions
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet.events import AfterResourceChanged, ResourceChanged
from tests.resource.apps import SERVED, Book, Note, Page

URL = SERVED["redis"]()
TRANSACTIONAL = ("memory", "sqlite", "postgresql")
NOTE = {"method": "POST", "path": "/notes", "body": {"data": {"n": 1}}}
PERMISSIONS = {"read": ["system.Everyone"]}
PAGE = {"method": "POST", "path": "/pages", "body": {"data": {}, "permissions": PERMISSIONS}}
UNKNOWN = "/notes/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"
FAILURES = {
    400: {"method": "GET", "path": "/notes?_limit=many"},
    404: {"method": "GET", "path": UNKNOWN},
    405: {"method": "POST", "path": UNKNOWN},
    500: {"method": "GET", "path": "/failing"},
    503: {"method": "GET", "path": "/failing?raised"},
}
BOOK = {"method": "POST", "path": "/books", "body": {"data": {"title": "Ulysses"}}}


def fail(request):
    if "bug" in request.GET:
        raise ValueError("bug")
    if "raised" in request.GET:
        raise httpexceptions.HTTPServiceUnavailable()
    return httpexceptions.HTTPInternalServerError()


@pytest.fixture
def changes():
    return []


@pytest.fixture
def alice(build, changes):
    def setup(config):
        config.add_subscriber(changes.append, ResourceChanged)
        config.add_subscriber(changes.append, AfterResourceChanged)
        failing = cliquet.Service(name="failing", path="/failing")
        failing.add_view("GET", fail, permission=NO_PERMISSION_REQUIRED)
        config.add_cornice_service(failing)

    return build(Book, Note, Page, setup=setup).user("alice")


def statuses(responses):
    return [response["status"] for response in responses]


@pytest.mark.parametrize("engine", TRANSACTIONAL)
def test_atomic_batch_without_a_failure_keeps_every_change(alice, changes):
    assert statuses(alice.batch(NOTE, PAGE, NOTE, atomic=True)) == [201] * 3
    assert alice.values("/notes") == [1, 1]
    assert len(alice.list("/pages")) == 1
    assert sorted(len(event.impacted_records) for event in changes) == [1, 1, 2, 2]


@pytest.mark.parametrize("engine", TRANSACTIONAL)
@pytest.mark.parametrize("status", FAILURES)
def test_failed_request_undoes_the_whole_atomic_batch(alice, changes, status):
    note = alice.create("/notes", {"n": 2})
    before = alice.get("/notes")
    changes.clear()
    path = f"/notes/{note['id']}"
    change = {"method": "PATCH", "path": path, "body": {"data": {"n": 3}}}
    requests = [NOTE, PAGE, change, {"method": "DELETE", "path": path}, FAILURES[status], NOTE]
    responses = alice.batch(*requests, atomic=True)
    assert statuses(responses) == [424, 424, 424, 424, status, 424]
    assert responses[0]["body"] == {
        "code": 424,
        "errno": 125,
        "error": "Failed Dependency",
        "message": "Another request of the batch failed.",
    }
    assert [response["path"] for response in responses] == [
        "/v1/notes",
        "/v1/pages",
        f"/v1{path}",
        f"/v1{path}",
        f"/v1{FAILURES[status]['path'].partition('?')[0]}",
        "/v1/notes",
    ]
    assert changes == []
    alice.get("/pages", status=403)  # no page is shared
    after = alice.get("/notes")
    assert (after.headers["ETag"], after.json) == (before.headers["ETag"], before.json)
    # The batch that was undone leaves no lock.
    assert statuses(alice.batch(NOTE, atomic=True)) == [201]


@pytest.mark.parametrize("engine", TRANSACTIONAL)
def test_unexpected_failure_undoes_the_whole_atomic_batch(alice, changes):
    bug = {"method": "GET", "path": "/failing?bug"}
    assert alice.batch(NOTE, bug, atomic=True, status=500).json["code"] == 500
    assert alice.list("/notes") == []
    assert changes == []


@pytest.mark.parametrize("engine", TRANSACTIONAL)
def test_atomic_batches_that_conflict_with_others_are_kept_or_undone_as_a_whole(alice):
    def send(number):
        pair = [NOTE, BOOK] if number % 2 else [BOOK, NOTE]
        if number % 3:
            assert statuses(alice.batch(*pair, atomic=True)) == [201, 201]
        else:
            assert statuses(alice.batch(*pair, FAILURES[404], atomic=True)) == [424, 424, 404]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(12)))
    assert len(alice.list("/notes")) == len(alice.list("/books")) == 8


@pytest.mark.parametrize("engine", ["memory"])
def test_atomic_batch_undoes_changes_in_different_databases(build, tmp_path):
    settings = {
        "permission_backend": "cliquet.permission.sqlite",
        "permission_url": f"sqlite:///{tmp_path}/permissions.sqlite",
    }
    alice = build(Page, settings=settings).user("alice")
    assert statuses(alice.batch(PAGE, FAILURES[400], atomic=True)) == [424, 404]
    alice.get("/pages", status=403)  # no page is shared


@pytest.mark.parametrize("engine", TRANSACTIONAL)
def test_other_clients_never_see_a_part_of_an_atomic_batch(build):
    def setup(config):
        reading = cliquet.Service(name="reading", path="/reading")
        reading.add_view("GET", read, permission=NO_PERMISSION_REQUIRED)
        config.add_cornice_service(reading)

    def read(request):
        reads.append(pool.submit(state))
        wait(reads, timeout=0.05)  # in memory, reads wait for the end of the batch
        return {}

    def state():
        response = alice.get("/notes?_checksum=")
        return response.json, response.headers["ETag"], response.headers["Checksum"]

    reads = []
    alice = build(Note, setup=setup).user("alice")
    note = alice.create("/notes", {"n": 2})
    delete = {"method": "DELETE", "path": f"/notes/{note['id']}"}
    states = [state()]
    with ThreadPoolExecutor() as pool:
        for failures in ([FAILURES[404]], []):
            alice.batch(NOTE, delete, {"path": "/reading"}, NOTE, *failures, atomic=True)
            assert reads[-1].result() in (states[-1], state())
            states.append(state())
    assert states[0] == states[1] != states[2]


@pytest.mark.parametrize("engine", ["memory"])
def test_only_responses_to_atomic_batches_contain_the_member(alice):
    for atomic in (True, False):
        body = {"requests": [], "atomic": atomic}
        expected = {"responses": [], **({"atomic": True} if atomic else {})}
        assert alice.send("POST", "/batch", body).json == expected


@pytest.mark.parametrize("engine", TRANSACTIONAL)
@pytest.mark.parametrize("atomic", [False, None])
def test_other_batches_keep_the_changes_of_requests_that_succeed(alice, atomic):
    assert statuses(alice.batch(NOTE, FAILURES[404], atomic=atomic)) == [201, 404]
    assert alice.values("/notes") == [1]


@pytest.mark.parametrize("engine", TRANSACTIONAL)
def test_limit_of_a_batch_undoes_an_atomic_one(build):
    alice = build(Note, settings={"batch_max_bytes": 1}).user("alice")
    assert statuses(alice.batch(NOTE, NOTE, atomic=True)) == [424, 413]
    assert alice.list("/notes") == []


@pytest.mark.parametrize(
    ("engine", "settings"),
    [
        ("redis", {}),
        ("memory", {"transaction_per_request": False}),
        ("memory", {"permission_backend": "cliquet.permission.redis", "permission_url": URL}),
    ],
)
def test_backends_that_cannot_undo_requests_refuse_atomic_batches(build, settings):
    alice = build(Note, settings=settings).user("alice")
    response = alice.batch(NOTE, atomic=True, status=400)
    (error,) = response.json["details"]
    assert error["name"] == "atomic"
    assert error["description"] == "The backends of this service can't undo requests."
    assert alice.list("/notes") == []


@pytest.mark.parametrize("engine", ["memory"])
def test_atomic_is_a_boolean(alice):
    response = alice.batch(NOTE, atomic="perhaps", status=400)
    (error,) = response.json["details"]
    assert error["name"] == "atomic"
    assert alice.list("/notes") == []
