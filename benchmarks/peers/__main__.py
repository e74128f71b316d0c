"""Cliquet beside FastAPI, Django REST Framework and Pyramid: requests per second, latency, memory.

    python -m pip install -e .[peers]
    python -m benchmarks.peers

All services run on one PostgreSQL, each in one process, and are loaded in turn, slice by slice, so
that a busy machine slows them equally. Only the ratios count.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from benchmarks import load
from tests import postgresql_server

#: The services: titles and commands. The first one is the base of the ratios.
SERVERS = {
    "Cliquet on granian": load.COMMANDS["granian"],
    "Cliquet on waitress": load.COMMANDS["waitress"],
    "Pyramid by hand on granian": load.COMMANDS["granian"].replace(
        "benchmarks.load:app", "benchmarks.peers.pyramid_app:app"
    ),
    "FastAPI on uvicorn": (
        "uvicorn --host 127.0.0.1 --port {port} --log-level warning "
        "benchmarks.peers.fastapi_app:app"
    ),
    "Django REST on gunicorn": (
        "gunicorn --workers={processes} --threads={threads} --bind=127.0.0.1:{port} "
        "benchmarks.peers.django_app:application"
    ),
}


@dataclass
class Service:
    """A service under load."""

    title: str
    pid: int
    clients: list[Connection]
    samples: list[load.Sample] = field(default_factory=list)
    seconds: float = 0.0

    def run(self, each: int) -> None:
        """Let each client send ``each`` requests."""
        began = time.perf_counter()
        self.samples += load.demand(self.clients, each)
        self.seconds += time.perf_counter() - began

    def rate(self) -> float:
        """Return the number of requests per second."""
        return len(self.samples) / self.seconds

    def latency(self, percentile: float) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        ordered = sorted(seconds for _, _, seconds in self.samples)
        return 1000 * ordered[round((len(ordered) - 1) * percentile / 100)]

    def failures(self) -> int:
        """Return the number of unexpected responses."""
        return load.failures(self.samples).total()


@contextmanager
def started(title: str, command: str, database: str) -> Iterator[tuple[str, int]]:
    """Start a server; yield its URL and the id of its process."""
    environment = {"PEERS_URL": database, "LOAD_ENGINE": "postgresql", "LOAD_URL": database}
    try:
        with load.run_server(command, environment, threads=4, processes=1) as server:
            yield server
    except OSError as error:
        raise SystemExit(f"{title} did not start. Install the extra peers.") from error


def report(services: Sequence[Service]) -> str:
    """Return the table of the results."""
    heads = ("requests/s", "ratio", "50 % ms", "99 % ms", "MB", "failed")
    lines = [f"{'':26}" + "".join(f"{head:>12}" for head in heads)]
    for service in services:
        cells = (
            f"{service.rate():.0f}",
            f"{services[0].rate() / service.rate():.2f}",
            f"{service.latency(50):.2f}",
            f"{service.latency(99):.2f}",
            f"{load.memory(service.pid) / 1024:.0f}",
            str(service.failures()),
        )
        lines.append(f"{service.title:26}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--clients", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--slices", type=int, default=9, help="default: %(default)s")
    parser.add_argument(
        "--requests", type=int, default=60, help="per client and slice; default: %(default)s"
    )
    options = parser.parse_args(argv)
    options.mix = load.parse_mix(load.MIX)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Load the services, print the table, and return 1 if a request failed."""
    options = parse(argv)
    database = postgresql_server.shared_url()
    with ExitStack() as stack:
        services = []
        for number, (title, command) in enumerate(SERVERS.items()):
            url, pid = stack.enter_context(started(title, command, database))
            clients = stack.enter_context(load.clients(url, options, number * options.clients))
            services.append(Service(title, pid, clients))
        for service in services:
            load.demand(service.clients, options.requests)  # fills caches and pools
        for _ in range(options.slices):
            for service in services:
                service.run(options.requests)
        print(report(services))
        return int(any(service.failures() for service in services))


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        postgresql_server.stop()
