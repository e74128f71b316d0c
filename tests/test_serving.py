"""The service behind the servers of production: several processes, and stops that lose nothing."""

import http.client
import json
import signal
import threading
import uuid
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cliquet.testing import get_user_headers
from tests import redis_server, servers
from tests.wsgi_servers import PROCESSES, THREADS, wsgi_server

PATIENCE = 60
#: As many as one process serves at a time.
CLIENTS = THREADS
ROUNDS = 50

ENGINES = {
    "sqlite": lambda folder: f"sqlite:///{folder}/served.sqlite",
    "postgresql": lambda folder: servers.postgresql_url(),
    "redis": lambda folder: redis_server.database_url(0),
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def url(engine, tmp_path):
    return ENGINES[engine](tmp_path)


@pytest.fixture
def headers():
    """Those of a user whom no other test knows."""
    return get_user_headers(f"user-{uuid.uuid4()}") | {"Content-Type": "application/json"}


class Client:
    """A connection to a server, which it keeps as long as the server does."""

    def __init__(self, server, headers):
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self._headers = headers

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._connection.close()

    def send(self, method, path, data=None, **headers):
        """Return the status and the body of the answer."""
        body = None if data is None else json.dumps({"data": data})
        self._connection.request(method, f"/v1{path}", body, {**self._headers, **headers})
        with self._connection.getresponse() as response:
            return response.status, json.loads(response.read())


def ids(server, headers):
    """The ids of the records that are there."""
    with Client(server, headers) as client:
        _, body = client.send("GET", "/spores")
    return {record["id"] for record in body["data"]}


@contextmanager
def clients(function):
    """Call a function in threads; give the list that has its results once the block is left."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    yield results
    for thread in threads:
        thread.join(PATIENCE)
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


def work(server, headers):
    """Create records and read them, one after the other; return how each was answered."""
    answers = Counter()
    with Client(server, headers) as client:
        for number in range(ROUNDS):
            # New connections, for all workers to have some.
            status, created = client.send("POST", "/spores", {"number": number}, Connection="close")
            answers[status] += 1
            status, read = client.send("GET", f"/spores/{created['data']['id']}")
            answers[status] += 1
            assert read == created
    return answers


def test_workers_of_gunicorn_share_the_database_and_no_connection(engine, url, headers):
    with wsgi_server("gunicorn", engine, url) as server:
        server.wait_until(lambda: len(server.pids()) == PROCESSES)
        with clients(lambda: work(server, headers)) as answers:
            pass
        assert sum(answers, Counter()) == {201: CLIENTS * ROUNDS, 200: CLIENTS * ROUNDS}
        assert len(ids(server, headers)) == CLIENTS * ROUNDS
        assert "ERROR" not in server.output()
        if engine == "sqlite":
            return
        port = urlsplit(url).port
        # Those with which the schema was made, before the fork, are used by neither.
        inherited = connections(server.process.pid, port)
        one, other = (connections(pid, port) - inherited for pid in server.pids())
        assert one and other, "both of them have served"
        assert one.isdisjoint(other)


@pytest.mark.parametrize(("name", "how"), [("gunicorn", "SIGTERM"), ("waitress", "SIGINT")])
def test_stop_lets_requests_that_have_begun_be_answered(engine, url, headers, name, how):
    def post():
        with Client(server, headers) as client:
            return client.send("POST", "/spores", {}, **{"X-Seconds": "1", "Connection": "close"})

    with wsgi_server(name, engine, url) as server:
        with clients(post) as answers:
            server.wait_until(lambda: server.begun() == CLIENTS)
            server.process.send_signal(getattr(signal, how))
        assert [status for status, _ in answers] == [201] * CLIENTS
        assert server.process.wait(PATIENCE) == 0
    with wsgi_server(name, engine, url) as server:
        assert ids(server, headers) == {body["data"]["id"] for _, body in answers}


def test_stop_under_load_loses_nothing_that_was_answered(engine, url, headers):
    def insist():
        """Create records until the server has gone; return the ids of those that it answered."""
        acknowledged = set()
        while True:
            try:
                with Client(server, headers) as client:
                    status, body = client.send("POST", "/spores", {}, Connection="close")
            except (OSError, http.client.HTTPException):
                return acknowledged
            assert status == 201
            acknowledged.add(body["data"]["id"])
            begun.set()

    begun = threading.Event()
    with wsgi_server("gunicorn", engine, url) as server:
        with clients(insist) as acknowledged:
            assert begun.wait(PATIENCE)
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
        assert "Traceback" not in server.output()
    with wsgi_server("gunicorn", engine, url) as server:
        assert set().union(*acknowledged) <= ids(server, headers)


@pytest.mark.parametrize("name", ["gunicorn", "waitress"])
def test_urls_are_those_that_the_proxy_tells_of(tmp_path, headers, name):
    forwarded = {"Host": "api.example.com", "X-Forwarded-Proto": "https"}
    with (
        wsgi_server(name, "sqlite", ENGINES["sqlite"](tmp_path)) as server,
        Client(server, headers) as client,
    ):
        _, hello = client.send("GET", "/", **forwarded)
        assert hello["url"] == "https://api.example.com/v1/"
