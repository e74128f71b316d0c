"""The application of the toolkit that is measured: two resources with the same schema."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import colander
from pyramid.config import Configurator

import cliquet
from cliquet import resource

SECRET = "secret"
CREDENTIALS = "Basic " + b64encode(b"alice:password").decode("ascii")


class Schema(resource.ResourceSchema):
    name = colander.SchemaNode(colander.String())
    size = colander.SchemaNode(colander.Integer())
    edible = colander.SchemaNode(colander.Boolean())

    class Options:
        preserve_unknown = True


class Mushroom(resource.UserResource):
    """The plain one, which the limit serves too."""

    mapping = Schema()


class Lichen(resource.ShareableResource):
    """The shareable one; its records are readable one by one."""

    mapping = Schema()


def make_app(backends: Mapping[str, Any]) -> Any:
    """Return the WSGI application, with its tables.

    :param backends: the settings of the backends.
    """
    settings = {
        "cliquet.project_name": "benchmark",
        "cliquet.userid_hmac_secret": SECRET,
        "cliquet.lichen_create_principals": "system.Authenticated",
        **backends,
    }
    config = Configurator(settings=settings)
    cliquet.initialize(config, version="1.0")
    for resource_cls in (Mushroom, Lichen):
        for service in resource.register_resource(resource_cls, settings=config.get_settings()):
            config.add_cornice_service(service)
    app = config.make_wsgi_app()
    for kind in ("storage", "permission", "cache"):
        getattr(app.registry, kind).initialize_schema()
    return app
