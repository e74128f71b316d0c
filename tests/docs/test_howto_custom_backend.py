"""The cache of the guide does all that the tests of the engines ask for."""

import importlib

import pytest
from pyramid.config import Configurator

from tests.cache.test_contract import *  # noqa: F403 (the contract, on one more engine)


@pytest.fixture
def make_cache():
    def make(**settings):
        module = importlib.import_module("cachetools_cache")
        return module.load_from_config(Configurator(settings=settings))

    return make


@pytest.fixture
def cache(make_cache):
    return make_cache()


def test_settings_choose_the_cache_and_its_size(serve, settings_of):
    client = serve(settings=settings_of("custom-backend.ini"))
    assert client.get("/__heartbeat__").json["cache"] is True
    cache = client.registry.cache
    assert type(cache).__module__ == "cachetools_cache"
    for number in range(150):
        cache.set(f"key{number}", number)
    assert [cache.get(f"key{number}") for number in (0, 49, 50, 149)] == [None, None, 50, 149]
