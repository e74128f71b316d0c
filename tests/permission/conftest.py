"""The engines on which the contract of the permission backends is tested."""

import pytest

from tests.engines import backend_maker, engine, transactional

__all__ = ["engine", "transactional"]


@pytest.fixture
def make_backend(engine, tmp_path):
    """A function that creates a permission backend with some settings, like a new application."""
    return backend_maker("permission", engine, tmp_path, 2)


@pytest.fixture
def backend(make_backend):
    backend = make_backend()
    yield backend
    backend.flush()
