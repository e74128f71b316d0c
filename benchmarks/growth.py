"""Duration of requests by the number of records in a collection, on PostgreSQL.

    python -m benchmarks.growth --sizes 1000 100000 1000000

Users of one database have a collection of each size. The WSGI application is called in this
process, and the sizes are measured in turn: what slows down the machine slows down all of
them. The table shows medians, in milliseconds, and the last one as a multiple of the first.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import random
import sys
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg2

from benchmarks.operations import Request, Response, record, request, send
from benchmarks.toolkit import make_app
from tests import postgresql_server

SMALLEST = 1_000  # records, for some to be in the middle
STEP = 5  # milliseconds between two records
SEED = 42

#: As many rounds are enough for what grows with the size.
SLOW_ROUNDS = 5

#: The indexes of the guide, on fields that have copies without an index.
INDEXES = """
CREATE INDEX cliquet_records_by_size ON cliquet_records
 (collection, cliquet_key(data -> 'size'), last_modified DESC);
CREATE INDEX cliquet_records_by_rare ON cliquet_records
 (collection, cliquet_key(data -> 'rare'), last_modified DESC);
CREATE INDEX cliquet_records_by_finder ON cliquet_records (collection,
 cliquet_key(coalesce(data -> 'finder.name', data -> 'finder' -> 'name')), last_modified DESC);
CREATE INDEX cliquet_records_by_label ON cliquet_records
 USING gin (cliquet_trigrams(data -> 'label'));
CREATE INDEX cliquet_records_by_tags ON cliquet_records
 USING gin (((data -> 'tags')::jsonb) jsonb_path_ops)"""

#: Records of a collection that have the field ``rare``.
RARE = 10

COPY = "COPY cliquet_{} (collection, last_modified, id{}) FROM STDIN"

ADD_COLLECTION = """
INSERT INTO cliquet_collections (parent_id, collection_id, last_modified, count)
 VALUES (%s, 'mushroom', %s, %s) RETURNING collection"""


class User:
    """The user who has a collection of a size, and how long their requests take."""

    def __init__(self, app: Any, size: int) -> None:
        self.size = size
        self.ids = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(size)]
        self.latest = int(time.time() * 1000)
        self.created: list[str] = []
        self._app = app
        self._credentials = "Basic " + b64encode(f"{size}:secret".encode()).decode()
        self.parent_id = self.timed(self.request("GET", "/"))[1].json["user"]["id"]

    def request(self, method: str, path: str, data: Any = None) -> Request:
        body = None if data is None else {"data": data}
        return request(method, f"/v1{path}", body, self._credentials)

    def timed(self, http_request: Request) -> tuple[float, Response]:
        """Return how many milliseconds a request takes, and its response."""
        begin = time.perf_counter()
        response = send(self._app, http_request)
        elapsed = time.perf_counter() - begin
        if not 200 <= response.status < 300:
            raise RuntimeError(
                f"{http_request.environ['PATH_INFO']}: {response.status} {response.body!r}"
            )
        return elapsed * 1000, response

    def next_page(self, query: str, without: str) -> str:
        """Return the querystring of the page after that of ``query``, but for one parameter."""
        _, response = self.timed(self.request("GET", f"/mushrooms?{query}"))
        following = parse_qsl(urlsplit(response.headers["Next-Page"]).query)
        return urlencode([item for item in following if item[0] != without])

    @property
    def half(self) -> int:
        """The size, of a mushroom, in the middle."""
        return self.size // 2

    @property
    def recently(self) -> int:
        """The timestamp after which there are 90 records and 9 tombstones."""
        return self.latest - 90 * STEP

    @property
    def middle(self) -> int:
        """The timestamp of the record in the middle."""
        return self.latest - self.half * STEP

    def any_id(self) -> str:
        return random.choice(self.ids)


def mushroom(size: int, of: int) -> dict[str, Any]:
    """Return a record whose values few others have, with and without indexes.

    :param of: size of the collection.
    """
    data = {**record(size), "size": size, "weight": size}
    for field in ("", "_plain"):
        data[f"finder{field}"] = {"name": f"finder {size}"}
        data[f"label{field}"] = f"Label {size * 7919 % 10_000_019:08}"
        data[f"tags{field}"] = [f"tag {size}", "mushroom"]
        if size % (of // RARE) == 0:
            data[f"rare{field}"] = True
    return data


# The data


def load(connection: Any, user: User) -> None:
    """Fill the collection of a user, with one tombstone for ten records."""
    buried = user.size // 10
    with connection.cursor() as cursor:
        cursor.execute(ADD_COLLECTION, [user.parent_id, user.latest, user.size])
        ((collection,),) = cursor.fetchall()
        places = random.sample(range(user.size), user.size)
        first = user.latest - (user.size - 1) * STEP
        copy(
            cursor,
            COPY.format("records", ", data"),
            (
                f"{collection}\t{first + n * STEP}\t{id_}\t"
                f"{json.dumps(mushroom(place, user.size))}\n"
                for n, (id_, place) in enumerate(zip(user.ids, places, strict=True))
            ),
        )
        copy(
            cursor,
            COPY.format("tombstones", ""),
            (f"{collection}\t{first + n * 10 * STEP + 1}\tdead{n}\n" for n in range(buried)),
        )


def copy(cursor: Any, statement: str, lines: Iterable[str]) -> None:
    remaining = iter(lines)
    while chunk := "".join(itertools.islice(remaining, 50_000)):
        cursor.copy_expert(statement, io.StringIO(chunk))


def prepare(url: str, users: list[User]) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        for user in users:
            load(connection, user)
        with connection.cursor() as cursor:
            cursor.execute(INDEXES)
            cursor.execute("VACUUM ANALYZE")  # as the server does by itself, in a while
    finally:
        connection.close()


# The operations


def post(user: User) -> Request:
    user.created.append(str(uuid.uuid4()))
    data = {**mushroom(user.size + len(user.created), user.size), "id": user.created[-1]}
    return user.request("POST", "/mushrooms", data)


def put(user: User) -> Request:
    data = mushroom(random.randrange(user.size), user.size)
    return user.request("PUT", f"/mushrooms/{user.any_id()}", data)


def patch(user: User) -> Request:
    return user.request("PATCH", f"/mushrooms/{user.any_id()}", {"name": random.random().hex()})


def delete(user: User) -> Request:
    return user.request("DELETE", f"/mushrooms/{user.created.pop()}")


def get(user: User) -> Request:
    return user.request("GET", f"/mushrooms/{user.any_id()}")


def listed(query: str) -> Callable[[User], Request]:
    """Return a function that builds a list request; its query string can contain ``{user}``."""
    return lambda user: user.request("GET", f"/mushrooms?{query.format(user=user)}")


def after(query: str, but: str) -> Callable[[User], Request]:
    """Return a function that requests the page after that of a query string.

    :param but: the filter that finds the place to begin, which the page itself does without.
    """
    queries: dict[User, str] = {}

    def make(user: User) -> Request:
        if user not in queries:
            queries[user] = user.next_page(query.format(user=user), but)
        return user.request("GET", f"/mushrooms?{queries[user]}")

    return make


def found(query: str) -> Callable[[User], Request]:
    """Return a function that builds a list request with values of random records.

    :param query: ``{0}`` and ``{1}`` in it are the records, of which ``[label]`` and so on is a
        value.
    """

    def make(user: User) -> Request:
        sizes = random.sample(range(user.size), 2)
        values = [Value(mushroom(size, user.size)) for size in sizes]
        return user.request("GET", f"/mushrooms?{query.format(*values)}")

    return make


class Value(dict[str, Any]):
    """The values of a record in a query string."""

    def __getitem__(self, field: str) -> str:
        value = super().__getitem__(field)
        if isinstance(value, dict):
            value = value["name"]
        return quote(str(value[0] if isinstance(value, list) else value))


def alternatives(field: str) -> str:
    """Return the query string of two alternatives, for :func:`found`."""
    pairs = ",".join(f"%7B%22{field}%22:{{{number}[{field}]}}%7D" for number in range(2))
    return f"_or=[{pairs}]"


class Operation(NamedTuple):
    """A measured operation.

    :param goal: how many times the time of the smallest size that of the largest may be;
        None where it may grow as the size does.
    """

    name: str
    make: Callable[[User], Request]
    goal: float | None


# Deletions come after the creations that they undo.
OPERATIONS = (
    Operation("get", get, 1.15),
    Operation("list", listed("_limit=100"), 1.15),
    Operation("list, the oldest first", listed("_limit=100&_sort=last_modified"), 1.15),
    Operation("page by token", after("_limit=100&_before={user.middle}", "_before"), 1.15),
    Operation("_since, 99 changes", listed("_since={user.recently}"), 1.15),
    Operation("sort, with an index", listed("_limit=100&_sort=size"), 1.3),
    Operation(
        "sort by token, with an index",
        after("_limit=100&_sort=size&gt_size={user.half}", "gt_size"),
        1.3,
    ),
    Operation("filter, with an index", found("size={0[size]}"), 1.2),
    Operation("in_, with an index", found("in_size={0[size]},{1[size]}"), 1.2),
    Operation("_or, with an index", found(alternatives("size")), 1.2),
    Operation("has_, with an index", listed("has_rare=true"), 1.2),
    Operation("like_, with an index", found("like_label={0[label]}"), 3),
    Operation("contains_, with an index", found("contains_tags={0[tags]}"), 1.2),
    Operation("contains_any_, with an index", found("contains_any_tags={0[tags]},{1[tags]}"), 1.2),
    Operation("nested filter, with an index", found("finder.name={0[finder]}"), 1.2),
    Operation("nested sort, with an index", listed("_limit=100&_sort=finder.name"), 1.2),
    Operation("post", post, 1.15),
    Operation("put", put, 1.15),
    Operation("patch", patch, 1.15),
    Operation("delete", delete, 1.15),
    Operation("_since, half of the records", listed("_limit=100&_since={user.middle}"), None),
    Operation("filter, without index", found("weight={0[weight]}"), None),
    Operation("in_, without index", found("in_weight={0[weight]},{1[weight]}"), None),
    Operation("_or, without index", found(alternatives("weight")), None),
    Operation("has_, without index", listed("has_rare_plain=true"), None),
    Operation("like_, without index", found("like_label_plain={0[label]}"), None),
    Operation("contains_, without index", found("contains_tags_plain={0[tags]}"), None),
    Operation(
        "contains_any_, without index", found("contains_any_tags_plain={0[tags]},{1[tags]}"), None
    ),
    Operation("nested filter, without index", found("finder_plain.name={0[finder]}"), None),
    Operation("nested sort, without index", listed("_limit=100&_sort=finder_plain.name"), None),
)


# The measurements


def measure(operation: Operation, users: list[User], rounds: int) -> list[float]:
    """Return how many milliseconds an operation takes for each user, as medians."""
    times: dict[User, list[float]] = {user: [] for user in users}
    for user in users:
        user.timed(operation.make(user))
    for _ in range(rounds if operation.goal else min(rounds, SLOW_ROUNDS)):
        for user in random.sample(users, len(users)):
            times[user].append(user.timed(operation.make(user))[0])
    return [median(times[user]) for user in users]


def described(operation: Operation, times: list[float]) -> str:
    """Return the line of the table for an operation."""
    name, _, goal = operation
    ratio = times[-1] / times[0]
    figures = "".join(f"{milliseconds:>11.3f}" for milliseconds in times)
    missed = "  missed" if goal is not None and ratio > goal else ""
    return f"{name:<30}{figures}{ratio:>8.2f}{goal or 'linear':>8}{missed}"


def backends(url: str) -> Iterator[tuple[str, str]]:
    """Return the settings of the backends, all in one database."""
    # Without an index, a million records can take longer than the default allows.
    url += f"{'&' if '?' in url else '?'}options=-c%20statement_timeout%3D10min"
    for kind in ("storage", "permission", "cache"):
        yield f"cliquet.{kind}_backend", f"cliquet.{kind}.postgresql"
        yield f"cliquet.{kind}_url", url


@contextmanager
def database(url: str | None) -> Iterator[str]:
    """Give the URL of an empty database: on the server of ``url``, or on one of its own."""
    if url is not None:
        with postgresql_server.database_on(url) as own:
            yield own
        return
    with postgresql_server.private_server() as server:
        yield server.url


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[1_000, 100_000, 1_000_000],
        metavar="N",
        help=f"how many records the collections have, {SMALLEST} or more",
    )
    parser.add_argument("--url", help="of a PostgreSQL server, on which a database is made")
    parser.add_argument("--rounds", type=int, default=300, metavar="N", help="default: %(default)s")
    parser.add_argument("--only", default="", help="operations whose name contains this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args(argv)
    if min(options.sizes) < SMALLEST:
        parser.error(f"--sizes: expected {SMALLEST} or more")
    return options


def main(argv: list[str]) -> None:
    options = parse(argv)
    random.seed(SEED)
    sizes = sorted(set(options.sizes))
    with database(options.url) as url:
        app = make_app(dict(backends(url)))
        users = [User(app, size) for size in sizes]
        prepare(url, users)
        print(f"{'milliseconds':<30}{''.join(f'{n:>11}' for n in sizes)}   ratio    goal")
        table = {}
        for operation in OPERATIONS:
            if options.only not in operation.name:
                continue
            times = measure(operation, users, options.rounds)
            table[operation.name] = {"milliseconds": times, "goal": operation.goal}
            print(described(operation, times), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"sizes": sizes, "operations": table}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
