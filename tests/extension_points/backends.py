"""Applications whose backends override methods of an engine."""

import importlib
import sys
import types

from cliquet.cache import CacheBase
from cliquet.permission import PermissionBase
from cliquet.resource import ShareableResource, UserResource
from cliquet.storage import StorageBase
from tests.extension_points import requests
from tests.extension_points.requests import FIRST, SECOND, THIRD
from tests.extension_points.spies import Calls, override
from tests.resource import apps

#: The base class of each kind of backend.
BASES = {"storage": StorageBase, "permission": PermissionBase, "cache": CacheBase}


class Thing(UserResource):
    mapping = requests.ThingSchema()


class Shared(ShareableResource):
    mapping = requests.ThingSchema()


def allow(client, uri, way):
    """Give a user the permissions for all requests to a collection.

    :param way: by permissions on the ``collection`` or on its ``records``; others give none.
    """
    if way not in ("collection", "records"):
        return
    grant, user = client.permission.add_principal_to_ace, client.id
    grant(uri, f"{uri[1:-1]}:create", user)
    uris = [f"{uri}/{record_id}" for record_id in (FIRST, SECOND, THIRD, "invalid")]
    for object_id in [uri, *uris] if way == "collection" else uris:
        grant(object_id, "read", user)
        grant(object_id, "write", user)


class Application:
    """An application with backends of its own.

    :param names: the names of the methods to override, by the kind of backend.
    """

    def __init__(self, names, engine="memory", folder=None):
        self.calls = Calls()
        settings = apps.backends(engine, folder)
        for kind, methods in names.items():
            settings[f"{kind}_backend"] = _module(kind, engine, methods, self.calls)
        self.client = apps.build(Thing, Shared, settings=settings)
        self.alice = self.client.user("alice")

    def walk(self, path, send):
        """Yield the requests to a collection, which is empty."""
        self.client.storage.flush()
        self.client.permission.flush()
        allow(self.alice, "/shareds", "records")
        return requests.walk(self.alice, path, send)


def _module(kind, engine, names, calls):
    """Return the name of a module that provides a backend which overrides methods."""
    original = importlib.import_module(f"cliquet.{kind}.{engine}")

    def load_from_config(config):
        backend = original.load_from_config(config)
        backend.__class__ = override(type(backend), *names, calls=calls)
        return backend

    module = types.ModuleType(f"own_{kind}")
    module.load_from_config = load_from_config
    sys.modules[module.__name__] = module
    return module.__name__
