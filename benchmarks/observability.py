"""Cost of observability: logs at each level and in each format, StatsD, Prometheus.

    python -m benchmarks.observability --operation get batch --rounds 100

Applications on the memory engine are called in this process, in turns. The table shows the time of
a request in the fastest round, in microseconds, which other programs disturbed least, and its
difference from an application without the step that sets up the logs.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks import toolkit
from benchmarks.engines import KINDS
from benchmarks.operations import OPERATIONS, Collection, Operation
from benchmarks.requests import calls, frozen
from cliquet.settings.table import INITIALIZATION_SEQUENCE

_REQUESTS = 20  # of an operation, per round
_LOGGER = logging.getLogger("cliquet")


class Way(NamedTuple):
    """A way to be observed: the level of the logs, and settings."""

    level: int
    settings: Mapping[str, Any]


_WITHOUT_LOGS = [step for step in INITIALIZATION_SEQUENCE if "logging" not in step]

WAYS = {
    "no logs": Way(logging.WARNING, {"initialization_sequence": _WITHOUT_LOGS}),
    "INFO off": Way(logging.WARNING, {}),
    "classic": Way(logging.INFO, {}),
    "Heka": Way(logging.INFO, {"logging_renderer": "cliquet.logs.MozillaHekaRenderer"}),
    "JSON": Way(logging.INFO, {"logging_renderer": "structlog.processors.JSONRenderer"}),
    "logfmt": Way(logging.INFO, {"logging_renderer": "structlog.processors.LogfmtRenderer"}),
    "StatsD": Way(logging.WARNING, {"statsd_url": "udp://127.0.0.1:9"}),
    "Prometheus": Way(logging.WARNING, {"includes": "cliquet.prometheus"}),
}


def make_collection(way: Way) -> tuple[Any, Collection]:
    """Return an application that is observed so, and the records that it has."""
    engine = {f"cliquet.{kind}_backend": f"cliquet.{kind}.memory" for kind in KINDS}
    app = toolkit.make_app({**engine, **way.settings})
    return app, Collection(app, "mushroom")


def measure(operation: Operation, rounds: int) -> dict[str, float]:
    """Return how long a request takes in each way, in microseconds."""
    observed = {name: make_collection(way) for name, way in WAYS.items()}
    best = dict.fromkeys(WAYS, math.inf)
    with frozen():
        for _ in range(rounds):
            for name, (app, collection) in observed.items():
                _LOGGER.setLevel(WAYS[name].level)
                requests = operation.make(collection, _REQUESTS)
                taken = calls(app, requests, operation.status) / len(requests) * 1e6
                best[name] = min(best[name], taken)
                _LOGGER.setLevel(logging.WARNING)
                if operation.drifts:
                    collection.restore()
    return best


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [operation.name for operation in OPERATIONS]
    parser.add_argument("--operation", nargs="+", choices=names, default=["hello", "get", "post"])
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args(arguments)
    with open(os.devnull, "w") as nowhere:
        _LOGGER.addHandler(logging.StreamHandler(nowhere))
        _LOGGER.propagate = False
        for operation in OPERATIONS:
            if operation.name in options.operation:
                print_row(operation, measure(operation, options.rounds))


def print_row(operation: Operation, taken: Mapping[str, float]) -> None:
    base = taken["no logs"]
    for name, microseconds in taken.items():
        print(f"{operation.name:8}{name:12}{microseconds:9.1f}{microseconds - base:+9.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
