"""Permissions on a wiki are those on its pages, and there is one more permission."""

import importlib
import types

import pytest

from tests.docs.pages import block


@pytest.fixture
def alice(serve, settings_of):
    return serve(settings=settings_of("permissions.ini"))


@pytest.fixture
def bob(alice, become):
    """Bob's user id."""
    become(alice, "bob")
    user_id = alice.get("/").json["user"]["id"]
    become(alice, "alice")
    return user_id


def create(client, path, title="Title", **permissions):
    body = {"data": {"title": title}, "permissions": permissions}
    return f"{path}/{client.post_json(path, body).json['data']['id']}"


def test_readers_of_a_wiki_can_read_its_pages(alice, bob, become):
    wiki = create(alice, "/wikis", read=[bob])
    page = create(alice, f"{wiki}/pages")
    become(alice, "bob")
    alice.get(page)
    assert len(alice.get(f"{wiki}/pages").json["data"]) == 1
    alice.patch_json(page, {"data": {"title": "Other"}}, status=403)
    alice.post_json(f"{wiki}/pages", {"data": {"title": "New"}}, status=403)


def test_writers_of_a_wiki_can_write_its_pages(alice, bob, become):
    wiki = create(alice, "/wikis", write=[bob])
    page = create(alice, f"{wiki}/pages")
    become(alice, "bob")
    alice.patch_json(page, {"data": {"title": "Other"}})
    create(alice, f"{wiki}/pages")
    assert len(alice.get(f"{wiki}/pages").json["data"]) == 2


def test_readers_of_one_page_cannot_read_others(alice, bob, become):
    wiki = create(alice, "/wikis")
    page = create(alice, f"{wiki}/pages", read=[bob])
    other = create(alice, f"{wiki}/pages")
    become(alice, "bob")
    alice.get(page)
    alice.get(other, status=403)
    alice.get(wiki, status=403)
    assert len(alice.get(f"{wiki}/pages").json["data"]) == 1


def test_strangers_get_nothing(alice, become):
    wiki = create(alice, "/wikis")
    create(alice, f"{wiki}/pages")
    become(alice, "bob")
    for path in (wiki, f"{wiki}/pages"):
        alice.get(path, status=403)


def test_custom_permission_is_granted_and_required(alice, bob, become):
    wiki = create(alice, "/wikis", publish=[bob])
    alice.post_json(f"{wiki}/publication", {}, status=403)
    become(alice, "bob")
    assert alice.post_json(f"{wiki}/publication", {}).json == {"published": wiki}


def test_group_has_the_permissions_that_it_was_granted(alice, bob, become):
    wiki = create(alice, "/wikis", write=["group:editors"])
    become(alice, "bob")
    alice.get(wiki, status=403)
    alice.registry.permission.add_user_principal(bob, "group:editors")
    alice.get(wiki)


def test_group_of_the_guide_gives_its_permissions_from_the_next_request_on(alice, bob, become):
    wiki = create(alice, "/wikis", read=["group:editors"])
    become(alice, "bob")
    alice.get(wiki, status=403)
    request = types.SimpleNamespace(registry=alice.registry)
    add_to_group = block("howto/permissions", "python", "request.registry")
    exec(add_to_group, {"request": request, "user_id": bob})
    alice.get(wiki)


def test_policy_of_the_guide_adds_a_rule(serve, settings_of, become):
    wiki = importlib.import_module("wiki")
    exec(block("howto/permissions", "python", "from cliquet"), vars(wiki))
    settings = settings_of("permissions.ini")
    settings["cliquet.multiauth.authorization_policy"] = "wiki.WikiPolicy"
    alice = serve(settings=settings)
    become(alice, "bob")
    bob = alice.get("/").json["user"]["id"]
    become(alice, "alice")
    published, other = create(alice, "/wikis", publish=[bob]), create(alice, "/wikis")
    become(alice, "bob")
    alice.get(published)
    alice.get(other, status=403)
