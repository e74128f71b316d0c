"""Cost of single hostile requests of an ordinary user: processor, database and memory.

Each request is served in a process of its own, forked from one that has the application and 10 000
records of 500 bytes. The cost of a database in another process is its CPU time, because other
programs don't change it, unlike the elapsed time. ``--search`` combines parameters at random and
reports the requests that cost most for each byte of theirs."""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from benchmarks import engines, toolkit
from benchmarks.operations import CREDENTIALS, Request, request, send
from cliquet.drivers.postgresql import client as postgresql
from cliquet.drivers.redis import client as redis
from cliquet.testing import get_user_headers
from tests import postgresql_server, redis_server

RECORDS, RECORD_BYTES = 10_000, 500
PATH = "/v1/mushrooms"
BATCH = 25

#: Most seconds of the processor, seconds of the database's processor, and megabytes of a request.
MOST_CPU, MOST_DATABASE, MOST_MEGABYTES = 0.5, 1.0, 100
#: Most seconds of the database for a batch: the setting ``batch_timeout_seconds``.
MOST_DATABASE_OF_BATCH = 10.0


def authorization(user: str) -> str:
    """Return the header of a user."""
    return get_user_headers(user)["Authorization"]


class Cost(NamedTuple):
    """The cost of a request: seconds, megabytes and bytes."""

    status: int
    cpu: float
    database: float
    megabytes: float
    sent: int
    received: int

    def verdict(self, is_batch: bool) -> str:
        """Return whether the cost is within the limits."""
        most_database = MOST_DATABASE_OF_BATCH if is_batch else MOST_DATABASE
        is_fine = self.cpu <= MOST_CPU and self.database <= most_database
        return "ok" if is_fine and self.megabytes <= MOST_MEGABYTES else "too much"


def raw(target: str, body: bytes) -> Request:
    """Return a POST with a body of JSON."""
    environ = request("POST", target, {}).environ
    return Request({**environ, "CONTENT_LENGTH": str(len(body))}, body)


def get(query: str, user: str = CREDENTIALS) -> Request:
    return request("GET", f"{PATH}?{query}" if query else PATH, user=user)


def post(data: str) -> Request:
    """Return the creation of a record whose field ``a`` has a value, as JSON."""
    body = f'{{"data": {{"name": "x", "size": 1, "edible": true, "a": {data}}}}}'
    return raw(PATH, body.encode())


def batch(paths: Iterable[str]) -> Request:
    requests = [{"path": path} for path in paths]
    return request("POST", "/v1/batch", {"requests": requests})


def filters(count: int) -> str:
    return "&".join(f"not_field{number}=x" for number in range(count))


def sorts(count: int) -> str:
    return "_sort=" + ",".join(f"field{number}" for number in range(count))


def fields(count: int) -> str:
    return "_fields=" + ",".join(f"name.{number}" for number in range(count))


def values(operator: str, count: int) -> str:
    return f"{operator}_name=" + ",".join(f"text{number}" for number in range(count))


def alternatives(*objects: dict[str, Any]) -> str:
    return "_or=" + quote(json.dumps(objects))


def any_of_pairs(name: str, value: str, count: int = 100) -> str:
    """Return 20 alternatives, whose pairs are ``count`` in all.

    :param name: a parameter; ``{}`` in it and in the value is the number of the pair.
    """
    pairs = [(name.format(number), value.format(number)) for number in range(count)]
    return alternatives(*(dict(pairs[first::20]) for first in range(20)))


def almost_matching(number: int) -> dict[str, Any]:
    """Return five pairs, the first four of which match every record."""
    first = {"has_rest": True, "min_size": 0, "not_name": str(number), "edible": True}
    return {**first, "gt_size": RECORDS + number}


def on_arrays(query: str, user: str = "arrays") -> Request:
    """Return a request for a page of records with long arrays."""
    return get(f"{query}&_limit=20", authorization(user))


def any_array_of(*values: Any) -> str:
    """Return an alternative for each value: that the array contains it."""
    return alternatives(*({"contains_rest": [value]} for value in values))


def batched(query: str) -> Request:
    return batch([f"{PATH}?{query}&_={number}" for number in range(BATCH)])


#: The requests that determined the limits, and others as large as the limits allow.
REQUESTS: dict[str, Callable[[], Request]] = {
    "list": lambda: get(""),
    "list, 9 000 names in _fields": lambda: get(fields(9_000)),
    "list, 100 names in _fields": lambda: get(fields(100)),
    "list, 100 filters": lambda: get(filters(100)),
    "list, 20 filters": lambda: get(filters(20)),
    "list, 20 sort fields": lambda: get(sorts(20)),
    "list, 5 sort fields": lambda: get(sorts(5)),
    "list, in_ with 50 000 values": lambda: get(values("in", 50_000)),
    "list, in_ with 1 000 values": lambda: get(values("in", 1_000)),
    "list, 20 exclude_ of 1 000 values": lambda: get(
        "&".join(f"exclude_f{n}={','.join(map(str, range(1000)))}" for n in range(20))
    ),
    "page of 20, 20 filters, 5 sort fields": lambda: get(f"{filters(20)}&{sorts(5)}&_limit=20"),
    "page of 20, _or with 100 different fields": lambda: get(
        f"{any_of_pairs('lt_field{}', 'x')}&_limit=20"
    ),
    "page of 20, _or whose last pairs don't match": lambda: get(
        f"{alternatives(*map(almost_matching, range(20)))}&_limit=20"
    ),
    "page of 20, _or with 20 patterns": lambda: get(
        f"{any_of_pairs('like_rest', 'y{}', 20)}&_limit=20"
    ),
    "page of 20, pattern of 17 parts": lambda: get(f"like_rest={'*x' * 16}y&_limit=20"),
    "page of 20, 5 patterns": lambda: get(
        "&".join(f"like_rest={'x' * number}" for number in range(400, 405)) + "&_limit=20"
    ),
    "page of 20, 5 nested sort fields": lambda: get(
        f"_sort={','.join('rest' + '.a' * number for number in range(26, 31))}&_limit=20"
    ),
    "page of 20, 20 nested filters": lambda: get(
        "&".join(f"not_rest{'.a' * number}=x" for number in range(10, 30)) + "&_limit=20"
    ),
    "page of 20, contains_ with 20 values": lambda: get(f"{values('contains', 20)}&_limit=20"),
    "page of 20, arrays, contains_any_ with 20 values": lambda: on_arrays(
        f"contains_any_rest={json.dumps(list(range(-20, 0)))}"
    ),
    "page of 20, arrays, 20 contains_ that match": lambda: on_arrays(
        "&".join(["contains_rest=[5]"] * 20)
    ),
    "page of 20, arrays, _or with 20 contains_": lambda: on_arrays(any_array_of(*range(-20, 0))),
    "page of 20, arrays, _or with 20 long integers": lambda: on_arrays(
        any_array_of(*range(2**53, 2**53 + 20))
    ),
    "page of 20, arrays, _or with 20 objects": lambda: on_arrays(
        any_array_of(*({"a": number} for number in range(20)))
    ),
    "page of 20, arrays, sorted by them": lambda: on_arrays("_sort=rest,rest.a"),
    "page of 20, objects, contains_ that matches": lambda: on_arrays(
        "contains_rest=[{}]", "objects"
    ),
    "page of 20, objects, 20 contains_ that match": lambda: on_arrays(
        "&".join(["contains_rest=[{}]"] * 20), "objects"
    ),
    "page of 20, objects, _or with 20 contains_": lambda: on_arrays(
        any_array_of(*({"a": number} for number in range(20))), "objects"
    ),
    "page of 20, 19 filters, _or with 100 pairs": lambda: get(
        f"{filters(19)}&{alternatives(*map(almost_matching, range(20)))}&_limit=20"
    ),
    "HEAD, 20 filters": lambda: request("HEAD", f"{PATH}?{filters(20)}"),
    "batch of 25 lists": lambda: batched(""),
    "batch of 25 lists, 960 names in _fields": lambda: batched(fields(960)),
    "batch of 25 lists, 100 names in _fields": lambda: batched(fields(100)),
    "batch of 25 lists, 100 filters": lambda: batched(filters(100)),
    "batch of 25 lists, 20 filters": lambda: batched(filters(20)),
    "batch of 25 lists, 20 sort fields": lambda: batched(sorts(20)),
    "batch of 25 lists, 5 sort fields": lambda: batched(sorts(5)),
    "POST, 3.5 million []": lambda: post("[" + "[]," * 3_500_000 + "[]]"),
    "POST, 40 000 []": lambda: post("[" + "[]," * 40_000 + "[]]"),
    "POST, 5 million integers": lambda: post("[" + "1," * 5_000_000 + "1]"),
    "POST, 49 000 integers": lambda: post("[" + "1," * 49_000 + "1]"),
    "POST, a million keys": lambda: post(json.dumps(dict.fromkeys(map(str, range(10**6)), 1))),
    "POST, 20 000 keys": lambda: post(json.dumps(dict.fromkeys(map(str, range(20_000)), 1))),
    "POST, integers of 4 299 digits": lambda: post("[" + ("9" * 4299 + ",") * 2_000 + "1]"),
    "POST, integers of 1 000 digits": lambda: post("[" + ("9" * 1000 + ",") * 250 + "1]"),
    "POST, text of 100 MB": lambda: post('"' + "x" * 100_000_000 + '"'),
    "POST, text of 250 kB": lambda: post('"' + "x" * 250_000 + '"'),
    "batch, defaults of 40 000 values": lambda: request(
        "POST",
        "/v1/batch",
        {
            "defaults": {
                "method": "POST",
                "path": PATH,
                "body": {"data": {"name": "x", "size": 1, "edible": True, "a": [1] * 40_000}},
            },
            "requests": [{}] * BATCH,
        },
    ),
    "batch of 25, 1 900 values each": lambda: request(
        "POST",
        "/v1/batch",
        {
            "defaults": {"method": "POST", "path": PATH},
            "requests": [
                {"body": {"data": {"name": "x", "size": 1, "edible": True, "a": [1] * 1_900}}}
            ]
            * BATCH,
        },
    ),
    "batch of 25 invalid records": lambda: request(
        "POST",
        "/v1/batch",
        {
            "defaults": {"method": "POST", "path": PATH},
            "requests": [{"body": {"data": {"name": ["x" * 9_000]}}}] * BATCH,
        },
    ),
}


#: The values of the field ``rest``, by user and number of the record.
RESTS: dict[str, Callable[[int], Any]] = {
    CREDENTIALS: lambda number: "x" * (RECORD_BYTES - 60),
    authorization("arrays"): lambda number: [5] * (RECORD_BYTES // 2 - 33) + [number],
    authorization("objects"): lambda number: [{}] * (RECORD_BYTES // 3 - 22) + [number],
}


def fill(app: Any) -> None:
    """Store the records, without HTTP."""
    for user, rest in RESTS.items():
        userid = send(app, request("GET", "/v1/", user=user)).json["user"]["id"]
        for number in range(RECORDS):
            record = {"name": f"m{number}", "size": number, "edible": True, "rest": rest(number)}
            app.registry.storage.create("mushroom", userid, record)


def measure(app: Any, http_request: Request) -> Cost:
    """Serve a request in a process of its own, and return what it cost."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        send(app, request("GET", "/v1/mushrooms?_limit=1"))  # connect
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
        before, database, cpu = _memory("VmRSS"), _database_seconds(app), time.process_time()
        response = send(app, http_request)
        cpu, database = time.process_time() - cpu, _database_seconds(app) - database
        sent = len(http_request.environ["PATH_INFO"]) + len(http_request.environ["QUERY_STRING"])
        sent += len(http_request.body)
        megabytes = _memory("VmHWM") - before
        cost = Cost(response.status, cpu, database, megabytes, sent, len(response.body))
        os.write(writer, json.dumps(cost).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    return Cost(*json.loads(content))


def _database_seconds(app: Any) -> float:
    """Return the CPU time of the database's process so far, 0 if it is in this one."""
    client = getattr(app.registry.storage, "_client", None)
    if isinstance(client, redis.Client):
        usage = client.call("INFO", "cpu")
        return float(usage["used_cpu_user"] + usage["used_cpu_sys"])
    if not isinstance(client, postgresql.Client):
        return 0.0  # in this process
    ((pid,),) = client.read("SELECT pg_backend_pid()")
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(name: str) -> float:
    """Return a figure of the memory of this process, in megabytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def combinations(chance: random.Random) -> Iterator[Request]:
    """Return random requests of moderate size, without end."""
    names = ("name", "size", "edible", "rest", "missing", "id", "last_modified", "rest.a")
    operators = ("", "not_", "min_", "max_", "gt_", "lt_", "in_", "exclude_")
    texts = ("x", "5", "m1", "true", '"5"', "1,2,3", "x" * 200, "1e300", "")
    while True:
        parts = []
        for _ in range(chance.randrange(21)):
            field = f"{chance.choice(operators)}{chance.choice(names)}"
            parts.append(f"{field}={chance.choice(texts)}")
        if chance.random() < 0.6:
            parts.append("_sort=" + ",".join(chance.choices(names, k=chance.randrange(1, 6))))
        if chance.random() < 0.3:
            parts.append("_fields=" + ",".join(chance.choices(names, k=chance.randrange(1, 99))))
        if chance.random() < 0.3:
            parts.append(f"_since={chance.randrange(2)}")
        if chance.random() < 0.3:
            parts.append(f"_limit={chance.choice((1, 20, 1000, 10**9))}")
        query = "&".join(parts)
        yield batched(query) if chance.random() < 0.2 else get(query)


def rows(app: Any, options: argparse.Namespace) -> Iterator[tuple[str, Cost]]:
    """Measure the requests that the options select."""
    if options.search:
        result = []
        for http_request, _ in zip(
            combinations(random.Random(0)), range(options.search), strict=False
        ):
            cost = measure(app, http_request)
            title = http_request.environ["QUERY_STRING"] or http_request.body.decode("latin-1")
            result.append(((cost.cpu + cost.database) / max(1, cost.sent), title[:70], cost))
        for _, title, cost in sorted(result, reverse=True)[: options.first]:
            yield title, cost
        return
    for title, make in REQUESTS.items():
        if options.only in title:
            yield title, measure(app, make())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--engine", action="append", choices=engines.ENGINES)
    parser.add_argument("--only", default="", help="requests whose title contains this")
    parser.add_argument("--search", type=int, default=0, help="how many random requests to try")
    parser.add_argument("--first", type=int, default=20, help="how many of them to show")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with ExitStack() as stack:
        for name in options.engine or engines.ENGINES:
            app = toolkit.make_app(_backends(stack, name))
            fill(app)
            print(f"\n{name}, {RECORDS} records of {RECORD_BYTES} bytes")
            print(f"{'status':>6} {'cpu s':>7} {'db s':>7} {'MB':>6} {'sent':>11} {'received':>11}")
            for title, cost in rows(app, options):
                status, cpu, database, megabytes, sent, received = cost
                verdict = cost.verdict(is_batch="batch" in title or "requests" in title)
                print(
                    f"{status:>6} {cpu:7.3f} {database:7.3f} {megabytes:6.0f} {sent:>11} "
                    f"{received:>11}  {title}  {verdict}",
                    flush=True,
                )


def _backends(stack: ExitStack, name: str) -> dict[str, str]:
    if name == "sqlite":
        return engines.backends(name, f"sqlite:///{stack.enter_context(engines.temporary_file())}")
    if name == "postgresql":
        return engines.backends(name, stack.enter_context(postgresql_server.temporary_database()))
    return engines.backends(name, redis_server.database_url(1) if name == "redis" else "")


if __name__ == "__main__":
    main()
