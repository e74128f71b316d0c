"""Tests of the storage server: settings, command and plugins."""

import os
from unittest import mock

import webtest
from pyramid.paster import get_app

from cliquet.errors import ERRORS
from tests.applications import depot
from tests.applications.depot import __main__ as command
from tests.applications.depot.views import NameGenerator
from tests.applications.depot_case import DepotTest
from tests.applications.support import on_every_engine


@on_every_engine
class SettingsTest(DepotTest):
    """Restrictions set by administrators."""

    settings = {
        "depot.paginate_by": "2",
        "depot.bucket_create_principals": "system.Authenticated group:editors",
        "depot.bucket_write_principals": "group:editors",
        "depot.collection_record_delete_enabled": "false",
        "depot.id_generator": "tests.applications.depot.views.NameGenerator",
    }

    def test_records_have_ids_of_another_generator(self):
        self.create_bucket()
        self.create_collection()
        record_id = self.create_record()["id"]
        self.assertRegex(record_id, NameGenerator.regexp)
        self.app.put_json(f"{self.records_url}/news", {}, headers=self.headers, status=201)
        self.app.put_json(f"{self.records_url}/_news", {}, headers=self.headers, status=400)

    def test_lists_are_cut_at_the_page_size(self):
        self.create_bucket()
        self.create_collection()
        for _ in range(3):
            self.create_record()
        response = self.app.get(self.records_url, headers=self.headers)
        self.assertEqual(len(response.json["data"]), 2)
        self.assertEqual(response.headers["Total-Records"], "3")

    def test_principals_of_the_settings_replace_those_of_the_object(self):
        self.create_bucket(permissions={"write": [self.other]})
        self.app.delete(self.bucket_url, headers=self.headers, status=403)
        self.app.delete(self.bucket_url, headers=self.other_headers, status=403)
        self.permission.add_user_principal(self.other, "group:editors")
        self.app.delete(self.bucket_url, headers=self.other_headers, status=200)

    def test_endpoints_can_be_disabled(self):
        self.create_bucket()
        self.create_collection()
        record = self.create_record()
        response = self.app.delete(self.records_url, headers=self.headers, status=405)
        self.assertFormattedError(
            response, 405, ERRORS.METHOD_NOT_ALLOWED, "Method Not Allowed", "not allowed"
        )
        self.app.delete(f"{self.records_url}/{record['id']}", headers=self.headers, status=200)


@on_every_engine
class ReadonlyTest(DepotTest):
    settings = {"depot.readonly": "true"}

    def test_objects_can_only_be_read(self):
        self.storage.create("bucket", "", {"id": "press"})
        self.permission.add_principal_to_ace(self.bucket_url, "write", self.user)
        self.app.get(self.bucket_url, headers=self.headers, status=200)
        self.app.patch_json(self.bucket_url, {}, headers=self.headers, status=405)
        self.app.delete("/buckets", headers=self.headers, status=405)
        self.assertTrue(self.app.get("/").json["settings"]["readonly"])


@on_every_engine
class FlushTest(DepotTest):
    settings = {"depot.flush_endpoint_enabled": "true"}

    def test_everything_is_deleted(self):
        self.create_bucket()
        self.create_collection()
        self.cache.set("key", "value", ttl=10)
        response = self.app.post("/__flush__", headers=self.headers, status=202)
        self.assertEqual(response.json, {})
        response = self.app.get("/buckets", headers=self.headers, status=403)
        self.assertIsNone(self.cache.get("key"))

    def test_it_is_a_capability(self):
        self.assertIn("flush", self.app.get("/").json["capabilities"])


@on_every_engine
class DisabledFlushTest(DepotTest):
    settings = {"depot.flush_endpoint_enabled": "false"}

    def test_endpoint_does_not_exist(self):
        self.app.post("/__flush__", headers=self.headers, status=404)
        self.assertNotIn("flush", self.app.get("/").json["capabilities"])


@on_every_engine
class ChangesTest(DepotTest):
    settings = {
        "depot.includes": "tests.applications.depot.changes",
        "changes.collections": """
            /buckets/press/collections/articles
            /buckets/press/collections/authors
        """,
    }

    def setUp(self):
        super().setUp()
        self.create_bucket()
        self.create_collection()

    def names(self, querystring=""):
        response = self.app.get(f"/changes{querystring}")
        return [entry["collection"] for entry in response.json["data"]]

    def test_everyone_can_read_the_list(self):
        self.assertEqual(set(self.names()), {"articles", "authors"})

    def test_latest_changes_come_first(self):
        self.names()
        record = self.create_record()
        response = self.app.get("/changes")
        entry = response.json["data"][0]
        self.assertEqual(entry["collection"], "articles")
        self.assertEqual(entry["last_modified"], record["last_modified"])
        self.assertEqual(response.headers["ETag"], '"{last_modified}"'.format(**entry))
        self.assertEqual(response.headers["Total-Records"], "2")

    def test_list_can_be_polled(self):
        record = self.create_record()
        querystring = "?collection=articles&_since={last_modified}".format(**record)
        self.assertEqual(self.names(querystring), [])
        self.create_record()
        self.assertEqual(self.names(querystring), ["articles"])

    def test_unchanged_list_is_304(self):
        etag = self.app.get("/changes").headers["ETag"]
        self.app.get("/changes", headers={"If-None-Match": etag}, status=304)

    def test_list_can_be_filtered_and_sorted(self):
        self.assertEqual(self.names("?collection=authors"), ["authors"])
        self.assertEqual(self.names("?bucket=press&_sort=-collection"), ["authors", "articles"])
        self.app.get("/changes?color=red", status=400)

    def test_list_cannot_be_changed(self):
        self.app.post_json("/changes", {}, headers=self.headers, status=405)
        self.app.delete("/changes", headers=self.headers, status=405)


@on_every_engine
class CommandTest(DepotTest):
    ini = os.path.join(os.path.dirname(depot.__file__), "depot.ini")

    def setUp(self):
        super().setUp()
        # The environment is stronger than the file.
        environ = {
            f"DEPOT_{key.upper()}": str(value) for key, value in self.get_app_settings().items()
        }
        patch = mock.patch.dict("os.environ", environ)
        patch.start()
        self.addCleanup(patch.stop)

    def test_configuration_file_builds_the_application(self):
        app = webtest.TestApp(get_app(self.ini))
        self.assertIs(type(app.app.registry.storage), type(self.storage))
        body = app.get("/v1/").json
        self.assertEqual(body["settings"]["depot.record_max_fields"], 20)
        self.assertEqual(set(body["capabilities"]), {"default_bucket"})
        bucket = app.get("/v1/buckets/default", headers=self.headers).json["data"]
        app.get("/v1/buckets/{id}".format(**bucket), headers=self.headers, status=200)

    def test_migration_creates_the_schema(self):
        self.assertEqual(command.main(["--ini", self.ini, "migrate"]), 0)
