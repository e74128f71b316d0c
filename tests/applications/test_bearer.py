"""Tests of the authentication plugin."""

import unittest
from unittest import mock

import requests
from pyramid import httpexceptions, testing
from pyramid.interfaces import IAuthenticationPolicy
from pyramid_multiauth import MultiAuthenticationPolicy
from webob import Request, Response

import cliquet
from cliquet.errors import ERRORS
from cliquet.tests.support import DummyRequest
from tests.applications import bearer, testapp
from tests.applications.support import BaseWebTest, WithLocalServer, on_every_engine

TOKENS = {
    "alice": {"user": "alice", "scope": "profile email"},
    "narrow": {"user": "alice", "scope": "email"},
    "bob": {"user": "bob", "scope": "profile"},
}


@on_every_engine
class BearerTest(WithLocalServer, BaseWebTest, unittest.TestCase):
    main = testapp.main
    server_setting = "bearer.server_url"
    settings = {
        "includes": "tests.applications.bearer",
        "multiauth.policies": "bearer basicauth",
        "multiauth.policy.bearer.use": "tests.applications.bearer.BearerAuthenticationPolicy",
        "multiauth.policy.bearer.realm": "Tasks",
        "bearer.cache_ttl_seconds": "60",
    }

    verified = []

    @staticmethod
    def wsgi_app(environ, start_response):
        request = Request(environ)
        if request.path == "/heartbeat":
            return Response(json={})(environ, start_response)
        token = request.json["token"]
        BearerTest.verified.append(token)
        if token == "outage":
            return Response(status=502)(environ, start_response)
        if token not in TOKENS:
            return Response(status=400, json={})(environ, start_response)
        return Response(json=TOKENS[token])(environ, start_response)

    def setUp(self):
        super().setUp()
        del self.verified[:]

    def get(self, token, path="/tasks", **kwargs):
        return self.app.get(path, headers={"Authorization": f"Bearer {token}"}, **kwargs)

    def test_user_ids_have_the_name_of_the_policy(self):
        self.assertEqual(self.get("alice", "/").json["user"], {"id": "bearer:alice"})

    def test_tasks_belong_to_the_user_of_the_token(self):
        headers = {"Authorization": "Bearer alice"}
        self.app.post_json("/tasks", {"data": {"title": "Sleep"}}, headers=headers, status=201)
        self.assertEqual(len(self.get("alice").json["data"]), 1)
        self.assertEqual(self.get("bob").json["data"], [])

    def test_other_policies_still_work(self):
        self.assertTrue(self.userid(self.headers).startswith("basicauth:"))
        self.app.get("/tasks", headers=self.headers, status=200)
        self.assertEqual(self.verified, [])

    def test_invalid_tokens_are_refused(self):
        for token in ("unknown", "narrow", ""):
            response = self.get(token, status=401)
            self.assertFormattedError(
                response, 401, ERRORS.MISSING_AUTH_TOKEN, "Unauthorized", "authenticate"
            )

    def test_each_policy_has_its_challenge(self):
        response = self.app.get("/tasks", status=401)
        challenges = response.headers.getall("WWW-Authenticate")
        self.assertEqual(challenges, ['Bearer realm="Tasks"', 'Basic realm="Realm"'])

    def test_tokens_are_verified_once(self):
        for _ in range(3):
            self.get("alice")
        self.assertEqual(self.verified, ["alice"])

    def test_tokens_are_verified_once_per_batch(self):
        body = {"requests": [{"path": "/tasks"}] * 3}
        headers = {"Authorization": "Bearer alice"}
        self.app.post_json("/batch", body, headers=headers)
        self.assertEqual(self.verified, ["alice"])

    def test_tokens_are_verified_again_when_the_cache_is_lost(self):
        self.get("alice")
        self.cache.flush()
        self.get("alice")
        self.assertEqual(self.verified, ["alice", "alice"])

    def test_outages_of_the_server_are_503(self):
        response = self.get("outage", status=503)
        self.assertFormattedError(
            response, 503, ERRORS.BACKEND, "Service Unavailable", "authorization server"
        )
        self.assertIn("Retry-After", response.headers)

    def test_heartbeat_checks_the_server(self):
        self.assertTrue(self.app.get("/__heartbeat__").json["oauth"])
        self.assertTrue(bearer.heartbeat(mock.MagicMock(registry=self.registry)))
        with mock.patch.object(self.registry.oauth_client, "server_url", "http://127.0.0.1:9"):
            self.assertFalse(bearer.heartbeat(mock.MagicMock(registry=self.registry)))

    def test_it_is_a_capability(self):
        capability = self.app.get("/").json["capabilities"]["bearer"]
        self.assertEqual(capability["server"], self.server.url)

    def test_policies_can_be_looked_up_by_name_and_class(self):
        policies = self.registry.queryUtility(IAuthenticationPolicy)
        self.assertIsInstance(policies, MultiAuthenticationPolicy)
        policy = policies.get_policy("bearer")
        self.assertIsInstance(policy, bearer.BearerAuthenticationPolicy)
        self.assertIs(policies.get_policy(bearer.BearerAuthenticationPolicy), policy)

    def test_default_settings_are_completed(self):
        settings = self.registry.settings
        self.assertEqual(settings["bearer.cache_ttl_seconds"], 60)
        self.assertEqual(settings["bearer.timeout_seconds"], 2)


class BearerPolicyTest(unittest.TestCase):
    def setUp(self):
        self.policy = bearer.BearerAuthenticationPolicy(realm="Tests")
        self.request = DummyRequest()
        self.request.registry.settings.update(bearer.DEFAULT_SETTINGS, userid_hmac_secret="b4c96a")
        self.request.registry.cache = mock.MagicMock()
        self.request.registry.cache.get.return_value = None
        self.request.registry.oauth_client = mock.MagicMock()
        self.request.registry.oauth_client.verify.return_value = TOKENS["bob"]
        self.request.registry.statsd = None
        self.request.headers["Authorization"] = "Bearer token"
        self.request.bound_data = {}

    def test_other_schemes_are_ignored(self):
        self.request.headers["Authorization"] = "Basic Ym9iOnNlY3JldA=="
        self.assertIsNone(self.policy.unauthenticated_userid(self.request))

    def test_profiles_are_cached(self):
        self.assertEqual(self.policy.unauthenticated_userid(self.request), "bob")
        cache = self.request.registry.cache
        ((key, value), options) = cache.set.call_args
        self.assertNotIn("token", key)
        self.assertEqual((value, options), (TOKENS["bob"], {"ttl": 300}))

    def test_outages_are_raised(self):
        self.request.registry.oauth_client.verify.side_effect = requests.ConnectionError
        with self.assertRaises(httpexceptions.HTTPServiceUnavailable) as context:
            self.policy.unauthenticated_userid(self.request)
        self.assertEqual(context.exception.json["errno"], ERRORS.BACKEND.value)

    def test_forget_is_a_challenge(self):
        headers = self.policy.forget(self.request)
        self.assertEqual(headers, [("WWW-Authenticate", 'Bearer realm="Tests"')])


class IncludeMeTest(unittest.TestCase):
    def setUp(self):
        self.config = testing.setUp()
        self.addCleanup(testing.tearDown)

    def include(self, **settings):
        self.config.add_settings(settings)
        cliquet.initialize(self.config, "0.0.1", "tests")
        self.config.include("tests.applications.bearer")
        return self.config.get_settings()

    def test_cache_is_required(self):
        self.assertRaises(ValueError, self.include)

    def test_heartbeat_and_settings_are_added(self):
        settings = self.include(cache_backend="cliquet.cache.memory")
        self.assertEqual(settings["bearer.required_scope"], "profile")
        self.assertIn("oauth", self.config.registry.heartbeats)

    def test_environment_overrides_the_settings(self):
        with mock.patch.dict("os.environ", {"BEARER_CACHE_TTL_SECONDS": "20"}):
            settings = self.include(cache_backend="cliquet.cache.memory")
        self.assertEqual(settings["bearer.cache_ttl_seconds"], 20)
