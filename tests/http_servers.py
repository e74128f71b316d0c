"""Processes that serve the application of :mod:`tests.hostile_client`, all on one database.

Each runs waitress with several threads, listens only on a free TCP port of 127.0.0.1, and ends with
the process that started it, even if that process is killed::

    with http_servers("postgresql", url) as (one, other):
        requests.get(f"{one.url}/v1/")

They are forks of one process, which has only imported the modules that they need.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
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
        self._arguments = [engine, url, threads, settings or {}, live]
        self._errors = tempfile.TemporaryFile()
        self.port = 0
        self._process = None
        self._begin()

    def start(self):
        """Start it again, on the same port, and wait until it responds."""
        self._forget()
        self._begin()
        self.wait()

    def _begin(self):
        reading, writing = os.pipe()
        with open(writing, "wb"):
            _original().copy([*self._arguments, self.port], writing, self._errors.fileno())
        self._output = open(reading)

    def _forget(self):
        self._output.close()
        if self._process is not None:
            os.close(self._process)
            self._process = None

    @property
    def url(self):
        """The base, without a version prefix."""
        return f"http://{self.host}:{self.port}"

    def wait(self):
        """Wait until it responds."""
        line = self._output.readline()
        if not line:
            raise RuntimeError(f"the server does not start\n{self.errors()}")
        pid, self.port = map(int, line.split())
        self._process = os.pidfd_open(pid)

    def kill(self):
        """End it immediately, like a crash; several threads can call this."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)
            assert select.select([self._process], [], [], START_TIMEOUT)[0], "it is still running"

    def close(self):
        self.kill()
        self._forget()
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


class _Original:
    """The process from which servers are forked."""

    def __init__(self):
        self._socket, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(other.fileno())],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
                preexec_fn=end_with_parent(),
            )

    def copy(self, arguments, output, errors):
        """Fork a server, with the environment of this process and two open files."""
        message = json.dumps([dict(os.environ), arguments]).encode()
        socket.send_fds(self._socket, [len(message).to_bytes(4)], [output, errors])
        self._socket.sendall(message)

    def close(self):
        self._socket.close()
        self._process.wait(START_TIMEOUT)


@cache
def _original():
    original = _Original()
    atexit.register(original.close)
    return original


def _make_copies(connection):
    """Fork a server for each message, until the other end of the connection is closed."""
    me = os.getpid()
    while True:
        size, files, *_ = socket.recv_fds(connection, 4, 2)
        if not size:
            return
        message = connection.recv(int.from_bytes(size), socket.MSG_WAITALL)
        if os.fork() == 0:
            connection.close()
            _be_copy(me, *files, *json.loads(message))
        for file in files:
            os.close(file)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def _be_copy(parent, output, errors, environment, arguments):
    """Run a forked server; never return."""
    try:
        end_with_parent(parent)()
        for file, standard in ((output, sys.stdout), (errors, sys.stderr)):
            os.dup2(file, standard.fileno())
            os.close(file)
        os.environ.clear()
        os.environ.update(environment)
        _serve(*arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)


def _serve(engine, url, threads, settings, live, port):
    app = make_app_on(engine, url, **settings)
    if live:
        import uvicorn  # here, so that other servers start faster

        from cliquet import asgi

        config = uvicorn.Config(
            asgi.application(app, threads),
            port=port,
            log_config=None,
            lifespan="off",
            timeout_keep_alive=600,  # tests can pause
        )
        listener = config.bind_socket()
        listener.listen()
        print(os.getpid(), listener.getsockname()[1], flush=True)
        uvicorn.Server(config).run([listener])
    else:
        server = waitress.create_server(app, host=HTTPServer.host, port=port, threads=threads)
        print(os.getpid(), server.effective_port, flush=True)
        server.run()


if __name__ == "__main__":
    # Applications import their engines when they start: import them once, for all servers.
    from cliquet.storage import postgresql, redis, sqlite  # noqa: F401

    with socket.socket(fileno=int(sys.argv[1])) as connection:
        _make_copies(connection)
