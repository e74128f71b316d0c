"""Helpers for tests, under their names of 3.1; new tests use :mod:`cliquet.testing`."""

from __future__ import annotations

import functools
import os
import threading
import unittest as unittest
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

from pyramid.authorization import Authenticated, Everyone
from pyramid.config import Configurator
from pyramid.interfaces import IAuthorizationPolicy
from pyramid.response import Response
from pyramid.url import parse_url_overrides
from zope.interface import implementer

import cliquet
from cliquet import resource
from cliquet.authorization import PRIVATE
from cliquet.errors import Errors
from cliquet.resource.schema import ResourceSchema
from cliquet.settings import DEFAULT_SETTINGS
from cliquet.storage.generators import UUID4
from cliquet.testing import FormattedErrorMixin as FormattedErrorMixin
from cliquet.testing import get_request_class, get_user_headers
from cliquet.utils import follow_subrequest, hmac_digest, import_optional

psycopg2 = import_optional("psycopg2")
webtest = import_optional("webtest")

_SECRET = "b4c96a8692291d88fe5a97dd91846eb4"

#: The user of the headers of :class:`BaseWebTest`.
USER_PRINCIPAL = "basicauth:" + hmac_digest(_SECRET, "mat:secret")

skip_if_travis = unittest.skipIf("TRAVIS" in os.environ, "travis")
skip_if_no_postgresql = unittest.skipIf(psycopg2 is None, "postgresql is not installed.")


class DummyRequest(mock.MagicMock):
    """A request, of the user ``bob``, that is a mock."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.upath_info = "/v0/"
        self.registry = mock.MagicMock(settings=DEFAULT_SETTINGS.copy())
        self.registry.id_generator = UUID4()
        self.GET: dict[str, Any] = {}
        self.headers: dict[str, Any] = {}
        self.errors = Errors()
        self.authenticated_userid = "bob"
        self.authn_type = "basicauth"
        self.prefixed_userid = "basicauth:bob"
        self.json: dict[str, Any] = {}
        self.validated: dict[str, Any] = {}
        self.matchdict: dict[str, Any] = {}
        self.response = mock.MagicMock(headers={})
        # Batches read the status of responses.
        self.invoke_subrequest.return_value = Response()
        self.route_url = _route_url

    follow_subrequest = follow_subrequest

    def _get_child_mock(self, **kwargs: Any) -> mock.MagicMock:
        return mock.MagicMock(**kwargs)


def _route_url(*args: Any, **kwargs: Any) -> str:
    """Return the part of a URL that the overrides of ``request.route_url()`` give."""
    return "".join(parse_url_overrides(None, {"_app_url": "", **kwargs}))


class _MushroomSchema(ResourceSchema):
    class Options:
        preserve_unknown = True


class _Mushroom(resource.UserResource):
    mapping = _MushroomSchema()


def testapp(
    settings: Mapping[str, Any] | None = None,
    config: Configurator = None,
    *args: Any,
    **additional_settings: Any,
) -> Any:
    """Return a WSGI application with the resource ``/mushrooms``."""
    if config is None:
        config = Configurator(settings=dict(settings or {}))
    config.add_settings(additional_settings)
    cliquet.initialize(config, version="0.0.1")
    for service in resource.register_resource(_Mushroom, name="mushroom"):
        config.add_cornice_service(service)
    return config.make_wsgi_app()


# Its name is that of 3.1: it isn't a test where it is imported.
testapp.__test__ = False  # type: ignore[attr-defined]


class BaseWebTest:
    """For test cases: an application on memory backends, and its client ``self.app``."""

    authorization_policy = "cliquet.tests.support.AllowAuthorizationPolicy"
    api_prefix = "v0"
    collection_url = "/mushrooms"
    principal = USER_PRINCIPAL
    #: The record of :meth:`get_item_url`.
    record: Mapping[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = self.make_app()
        registry = self.app.app.registry
        self.storage, self.cache = registry.storage, registry.cache
        self.permission = registry.permission
        registry.heartbeats.cache_seconds = 0  # tests break backends between two checks
        for backend in (self.permission, self.storage, self.cache):
            backend.initialize_schema()
        self.headers = {"Content-Type": "application/json", **get_user_headers("mat")}

    def make_app(
        self, settings: Mapping[str, Any] | None = None, config: Configurator = None
    ) -> Any:
        """Return the client of an application."""
        if webtest is None:
            raise ImportError("The package webtest is missing (pip install webtest)")
        app = webtest.TestApp(testapp(self.get_app_settings(settings), config=config))
        app.RequestClass = get_request_class(self.api_prefix)
        return app

    def get_app_settings(
        self, additional_settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the settings of the application."""
        return {
            **DEFAULT_SETTINGS,
            **{
                f"{kind}_backend": f"cliquet.{kind}.memory"
                for kind in ("storage", "cache", "permission")
            },
            "project_name": "myapp",
            "project_version": "0.0.1",
            "userid_hmac_secret": _SECRET,
            "multiauth.authorization_policy": self.authorization_policy,
            **(additional_settings or {}),
        }

    def get_item_url(self, id: Any = None) -> str:
        """Return the URL of a record, of ``self.record`` by default."""
        return f"{self.collection_url}/{self.record['id'] if id is None else id}"

    def tearDown(self) -> None:
        """Empty the backends."""
        super().tearDown()  # type: ignore[misc]
        for backend in (self.storage, self.cache, self.permission):
            backend.flush()


class ThreadMixin:
    """For test cases: threads that are joined at the end of each test."""

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self._threads: list[threading.Thread] = []

    def tearDown(self) -> None:
        super().tearDown()  # type: ignore[misc]
        for thread in self._threads:
            thread.join()

    def _create_thread(self, *args: Any, **kwargs: Any) -> threading.Thread:
        thread = threading.Thread(*args, **kwargs)
        self._threads.append(thread)
        return thread


@implementer(IAuthorizationPolicy)
class AllowAuthorizationPolicy:
    """An authorization policy that asks for a user where records are private, and allows all."""

    def permits(self, context: Any, principals: Any, permission: str) -> bool:
        """Return True, unless the permission is private and the user unknown."""
        if permission == PRIVATE:
            return Authenticated in principals
        return Everyone in principals

    def principals_allowed_by_permission(self, context: Any, permission: str) -> Any:
        raise NotImplementedError


def authorize(permits: bool = True, authz_class: str | None = None) -> Callable[..., Any]:
    """Have the authorization policy return ``permits`` while a function runs (decorator).

    :param authz_class: dotted name, :class:`AllowAuthorizationPolicy` by default.
    """
    name = authz_class or f"{__name__}.AllowAuthorizationPolicy"

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with mock.patch(f"{name}.permits", return_value=permits):
                return function(*args, **kwargs)

        return wrapped

    return decorate
