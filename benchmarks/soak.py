"""Long load on a service over HTTP: memory and latency over time, as a table and a chart.

    python -m benchmarks.soak
    python -m benchmarks.soak --seconds 3600 --svg soak.svg

Clients send reads, polls, writes, batches and invalid requests, as in :mod:`benchmarks.load`, and
streams keep copies of their records, while PostgreSQL is killed and started again several times.
The exit code is 1 if a request failed while the database was running, or if a copy missed changes.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from anyio.from_thread import BlockingPortal, start_blocking_portal

from benchmarks import load
from cliquet.client import AsyncClient, Client
from tests import postgresql_server

MIX = "get=6,list=1,poll=3,post=1,patch=1,delete=1,batch=1,invalid=1"
PERIODS = 36
#: The database is killed once every this many periods.
_KILLED_EVERY = 9
#: Number of requests of each client between two looks at the clock.
_EACH = 10
_DOWN = 1.0  # seconds


class Period(NamedTuple):
    """The results of a part of the time.

    :param seconds: its end, since the start.
    :param rate: requests per second.
    :param median: latency in milliseconds, and so is ``slow``, its 99th percentile.
    :param memory: of the server, in megabytes.
    :param failed: number of responses by unexpected status.
    """

    seconds: float
    rate: float
    median: float
    slow: float
    memory: float
    failed: Counter[int]
    killed: bool


def run(
    database: Any, pid: int, clients: Sequence[Connection], options: argparse.Namespace
) -> Iterator[Period]:
    """Yield the periods when they end."""
    load.demand(clients, _EACH)  # create the records; fill caches and pools
    started = time.monotonic()
    length = options.seconds / PERIODS
    for number in range(1, PERIODS + 1):
        killed = number % _KILLED_EVERY == 0
        samples = []
        began = time.monotonic()
        if killed:
            database.stop(signal.SIGQUIT)
            samples += load.demand(clients, _EACH)
            time.sleep(_DOWN)
            database.start()
        while not samples or time.monotonic() - started < number * length:
            samples += load.demand(clients, _EACH)
        yield summarize(samples, time.monotonic() - began, started, pid, killed)


def summarize(
    samples: Sequence[load.Sample], busy: float, started: float, pid: int, killed: bool
) -> Period:
    """Return the results of a period.

    :param busy: its duration in seconds.
    """
    latencies = sorted(seconds * 1000 for _, _, seconds in samples)
    return Period(
        seconds=time.monotonic() - started,
        rate=len(samples) / busy,
        median=latencies[len(latencies) // 2],
        slow=latencies[len(latencies) * 99 // 100],
        memory=load.memory(pid) / 1024,
        failed=load.failures(samples),
        killed=killed,
    )


# The streams


class Stream:
    """A copy of a user's records, kept up to date by a stream.

    :param portal: the event loop that runs the stream.
    :param number: number of the user.
    """

    def __init__(self, portal: BlockingPortal, url: str, number: int) -> None:
        credentials = (f"load-{number}", "password")
        self._resource = Client(url, auth=credentials).resource("/mushrooms")
        self._client = AsyncClient(url, auth=credentials)
        self._copy: dict[str, Any] = {}
        self._task = portal.start_task_soon(self._follow)

    async def _follow(self) -> None:
        async with self._client as client:
            async for changes in client.resource("/mushrooms").live():
                for record in changes:
                    self._copy[record["id"]] = record
                    if record.get("deleted"):
                        del self._copy[record["id"]]

    def stop(self) -> None:
        """Close the connection, or else it would be opened again and again."""
        self._task.cancel()

    def is_exact(self) -> bool:
        """Wait until the copy equals the list; return False if it never does."""
        expected = {record["id"]: record for record in self._resource.list()}
        deadline = time.monotonic() + load.TIMEOUT
        while self._copy != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        return self._copy == expected


# The report

_HEADS = ("seconds", "requests/s", "50 % ms", "99 % ms", "MB")


def row(period: Period) -> str:
    """Return a row of the table."""
    values = (period.seconds, period.rate, period.median, period.slow, period.memory)
    cells = "".join(f"{value:>12.1f}" for value in values)
    failed = ", ".join(f"{number} × {status}" for status, number in sorted(period.failed.items()))
    return f"{cells}   {'database killed' if period.killed else ''} {failed}".rstrip()


def growth(periods: Sequence[Period]) -> float:
    """Return the growth of the server in megabytes, from the second quarter to the last."""
    quarter = len(periods) // 4

    def median(part: Sequence[Period]) -> float:
        return sorted(period.memory for period in part)[len(part) // 2]

    return median(periods[-quarter:]) - median(periods[quarter : 2 * quarter])


_WIDTH, _HEIGHT, _MARGIN = 720, 200, 40
_CURVES = {
    "memory": ("MB of the server", "#2a7fd4"),
    "slow": ("ms, 99 % of the requests", "#d9770a"),
    "median": ("ms, 50 % of the requests", "#2e8b57"),
}


def picture(periods: Sequence[Period]) -> str:
    """Return an SVG with a curve for the memory and two for the latencies."""
    step = _HEIGHT + _MARGIN
    curves = "".join(curve(periods, name, number * step) for number, name in enumerate(_CURVES))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {len(_CURVES) * step}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{curves}</svg>\n'
    )


def curve(periods: Sequence[Period], name: str, top: int) -> str:
    """Return a curve from 0 to its maximum, with dashed lines where the database was killed."""
    title, color = _CURVES[name]
    highest = max(getattr(period, name) for period in periods)
    end = periods[-1].seconds
    bottom = top + _HEIGHT

    def x(period: Period) -> float:
        return _MARGIN + (_WIDTH - 2 * _MARGIN) * period.seconds / end

    points = " ".join(
        f"{x(period):.1f},{bottom - (_HEIGHT - _MARGIN) * getattr(period, name) / highest:.1f}"
        for period in periods
    )
    killed = "".join(
        f'<path d="M{x(period):.1f} {bottom}V{top + _MARGIN}" stroke="#999" '
        'stroke-dasharray="4"/>\n'
        for period in periods
        if period.killed
    )
    return (
        f'<text x="{_MARGIN}" y="{top + 24}">{title}, at most {highest:.1f}</text>\n'
        f'<path d="M{_MARGIN} {bottom}H{_WIDTH - _MARGIN}" stroke="#999"/>\n{killed}'
        f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>\n'
        f'<text x="{_WIDTH - _MARGIN}" y="{bottom + 16}" text-anchor="end">{end:.0f} s</text>\n'
    )


# The command line


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--seconds", type=float, default=180, help="default: %(default)s")
    add("--svg", type=Path, help="file for the picture")
    add("--server", choices=list(load.COMMANDS), default="uvicorn", help="default: %(default)s")
    add("--streams", type=int, default=20, help="with uvicorn only; default: %(default)s")
    add("--processes", type=int, default=1, help="of the server; default: %(default)s")
    add("--threads", type=int, default=4, help="of each of them; default: %(default)s")
    add("--clients", type=int, default=4, help="at the same time; default: %(default)s")
    add("--mix", type=load.parse_mix, default=load.parse_mix(MIX), help=f"default: {MIX}")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the load, print the table and draw the chart; return 1 if it found a fault."""
    options = parse(argv)
    periods = []
    print("".join(f"{head:>12}" for head in _HEADS), flush=True)
    with postgresql_server.private_server() as database:
        environment = {"LOAD_ENGINE": "postgresql", "LOAD_URL": database.url}
        command = load.COMMANDS[options.server]
        with (
            load.run_server(command, environment, options.threads, options.processes) as server,
            load.clients(server[0], options) as clients,
            start_blocking_portal() as portal,
        ):
            number = options.streams if options.server == "uvicorn" else 0
            streams = [Stream(portal, server[0], each % options.clients) for each in range(number)]
            for period in run(database, server[1], clients, options):
                periods.append(period)
                print(row(period), flush=True)
            inexact = sum(not stream.is_exact() for stream in streams)
            for stream in streams:
                stream.stop()
    print(f"\nGrowth from the second quarter to the last: {growth(periods):.1f} MB")
    print(f"{number} streams, {inexact} copies that miss changes")
    if options.svg:
        options.svg.write_text(picture(periods), encoding="utf-8")
    return int(inexact > 0 or any(period.failed and not period.killed for period in periods))


if __name__ == "__main__":
    sys.exit(main())
