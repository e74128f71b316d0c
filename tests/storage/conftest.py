"""The engines on which the contract of the storage backends is tested."""

from contextlib import contextmanager
from functools import partial
from importlib import import_module

import pytest
import transaction
from pyramid.testing import DummyRequest

from cliquet import transactions
from tests import postgresql_server, redis_server, scenarios
from tests.configuration import backend_config

ENGINES = {
    "memory": lambda folder: {},
    "sqlite": lambda folder: {"storage_url": f"sqlite:///{folder}/storage.sqlite"},
    "postgresql": lambda folder: {"storage_url": postgresql_server.shared_url()},
    "redis": lambda folder: {"storage_url": redis_server.database_url(1)},
}
TRANSACTIONAL = {"memory", "sqlite", "postgresql"}


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def make_storage(engine, tmp_path):
    """A function of settings that makes the storage of one more application on the database."""

    def make(**settings):
        config = backend_config({**ENGINES[engine](tmp_path), **settings})
        storage = import_module(f"cliquet.storage.{engine}").load_from_config(config)
        storage.initialize_schema()
        return storage

    return make


@pytest.fixture
def storage(make_storage):
    storage = make_storage()
    yield storage
    storage.flush()


@pytest.fixture
def transactional(engine):
    if engine not in TRANSACTIONAL:
        pytest.skip(f"{engine} has no transactions")


@pytest.fixture
def serve():
    """A context: what is written in it belongs to a request, whose transaction ends with it.

    It gets the environment of a request that may run again.
    """

    @contextmanager
    def serve(environ=None):
        manager = transaction.TransactionManager(explicit=True)
        manager.begin()
        try:
            request = None if environ is None else DummyRequest(environ=environ)
            with transactions.RequestAttempt(manager, request):
                yield manager
        except BaseException:
            manager.abort()
            raise
        manager.commit()

    return serve


class Requests(transaction.TransactionManager):
    """One request after another: the end of a transaction is the beginning of the next."""

    def __init__(self):
        super().__init__(explicit=True)
        self.begin()

    def commit(self):
        super().commit()
        self.begin()

    def abort(self):
        super().abort()
        self.begin()


@pytest.fixture
def manager():
    """The transaction of the request that the test is."""
    manager = Requests()
    with transactions.RequestAttempt(manager):
        yield manager
        manager.abort()


def _outcome(function):
    """Return a tuple of the result of a function, or of its exception."""
    try:
        return (function(),)
    except Exception as error:
        return (error,)


@pytest.fixture
def together():
    """A function that calls functions at once, each in a thread, and returns their results.

    An exception is a result like another.
    """

    def together(*functions):
        outcomes = scenarios.together([partial(_outcome, function) for function in functions])
        return [outcome for (outcome,) in outcomes]

    return together
