"""Guarantees of the backends, checked for a long time with HTTP clients of several processes.

Runs several rounds of each scenario in ``tests/scenarios.py``, then the histories of
``tests/history.py``, ``tests/verified_copies.py`` and ``tests/device_histories.py``. In the latter,
servers and databases crash. The exit code is 1 if a guarantee in the documentation of the backends
was violated.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

# As a program it finds the project, but not requests.py for the package of that name.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).parent.parent))

from tests import device_histories, postgresql_server, redis_server
from tests.crashes import Crashes, follower_factory
from tests.history import History
from tests.hostile_client import make_app_on
from tests.http_servers import connecting, database_url, http_servers
from tests.scenarios import SCENARIOS, Team, explain
from tests.verified_copies import CopyHistory

ENGINES = ("postgresql", "redis", "sqlite")
#: Maximum number of faults shown in a row.
MAX_FAULTS = 3
#: Writes in each history with copies.
WRITES_OF_COPIES = 100
#: Several pages, and streams that show changes soon, also after a crash.
SETTINGS_OF_DEVICES = {
    "cliquet.paginate_by": 3,
    "cliquet.live_interval_seconds": 0.05,
    "cliquet.retry_after_seconds": 1,
    "cliquet.live_permissions_seconds": 0.5,
}

Connect = Callable[[str, int], Any]


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    with tempfile.TemporaryDirectory(prefix="cliquet-benchmark-") as folder:
        url = options.url or database_url(options.engine, folder)
        try:
            with http_servers(options.engine, url, options.processes, options.threads) as running:
                faults = run(running, options, url)
        finally:
            postgresql_server.stop()
        if options.histories:
            faults += play_devices(options, folder)
    return int(bool(faults))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--engine", choices=ENGINES, default=ENGINES[0], help="default: %(default)s")
    add("--url", help="of an empty database; default: one that is started, and ends with this")
    add("--rounds", type=int, default=40, help="of each scenario; default: %(default)s")
    add("--writes", type=int, default=10_000, help="of the history, at least; default: %(default)s")
    add("--histories", type=int, default=100, help="of devices; default: %(default)s")
    add("--seconds", type=float, default=0, help="that the history takes, at least; default: 0")
    add("--writers", type=int, default=6, help="who send at once; default: %(default)s")
    add("--processes", type=int, default=2, help="of the server; default: %(default)s")
    add("--threads", type=int, default=8, help="of each process; default: %(default)s")
    options = parser.parse_args(argv)
    least_values = {"rounds": 0, "writes": 0, "histories": 0, "writers": 2, "processes": 1}
    for name, least in least_values.items():
        if getattr(options, name) < least:
            parser.error(f"--{name}: expected {least} or more")
    return options


def run(running: Sequence[Any], options: argparse.Namespace, url: str) -> list[str]:
    """Print each line of the table when it is known; return the violations of guarantees."""
    print(line("scenario", "rounds", "verdict", "details"), flush=True)
    isolated = options.engine != "redis"
    faults = []
    for name, play in SCENARIOS.items() if options.rounds else ():
        with connecting(running) as connect:
            team = Team(connect, options.writers, isolated)
            faults += play_rounds(name, play, team, options.rounds)
    if options.writes or options.seconds:
        with connecting(running) as connect:
            faults += play_history(connect, options)
        faults += play_copies(running, options, url)
    return faults


def line(name: str, rounds: object, verdict: str, details: str) -> str:
    return f"{name:<64}{rounds:>6}  {verdict:<12}{details}"


def print_row(name: str, rounds: object, details: str, faults: Sequence[str]) -> None:
    """Print a row, and the first of the faults."""
    verdict = f"{len(faults)} faults" if faults else "ok"
    print(line(name, rounds, verdict, details), flush=True)
    for fault in faults[:MAX_FAULTS]:
        print(fault, file=sys.stderr)


def play_rounds(name: str, play: Callable[[Team], None], team: Team, rounds: int) -> list[str]:
    faults = []
    played = 0
    with progress(lambda: f"{name}: {played} of {rounds}"):
        for number in range(rounds):
            played = number
            try:
                play(team)
            except (AssertionError, OSError, HTTPException) as error:
                faults.append(explain(error))
    details = ", ".join(f"{count} × {status}" for status, count in sorted(team.statuses.items()))
    print_row(name, rounds, details, faults)
    return faults


def play_history(connect: Connect, options: argparse.Namespace) -> list[str]:
    history = History(connect, options.writers, options.writes, options.seconds)
    with progress(lambda: f"history: {history.acknowledged} writes, {history.polls} polls"):
        history.play()
    details = [f"{history.acknowledged} acknowledged", f"{history.polls} polls"]
    details += [f"{len(found)} {kind}" for kind, found in history.faults.items()]
    faults = [f"{kind}: {fault}" for kind, found in history.faults.items() for fault in found]
    print_row("history", 1, ", ".join(details), faults)
    return faults


def play_copies(running: Sequence[Any], options: argparse.Namespace, url: str) -> list[str]:
    """Play histories with copies until there are as many writes as in the other history."""
    registry = make_app_on(options.engine, url).registry
    faults: list[str] = []
    writes = polls = verified = number = 0
    with progress(lambda: f"copies: {writes} writes, {polls} polls"):
        while writes < options.writes:
            with connecting(running) as connect:
                history = CopyHistory(connect, registry, writes=WRITES_OF_COPIES, seed=number)
                history.play()
            writes, polls = writes + history.acknowledged, polls + history.polls
            verified, number = verified + history.verified, number + 1
            faults += history.faults
    details = f"{writes} acknowledged, {polls} polls, {verified} verified"
    print_row("verified copies", number, details, faults)
    return faults


def play_devices(options: argparse.Namespace, folder: str) -> list[str]:
    """Play histories of devices whose servers and database crash."""
    faults: list[str] = []
    number = 0
    with crashing_service(options, folder) as (crashes, registry, follow):
        with progress(lambda: f"devices: {number} of {options.histories}"):
            for number in range(options.histories):
                library = "httpx" if number % 4 == 3 else "requests"
                try:
                    violations = device_histories.play(
                        crashes.connect, number, library, registry, (), crashes, follow
                    )
                except (AssertionError, OSError, HTTPException) as error:
                    violations = [explain(error)]
                mismatches = registry.storage.find_mismatches()
                violations += [f"checksum of {each}" for each in mismatches]
                faults += [f"history {number}: {fault}" for fault in violations]
                crashes.close()
    print_row("devices, with crashes", options.histories, f"{crashes.number} crashes", faults)
    return faults


@contextmanager
def crashing_service(options: argparse.Namespace, folder: str) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the crashes of servers and a database, a registry, and a factory of followers."""
    with ExitStack() as stack:
        url, databases = f"sqlite:///{folder}/devices.sqlite", []
        if options.engine == "postgresql":
            databases = [stack.enter_context(postgresql_server.private_server())]
            url = databases[0].url
        elif options.engine == "redis":
            server = redis_server.Server(appendonly="yes", appendfsync="always")
            databases = [stack.enter_context(closing(server))]
            url = server.url()
        servers = stack.enter_context(
            http_servers(
                options.engine,
                url,
                options.processes,
                options.threads,
                live=True,
                **SETTINGS_OF_DEVICES,
            )
        )
        registry = make_app_on(options.engine, url, **SETTINGS_OF_DEVICES).registry
        follow = stack.enter_context(follower_factory(servers))
        yield Crashes(servers, databases), registry, follow


@contextmanager
def progress(text: Callable[[], str]) -> Iterator[None]:
    """Show the progress on a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    began = time.monotonic()

    def show() -> None:
        while not done.wait(0.5):
            print(f"\r\033[K{time.monotonic() - began:.0f} s, {text()}", end="", file=sys.stderr)
        print("\r\033[K", end="", file=sys.stderr, flush=True)

    thread = threading.Thread(target=show)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
