"""Tiny applications, and clients of them."""

from contextlib import contextmanager

import colander
import webtest
from pyramid.config import Configurator

import cliquet
from cliquet.resource import ResourceSchema, ShareableResource, UserResource, register_resource
from cliquet.utils import encode64
from tests import postgresql_server, redis_server

ENGINES = ("memory", "sqlite")
#: Those whose servers all tests share.
SERVED = {"postgresql": postgresql_server.shared_url, "redis": lambda: redis_server.database_url(3)}

SETTINGS = {
    "project_name": "library",
    "userid_hmac_secret": "secret",
    "page_create_principals": "system.Authenticated",
}


def backends(engine, folder):
    """The settings of the backends."""
    url = SERVED[engine]() if engine in SERVED else f"sqlite:///{folder}/library.sqlite"
    settings = {}
    for kind in ("storage", "permission", "cache"):
        settings[f"{kind}_backend"] = f"cliquet.{kind}.{engine}"
        settings[f"{kind}_url"] = url
    return settings


class AnyFields(ResourceSchema):
    class Options:
        preserve_unknown = True


class BookSchema(ResourceSchema):
    title = colander.SchemaNode(colander.String())
    pages = colander.SchemaNode(colander.Integer(), missing=0)
    code = colander.SchemaNode(colander.String(), missing="")

    class Options:
        readonly_fields = ("code",)


class Book(UserResource):
    mapping = BookSchema()


class Note(UserResource):
    """Records of any fields."""

    mapping = AnyFields()


class Page(ShareableResource):
    """Shared records of any fields, which every authenticated user may create."""

    mapping = AnyFields()


class CardSchema(AnyFields):
    class Options(AnyFields.Options):
        unique_fields = ("number", "shelf")


class Card(UserResource):
    """Records with unique fields."""

    mapping = CardSchema()


class SharedCard(ShareableResource):
    mapping = CardSchema()


class Client:
    """A client of one user; ``status`` is the expected status.

    :param prefix: of the version.
    """

    def __init__(self, app, prefix="/v1", headers=None):
        self.app = app
        self.registry = app.registry
        self.storage = app.registry.storage
        self.permission = app.registry.permission
        # Without it WebOb copies large bodies to files, which stay open.
        self._client = webtest.TestApp(app, {"webob.is_body_seekable": True})
        self._prefix = prefix
        self._headers = headers or {}

    def user(self, name):
        """Return a client of the same application for another user."""
        credentials = encode64(f"{name}:secret")
        return Client(self.app, self._prefix, {"Authorization": f"Basic {credentials}"})

    @property
    def id(self):
        """The prefixed id of the user."""
        return self.get("/").json["user"]["id"]

    def send(self, method, path, body=None, headers=None, status=None):
        url = path if path.startswith("http://") else self._prefix + path
        request = getattr(self._client, f"{method.lower()}_json", None)
        headers = {**self._headers, **(headers or {})}
        if body is not None:
            return request(url, body, headers=headers, status=status)
        return getattr(self._client, method.lower())(url, headers=headers, status=status)

    def raw(self, method, path, body, status=None, **headers):
        """Send a body of any bytes."""
        return self._client.request(
            self._prefix + path,
            method=method,
            body=body,
            headers={**self._headers, **headers},
            status=status,
        )

    def get(self, path, headers=None, status=None):
        return self.send("GET", path, None, headers, status)

    def head(self, path, headers=None, status=None):
        return self.send("HEAD", path, None, headers, status)

    def delete(self, path, headers=None, status=None):
        return self.send("DELETE", path, None, headers, status)

    def post(self, path, data=None, headers=None, status=None, **others):
        return self.send("POST", path, _body(data, others), headers, status)

    def put(self, path, data=None, headers=None, status=None, **others):
        return self.send("PUT", path, _body(data, others), headers, status)

    def patch(self, path, data=None, headers=None, status=None, **others):
        return self.send("PATCH", path, _body(data, others), headers, status)

    def batch(self, *requests, headers=None, status=None, **others):
        """Send requests in one, and return the descriptions of their responses."""
        body = {"requests": list(requests), **others}
        response = self.send("POST", "/batch", body, headers, status)
        return response.json["responses"] if response.status_code == 200 else response

    def flush(self):
        """Delete all records and permissions."""
        self.storage.flush()
        self.permission.flush()

    # Shorter.

    def create(self, path, data=None, **others):
        return self.post(path, data or {}, status=201, **others).json["data"]

    def fill(self, resource, records):
        """Create records of this user, faster than by requests."""
        storage, parent_id = self.storage, self.id
        return [storage.create(resource, parent_id, record) for record in records]

    def list(self, path):
        return self.get(path).json["data"]

    def values(self, path, field="n"):
        """The values of one field of the records of a list."""
        return [record.get(field) for record in self.list(path)]

    def walk(self, path):
        """The pages of a list, by ``Next-Page``."""
        pages = []
        while path is not None:
            response = self.get(path)
            pages.append(response.json["data"])
            path = response.headers.get("Next-Page")
        return pages


def _body(data, others):
    return others if data is None else {"data": data, **others}


def build(*resources, settings=None, setup=None, **configuration):
    """Return the client of an application.

    :param resources: classes, or couples of a class and arguments of its registration.
    :param setup: called with the configurator before the resources are registered.
    :param configuration: for the configurator.
    """
    settings = {**SETTINGS, **(settings or {})}
    config = Configurator(settings=settings, **configuration)
    cliquet.initialize(config, version="1.0")
    if setup is not None:
        setup(config)
    for item in resources:
        resource_cls, arguments = item if isinstance(item, tuple) else (item, {})
        services = register_resource(resource_cls, settings=config.get_settings(), **arguments)
        for service in services:
            config.add_cornice_service(service)
    app = config.make_wsgi_app()
    for kind in ("storage", "permission", "cache"):
        getattr(app.registry, kind).initialize_schema()
    return Client(app)


@contextmanager
def builder(engine, folder):
    """Provide a function like :func:`build` for applications on an engine.

    Servers that other tests use are emptied at the end.
    """
    clients = []

    def build_on_engine(*resources, settings=None, **options):
        settings = {**backends(engine, folder), **(settings or {})}
        clients.append(build(*resources, settings=settings, **options))
        return clients[-1]

    yield build_on_engine
    if engine in SERVED:
        for client in clients:
            client.flush()
