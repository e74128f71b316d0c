"""Implied and inherited permissions (InheritingAuthorizationPolicy), on every engine."""

import pytest
from pyramid.interfaces import IAuthorizationPolicy
from zope.interface import implementer

import cliquet
from cliquet.authorization import DYNAMIC, InheritingAuthorizationPolicy, RouteFactory
from cliquet.resource import ShareableResource
from tests.resource.apps import AnyFields, Page

pytestmark = pytest.mark.parametrize("engine", ["memory", "sqlite", "postgresql", "redis"])

ID = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"
NEW = "f0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"

INHERITING = {
    "multiauth.authorization_policy": "cliquet.authorization.InheritingAuthorizationPolicy",
    "page_create_principals": "",
}
IMPLYING = {**INHERITING, "inherit_permissions": "false"}


class Chapter(ShareableResource):
    """Records nested below pages."""

    mapping = AnyFields()

    def get_parent_id(self, request):
        return "/pages/{page}".format(**request.matchdict)


class Note(ShareableResource):
    """Records nested below chapters."""

    mapping = AnyFields()

    def get_parent_id(self, request):
        return "/pages/{page}/chapters/{chapter}".format(**request.matchdict)


PAGE = f"/pages/{ID}"
CHAPTERS = f"{PAGE}/chapters"
CHAPTER = f"{CHAPTERS}/{ID}"
NOTES = f"{CHAPTER}/notes"
NOTE = f"{NOTES}/{ID}"

RESOURCES = (
    Page,
    (
        Chapter,
        {
            "collection_path": "/pages/{{page}}/chapters",
            "record_path": "/pages/{{page}}/chapters/{{id}}",
        },
    ),
    (
        Note,
        {
            "collection_path": "/pages/{{page}}/chapters/{{chapter}}/notes",
            "record_path": "/pages/{{page}}/chapters/{{chapter}}/notes/{{id}}",
        },
    ),
)


@pytest.fixture
def bob(build_once):
    """A function of settings: a page, a chapter and a note exist, and Bob has no permission."""

    def bob(settings, **others):
        client = build_once(*RESOURCES, settings={**settings, **others}).user("bob")
        for name, parent in (("page", ""), ("chapter", PAGE), ("note", CHAPTER)):
            client.storage.create(name, parent, {"id": ID, "name": name})
        return client

    return bob


def requests_on(name, collection, record):
    return {
        f"list {name}s": ("GET", collection),
        f"read {name}": ("GET", record),
        f"write {name}": ("PATCH", record),
        f"create {name}": ("PUT", f"{collection}/{NEW}"),
    }


REQUESTS = {
    **requests_on("page", "/pages", PAGE),
    **requests_on("chapter", CHAPTERS, CHAPTER),
    **requests_on("note", NOTES, NOTE),
}


def allowed(user):
    """Return the requests that are allowed and, for lists, return records."""
    # In the order in which they are sent, none gives a permission to a later one.
    bodies = {"PATCH": {"data": {}}, "PUT": {"data": {}}}
    granted = set()
    for name, (method, path) in REQUESTS.items():
        response = user.send(method, path, bodies.get(method), status="*")
        assert response.status_int in (200, 201, 403), (name, response.json)
        if response.status_int != 403 and response.json["data"]:
            granted.add(name)
    return granted


def every(action):
    return {f"{action} {name}" for name in ("chapter", "note")}


READ_BELOW = {"list chapters", "list notes"} | every("read")
WRITE_BELOW = every("write") | every("create")
READ_PAGE = {"list pages", "read page"}
READ_CHAPTER = {"list chapters", "read chapter"}
READ_NOTE = {"list notes", "read note"}

#: The permission, its object, what it allows, and what it allows in addition by inheritance.
GRANTS = [
    ("read", PAGE, READ_PAGE, READ_BELOW),
    ("write", PAGE, {*READ_PAGE, "write page"}, READ_BELOW | WRITE_BELOW),
    ("read", CHAPTER, READ_CHAPTER, READ_NOTE),
    ("write", CHAPTER, {*READ_CHAPTER, "write chapter"}, {*READ_NOTE, "write note", "create note"}),
    ("read", NOTE, READ_NOTE, set()),
    ("write", NOTE, {*READ_NOTE, "write note"}, set()),
    ("read", "/pages", {"list pages"}, {"read page", *READ_BELOW}),
    ("read", CHAPTERS, {"list chapters"}, {"read chapter", *READ_NOTE}),
    ("write", "/pages", {"list pages", "create page"}, set(REQUESTS)),
    ("page:create", "/pages", {"create page"}, set()),
    ("chapter:create", CHAPTERS, {"create chapter"}, set()),
    ("note:create", PAGE, set(), {"create note"}),
    ("other", PAGE, set(), set()),
    ("read", "/pag", set(), set()),
    ("read", f"{PAGE}0", set(), set()),
]


@pytest.mark.parametrize("settings", [IMPLYING, INHERITING], ids=["implying", "inheriting"])
def test_permissions_imply_others_and_apply_to_the_urls_below(bob, settings):
    for permission, object_id, implied, inherited in GRANTS:
        user = bob(settings)
        user.permission.add_principal_to_ace(object_id, permission, user.id)
        expected = implied | inherited if settings is INHERITING else implied
        assert allowed(user) == expected, (permission, object_id)


#: Principals in the settings of a resource, the same as a grant on all of its objects.
SETTINGS = [
    ("page_read_principals", READ_PAGE, READ_BELOW),
    (
        "page_write_principals",
        {*READ_PAGE, "write page", "create page"},
        READ_BELOW | WRITE_BELOW,
    ),
    ("page_create_principals", {"create page"}, set()),
    (
        "chapter_write_principals",
        READ_CHAPTER | {"write chapter", "create chapter"},
        {*READ_NOTE, "write note", "create note"},
    ),
    ("note_read_principals", READ_NOTE, set()),
]


@pytest.mark.parametrize("settings", [IMPLYING, INHERITING], ids=["implying", "inheriting"])
def test_permissions_of_the_settings_imply_others_and_apply_to_the_urls_below(bob, settings):
    for key, implied, inherited in SETTINGS:
        user = bob(settings, **{key: "system.Authenticated"})
        expected = implied | inherited if settings is INHERITING else implied
        assert allowed(user) == expected, key


def test_settings_replace_the_stored_entries_of_their_permission_only(bob):
    user = bob(INHERITING, page_read_principals="group:readers", page_write_principals="group:x")
    for permission in ("read", "write"):
        user.permission.add_principal_to_ace(PAGE, permission, user.id)
    assert allowed(user) == set()
    user = bob(INHERITING, page_read_principals="group:readers")
    user.permission.add_principal_to_ace(PAGE, "write", user.id)
    assert allowed(user) == {*READ_PAGE, "write page", *READ_BELOW, *WRITE_BELOW}
    user.permission.flush()
    user.permission.add_user_principal(user.id, "group:readers")
    assert allowed(user) == {*READ_PAGE, *READ_BELOW}


def test_creator_reads_and_lists_the_record(build_once):
    settings = {**INHERITING, "page_create_principals": "system.Authenticated"}
    alice = build_once(*RESOURCES, settings=settings).user("alice")
    page = alice.create("/pages", {"n": 1})
    assert alice.get(f"/pages/{page['id']}").json["data"] == page
    assert alice.list("/pages") == [page]
    assert alice.post("/pages", {"id": page["id"]}, status=200).json["data"] == page
    alice.user("bob").post("/pages", {"id": page["id"]}, status=403)
    batch = alice.batch({"path": "/pages"}, {"path": f"/pages/{page['id']}"})
    assert [response["body"]["data"] for response in batch] == [[page], page]


def test_editor_does_not_keep_an_access_that_is_withdrawn(bob):
    user = bob(INHERITING)
    user.permission.add_principal_to_ace(PAGE, "write", "group:editors")
    user.permission.add_user_principal(user.id, "group:editors")
    for path in (PAGE, CHAPTER):
        user.patch(path, {"n": 1}, status=200)
        user.put(path, {"n": 2}, status=200)
        user.patch(path, permissions={"read": ["group:others"]}, status=200)
    user.permission.remove_user_principal(user.id, "group:editors")
    assert allowed(user) == set()


def test_editor_who_replaces_the_writers_keeps_write_access(bob):
    user = bob(INHERITING)
    user.permission.add_principal_to_ace(PAGE, "write", "group:editors")
    user.permission.add_user_principal(user.id, "group:editors")
    body = user.patch(PAGE, permissions={"write": []}, status=200).json
    assert body["permissions"] == {"write": [user.id]}


def test_policy_of_3_1_neither_implies_nor_inherits(bob):
    user = bob({"page_create_principals": ""})
    user.permission.add_principal_to_ace(PAGE, "write", user.id)
    assert allowed(user) == {"write page"}
    user.permission.add_principal_to_ace("/pages", "read", user.id)
    assert allowed(user) == {"write page", "list pages"}


class Publishing(InheritingAuthorizationPolicy):
    """Adds a permission that ``publish`` implies."""

    def get_bound_permissions(self, object_id, permission):
        pairs = list(super().get_bound_permissions(object_id, permission))
        if permission == "read":
            pairs.append((object_id, "publish"))
        return pairs


@implementer(IAuthorizationPolicy)
class Other:
    """A policy that doesn't inherit from ours."""

    def permits(self, context, principals, permission):
        return True


def dotted(policy):
    return {**INHERITING, "multiauth.authorization_policy": f"{__name__}.{policy.__name__}"}


def test_policies_of_applications_extend_the_bound_permissions(bob):
    user = bob(dotted(Publishing))
    user.permission.add_principal_to_ace(PAGE, "publish", user.id)
    assert allowed(user) == READ_PAGE


def test_policy_of_another_class_adds_editors_as_in_3_1(bob):
    user = bob(dotted(Other))
    user.permission.add_principal_to_ace(PAGE, "write", "system.Authenticated")
    body = user.patch(PAGE, {"n": 1}, status=200).json
    assert set(body["permissions"]["write"]) == {user.id, "system.Authenticated"}


def test_policy_of_the_application_keeps_its_own_choice(build):
    def setup(config):
        policy = InheritingAuthorizationPolicy(inherits_from_parents=False)
        config.registry.registerUtility(policy, IAuthorizationPolicy)

    client = build(*RESOURCES, settings={"page_create_principals": ""}, setup=setup).user("bob")
    client.storage.create("page", "", {"id": ID})
    client.storage.create("chapter", PAGE, {"id": ID})
    client.permission.add_principal_to_ace(PAGE, "write", client.id)
    client.get(PAGE, status=200)
    client.get(CHAPTER, status=403)


def test_urls_that_are_not_resources_can_grant_permissions_too(build):
    def setup(config):
        service = cliquet.Service(name="look", path="/look", factory=RouteFactory)
        service.get(permission=DYNAMIC)(lambda request: {})
        config.add_cornice_service(service)

    paths = {"collection_path": "/library/pages", "record_path": "/library/pages/{{id}}"}
    settings = {**INHERITING, "page_create_principals": "system.Authenticated"}
    alice = build((Page, paths), settings=settings, setup=setup).user("alice")
    page = alice.create("/library/pages")
    bob = alice.user("bob")
    bob.permission.add_principal_to_ace("/library", "read", bob.id)
    assert bob.get(f"/library/pages/{page['id']}").json["data"] == page
    # This service has no object.
    bob.get("/look", status=403)
