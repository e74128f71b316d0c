"""Principals, bound permissions and contexts of shareable resources, on every engine."""

import pytest
from pyramid.authorization import Authenticated
from pyramid.interfaces import IAuthorizationPolicy
from zope.interface import implementer

from cliquet.authorization import AuthorizationPolicy, RouteFactory
from cliquet.resource import ShareableResource
from tests.resource.apps import AnyFields, Page

pytestmark = pytest.mark.parametrize("engine", ["memory", "sqlite", "postgresql", "redis"])

NEW = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"


class Chapter(ShareableResource):
    """Records nested below pages."""

    mapping = AnyFields()

    def get_parent_id(self, request):
        return "/pages/" + request.matchdict["page"]


NESTED = (
    Chapter,
    {
        "collection_path": "/pages/{{page}}/chapters",
        "record_path": "/pages/{{page}}/chapters/{{id}}",
    },
)


def dotted(cls):
    return {"multiauth.authorization_policy": f"{__name__}.{cls.__name__}"}


# Users in access control entries.


@pytest.fixture
def api(build_once):
    return build_once(Page, NESTED)


FORMS = {"{policy}:{user}": True, "{policy}_{user}": True, "{user}": False, "other:{user}": False}


@pytest.mark.parametrize("form, granted", FORMS.items())
def test_entries_name_users_with_their_policy(api, form, granted):
    alice, bob = api.user("alice"), api.user("bob")
    policy, user = bob.id.split(":")
    principal = form.format(policy=policy, user=user)
    page = alice.create("/pages", {"n": 1}, permissions={"read": [principal], "write": [principal]})
    url = f"/pages/{page['id']}"
    status = 200 if granted else 403
    bob.get(url, status=status)
    bob.get("/pages", status=status)
    bob.patch(url, {"n": 2}, status=status)
    bob.put(url, {"n": 3}, status=status)
    # An id that is taken returns the record to those who may see it.
    bob.post("/pages", {"id": page["id"]}, status=status)
    bob.delete(url, status=status)


@pytest.mark.parametrize("form, granted", FORMS.items())
def test_collections_are_opened_to_users_with_their_policy(api, form, granted):
    alice, bob = api.user("alice"), api.user("bob")
    policy, user = bob.id.split(":")
    alice.create("/pages", {"n": 1})
    principal = form.format(policy=policy, user=user)
    for permission in ("read", "write"):
        api.permission.add_principal_to_ace("/pages", permission, principal)
    bob.get("/pages", status=200 if granted else 403)
    bob.delete("/pages?n=2", status=200 if granted else 403)


@pytest.mark.parametrize("form, granted", FORMS.items())
def test_settings_name_users_with_their_policy(build, build_once, form, granted):
    policy, user = build_once(Page).user("bob").id.split(":")
    principal = form.format(policy=policy, user=user)
    names = ("read", "write", "create")
    bob = build(Page, settings={f"page_{name}_principals": principal for name in names}).user("bob")
    bob.get("/pages", status=200 if granted else 403)
    bob.post("/pages", {"n": 1}, status=201 if granted else 403)
    bob.put(f"/pages/{NEW}", {"n": 1}, status=201 if granted else 403)


# Policies of applications.


class Extra(AuthorizationPolicy):
    """Adds a principal, as applications do with lists."""

    def permits(self, context, principals, permission):
        return super().permits(context, principals + ["extra"], permission)


class Iterables(AuthorizationPolicy):
    def permits(self, context, principals, permission):
        return all(
            super(Iterables, self).permits(context, kind([*principals, "extra"]), permission)
            for kind in (set, tuple, frozenset, iter, dict.fromkeys)
        )


class Lists(RouteFactory):
    """Methods of the context get lists too."""

    def check_permission(self, permission, principals, get_bound_permissions):
        return super().check_permission(permission, principals + ["extra"], get_bound_permissions)

    def fetch_shared_records(self, perm, principals, get_bound_permissions):
        return super().fetch_shared_records(perm, principals + [], get_bound_permissions)


@pytest.mark.parametrize("policy, factory", [(Extra, RouteFactory), (Iterables, Lists)])
def test_policy_can_add_principals(build, policy, factory):
    alice = build((Page, {"factory": factory}), settings=dotted(policy)).user("alice")
    page = alice.create("/pages", {"n": 1}, permissions={"read": ["extra"]})
    bob = alice.user("bob")
    url = f"/pages/{page['id']}"
    assert bob.list("/pages") == [page]
    assert bob.get(url).json["data"] == page
    bob.patch(url, {"n": 2}, status=403)
    bob.put(url, {"n": 2}, status=403)
    bob.delete("/pages", status=403)
    bob.put(f"/pages/{NEW}", {"n": 2}, status=201)


class Strict(AuthorizationPolicy):
    """Knows its permissions only, like that of an application with a table of them."""

    TABLE = {"read": ("read", "write"), "write": ("write",), "chapter:create": ("write",)}

    def get_bound_permissions(self, object_id, permission):
        if permission.endswith(":create"):
            assert "*" not in object_id
        if permission == "page:create":
            return [(object_id, permission)]
        return [(object_id, bound) for bound in self.TABLE[permission]]


def test_bound_permissions_of_a_creation_are_those_of_its_object(build):
    settings = {**dotted(Strict), "page_create_principals": "group:authors"}
    alice = build(Page, NESTED, settings=settings).user("alice")
    page = {"data": {"n": 1}}
    alice.send("POST", "/pages", page, status=403)
    alice.send("PUT", f"/pages/{NEW}", page, status=403)
    alice.send("POST", f"/pages/{NEW}/chapters", page, status=403)
    alice.permission.add_user_principal(alice.id, "group:authors")
    alice.send("POST", "/pages", page, status=201)


class Recording(AuthorizationPolicy):
    """Refuses PUT of locked records, which it reads on the context."""

    def permits(self, context, principals, permission):
        record = context.current_record
        if record is not None and record.get("locked"):
            return False
        return super().permits(context, principals, permission)


class ByObject(AuthorizationPolicy):
    """Decides by the object alone, which it reads first."""

    def permits(self, context, principals, permission):
        is_creation = context.permission_object_id == "/pages"
        assert (context.required_permission == "create") is is_creation
        return super().permits(context, principals, permission)


def test_policy_can_read_the_record_that_put_replaces(build):
    alice = build(Page, settings=dotted(Recording)).user("alice")
    alice.put(f"/pages/{NEW}", {"n": 1}, status=201)
    alice.put(f"/pages/{NEW}", {"locked": True}, status=200)
    alice.put(f"/pages/{NEW}", {"n": 2}, status=403)
    alice.delete(f"/pages/{NEW}", status=200)
    alice.put(f"/pages/{NEW}", {"n": 3}, status=201)


def test_policy_can_read_the_object_of_put(build):
    alice = build(Page, settings=dotted(ByObject)).user("alice")
    alice.put(f"/pages/{NEW}", {"n": 1}, status=201)
    alice.put(f"/pages/{NEW}", {"n": 2}, status=200)
    assert alice.get(f"/pages/{NEW}", status=403)


@implementer(IAuthorizationPolicy)
class Own:
    """Permits everything to authenticated users, without access control entries."""

    def permits(self, context, principals, permission):
        return Authenticated in principals


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": "*"}])
def test_custom_policy_decides_who_sees_the_record_of_a_posted_id(build, headers):
    alice = build(Page, settings=dotted(Own)).user("alice")
    page = alice.create("/pages", {"n": 1})
    response = alice.user("bob").post("/pages", {"id": page["id"]}, headers, status="*")
    assert response.status_int == (412 if headers else 200)


# Lists of nested objects.


@pytest.mark.parametrize("method, permission", [("GET", "read"), ("DELETE", "write")])
def test_list_is_empty_for_users_of_nested_objects_only(api, method, permission):
    alice, bob = api.user("alice"), api.user("bob")
    url = f"/pages/{alice.create('/pages')['id']}"
    api.permission.add_principal_to_ace(f"{url}/chapters", "chapter:create", alice.id)
    # The nested record has the id of a page: it must not give access to that page.
    alice.create("/pages", {"id": NEW})
    alice.create(f"{url}/chapters", {"id": NEW}, permissions={permission: [bob.id]})
    assert bob.send(method, "/pages", status=200).json == {"data": []}
    assert len(alice.send("DELETE", "/pages").json["data"]) == 2
    bob.send("GET" if permission == "write" else "DELETE", "/pages", status=403)
    bob.get(url, status=403)


def test_list_is_refused_to_users_of_other_collections(api):
    bob = api.user("bob")
    for object_id in ("/pages", f"/page/{NEW}", f"/pagess/{NEW}", f"/a/pages/{NEW}"):
        api.permission.add_principal_to_ace(object_id, "other", bob.id)
        api.permission.add_principal_to_ace(object_id + "x", "read", bob.id)
    bob.get("/pages", status=403)
