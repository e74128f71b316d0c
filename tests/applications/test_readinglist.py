"""Tests of the reading list."""

import unittest
from unittest import mock

import colander
from pyramid import httpexceptions

from cliquet.errors import ERRORS
from cliquet.storage import memory
from cliquet.storage.exceptions import BackendError
from cliquet.tests.support import DummyRequest
from cliquet.utils import msec_time
from tests.applications import readinglist
from tests.applications.readinglist.views.article import Article, ArticleSchema
from tests.applications.support import BaseWebTest, on_every_engine

ARTICLE = {"url": "http://blog.example/1", "title": "First", "added_by": "Phone"}


class ReadingListTest(BaseWebTest, unittest.TestCase):
    __test__ = False
    main = readinglist.main

    def create(self, status=201, **fields):
        body = {"data": {**ARTICLE, **fields}}
        response = self.app.post_json("/articles", body, headers=self.headers, status=status)
        return response.json.get("data", response)

    def patch(self, record, status=200, headers=None, **changes):
        url = "/articles/{id}".format(**record)
        headers = {**self.headers, **(headers or {})}
        return self.app.patch_json(url, {"data": changes}, headers=headers, status=status)

    def list(self, querystring=""):
        return self.app.get(f"/articles{querystring}", headers=self.headers)


@on_every_engine
class HelloTest(ReadingListTest):
    settings = {"readinglist.batch_max_requests": "30"}

    def test_clients_can_read_some_settings(self):
        settings = self.app.get("/").json["settings"]
        self.assertEqual(settings["cliquet.batch_max_requests"], 30)
        self.assertEqual(settings["readinglist.words_per_minute"], 200)


@on_every_engine
class ArticleCreationTest(ReadingListTest):
    def test_defaults_are_filled(self):
        record = self.create()
        self.assertTrue(record["unread"])
        self.assertFalse(record["favorite"])
        self.assertFalse(record["archived"])
        self.assertEqual(record["excerpt"], "")
        self.assertEqual(record["read_position"], 0)
        self.assertIsNone(record["read_on"])
        self.assertNotIn("language", record)

    def test_title_and_url_are_resolved(self):
        record = self.create()
        self.assertEqual(record["resolved_title"], record["title"])
        self.assertEqual(record["resolved_url"], record["url"])

    def test_resolved_values_are_kept(self):
        record = self.create(resolved_url="http://blog.example/one", resolved_title="One")
        self.assertEqual(record["resolved_url"], "http://blog.example/one")
        self.assertEqual(record["resolved_title"], "One")

    def test_times_are_set(self):
        before = msec_time()
        record = self.create()
        for field in ("added_on", "stored_on"):
            self.assertGreaterEqual(record[field], before)

    def test_time_of_addition_can_be_given(self):
        self.assertEqual(self.create(added_on=1234)["added_on"], 1234)

    def test_modification_time_is_that_of_the_server(self):
        before = msec_time()
        record = self.create(last_modified=1234)
        self.assertGreaterEqual(record["last_modified"], before)

    def test_white_space_is_stripped(self):
        record = self.create(url="  http://blog.example/2 ", title=" Two\n", added_by=" Phone ")
        self.assertEqual(record["url"], "http://blog.example/2")
        self.assertEqual(record["title"], "Two")
        self.assertEqual(record["added_by"], "Phone")

    def test_long_titles_are_cut(self):
        self.assertEqual(len(self.create(title="x" * 2000)["title"]), 1024)

    def test_unknown_fields_are_dropped(self):
        self.assertNotIn("color", self.create(color="red"))

    def test_minutes_are_computed(self):
        self.assertIsNone(self.create()["minutes"])
        self.assertEqual(self.create(url="http://blog.example/2", word_count=401)["minutes"], 3)

    def test_urls_of_internal_sites_are_valid(self):
        for url in ("http://intranet/page", "https://myserver:9999/feature", "about:reader"):
            self.create(url=url)

    def test_invalid_articles_are_refused(self):
        for fields in (
            {"url": "not a URL"},
            {"url": "http://blog.example/" + "x" * 2048},
            {"title": "   "},
            {"added_by": None},
            {"word_count": -1},
            {"unread": "perhaps", "word_count": "many"},
        ):
            response = self.create(status=400, **fields)
            self.assertFormattedError(
                response, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", "data"
            )

    def test_data_are_required(self):
        for body in ({}, {"data": {}}):
            self.app.post_json("/articles", body, headers=self.headers, status=400)
        self.app.post("/articles", headers=self.headers, status=400)

    def test_articles_are_private(self):
        url = "/articles/{id}".format(**self.create())
        self.app.get(url, headers=self.other_headers, status=404)
        response = self.app.get(url, status=401)
        self.assertFormattedError(
            response, 401, ERRORS.MISSING_AUTH_TOKEN, "Unauthorized", "authenticate"
        )


@on_every_engine
class ArticleUnicityTest(ReadingListTest):
    def test_posting_a_known_url_returns_the_article(self):
        record = self.create()
        self.assertEqual(self.create(status=200, title="Again"), record)

    def test_posting_the_url_that_another_one_resolves_to_returns_it(self):
        record = self.create(url="http://short.example/1", resolved_url="http://blog.example/1")
        self.assertEqual(self.create(status=200)["id"], record["id"])

    def test_other_users_can_save_the_same_url(self):
        self.create()
        self.app.post_json("/articles", {"data": ARTICLE}, headers=self.other_headers, status=201)

    def test_patch_with_the_url_of_another_one_is_a_conflict(self):
        first = self.create()
        second = self.create(url="http://blog.example/2")
        response = self.patch(second, resolved_url=first["url"], status=409)
        self.assertFormattedError(
            response, 409, ERRORS.CONSTRAINT_VIOLATED, "Conflict", "resolved_url"
        )
        self.assertEqual(response.json["details"]["existing"]["id"], first["id"])

    def test_deleted_articles_can_be_saved_again(self):
        first = self.create()
        self.app.delete("/articles/{id}".format(**first), headers=self.headers)
        self.assertNotEqual(self.create()["id"], first["id"])


@on_every_engine
class ArticleModificationTest(ReadingListTest):
    def setUp(self):
        super().setUp()
        self.record = self.create(word_count=100)

    def test_readonly_fields_cannot_be_changed(self):
        for changes in (
            {"url": "http://other.example/"},
            {"stored_on": 1234},
            {"minutes": 12},
        ):
            response = self.patch(self.record, status=400, **changes)
            self.assertFormattedError(
                response, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", "Cannot modify"
            )

    def test_readonly_fields_can_be_sent_unchanged(self):
        changes = {field: self.record[field] for field in ("url", "stored_on", "minutes")}
        response = self.patch(self.record, **changes)
        self.assertEqual(response.json["data"], self.record)

    def test_nothing_is_written_when_nothing_changes(self):
        response = self.patch(self.record, title=self.record["title"])
        self.assertEqual(response.json["data"]["last_modified"], self.record["last_modified"])

    def test_minutes_follow_the_number_of_words(self):
        response = self.patch(self.record, word_count=1000)
        self.assertEqual(response.json["data"]["minutes"], 5)

    def test_articles_are_marked_as_read(self):
        before = msec_time()
        data = self.patch(self.record, unread=False, read_by="Tablet").json["data"]
        self.assertEqual(data["read_by"], "Tablet")
        self.assertGreaterEqual(data["read_on"], before)

    def test_marking_as_read_requires_the_device(self):
        response = self.patch(self.record, unread=False, status=400)
        self.assertFormattedError(
            response, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", "read_by is required"
        )

    def test_marking_as_unread_forgets_the_reading(self):
        self.patch(self.record, unread=False, read_by="Tablet", read_position=42)
        data = self.patch(self.record, unread=True).json["data"]
        self.assertEqual((data["read_on"], data["read_by"]), (None, None))
        self.assertEqual(data["read_position"], 0)

    def test_position_never_decreases(self):
        self.patch(self.record, unread=False, read_by="Tablet", read_position=42)
        data = self.patch(self.record, read_position=10).json["data"]
        self.assertEqual(data["read_position"], 42)

    def test_light_responses_contain_the_changed_fields(self):
        headers = {"Response-Behavior": "light"}
        response = self.patch(self.record, headers=headers, favorite=True, archived=False)
        self.assertEqual(response.json["data"], {"favorite": True})

    def test_replaced_articles_keep_the_time_of_storage(self):
        url = "/articles/{id}".format(**self.record)
        body = {"data": {**ARTICLE, "title": "Other"}}
        data = self.app.put_json(url, body, headers=self.headers, status=200).json["data"]
        self.assertEqual(data["stored_on"], self.record["stored_on"])
        self.assertEqual(data["title"], "Other")

    def test_articles_can_be_put_back_as_they_were_read(self):
        url = "/articles/{id}".format(**self.record)
        body = self.app.get(url, headers=self.headers).json
        response = self.app.put_json(url, body, headers=self.headers, status=200)
        expected = {**body["data"], "last_modified": response.json["data"]["last_modified"]}
        self.assertEqual(response.json["data"], expected)
        self.assertGreater(expected["last_modified"], body["data"]["last_modified"])

    def test_optional_fields_can_be_reset(self):
        changes = {"word_count": 12, "resolved_title": "Other", "excerpt": "Once"}
        self.patch(self.record, **changes)
        data = self.patch(self.record, **dict.fromkeys(changes)).json["data"]
        self.assertEqual((data["word_count"], data["minutes"]), (None, None))
        self.assertEqual(data["resolved_title"], data["title"])
        self.assertEqual(data["excerpt"], "")

    def test_articles_can_be_put_with_any_uuid(self):
        for identifier in (
            "00000000-0000-0000-0000-000000000000",
            "a8098c1a-f86e-11da-bd1a-00112444be1e",
        ):
            body = {"data": {**ARTICLE, "url": f"http://blog.example/{identifier}"}}
            url = f"/articles/{identifier}"
            self.app.put_json(url, body, headers=self.headers, status=201)

    def test_concurrent_modifications_are_refused(self):
        etag = '"{last_modified}"'.format(**self.record)
        self.patch(self.record, favorite=True)
        response = self.patch(self.record, favorite=False, headers={"If-Match": etag}, status=412)
        self.assertTrue(response.json["details"]["existing"]["favorite"])


@on_every_engine
class ArticleListTest(ReadingListTest):
    def setUp(self):
        super().setUp()
        self.records = [
            self.create(
                url=f"http://blog.example/{number}",
                title=f"Article {number}",
                favorite=number % 2 == 0,
                word_count=number * 100,
            )
            for number in range(6)
        ]

    def titles(self, querystring):
        return [record["title"][-1] for record in self.list(querystring).json["data"]]

    def test_latest_articles_come_first(self):
        self.assertEqual(self.titles(""), list("543210"))

    def test_number_of_unread_articles_is_a_header(self):
        self.patch(self.records[0], unread=False, read_by="Tablet")
        headers = self.list("?favorite=true").headers
        self.assertEqual((headers["Total-Records"], headers["Total-Unread"]), ("3", "5"))

    def test_articles_can_be_filtered(self):
        self.assertEqual(self.titles("?favorite=true&_sort=title"), list("024"))
        self.assertEqual(self.titles("?min_word_count=200&lt_word_count=400"), list("32"))
        self.assertEqual(self.titles("?in_title=Article 1,Article 5"), list("51"))
        self.assertEqual(self.titles("?not_title=Article 1&archived=false"), list("54320"))

    def test_unknown_fields_are_refused(self):
        for querystring in ("?color=red", "?_sort=color", "?_fields=color"):
            url = f"/articles{querystring}"
            self.app.get(url, headers=self.headers, status=400)

    def test_articles_can_be_paginated(self):
        url, pages = "/articles?_sort=-word_count&_limit=4", []
        while url:
            response = self.app.get(url, headers=self.headers)
            pages.append([record["word_count"] for record in response.json["data"]])
            url = response.headers.get("Next-Page", "").replace("http://localhost/v1", "")
        self.assertEqual(pages, [[500, 400, 300, 200], [100, 0]])

    def test_fields_can_be_selected(self):
        (record, *_) = self.list("?_fields=title").json["data"]
        self.assertEqual(set(record), {"id", "last_modified", "title"})

    def test_devices_poll_for_changes(self):
        etag = self.list().headers["ETag"]
        self.app.get("/articles", headers={**self.headers, "If-None-Match": etag}, status=304)

        self.patch(self.records[2], favorite=False)
        url = "/articles/{id}".format(**self.records[4])
        tombstone = self.app.delete(url, headers=self.headers).json["data"]

        response = self.app.get("/articles", headers={**self.headers, "If-None-Match": etag})
        self.assertNotEqual(response.headers["ETag"], etag)
        deleted, changed = self.list(f"?_since={etag}").json["data"]
        self.assertEqual(deleted, tombstone)
        self.assertEqual(changed["id"], self.records[2]["id"])

    def test_first_polling_returns_everything(self):
        for since in ('"0"', "0", "-1"):
            self.assertEqual(len(self.list(f"?_since={since}").json["data"]), 6)

    def test_articles_can_be_deleted_by_filter(self):
        self.app.delete("/articles?favorite=true", headers=self.headers)
        self.assertEqual(self.titles(""), list("531"))


@on_every_engine
class ArticleBatchTest(ReadingListTest):
    def test_devices_send_their_changes_concurrently(self):
        record = self.create()
        body = {
            "defaults": {"headers": self.headers},
            "requests": [
                {
                    "method": "POST",
                    "path": "/articles",
                    "body": {"data": {**ARTICLE, "url": "http://blog.example/2"}},
                },
                {"method": "POST", "path": "/articles", "body": {"data": ARTICLE}},
                {
                    "method": "PATCH",
                    "path": "/v1/articles/{id}".format(**record),
                    "body": {"data": {"url": "http://other.example/"}},
                },
                {"path": "/articles?_sort=url&_fields=url"},
            ],
        }
        responses = self.app.post_json("/batch", body).json["responses"]
        self.assertEqual([item["status"] for item in responses], [201, 200, 400, 200])
        self.assertEqual(
            [item["url"] for item in responses[3]["body"]["data"]],
            ["http://blog.example/1", "http://blog.example/2"],
        )

    def test_number_of_requests_is_limited(self):
        body = {"requests": [{"path": "/articles"}] * 26}
        self.app.post_json("/batch", body, headers=self.headers, status=400)


@on_every_engine
class ArticleMetricsTest(ReadingListTest):
    def test_changes_are_counted_once_they_are_committed(self):
        with mock.patch.object(self.registry, "statsd") as statsd:
            url = "/articles/{id}".format(**self.create())
            self.create(status=400, title="")
            self.app.get(url, headers=self.headers)
            self.app.delete(url, headers=self.headers)
        keys = [call[0][0] for call in statsd.count.call_args_list]
        counted = [key for key in keys if key.startswith("articles.")]
        self.assertEqual(counted, ["articles.create", "articles.read", "articles.delete"])

    def test_failures_of_the_metrics_are_ignored(self):
        with mock.patch.object(self.registry, "statsd") as statsd:
            statsd.count.side_effect = lambda key, **kw: key.startswith("articles.") and 1 / 0
            self.create()


@on_every_engine
class BackendErrorTest(ReadingListTest):
    def assertUnavailable(self, response):
        self.assertFormattedError(
            response, 503, ERRORS.BACKEND, "Service Unavailable", "retry later"
        )
        self.assertEqual(response.headers["Retry-After"], "30")

    def test_failures_of_the_storage_are_503(self):
        url = "/articles/{id}".format(**self.create())
        other = {"data": {**ARTICLE, "url": "http://blog.example/2"}}
        for storage_method, method, path, arguments in (
            ("get_all", "get", "/articles", {}),
            ("collection_timestamp", "get", "/articles", {}),
            ("create", "post_json", "/articles", {"params": other}),
            ("delete_all", "delete", "/articles", {}),
            ("get", "get", url, {}),
            ("update", "put_json", url, {"params": {"data": ARTICLE}}),
            ("update", "patch_json", url, {"params": {"data": {"favorite": True}}}),
            ("delete", "delete", url, {}),
        ):
            with self.subTest(storage_method=storage_method, method=method):
                error = BackendError(original=OSError("Connection lost"))
                with mock.patch.object(self.storage, storage_method, side_effect=error) as mocked:
                    send = getattr(self.app, method)
                    response = send(path, headers=self.headers, status=503, **arguments)
                self.assertUnavailable(response)
                self.assertTrue(mocked.called)

    def test_heartbeat_reports_the_storage(self):
        error = BackendError(original=OSError("Connection lost"))
        with (
            mock.patch.object(self.storage, "create", side_effect=error),
            mock.patch.object(self.storage, "update", side_effect=error),
        ):
            response = self.app.get("/__heartbeat__", status=503)
        self.assertFalse(response.json["storage"])
        self.assertTrue(response.json["cache"])


class ArticleSchemaTest(unittest.TestCase):
    def setUp(self):
        self.schema = ArticleSchema()
        self.deserialized = self.schema.deserialize(dict(ARTICLE))

    def test_record_is_new_on_each_call(self):
        self.assertNotIn("id", self.deserialized)
        self.assertEqual(self.deserialized["added_by"], "Phone")

    def test_booleans_accept_the_values_of_colander(self):
        for value, expected in ((True, True), ("false", False), (1, True), (0, False)):
            article = self.schema.deserialize({**ARTICLE, "favorite": value})
            self.assertIs(article["favorite"], expected)

    def test_url_is_required(self):
        self.assertRaises(colander.Invalid, self.schema.deserialize, {"title": "First"})

    def test_options_are_inherited(self):
        self.assertFalse(self.schema.get_option("preserve_unknown"))
        self.assertTrue(self.schema.is_readonly("stored_on"))


class ArticleRulesTest(unittest.TestCase):
    """The rules of the resource, with mocks around it."""

    def setUp(self):
        request = DummyRequest()
        request.registry.storage = mock.MagicMock()
        request.registry.settings["words_per_minute"] = 100
        self.resource = Article(request=request, context=mock.MagicMock())

    def process(self, old=None, **fields):
        new = ArticleSchema().deserialize({**ARTICLE, **fields})
        return self.resource.process_record(new, old)

    def test_minutes_depend_on_the_settings(self):
        self.assertEqual(self.process(word_count=250)["minutes"], 3)

    def test_time_of_reading_is_kept(self):
        read = {"unread": False, "read_by": "Tablet"}
        old = dict(self.process(**read), last_modified=1)
        self.assertEqual(self.process(old, **read)["read_on"], old["read_on"])

    def test_given_time_of_reading_is_kept(self):
        record = self.process(unread=False, read_by="Tablet", read_on=1234)
        self.assertEqual(record["read_on"], 1234)

    def test_unread_filter_is_sent_to_the_storage(self):
        storage = self.resource.model.storage
        storage.get_all.return_value = ([], 0)
        storage.collection_timestamp.return_value = 1234
        self.resource.collection_get()
        filters = storage.get_all.call_args[1]["filters"]
        self.assertEqual([tuple(item)[:2] for item in filters], [("unread", True)])
        self.assertEqual(self.resource.request.response.headers["Total-Unread"], "0")


class ArticleEndpointsTest(unittest.TestCase):
    """The endpoints called directly, on a storage."""

    def setUp(self):
        self.storage = memory.Storage()
        self.record = self.make_resource(validated=ARTICLE).collection_post()["data"]

    def make_resource(self, validated=None, changes=None, record_id=None, headers=(), **params):
        request = DummyRequest(method="GET")
        request.registry.storage = self.storage
        request.registry.settings["words_per_minute"] = 200
        request.GET = params
        request.headers.update(headers)
        request.matchdict = {}
        if record_id:
            request.matchdict = {"id": record_id}
        if validated:
            request.validated = {"data": ArticleSchema().deserialize(validated)}
            request.json = {"data": validated}
        if changes:
            request.json = {"data": changes}
        return Article(request=request, context=mock.MagicMock())

    def test_post_stores_the_record(self):
        stored = self.storage.get("article", "basicauth:bob", self.record["id"])
        self.assertEqual(stored, self.record)

    def test_post_of_a_known_url_returns_it(self):
        resource = self.make_resource(validated=ARTICLE)
        self.assertEqual(resource.collection_post()["data"], self.record)

    def test_get_returns_the_record(self):
        resource = self.make_resource(record_id=self.record["id"])
        self.assertEqual(resource.get(), {"data": self.record})
        headers = resource.request.response.headers
        self.assertEqual(headers["ETag"], '"{last_modified}"'.format(**self.record))

    def test_get_of_an_unknown_record_is_404(self):
        resource = self.make_resource(record_id=self.record["id"][::-1])
        self.assertRaises(httpexceptions.HTTPBadRequest, resource.get)
        resource = self.make_resource(record_id="8d14c671-8a0f-4b37-94a4-1d2a5d9a9a1b")
        self.assertRaises(httpexceptions.HTTPNotFound, resource.get)

    def test_get_with_its_etag_is_304(self):
        headers = {"If-None-Match": '"{last_modified}"'.format(**self.record)}
        resource = self.make_resource(record_id=self.record["id"], headers=headers)
        self.assertRaises(httpexceptions.HTTPNotModified, resource.get)

    def test_put_replaces_the_record(self):
        resource = self.make_resource(
            validated={**ARTICLE, "title": "Other"}, record_id=self.record["id"]
        )
        self.assertEqual(resource.put()["data"]["title"], "Other")

    def test_put_creates_records(self):
        resource = self.make_resource(
            validated={**ARTICLE, "url": "http://blog.example/2"},
            record_id="8d14c671-8a0f-4b37-94a4-1d2a5d9a9a1b",
        )
        self.assertEqual(resource.put()["data"]["id"], "8d14c671-8a0f-4b37-94a4-1d2a5d9a9a1b")
        self.assertEqual(resource.request.response.status_code, 201)

    def test_put_with_a_stale_etag_is_412(self):
        headers = {"If-Match": '"1234"'}
        resource = self.make_resource(
            validated=ARTICLE, record_id=self.record["id"], headers=headers
        )
        self.assertRaises(httpexceptions.HTTPPreconditionFailed, resource.put)

    def test_patch_changes_the_record(self):
        resource = self.make_resource(
            changes={"favorite": True, "word_count": 300}, record_id=self.record["id"]
        )
        changed = resource.patch()["data"]
        self.assertTrue(changed["favorite"])
        self.assertEqual(changed["minutes"], 2)

    def test_patch_of_a_readonly_field_is_400(self):
        resource = self.make_resource(changes={"minutes": 12}, record_id=self.record["id"])
        self.assertRaises(httpexceptions.HTTPBadRequest, resource.patch)

    def test_delete_leaves_a_tombstone(self):
        resource = self.make_resource(record_id=self.record["id"])
        self.assertTrue(resource.delete()["data"]["deleted"])
        records, total = self.storage.get_all("article", "basicauth:bob")
        self.assertEqual((records, total), ([], 0))

    def test_list_can_be_filtered(self):
        self.assertEqual(self.make_resource(favorite="true").collection_get()["data"], [])
        resource = self.make_resource(favorite="false", _sort="title")
        self.assertEqual(resource.collection_get()["data"], [self.record])
        self.assertEqual(resource.request.response.headers["Total-Records"], "1")

    def test_list_with_an_unknown_field_is_400(self):
        resource = self.make_resource(color="red")
        self.assertRaises(httpexceptions.HTTPBadRequest, resource.collection_get)

    def test_list_can_be_deleted(self):
        (tombstone,) = self.make_resource().collection_delete()["data"]
        self.assertEqual(tombstone["id"], self.record["id"])
