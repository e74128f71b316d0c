"""A generic storage server.

Buckets hold groups of users, and collections of records. All of them are shared with
permissions, which are inherited: whoever may write a bucket may write everything in it.
"""

from pyramid.authorization import Authenticated
from pyramid.config import Configurator
from pyramid.settings import asbool

import cliquet
from tests.applications.depot.authorization import RouteFactory

__version__ = "1.4.0"

DEFAULT_SETTINGS = {
    "administrators": None,
    "bucket_create_principals": Authenticated,
    "flush_endpoint_enabled": False,
    "multiauth.authorization_policy": "tests.applications.depot.authorization.AuthorizationPolicy",
    "project_docs": "https://depot.example/docs",
    "record_max_fields": 30,
    "retry_after_seconds": 3,
}


def main(global_config, config=None, **settings):
    """Return the WSGI application."""
    if not config:
        config = Configurator(settings=settings, root_factory=RouteFactory)

    # The project name determines the prefix of the settings.
    config.add_settings({"cliquet.project_name": "depot"})
    cliquet.initialize(config, version=__version__, default_settings=DEFAULT_SETTINGS)

    config.registry.public_settings.add("depot.record_max_fields")

    settings = config.get_settings()
    ignored = []
    if asbool(settings["flush_endpoint_enabled"]):
        config.add_api_capability(
            "flush",
            description="Delete everything with POST /__flush__",
            url="https://depot.example/docs/flush",
        )
    else:
        ignored.append("tests.applications.depot.views.flush")
    config.scan("tests.applications.depot.views", ignore=ignored)

    app = config.make_wsgi_app()
    return cliquet.install_middlewares(app, settings)
