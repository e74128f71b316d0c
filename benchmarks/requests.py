"""Duration of requests, compared with the limit: the same service written by hand.

Both are called in this process, as WSGI applications, in turns: a slice of a few milliseconds
each. The table has the medians of the slices, in microseconds per request, and the median of the
ratios of neighboring slices, the only results that can be compared between machines and runs. The
memory engine has no equivalent written by hand: its ratio is to the limit's hello; on Redis, to the
limit on PostgreSQL. The goal of SQLite is a difference from the memory engine, which must be
measured in the same run.
"""

from __future__ import annotations

import argparse
import cProfile
import datetime
import gc
import io
import itertools
import json
import logging
import platform
import pstats
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import metadata
from operator import attrgetter, truediv
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import engines
from benchmarks.engines import ENGINES, Bench
from benchmarks.equivalence import DifferentError, check
from benchmarks.operations import OPERATIONS, Collection, Operation, Request, request

RECORDED = Path(__file__).with_name("results.json")
#: Tolerated increase of a ratio over the recorded one, because machines are noisy.
TOLERANCE = 1.25

# Seconds: short, for what else the machine does to fall between slices as often as within.
_SLICE = 0.002
# Requests of a slice; of those that change the number of records, not to change it much.
_MOST, _MOST_DRIFTING = 1000, 40
_PACKAGES = ("pyramid", "cornice", "colander", "psycopg2-binary", "redis", "orjson", "SQLAlchemy")


class Result(NamedTuple):
    """A row of the table; times are in microseconds per request."""

    engine: str
    resource: str
    operation: str
    toolkit: float
    limit: float
    ratio: float
    goal: float | None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.engine, self.resource, self.operation

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        return "ok" if self.ratio <= self.goal else f"missed by {self.ratio / self.goal:.2f}"


def calls(
    app: Any,
    requests: Sequence[Request],
    status: int,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return how long the requests take, one after the other, in seconds of a clock.

    :raises RuntimeError: when a response has another status.
    """
    statuses: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
        statuses.append(status)

    start = clock()
    for environ, body in requests:
        b"".join(app({**environ, "wsgi.input": io.BytesIO(body)}, start_response))
    elapsed = clock() - start
    if any(not found.startswith(str(status)) for found in statuses):
        raise RuntimeError(f"{requests[0].environ['PATH_INFO']}: {set(statuses)}, not {status}")
    return elapsed


def overhead(number: int = 20000) -> float:
    """Return how much of a call is the benchmark's own, in microseconds."""

    def nothing(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    return calls(nothing, [request("GET", "/v1/")] * number, 200) / number * 1e6


def measure(bench: Bench, operation: Operation, resource: str, rounds: int) -> Result:
    """Measure an operation on an engine."""
    baseline = OPERATIONS[0] if bench.engine.to_hello else operation
    # In memory nothing waits: what other processes take from this one needn't count.
    clock = time.thread_time if bench.engine.to_hello else time.perf_counter
    toolkit = _Side(bench.toolkit, operation, bench.collections[resource], clock)
    limit = _Side(bench.limit, baseline, bench.limit_collection, clock)
    for number in range(rounds):
        # Which one comes first changes: what is warm helps both.
        for side in (toolkit, limit) if number % 2 else (limit, toolkit):
            side.run()
    return Result(
        bench.engine.name,
        resource,
        operation.name,
        statistics.median(toolkit.slices) * 1e6,
        statistics.median(limit.slices) * 1e6,
        # A temporary slowdown of the machine affects both slices of a pair.
        statistics.median(map(truediv, toolkit.slices, limit.slices)),
        engines.goal(bench.engine, operation.name, resource),
    )


class _Side:
    """One of the two, with the times of its slices in seconds per request."""

    def __init__(
        self, app: Any, operation: Operation, collection: Collection, clock: Callable[[], float]
    ) -> None:
        self._app = app
        self._clock = clock
        self._operation = operation
        self._collection = collection
        self.slices: list[float] = []
        self._per_slice = 3
        self.run()  # to be warm
        self.run()
        most = _MOST_DRIFTING if operation.drifts else _MOST
        self._per_slice = min(max(1, round(_SLICE / self.slices.pop())), most)
        self.slices.clear()

    def run(self) -> None:
        requests = self._operation.make(self._collection, self._per_slice)
        # The collector stays on: each pays for what it leaves, and for nothing from before.
        gc.collect()
        elapsed = calls(self._app, requests, self._operation.status, self._clock)
        self.slices.append(elapsed / self._per_slice)
        if self._operation.drifts:
            self._collection.restore()


@contextmanager
def frozen() -> Iterator[None]:
    """Keep the garbage collector from looking at what is there already."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def profile(bench: Bench, operation: Operation, resource: str, lines: int) -> None:
    """Print the functions that take most of the time themselves."""
    collection = bench.collections[resource]
    profiler = cProfile.Profile()
    for _ in range(20):
        requests = operation.make(collection, _MOST_DRIFTING)
        profiler.enable()
        calls(bench.toolkit, requests, operation.status)
        profiler.disable()
        if operation.drifts:
            collection.restore()
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(lines)


# The table


def heading() -> str:
    words = f"{'engine':11}{'resource':10}{'operation':10}"
    return words + f"{'toolkit':>9}{'limit':>9}{'ratio':>8}{'goal':>7}"


def line(result: Result, recorded: float | None, beyond_memory: float | None = None) -> str:
    """Return a row of the table.

    :param recorded: the recorded ratio, if any.
    :param beyond_memory: microseconds beyond the time of the memory engine, if there is a goal.
    """
    goal = "" if result.goal is None else f"{result.goal:.2f}"
    marks = [result.verdict]
    if beyond_memory is not None:
        limit = ENGINES[result.engine].beyond_memory[result.operation]
        verdict = "ok" if beyond_memory <= limit else "missed"
        marks.append(f"{beyond_memory:+.0f} us beyond memory (goal {limit}): {verdict}")
    if is_worse(result, recorded):
        marks.append(f"WORSE: {recorded:.2f} was recorded")
    return (
        f"{result.engine:11}{result.resource:10}{result.operation:10}"
        f"{result.toolkit:9.0f}{result.limit:9.0f}{result.ratio:8.2f}{goal:>7}  "
        + "  ".join(filter(None, marks))
    ).rstrip()


def is_worse(result: Result, recorded: float | None) -> bool:
    return recorded is not None and result.ratio > recorded * TOLERANCE


def load(path: Path) -> dict[tuple[str, str, str], float]:
    """Return the ratios of a file of results."""
    rows = json.loads(path.read_text(encoding="utf-8"))["results"]
    return {(row["engine"], row["resource"], row["operation"]): row["ratio"] for row in rows}


def save(path: Path, results: Iterable[Result]) -> None:
    """Write the results, with what they depend on."""
    rows = []
    for result in results:
        row = result._asdict()
        row.update({name: round(row[name], 2) for name in ("toolkit", "limit", "ratio")})
        rows.append({**row, "goal": result.goal and round(result.goal, 2)})
    content = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "results": rows,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def machine() -> str:
    names = [
        text.partition(":")[2].strip()
        for text in Path("/proc/cpuinfo").read_text().splitlines()
        if text.startswith("model name")
    ]
    return f"{len(names)} x {names[0]}, {platform.system()} {platform.machine()}"


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


# The command line


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [operation.name for operation in OPERATIONS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.requests", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--engine", action="append", choices=list(ENGINES), help="may be repeated; default: all")
    add("--operation", action="append", choices=names, help="may be repeated; default: all")
    add("--resource", action="append", choices=list(engines.RESOURCES), help="default: plain")
    add("--rounds", type=int, default=80, help="slices of each side; default: %(default)s")
    add("--json", type=Path, metavar="FILE", help="write the results there")
    add("--compare", type=Path, metavar="FILE", help="mark, and exit with 1, what is worse")
    add("--profile", choices=names, metavar="OPERATION", help="print a profile instead")
    add("--lines", type=int, default=40, help="of the profile; default: %(default)s")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds: expected 1 or more")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    logging.getLogger().setLevel(logging.WARNING)
    chosen = [op for op in OPERATIONS if op.name in (options.operation or [op.name])]
    resources = options.resource or ["plain"]
    with ExitStack() as stack:
        benches = engines.start(stack, options.engine or list(ENGINES))
        if options.profile:
            (operation,) = (op for op in OPERATIONS if op.name == options.profile)
            for bench in benches:
                profile(bench, operation, resources[0], options.lines)
            return 0
        try:
            return run(benches, chosen, resources, options)
        except DifferentError as error:
            print(error, file=sys.stderr)
            return 2


def run(
    benches: Iterable[Bench],
    operations: Sequence[Operation],
    resources: Sequence[str],
    options: argparse.Namespace,
) -> int:
    """Print the table as it is made; return the exit code."""
    recorded = load(options.compare) if options.compare else {}
    print(f"Microseconds per request, of which {overhead():.1f} are the benchmark's own.\n")
    print(heading(), flush=True)
    results: list[Result] = []
    for bench in benches:
        if not bench.engine.to_hello:
            check(bench.limit_collection, bench.limit_toolkit, bench.limit)
        with frozen():
            for resource, operation in itertools.product(resources, operations):
                result = measure(bench, operation, resource, options.rounds)
                known = recorded.get(result.key)
                if is_worse(result, known):  # or something else was going on
                    again = measure(bench, operation, resource, options.rounds)
                    result = min(result, again, key=attrgetter("ratio"))
                print(line(result, known, _beyond_memory(result, results)), flush=True)
                results.append(result)
    if options.json:
        save(options.json, results)
    return int(any(is_worse(result, recorded.get(result.key)) for result in results))


def _beyond_memory(result: Result, earlier: Iterable[Result]) -> float | None:
    """Return the difference from the memory engine, None without a goal or a measurement."""
    if result.resource != "plain" or result.operation not in ENGINES[result.engine].beyond_memory:
        return None
    in_memory = ("memory", result.resource, result.operation)
    return next((result.toolkit - each.toolkit for each in earlier if each.key == in_memory), None)


if __name__ == "__main__":
    sys.exit(main())
