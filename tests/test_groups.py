"""Groups over HTTP (cliquet.groups), on every engine."""

import pytest
from pyramid.exceptions import ConfigurationError
from pyramid.httpexceptions import HTTPInternalServerError

from cliquet.events import ResourceChanged
from cliquet.groups import GroupModel
from cliquet.storage.generators import Generator
from tests.resource import apps
from tests.resource.apps import Page

ENGINES = ("memory", "sqlite", "postgresql", "redis")
every_engine = pytest.mark.parametrize("engine", ENGINES)
transactional = pytest.mark.parametrize("engine", [name for name in ENGINES if name != "redis"])

SETTINGS = {
    "includes": "cliquet.groups",
    "multiauth.authorization_policy": "cliquet.authorization.InheritingAuthorizationPolicy",
    "group_create_principals": "system.Authenticated",
}


@pytest.fixture
def engine():
    return "memory"


@pytest.fixture
def build(engine, tmp_path):
    with apps.builder(engine, tmp_path) as builder:

        def build(*resources, setup=None, **settings):
            return builder(*resources, settings={**SETTINGS, **settings}, setup=setup)

        yield build


@pytest.fixture
def alice(build):
    return build(Page).user("alice")


@pytest.fixture
def bob(alice):
    return alice.user("bob")


def create_group(user, *members, **others):
    return user.create("/groups", {"title": "Editors", "members": list(members)}, **others)


def share(user, group, permission="write"):
    """Create a page that is shared with a group, and return its URL."""
    page = user.create("/pages", permissions={permission: [f"group:{group['id']}"]})
    return f"/pages/{page['id']}"


def url_of(group):
    return f"/groups/{group['id']}"


# Members.


@every_engine
def test_members_have_the_permissions_of_their_group(alice, bob):
    page = share(alice, create_group(alice, bob.id))
    bob.patch(page, {"n": 1}, status=200)
    assert len(bob.list("/pages")) == 1
    carol = alice.user("carol")
    carol.get(page, status=403)
    carol.get("/pages", status=403)


@every_engine
def test_settings_grant_permissions_to_groups(build):
    alice = build(Page).user("alice")
    group = create_group(alice, alice.id)
    alice.registry.settings["page_create_principals"] = f"group:{group['id']}"
    alice.create("/pages")
    alice.user("bob").post("/pages", {}, status=403)


LEAVES = {
    "the member is removed": lambda user, group: user.patch(url_of(group), {"members": []}),
    "another takes the place": lambda user, group: user.patch(
        url_of(group), {"members": ["basicauth:other"]}
    ),
    "the group is deleted": lambda user, group: user.delete(url_of(group)),
    "the groups are deleted": lambda user, group: user.delete("/groups"),
    "a page of groups is deleted": lambda user, group: user.delete("/groups?_limit=5"),
    "it happens in a batch": lambda user, group: user.batch(
        {"method": "DELETE", "path": url_of(group)}
    ),
}


@every_engine
@pytest.mark.parametrize("leave", LEAVES.values(), ids=LEAVES)
def test_former_members_lose_the_permissions_with_the_next_request(alice, bob, leave):
    group = create_group(alice, bob.id)
    page = share(alice, group)
    bob.patch(page, {"n": 1}, status=200)
    leave(alice, group)
    bob.get(page, status=403)
    bob.patch(page, {"n": 2}, status=403)
    bob.get("/pages", status=403)


@every_engine
def test_new_members_have_the_permissions_with_the_next_request(alice, bob):
    group = create_group(alice)
    page = share(alice, group)
    bob.get(page, status=403)
    alice.patch(url_of(group), {"members": [bob.id]})
    bob.get(page, status=200)
    alice.patch(url_of(group), {"title": "Other"})
    bob.get(page, status=200)


@every_engine
def test_changes_take_effect_within_a_batch(alice, bob):
    group = create_group(alice, permissions={"write": [bob.id]})
    page = share(alice, group)
    join, leave = (
        {"method": "PATCH", "path": url_of(group), "body": {"data": {"members": members}}}
        for members in ([bob.id], [])
    )
    read = {"path": page}
    responses = bob.batch(read, join, read, leave, read)
    assert [response["status"] for response in responses] == [403, 200, 200, 200, 403]


@every_engine
def test_user_can_be_in_several_groups(alice, bob):
    groups = [create_group(alice, bob.id) for _ in range(2)]
    pages = [share(alice, group) for group in groups]
    alice.delete(url_of(groups[0]))
    bob.get(pages[0], status=403)
    bob.get(pages[1], status=200)


def test_members_are_listed_once_in_their_order(alice, bob):
    group = create_group(alice, bob.id, alice.id, bob.id)
    assert group["members"] == [bob.id, alice.id]
    assert create_group(alice)["members"] == []


@pytest.mark.parametrize(
    "members, name",
    [
        (["alice"], "data.members.0"),
        (["system.Everyone"], "data.members.0"),
        (["group:1"], "data.members.0"),
        ([":x"], "data.members.0"),
        (["basicauth:"], "data.members.0"),
        (["basicauth:1", "basicauth:" + "x" * 3000], "data.members.1"),
        ([1], "data.members.0"),
        ([""], "data.members.0"),
        ("basicauth:1", "data.members"),
        ({}, "data.members"),
    ],
)
def test_members_are_user_ids(alice, members, name):
    created = alice.post("/groups", {"members": members}, status=400)
    assert created.json["details"][0]["name"] == name
    group = create_group(alice)
    changed = alice.patch(url_of(group), {"members": members}, status=400)
    assert changed.json["details"][0]["name"] == name


# Transactions.


def fail(event):
    raise HTTPInternalServerError()


@transactional
def test_failing_request_does_not_change_members(build, engine):
    def setup(config):
        config.add_subscriber(on_change, ResourceChanged)

    def on_change(event):
        for listener in listeners:
            listener(event)

    listeners = []
    alice = build(Page, setup=setup).user("alice")
    bob = alice.user("bob")
    member, stranger = create_group(alice, bob.id), create_group(alice)
    pages = share(alice, member), share(alice, stranger)
    listeners.append(fail)
    alice.patch(url_of(stranger), {"members": [bob.id]}, status=500)
    alice.patch(url_of(member), {"members": []}, status=500)
    alice.delete(url_of(member), status=500)
    alice.delete("/groups", status=500)
    join = {
        "method": "PATCH",
        "path": url_of(stranger),
        "body": {"data": {"members": [bob.id]}},
    }
    alice.batch({"method": "DELETE", "path": url_of(member)}, join, status=500)
    bob.get(pages[0], status=200)
    bob.get(pages[1], status=403)


@pytest.mark.parametrize("engine", ["postgresql"])
def test_number_of_statements_is_independent_of_members_and_groups(build, statements):
    def count(request, *args):
        statements.clear()
        request(*args)
        return len(statements)

    alice = build().user("alice")
    members = [f"basicauth:{number}" for number in range(40)]
    assert count(create_group, alice) == count(create_group, alice, *members)
    several = count(alice.delete, "/groups")
    create_group(alice, *members)
    assert count(alice.delete, "/groups") == several


# Permissions on groups.


@every_engine
def test_groups_are_hidden_from_other_users_until_they_are_shared(alice, bob):
    group = create_group(alice, bob.id)
    bob.get(url_of(group), status=403)
    bob.patch(url_of(group), {"members": []}, status=403)
    bob.delete(url_of(group), status=403)
    bob.get("/groups", status=403)
    alice.patch(url_of(group), permissions={"read": [f"group:{group['id']}"]})
    assert bob.list("/groups")[0]["members"] == [bob.id]
    bob.patch(url_of(group), {"members": []}, status=403)


def test_creation_needs_a_permission(build):
    alice = build(group_create_principals="").user("alice")
    alice.post("/groups", {}, status=403)


# Ids: permissions can still name the principal of a deleted group.


@every_engine
def test_deleted_group_cannot_be_created_again(alice, bob):
    group = create_group(alice, bob.id)
    share(alice, group)
    alice.delete(url_of(group))
    for _ in range(2):
        mallory = alice.user("mallory")
        body = {"id": group["id"], "members": [mallory.id]}
        mallory.put(url_of(group), body, status=405)
        response = mallory.post("/groups", body, status=400)
        assert response.json["details"][0]["name"] == "data.id"
        alice.storage.purge_deleted("group", "")


@every_engine
def test_posted_id_of_an_existing_group_returns_it_to_its_readers(alice, bob):
    group = create_group(alice)
    assert alice.post("/groups", {"id": group["id"]}, status=200).json["data"] == group
    bob.post("/groups", {"id": group["id"]}, status=403)


class Few(Generator):
    """Ids that are soon used again."""

    regexp = "^[0-9]$"

    def __call__(self):
        return "1"


def test_groups_do_not_use_the_id_generator_of_the_application(build):
    alice = build(id_generator=f"{__name__}.Few").user("alice")
    assert len({create_group(alice)["id"] for _ in range(2)}) == 2


# The package.


def test_groups_exist_only_if_included(build):
    assert "groups" not in build(includes="").get("/").json["capabilities"]
    build(includes="").user("alice").get("/groups", status=404)
    assert build().get("/").json["capabilities"]["groups"]["url"] == "groups"


def test_groups_need_a_permission_backend(build):
    with pytest.raises(ConfigurationError, match="Group needs a permission backend"):
        build(permission_backend="")


def test_groups_are_described(build):
    paths = build(openapi_enabled="true").get("/__api__").json["paths"]
    assert set(paths["/groups/{id}"]) >= {"get", "patch", "delete"}
    assert "put" not in paths["/groups/{id}"]


def test_model_without_a_request_writes_members(alice, bob):
    model = GroupModel(alice.storage, collection_id="group")
    model.permission = alice.permission
    model.get_permission_object_id = "/groups/{}".format
    group = model.create_record({"members": [bob.id]})
    assert alice.permission.user_principals(bob.id) == {f"group:{group['id']}"}
    model.delete_records()
    assert alice.permission.user_principals(bob.id) == set()
