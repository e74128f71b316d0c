"""Tests of the proxy."""

import unittest
from unittest import mock

import requests
from webob import Request, Response

from cliquet.errors import ERRORS
from cliquet.tests.support import DummyRequest
from tests.applications import relay
from tests.applications.relay import upstream, views
from tests.applications.relay.upstream import get_token
from tests.applications.support import BaseWebTest, WithLocalServer, on_every_engine


@on_every_engine
class RelayTest(WithLocalServer, BaseWebTest, unittest.TestCase):
    main = relay.main
    api_prefix = "v2"
    server_setting = "relay.upstream_url"
    settings = {"relay.cache_hmac_secret": "c0ffee", "retry_after_seconds": "12"}

    calls = []

    @staticmethod
    def wsgi_app(environ, start_response):
        request = Request(environ)
        RelayTest.calls.append(request.path)
        return RelayTest.respond(request)(environ, start_response)

    @staticmethod
    def respond(request):
        if request.path == "/heartbeat":
            return Response(json={})
        if request.path == "/tokens":
            return Response(json={"token": request.headers["Authorization"].split()[1]})
        if request.path == "/feeds":
            return Response(json=dict(request.json, name="f1"))
        if request.path == "/feeds/broken":
            return Response(status=500)
        if request.path == "/feeds/private":
            return Response(status=401)
        if request.path != "/feeds/news":
            return Response(status=404)
        if request.headers.get("If-None-Match") == '"42"':
            return Response(status=304, etag="42")
        response = Response(json=[{"n": n} for n in range(int(request.GET["limit"]))], etag="42")
        response.headers["Total-Records"] = "100"
        response.headers["Sunset"] = "2017-01-01"
        response.headers["X-Internal"] = request.headers["Authorization"]
        return response

    def get_app_settings(self):
        settings = super().get_app_settings()
        return {
            key: value
            for key, value in settings.items()
            if not key.startswith(("storage_", "permission_"))
        }

    def setUp(self):
        super().setUp()
        del self.calls[:]

    def get(self, name="news", headers=None, **kwargs):
        headers = {**self.headers, **(headers or {})}
        return self.app.get(f"/feeds/{name}", headers=headers, **kwargs)

    def test_application_needs_no_storage(self):
        self.assertFalse(hasattr(self.registry, "storage"))
        heartbeat = self.app.get("/__heartbeat__").json
        self.assertEqual(heartbeat, {"cache": True, "upstream": True})

    def test_entries_are_forwarded(self):
        response = self.get(params={"limit": 2})
        self.assertEqual(response.json, {"data": [{"n": 0}, {"n": 1}]})

    def test_some_headers_are_forwarded(self):
        response = self.get()
        self.assertEqual(response.headers["ETag"], '"42"')
        self.assertEqual(response.headers["Total-Records"], "100")
        self.assertNotIn("X-Internal", response.headers)

    def test_clients_are_warned_about_the_end_of_the_feed(self):
        response = self.get()
        self.assertIn("2017-01-01", response.headers["Alert"])

    def test_forwarded_headers_can_be_read_by_other_origins(self):
        response = self.get(headers={"Origin": "https://reader.example"})
        exposed = response.headers["Access-Control-Expose-Headers"]
        self.assertIn("Total-Records", exposed)

    def test_conditional_requests_are_forwarded(self):
        response = self.get(headers={"If-None-Match": '"42"'}, status=304)
        self.assertEqual(response.headers["ETag"], '"42"')
        self.assertEqual(response.body, b"")

    def test_tokens_are_kept_in_the_cache(self):
        self.get()
        self.get()
        self.assertEqual(self.calls, ["/tokens", "/feeds/news", "/feeds/news"])

    def test_tokens_are_those_of_the_user(self):
        self.get()
        self.app.get("/feeds/news", headers=self.other_headers)
        self.assertEqual(self.calls.count("/tokens"), 2)

    def test_credentials_are_required(self):
        response = self.app.get("/feeds/news", status=401)
        self.assertFormattedError(
            response, 401, ERRORS.MISSING_AUTH_TOKEN, "Unauthorized", "credentials"
        )
        self.assertEqual(self.calls, [])

    def test_parameters_are_checked(self):
        with mock.patch.object(views, "logger") as logger:
            response = self.get(params={"limit": "all"}, status=400)
        self.assertFormattedError(
            response, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", "a number"
        )
        logger.warning.assert_called_with("Invalid request", errors=["limit should be a number"])

    def test_subscriptions_are_forwarded(self):
        body = {"data": {"url": " http://blog.example/feed ", "color": "red"}}
        response = self.app.post_json("/feeds", body, headers=self.headers, status=201)
        self.assertEqual(
            response.json["data"],
            {"name": "f1", "url": "http://blog.example/feed", "title": ""},
        )
        self.assertEqual(self.calls, ["/tokens", "/feeds"])

    def test_subscriptions_are_checked(self):
        for body, description in (
            ({}, "data is missing"),
            ({"data": {}}, "data.url"),
            ({"data": {"url": "feed"}}, "data.url"),
            ({"data": {"url": "http://blog.example/"}, "other": 1}, "other"),
        ):
            response = self.app.post_json("/feeds", body, headers=self.headers, status=400)
            self.assertFormattedError(
                response, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", description
            )
        self.assertEqual(self.calls, [])

    def test_failures_are_503(self):
        response = self.get("broken", status=503)
        self.assertFormattedError(
            response,
            503,
            ERRORS.BACKEND,
            "Service Unavailable",
            "The other service is unavailable.",
        )
        self.assertEqual(response.headers["Retry-After"], "12")

    def test_outages_are_503(self):
        with mock.patch.object(self.registry.upstream, "url", "http://127.0.0.1:9"):
            response = self.get(status=503)
            heartbeat = upstream.heartbeat(mock.MagicMock(registry=self.registry))
        self.assertFormattedError(
            response, 503, ERRORS.BACKEND, "Service Unavailable", "The other service"
        )
        self.assertEqual(response.headers["Retry-After"], "12")
        self.assertFalse(heartbeat)

    def test_errors_of_the_client_are_formatted(self):
        response = self.get("unknown", status=404)
        self.assertFormattedError(
            response, 404, ERRORS.MISSING_RESOURCE, "Not Found", "Unknown feed"
        )
        response = self.get("private", status=401)
        self.assertFormattedError(
            response, 401, ERRORS.INVALID_AUTH_TOKEN, "Unauthorized", "Invalid token"
        )

    def test_errors_can_be_read_by_other_origins(self):
        response = self.get("unknown", headers={"Origin": "https://reader.example"}, status=404)
        self.assertIn("Access-Control-Expose-Headers", response.headers)

    def test_feeds_can_be_requested_in_a_batch(self):
        body = {"requests": [{"path": "/feeds/news?limit=1"}, {"path": "/feeds/unknown"}]}
        responses = self.app.post_json("/batch", body, headers=self.headers).json["responses"]
        self.assertEqual([item["status"] for item in responses], [200, 404])
        self.assertEqual(responses[0]["body"]["data"], [{"n": 0}])


class TokenTest(unittest.TestCase):
    def setUp(self):
        self.request = DummyRequest()
        self.request.headers["Authorization"] = "Basic abc"
        self.request.registry = mock.MagicMock(
            settings={"cache_hmac_secret": "c0ffee", "token_ttl_seconds": 300}
        )
        self.request.registry.cache.get.return_value = None
        self.request.registry.upstream.request.return_value.json.return_value = {"token": "t"}

    def test_new_tokens_are_cached(self):
        self.assertEqual(get_token(self.request), "t")
        ((key, value), options) = self.request.registry.cache.set.call_args
        self.assertNotIn("abc", key)
        self.assertEqual((value, options), ({"token": "t"}, {"ttl": 300}))

    def test_cached_tokens_are_used(self):
        self.request.registry.cache.get.return_value = {"token": "known"}
        self.assertEqual(get_token(self.request), "known")
        self.assertFalse(self.request.registry.upstream.request.called)

    def test_failures_are_raised(self):
        self.request.registry.upstream.request.side_effect = requests.Timeout
        self.assertRaises(requests.Timeout, get_token, self.request)
