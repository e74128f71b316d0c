"""Example application: private bookmarks, shared articles, and scores of games.

Run it with ``python3 dev.py serve``. Its configuration is ``config/example.ini``. The demo page of
the JavaScript client is at ``/demo/`` if ``clients/javascript`` is next to ``examples``.
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
