"""The engines on which the contract of the permission backends is tested."""

from importlib import import_module

import pytest

from tests import postgresql_server, redis_server
from tests.configuration import backend_config

ENGINES = {
    "memory": lambda folder: {},
    "sqlite": lambda folder: {"permission_url": f"sqlite:///{folder}/permission.sqlite"},
    "postgresql": lambda folder: {"permission_url": postgresql_server.shared_url()},
    "redis": lambda folder: {"permission_url": redis_server.database_url(2)},
}
TRANSACTIONAL = {"memory", "sqlite", "postgresql"}


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def make_backend(engine, tmp_path):
    """A function of settings that makes the backend of one more application on the database."""

    def make(**settings):
        config = backend_config({**ENGINES[engine](tmp_path), **settings})
        backend = import_module(f"cliquet.permission.{engine}").load_from_config(config)
        backend.initialize_schema()
        return backend

    return make


@pytest.fixture
def backend(make_backend):
    backend = make_backend()
    yield backend
    backend.flush()


@pytest.fixture
def transactional(engine):
    if engine not in TRANSACTIONAL:
        pytest.skip(f"{engine} has no transactions")
