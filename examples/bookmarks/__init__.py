"""A reading list: bookmarks of one's own, articles that are shared, and scores of games.

Run it with ``python3 dev.py serve``; its configuration is ``config/example.ini``. A page that
uses it is at ``/demo/``, for those who have ``clients/javascript`` beside ``examples``.
"""

from pyramid.config import Configurator

import cliquet


def main(global_config, **settings):
    """Return the WSGI application; PasteDeploy calls this with the settings of the file."""
    config = Configurator(settings=settings)
    config.include("bookmarks.demo")
    cliquet.initialize(config, version="1.0")
    config.scan("bookmarks.views")
    app = config.make_wsgi_app()
    return cliquet.install_middlewares(app, settings)
