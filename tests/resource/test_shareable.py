"""Resources whose records users share, and the permissions that requests require."""

import pytest
from pyramid.interfaces import IAuthorizationPolicy

from cliquet.authorization import AuthorizationPolicy
from tests.resource.apps import ENGINES, AnyFields, Page, ShareableResource

pytestmark = pytest.mark.parametrize("engine", ENGINES)

NEW = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"


class Closed(ShareableResource):
    """Only the permission backend grants the creation of its records."""

    mapping = AnyFields()


@pytest.fixture
def api(build_once):
    return build_once(Page, Closed)


@pytest.fixture
def alice(api):
    return api.user("alice")


@pytest.fixture
def bob(api):
    return api.user("bob")


@pytest.fixture
def page(alice):
    return alice.create("/pages", {"n": 1})


@pytest.fixture
def url(page):
    return f"/pages/{page['id']}"


def body_of(method):
    return {"data": {"n": 2}} if method in ("POST", "PUT", "PATCH") else None


def stored(client):
    """All the records, whoever may read them."""
    return client.storage.get_all("page", "")[0]


REQUIRED = [
    ("GET", "/pages/{id}", "read"),
    ("HEAD", "/pages/{id}", "read"),
    ("PUT", "/pages/{id}", "write"),
    ("PATCH", "/pages/{id}", "write"),
    ("DELETE", "/pages/{id}", "write"),
]


@pytest.mark.parametrize("method, path, required", REQUIRED)
@pytest.mark.parametrize("granted", ["read", "write", "create", None])
def test_record_requires_its_permission(alice, bob, page, url, method, path, required, granted):
    if granted is not None:
        alice.permission.add_principal_to_ace(url, granted, bob.id)
    status = 200 if granted == required else 403
    response = bob.send(method, path.format(**page), body_of(method), status=status)
    if status == 403 and method != "HEAD":
        assert response.json["errno"] == 121
        assert response.json["message"] == "This user cannot access this resource."


@pytest.mark.parametrize("method, permission", [("GET", "read"), ("DELETE", "write")])
def test_whole_list_requires_the_permission_on_the_collection(alice, bob, page, method, permission):
    alice.create("/pages", {"n": 2})
    alice.permission.add_principal_to_ace("/pages", permission, bob.id)
    assert len(bob.send(method, "/pages").json["data"]) == 2


@pytest.mark.parametrize("method, permission", [("GET", "read"), ("DELETE", "write")])
def test_list_is_limited_to_the_records_that_are_shared(alice, bob, page, url, method, permission):
    alice.create("/pages", {"n": 2}, permissions={"read": [alice.id]})
    alice.permission.add_principal_to_ace(url, permission, bob.id)
    response = bob.send(method, "/pages")
    assert [record["id"] for record in response.json["data"]] == [page["id"]]
    if method == "GET":
        assert response.headers["Total-Records"] == "1"


@pytest.mark.parametrize("method, other", [("GET", "write"), ("DELETE", "read")])
def test_list_is_a_403_if_no_record_is_shared(alice, bob, page, url, method, other):
    bob.send(method, "/pages", status=403)
    alice.permission.add_principal_to_ace(url, other, bob.id)
    bob.send(method, "/pages", status=403)


def test_filters_and_pages_only_cover_shared_records(alice, bob):
    shared = {"read": [bob.id]}
    for n in range(6):
        alice.create("/pages", {"n": n}, permissions=shared if n % 2 else {})
    pages = bob.walk("/pages?min_n=2&_sort=n&_limit=1")
    assert [[record["n"] for record in page] for page in pages] == [[3], [5]]
    assert bob.list("/pages?n=2") == []
    ids = ",".join(record["id"] for record in stored(alice))
    assert sorted(bob.values(f"/pages?in_id={ids}")) == [1, 3, 5]


def test_tombstones_of_shared_records_are_not_shown(alice, bob, page):
    """Permissions are deleted with the record: no user can read its tombstone alone."""
    kept = alice.create("/pages", {"n": 2}, permissions={"read": [bob.id]})
    gone = alice.create("/pages", {"n": 3}, permissions={"read": [bob.id]})
    alice.delete(f"/pages/{gone['id']}")
    assert bob.list("/pages?_since=1") == [kept]


def test_creation_requires_create_on_the_collection(api, bob):
    for path in ("/closeds", f"/closeds/{NEW}"):
        method = "POST" if path == "/closeds" else "PUT"
        bob.send(method, path, {"data": {}}, status=403)
        for permission in ("read", "write", "create"):
            api.permission.add_principal_to_ace("/closeds", permission, bob.id)
        bob.send(method, path, {"data": {}}, status=403)
        api.permission.add_principal_to_ace("/closeds", "closed:create", bob.id)
        bob.send(method, path, {"data": {}}, status=201)
        api.permission.delete_object_permissions("/closeds")


def test_put_of_an_existing_record_requires_write(bob, page, url):
    bob.put(url, {"n": 2}, status=403)


def test_put_after_a_deletion_requires_create(api, alice, bob, url):
    alice.delete(url)
    bob.put(url, {"n": 2}, status=201)


def test_missing_record_is_a_403_unless_everything_can_be_read(api, bob):
    for method in ("GET", "PATCH", "DELETE"):
        bob.send(method, f"/pages/{NEW}", body_of(method), status=403)
    api.permission.add_principal_to_ace(f"/pages/{NEW}", "read", bob.id)
    bob.get(f"/pages/{NEW}", status=404)


def test_anonymous_requests_return_401(api, page, url):
    for method, path in [("GET", "/pages"), ("POST", "/pages"), ("GET", url), ("PUT", url)]:
        assert api.send(method, path, body_of(method), status=401).json["errno"] == 104


# Principals.


@pytest.mark.parametrize("principal", ["system.Everyone", "system.Authenticated", "{id}", "group"])
def test_principals_are_everyone_the_authenticated_users_and_groups(alice, bob, url, principal):
    alice.permission.add_user_principal(bob.id, "group")
    alice.put(url, {"n": 1}, permissions={"read": [principal.format(id=bob.id)]})
    bob.get(url, status=200)
    anonymous = alice.user("nobody")
    anonymous._headers = {}
    anonymous.get(url, status=200 if principal == "system.Everyone" else 401)


class TestPrincipalsOfSettings:
    def test_they_give_the_permission_on_the_collection_and_its_records(self, build):
        api = build(Page, settings={"page_read_principals": "system.Authenticated"})
        page = api.user("alice").create("/pages", {"n": 1})
        bob = api.user("bob")
        assert bob.list("/pages") == [page]
        bob.get(f"/pages/{page['id']}", status=200)
        bob.put(f"/pages/{page['id']}", {}, status=403)

    def test_they_are_alone_for_records(self, build):
        api = build(Page, settings={"page_read_principals": "other"})
        alice, bob = api.user("alice"), api.user("bob")
        page = alice.create("/pages", {"n": 1}, permissions={"read": [bob.id]})
        bob.get(f"/pages/{page['id']}", status=403)
        # A list still falls back on the records that one may read.
        assert bob.list("/pages") == [page]

    def test_they_can_name_users_and_groups(self, build):
        first = build(Page)
        alice, bob = first.user("alice"), first.user("bob")
        api = build(Page, settings={"page_create_principals": f"{alice.id} writers"})
        api.user("alice").post("/pages", {}, status=201)
        api.user("bob").post("/pages", {}, status=403)
        api.permission.add_user_principal(bob.id, "writers")
        api.user("bob").post("/pages", {}, status=201)

    def test_everyone_includes_anonymous_users(self, build):
        settings = dict.fromkeys(
            ("page_create_principals", "page_read_principals", "page_write_principals"),
            "system.Everyone",
        )
        api = build(Page, settings=settings)
        page = api.create("/pages", {"n": 1})
        assert api.list("/pages") == [page]
        assert api.patch(f"/pages/{page['id']}", {"n": 2}).json["data"]["n"] == 2
        assert len(api.delete("/pages").json["data"]) == 1

    def test_empty_ones_are_none(self, build):
        api = build(Page, settings={"page_create_principals": ""})
        api.user("alice").post("/pages", {}, status=403)
        api.permission.add_principal_to_ace("/pages", "page:create", "system.Authenticated")
        api.user("alice").post("/pages", {}, status=201)


# Permissions of records.


def test_creator_of_a_record_can_write_it(alice):
    response = alice.post("/pages", {"n": 1}, status=201)
    assert response.json["permissions"] == {"write": [alice.id]}
    response = alice.put(f"/pages/{NEW}", {"n": 1}, status=201)
    assert response.json["permissions"] == {"write": [alice.id]}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_editor_of_a_record_can_write_it(alice, bob, url, method):
    alice.permission.add_principal_to_ace(url, "write", "system.Authenticated")
    response = bob.send(method, url, {"data": {"n": 1}})
    expected = sorted(["system.Authenticated", alice.id, bob.id])
    assert response.json["permissions"]["write"] == expected


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_anonymous_creator_gets_no_permission(build, method):
    api = build(Page, settings={"page_create_principals": "system.Everyone"})
    path = "/pages" if method == "POST" else f"/pages/{NEW}"
    response = api.send(method, path, {"data": {"id": NEW}}, status=201)
    assert response.json["permissions"] == {}
    assert api.permission.object_permissions(f"/pages/{NEW}") == {}
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        api.send(method, f"/pages/{NEW}", body_of(method), status=401)
        api.user("alice").send(method, f"/pages/{NEW}", body_of(method), status=403)
    api.user("alice").delete("/pages", status=403)


def test_anonymous_creator_can_give_permissions(build):
    api = build(Page, settings={"page_create_principals": "system.Everyone"})
    granted = {"write": ["system.Everyone"], "read": ["system.Authenticated"]}
    response = api.put(f"/pages/{NEW}", {"n": 1}, permissions=granted, status=201)
    assert response.json["permissions"] == granted
    response = api.patch(f"/pages/{NEW}", {"n": 2}, status=200)
    assert response.json["permissions"] == granted
    alice = api.user("alice")
    response = alice.patch(f"/pages/{NEW}", {"n": 3}, status=200)
    assert response.json["permissions"]["write"] == sorted([alice.id, "system.Everyone"])


def test_permissions_are_returned_next_to_the_record(alice):
    given = {"read": ["b", "a"], "write": []}
    response = alice.post("/pages", {"n": 1}, permissions=given, status=201)
    expected = {"read": ["a", "b"], "write": [alice.id]}
    assert response.json["permissions"] == expected
    assert "__permissions__" not in response.json["data"]
    path = "/pages/{id}".format(**response.json["data"])
    alice.permission.add_principal_to_ace(path, "read", alice.id)
    expected["read"] = sorted(["a", "b", alice.id])
    assert alice.get(path).json["permissions"] == expected


def test_list_and_tombstones_contain_no_permissions(alice, page, url):
    alice.permission.add_principal_to_ace("/pages", "read", alice.id)
    assert alice.get("/pages").json == {"data": [page]}
    assert set(alice.delete(url).json) == {"data"}


def test_put_with_permissions_replaces_all_of_them(alice, url):
    alice.put(url, {"n": 1}, permissions={"read": ["a"], "write": ["b"]})
    response = alice.put(url, {"n": 1}, permissions={"read": ["c"]})
    assert response.json["permissions"] == {"read": ["c"], "write": [alice.id]}


def test_put_without_permissions_keeps_them(alice, url):
    alice.put(url, {"n": 1}, permissions={"read": ["a"]})
    for others in ({}, {"permissions": {}}):
        response = alice.put(url, {"n": 2}, **others)
        assert response.json["permissions"] == {"read": ["a"], "write": [alice.id]}


def test_patch_replaces_the_permissions_that_it_names(alice, url):
    alice.put(url, {"n": 1}, permissions={"read": ["a"], "write": ["b"]})
    response = alice.patch(url, permissions={"read": ["c"]})
    assert response.json["permissions"] == {"read": ["c"], "write": sorted(["b", alice.id])}
    response = alice.patch(url, permissions={"read": []})
    assert response.json["permissions"] == {"write": sorted(["b", alice.id])}


def test_patch_of_permissions_alone_keeps_the_data_and_is_a_change(alice, page, url):
    response = alice.patch(url, permissions={"read": ["a"]})
    data = response.json["data"]
    assert data == {**page, "last_modified": data["last_modified"]}
    assert data["last_modified"] > page["last_modified"]


@pytest.mark.parametrize("body", [{}, {"data": None}, {"permissions": None}])
def test_patch_with_an_empty_object_keeps_data_and_permissions(alice, page, url, body):
    after = alice.send("PATCH", url, body, status=200).json
    assert after["data"] == {**page, "last_modified": after["data"]["last_modified"]}
    assert after["permissions"] == {"write": [alice.id]}


def test_patch_without_a_body_is_refused(alice, url):
    response = alice.raw("PATCH", url, b"", status=400)
    assert "Provide at least one of data or permissions" in response.json["message"]


@pytest.mark.parametrize("principal", ["", 1, None])
def test_principal_that_is_not_a_string_is_reported_by_position(alice, url, principal):
    for method, path in [("POST", "/pages"), ("PUT", url), ("PATCH", url)]:
        body = {"data": {}, "permissions": {"read": ["a", principal]}}
        error = alice.send(method, path, body, status=400).json
        assert error["details"][0]["name"] == "permissions.read.1"


def test_permissions_alone_create_an_empty_record(alice, bob):
    body = {"permissions": {"read": [bob.id]}}
    created = alice.send("POST", "/pages", body, status=201).json
    put = alice.send("PUT", f"/pages/{NEW}", body, status=201).json
    for response in (created, put):
        assert set(response["data"]) == {"id", "last_modified"}
        assert response["permissions"] == {"read": [bob.id], "write": [alice.id]}


def test_null_permissions_are_the_same_as_none(alice, bob):
    body = {"data": {"n": 1}, "permissions": {"read": [bob.id]}}
    alice.send("PUT", f"/pages/{NEW}", body, status=201)
    for method, path in [("POST", "/pages"), ("PUT", f"/pages/{NEW}"), ("PATCH", f"/pages/{NEW}")]:
        response = alice.send(method, path, {"data": {"n": 2}, "permissions": None}).json
        assert response["data"]["n"] == 2
        assert response["permissions"].get("read") == (None if method == "POST" else [bob.id])


@pytest.mark.parametrize(
    "permissions",
    [{"reed": []}, {"create": []}, {"read": "a"}, {"read": [1]}, {"read": None}, [], "read"],
)
def test_permissions_of_another_form_are_refused(alice, page, url, permissions):
    for method, path in [("POST", "/pages"), ("PUT", url), ("PATCH", url)]:
        body = {"data": {"n": 2}, "permissions": permissions}
        assert alice.send(method, path, body, status=400).json["errno"] == 107
    assert [record["n"] for record in stored(alice)] == [1]


@pytest.mark.parametrize("principal", ["a\0", "\0"])
def test_principal_that_cannot_be_kept_is_refused(alice, url, principal):
    alice.put(url, {"n": 1}, permissions={"read": [principal]}, status=400)


@pytest.mark.parametrize("principal", ["*", "é😀", "a" * 1000, "' OR 1=1 --", "a,b c"])
def test_principals_can_hold_any_character(alice, url, principal):
    response = alice.put(url, {"n": 1}, permissions={"read": [principal]})
    assert response.json["permissions"]["read"] == [principal]


def test_data_can_hold_a_field_of_the_name_that_models_use(alice):
    page = alice.create("/pages", {"n": 1, "__permissions__": {"read": ["system.Everyone"]}})
    assert "__permissions__" not in page
    response = alice.patch(f"/pages/{page['id']}", {"__permissions__": {"write": ["x"]}})
    assert response.json["permissions"] == {"write": [alice.id]}


@pytest.mark.parametrize("path", ["/pages", "/pages/{id}"])
def test_deletion_removes_the_permissions(alice, bob, page, url, path):
    alice.permission.add_principal_to_ace(url, "read", bob.id)
    alice.delete(path.format(**page))
    assert alice.permission.object_permissions(url) == {}
    bob.get(url, status=403)
    alice.put(url, {"n": 2}, status=201)
    bob.get(url, status=403)


def test_refused_request_grants_nothing(alice, bob, page, url):
    before = alice.permission.object_permissions(url)
    headers = {"If-Match": '"1"'}
    alice.put(url, {"n": 1}, headers, permissions={"read": [bob.id]}, status=412)
    alice.put(url, {"id": NEW}, permissions={"read": [bob.id]}, status=400)
    assert alice.permission.object_permissions(url) == before


def test_fields_leave_the_permissions_out(alice, url):
    alice.permission.add_principal_to_ace(url, "read", alice.id)
    assert set(alice.get(f"{url}?_fields=n").json["data"]) == {"n", "id", "last_modified"}


# Records that the user can neither read nor write are not disclosed.


def test_post_with_the_id_of_a_hidden_record_is_a_403(bob, page):
    for headers in ({}, {"If-None-Match": "*"}):
        response = bob.post("/pages", {"id": page["id"]}, headers, status=403)
        assert response.json["errno"] == 121
        assert "details" not in response.json


@pytest.mark.parametrize("permission", ["read", "write"])
def test_post_with_the_id_of_a_shared_record_returns_it(alice, bob, page, url, permission):
    alice.permission.add_principal_to_ace(url, permission, bob.id)
    response = bob.post("/pages", {"id": page["id"]}, status=200)
    assert response.json == {"data": page}
    error = bob.post("/pages", {"id": page["id"]}, {"If-None-Match": "*"}, status=412).json
    assert error["details"] == {"existing": page}


def test_put_if_none_match_of_a_hidden_record_is_a_403(bob, url):
    response = bob.put(url, {"n": 2}, {"If-None-Match": "*"}, status=403)
    assert "details" not in response.json


def test_412_contains_the_record_without_its_permissions(alice, page, url):
    error = alice.put(url, {"n": 2}, {"If-Match": '"1"'}, status=412).json
    assert error["details"] == {"existing": page}


def test_principals_in_settings_affect_visible_records(build):
    api = build(Page, settings={"page_read_principals": "system.Authenticated"})
    page = api.user("alice").create("/pages", {"n": 1})
    assert api.user("bob").post("/pages", {"id": page["id"]}, status=200).json["data"] == page


# Bound permissions.


class WriteImpliesRead(AuthorizationPolicy):
    def get_bound_permissions(self, object_uri, permission):
        bound = {(object_uri, permission)}
        if permission == "read":
            bound.add((object_uri, "write"))
        return bound


class Nothing(AuthorizationPolicy):
    def get_bound_permissions(self, object_uri, permission):
        return set()


def policy(cls):
    return {"multiauth.authorization_policy": f"{__name__}.{cls.__name__}"}


def test_write_does_not_imply_read(alice, page, url):
    alice.get(url, status=403)
    alice.get("/pages", status=403)


def test_application_can_say_that_write_implies_read(build):
    api = build(Page, settings=policy(WriteImpliesRead))
    alice, bob = api.user("alice"), api.user("bob")
    page = alice.create("/pages", {"n": 1})
    assert alice.get(f"/pages/{page['id']}").json["data"] == page
    assert alice.list("/pages") == [page]
    bob.get(f"/pages/{page['id']}", status=403)
    bob.get("/pages", status=403)


def test_policy_that_binds_nothing_grants_nothing(build):
    api = build(Page, settings=policy(Nothing))
    alice = api.user("alice")
    page = alice.create("/pages", {"n": 1}, permissions={"read": [alice.id]})
    alice.get(f"/pages/{page['id']}", status=403)
    alice.get("/pages", status=403)
    alice.post("/pages", {"id": page["id"]}, status=403)


def test_application_can_set_the_bound_permissions_of_the_registered_policy(build):
    api = build(Page)
    registered = api.registry.getUtility(IAuthorizationPolicy)
    registered.get_bound_permissions = lambda object_id, permission: [(object_id, "write")]
    alice = api.user("alice")
    page = alice.create("/pages", {"n": 1})
    assert alice.get(f"/pages/{page['id']}").json["data"] == page
    assert alice.list("/pages") == [page]


def test_bound_permissions_can_be_inherited_from_another_object(build):
    api = build(Page)
    registered = api.registry.getUtility(IAuthorizationPolicy)
    registered.get_bound_permissions = lambda object_id, permission: {
        (object_id, permission),
        ("/site", "admin"),
    }
    alice, bob = api.user("alice"), api.user("bob")
    page = alice.create("/pages", {"n": 1})
    bob.get(f"/pages/{page['id']}", status=403)
    api.permission.add_principal_to_ace("/site", "admin", bob.id)
    bob.get(f"/pages/{page['id']}", status=200)
    assert bob.list("/pages") == [page]


# Other permissions.


def test_resource_can_have_other_permissions(build):
    class Poll(ShareableResource):
        mapping = AnyFields()
        permissions = ("read", "write", "vote")

    api = build(Poll, settings={"poll_create_principals": "system.Authenticated"})
    alice = api.user("alice")
    response = alice.post("/polls", {}, permissions={"vote": ["a"]}, status=201)
    assert response.json["permissions"] == {"vote": ["a"], "write": [alice.id]}
    path = "/polls/{id}".format(**response.json["data"])
    response = alice.put(path, {}, permissions={"read": ["b"]})
    assert response.json["permissions"] == {"read": ["b"], "write": [alice.id]}


def test_records_are_the_same_for_all_users(alice, bob, url):
    alice.put(url, {"n": 2}, permissions={"read": [bob.id], "write": [bob.id]})
    bob.patch(url, {"n": 3})
    assert bob.get(url).json["data"]["n"] == 3
