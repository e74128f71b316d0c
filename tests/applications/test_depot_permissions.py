"""Tests of the storage server: permissions and groups."""

import unittest
from unittest import mock

from pyramid import httpexceptions

from cliquet.errors import ERRORS
from cliquet.permission import memory as memory_permission
from cliquet.storage import memory as memory_storage
from cliquet.tests.support import DummyRequest, authorize
from tests.applications.depot.authorization import AuthorizationPolicy
from tests.applications.depot.views.groups import Group, on_groups_changed
from tests.applications.depot_case import DepotTest
from tests.applications.support import on_every_engine


@on_every_engine
class InheritedPermissionsTest(DepotTest):
    def setUp(self):
        super().setUp()
        self.create_bucket()
        self.create_collection()
        self.record = self.create_record()
        self.record_url = f"{self.records_url}/{self.record['id']}"

    def share(self, url, permission):
        body = {"permissions": {permission: [self.other]}}
        self.app.patch_json(url, body, headers=self.headers)

    def test_nothing_is_shared_by_default(self):
        for url in (self.bucket_url, self.collection_url, self.record_url, self.records_url):
            response = self.app.get(url, headers=self.other_headers, status=403)
            self.assertFormattedError(response, 403, ERRORS.FORBIDDEN, "Forbidden")

    def test_read_on_a_bucket_is_inherited(self):
        self.share(self.bucket_url, "read")
        for url in (self.bucket_url, self.collection_url, self.record_url):
            self.app.get(url, headers=self.other_headers, status=200)
            self.app.delete(url, headers=self.other_headers, status=403)
        response = self.app.get(self.records_url, headers=self.other_headers)
        self.assertEqual(len(response.json["data"]), 1)
        self.app.post_json(self.records_url, {}, headers=self.other_headers, status=403)

    def test_write_on_a_bucket_is_inherited(self):
        self.share(self.bucket_url, "write")
        self.app.post_json(self.records_url, {}, headers=self.other_headers, status=201)
        self.app.put_json(
            f"{self.groups_url}/g", {"data": {"members": []}}, headers=self.other_headers
        )
        self.app.delete(self.record_url, headers=self.other_headers, status=200)

    def test_create_permission_on_a_bucket_is_inherited_and_shows_the_bucket(self):
        self.share(self.bucket_url, "record:create")
        self.app.get(self.bucket_url, headers=self.other_headers, status=200)
        self.app.get(self.collection_url, headers=self.other_headers, status=403)
        url = f"{self.records_url}/1af6d0ab-7a3c-4a9e-9d2e-4a2f3c6d7e8f"
        self.app.put_json(url, {}, headers=self.other_headers, status=201)
        self.app.put_json(url, {}, headers=self.other_headers, status=200)
        self.app.put_json(self.record_url, {}, headers=self.other_headers, status=403)

    def test_create_on_a_collection_gives_its_own_records_only(self):
        self.share(self.collection_url, "record:create")
        own = self.app.post_json(self.records_url, {}, headers=self.other_headers).json["data"]
        self.app.get(self.record_url, headers=self.other_headers, status=403)
        url = f"{self.records_url}/{own['id']}"
        self.app.get(url, headers=self.other_headers, status=200)
        response = self.app.get(self.records_url, headers=self.other_headers)
        self.assertEqual([record["id"] for record in response.json["data"]], [own["id"]])

    def test_lists_contain_only_the_shared_records(self):
        self.create_record()
        self.share(self.record_url, "read")
        response = self.app.get(self.records_url, headers=self.other_headers)
        self.assertEqual([record["id"] for record in response.json["data"]], [self.record["id"]])

    def test_deletion_of_a_list_keeps_the_records_that_are_not_shared(self):
        kept = self.create_record()
        self.share(self.record_url, "write")
        response = self.app.delete(self.records_url, headers=self.other_headers)
        self.assertEqual([item["id"] for item in response.json["data"]], [self.record["id"]])
        response = self.app.get(self.records_url, headers=self.headers)
        self.assertEqual([item["id"] for item in response.json["data"]], [kept["id"]])

    def test_everyone_can_be_given_a_permission(self):
        body = {"permissions": {"read": ["system.Everyone"]}}
        self.app.patch_json(self.collection_url, body, headers=self.headers)
        self.app.get(self.record_url, status=200)
        self.app.get(self.records_url, status=200)
        self.app.get(self.bucket_url, status=401)

    def test_records_of_anonymous_users_have_no_owner(self):
        body = {"permissions": {"record:create": ["system.Everyone"]}}
        self.app.patch_json(self.collection_url, body, headers=self.headers)
        created = self.app.post_json(self.records_url, {"data": {"n": 1}}, status=201).json
        self.assertNotIn("system.Everyone", created.get("permissions", {}).get("write", []))
        url = "{0}/{id}".format(self.records_url, **created["data"])
        self.app.delete(url, headers=self.other_headers, status=403)

    def test_posting_the_id_of_a_visible_record_returns_it(self):
        self.share(self.collection_url, "record:create")
        self.share(self.record_url, "read")
        record = self.app.get(self.record_url, headers=self.other_headers).json["data"]
        body = {"data": {"id": record["id"], "title": "Mine"}}
        response = self.app.post_json(
            self.records_url, body, headers=self.other_headers, status=200
        )
        self.assertEqual(response.json, {"data": record})

    def test_permissions_disappear_with_the_object(self):
        self.share(self.record_url, "read")
        self.app.delete(self.record_url, headers=self.headers)
        self.assertEqual(self.permission.object_permissions(self.record_url), {})


@on_every_engine
class AdministratorTest(DepotTest):
    def test_administrators_have_every_permission(self):
        self.create_bucket()
        self.create_collection()
        record = self.create_record()
        url = f"{self.records_url}/{record['id']}"
        self.app.get(url, headers=self.other_headers, status=403)

        self.settings = {"depot.administrators": self.other}
        admin, headers = self.get_test_app(), self.other_headers
        for name in ("storage", "permission"):
            setattr(admin.app.registry, name, getattr(self.registry, name))
        admin.get(url, headers=headers, status=200)
        body = {"data": {"id": record["id"]}}
        admin.post_json(self.records_url, body, headers=headers, status=200)
        admin.post_json(self.records_url, {}, headers=headers, status=201)
        admin.put_json(url, {}, headers={**headers, "If-None-Match": "*"}, status=412)
        admin.delete(self.bucket_url, headers=headers, status=200)


@on_every_engine
class AllowedTest(DepotTest):
    """With a policy that ignores permissions, for the tests of applications."""

    settings = {"multiauth.authorization_policy": "cliquet.tests.support.AllowAuthorizationPolicy"}

    def test_every_user_is_allowed(self):
        self.create_bucket()
        self.create_collection()
        record = self.create_record()
        url = f"{self.records_url}/{record['id']}"
        headers = self.other_headers
        self.app.get(self.records_url, headers=headers, status=200)
        body = {"data": {"id": record["id"]}}
        self.app.post_json(self.records_url, body, headers=headers, status=200)
        response = self.app.patch_json(url, {"data": {"n": 1}}, headers=headers, status=200)
        self.assertEqual(set(response.json["permissions"]["write"]), {self.user, self.other})
        self.app.put_json(url, {"data": {"n": 1}}, headers=headers, status=200)
        self.app.put_json(url, {}, headers={**headers, "If-None-Match": "*"}, status=412)
        self.app.delete(url, headers=headers, status=200)
        self.app.delete("/buckets", headers=headers, status=200)

    @authorize(permits=False)
    def test_every_user_is_refused(self):
        self.app.get("/buckets", status=401)
        self.app.get("/buckets", headers=self.headers, status=403)
        self.app.put_json(self.bucket_url, {}, headers=self.headers, status=403)


@on_every_engine
class GroupTest(DepotTest):
    def setUp(self):
        super().setUp()
        self.create_bucket()
        self.create_collection()
        self.group_url = f"{self.groups_url}/readers"
        body = {"permissions": {"read": [self.group_url]}}
        self.app.patch_json(self.collection_url, body, headers=self.headers)

    def assertMember(self, is_member):
        principals = self.permission.user_principals(self.other)
        self.assertEqual(set(principals), {self.group_url} if is_member else set())
        status = 200 if is_member else 403
        self.app.get(self.records_url, headers=self.other_headers, status=status)

    def test_members_are_required(self):
        response = self.app.put(self.group_url, headers=self.headers, status=400)
        self.assertFormattedError(
            response, 400, ERRORS.INVALID_PARAMETERS, "Invalid parameters", "data"
        )

    def test_members_have_the_principal_of_the_group(self):
        self.assertMember(False)
        self.create_group(self.other)
        self.assertMember(True)

    def test_members_of_posted_groups_have_its_principal(self):
        body = {"data": {"members": [self.other]}}
        group = self.app.post_json(self.groups_url, body, headers=self.headers).json["data"]
        principals = self.permission.user_principals(self.other)
        self.assertEqual(set(principals), {f"{self.groups_url}/{group['id']}"})

    def test_former_members_lose_it(self):
        self.create_group(self.other)
        self.app.patch_json(self.group_url, {"data": {"members": []}}, headers=self.headers)
        self.assertMember(False)

    def test_replaced_members_lose_it(self):
        self.create_group(self.other)
        self.create_group(self.user)
        self.assertMember(False)

    def test_members_lose_it_with_the_group(self):
        self.create_group(self.other)
        self.app.delete(self.group_url, headers=self.headers)
        self.assertMember(False)

    def test_members_lose_it_with_all_groups(self):
        self.create_group(self.other)
        self.create_group(self.other, name="editors")
        self.app.delete(self.groups_url, headers=self.headers)
        self.assertMember(False)

    def test_permissions_of_a_group_can_be_changed_alone(self):
        self.create_group(self.other)
        body = {"permissions": {"read": [self.other]}}
        self.app.patch_json(self.group_url, body, headers=self.headers)
        self.assertMember(True)

    def test_batch_of_several_buckets_gives_each_member_its_own_group(self):
        group = {"data": {"members": [self.other]}}
        paths = ["/buckets/a", "/buckets/b", "/buckets/a/groups/g", "/buckets/b/groups/g"]
        body = {"requests": [{"method": "PUT", "path": path, "body": {}} for path in paths[:2]]}
        body["requests"] += [{"method": "PUT", "path": path, "body": group} for path in paths[2:]]
        self.app.post_json("/batch", body, headers=self.headers)
        self.assertEqual(set(self.permission.user_principals(self.other)), set(paths[2:]))

    def test_failed_requests_leave_the_members_unchanged(self):
        with mock.patch.object(
            self.permission, "add_user_principal", side_effect=ValueError("Broken")
        ):
            self.app.put_json(
                self.group_url,
                {"data": {"members": [self.other]}},
                headers=self.headers,
                status=500,
            )
        self.assertMember(False)


class AuthorizationPolicyTest(unittest.TestCase):
    def setUp(self):
        self.policy = AuthorizationPolicy()

    def test_nothing_grants_the_creation_of_buckets(self):
        bound = self.policy.get_bound_permissions("/buckets", "bucket:create")
        self.assertEqual(bound, set())

    def test_write_is_inherited(self):
        bound = self.policy.get_bound_permissions("/buckets/a/groups/b", "write")
        self.assertEqual(bound, {("/buckets/a", "write"), ("/buckets/a/groups/b", "write")})

    def test_creation_is_granted_by_the_containers(self):
        bound = self.policy.get_bound_permissions("/buckets/a/collections", "collection:create")
        self.assertEqual(bound, {("/buckets/a", "write"), ("/buckets/a", "collection:create")})

    def test_private_and_other_permissions_are_left_to_the_toolkit(self):
        context = mock.MagicMock(
            allowed_principals=[], on_collection=False, required_permission="read"
        )
        context.get_prefixed_userid.return_value = "basicauth:bob"
        context.check_permission.return_value = True
        self.assertTrue(self.policy.permits(context, ["system.Everyone"], "dynamic"))
        self.assertFalse(self.policy.permits(context, ["system.Everyone"], "private"))


class GroupEndpointsTest(unittest.TestCase):
    """The endpoints called directly, with mocks around them."""

    def setUp(self):
        self.storage = memory_storage.Storage()
        self.permission = memory_permission.Permission()
        self.storage.create("bucket", "", {"id": "a"})
        self.group = self.make_resource({"members": ["bob"]}).collection_post()["data"]
        self.uri = "/buckets/a/groups/{id}".format(**self.group)

    def make_resource(self, data=None, permissions=None, **matchdict):
        request = DummyRequest()
        request.registry.storage = self.storage
        request.registry.permission = self.permission
        request.matchdict = {"bucket_id": "a", **matchdict}
        request.json = {}
        if data is not None:
            request.json["data"] = data
        if permissions is not None:
            request.json["permissions"] = permissions
        request.validated = {"data": {}, **request.json}
        context = mock.MagicMock(shared_ids=None)
        context.get_permission_object_id = lambda request, record_id=None: (
            f"/buckets/a/groups/{record_id}"
        )
        return Group(request=request, context=context)

    def test_groups_are_stored_below_the_bucket(self):
        stored = self.storage.get("group", "/buckets/a", self.group["id"])
        self.assertEqual(stored, self.group)

    def test_creators_can_write(self):
        resource = self.make_resource(id=self.group["id"])
        self.assertEqual(resource.get()["permissions"]["write"], ["basicauth:bob"])

    def test_permissions_can_be_replaced(self):
        resource = self.make_resource(
            {"members": []}, permissions={"read": ["alice"]}, id=self.group["id"]
        )
        resource.request.method = "PUT"
        self.assertEqual(resource.put()["permissions"]["read"], ["alice"])
        self.assertEqual(
            self.permission.object_permissions(self.uri),
            {"read": {"alice"}, "write": {"basicauth:bob"}},
        )

    def test_permissions_can_be_modified_alone(self):
        resource = self.make_resource(permissions={"read": ["alice"]}, id=self.group["id"])
        resource.request.method = "PATCH"
        response = resource.patch()
        self.assertEqual(response["data"]["members"], ["bob"])
        self.assertEqual(response["permissions"]["read"], ["alice"])

    def test_permissions_are_deleted_with_the_group(self):
        self.make_resource(id=self.group["id"]).delete()
        self.assertEqual(self.permission.object_permissions(self.uri), {})

    def test_lists_are_limited_to_the_shared_groups(self):
        resource = self.make_resource()
        self.assertEqual(resource.collection_get()["data"], [self.group])
        resource = self.make_resource()
        resource.context.shared_ids = ["another"]
        self.assertEqual(resource.collection_get()["data"], [])

    def test_missing_buckets_are_404(self):
        with self.assertRaises(httpexceptions.HTTPNotFound):
            self.make_resource(bucket_id="b")


class GroupSubscriberTest(unittest.TestCase):
    def make_event(self, **change):
        request = DummyRequest()
        request.registry = mock.MagicMock()
        event = mock.MagicMock(request=request, payload={"bucket_id": "a"})
        event.impacted_records = [change]
        return event, request.registry.permission

    def test_new_members_get_the_principal(self):
        event, permission = self.make_event(new={"id": "g", "members": ["bob"]})
        on_groups_changed(event)
        permission.add_user_principal.assert_called_with("bob", "/buckets/a/groups/g")

    def test_remaining_members_are_not_rewritten(self):
        group = {"id": "g", "members": ["bob"]}
        event, permission = self.make_event(new=group, old=group)
        on_groups_changed(event)
        self.assertFalse(permission.add_user_principal.called)
        self.assertFalse(permission.remove_user_principal.called)
