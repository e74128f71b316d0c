"""Load on a service over HTTP: latencies, requests per second, and the memory of the server.

Clients are processes, each with a connection of its own, a user and some records. The server is
either one that runs already (``--url``), or is started here with the application of
:mod:`benchmarks.toolkit` (``--server``).
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks import toolkit
from benchmarks.engines import backends
from cliquet import asgi
from tests import postgresql_server, redis_server
from tests.processes import free_port

ENGINES = ("memory", "sqlite", "redis", "postgresql")
OPERATIONS = ("hello", "get", "list", "poll", "post", "patch", "delete", "batch", "invalid")
#: The operations of existing records.
OF_RECORDS = ("get", "patch", "delete")
#: The statuses of an operation that succeeds, where they are not 2xx.
EXPECTED = {"poll": {200, 304}, "invalid": {400}}
MIX = "get=6,list=1,post=1,patch=1,delete=1"
PERCENTILES = (50, 90, 99, 99.9)

TIMEOUT = 30  # seconds
_RECORDS = 20
_BATCH = 5  # requests
_SLICES = 10

#: The command of each server; it has processes only if the server starts them.
COMMANDS = {
    "waitress": "waitress --threads={threads} --listen=127.0.0.1:{port} --call benchmarks.load:app",
    "gunicorn": (
        "gunicorn --preload --workers={processes} --threads={threads} --bind=127.0.0.1:{port} "
        "--no-control-socket benchmarks.load:app()"
    ),
    "granian": (
        "granian --interface=wsgi --workers={processes} --blocking-threads={threads} "
        "--host=127.0.0.1 --port={port} --no-ws --factory benchmarks.load:app"
    ),
    "uvicorn": (
        "uvicorn --workers={processes} --port={port} --log-level=error --no-access-log "
        "--factory benchmarks.load:asgi_app"
    ),
}


# The server


def app() -> Any:
    """Return the application of the variables of the environment, for a server."""
    settings = backends(os.environ["LOAD_ENGINE"], os.environ["LOAD_URL"])
    return toolkit.make_app(settings)


def asgi_app() -> Any:
    """Return the ASGI application of :func:`app`, which streams changes."""
    return asgi.application(app(), int(os.environ["LOAD_THREADS"]))


@contextmanager
def started(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Start the server, and its database; yield its URL and the id of its process."""
    with tempfile.TemporaryDirectory(prefix="cliquet-load-") as folder:
        environment = {"LOAD_ENGINE": options.engine, "LOAD_URL": database(options.engine, folder)}
        command = COMMANDS[options.server]
        with run_server(command, environment, options.threads, options.processes) as server:
            yield server


@contextmanager
def run_server(
    command: str, environment: Mapping[str, str], threads: int, processes: int
) -> Iterator[tuple[str, int]]:
    """Run a command that starts a server; yield its URL and the id of its process."""
    port = free_port()
    words = command.format(port=port, threads=threads, processes=processes).split()
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        env={**os.environ, **environment, "LOAD_THREADS": str(threads)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}/v1"
        wait_for(url, process)
        yield url, process.pid
    finally:
        # All of them: not every server ends its children when it is killed.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def database(engine: str, folder: str) -> str:
    """Return the URL of an empty database."""
    if engine == "postgresql":
        return postgresql_server.shared_url()
    if engine == "redis":
        return redis_server.database_url(0)
    return f"sqlite:///{folder}/load.sqlite" if engine == "sqlite" else ""


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT
    client = Client(url, 0)
    while True:
        try:
            client.send("GET", "/__lbheartbeat__")
            client.disconnect()
            return
        except OSError:
            client.disconnect()
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def memory(pid: int) -> int:
    """Return how many kilobytes a process and its children have in memory.

    Memory that they share, as after a fork, counts in proportion.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(memory(int(child)) for child in children)


# The clients


class Response(NamedTuple):
    status: int
    etag: str | None
    body: bytes


class Client:
    """A user, some of the user's records, and a connection."""

    def __init__(self, url: str, number: int) -> None:
        parts = urlsplit(url)
        kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        self._connection = kind[parts.scheme](parts.netloc, timeout=TIMEOUT)
        self._prefix = parts.path.rstrip("/")
        credentials = b64encode(f"load-{number}:password".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
        }
        self._random = random.Random(number)
        self._ids: list[str] = []
        self._etag = ""

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        content = None if body is None else json.dumps(body)
        all_headers = {**self._headers, **(headers or {})}
        self._connection.request(method, self._prefix + path, content, all_headers)
        with self._connection.getresponse() as response:
            return Response(response.status, response.getheader("ETag"), response.read())

    def disconnect(self) -> None:
        """End the connection; the next request makes a new one."""
        self._connection.close()

    def prepare(self) -> None:
        """Delete the records of the user, and create some."""
        self.send("DELETE", "/mushrooms")
        for _ in range(_RECORDS):
            self.operate("post")

    def operate(self, name: str) -> int:
        """Perform an operation, and return the status of its response."""
        if name in OF_RECORDS and not self._ids:
            name = "post"
        return int(getattr(self, f"_{name}")())

    def _hello(self) -> int:
        return self.send("GET", "/").status

    def _list(self) -> int:
        return self.send("GET", "/mushrooms?_limit=20").status

    def _poll(self) -> int:
        known = {"If-None-Match": self._etag} if self._etag else {}
        response = self.send("GET", "/mushrooms?_limit=20", None, known)
        self._etag = response.etag or self._etag
        return response.status

    def _get(self) -> int:
        return self.send("GET", self._path()).status

    def _post(self) -> int:
        response = self.send("POST", "/mushrooms", self._record())
        if response.status in (200, 201):
            self._ids.append(json.loads(response.body)["data"]["id"])
        return response.status

    def _patch(self) -> int:
        return self.send("PATCH", self._path(), {"data": {"size": self._size()}}).status

    def _delete(self) -> int:
        path = self._path()
        self._ids.remove(path.rpartition("/")[2])
        return self.send("DELETE", path).status

    def _batch(self) -> int:
        requests = [{"path": self._path(), "method": "GET"} for _ in self._ids[:_BATCH]]
        return self.send("POST", "/batch", {"requests": requests or [{"path": "/"}]}).status

    def _invalid(self) -> int:
        return self.send("POST", "/mushrooms", {"data": {"size": "large"}}).status

    def _path(self) -> str:
        return f"/mushrooms/{self._random.choice(self._ids)}"

    def _record(self) -> dict[str, Any]:
        fields = {"name": "amanita", "size": self._size(), "edible": False, "note": "x" * 40}
        return {"data": fields}

    def _size(self) -> int:
        return self._random.randrange(100)


Sample = tuple[str, int, float]


def serve(orders: Connection, url: str, number: int, mix: Mapping[str, int]) -> None:
    """Run a client: for each number received, send as many requests, and return the samples.

    A sample has the operation, the status, and the duration in seconds.
    """
    client = Client(url, number)
    client.prepare()
    names, weights = list(mix), list(mix.values())
    chance = random.Random(number)
    while count := orders.recv():
        samples = []
        for name in chance.choices(names, weights, k=count):
            began = time.perf_counter()
            status = client.operate(name)
            samples.append((name, status, time.perf_counter() - began))
        client.disconnect()  # servers end those that are idle while other clients are busy
        orders.send(samples)


@contextmanager
def clients(url: str, options: argparse.Namespace, first: int = 0) -> Iterator[list[Connection]]:
    """Start the processes of the clients; yield a connection to each.

    :param first: number of the first user.
    """
    context = multiprocessing.get_context("spawn")
    ends = []
    for number in range(first, first + options.clients):
        mine, its = context.Pipe()
        arguments = (its, url, number, options.mix)
        context.Process(target=serve, args=arguments, daemon=True).start()
        its.close()
        ends.append(mine)
    yield ends
    for end in ends:
        end.send(0)
        end.close()


# The report


def measure(url: str, pid: int | None, options: argparse.Namespace) -> bool:
    """Load the server in slices and print the figures; return whether all requests succeeded."""
    samples: list[Sample] = []
    each = max(1, options.requests // (options.clients * _SLICES))
    busy = 0.0
    with clients(url, options) as ends:
        demand(ends, each)  # for the caches and pools to be full before the first look
        print_memory(pid, 0)
        for _ in range(_SLICES):
            began = time.perf_counter()
            samples += demand(ends, each)
            busy += time.perf_counter() - began
            print_memory(pid, len(samples))
    print(f"\n{len(samples) / busy:.0f} requests per second\n")
    print(table(samples))
    failed = failures(samples)
    for status, number in failed.items():
        print(f"{number} responses with status {status}", file=sys.stderr)
    return not failed


def demand(ends: Sequence[Connection], each: int) -> list[Sample]:
    """Let each client send as many requests; return the samples."""
    for end in ends:
        end.send(each)
    return [sample for end in ends for sample in end.recv()]


def failures(samples: Sequence[Sample]) -> Counter[int]:
    """Return the number of unexpected responses by status."""
    successes = range(200, 300)
    return Counter(
        status for name, status, _ in samples if status not in EXPECTED.get(name, successes)
    )


def print_memory(pid: int | None, count: int) -> None:
    if pid is not None:
        print(f"{count:>9} requests {memory(pid) / 1024:8.1f} MB", flush=True)


def table(samples: Sequence[Sample]) -> str:
    """Return the latencies of each operation, and of all, in milliseconds."""
    times = defaultdict(list)
    for name, _, seconds in samples:
        times[name].append(seconds * 1000)
        times["all"].append(seconds * 1000)
    heads = [f"{percentile:g} %" for percentile in PERCENTILES]
    lines = ["operation   number " + "".join(f"{head:>9}" for head in [*heads, "max"])]
    for name in sorted(times):
        ordered = sorted(times[name])
        last = len(ordered) - 1
        found = [ordered[round(last * percentile / 100)] for percentile in PERCENTILES]
        cells = "".join(f"{value:9.2f}" for value in [*found, ordered[-1]])
        lines.append(f"{name:10}{len(ordered):8} {cells}")
    return "\n".join(lines)


# The command line


def parse_mix(text: str) -> dict[str, int]:
    """Return the weight of each operation."""
    mix = {}
    for item in text.split(","):
        name, _, weight = item.partition("=")
        if name not in OPERATIONS:
            raise argparse.ArgumentTypeError(f"{name!r}: expected one of {', '.join(OPERATIONS)}")
        mix[name] = int(weight or 1)
    return mix


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--url", help="of a service with its version, as http://127.0.0.1:8888/v1")
    add("--pid", type=int, help="process id of that server, to measure its memory")
    add("--server", choices=list(COMMANDS), default="waitress", help="default: %(default)s")
    add("--engine", choices=ENGINES, default="postgresql", help="default: %(default)s")
    add("--processes", type=int, default=2, help="of the server; default: %(default)s")
    add("--threads", type=int, default=4, help="of each of them; default: %(default)s")
    add("--clients", type=int, default=8, help="at the same time; default: %(default)s")
    add("--requests", type=int, default=5000, help="in all; default: %(default)s")
    add("--long", action="store_const", dest="requests", const=100_000, help="--requests 100000")
    add("--mix", type=parse_mix, default=parse_mix(MIX), help=f"operations; default: {MIX}")
    options = parser.parse_args(argv)
    for name in ("processes", "threads", "clients", "requests"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}: expected 1 or more")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    if options.url:
        return int(not measure(options.url, options.pid, options))
    with started(options) as (url, pid):
        return int(not measure(url, pid, options))


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        postgresql_server.stop()
