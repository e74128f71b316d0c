"""Processes that serve the application of :mod:`tests.hostile_client`, all on one database.

Each is a new interpreter with the threads of waitress, listens on a free TCP port of 127.0.0.1
and nowhere else, and ends with the process that started it, even when that one is killed::

    with http_servers("postgresql", url) as (one, other):
        requests.get(f"{one.url}/v1/")
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import waitress

from tests import redis_server
from tests.hostile_client import Client, Response, make_app_on
from tests.postgresql_server import shared_url
from tests.processes import START_TIMEOUT, end_with_parent

_ROOT = Path(__file__).parent.parent
#: How much of the standard error of a server is reported.
_MAX_ERRORS = 10_000  # bytes


class HTTPServer:
    """One process.

    :param engine: of its storage, permissions and cache.
    :param url: of the database.
    :param settings: of the application.
    :param live: whether it serves streams, with uvicorn.
    """

    host = "127.0.0.1"

    def __init__(self, engine, url, threads=8, settings=None, live=False):
        settings = json.dumps(settings or {})
        self._arguments = [engine, url, str(threads), settings, str(os.getpid()), str(int(live))]
        self._errors = tempfile.TemporaryFile()
        self.port = 0
        self._begin()

    def start(self):
        """Start it again, on the same port, and wait until it responds."""
        self._begin()
        self.wait()

    def _begin(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *self._arguments, str(self.port)],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    @property
    def url(self):
        """The base, without a version prefix."""
        return f"http://{self.host}:{self.port}"

    def wait(self):
        """Wait until it responds."""
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(START_TIMEOUT)
            raise RuntimeError(f"the server does not start\n{self.errors()}")
        self.port = int(line)

    def kill(self):
        """End it at once, as a crash does."""
        self._process.kill()
        self._process.wait(START_TIMEOUT)
        self._process.stdout.close()

    def close(self):
        self.kill()
        self._errors.close()

    def errors(self):
        """Return the last part of its standard error."""
        file = self._errors.fileno()
        start = max(0, os.fstat(file).st_size - _MAX_ERRORS)
        return os.pread(file, _MAX_ERRORS, start).decode(errors="replace")

    @contextmanager
    def explaining(self):
        """Add :meth:`errors` as a note to exceptions of the block."""
        try:
            yield
        except Exception as error:
            error.add_note(f"{self.url} wrote:\n{self.errors()}")
            raise


def database_url(engine, folder):
    """The URL of a database that the tests start, or of one in the folder."""
    if engine == "postgresql":
        return shared_url()
    if engine == "redis":
        return redis_server.database_url(4)
    return f"sqlite:///{folder}/http.sqlite"


@contextmanager
def http_servers(engine, url, processes=2, threads=8, live=False, **settings):
    """Give servers, each in a process of its own, that are ready."""
    with ExitStack() as running:
        servers = []
        for _ in range(processes):
            servers.append(HTTPServer(engine, url, threads, settings, live))
            running.callback(servers[-1].close)
        for server in servers:
            server.wait()
        yield servers


class HTTPClient(Client):
    """A user of the application through a server, on one connection.

    Only one thread can use it at a time. Unexpected responses are reported with the output of the
    server.
    """

    def __init__(self, server, user=""):
        super().__init__(server, user)
        self._connection = HTTPConnection(server.host, server.port, timeout=START_TIMEOUT)

    def send(self, *args, **kwargs):
        with self.app.explaining():
            return super().send(*args, **kwargs)

    def _exchange(self, method, path, query, content, headers):
        target = f"{path}?{query}" if query else path
        self._connection.request(method, target, content, headers)
        response = self._connection.getresponse()
        return Response(response.status, response.headers, response.read())

    def close(self):
        self._connection.close()


@contextmanager
def connecting(servers):
    """Give a function of a user and a number, which returns a client of one of the servers."""
    with ExitStack() as opened:

        def connect(user, number):
            client = HTTPClient(servers[number % len(servers)], user)
            opened.callback(client.close)
            return client

        yield connect


def _serve(engine, url, threads, settings, parent, live, port):
    """Be one of the processes."""
    end_with_parent(int(parent))()
    app = make_app_on(engine, url, **json.loads(settings))
    if live == "1":
        import uvicorn  # here, so that other servers start faster

        from cliquet import asgi

        config = uvicorn.Config(
            asgi.application(app, int(threads)),
            port=int(port),
            log_config=None,
            lifespan="off",
            timeout_keep_alive=600,  # tests can pause
        )
        socket = config.bind_socket()
        socket.listen()
        print(socket.getsockname()[1], flush=True)
        uvicorn.Server(config).run([socket])
    else:
        server = waitress.create_server(app, host=HTTPServer.host, port=port, threads=int(threads))
        print(server.effective_port, flush=True)
        server.run()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
