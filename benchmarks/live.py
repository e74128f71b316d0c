"""Streams of changes on one process: delay, missed changes and memory.

The server is uvicorn with ``cliquet.asgi``. Each user has a collection, some streams, and a writer
that creates records at a constant rate. Every stream keeps a copy, which is compared with the list
at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from base64 import b64encode
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from benchmarks.load import ENGINES, started

_PATH = "/v1/mushrooms"
_LARGEST_LINE = 1 << 24  # bytes


def rss(pid: int) -> int:
    """Return the resident memory of a process in KB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def cpu(pid: int) -> float:
    """Return the CPU time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class User:
    """A user with a collection.

    :param name: the name.
    """

    def __init__(self, port: int, name: str) -> None:
        self.port = port
        credentials = b64encode(f"{name}:secret".encode()).decode()
        self.headers = f"Host: localhost\r\nAuthorization: Basic {credentials}\r\n"
        #: The copies of the streams, by id.
        self.copies: list[dict[str, Any]] = []
        self.delays: list[float] = []
        self.written = 0

    async def connect(
        self, method: str, accept: str = "application/json"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=_LARGEST_LINE)
        request = f"{method} {_PATH} HTTP/1.1\r\n{self.headers}Accept: {accept}\r\n"
        writer.write(request.encode() if method == "POST" else f"{request}\r\n".encode())
        return reader, writer

    async def follow(self, is_ready: asyncio.Semaphore) -> None:
        """Stream the list into a copy."""
        copy: dict[str, Any] = {}
        self.copies.append(copy)
        async with is_ready:
            reader, _ = await self.connect("GET", "text/event-stream")
            await reader.readuntil(b"\r\n\r\n")
        while line := await reader.readline():
            if line.startswith(b"data: "):
                now = time.time()
                for record in json.loads(line[6:])["data"]:
                    copy[record["id"]] = record
                    self.delays.append(now - float(record["name"]))

    async def write(self, interval: float, until: float) -> None:
        """Create records."""
        while time.time() < until:
            began = time.time()
            await self.create()
            await asyncio.sleep(max(0, interval - (time.time() - began)))

    async def create(self) -> None:
        record = {"name": repr(time.time()), "edible": True, "size": 1}
        body = json.dumps({"data": record})
        head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        reader, writer = await self.connect("POST")
        writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
        response = await reader.read()
        assert response.startswith(b"HTTP/1.1 201"), response
        writer.close()
        self.written += 1

    async def missed(self) -> int:
        """Return the number of copies that differ from the list."""
        reader, writer = await self.connect("GET")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        records = json.loads(await reader.readexactly(length))["data"]
        writer.close()
        expected = {record["id"]: record for record in records}
        return sum(copy != expected for copy in self.copies)


async def measure(port: int, pid: int, options: argparse.Namespace) -> dict[str, float]:
    """Return the results by name."""
    users = [User(port, f"user{n}") for n in range(options.collections)]
    for user in users:
        await user.create()
    before = rss(pid)
    is_ready = asyncio.Semaphore(50)
    streams = [
        asyncio.create_task(users[n % len(users)].follow(is_ready)) for n in range(options.streams)
    ]
    while sum(map(len, (copy for user in users for copy in user.copies))) < options.streams:
        await asyncio.sleep(0.1)
    per_stream = (rss(pid) - before) / options.streams
    for user in users:
        user.delays.clear()
    interval = options.collections / options.rate
    until, cpu_before = time.time() + options.seconds, cpu(pid)
    await asyncio.gather(*(user.write(interval, until) for user in users))
    await asyncio.sleep(options.wait)
    used = cpu(pid) - cpu_before
    missed = sum([await user.missed() for user in users])
    for stream in streams:
        stream.cancel()
    delays = [delay for user in users for delay in user.delays]
    percentiles = quantiles(delays, n=100)
    return {
        "streams": options.streams,
        "writes per second": sum(user.written for user in users) / options.seconds,
        "median delay (ms)": percentiles[49] * 1000,
        "99 % (ms)": percentiles[98] * 1000,
        "copies that miss changes": missed,
        "server CPU per change and stream (ms)": used / len(delays) * 1000,
        "memory per stream (KB)": per_stream,
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the results; return 1 if changes were missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="postgresql")
    parser.add_argument("--threads", type=int, default=8, help="of the server")
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--collections", type=int, default=50)
    parser.add_argument("--rate", type=float, default=100, help="writes per second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--wait", type=float, default=5, help="seconds after the last write")
    parser.set_defaults(server="uvicorn", processes=1)
    options = parser.parse_args(arguments)
    with started(options) as (url, pid):
        results = asyncio.run(measure(urlsplit(url).port or 0, pid, options))
    for name, value in results.items():
        print(f"{name:>38}: {value:.2f}")
    return int(results["copies that miss changes"] > 0)


if __name__ == "__main__":
    sys.exit(main())
