"""Durations of the clients in Node, Chromium and Python, for collections of several sizes.

    python -m benchmarks.clients --sizes 1000 5000 20000

The server is a process of its own and stores the records in SQLite. Chromium is left out
if it isn't installed. ``npm ci`` in ``clients/javascript`` is needed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import waitress

from benchmarks.toolkit import make_app
from cliquet.client import Client

SCRIPT = Path(__file__).parents[1] / "clients" / "javascript" / "benchmark" / "run.js"
KINDS = ("storage", "permission", "cache")
LIMITS = {"cliquet.paginate_by": 1000, "cliquet.batch_max_requests": 100}


def serve(folder: str, connection: Connection) -> None:
    """Serve the application of the benchmarks, and send the URL."""
    settings: dict[str, str | int] = dict(LIMITS)
    for kind in KINDS:
        settings[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.sqlite"
        settings[f"cliquet.{kind}_url"] = f"sqlite:///{folder}/benchmark.sqlite"
    server = waitress.create_server(make_app(settings), host="127.0.0.1", port=0)
    connection.send(f"http://127.0.0.1:{server.effective_port}/v1")
    server.run()


def measure(url: str, count: int) -> dict[str, float]:
    """Return the duration of each operation of the Python client, in milliseconds."""
    results = {}

    def measured(name: str, operation: Callable[[], object]) -> None:
        start = time.perf_counter()
        operation()
        results[name] = (time.perf_counter() - start) * 1000

    def push() -> None:
        record = {"size": 37, "edible": True, "place": "A wet meadow, beside the birches"}
        with client.batch() as batch:
            for number in range(count):
                batch.resource("/mushrooms").create({**record, "name": f"Mushroom {number}"})

    with Client(url, auth=(str(uuid.uuid4()), "secret")) as client:
        copy = client.copy("/mushrooms")
        measured("push", push)
        measured("first poll", copy.poll)
        measured("next poll", copy.poll)
        measured("list", lambda: list(client.resource("/mushrooms").list()))
    if not (copy.verified and len(copy.records) == count):
        raise AssertionError(f"{len(copy.records)} of {count} records, verified: {copy.verified}")
    return results


def report(url: str, sizes: list[int]) -> None:
    """Print the durations of the Python client."""
    rows = [measure(url, size) for size in sizes]
    print("\nPython, milliseconds")
    print("".join(f"{cell:>12}" for cell in ("operation", *sizes)))
    for name in rows[0]:
        print(f"{name:>12}" + "".join(f"{row[name]:12.2f}" for row in rows), flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 5_000, 20_000])
    options = parser.parse_args(argv)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = multiprocessing.Process(target=serve, args=(folder, sender), daemon=True)
        process.start()
        try:
            url = receiver.recv()
            report(url, options.sizes)
            command = ["node", str(SCRIPT), url, *map(str, options.sizes)]
            env = {**os.environ, "CHROMIUM": shutil.which("chromium") or ""}
            return subprocess.run(command, env=env).returncode
        finally:
            process.terminate()
            process.join()


if __name__ == "__main__":
    sys.exit(main())
