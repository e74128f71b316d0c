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

#: At most so many times what the limit takes, on the same tables.
_ON_POSTGRESQL = {
    "get": 1.8,
    "list": 1.3,
    "304": 2.2,
    "post": 1.3,
    "put": 1.35,
    "patch": 1.3,
    "batch": 2.1,
}

#: At most so many microseconds, on a machine where the limit's hello takes 40.
_IN_MEMORY = {
    "hello": 110,
    "get": 125,
    "list": 270,
    "304": 125,
    "post": 225,
    "put": 240,
    "patch": 210,
    "batch": 4500,
}
_LIMITS_HELLO = 40

_REDIS_DATABASE = 9

_OF_SQLITE, _OF_REDIS, _OF_SHAREABLE = 1.5, 1.5, 1.4


class Engine(NamedTuple):
    """An engine.

    :param goals: ratios, at most, by operation.
    :param to_hello: whether the ratios are to the limit's hello.
    """

    name: str
    goals: dict[str, float]
    to_hello: bool = False


_OPERATIONS = (*_ON_POSTGRESQL, "page", "delete")

ENGINES = {
    engine.name: engine
    for engine in (
        Engine("memory", {name: us / _LIMITS_HELLO for name, us in _IN_MEMORY.items()}, True),
        Engine("sqlite", dict.fromkeys(_OPERATIONS, _OF_SQLITE)),
        Engine("redis", {name: ratio * _OF_REDIS for name, ratio in _ON_POSTGRESQL.items()}),
        Engine("postgresql", _ON_POSTGRESQL),
    )
}


def goal(engine: Engine, operation: str, resource: str) -> float | None:
    """Return the greatest ratio that is wanted, None if there is no goal."""
    found = engine.goals.get(operation)
    return found and found * (_OF_SHAREABLE if resource == "shareable" else 1)


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
