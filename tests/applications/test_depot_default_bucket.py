"""Tests of the storage server: the personal bucket."""

from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from cliquet.errors import ERRORS
from cliquet.utils import decode_header
from tests.applications.depot.views.records import Record
from tests.applications.depot_case import DepotTest
from tests.applications.support import on_every_engine


@on_every_engine
class DefaultBucketTest(DepotTest):
    settings = {"depot.includes": "tests.applications.depot.default_bucket"}

    bucket_url = "/buckets/default"
    collection_url = "/buckets/default/collections/tasks"
    records_url = "/buckets/default/collections/tasks/records"

    def test_it_is_a_capability(self):
        self.assertIn("default_bucket", self.app.get("/").json["capabilities"])

    def test_credentials_are_required(self):
        response = self.app.get(self.bucket_url, status=401)
        self.assertFormattedError(
            response, 401, ERRORS.MISSING_AUTH_TOKEN, "Unauthorized", "authenticate"
        )

    def test_bucket_is_created_when_it_is_read(self):
        response = self.app.get(self.bucket_url, headers=self.headers, status=200)
        self.assertEqual(response.json["permissions"], {"write": [self.user]})
        url = "/buckets/{id}".format(**response.json["data"])
        self.assertEqual(len(response.json["data"]["id"]), 32)
        self.app.get(url, headers=self.headers, status=200)
        self.app.get(url, headers=self.other_headers, status=403)

    def test_each_user_has_its_own(self):
        first = self.app.get(self.bucket_url, headers=self.headers).json["data"]
        second = self.app.get(self.bucket_url, headers=self.other_headers).json["data"]
        self.assertNotEqual(first["id"], second["id"])

    def test_bucket_can_be_replaced(self):
        self.create_bucket(data={"color": "red"}, permissions={"read": [self.other]})
        response = self.app.get(self.bucket_url, headers=self.headers)
        self.assertEqual(response.json["data"]["color"], "red")
        self.assertEqual(response.json["permissions"]["read"], [self.other])

    def test_collections_are_created_with_their_first_record(self):
        record = self.create_record({"title": "Buy milk"})
        response = self.app.get(self.records_url, headers=self.headers)
        self.assertEqual(response.json["data"], [record])
        response = self.app.get(self.collection_url, headers=self.headers)
        self.assertEqual(response.json["data"]["id"], "tasks")

    def test_collections_are_not_created_when_they_are_read(self):
        self.app.get(self.collection_url, headers=self.headers, status=404)

    def test_query_strings_are_forwarded(self):
        for number in (1, 2, 3):
            self.create_record({"n": number, "title": "Été"})
        url = f"{self.records_url}?min_n=2&title=%C3%89t%C3%A9&_sort=n"
        response = self.app.get(url, headers=self.headers)
        self.assertEqual([record["n"] for record in response.json["data"]], [2, 3])

    def test_pages_follow_one_another(self):
        for number in range(3):
            self.create_record({"n": number})
        url, seen = f"{self.records_url}?_sort=n&_limit=2", []
        while url:
            response = self.app.get(url, headers=self.headers)
            seen.extend(record["n"] for record in response.json["data"])
            url = response.headers.get("Next-Page", "").replace("http://localhost/v1", "")
        self.assertEqual(seen, [0, 1, 2])

    def test_deleted_buckets_are_created_again(self):
        self.create_record()
        before = self.app.delete(self.bucket_url, headers=self.headers).json["data"]
        after = self.app.get(self.bucket_url, headers=self.headers).json["data"]
        self.assertEqual(after["id"], before["id"])
        self.assertGreater(after["last_modified"], before["last_modified"])
        self.app.get(self.collection_url, headers=self.headers, status=404)

    def test_heads_have_no_body(self):
        self.create_record()
        response = self.app.head(self.records_url, headers=self.headers)
        self.assertEqual(response.headers["Total-Records"], "1")
        self.assertEqual(response.body, b"")

    def test_bodies_can_be_empty(self):
        url = f"{self.records_url}/0a6e2d4c-5b52-4c7b-8b6a-2f6f1c9c0d3e"
        self.app.put(url, headers=self.headers, status=201)

    def test_preconditions_are_forwarded(self):
        self.create_record()
        etag = self.app.get(self.records_url, headers=self.headers).headers["ETag"]
        headers = {**self.headers, "If-None-Match": etag}
        self.app.get(self.records_url, headers=headers, status=304)
        self.create_record()
        headers = {**self.headers, "If-Match": etag}
        self.app.post_json(self.records_url, {}, headers=headers, status=412)

    def test_errors_are_those_of_the_real_bucket(self):
        response = self.app.get("/buckets/default/unknown", headers=self.headers, status=404)
        self.assertFormattedError(response, 404, ERRORS.MISSING_RESOURCE, "Not Found", "found")
        response = self.app.post(self.bucket_url, headers=self.headers, status=405)
        self.assertFormattedError(
            response, 405, ERRORS.METHOD_NOT_ALLOWED, "Method Not Allowed", "not allowed"
        )

    def test_collection_ids_are_checked(self):
        url = "/buckets/default/collections/__tasks__/records"
        self.app.post_json(url, {}, headers=self.headers, status=400)

    def test_pages_of_other_origins_can_read_it(self):
        headers = {**self.headers, "Origin": "https://tasks.example"}
        response = self.app.get(self.records_url, headers=headers)
        allowed = decode_header(response.headers["Access-Control-Allow-Origin"])
        self.assertIn(allowed, ("*", "https://tasks.example"))
        self.assertIn("ETag", response.headers["Access-Control-Expose-Headers"])

    def test_browsers_can_ask_first(self):
        headers = {
            "Origin": "https://tasks.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "Content-Type",
        }
        response = self.app.options(self.records_url, headers=headers, status=200)
        self.assertIn("POST", response.headers["Access-Control-Allow-Methods"])

    def test_batches_can_use_it(self):
        body = {
            "defaults": {"method": "POST", "path": self.records_url},
            "requests": [{"body": {"data": {"n": number}}} for number in range(3)],
        }
        response = self.app.post_json("/batch", body, headers=self.headers)
        statuses = [item["status"] for item in response.json["responses"]]
        self.assertEqual(statuses, [201, 201, 201])
        response = self.app.get(f"{self.records_url}?_sort=n", headers=self.headers)
        self.assertEqual([record["n"] for record in response.json["data"]], [0, 1, 2])

    def test_batches_look_for_the_bucket_once(self):
        body = {
            "defaults": {"method": "POST", "path": self.records_url},
            "requests": [{"body": {"data": {"n": number}}} for number in range(5)],
        }
        with mock.patch.object(self.storage, "create", wraps=self.storage.create) as create:
            self.app.post_json("/batch", body, headers=self.headers)
        names = [call[1]["collection_id"] for call in create.call_args_list]
        self.assertEqual(names, ["bucket", "collection"] + ["record"] * 5)

    def test_groups_can_be_used(self):
        url = "/buckets/default/groups/friends"
        body = {"data": {"members": [self.other]}}
        self.app.put_json(url, body, headers=self.headers, status=201)
        bucket = self.app.get(self.bucket_url, headers=self.headers).json["data"]
        principals = self.permission.user_principals(self.other)
        self.assertEqual(set(principals), {"/buckets/{id}/groups/friends".format(**bucket)})

    def test_first_requests_can_be_concurrent(self):
        def create(number):
            return self.app.post_json(
                self.records_url, {"data": {"n": number}}, headers=self.headers, status="*"
            )

        with ThreadPoolExecutor(4) as executor:
            responses = list(executor.map(create, range(8)))
        self.assertEqual([response.status_code for response in responses], [201] * 8)
        response = self.app.get(self.records_url, headers=self.headers)
        self.assertEqual({record["n"] for record in response.json["data"]}, set(range(8)))

    def test_failures_undo_the_creation(self):
        if self.engine == "redis":
            self.skipTest("Redis has no transactions")
        with mock.patch.object(Record, "process_record", side_effect=ValueError("Broken")):
            self.app.post_json(self.records_url, {}, headers=self.headers, status=500)
        self.app.get(self.collection_url, headers=self.headers, status=404)
