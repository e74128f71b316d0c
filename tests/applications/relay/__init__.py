"""A proxy: it gives access to the feeds of another service, and stores nothing.

The user's credentials are exchanged for a token of the other service, which is kept in the cache.
"""

from pyramid.config import Configurator

import cliquet
from tests.applications.relay.upstream import Upstream, heartbeat

__version__ = "2.0.1"

DEFAULT_SETTINGS = {
    "relay.cache_hmac_secret": None,
    "relay.timeout_seconds": 2,
    "relay.token_ttl_seconds": 300,
    "relay.upstream_url": None,
}


def main(global_config, **settings):
    """Return the WSGI application."""
    config = Configurator(settings=settings)
    cliquet.initialize(config, __version__, "relay", default_settings=DEFAULT_SETTINGS)
    settings = config.get_settings()
    config.registry.upstream = Upstream(settings["upstream_url"], settings["timeout_seconds"])
    config.registry.heartbeats["upstream"] = heartbeat
    config.scan("tests.applications.relay.views")
    return config.make_wsgi_app()
