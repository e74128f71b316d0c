"""Databases that end, come back, or don't respond, as clients of the service see it.

Everything is real: processes that serve HTTP, their database, and how it ends.
"""

import asyncio
import signal
import statistics
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import quote

import psycopg2
import pytest

from cliquet.heartbeats import Heartbeats
from tests import postgresql_server, redis_server
from tests.hostile_client import new_id
from tests.http_servers import HTTPClient, http_servers
from tests.live import conftest as live
from tests.processes import becomes_true
from tests.resource import apps
from tests.resource.apps import Note, Page
from tests.scenarios import together

JOIN_TIMEOUT = 30

#: Limits of waiting for a database that hangs, and for heartbeats, in seconds.
TIMEOUT = 1
HEARTBEAT_TIMEOUT = 0.5

#: Maximum duration in seconds of a request that needs a hanging database, on a busy machine.
#: Without timeouts, it would wait forever.
BOUND = 20.0

SETTINGS = {
    "cliquet.retry_after_seconds": 7,
    "cliquet.heartbeat_timeout_seconds": HEARTBEAT_TIMEOUT,
}
PAUSE = 0.02

KINDS = ("storage", "permission", "cache")
NEEDS_NONE = ("/", "/__lbheartbeat__")


class PostgreSQL:
    """Outages of a PostgreSQL server."""

    engine = "postgresql"

    def __init__(self, server):
        self._server = server
        self.url = f"{server.url}?options={quote(f'-c lock_timeout={TIMEOUT}s')}"

    def kill(self):
        self._server.stop(signal.SIGQUIT)

    def stop(self):
        self._server.stop()

    def start(self):
        self._server.start()

    @contextmanager
    def hanging(self):
        """Within this block whoever needs a table waits."""
        with closing(psycopg2.connect(self._server.url)) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                tables = ", ".join(name for (name,) in cursor.fetchall())
                cursor.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
            yield


class Redis:
    """Outages of a Redis server, which keeps acknowledged changes."""

    engine = "redis"

    def __init__(self, server):
        self._server = server
        self.url = f"{server.url()}?socket_timeout={TIMEOUT}"
        self.kill = self.stop = server.stop
        self.start = server.start

    @contextmanager
    def hanging(self):
        """Block all responses within this block."""
        self._server.pause()
        try:
            yield
        finally:
            self._server.resume()


@pytest.fixture(scope="module", params=["postgresql", "redis"])
def database(request):
    if request.param == "postgresql":
        with postgresql_server.private_server() as server:
            yield PostgreSQL(server)
    else:
        with closing(redis_server.Server(appendonly="yes", appendfsync="always")) as server:
            yield Redis(server)


@pytest.fixture(scope="module")
def service(database):
    """Servers of the application, with more threads than the tests have clients of each."""
    with http_servers(database.engine, database.url, **SETTINGS) as running:
        yield running


class Client(HTTPClient):
    """A client whose responses are successes or have ``Retry-After``."""

    def _check(self, response, method, has_origin):
        if response.status != 503:
            assert response.status in (200, 201), response
            return
        assert response.headers["Retry-After"] == "7", response
        assert response.headers["Content-Type"].startswith("application/json"), response
        if method != "HEAD" and set(response.json) != set(KINDS):
            assert (response.json["code"], response.json["errno"]) == (503, 201), response

    def succeeds(self, method, path, body=None):
        return self.send(method, path, body=body).status != 503


@contextmanager
def connected(running, number):
    """Give as many clients, of one server and the next in turn."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(closing(Client(running[n % len(running)]))) for n in range(number)
        ]


@pytest.fixture
def clients(service):
    """A function of a number, which returns as many clients."""
    with ExitStack() as opened:
        yield lambda number: opened.enter_context(connected(service, number))


@contextmanager
def meanwhile(*functions):
    """Within this block, each function runs in a thread, which has ended after it."""
    failures = []

    def run(function):
        try:
            function()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(JOIN_TIMEOUT)
    assert not any(thread.is_alive() for thread in threads)
    for failure in failures:
        raise failure


class Writer:
    """A client that writes and reads all the time, and knows what the service has acknowledged."""

    def __init__(self, client):
        self.client = client
        self.stopped = threading.Event()
        self.refused = 0
        self.successes = []
        self.last = new_id()
        self.acknowledged = {self.last: 0}
        self.tried = 0

    def __call__(self):
        while not self.stopped.is_set():
            if self.write() and self.client.succeeds("GET", f"/mushrooms/{self.last}"):
                self.successes.append(time.monotonic())
            else:
                self.refused += 1
                time.sleep(PAUSE)

    def write(self):
        """Change a record, not always the same; return whether the change was acknowledged."""
        self.tried += 1
        if self.tried % 5 == 0:
            self.last = new_id()
        body = {"data": {"name": "x", "size": self.tried}}
        if not self.client.succeeds("PUT", f"/mushrooms/{self.last}", body):
            return False
        self.acknowledged[self.last] = self.tried
        return True

    def lost(self):
        """Return what was acknowledged, and is there no more."""
        stored = {
            record["id"]: record["size"] for record in self.client.send("GET", "/mushrooms").data
        }
        return {key: size for key, size in self.acknowledged.items() if size > stored.get(key, 0)}


@contextmanager
def stopped_after(writers):
    """Stop the writers after this block."""
    try:
        yield
    finally:
        for writer in writers:
            writer.stopped.set()


def wait_until_all(writers, condition):
    assert becomes_true(lambda: all(map(condition, writers)), JOIN_TIMEOUT)


def test_service_killed_under_load_loses_nothing_and_continues(database, clients):
    writers = [Writer(client) for client in clients(8)]
    with meanwhile(*writers), stopped_after(writers):
        wait_until_all(writers, lambda writer: writer.successes)
        database.kill()
        wait_until_all(writers, lambda writer: writer.refused)
        starting = time.monotonic()
        database.start()
        wait_until_all(writers, lambda writer: writer.successes[-1] > starting)
    assert [writer.lost() for writer in writers] == [{}] * len(writers)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_restarted_while_idle_no_request_fails(database, clients, how):
    users = clients(12)
    body = {"data": {"name": "x"}}

    def use(client):
        for _ in range(3):
            assert client.succeeds("POST", "/mushrooms", body)
            assert client.succeeds("GET", "/mushrooms")

    together([lambda client=client: use(client) for client in users])
    getattr(database, how)()
    database.start()
    together([lambda client=client: use(client) for client in users])
    assert users[0].succeeds("GET", "/__heartbeat__")


@contextmanager
def prompt_elsewhere(client):
    """Check that, throughout this block, requests without database don't wait for it."""
    over = threading.Event()
    seconds = []

    def ask():
        while not over.is_set():
            for path in NEEDS_NONE:
                before = time.monotonic()
                assert client.succeeds("GET", path)
                seconds.append(time.monotonic() - before)
            time.sleep(PAUSE)

    with meanwhile(ask):
        try:
            yield
        finally:
            over.set()
    # On a busy machine, a few of them may be late.
    assert statistics.quantiles(seconds, n=20)[-1] < TIMEOUT


NEEDS_ONE = {
    "list": ("GET", "/mushrooms"),
    "head": ("HEAD", "/mushrooms"),
    "read": ("GET", f"/mushrooms/{new_id()}"),
    "create": ("POST", "/mushrooms", {"data": {"name": "x"}}),
    "replace": ("PUT", f"/mushrooms/{new_id()}", {"data": {"name": "x"}}),
    "change": ("PATCH", f"/mushrooms/{new_id()}", {"data": {"name": "x"}}),
    "delete": ("DELETE", "/mushrooms"),
    "share": ("POST", "/articles", {"data": {}, "permissions": {"read": ["system.Everyone"]}}),
    "batch": (
        "POST",
        "/batch",
        {"requests": [{"method": "POST", "path": "/spores", "body": {"data": {}}}] * 2},
    ),
}


def heartbeat(client):
    """Ask for the heartbeat, once the result of the last one is not used any more."""
    time.sleep(Heartbeats.cache_seconds)
    return client.send("GET", "/__heartbeat__")


def is_down(client):
    """Check that each backend is reported as down, in time."""
    before = time.monotonic()
    response = heartbeat(client)
    assert time.monotonic() - before < BOUND + Heartbeats.cache_seconds
    assert response.status == 503
    assert response.json == dict.fromkeys(KINDS, False)


def test_requests_that_need_a_stopped_server_are_503_and_others_succeed(database, clients):
    client, watcher = clients(2)
    database.stop()
    try:
        with prompt_elsewhere(watcher):
            assert not any(client.succeeds(*request) for request in NEEDS_ONE.values())
            is_down(client)
    finally:
        database.start()
    assert heartbeat(client).status == 200


def is_refused(client, request):
    before = time.monotonic()
    assert not client.succeeds(*request)
    assert time.monotonic() - before < BOUND


def test_requests_that_need_a_hanging_server_are_503_in_time_and_others_succeed(database, clients):
    *users, watcher, balancer = clients(len(NEEDS_ONE) + 2)
    with database.hanging(), prompt_elsewhere(watcher):
        is_down(balancer)
        together(
            [
                lambda user=user, request=request: is_refused(user, request)
                for user, request in zip(users, NEEDS_ONE.values(), strict=True)
            ]
        )
        is_down(balancer)
    assert all(user.succeeds("POST", "/mushrooms", {"data": {"name": "x"}}) for user in users)
    assert heartbeat(balancer).status == 200


def test_streams_continue_without_a_gap_after_a_killed_database(database):
    asyncio.run(follow_during_an_outage(database))


def live_service(database, permissions_seconds):
    settings = {**live.SETTINGS, "retry_after_seconds": 7}
    settings["live_permissions_seconds"] = permissions_seconds
    for kind in KINDS:
        settings[f"{kind}_backend"] = f"cliquet.{kind}.{database.engine}"
        settings[f"{kind}_url"] = database.url
    return live.Service(apps.build(Note, Page, settings=settings))


async def follow_during_an_outage(database):
    # One service doesn't poll during the outage, as there is no change, and the other one does.
    waiting, polling = (live_service(database, seconds) for seconds in (3600, 0.05))
    alice, bob = map(waiting.client.user, ("alice", "bob"))
    alice.create("/pages", {"n": 1}, permissions={"read": [bob.id]})
    async with waiting.streaming("/notes") as notes, polling.streaming("/pages", "bob") as pages:
        await notes.event()
        last = await pages.event()
        await asyncio.to_thread(database.kill)
        error = await pages.event()
        assert (error["event"], error.json["code"]) == ("error", 503)
        assert 7000 <= int(error["retry"]) <= 10500
        assert await pages.event() is None
        database.start()  # not in a thread: the kernel would kill it when the thread ends
        note = await asyncio.to_thread(alice.create, "/notes", {"n": 1})
        assert (await notes.event()).records == [note]
    page = alice.create("/pages", {"n": 2}, permissions={"read": [bob.id]})
    last_id = {"last-event-id": last["id"]}
    async with polling.streaming("/pages", "bob", last_id) as pages:
        assert (await pages.event()).records == [page]


FEW_PLACES = {
    "cliquet.storage_pool_size": 3,
    "cliquet.storage_max_overflow": 0,
    "cliquet.storage_max_backlog": 1,
}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_other_requests_succeed_with_fewer_connections_than_threads(database):
    with (
        http_servers(database.engine, database.url, 1, **SETTINGS, **FEW_PLACES) as running,
        connected(running, 24) as (*users, watcher),
    ):
        with database.hanging(), prompt_elsewhere(watcher):
            together([lambda user=user: is_refused(user, NEEDS_ONE["list"]) for user in users])
        assert watcher.succeeds("GET", "/mushrooms")
