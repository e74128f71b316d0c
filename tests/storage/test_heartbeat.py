"""The heartbeat of storages."""

import logging

import pytest
from pyramid import testing

from cliquet.storage import StorageBase, heartbeat


@pytest.fixture
def request_with():
    """A function of settings that makes a request."""

    def make(**settings):
        with testing.testConfig(settings=settings) as config:
            request = testing.DummyRequest()
            request.registry = config.registry
        return request

    return make


class Broken(StorageBase):
    """A backend that can only be read, or not even that."""

    def __init__(self, readable):
        self.readable = readable

    def get_all(self, *args, **kw):
        if not self.readable:
            raise ZeroDivisionError
        return [], 0

    def create(self, *args, **kw):
        raise ZeroDivisionError


def test_a_storage_that_works_is_well(storage, request_with):
    assert heartbeat(storage)(request_with()) is True


def test_a_heartbeat_leaves_nothing_behind(storage, request_with, serve):
    ping = heartbeat(storage)
    for _ in range(3):
        with serve():
            ping(request_with())
    assert storage.get_all("__heartbeat__", "__heartbeat__", include_deleted=True) == ([], 0)


def test_a_readonly_storage_that_can_be_read_is_well(make_storage, request_with):
    assert heartbeat(make_storage(readonly="true"))(request_with(readonly="true")) is True
    assert heartbeat(Broken(readable=True))(request_with(readonly=True)) is True


@pytest.mark.parametrize(
    ("backend", "settings"),
    [(Broken(readable=True), {}), (Broken(readable=False), {"readonly": "true"})],
)
def test_failure_is_logged(backend, settings, request_with, caplog):
    assert heartbeat(backend)(request_with(**settings)) is False
    [entry] = caplog.records
    assert (entry.name, entry.levelno) == ("cliquet.storage", logging.ERROR)
    assert entry.exc_info[0] is ZeroDivisionError
