"""Applications for the tests of resources."""

import pytest

from tests.resource import apps


@pytest.fixture
def engine():
    """Memory, unless a test says ``@every_engine``."""
    return "memory"


@pytest.fixture
def build(engine, tmp_path):
    """See :func:`tests.resource.apps.build`."""
    with apps.builder(engine, tmp_path) as build:
        yield build


@pytest.fixture(scope="session")
def built():
    """The applications that tests use one after the other."""
    return {}


@pytest.fixture
def build_once(engine, built, tmp_path_factory):
    """Do as ``build``, for tests that leave the application as it is: it serves again, emptied."""

    def build_once(*resources, settings=None):
        key = (engine, tuple(map(_key, resources)), repr(settings))
        if key not in built:
            backends = apps.backends(engine, tmp_path_factory.mktemp("built"))
            built[key] = apps.build(*resources, settings={**backends, **(settings or {})})
        client = built[key]
        client.flush()
        used.append(client)
        return client

    used = []
    yield build_once
    if engine in apps.SERVED:  # other tests use the same database
        for client in used:
            client.flush()


def _key(resource):
    resource_cls, arguments = resource if isinstance(resource, tuple) else (resource, None)
    return resource_cls, repr(arguments)
