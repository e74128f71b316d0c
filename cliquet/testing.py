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
from cliquet.utils import encode64, follow_subrequest

try:
    from webtest.app import TestRequest
except ImportError:  # pragma: no cover (an optional package, which the tests have)
    TestRequest = None


class DummyRegistry(Registry):
    """A registry with the default settings, and no backend."""

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
    """A request to call views, resources and helpers with, in unit tests.

    It is that of the user ``bob``. What it lacks can be given, or set.

    :param kwargs: attributes, and what Pyramid's own takes: ``params``, ``headers``…
    """

    headers: Any
    # Pyramid's own attributes ask a security policy.
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
        # As those of real requests, their names may be in any case.
        headers = EnvironHeaders(self.environ)
        headers.update(self.headers)
        self.headers = headers
        #: What was given to :meth:`notify_resource_event`.
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
        """Return the URL of a route; if the registry knows none, one that has its name."""
        if self.registry.queryUtility(IRoutesMapper) is None:
            return "/".join((self.application_url, route_name, *map(str, elements)))
        url: str = super().route_url(route_name, *elements, **kw)
        return url

    def notify_resource_event(
        self, timestamp: int, data: Any, action: ACTIONS, old: Any = None
    ) -> None:
        """Note the event in :attr:`notified`."""
        event = {"timestamp": timestamp, "data": data, "action": action, "old": old}
        self.notified.append(event)

    def get_resource_events(self, after_commit: bool = False) -> list[Any]:
        """Return no event."""
        return []


def get_request_class(prefix: str) -> type:
    """Return a class of WebTest requests whose URLs get the version prefix.

    .. code-block:: python

        app = webtest.TestApp(main({}, **settings))
        app.RequestClass = get_request_class("v1")
        app.get("/articles")

    :param prefix: without slashes; empty: none.
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
    """For test cases: a check of the JSON of errors."""

    def assertFormattedError(
        self,
        response: Any,
        code: int,
        errno: ERRORS | int,
        error: str,
        message: str | None = None,
        info: str | None = None,
    ) -> None:
        """Check that a response is that error.

        :param message: part of the message, or None not to look at it.
        :param info: part of the URL, or None for none.
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
    """Return the headers of a request of ``user``, by Basic auth."""
    return {"Authorization": "Basic " + encode64(f"{user}:secret")}
