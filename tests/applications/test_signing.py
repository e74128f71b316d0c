"""Tests of the signing plugin."""

import unittest
from unittest import mock

from cliquet.errors import ERRORS
from cliquet.tests.support import DummyRequest
from tests.applications import signing, testapp
from tests.applications.signing import Signer
from tests.applications.support import BaseWebTest, on_every_engine


@on_every_engine
class SigningTest(BaseWebTest, unittest.TestCase):
    main = testapp.main
    settings = {
        "includes": "tests.applications.signing",
        "signing.max_records": "3",
        "signing.resources": "task",
        "signing.secret": "a1b2",
    }

    def create(self, status=201, **fields):
        body = {"data": fields}
        return self.app.post_json("/tasks", body, headers=self.headers, status=status)

    def signature(self):
        return self.app.get("/signatures/task", headers=self.headers).json["data"]

    def assertSigned(self):
        response = self.app.get("/tasks?_sort=id", headers=self.headers)
        signature = self.signature()
        expected = Signer("a1b2").sign(response.json["data"])
        self.assertEqual(signature["signature"], expected)
        self.assertEqual('"{timestamp}"'.format(**signature), response.headers["ETag"])

    def test_nothing_is_signed_at_first(self):
        self.app.get("/signatures/task", headers=self.headers, status=404)

    def test_every_change_is_signed(self):
        record = self.create(title="Sleep").json["data"]
        self.assertSigned()
        url = "/tasks/{id}".format(**record)
        self.app.patch_json(url, {"data": {"title": "Été"}}, headers=self.headers)
        self.assertSigned()
        self.app.put_json(url, {"data": {"title": "Work"}}, headers=self.headers)
        self.assertSigned()
        self.app.delete(url, headers=self.headers)
        self.assertSigned()

    def test_deletion_of_all_records_is_signed(self):
        self.create()
        before = self.signature()
        self.app.delete("/tasks", headers=self.headers)
        self.assertSigned()
        self.assertNotEqual(self.signature()["signature"], before["signature"])

    def test_batches_are_signed_once(self):
        body = {
            "defaults": {"method": "POST", "path": "/tasks"},
            "requests": [{"body": {"data": {"n": number}}} for number in range(3)],
        }
        with mock.patch.object(self.registry.signer, "sign", return_value="abc") as sign:
            self.app.post_json("/batch", body, headers=self.headers)
        self.assertEqual(sign.call_count, 1)

    def test_reads_are_not_signed(self):
        self.create()
        with mock.patch.object(self.registry.signer, "sign") as sign:
            self.app.get("/tasks", headers=self.headers)
        self.assertFalse(sign.called)

    def test_signatures_cannot_be_written_by_clients(self):
        self.create()
        self.app.put_json("/signatures/task", {}, headers=self.headers, status=405)
        self.app.delete("/signatures/task", headers=self.headers, status=405)

    def test_changes_that_cannot_be_signed_are_refused(self):
        for number in range(3):
            self.create(n=number)
        before = self.signature()
        response = self.create(status=403, n=3)
        self.assertFormattedError(
            response, 403, ERRORS.FORBIDDEN, "Forbidden", "At most 3 records can be signed."
        )
        self.assertEqual(self.signature(), before)
        if self.engine != "redis":  # which has no transactions
            self.assertSigned()

    def test_changes_are_undone_when_the_signature_fails(self):
        with mock.patch.object(self.registry.signer, "sign", side_effect=ValueError("Broken")):
            self.create(status=500)
        if self.engine != "redis":
            response = self.app.get("/tasks", headers=self.headers)
            self.assertEqual(response.json["data"], [])


class SignerTest(unittest.TestCase):
    def test_signature_does_not_depend_on_the_order_of_fields(self):
        signer = Signer("secret")
        self.assertEqual(signer.sign([{"a": 1, "b": 2}]), signer.sign([{"b": 2, "a": 1}]))

    def test_signature_depends_on_the_secret(self):
        self.assertNotEqual(Signer("a").sign([]), Signer("b").sign([]))

    def test_secret_is_required(self):
        config = mock.MagicMock()
        config.get_settings.return_value = {"signing.secret": ""}
        with mock.patch("tests.applications.signing.cliquet.load_default_settings"):
            self.assertRaises(ValueError, signing.includeme, config)


class SignCollectionTest(unittest.TestCase):
    def test_signature_is_written_through_the_storage(self):
        request = DummyRequest()
        request.registry = mock.MagicMock(settings={"signing.max_records": 10})
        request.registry.storage.get_all.return_value = ([{"id": "a"}], 1)
        signing.sign_collection(mock.MagicMock(request=request, payload={"resource_name": "x"}))
        (options,) = request.registry.storage.update.call_args[1:]
        self.assertEqual(options["collection_id"], "signature")
        self.assertEqual(options["parent_id"], "basicauth:bob")
        self.assertEqual(options["object_id"], "x")
