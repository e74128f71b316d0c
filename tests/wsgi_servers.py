"""Servers of others, as in production, that serve the application of :mod:`tests.hostile_client`.

Each listens on a free TCP port of 127.0.0.1 and nowhere else, and ends with the process that
started it. A request with ``X-Seconds: N`` is answered after as many seconds, of work as it were.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from tests.gunicorn_hooks import READY
from tests.hostile_client import make_app_on
from tests.processes import START_TIMEOUT, end_with_parent, free_port, kill_group

_ROOT = Path(__file__).parent.parent
_BEGUN = "a slow request has begun"

PROCESSES, THREADS = 2, 4

COMMANDS = {
    "gunicorn": (
        *("gunicorn", "--preload", f"--workers={PROCESSES}", f"--threads={THREADS}"),
        *("--bind=127.0.0.1:{port}", "--no-control-socket", "--config=python:tests.gunicorn_hooks"),
        "tests.wsgi_servers:make_app()",
    ),
    "granian": (
        *("granian", "--interface=wsgi", f"--workers={PROCESSES}"),
        *(f"--blocking-threads={THREADS}", "--host=127.0.0.1", "--port={port}", "--factory"),
        *("--workers-kill-timeout=30", "tests.wsgi_servers:make_app"),
    ),
    "waitress": (
        *("waitress", f"--threads={THREADS}", "--listen=127.0.0.1:{port}"),
        *("--trusted-proxy=127.0.0.1", "--trusted-proxy-headers=x-forwarded-proto"),
        *("--call", "tests.wsgi_servers:make_app"),
    ),
}


def make_app():
    """Return the application of the variables of the environment."""
    app = make_app_on(os.environ["SERVED_ENGINE"], os.environ["SERVED_URL"])

    def slow_app(environ, start_response):
        seconds = environ.get("HTTP_X_SECONDS")
        if seconds:
            print(_BEGUN, file=sys.stderr, flush=True)
            time.sleep(float(seconds))
        return app(environ, start_response)

    return slow_app


class Server:
    """One server, of as many processes as it makes.

    :param name: of the command.
    :param engine: of its storage, permissions and cache.
    :param url: of the database.
    """

    def __init__(self, name, engine, url):
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._output = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *(word.format(port=self.port) for word in COMMANDS[name])],
            cwd=_ROOT,
            env={**os.environ, "SERVED_ENGINE": engine, "SERVED_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            preexec_fn=end_with_parent(),
            start_new_session=True,
        )

    def wait_until(self, condition):
        """Wait until a condition is met."""
        deadline = time.monotonic() + START_TIMEOUT
        while not condition():
            assert self.process.poll() is None, f"the server has ended\n{self.output()}"
            assert time.monotonic() < deadline, f"waited for too long\n{self.output()}"
            time.sleep(0.02)

    def is_ready(self):
        """Return whether it responds, and each worker handles signals to stop."""
        workers = PROCESSES if self.name == "gunicorn" else 0
        return self.responds() and self.output().count(READY) >= workers

    def responds(self):
        try:
            urllib.request.urlopen(f"{self.url}/v1/__lbheartbeat__", timeout=START_TIMEOUT).close()
        except OSError:
            return False
        return True

    def output(self):
        self._output.seek(0)
        return self._output.read()

    def begun(self):
        """The number of slow requests that have begun."""
        return self.output().count(_BEGUN)

    def pids(self):
        """Those of the processes that it has made."""
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def close(self):
        # Granian's workers outlive a main process that is killed.
        kill_group(self.process)
        self.process.wait(START_TIMEOUT)
        self._output.close()


@contextmanager
def wsgi_server(name, engine, url):
    """Give a server that is ready."""
    server = Server(name, engine, url)
    try:
        server.wait_until(server.is_ready)
        yield server
    finally:
        server.close()
