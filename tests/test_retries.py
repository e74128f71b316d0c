"""Requests that conflict in the database are retried, without effects that clients can see."""

import logging
from collections import Counter
from functools import partial
from threading import Barrier, BrokenBarrierError, Lock

import pytest
import transaction
from pyramid.exceptions import ConfigurationError
from pyramid.security import NO_PERMISSION_REQUIRED
from transaction.interfaces import TransientError

import cliquet
from cliquet import transactions
from cliquet.events import AfterResourceChanged, ResourceChanged
from cliquet.storage.exceptions import BackendError, RecordNotFoundError
from tests import postgresql_server, redis_server
from tests.resource import apps
from tests.resource.apps import Book, Card, Note
from tests.scenarios import together

URLS = {
    "postgresql": postgresql_server.shared_url,
    "redis": lambda: redis_server.database_url(3),
}
ORDERS = ("book", "card", "note")


@pytest.fixture(params=URLS)
def engine(request):
    return request.param


class Meeting:
    """A barrier at which requests meet, so that each holds a lock that another one needs.

    Requests wait in their first attempt, ``times`` times.
    """

    def __init__(self, parties=2, timeout=1, times=1):
        self._barrier = Barrier(parties)
        self._timeout = timeout
        self._left = parties * times
        self._mutex = Lock()

    def join(self, request):
        with self._mutex:
            self._left -= 1
            if self._left < 0:
                return
        try:
            self._barrier.wait(self._timeout)
        except BrokenBarrierError:
            pass  # one of them has to wait for the other before


def count(request):
    """Read counters in the order in the URL, then add one to each of them."""
    registry = request.registry
    registry.attempts[request.environ["retry.attempt"]] += 1
    counters = {}
    for name in request.matchdict["names"].split("-"):
        try:
            stored = registry.storage.get_for_update(name, "everybody", "counter")
        except RecordNotFoundError:
            stored = {"n": 0}
        counters[name] = stored["n"] + 1
        if len(counters) == 1:
            registry.meeting.join(request)
    for name, n in counters.items():
        registry.storage.update(name, "everybody", "counter", {"n": n})
    return counters


def counting(config):
    config.registry.attempts = Counter()
    config.registry.meeting = Meeting()
    service = cliquet.Service(name="counters", path="/counters/{names}")
    service.add_view("POST", count, permission=NO_PERMISSION_REQUIRED)
    config.add_cornice_service(service)


@pytest.fixture
def build(engine):
    built = []

    def build(setup=counting, **settings):
        for kind in ("storage", "permission", "cache"):
            settings[f"{kind}_backend"] = f"cliquet.{kind}.{engine}"
            settings[f"{kind}_url"] = URLS[engine]()
        built.append(apps.build(Book, Card, Note, settings=settings, setup=setup))
        return built[-1]

    yield build
    for kind in ("storage", "permission", "cache"):
        getattr(built[-1].registry, kind).flush()


def post_at_once(client, *paths):
    """Post to each of the paths at once; return the sorted statuses."""
    calls = [partial(apps.Client(client.app).send, "POST", path, {}, status="*") for path in paths]
    return sorted(response.status_code for response in together(calls))


def test_requests_that_wait_for_one_another_both_succeed(build, caplog):
    caplog.set_level(logging.INFO, "cliquet")
    client = build()
    assert post_at_once(client, "/counters/book-card", "/counters/card-book") == [200, 200]
    assert client.registry.attempts == {0: 2, 1: 1}
    for name in ("book", "card"):
        assert client.storage.get(name, "everybody", "counter")["n"] == 2
    # The failed attempt is logged, but neither as a failure nor as a request.
    assert sum("request.summary" in message for message in caplog.messages) == 2
    (line,) = [message for message in caplog.messages if "Retrying the request" in message]
    assert line.startswith('"POST  /v1/counters/')
    assert {record.levelno for record in caplog.records} == {logging.INFO}


def test_many_that_lock_in_all_orders_succeed_in_a_few_attempts(build):
    client = build(**{"retry.attempts": "4"})
    client.registry.meeting = Meeting(parties=1, times=0)
    orders = ("book-card-note", "note-card-book", "card-note-book", "book-note-card")
    for _ in range(5):
        assert post_at_once(client, *(f"/counters/{order}" for order in orders * 2)) == [200] * 8
    for name in ORDERS:
        assert client.storage.get(name, "everybody", "counter")["n"] == 40


def test_locks_taken_in_order_are_waited_for(build):
    client = build()
    client.registry.meeting = Meeting(parties=1, times=0)
    assert post_at_once(client, *["/counters/book-card"] * 6) == [200] * 6
    assert client.registry.attempts == {0: 6}


def test_the_number_of_attempts_is_bounded(build, engine):
    """The last one waits like the others did before, until the database finds the deadlock."""
    client = build(**{"retry.attempts": "1"})
    assert post_at_once(client, "/counters/book-card", "/counters/card-book") == [200, 503]
    assert client.registry.attempts == {0: 2}
    assert client.storage.get("book", "everybody", "counter")["n"] == 1


@pytest.mark.parametrize("attempts", ["0", "-1", "many"])
def test_invalid_number_of_attempts_is_reported(build, attempts):
    build()
    with pytest.raises(ConfigurationError, match="retry.attempts.*expected an integer, 1 or more"):
        build(**{"retry.attempts": attempts})


def mirroring(config):
    """Create a card for each note and a note for each card; record the events after commits."""
    registry = config.registry
    registry.meeting, registry.heard = Meeting(), []

    def mirror(event):
        storage, (impact,) = event.request.registry.storage, event.impacted_records
        registry.meeting.join(event.request)
        other = {"note": "card", "card": "note"}[event.payload["resource_name"]]
        storage.update(other, event.payload["user_id"], impact["new"]["id"], {"mirrored": True})

    def hear(event):
        registry.heard.append(event.payload["uri"])

    config.add_subscriber(mirror, ResourceChanged)
    config.add_subscriber(hear, AfterResourceChanged)


def test_events_of_a_failed_attempt_are_not_sent(build):
    client = build(mirroring).user("alice")
    ids = ["e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f1a", "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f1b"]
    paths = [f"/cards/{ids[0]}", f"/notes/{ids[1]}"]
    bodies = {"data": {"n": 1}}
    calls = [
        partial(apps.Client(client.app).user("alice").send, "PUT", path, bodies) for path in paths
    ]
    assert [response.status_code for response in together(calls)] == [201, 201]
    assert sorted(client.registry.heard) == paths
    for resource in ("note", "card"):
        assert client.storage.get_all(resource, client.id)[1] == 2


def test_a_batch_runs_again_as_a_whole(build):
    """As a batch reads nothing that matters for what comes later, Redis need not repeat it."""
    client = build(counting)
    put = {"body": {"data": {}}, "method": "PUT"}
    paths = [f"/{kind}s/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f1a" for kind in ("card", "note")]

    def batch(*ordered):
        user = apps.Client(client.app).user("alice")
        return [user.batch(*({**put, "path": path} for path in ordered)) for _ in range(5)]

    results = together([partial(batch, *paths), partial(batch, *reversed(paths))] * 3)
    statuses = Counter(item["status"] for batches in results for batch in batches for item in batch)
    assert statuses == {201: 2, 200: 58}


def write(request):
    request.registry.storage.create("note", "everybody", {})


def fail_once(request, write=write, fail=lambda: BackendError(message="deadlock")):
    """Write, then fail as the database does with a deadlock."""
    write(request)
    if request.environ["retry.attempt"] == 0:
        raise transactions.retryable(fail())
    return {}


def failing(config, **how):
    service = cliquet.Service(name="failing", path="/failing")
    view = partial(fail_once, **how)
    service.add_view("POST", view, permission=NO_PERMISSION_REQUIRED)
    config.add_cornice_service(service)


def test_requests_with_lasting_effects_are_not_retried(build, engine):
    status = 503 if engine == "redis" else 200
    client = build(failing)
    client.post("/failing", status=status)
    assert client.storage.get_all("note", "everybody")[1] == 1


def test_requests_are_not_retried_without_transactions(build):
    client = build(failing, transaction_per_request="false")
    client.post("/failing", status=503)
    assert client.storage.get_all("note", "everybody")[1] == 1


def test_nor_does_it_when_the_application_says_that_it_may(build, engine):
    """Errors of this class are run again without being marked."""
    status = 500 if engine == "redis" else 200
    client = build(partial(failing, fail=TransientError))
    client.post("/failing", status=status)
    assert client.storage.get_all("note", "everybody")[1] == 1


def grant(request):
    request.registry.permission.add_principal_to_ace("/notes/1", "read", "alice")


def test_requests_with_lasting_permissions_are_not_retried(build, engine):
    build(partial(failing, write=grant)).post("/failing", status=503 if engine == "redis" else 200)


def write_and_commit(request):
    write(request)
    transaction.commit()


def commit(request):
    """Save what the application has written to a database of its own."""
    transaction.commit()


@pytest.mark.parametrize("how", [write_and_commit, commit])
@pytest.mark.parametrize("fail, status", [(BackendError, 503), (TransientError, 500)])
def test_requests_committed_by_the_application_are_not_retried(build, how, fail, status):
    client = build(partial(failing, write=how, fail=fail))
    client.post("/failing", status=status)
    assert client.storage.get_all("note", "everybody")[1] == (how is write_and_commit)


def send(request, method="PUT", use_tweens=True):
    """Send another request, which with tweens has a transaction of its own."""
    path = "/notes/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f1a" if method == "PUT" else "/notes"
    asked = {"method": method, "path": path, "body": {"data": {}}}
    subrequest = cliquet.utils.build_request(request, asked)
    request.invoke_subrequest(subrequest, use_tweens=use_tweens)


@pytest.mark.parametrize("use_tweens", [True, False])
def test_requests_with_a_saved_sub_request_are_not_retried(build, engine, use_tweens):
    status = 503 if use_tweens or engine == "redis" else 200
    client = build(partial(failing, write=partial(send, use_tweens=use_tweens))).user("alice")
    client.post("/failing", status=status)


def test_requests_with_a_reading_sub_request_are_retried(build):
    client = build(partial(failing, write=partial(send, method="GET"))).user("alice")
    client.post("/failing", status=200)


def test_batch_retried_because_of_one_request_is_not_logged_as_failure(build, caplog):
    def fail_in_the_first_attempt(request):
        if request.parent.environ["retry.attempt"] == 0:
            raise transactions.retryable(BackendError(message="deadlock"))
        return {}

    def setup(config):
        service = cliquet.Service(name="part", path="/part")
        service.add_view("POST", fail_in_the_first_attempt, permission=NO_PERMISSION_REQUIRED)
        config.add_cornice_service(service)

    (response,) = build(setup).batch({"method": "POST", "path": "/part"})
    assert response["status"] == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_retried_error_of_the_application_is_not_logged_as_failure(build, caplog):
    client = build(partial(failing, write=lambda request: None, fail=lambda: KeyError("busy")))
    client.post("/failing", status=200)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("engine", apps.ENGINES)
def test_other_engines_do_not_repeat_saved_changes(engine, tmp_path):
    settings = {**apps.backends(engine, tmp_path), "transaction_per_request": "false"}
    client = apps.build(Note, settings=settings, setup=failing)
    client.post("/failing", status=503)
    assert client.storage.get_all("note", "everybody")[1] == 1
