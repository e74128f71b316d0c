"""The engines, what is compared with the toolkit on each, and the goals."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import limit, limit_postgresql, limit_sqlite, toolkit
from benchmarks.operations import Collection, request, send
from tests import redis_server, servers

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
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cliquet-benchmark-")))
    stack.callback(servers.stop)
    for name in names:
        app = toolkit.make_app(_backends(name, folder))
        collections = _collections(app)
        if name == "redis":
            beside = toolkit.make_app(_backends("postgresql", folder))
            beside_collection = _collections(beside)["plain"]
        else:
            beside, beside_collection = app, collections["plain"]
        store = _store(name, folder)
        if store is not None:
            stack.callback(store.close)
        by_hand = limit.make_app(store, toolkit.SECRET)
        yield Bench(ENGINES[name], app, collections, by_hand, beside, beside_collection)


def _url(name: str, folder: Path) -> str:
    if name == "postgresql":
        return servers.postgresql_url()
    if name == "redis":
        return redis_server.database_url(0)
    return f"sqlite:///{folder}/benchmark.sqlite" if name == "sqlite" else ""


def _backends(name: str, folder: Path) -> dict[str, Any]:
    backends = {}
    for kind in ("storage", "permission", "cache"):
        backends[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.{name}"
        backends[f"cliquet.{kind}_url"] = _url(name, folder)
    return backends


def _store(name: str, folder: Path) -> Any:
    """Return what the limit keeps its records in, None where it serves no more than hello."""
    if name == "memory":
        return None
    if name == "sqlite":
        return limit_sqlite.Store(f"{folder}/benchmark.sqlite")
    return limit_postgresql.Store(limit_postgresql.Pool(_url("postgresql", folder)))


def _collections(app: Any) -> dict[str, Collection]:
    user = send(app, request("GET", "/v1/")).json["user"]["id"]
    return {
        "plain": Collection(app, RESOURCES["plain"]),
        "shareable": Collection(app, RESOURCES["shareable"], {"read": [user]}),
    }
