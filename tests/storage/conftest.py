"""The engines on which the contract of the storage backends is tested."""

from contextlib import contextmanager
from functools import partial

import pytest
import transaction
from pyramid.testing import DummyRequest

from cliquet import transactions
from tests import scenarios
from tests.engines import backend_maker, engine, transactional

__all__ = ["engine", "transactional"]


@pytest.fixture
def make_storage(engine, tmp_path):
    """A function that creates a storage backend with some settings, like a new application."""
    return backend_maker("storage", engine, tmp_path, 1)


@pytest.fixture
def storage(make_storage):
    storage = make_storage()
    yield storage
    storage.flush()


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
