"""Authorization: contexts, policies and principals."""

import pytest
from pyramid.authentication import RemoteUserAuthenticationPolicy
from pyramid.authorization import Authenticated, Everyone
from pyramid.interfaces import IAuthorizationPolicy, ISecurityPolicy
from pyramid.request import Request
from pyramid.security import NO_PERMISSION_REQUIRED
from zope.interface import implementer

import cliquet
from cliquet import authentication, authorization, principals
from cliquet.authorization import (
    DYNAMIC,
    PRIVATE,
    AuthorizationPolicy,
    RouteFactory,
    has_record_permission,
)
from cliquet.permission import redis as permission_redis
from cliquet.storage import redis as storage_redis
from tests.resource import apps
from tests.resource.apps import Note, Page

ID = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"


@pytest.fixture
def seen():
    """The state seen by the service ``/look``."""
    return {}


@pytest.fixture
def build(tmp_path, seen):
    def look(request):
        context = request.context
        seen.update(
            context=context,
            principals=set(request.effective_principals),
            resource_name=getattr(context, "resource_name", None),
            userid=request.prefixed_userid,
        )
        return {}

    def build(
        *resources, settings=None, setup=None, permission=None, factory=RouteFactory, **options
    ):
        def set_up(config):
            service = cliquet.Service(name="look", path="/look", factory=factory)
            service.get(permission=permission or NO_PERMISSION_REQUIRED)(look)
            config.add_cornice_service(service)
            if setup is not None:
                setup(config)

        settings = {**apps.backends("memory", tmp_path), **(settings or {})}
        return apps.build(*(resources or (Note, Page)), settings=settings, setup=set_up, **options)

    return build


def dotted(obj):
    return f"{__name__}.{obj.__name__}"


# Principals.


def test_principals_of_anonymous_requests_are_everyone(build, seen):
    build().get("/look")
    assert seen["principals"] == {Everyone}


def test_principals_of_a_user_are_himself_and_his_groups(build, seen):
    alice = build().user("alice")
    alice.permission.add_user_principal(alice.id, "group:a")
    alice.get("/look")
    assert {Everyone, Authenticated, "group:a"} < seen["principals"]
    assert alice.id.split(":")[1] in seen["principals"]


def test_without_a_security_policy_there_is_everyone(build):
    registry = build().registry
    request = Request.blank("/")
    request.registry = registry
    registry.unregisterUtility(provided=ISecurityPolicy)
    assert principals.effective_principals(request) == [Everyone]


def test_groups_are_read_once_in_a_batch(build, monkeypatch):
    alice = build().user("alice")
    calls = []
    original = alice.permission.user_principals

    def user_principals(user_id):
        calls.append(user_id)
        return original(user_id)

    monkeypatch.setattr(alice.permission, "user_principals", user_principals)
    created = {"method": "POST", "path": "/pages", "body": {"data": {}}}
    alice.batch(created, created, created)
    assert len(calls) == 1


def test_groups_are_not_read_if_irrelevant(build, monkeypatch):
    alice = build().user("alice")
    monkeypatch.delattr(type(alice.permission), "user_principals")
    alice.create("/notes")


def test_principals_contain_no_groups_without_a_permission_backend(build, seen):
    alice = build(Note).user("alice")
    del alice.registry.permission
    alice.get("/look")
    assert {Everyone, Authenticated} < seen["principals"]


def find_groups(userid, request):
    return None if request.headers.get("X-Refuse") else [f"group:of:{userid}"]


def test_groups_can_be_found_by_a_function_of_the_application(build, seen):
    alice = build(settings={"multiauth.groupfinder": dotted(find_groups)}).user("alice")
    alice.get("/look")
    assert f"group:of:{alice.id.split(':')[1]}" in seen["principals"]
    alice.create("/notes")
    alice.get("/notes", {"X-Refuse": "yes"}, status=401)


# The policy.


class Nobody(AuthorizationPolicy):
    def permits(self, context, principals, permission):
        return permission == "open"


@implementer(IAuthorizationPolicy)
class Own:
    """A policy that shares nothing with ours."""

    def permits(self, context, principals, permission):
        return Authenticated in principals and permission != "closed"

    def principals_allowed_by_permission(self, context, permission):
        raise NotImplementedError


def test_private_is_for_authenticated_users(build):
    api = build(permission=PRIVATE)
    api.get("/look", status=401)
    api.user("alice").get("/look", status=200)


def test_policy_can_be_overridden(build):
    settings = {"multiauth.authorization_policy": dotted(Nobody)}
    alice = build(settings=settings).user("alice")
    alice.get("/notes", status=403)
    alice.get("/pages", status=403)
    build(settings=settings, permission="open").get("/look", status=200)


def test_policy_can_be_of_any_class(build):
    settings = {"multiauth.authorization_policy": dotted(Own)}
    api = build(settings=settings)
    api.get("/notes", status=401)
    api.user("alice").get("/notes", status=200)
    build(settings=settings, permission="closed").user("alice").get("/look", status=403)


def test_policy_is_a_registered_utility(build):
    policy = build().registry.getUtility(IAuthorizationPolicy)
    assert isinstance(policy, AuthorizationPolicy)
    assert policy.get_bound_permissions is None


def test_policies_of_the_settings_are_stacked(build, seen):
    settings = {
        "multiauth.policies": "remote basicauth",
        "multiauth.policy.remote.use": dotted(RemoteUser),
    }
    api = build(settings=settings)
    api.user("alice").get("/look")
    assert seen["userid"].startswith("basicauth:")
    api.get("/look", {"X-User": "bob"})
    assert seen["userid"] == "remote:bob"
    assert {Everyone, Authenticated, "bob"} <= seen["principals"]


class RemoteUser(RemoteUserAuthenticationPolicy):
    def unauthenticated_userid(self, request):
        return request.headers.get("X-User")


class TestPermits:
    """The policy alone, with a context of the simplest kind."""

    class Context:
        required_permission = "read"
        resource_name = "page"
        allowed_principals = ()
        on_collection = False
        shared = ()

        def __init__(self, **attributes):
            self.calls = []
            self.__dict__.update(attributes)

        def get_prefixed_userid(self):
            return "basicauth:alice"

        def check_permission(self, permission, principals, get_bound_permissions):
            self.calls.append((permission, set(principals), get_bound_permissions))
            return False

        def fetch_shared_records(self, permission, principals, get_bound_permissions):
            return self.shared

    def test_dynamic_permission_is_the_one_that_is_required(self):
        context = self.Context()
        assert AuthorizationPolicy().permits(context, [Everyone], DYNAMIC) is False
        assert context.calls == [("read", {Everyone}, None)]

    def test_prefixed_user_id_is_a_principal_of_the_user(self):
        context = self.Context()
        AuthorizationPolicy().permits(context, [Authenticated], "write")
        principals = {Authenticated, "basicauth:alice", "basicauth_alice"}
        assert context.calls == [("write", principals, None)]

    def test_permission_to_create_names_the_resource(self):
        context = self.Context(required_permission="create")
        AuthorizationPolicy().permits(context, [], DYNAMIC)
        assert context.calls[0][0] == "page:create"

    def test_principals_that_are_allowed_are_enough(self):
        context = self.Context(allowed_principals=["a"])
        assert AuthorizationPolicy().permits(context, ["a"], DYNAMIC) is True
        assert AuthorizationPolicy().permits(context, ["b"], DYNAMIC) is False
        assert context.calls == []

    def test_list_falls_back_on_shared_records(self):
        context = self.Context(on_collection=True, shared=["x"])
        assert AuthorizationPolicy().permits(context, ["a"], DYNAMIC) is True
        context.allowed_principals = ["b"]
        assert AuthorizationPolicy().permits(context, ["a"], DYNAMIC) is True
        context.shared = []
        assert AuthorizationPolicy().permits(context, ["a"], DYNAMIC) is False

    def test_bound_permissions_are_passed_on(self):
        policy = AuthorizationPolicy()
        policy.get_bound_permissions = bound = lambda object_id, permission: set()
        context = self.Context()
        policy.permits(context, [], DYNAMIC)
        assert context.calls[0][2] is bound

    def test_principals_of_a_permission_are_not_known(self):
        with pytest.raises(NotImplementedError):
            AuthorizationPolicy().principals_allowed_by_permission(None, "read")


def test_names_are_importable_where_plugins_import_them():
    assert authorization.prefixed_userid is authentication.prefixed_userid
    assert permission_redis.wrap_redis_error is storage_redis.wrap_redis_error


# Contexts.


class TestRouteFactory:
    @pytest.fixture
    def context_of(self, build):
        """A function of a method and a path, which returns the context of a request to a page."""
        contexts = []

        class Factory(RouteFactory):
            def __init__(self, request):
                super().__init__(request)
                contexts.append(self)

        api = build((Page, {"factory": Factory}), Note)

        def context_of(method, path):
            contexts.clear()
            body = {"data": {}} if method in ("POST", "PUT", "PATCH") else None
            api.user("alice").send(method, path, body, status="*")
            return contexts[0]

        context_of.api = api
        return context_of

    @pytest.mark.parametrize(
        "method, path, permission",
        [
            ("GET", "/pages", "read"),
            ("HEAD", "/pages", "read"),
            ("POST", "/pages", "create"),
            ("DELETE", "/pages", "write"),
            ("GET", f"/pages/{ID}", "read"),
            ("HEAD", f"/pages/{ID}", "read"),
            ("PATCH", f"/pages/{ID}", "write"),
            ("DELETE", f"/pages/{ID}", "write"),
            ("PUT", f"/pages/{ID}", "create"),
        ],
    )
    def test_methods_require_permissions(self, context_of, method, path, permission):
        context = context_of(method, path)
        assert context.required_permission == permission
        assert context.resource_name == "page"
        assert context.on_collection == (path == "/pages")

    def test_put_requires_write_on_a_record_that_exists(self, context_of):
        context_of("PUT", f"/pages/{ID}")
        context = context_of("PUT", f"/pages/{ID}")
        assert context.required_permission == "write"
        assert context.current_record["id"] == ID
        assert context.permission_object_id == f"/pages/{ID}"

    def test_put_of_a_new_record_is_checked_on_the_collection(self, context_of):
        context = context_of("PUT", f"/pages/{ID}")
        assert context.current_record is None
        assert context.permission_object_id == "/pages"
        assert context.allowed_principals == ["system.Authenticated"]

    def test_objects_are_urls_without_the_version(self, context_of):
        assert context_of("GET", "/pages").permission_object_id == "/pages"
        assert context_of("GET", f"/pages/{ID}").permission_object_id == f"/pages/{ID}"

    def test_record_can_be_checked_on_any_url_of_the_resource(self, context_of):
        for path in ("/pages", f"/pages/{ID}"):
            context = context_of("GET", path)
            request = context._request
            assert context.get_permission_object_id(request) == path
            assert context.get_permission_object_id(request, "other") == "/pages/other"
            assert context.get_permission_object_id(request, ID) == f"/pages/{ID}"

    def test_shared_ids_are_none_unless_the_list_is_limited(self, context_of):
        api = context_of.api
        alice = api.user("alice")
        api.permission.add_principal_to_ace(f"/pages/{ID}", "read", alice.id)
        assert context_of("GET", "/pages").shared_ids == [ID]
        api.permission.add_principal_to_ace("/pages", "read", alice.id)
        assert context_of("GET", "/pages").shared_ids is None

    def test_context_of_a_private_resource_is_one_too(self, build, seen):
        alice = build((Note, {"factory": RouteFactory})).user("alice")
        assert alice.put(f"/notes/{ID}", {}, status=201).json["data"]["id"] == ID

    def test_ids_are_the_last_part_of_objects(self, context_of):
        context = context_of("GET", "/pages")
        assert context.extract_object_id("/a/b/c") == "c"

    def test_user_id_is_the_prefixed_one(self, context_of):
        context = context_of("GET", "/pages")
        assert context.get_prefixed_userid() == context_of.api.user("alice").id

    def test_other_urls_have_no_resource(self, build, seen):
        build().user("alice").get("/look")
        context = seen["context"]
        assert context.resource_name is None
        assert context.on_collection is False
        assert context.required_permission is None
        assert context.allowed_principals is None
        assert context.permission_object_id is None
        assert context.get_permission_object_id(context._request, "x") == "/look"

    @pytest.mark.parametrize("permission", [DYNAMIC, "read", "administer", "create"])
    def test_service_grants_nothing_without_an_object(self, build, permission):
        api = build(permission=permission, settings={"none_read_principals": "system.Everyone"})
        alice = api.user("alice")
        for name in ("read", "None:create", permission):
            api.permission.add_principal_to_ace("/look", name, alice.id)
        alice.get("/look", status=403)

    @pytest.mark.parametrize(
        ("permission", "needed"),
        [(DYNAMIC, "write"), ("administer", "administer"), ("create", "shelf:create")],
    )
    def test_subclass_sets_the_permission_of_a_service(self, build, permission, needed):
        class Shelf(RouteFactory):
            def __init__(self, request):
                super().__init__(request)
                self.resource_name = "shelf"
                self.required_permission = "write"
                self.permission_object_id = "/shelf"

        settings = {"shelf_write_principals": "system.Authenticated"}
        api = build(permission=permission, factory=Shelf, settings=settings)
        alice = api.user("alice")
        alice.get("/look", status=403)
        api.permission.add_principal_to_ace("/shelf", needed, alice.id)
        alice.get("/look", status=200)

    def test_subclass_can_decide_who_is_allowed(self, build):
        class Shelf(RouteFactory):
            allowed_principals = ("system.Authenticated",)

        api = build(permission=DYNAMIC, factory=Shelf)
        api.user("alice").get("/look", status=200)

    def test_request_without_route_has_a_context(self, build):
        request = Request.blank("/v1/unknown")
        request.registry = build().registry
        context = RouteFactory(request)
        assert context.resource_name is None
        assert context.get_permission_object_id(request, "x") == "/unknown"

    def test_attributes_can_be_set(self, build):
        request = Request.blank("/v1/unknown")
        request.registry = build().registry
        context = RouteFactory(request)
        context.resource_name = "page"
        context.required_permission = "create"
        context.permission_object_id = "/x"
        context.get_permission_object_id = lambda request, record_id: "/y"
        assert context.allowed_principals is None
        assert context.check_permission("read", ["a"]) is False
        request.registry.permission.add_principal_to_ace("/x", "read", "a")
        assert context.check_permission("read", ["a"]) is True
        assert context.get_permission_object_id(request, "z") == "/y"

    def test_permission_on_a_record_depends_on_the_settings_first(self, context_of):
        context = context_of("GET", "/pages")
        request, permissions = context._request, context_of.api.permission
        alice = context_of.api.user("alice").id

        def is_granted(permission):
            return has_record_permission(request, context, "/pages/x", permission)

        assert is_granted("create")
        assert not is_granted("read")
        permissions.add_principal_to_ace("/pages/x", "read", alice)
        assert is_granted("read")
        request.registry.settings["page_read_principals"] = "group:others"
        assert not is_granted("read")
        del request.registry.settings["page_read_principals"]
        # The context of the request is unchanged.
        assert (context.permission_object_id, context.on_collection) == ("/pages", True)

    def test_shared_records_can_be_noted_by_the_application(self, build):
        class Factory(RouteFactory):
            def get_shared_ids(self, permission, principals, get_bound_permissions=None):
                return [ID]

        alice = build((Page, {"factory": Factory})).user("alice")
        alice.put(f"/pages/{ID}", {"n": 1}, status=201)
        alice.create("/pages", {"n": 2})
        assert alice.values("/pages") == [1]

    def test_ids_can_be_elsewhere_in_the_url(self, build):
        class Factory(RouteFactory):
            def extract_object_id(self, object_uri):
                return object_uri.split("/")[2]

        paths = {"collection_path": "/pages", "record_path": "/pages/{{id}}/text"}
        alice = build((Page, {"factory": Factory, **paths})).user("alice")
        page = alice.create("/pages", {"n": 1}, permissions={"read": [alice.id]})
        alice.create("/pages", {"n": 2})
        assert alice.list("/pages") == [page]
        assert alice.get(f"/pages/{page['id']}/text").json["data"] == page
