"""An application to attack, and a client that ignores every rule.

The client calls the WSGI application directly, so that no library refuses what servers let
through. :meth:`Client.send` fails unless the response follows the protocol.
"""

import contextlib
import io
import json
import uuid
from base64 import b64encode
from collections import Counter
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import colander
from pyramid.config import Configurator

import cliquet
from cliquet import resource

ENGINES = ("memory", "sqlite")


class StrictSchema(resource.ResourceSchema):
    name = colander.SchemaNode(colander.String())
    edible = colander.SchemaNode(colander.Boolean(), missing=True)
    size = colander.SchemaNode(colander.Integer(), missing=0)
    weight = colander.SchemaNode(colander.Float(), missing=colander.drop)


class OpenSchema(resource.ResourceSchema):
    class Options:
        preserve_unknown = True


class UniqueSchema(resource.ResourceSchema):
    url = resource.schema.URL(missing=colander.drop)
    device = colander.SchemaNode(colander.String(), missing="")

    class Options:
        preserve_unknown = True
        unique_fields = ("url", "code")
        readonly_fields = ("device",)


class SharedSchema(resource.ResourceSchema):
    class Options:
        preserve_unknown = True
        unique_fields = ("slug",)


class Mushroom(resource.UserResource):
    mapping = StrictSchema()


class Spore(resource.UserResource):
    mapping = OpenSchema()


class Bookmark(resource.UserResource):
    mapping = UniqueSchema()


class Article(resource.ShareableResource):
    mapping = SharedSchema()


class Post(resource.UserResource):
    mapping = StrictSchema()

    def get_parent_id(self, request):
        return "blog:" + request.matchdict["blog_id"]


RESOURCES = {
    Mushroom: {},
    Spore: {},
    Bookmark: {},
    Article: {},
    Post: {
        "collection_path": "/blogs/{{blog_id}}/posts",
        "record_path": "/blogs/{{blog_id}}/posts/{{id}}",
    },
}

SETTINGS = {
    "cliquet.project_name": "hostile",
    "cliquet.userid_hmac_secret": "secret",
    "cliquet.article_create_principals": "system.Authenticated",
}


def make_app(engine, folder, **settings):
    """Return a new application; those of the same folder share what they keep on disk."""
    url = f"sqlite:///{folder}/hostile.sqlite" if engine == "sqlite" else ""
    return make_app_on(engine, url, **settings)


def make_app_on(engine, url, **settings):
    """Return a new application that keeps everything in the database of a URL."""
    backends = {}
    for kind in ("storage", "permission", "cache"):
        backends[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.{engine}"
        backends[f"cliquet.{kind}_url"] = url
    config = Configurator(settings={**SETTINGS, **backends, **settings})
    cliquet.initialize(config, version="1.0")
    for resource_cls, paths in RESOURCES.items():
        for service in resource.register_resource(
            resource_cls, settings=config.get_settings(), **paths
        ):
            config.add_cornice_service(service)
    app = config.make_wsgi_app()
    for kind in ("storage", "permission", "cache"):
        getattr(app.registry, kind).initialize_schema()
    return app


class Response(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json["data"]


def basic(user):
    return "Basic " + b64encode(f"{user}:secret".encode()).decode("ascii")


def new_id():
    return str(uuid.uuid4())


class Client:
    """A user of the application.

    :param user: the name; None: without credentials; by default a new user.
    """

    def __init__(self, app, user=""):
        self.app = app
        self.user = new_id() if user == "" else user
        #: Number of responses by status.
        self.statuses = Counter()

    def send(self, method, path, query="", body=None, headers=()):
        """Send a request, and return the response, once it was found to be one of the protocol.

        :param path: quoted, without its version prefix.
        :param body: bytes as they are, anything else as JSON.
        :param headers: values may be any text.
        """
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {} if content is None else {"Content-Type": "application/json"}
        if self.user is not None:
            sent["Authorization"] = basic(self.user)
        sent |= dict(headers)
        response = self._exchange(method, f"/v1{path}", query, content, sent)
        self.statuses[response.status] += 1
        self._check(response, method, any(name.upper() == "ORIGIN" for name in sent))
        return response

    def _check(self, response, method, has_origin):
        check(response, method, has_origin)

    def _exchange(self, method, path, query, content, headers):
        environ = self._environ(method, path, query, content, headers)
        started = []

        def start_response(status, headers, exc_info=None):
            started.append((status, headers))

        chunks = self.app(environ, start_response)
        try:
            received = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        status, headers = started[-1]
        for name, value in headers:
            # PEP 3333; other values would let a client write headers of other responses.
            assert (
                value.replace("\t", "").isprintable() and name.isascii() and name.isprintable()
            ), (name, value)
            value.encode("latin-1")
        return Response(int(status.split()[0]), dict(headers), received)

    def _environ(self, method, path, query, content, headers):
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(content or b""),
            "webob.is_body_seekable": True,  # no copies of large bodies in files
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if content is not None:
            environ["CONTENT_LENGTH"] = str(len(content))
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key.startswith("CONTENT_") else f"HTTP_{key}"] = value
        return environ

    def create(self, path, data, **headers):
        """Create a record, and return it."""
        response = self.send("POST", path, body={"data": data})
        assert response.status == 201, response
        return response.data

    def pages(self, path, query, most=1000):
        """Yield the responses with the pages of a list."""
        for _ in range(most):
            response = self.send("GET", path, query)
            assert response.status == 200, response
            yield response
            if "Next-Page" not in response.headers:
                return
            query = response.headers["Next-Page"].partition("?")[2]
        raise AssertionError("pages without an end")

    def walk(self, path, query, most=1000):
        """Return the records of all pages."""
        return [record for response in self.pages(path, query, most) for record in response.data]


def check(response, method, has_origin):
    """Fail if the response is a server error, or doesn't follow the protocol."""
    status = response.status
    assert status < 500, response
    if has_origin:
        assert "Access-Control-Allow-Origin" in response.headers, response
    if status < 400 or method == "HEAD":
        return
    with contextlib.suppress(UnicodeDecodeError):
        response.body.decode("utf-8")
    error = response.json
    assert error["code"] == status, response
    assert isinstance(error["errno"], int), response
    assert error["error"], response
    assert set(error) <= {"code", "errno", "error", "message", "info", "details"}, response
