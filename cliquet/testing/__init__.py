"""Helpers for the tests of applications."""

from __future__ import annotations

from typing import Any

from pyramid.interfaces import IRoutesMapper
from pyramid.registry import Registry
from pyramid.response import Response
from pyramid.testing import DummyRequest as PyramidDummyRequest
from webob.headers import EnvironHeaders

from cliquet.authentication import user_info
from cliquet.errors import ERRORS, JSON_TYPE, Errors
from cliquet.events import ACTIONS
from cliquet.heartbeats import Heartbeats
from cliquet.settings import DEFAULT_SETTINGS
from cliquet.storage.generators import UUID4
from cliquet.utils import encode64, follow_subrequest, import_optional

TestRequest: Any = getattr(import_optional("webtest.app"), "TestRequest", None)


class DummyRegistry(Registry):
    """A registry with the default settings and no backends."""

    def __init__(self) -> None:
        super().__init__("cliquet.testing")
        self.settings = dict(DEFAULT_SETTINGS)
        self.id_generator = UUID4()
        self.route_prefix = "v0"
        self.heartbeats = Heartbeats()
        self.public_settings = {"batch_max_requests", "readonly"}
        self.api_capabilities: dict[str, Any] = {}
        self.cornice_services: dict[str, Any] = {}
        self.statsd = None


class DummyRequest(PyramidDummyRequest):
    """A request for unit tests of views, resources and helpers.

    Its user is ``bob``. Attributes can be passed or set.

    :param kwargs: attributes, and arguments of Pyramid's class: ``params``, ``headers``…
    """

    headers: Any
    # Pyramid's own attributes require a security policy.
    authenticated_userid: Any = "bob"
    effective_principals: Any = ("system.Everyone", "system.Authenticated", "bob")

    get_user_info = user_info
    follow_subrequest = follow_subrequest

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        attributes: dict[str, Any] = {
            "upath_info": "/v0/",
            "authn_type": "basicauth",
            "prefixed_userid": "basicauth:bob",
            "selected_userid": "bob",
            "errors": Errors(),
            "info": {},
            "validated": {},
            "bound_data": {},
            "matched_route": None,
            "response": Response(content_type="application/json", charset="UTF-8"),
            "current_resource_name": "record",
            "current_service": None,
            "request_id": "0" * 32,
        }
        registry = kwargs.pop("registry", None) or DummyRegistry()
        self._json = kwargs.pop("json_body", None) or kwargs.pop("json", None) or {}
        super().__init__(*args, **{**attributes, **kwargs})
        self.registry = registry
        # Case-insensitive, as for real requests.
        headers = EnvironHeaders(self.environ)
        headers.update(self.headers)
        self.headers = headers
        #: The arguments of calls of :meth:`notify_resource_event`.
        self.notified: list[dict[str, Any]] = []

    @property
    def json_body(self) -> Any:
        """The value of the JSON body, ``json`` for short."""
        return self._json

    @json_body.setter
    def json_body(self, value: Any) -> None:
        self._json = value

    json = json_body

    def route_url(self, route_name: str, *elements: Any, **kw: Any) -> str:
        """Return the URL of a route; without routes in the registry, one with its name."""
        if self.registry.queryUtility(IRoutesMapper) is None:
            return "/".join((self.application_url, route_name, *map(str, elements)))
        url: str = super().route_url(route_name, *elements, **kw)
        return url

    def notify_resource_event(
        self, timestamp: int, data: Any, action: ACTIONS, old: Any = None
    ) -> None:
        """Append the event to :attr:`notified`."""
        event = {"timestamp": timestamp, "data": data, "action": action, "old": old}
        self.notified.append(event)

    def get_resource_events(self, after_commit: bool = False) -> list[Any]:
        """Return an empty list."""
        return []


def get_request_class(prefix: str) -> type:
    """Return a WebTest request class that adds the version prefix to URLs.

    .. code-block:: python

        app = webtest.TestApp(main({}, **settings))
        app.RequestClass = get_request_class("v1")
        app.get("/articles")

    :param prefix: the prefix without slashes; empty: none.
    :raises ImportError: without the package ``webtest``.
    """
    if TestRequest is None:
        raise ImportError("The package webtest is missing (pip install webtest)")

    class PrefixedRequestClass(TestRequest):
        @classmethod
        def blank(cls, path: str, *args: Any, **kwargs: Any) -> Any:
            if prefix:
                path = f"/{prefix}{path}"
            return super().blank(path, *args, **kwargs)

    return PrefixedRequestClass


class FormattedErrorMixin:
    """Mixin for test cases with an assertion about error responses."""

    def assertFormattedError(
        self,
        response: Response,
        code: int,
        errno: ERRORS | int,
        error: str,
        message: str | None = None,
        info: str | None = None,
    ) -> None:
        """Check that a response contains the given error.

        :param message: a part of the message; None: don't check it.
        :param info: a part of the URL; None: there is no URL.
        """
        body = response.json
        number = errno.value if isinstance(errno, ERRORS) else errno
        assert response.headers["Content-Type"] == JSON_TYPE, response.headers
        assert (body["code"], body["errno"], body["error"]) == (code, number, error), body
        if message is not None:
            assert message in body["message"], body
        if info is None:
            assert "info" not in body, body
        else:
            assert info in body["info"], body


def get_user_headers(user: str) -> dict[str, str]:
    """Return the Basic auth headers of a request by ``user``."""
    return {"Authorization": "Basic " + encode64(f"{user}:secret")}
