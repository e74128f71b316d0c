"""Guarantees of the backends with concurrent writers, for clients in one process.

Those of several processes are in ``test_guarantees_http.py``. Without the lock of the storage,
histories fail, and so do the scenarios of preconditions, modifications and deletions.
"""

import sys
import threading
from contextlib import contextmanager
from functools import partial

import pytest

from tests.history import PATH, History, Poller
from tests.hostile_client import ENGINES, Client, make_app, new_id
from tests.scenarios import SCENARIOS, TIMEOUT, Team, request, together

ROUNDS = 4
WRITERS = 6
WRITES = 300


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def app(engine, tmp_path):
    return make_app(engine, tmp_path)


@pytest.fixture
def connect(app):
    return lambda user, number: Client(app, user)


@pytest.fixture
def team(connect):
    return Team(connect, WRITERS)


@pytest.fixture(autouse=True)
def threads_alternate_often():
    """Switch threads often, so that race conditions occur."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("play", SCENARIOS.values(), ids=SCENARIOS)
def test_guarantee(team, play):
    for _ in range(ROUNDS):
        play(team)


# 1 and 2. No missed change, distinct timestamps.


def test_history_consists_of_acknowledged_changes(connect):
    history = History(connect, WRITERS, WRITES)
    history.play(TIMEOUT)
    assert not any(history.faults.values()), history.faults


def test_the_first_record_comes_between_a_list_and_its_timestamp(app, monkeypatch):
    """The list may be too old for it, but not the timestamp too young."""
    client = Client(app)
    poller = Poller([client], "_sort=last_modified")
    storage = app.registry.storage
    epoch = getattr(storage, "_epoch", None)

    def late():
        together([partial(Client(app, client.user).create, PATH, {"name": "x"})])
        return epoch()

    if callable(epoch):  # elsewhere one lock, or one statement, reads both
        monkeypatch.setattr(storage, "_epoch", late)
    poller.poll()
    monkeypatch.undo()
    poller.poll()
    assert list(poller.known.values()) == client.send("GET", PATH).data


# 8. Responses are true.


@contextmanager
def failing(app):
    """Within this block, the storage has no room for records named ``bomb``."""
    storage = app.registry.storage
    create = storage.create

    def explode(*args, **kwargs):
        result = create(*args, **kwargs)
        if result.get("name") == "bomb":
            raise ZeroDivisionError
        return result

    storage.create = explode
    yield
    del storage.create


def test_failed_batch_leaves_nothing_and_is_invisible(app, team):
    client = team.client
    known = client.create("/mushrooms", {"name": "known"})
    before = client.send("GET", "/mushrooms")
    items = [
        {"method": "POST", "path": "/mushrooms", "body": {"data": {"name": "new"}}},
        {"method": "PATCH", "path": f"/mushrooms/{known['id']}", "body": {"data": {"name": "z"}}},
        {"method": "PUT", "path": f"/articles/{new_id()}", "body": {"data": {}}},
        {"method": "PUT", "path": f"/mushrooms/{new_id()}", "body": {"data": {"name": "bomb"}}},
    ]
    done = threading.Event()
    seen = []

    def fail():
        try:
            for _ in range(ROUNDS):
                with pytest.raises(AssertionError, match="500"):
                    Client(app, client.user).send("POST", "/batch", body={"requests": items})
        finally:
            done.set()

    def read():
        while not done.is_set():
            response = Client(app, client.user).send("GET", "/mushrooms")
            seen.append((response.data, response.headers["ETag"]))

    with failing(app):
        together([fail, read, read])
    after = client.send("GET", "/mushrooms")
    seen.append((after.data, after.headers["ETag"]))
    assert all(state == ([known], before.headers["ETag"]) for state in seen)
    assert client.send("GET", "/articles").status == 403


def test_effects_of_a_refused_request_in_a_batch_are_undone(app, team):
    """Beside it, what was accepted is there, and other users' writes are as well."""
    other = Client(app)
    conflict = {"method": "PUT", "path": f"/bookmarks/{new_id()}", "body": {"data": {"code": 1}}}
    team.client.create("/bookmarks", {"code": 1})

    def batch(n):
        item = {"method": "POST", "path": "/bookmarks", "body": {"data": {"code": n + 2}}}
        return request("POST", "/batch", body={"requests": [item, conflict, item]})

    calls = [partial(other.create, "/bookmarks", {"code": n}) for n in range(WRITERS)]
    user = team.client.user
    for n in range(WRITERS):
        args, kwargs = batch(n)
        calls.append(partial(Client(app, user).send, *args, **kwargs))
    responses = together(calls)[WRITERS:]
    for response in responses:
        assert [item["status"] for item in response.json["responses"]] == [201, 409, 200]
    assert len(team.client.send("GET", "/bookmarks").data) == WRITERS + 1
    assert len(other.send("GET", "/bookmarks").data) == WRITERS
