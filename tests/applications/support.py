"""Base classes for the tests of the applications."""

import sys
import tempfile
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import webtest

from cliquet.tests.support import FormattedErrorMixin, get_request_class, get_user_headers
from tests.resource.apps import backends

ENGINES = ("memory", "sqlite", "postgresql", "redis")

_FOLDER = tempfile.TemporaryDirectory(prefix="cliquet-applications-")


def on_every_engine(test_case):
    """Run a test case once per engine, in subclasses added to its module."""
    module = sys.modules[test_case.__module__]
    for engine in ENGINES:
        name = f"{test_case.__name__}On{engine.title()}"
        attributes = {"engine": engine, "__module__": module.__name__, "__test__": True}
        setattr(module, name, type(name, (test_case,), attributes))
    test_case.__test__ = False
    return test_case


def backends_of(registry):
    """Return the backends of an application, by kind."""
    kinds = ("storage", "permission", "cache")
    return {kind: getattr(registry, kind) for kind in kinds if hasattr(registry, kind)}


class BaseWebTest(FormattedErrorMixin):
    """A test case with an application, whose backends are emptied after each test.

    Test cases with the same application, engine and settings share one instance.
    """

    #: Function ``(global_config, **settings)`` that builds the WSGI application.
    main = None
    engine = "memory"
    api_prefix = "v1"
    #: Settings of the application, in addition to those of the backends.
    settings = {}

    _built = {}

    def setUp(self):
        super().setUp()
        self.app = self.get_test_app()
        self.registry = self.app.app.registry
        for name, backend in backends_of(self.registry).items():
            setattr(self, name, backend)
        self.headers = {"Content-Type": "application/json", **get_user_headers("mary")}
        self.other_headers = {"Content-Type": "application/json", **get_user_headers("paul")}

    def tearDown(self):
        for backend in backends_of(self.registry).values():
            backend.flush()
        super().tearDown()

    def get_app_settings(self):
        return {
            **backends(self.engine, _FOLDER.name),
            "userid_hmac_secret": "b4c96a",
            **self.settings,
        }

    def get_test_app(self):
        key = (type(self).main, repr(self.get_app_settings()))
        if key not in self._built:
            self._built[key] = self.make_app()
        return self._built[key]

    def make_app(self):
        # Otherwise WebOb copies large bodies to files that it doesn't close.
        extra_environ = {"webob.is_body_seekable": True}
        app = webtest.TestApp(type(self).main({}, **self.get_app_settings()), extra_environ)
        app.RequestClass = get_request_class(self.api_prefix)
        for backend in backends_of(app.app.registry).values():
            backend.initialize_schema()
        return app

    def userid(self, headers):
        """Return the prefixed user id of the user who sends these headers."""
        return self.app.get("/", headers=headers).json["user"]["id"]


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *args):
        pass


class LocalServer:
    """HTTP server of a WSGI application, in a thread."""

    def __init__(self, wsgi_app):
        self._server = make_server("127.0.0.1", 0, wsgi_app, handler_class=QuietHandler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class WithLocalServer:
    """A test case whose application calls the HTTP service ``wsgi_app``."""

    #: Name of the setting that has the URL of the service.
    server_setting = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = LocalServer(cls.wsgi_app)
        cls.addClassCleanup(cls.server.close)

    @staticmethod
    def wsgi_app(environ, start_response):
        raise NotImplementedError

    def get_app_settings(self):
        return {**super().get_app_settings(), self.server_setting: self.server.url}
