"""Configuration of backends without an application."""

from pyramid.config import Configurator
from pyramid.registry import Registry


def backend_config(settings):
    """Return a configurator that only has settings.

    Pyramid registers its own directives in a new registry unless it is passed one. That takes
    longer than most tests of backends.
    """
    config = Configurator(registry=Registry("backends"))
    config.add_settings(settings)
    return config
