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

    def build(*resources, settings=None, **options):
        settings = {**apps.backends(engine, tmp_path), **(settings or {})}
        return apps.build(*resources, settings=settings, **options)

    return build
