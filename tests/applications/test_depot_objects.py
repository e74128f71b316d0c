"""Tests of the storage server: buckets, collections and records."""

import unittest
from unittest import mock

from cliquet.errors import ERRORS
from cliquet.storage.exceptions import BackendError
from cliquet.tests.support import get_request_class
from tests.applications import depot
from tests.applications.depot.views import NameGenerator
from tests.applications.depot_case import DepotTest
from tests.applications.support import on_every_engine


@on_every_engine
class HelloViewTest(DepotTest):
    def test_hello_returns_the_public_settings(self):
        body = self.app.get("/").json
        self.assertEqual(body["project_name"], "depot")
        self.assertEqual(body["project_version"], depot.__version__)
        self.assertEqual(body["http_api_version"], "1.4")
        self.assertEqual(body["settings"]["depot.record_max_fields"], 30)

    def test_root_redirects_to_the_version(self):
        with mock.patch.object(self.app, "RequestClass", get_request_class("")):
            response = self.app.get("/buckets")
        self.assertEqual(response.status_code, 307)
        self.assertTrue(response.headers["Location"].endswith("/v1/buckets"))

    def test_unknown_url_is_a_formatted_404_with_the_root_factory(self):
        response = self.app.get("/unknown", headers=self.headers, status=404)
        self.assertFormattedError(
            response, 404, ERRORS.MISSING_RESOURCE, "Not Found", "could not be found"
        )

    def test_heartbeat_checks_the_backends(self):
        body = self.app.get("/__heartbeat__").json
        self.assertEqual(body, {"storage": True, "permission": True, "cache": True})


@on_every_engine
class BucketTest(DepotTest):
    def test_buckets_can_be_put_without_a_body(self):
        response = self.app.put(self.bucket_url, headers=self.headers, status=201)
        self.assertEqual(response.json["data"]["id"], "press")
        self.assertEqual(response.json["permissions"], {"write": [self.user]})
        self.app.put(self.bucket_url, headers=self.headers, status=200)

    def test_buckets_can_be_put_with_an_empty_object(self):
        self.app.put_json(self.bucket_url, {}, headers=self.headers, status=201)

    def test_buckets_can_be_posted_without_a_body(self):
        response = self.app.post("/buckets", headers=self.headers, status=201)
        self.assertRegex(response.json["data"]["id"], NameGenerator.regexp)

    def test_buckets_can_be_posted_with_permissions_alone(self):
        body = {"permissions": {"read": [self.other]}}
        response = self.app.post_json("/buckets", body, headers=self.headers, status=201)
        self.assertEqual(response.json["permissions"]["read"], [self.other])
        url = "/buckets/{id}".format(**response.json["data"])
        self.app.get(url, headers=self.other_headers, status=200)

    def test_permissions_alone_can_be_patched(self):
        created = self.create_bucket(data={"color": "red"}).json
        body = {"permissions": {"collection:create": [self.other]}}
        response = self.app.patch_json(self.bucket_url, body, headers=self.headers)
        self.assertEqual(
            response.json["permissions"],
            {"write": [self.user], "collection:create": [self.other]},
        )
        self.assertEqual(response.json["data"]["color"], "red")
        self.assertGreater(response.json["data"]["last_modified"], created["data"]["last_modified"])

    def test_unknown_permissions_are_rejected(self):
        body = {"permissions": {"destroy": [self.user]}}
        response = self.app.put_json(self.bucket_url, body, headers=self.headers, status=400)
        self.assertFormattedError(
            response, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", "destroy"
        )

    def test_put_replaces_the_permissions_it_names(self):
        self.create_bucket(permissions={"read": [self.other]})
        response = self.create_bucket(permissions={"collection:create": [self.other]})
        self.assertNotIn("read", response.json["permissions"])

    def test_put_without_permissions_keeps_them(self):
        self.create_bucket(permissions={"read": [self.other]})
        response = self.create_bucket(data={"color": "blue"})
        self.assertEqual(response.json["permissions"]["read"], [self.other])

    def test_names_are_checked(self):
        self.app.put_json("/buckets/__internal__", {}, headers=self.headers, status=400)

    def test_anonymous_users_cannot_create_buckets(self):
        self.app.put_json(self.bucket_url, {}, status=401)

    def test_lists_contain_only_the_shared_buckets(self):
        self.create_bucket(permissions={"read": [self.other]})
        self.app.put_json("/buckets/secret", {}, headers=self.headers)
        response = self.app.get("/buckets", headers=self.other_headers)
        self.assertEqual([bucket["id"] for bucket in response.json["data"]], ["press"])
        self.assertEqual(response.headers["Total-Records"], "1")

    def test_list_is_empty_for_users_who_can_only_read_something_in_a_bucket(self):
        self.create_bucket()
        self.create_collection(permissions={"read": [self.other]})
        response = self.app.get("/buckets", headers=self.other_headers, status=200)
        self.assertEqual(response.json["data"], [])

    def test_replacing_with_a_stale_etag_is_refused(self):
        old = self.create_bucket().headers["ETag"]
        self.create_bucket(data={"color": "blue"})
        headers = {**self.headers, "If-Match": old}
        response = self.app.put_json(self.bucket_url, {}, headers=headers, status=412)
        self.assertFormattedError(
            response, 412, ERRORS.MODIFIED_MEANWHILE, "Precondition Failed", "modified meanwhile"
        )
        self.assertEqual(response.json["details"]["existing"]["color"], "blue")

    def test_existing_buckets_are_not_created_again(self):
        self.create_bucket()
        headers = {**self.headers, "If-None-Match": "*"}
        self.app.put_json(self.bucket_url, {}, headers=headers, status=412)


@on_every_engine
class NestedObjectsTest(DepotTest):
    def test_parents_must_exist(self):
        urls = (self.collection_url, f"{self.groups_url}/g", f"{self.records_url}/a")
        for url in urls:
            self.app.get(url, headers=self.headers, status=403)
        self.create_bucket()
        self.app.get(self.collection_url, headers=self.headers, status=404)
        response = self.app.get(self.records_url, headers=self.headers, status=404)
        self.assertFormattedError(
            response,
            404,
            ERRORS.MISSING_RESOURCE,
            "Not Found",
            "The collection 'articles' does not exist.",
        )

    def test_collections_are_isolated_by_bucket(self):
        self.create_bucket()
        self.app.put_json("/buckets/other", {}, headers=self.headers)
        self.create_collection()
        response = self.app.get("/buckets/other/collections", headers=self.headers)
        self.assertEqual(response.json["data"], [])
        response = self.app.get("/buckets/press/collections", headers=self.headers)
        self.assertEqual([item["id"] for item in response.json["data"]], ["articles"])

    def test_records_can_be_created_filtered_and_sorted_by_any_field(self):
        self.create_bucket()
        self.create_collection()
        for number in (3, 1, 2):
            self.create_record({"n": number})
        response = self.app.get(f"{self.records_url}?_sort=-n&min_n=2", headers=self.headers)
        self.assertEqual([record["n"] for record in response.json["data"]], [3, 2])

    def test_records_can_be_paginated(self):
        self.create_bucket()
        self.create_collection()
        for number in range(5):
            self.create_record({"n": number})
        url, seen = f"{self.records_url}?_sort=n&_limit=2", []
        while url:
            response = self.app.get(url, headers=self.headers)
            seen.extend(record["n"] for record in response.json["data"])
            url = response.headers.get("Next-Page", "").replace("http://localhost/v1", "")
        self.assertEqual(seen, [0, 1, 2, 3, 4])

    def test_records_can_be_put_without_a_body(self):
        self.create_bucket()
        self.create_collection()
        url = f"{self.records_url}/8d14c671-8a0f-4b37-94a4-1d2a5d9a9a1b"
        self.app.put(url, headers=self.headers, status=201)
        response = self.app.patch_json(url, {}, headers=self.headers, status=200)
        self.assertEqual(response.json["permissions"], {"write": [self.user]})

    def test_too_many_fields_are_refused(self):
        self.create_bucket()
        self.create_collection()
        body = {"data": {f"field{number}": number for number in range(31)}}
        self.app.post_json(self.records_url, body, headers=self.headers, status=400)

    def test_polling_returns_changes_and_tombstones(self):
        self.create_bucket()
        self.create_collection()
        first, second = self.create_record(), self.create_record()
        etag = self.app.get(self.records_url, headers=self.headers).headers["ETag"]
        self.app.delete(f"{self.records_url}/{first['id']}", headers=self.headers)
        self.app.patch_json(
            f"{self.records_url}/{second['id']}", {"data": {"n": 1}}, headers=self.headers
        )
        response = self.app.get(f"{self.records_url}?_since={etag}", headers=self.headers)
        changed, deleted = response.json["data"]
        self.assertEqual((changed["id"], changed["n"]), (second["id"], 1))
        self.assertEqual((deleted["id"], deleted["deleted"]), (first["id"], True))

    def test_batches_create_a_whole_tree(self):
        body = {
            "defaults": {"method": "PUT"},
            "requests": [
                {"path": self.bucket_url},
                {"path": self.collection_url, "body": {"data": {"cache_expires": 10}}},
                {"path": f"{self.groups_url}/readers", "body": {"data": {"members": []}}},
                {"method": "POST", "path": self.records_url, "body": {"data": {"n": 1}}},
            ],
        }
        response = self.app.post_json("/batch", body, headers=self.headers)
        self.assertEqual([item["status"] for item in response.json["responses"]], [201] * 4)

    def test_records_of_a_batch_are_created_without_other_reads_than_the_parents(self):
        self.create_bucket()
        self.create_collection()
        request = {"method": "POST", "path": self.records_url, "body": {"data": {"n": 1}}}
        with mock.patch.object(self.storage, "get", wraps=self.storage.get) as get:
            self.app.post_json("/batch", {"requests": [request] * 5}, headers=self.headers)
        names = [call[1]["collection_id"] for call in get.call_args_list]
        self.assertEqual(names, ["bucket", "collection"] * 5)


@on_every_engine
class CascadeTest(DepotTest):
    def setUp(self):
        super().setUp()
        self.create_bucket()
        self.create_collection()
        self.create_record(permissions={"read": [self.other]})
        self.create_group(self.other)

    def assertEmpty(self, *names):
        parents = {"record": self.collection_url}
        for name in names:
            records, total = self.storage.get_all(
                collection_id=name,
                parent_id=parents.get(name, self.bucket_url),
                include_deleted=True,
            )
            self.assertEqual((records, total), ([], 0), name)

    def test_a_bucket_is_deleted_with_everything_in_it(self):
        self.app.delete(self.bucket_url, headers=self.headers)
        self.assertEmpty("record", "collection", "group")
        self.assertEqual(set(self.permission.user_principals(self.other)), set())
        accessible = self.permission.principals_accessible_objects([self.user, self.other], "write")
        self.assertEqual(set(accessible), set())

    def test_all_buckets_are_deleted_with_everything_in_them(self):
        self.app.delete("/buckets", headers=self.headers)
        self.assertEmpty("record", "collection", "group")

    def test_a_collection_is_deleted_with_its_records(self):
        self.app.delete(self.collection_url, headers=self.headers)
        self.assertEmpty("record")
        self.create_collection()
        response = self.app.get(f"{self.records_url}?_since=0", headers=self.headers)
        self.assertEqual(response.json["data"], [])

    def test_all_collections_are_deleted_with_their_records(self):
        self.app.delete("/buckets/press/collections", headers=self.headers)
        self.assertEmpty("record")

    def test_records_of_other_collections_are_kept(self):
        url = "/buckets/press/collections/kept"
        self.app.put_json(url, {}, headers=self.headers)
        self.app.post_json(f"{url}/records", {}, headers=self.headers)
        self.app.delete(self.collection_url, headers=self.headers)
        response = self.app.get(f"{url}/records", headers=self.headers)
        self.assertEqual(len(response.json["data"]), 1)


@on_every_engine
class FailureTest(DepotTest):
    def assertUnavailable(self, method, url, body=None):
        send = getattr(self.app, method)
        arguments = {} if body is None else {"params": body}
        response = send(url, headers=self.headers, status=503, **arguments)
        self.assertFormattedError(
            response, 503, ERRORS.BACKEND, "Service Unavailable", "retry later"
        )
        self.assertEqual(response.headers["Retry-After"], "3")

    def failing(self, backend, method):
        error = BackendError(original=OSError("Connection lost"))
        return mock.patch.object(backend, method, side_effect=error)

    def assertNothingStored(self):
        if self.engine == "redis":
            return  # Redis has no transactions.
        for name in ("bucket", "collection"):
            self.assertEqual(self.storage.get_all(name, ""), ([], 0))
        self.assertEqual(self.permission.object_permissions(self.bucket_url), {})

    def test_failures_of_the_permissions_undo_the_creation(self):
        with self.failing(self.permission, "add_principal_to_ace"):
            self.assertUnavailable("put_json", self.bucket_url, {})
            self.assertUnavailable("post_json", "/buckets", {})
        self.assertNothingStored()

    def test_failures_in_a_batch_undo_all_of_it(self):
        paths = (self.bucket_url, self.collection_url)
        body = {"requests": [{"method": "PUT", "path": path} for path in paths]}
        body["requests"].append({"method": "POST", "path": self.records_url})
        create = self.storage.create

        def fail_for_records(collection_id, *args, **kwargs):
            if collection_id == "record":
                raise BackendError(original=OSError("Connection lost"))
            return create(collection_id, *args, **kwargs)

        with mock.patch.object(self.storage, "create", side_effect=fail_for_records):
            self.assertUnavailable("post_json", "/batch", body)
        self.assertNothingStored()

    def test_failures_of_the_cascade_undo_the_deletion(self):
        self.create_bucket()
        self.create_collection()
        with self.failing(self.storage, "purge_deleted"):
            self.assertUnavailable("delete", self.bucket_url)
        if self.engine != "redis":
            self.app.get(self.bucket_url, headers=self.headers, status=200)
            self.app.get(self.collection_url, headers=self.headers, status=200)

    def test_failures_of_the_permission_checks_are_503(self):
        self.create_bucket()
        with self.failing(self.permission, "check_permission"):
            self.assertUnavailable("get", self.bucket_url)
        with self.failing(self.permission, "user_principals"):
            self.assertUnavailable("get", self.bucket_url)


@on_every_engine
class SchemaTest(DepotTest):
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}, "pages": {"type": "integer"}},
        "required": ["title"],
        "additionalProperties": False,
    }

    def setUp(self):
        super().setUp()
        self.create_bucket()
        self.collection = self.create_collection(data={"schema": self.schema}).json["data"]

    def post(self, data, status):
        return self.app.post_json(
            self.records_url, {"data": data}, headers=self.headers, status=status
        )

    def test_invalid_schemas_are_refused(self):
        body = {"data": {"schema": {"type": "number of apples"}}}
        response = self.app.put_json(self.collection_url, body, headers=self.headers, status=400)
        self.assertFormattedError(
            response, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", "Invalid JSON schema"
        )

    def test_invalid_schemas_are_refused_in_patches(self):
        body = {"data": {"schema": {"type": "number of apples"}}}
        self.app.patch_json(self.collection_url, body, headers=self.headers, status=400)

    def test_valid_records_remember_the_version_of_the_schema(self):
        record = self.post({"title": "News"}, status=201).json["data"]
        self.assertEqual(record["schema"], self.collection["last_modified"])

    def test_invalid_records_are_refused(self):
        response = self.post({"title": 42}, status=400)
        self.assertFormattedError(
            response,
            400,
            ERRORS.INVALID_PARAMETERS,
            "Invalid parameters",
            "title in body: 42 is not of type 'string'",
        )
        self.post({}, status=400)
        self.post({"title": "News", "unknown": 1}, status=400)

    def test_modified_records_are_checked(self):
        record = self.post({"title": "News"}, status=201).json["data"]
        url = f"{self.records_url}/{record['id']}"
        self.app.patch_json(url, {"data": {"pages": "many"}}, headers=self.headers, status=400)
        self.app.put_json(url, {"data": {"pages": 3}}, headers=self.headers, status=400)
        self.app.patch_json(url, {"data": {"pages": 3}}, headers=self.headers, status=200)

    def test_records_can_be_put_back_as_they_were_read(self):
        record = self.post({"title": "News"}, status=201).json["data"]
        url = f"{self.records_url}/{record['id']}"
        body = self.app.get(url, headers=self.headers).json
        response = self.app.put_json(url, body, headers=self.headers, status=200)
        self.assertEqual(response.json["permissions"], body["permissions"])
        self.assertEqual(response.json["data"]["title"], "News")
        self.assertEqual(response.json["data"]["schema"], record["schema"])

    def test_permissions_of_checked_records_can_be_changed_alone(self):
        record = self.post({"title": "News"}, status=201).json["data"]
        url = f"{self.records_url}/{record['id']}"
        body = {"permissions": {"read": [self.other]}}
        self.app.patch_json(url, body, headers=self.headers, status=200)

    def test_new_schemas_apply_to_new_versions_of_records(self):
        record = self.post({"title": "News"}, status=201).json["data"]
        schema = {"type": "object", "properties": {"title": {"type": "integer"}}}
        collection = self.create_collection(data={"schema": schema}).json["data"]
        url = f"{self.records_url}/{record['id']}"
        self.app.patch_json(url, {"data": {"a": 1}}, headers=self.headers, status=400)
        changed = self.app.put_json(url, {"data": {"title": 1}}, headers=self.headers)
        self.assertEqual(changed.json["data"]["schema"], collection["last_modified"])


@on_every_engine
class CacheExpiresTest(DepotTest):
    def setUp(self):
        super().setUp()
        self.create_bucket(permissions={"read": ["system.Everyone"]})
        self.create_collection(data={"cache_expires": 60})
        self.record_url = f"{self.records_url}/{self.create_record()['id']}"

    def test_anonymous_clients_can_cache_records(self):
        for url in (self.records_url, self.record_url):
            response = self.app.get(url)
            self.assertEqual(response.headers["Cache-Control"], "max-age=60")
            self.assertIn("Expires", response.headers)

    def test_authenticated_clients_can_not(self):
        response = self.app.get(self.records_url, headers=self.headers)
        self.assertEqual(response.headers["Cache-Control"], "no-cache")


class NameGeneratorTest(unittest.TestCase):
    def test_generated_names_are_valid(self):
        generator = NameGenerator()
        for _ in range(20):
            self.assertTrue(generator.match(generator()))
