"""Durations of the JavaScript client for collections of several sizes, in Node and in Chromium.

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
from multiprocessing.connection import Connection
from pathlib import Path

import waitress

from benchmarks.toolkit import make_app

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


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 5_000, 20_000])
    options = parser.parse_args(argv)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = multiprocessing.Process(target=serve, args=(folder, sender), daemon=True)
        process.start()
        try:
            command = ["node", str(SCRIPT), receiver.recv(), *map(str, options.sizes)]
            env = {**os.environ, "CHROMIUM": shutil.which("chromium") or ""}
            return subprocess.run(command, env=env).returncode
        finally:
            process.terminate()
            process.join()


if __name__ == "__main__":
    sys.exit(main())
