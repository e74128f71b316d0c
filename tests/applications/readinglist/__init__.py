"""A reading list: articles that users save on one device to read them on another."""

from pyramid.config import Configurator

import cliquet

__version__ = "1.2.3"

DEFAULT_SETTINGS = {
    "readinglist.words_per_minute": 200,
}


def main(global_config, **settings):
    """Return the WSGI application."""
    config = Configurator(settings=settings)
    cliquet.initialize(config, __version__, "readinglist", default_settings=DEFAULT_SETTINGS)
    config.registry.public_settings.add("cliquet.batch_max_requests")
    config.registry.public_settings.add("readinglist.words_per_minute")
    config.scan("tests.applications.readinglist.views")
    return config.make_wsgi_app()
