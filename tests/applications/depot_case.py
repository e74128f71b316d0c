"""Base class for the tests of the storage server."""

import unittest

from tests.applications import depot
from tests.applications.support import BaseWebTest


class DepotTest(BaseWebTest, unittest.TestCase):
    __test__ = False
    main = depot.main

    bucket_url = "/buckets/press"
    collection_url = "/buckets/press/collections/articles"
    records_url = "/buckets/press/collections/articles/records"
    groups_url = "/buckets/press/groups"

    def setUp(self):
        super().setUp()
        self.user = self.userid(self.headers)
        self.other = self.userid(self.other_headers)

    def create_bucket(self, **body):
        return self.app.put_json(self.bucket_url, body, headers=self.headers)

    def create_collection(self, **body):
        return self.app.put_json(self.collection_url, body, headers=self.headers)

    def create_record(self, data=None, **body):
        body["data"] = data or {"title": "News"}
        response = self.app.post_json(self.records_url, body, headers=self.headers)
        return response.json["data"]

    def create_group(self, *members, name="readers"):
        url = f"{self.groups_url}/{name}"
        body = {"data": {"members": list(members)}}
        return self.app.put_json(url, body, headers=self.headers)
