"""The service behind the servers of production: several processes, and stops that lose nothing."""

import signal
import threading
import uuid
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cliquet.client import Client, TransportError
from tests import hostile_client, postgresql_server, redis_server
from tests.processes import becomes_true
from tests.wsgi_servers import PROCESSES, THREADS, wsgi_server

TIMEOUT = 60
#: As many as one process serves at a time.
CLIENTS = THREADS
ROUNDS = 50

ENGINES = {
    "sqlite": lambda folder: f"sqlite:///{folder}/served.sqlite",
    "postgresql": lambda folder: postgresql_server.shared_url(),
    "redis": lambda folder: redis_server.database_url(4),
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def url(engine, tmp_path):
    return ENGINES[engine](tmp_path)


@pytest.fixture
def user():
    """Return a user that no other test uses."""
    return f"user-{uuid.uuid4()}"


def connect(server, user):
    """A client that tries once."""
    return Client(f"{server.url}/v1", auth=(user, "secret"), attempt_timeout=TIMEOUT, retries=0)


def create(client, data, **headers):
    """Create a record on a connection of its own, for all workers to have some; return it."""
    headers = {"Connection": "close", **headers}
    response = client.request("POST", "/spores", {"data": data}, headers)
    assert response.status == 201
    return response.data


def ids(server, user):
    """The ids of the records that are there."""
    with connect(server, user) as client:
        return {record["id"] for record in client.resource("/spores").list()}


def kept_ids(engine, url, user):
    """The ids of the records that a new application finds in the database."""
    app = hostile_client.make_app_on(engine, url)
    return {record["id"] for record in hostile_client.Client(app, user).walk("/spores", "")}


@contextmanager
def clients(function):
    """Call a function in threads; give the list that has its results once the block is left."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    yield results
    for thread in threads:
        thread.join(TIMEOUT)
    assert len(results) == CLIENTS, "a client has failed"


def sockets(pid):
    """The inodes of the sockets that a process has."""
    targets = (link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir())
    return {name for name in targets if name.startswith("socket:")}


def connections(pid, port):
    """The sockets of a process that are connected to a port."""
    peers = {}
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        peers[f"socket:[{fields[9]}]"] = int(fields[2].partition(":")[2], 16)
    return {name for name in sockets(pid) if peers.get(name) == port}


def work(server, user):
    """Create records and read them, one after the other; return their ids."""
    created = set()
    with connect(server, user) as client:
        for number in range(ROUNDS):
            record = create(client, {"number": number})
            assert client.resource("/spores").get(record["id"]).data == record
            created.add(record["id"])
    return created


def test_workers_of_gunicorn_share_the_database_and_no_connection(engine, url, user):
    with wsgi_server("gunicorn", engine, url) as server:
        server.wait_until(lambda: len(server.pids()) == PROCESSES)
        with clients(lambda: work(server, user)) as created:
            pass
        assert ids(server, user) == set().union(*created)
        assert len(ids(server, user)) == CLIENTS * ROUNDS
        assert "ERROR" not in server.output()
        if engine == "sqlite":
            return
        port = urlsplit(url).port
        # Those with which the schema was made, before the fork, are used by neither.
        inherited = connections(server.process.pid, port)
        one, other = (connections(pid, port) - inherited for pid in server.pids())
        assert one and other, "both of them have served"
        assert one.isdisjoint(other)


@pytest.mark.parametrize(
    ("name", "how", "engine"),
    [*(("gunicorn", "SIGTERM", engine) for engine in ENGINES), ("waitress", "SIGINT", "sqlite")],
)
def test_stop_completes_requests_in_progress(engine, url, user, name, how):
    def post():
        with connect(server, user) as client:
            return create(client, {}, **{"X-Seconds": "1"})

    with wsgi_server(name, engine, url) as server:
        with clients(post) as created:
            server.wait_until(lambda: server.begun() == CLIENTS)
            server.process.send_signal(getattr(signal, how))
        assert server.process.wait(TIMEOUT) == 0
    assert kept_ids(engine, url, user) == {record["id"] for record in created}


def test_stop_under_load_loses_no_acknowledged_change(engine, url, user):
    def insist():
        """Create records until the server has gone; return the ids of the acknowledged ones."""
        acknowledged = set()
        while True:
            try:
                with connect(server, user) as client:
                    acknowledged.add(create(client, {})["id"])
            except TransportError:
                return acknowledged
            begun.set()

    begun = threading.Event()
    with wsgi_server("gunicorn", engine, url) as server:
        with clients(insist) as acknowledged:
            assert begun.wait(TIMEOUT)
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(TIMEOUT) == 0
        assert "Traceback" not in server.output()
    assert set().union(*acknowledged) <= kept_ids(engine, url, user)


@pytest.mark.parametrize("name", ["gunicorn", "waitress"])
def test_urls_have_the_host_of_the_proxy_headers(tmp_path, user, name):
    forwarded = {"Host": "api.example.com", "X-Forwarded-Proto": "https"}
    with (
        wsgi_server(name, "sqlite", ENGINES["sqlite"](tmp_path)) as server,
        connect(server, user) as client,
    ):
        hello = client.request("GET", "/", headers=forwarded)
        assert hello.body["url"] == "https://api.example.com/v1/"


def is_running(pid):
    """Return whether a process runs; a zombie doesn't."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.parametrize("name", ["gunicorn", "granian"])
def test_no_worker_outlives_a_closed_server(tmp_path, name):
    with wsgi_server(name, "sqlite", ENGINES["sqlite"](tmp_path)) as server:
        workers = server.pids()
    assert workers
    assert becomes_true(lambda: not any(map(is_running, workers)), TIMEOUT)
