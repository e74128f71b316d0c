"""Tests of the push listener."""

import unittest
from unittest import mock

import requests
from webob import Request, Response

from cliquet.events import ACTIONS, ResourceChanged
from cliquet.tests.support import DummyRequest
from tests.applications import push, testapp
from tests.applications.support import BaseWebTest, WithLocalServer, on_every_engine


@on_every_engine
class PushTest(WithLocalServer, BaseWebTest, unittest.TestCase):
    main = testapp.main
    server_setting = "event_listeners.push.server_url"
    settings = {
        "event_listeners": "push",
        "event_listeners.push.use": "tests.applications.push",
        "event_listeners.push.actions": "create delete",
        "event_listeners.push.resources": "task",
    }

    received = []
    status = 200

    @staticmethod
    def wsgi_app(environ, start_response):
        PushTest.received.append(Request(environ).json)
        return Response(status=PushTest.status)(environ, start_response)

    def setUp(self):
        super().setUp()
        self.wait()

    def wait(self):
        """Wait for the messages of former requests, and return them."""
        self.registry.push_sender.messages.join()
        received = self.received[:]
        del self.received[:]
        return received

    def create(self, **fields):
        body = {"data": fields}
        response = self.app.post_json("/tasks", body, headers=self.headers, status=201)
        return response.json["data"]

    def test_new_records_are_notified(self):
        record = self.create(title="Sleep")
        (message,) = self.wait()
        self.assertEqual(
            message,
            {
                "channel": f"tasks of {self.userid(self.headers)}",
                "action": "create",
                "version": record["last_modified"],
                "ids": [record["id"]],
            },
        )

    def test_deleted_records_are_notified_together(self):
        ids = {self.create()["id"] for _ in range(2)}
        self.wait()
        self.app.delete("/tasks", headers=self.headers)
        (message,) = self.wait()
        self.assertEqual((message["action"], set(message["ids"])), ("delete", ids))

    def test_other_actions_are_not_notified(self):
        url = "/tasks/{id}".format(**self.create())
        self.wait()
        self.app.patch_json(url, {"data": {"title": "Work"}}, headers=self.headers)
        self.app.get(url, headers=self.headers)
        self.assertEqual(self.wait(), [])

    def test_batches_are_notified_once_per_action(self):
        body = {
            "defaults": {"method": "POST", "path": "/tasks"},
            "requests": [{"body": {"data": {"n": number}}} for number in range(3)],
        }
        self.app.post_json("/batch", body, headers=self.headers)
        (message,) = self.wait()
        self.assertEqual(len(message["ids"]), 3)

    def test_other_resources_are_not_notified(self):
        self.app.post_json("/projects/home/tasks", {"data": {}}, headers=self.headers, status=201)
        self.assertEqual(self.wait(), [])
        response = self.app.get("/tasks", headers=self.headers)
        self.assertEqual(response.json["data"], [])

    def test_failed_requests_are_not_notified(self):
        self.app.post_json("/tasks", {"data": 42}, headers=self.headers, status=400)
        self.assertEqual(self.wait(), [])

    def test_outages_of_the_server_are_logged(self):
        with (
            mock.patch.object(PushTest, "status", 502),
            mock.patch.object(push, "logger") as logger,
        ):
            self.create()
            self.wait()
        self.assertTrue(logger.error.called)
        self.create()
        self.assertEqual(len(self.wait()), 1)


class ListenerTest(unittest.TestCase):
    def setUp(self):
        config = mock.MagicMock()
        config.get_settings.return_value = {"event_listeners.push.server_url": "http://push"}
        with mock.patch.object(push.PushSender, "start"):
            self.listener = push.load_from_config(config, "event_listeners.push.")
        self.sender = config.registry.push_sender

    def make_event(self):
        request = DummyRequest()
        request.path = "/v1/tasks"
        request.matchdict = {}
        request.prefixed_userid = "basicauth:bob"
        request.current_resource_name = "task"
        return ResourceChanged(ACTIONS.CREATE, 1234, [{"new": {"id": "a"}}], request)

    def test_events_created_by_the_application_are_queued(self):
        self.listener(self.make_event())
        self.assertEqual(
            self.sender.messages.get_nowait(),
            {
                "channel": "tasks of basicauth:bob",
                "action": "create",
                "version": 1234,
                "ids": ["a"],
            },
        )

    @mock.patch("tests.applications.push.requests.post")
    def test_messages_are_posted(self, post):
        self.sender.send({"ids": []})
        post.assert_called_with("http://push", json={"ids": []}, timeout=5)

    @mock.patch("tests.applications.push.requests.post")
    def test_error_responses_are_raised(self, post):
        post.return_value.raise_for_status.side_effect = requests.HTTPError
        self.assertRaises(requests.HTTPError, self.sender.send, {})
