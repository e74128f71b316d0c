"""Batches whose requests all succeed or are all undone (``"atomic": true``)."""

import pytest

from cliquet.events import ResourceChanged
from tests.resource.apps import SERVED, Note, Page

URL = SERVED["redis"]()
TRANSACTIONAL = ("memory", "sqlite", "postgresql")
NOTE = {"method": "POST", "path": "/notes", "body": {"data": {"n": 1}}}
PAGE = {"method": "POST", "path": "/pages", "body": {"data": {}, "permissions": {"read": ["b"]}}}
UNKNOWN = "/notes/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"
FAILURES = {
    400: {"method": "GET", "path": "/notes?_limit=many"},
    404: {"method": "GET", "path": UNKNOWN},
    405: {"method": "POST", "path": UNKNOWN},
}


@pytest.fixture
def changes():
    return []


@pytest.fixture
def alice(build, changes):
    def setup(config):
        config.add_subscriber(changes.append, ResourceChanged)

    return build(Note, Page, setup=setup).user("alice")


def statuses(responses):
    return [response["status"] for response in responses]


@pytest.mark.parametrize("engine", TRANSACTIONAL)
def test_atomic_batch_without_a_failure_keeps_every_change(alice, changes):
    assert statuses(alice.batch(NOTE, PAGE, NOTE, atomic=True)) == [201] * 3
    assert alice.values("/notes") == [1, 1]
    assert sorted(len(event.impacted_records) for event in changes) == [1, 2]


@pytest.mark.parametrize("engine", TRANSACTIONAL)
@pytest.mark.parametrize("status", FAILURES)
def test_failed_request_undoes_the_whole_atomic_batch(alice, changes, status):
    before = alice.get("/notes").headers["ETag"]
    responses = alice.batch(NOTE, PAGE, FAILURES[status], NOTE, atomic=True)
    assert statuses(responses) == [424, 424, status, 424]
    assert responses[0]["body"] == {
        "code": 424,
        "errno": 125,
        "error": "Failed Dependency",
        "message": "Another request of the batch failed.",
    }
    assert [response["path"] for response in responses] == [
        "/v1/notes",
        "/v1/pages",
        f"/v1{FAILURES[status]['path'].partition('?')[0]}",
        "/v1/notes",
    ]
    assert changes == []
    assert alice.list("/notes") == []
    alice.get("/pages", status=403)  # nothing is shared with her
    assert alice.get("/notes").headers["ETag"] == before
    # The batch that was undone leaves no lock.
    assert statuses(alice.batch(NOTE, atomic=True)) == [201]


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
