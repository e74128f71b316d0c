"""The engines, what is compared with the toolkit on each, and the goals."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any, NamedTuple

from benchmarks import limit, limit_postgresql, limit_sqlite, toolkit
from benchmarks.operations import Collection, request, send
from tests import postgresql_server, redis_server

KINDS = ("storage", "permission", "cache")
RESOURCES = {"plain": "mushroom", "shareable": "lichen"}

#: Highest ratios to the limit, which uses the same tables.
_ON_POSTGRESQL = {
    "get": 1.6,
    "list": 1.3,
    "page": 1.5,
    "304": 1.8,
    "post": 1.4,
    "put": 1.5,
    "patch": 1.3,
    "delete": 1.5,
    "batch": 1.4,
}

#: Highest ratios to the limit's hello, a bare Pyramid application.
_IN_MEMORY = {
    "hello": 4.0,
    "get": 6.3,
    "list": 17.0,
    "304": 5.5,
    "post": 11.0,
    "put": 11.0,
    "patch": 11.0,
    "batch": 225.0,
}

#: Highest ratio of a shareable resource to the goal of a plain one, on PostgreSQL.
_OF_SHAREABLE = dict.fromkeys(("get", "list", "post", "patch"), 1.5)
_OF_REDIS = 1.5

#: Most microseconds that SQLite may add to the time of the memory engine.
_BEYOND_MEMORY = {
    **dict.fromkeys(("get", "list", "page", "304"), 60),
    **dict.fromkeys(("post", "put", "patch", "delete"), 150),
    "batch": 1500,
}

_REDIS_DATABASE = 9


class Engine(NamedTuple):
    """An engine.

    :param goals: highest ratios of plain resources, by operation.
    :param of_shareable: by which the goals are multiplied for shareable resources.
    :param to_hello: whether the ratios are to the limit's hello.
    :param beyond_memory: most microseconds beyond the time of the memory engine, by operation.
    """

    name: str
    goals: dict[str, float]
    of_shareable: dict[str, float] = {}
    to_hello: bool = False
    beyond_memory: dict[str, int] = {}


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("memory", _IN_MEMORY, to_hello=True),
        Engine("sqlite", {}, beyond_memory=_BEYOND_MEMORY),
        Engine("redis", {name: ratio * _OF_REDIS for name, ratio in _ON_POSTGRESQL.items()}),
        Engine("postgresql", _ON_POSTGRESQL, _OF_SHAREABLE),
    )
}


def goal(engine: Engine, operation: str, resource: str) -> float | None:
    """Return the highest ratio that meets the goal, None without a goal."""
    ratio = engine.goals.get(operation)
    factor = 1.0 if resource == "plain" else engine.of_shareable.get(operation)
    return None if ratio is None or factor is None else ratio * factor


class Bench(NamedTuple):
    """An engine, ready to be measured.

    :param toolkit: the WSGI application of the toolkit.
    :param collections: its records, by kind of resource.
    :param limit: the WSGI application to compare with.
    :param limit_toolkit: the toolkit's application on the same tables as the limit.
    :param limit_collection: the records of these.
    """

    engine: Engine
    toolkit: Any
    collections: dict[str, Collection]
    limit: Any
    limit_toolkit: Any
    limit_collection: Collection


def start(stack: ExitStack, names: Iterable[str]) -> Iterator[Bench]:
    """Start the engines, one after the other; what they need ends with the stack."""
    places = _Places(stack)
    for name in names:
        app = toolkit.make_app(places.backends(name))
        collections = _collections(app)
        if name == "redis":
            beside = toolkit.make_app(places.backends("postgresql"))
            beside_collection = _collections(beside)["plain"]
        else:
            beside, beside_collection = app, collections["plain"]
        store = places.store(name)
        if store is not None:
            stack.callback(store.close)
        by_hand = limit.make_app(store, toolkit.SECRET)
        yield Bench(ENGINES[name], app, collections, by_hand, beside, beside_collection)


def backends(name: str, url: str) -> dict[str, str]:
    """Return the settings of an engine at a URL."""
    settings = {}
    for kind in KINDS:
        settings[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.{name}"
        settings[f"cliquet.{kind}_url"] = url
    return settings


@contextmanager
def temporary_file() -> Iterator[str]:
    """Give the path of a file that will be made, in a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="cliquet-benchmark-") as folder:
        yield f"{folder}/benchmark.sqlite"


class _Places:
    """Settings of the backends, which exist until the stack is closed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def backends(self, name: str) -> dict[str, str]:
        """Return the settings of an engine."""
        return backends(name, getattr(self, f"_{name}", ""))

    def store(self, name: str) -> Any:
        """Return what the limit keeps its records in, None where it serves no more than hello."""
        if name == "memory":
            return None
        if name == "sqlite":
            return limit_sqlite.Store(self._file)
        return limit_postgresql.Store(limit_postgresql.Pool(self._postgresql))

    @property
    def _sqlite(self) -> str:
        return f"sqlite:///{self._file}"

    @cached_property
    def _file(self) -> str:
        return self._stack.enter_context(temporary_file())

    @cached_property
    def _postgresql(self) -> str:
        return self._stack.enter_context(postgresql_server.temporary_database())

    @cached_property
    def _redis(self) -> str:
        return redis_server.database_url(_REDIS_DATABASE)


def _collections(app: Any) -> dict[str, Collection]:
    user = send(app, request("GET", "/v1/")).json["user"]["id"]
    return {
        "plain": Collection(app, RESOURCES["plain"]),
        "shareable": Collection(app, RESOURCES["shareable"], {"read": [user]}),
    }
