"""Tests of the documents with attachments."""

import os
import tempfile
import unittest
from unittest import mock

from cliquet.errors import ERRORS
from cliquet.events import ACTIONS
from cliquet.tests.support import DummyRequest
from tests.applications import attachments
from tests.applications.attachments.views import on_documents_changed
from tests.applications.support import BaseWebTest, on_every_engine


@on_every_engine
class AttachmentTest(BaseWebTest, unittest.TestCase):
    main = attachments.main

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.settings = {"attachments.folder": folder.name}

    def setUp(self):
        super().setUp()
        self.user = self.userid(self.headers)
        body = {"data": {"title": "Report"}, "permissions": {"read": [self.user]}}
        response = self.app.post_json("/documents", body, headers=self.headers)
        self.document_url = "/documents/{id}".format(**response.json["data"])
        self.url = f"{self.document_url}/attachment"
        # The content type is that of the multipart body.
        del self.headers["Content-Type"], self.other_headers["Content-Type"]

    def tearDown(self):
        self.app.delete(self.document_url, headers=self.headers, status="*")
        super().tearDown()

    def saved(self):
        """Return the names of the files of all documents."""
        return [
            name for _, _, names in os.walk(self.settings["attachments.folder"]) for name in names
        ]

    def document(self):
        return self.app.get(self.document_url, headers=self.headers).json["data"]

    def upload(self, filename="report.pdf", content=b"%PDF", headers=None, **kwargs):
        files = [("attachment", filename, content)]
        headers = headers or self.headers
        return self.app.post(self.url, upload_files=files, headers=headers, **kwargs)

    def test_file_is_saved(self):
        response = self.upload(status=201)
        name = response.headers["Location"].replace("https://files.example/", "")
        with open(os.path.join(self.settings["attachments.folder"], name), "rb") as file:
            self.assertEqual(file.read(), b"%PDF")

    def test_document_describes_the_file(self):
        before = self.document()
        response = self.upload()
        self.assertEqual(response.json["filename"], "report.pdf")
        self.assertEqual(response.json["mimetype"], "application/pdf")
        self.assertEqual(response.json["size"], 4)
        after = self.document()
        self.assertEqual(after["attachment"], response.json)
        self.assertEqual(after["title"], "Report")
        self.assertGreater(after["last_modified"], before["last_modified"])

    def test_large_files_are_saved(self):
        self.assertEqual(self.upload(content=b"\x00\xff" * 100_000).json["size"], 200_000)

    def test_other_files_are_replaced(self):
        self.upload()
        location = self.upload("report.txt").json["location"]
        self.assertEqual(self.saved(), [location.split("/")[-1]])

    def test_documents_can_be_put_back_as_they_were_read(self):
        self.upload()
        body = self.app.get(self.document_url, headers=self.headers).json
        response = self.app.put_json(self.document_url, body, headers=self.headers, status=200)
        self.assertEqual(response.json["data"]["attachment"], body["data"]["attachment"])
        self.assertEqual(response.json["permissions"], body["permissions"])
        self.assertEqual(len(self.saved()), 1)

    def test_file_is_deleted_with_the_document(self):
        self.upload()
        self.app.delete(self.document_url, headers=self.headers)
        self.assertEqual(self.saved(), [])

    def test_files_are_deleted_with_all_documents(self):
        self.upload()
        self.app.delete("/documents", headers=self.headers)
        self.assertEqual(self.saved(), [])

    def test_file_can_be_deleted_alone(self):
        self.upload()
        response = self.app.delete(self.url, headers=self.headers)
        self.assertNotIn("attachment", response.json["data"])
        self.assertEqual(response.json["permissions"], {"read": [self.user], "write": [self.user]})
        self.assertNotIn("attachment", self.document())
        self.assertEqual(self.saved(), [])

    def test_deletion_obeys_preconditions(self):
        etag = self.app.get(self.document_url, headers=self.headers).headers["ETag"]
        self.upload()
        headers = {**self.headers, "If-Match": etag}
        response = self.app.delete(self.url, headers=headers, status=412)
        self.assertFormattedError(
            response, 412, ERRORS.MODIFIED_MEANWHILE, "Precondition Failed", "meanwhile"
        )
        self.assertEqual(len(self.saved()), 1)

    def test_upload_obeys_preconditions(self):
        etag = self.app.get(self.document_url, headers=self.headers).headers["ETag"]
        self.upload()
        headers = {**self.headers, "If-Match": etag}
        self.upload("other.pdf", headers=headers, status=412)
        self.assertEqual(len(self.saved()), 1)
        self.assertEqual(self.document()["attachment"]["filename"], "report.pdf")

    def test_wrong_bodies_are_refused(self):
        self.upload("report.exe", status=400)
        response = self.app.post(self.url, {"attachment": "text"}, self.headers, status=400)
        self.assertFormattedError(
            response,
            400,
            ERRORS.INVALID_PARAMETERS,
            "Invalid parameters",
            "attachment should be a file",
        )
        self.assertEqual(self.saved(), [])

    def test_extensions_are_public(self):
        response = self.app.get("/extensions")
        self.assertEqual(response.json, {"data": ["pdf", "png", "txt"]})

    def test_write_permission_is_required(self):
        self.upload(headers=self.other_headers, status=403)
        self.app.delete(self.url, headers=self.other_headers, status=403)
        body = {"permissions": {"read": [self.userid(self.other_headers)]}}
        self.app.patch_json(self.document_url, body, headers=self.headers)
        self.upload(headers=self.other_headers, status=403)
        body = {"permissions": {"write": [self.userid(self.other_headers)]}}
        self.app.patch_json(self.document_url, body, headers=self.headers)
        self.upload(headers=self.other_headers, status=201)

    def test_credentials_are_required(self):
        self.upload(headers={"Origin": "https://app.example"}, status=401)

    def test_pages_of_other_origins_can_upload(self):
        response = self.upload(headers={**self.headers, "Origin": "https://app.example"})
        self.assertIn("Access-Control-Allow-Origin", response.headers)

    def test_one_event_is_notified(self):
        with mock.patch.object(self.registry, "notify", wraps=self.registry.notify) as notify:
            self.upload()
        events = [call[0][0] for call in notify.call_args_list]
        payloads = [event.payload for event in events if hasattr(event, "impacted_records")]
        self.assertEqual({payload["action"] for payload in payloads}, {"update"})
        self.assertEqual({payload["uri"] for payload in payloads}, {self.document_url})

    def test_deletion_by_hand_is_notified(self):
        self.upload()
        with mock.patch.object(self.registry, "notify", wraps=self.registry.notify) as notify:
            self.app.delete(self.url, headers=self.headers)
        events = [call[0][0] for call in notify.call_args_list]
        changes = [event for event in events if hasattr(event, "impacted_records")]
        self.assertEqual(changes[0].payload["action"], ACTIONS.UPDATE.value)
        self.assertEqual(changes[0].payload["resource_name"], "document")


class SubscriberTest(unittest.TestCase):
    def notify(self, **change):
        request = DummyRequest()
        request.registry = mock.MagicMock()
        on_documents_changed(mock.MagicMock(request=request, impacted_records=[change]))
        return request.registry.files.delete

    def test_replaced_files_are_deleted(self):
        old = {"attachment": {"location": "https://files.example/1/a.pdf"}}
        new = {"attachment": {"location": "https://files.example/1/b.pdf"}}
        self.notify(old=old, new=new).assert_called_with("1", "a.pdf")

    def test_unchanged_files_are_kept(self):
        old = {"attachment": {"location": "https://files.example/1/a.pdf"}}
        self.assertFalse(self.notify(old=old, new=dict(old)).called)
