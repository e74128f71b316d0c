"""The engines, and their databases in tests."""

from importlib import import_module

import pytest

from tests import postgresql_server, redis_server
from tests.configuration import backend_config

TRANSACTIONAL = ("memory", "sqlite", "postgresql")
ENGINES = (*TRANSACTIONAL, "redis")


def url_of(engine, folder, number):
    """Return the URL of an engine's database.

    :param folder: the folder of the SQLite file.
    :param number: the number of the Redis database.
    """
    if engine == "postgresql":
        return postgresql_server.shared_url()
    if engine == "redis":
        return redis_server.database_url(number)
    return f"sqlite:///{folder}/cliquet.sqlite" if engine == "sqlite" else ""


def backend_maker(kind, engine, folder, number):
    """Return a function that creates a backend with some settings, like a new application."""

    def make(**settings):
        config = backend_config({f"{kind}_url": url_of(engine, folder, number), **settings})
        backend = import_module(f"cliquet.{kind}.{engine}").load_from_config(config)
        backend.initialize_schema()
        return backend

    return make


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def transactional(engine):
    if engine not in TRANSACTIONAL:
        pytest.skip(f"{engine} has no transactions")
