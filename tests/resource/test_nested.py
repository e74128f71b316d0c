"""Resources whose URLs have other parts than the id of the record."""

from urllib.parse import quote

import pytest

from cliquet.storage.generators import Generator
from tests.resource.apps import ENGINES, AnyFields, ShareableResource, UserResource

pytestmark = pytest.mark.parametrize("engine", ENGINES)


class Names(Generator):
    regexp = r"^[^/]+$"

    def __call__(self):
        return "generated"


class Post(UserResource):
    """Isolated by blog."""

    mapping = AnyFields()

    def get_parent_id(self, request):
        return "blog:" + request.matchdict["blog_id"]


class Leaf(ShareableResource):
    mapping = AnyFields()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model.id_generator = Names()

    def get_parent_id(self, request):
        return "/trees/" + request.matchdict["tree_id"]


class Vein(Leaf):
    def get_parent_id(self, request):
        return "/trees/{tree_id}/leafs/{leaf_id}".format(**request.matchdict)


def paths(path):
    return {"collection_path": path, "record_path": path + "/{{id}}"}


POSTS = (Post, paths("/blogs/{{blog_id}}/posts"))
LEAVES = (Leaf, paths("/trees/{{tree_id}}/leafs"))
VEINS = (Vein, paths("/trees/{{tree_id}}/leafs/{{leaf_id}}/veins"))


@pytest.fixture
def api(build_once):
    settings = dict.fromkeys(
        ("leaf_create_principals", "vein_create_principals"), "system.Authenticated"
    )
    return build_once(POSTS, LEAVES, VEINS, settings=settings)


@pytest.fixture
def alice(api):
    return api.user("alice")


@pytest.fixture
def bob(api):
    return api.user("bob")


def test_records_are_isolated_by_the_parent_id_of_the_resource(alice, bob):
    post = alice.create("/blogs/a/posts", {"n": 1})
    assert bob.list("/blogs/a/posts") == [post]
    assert alice.list("/blogs/b/posts") == []
    alice.get(f"/blogs/b/posts/{post['id']}", status=404)
    alice.put(f"/blogs/b/posts/{post['id']}", {"n": 2}, status=201)
    bob.delete("/blogs/a/posts")
    assert alice.values("/blogs/b/posts") == [2]


def test_next_page_is_in_the_same_blog(alice):
    for n in range(3):
        alice.create("/blogs/%C3%A9%20/posts", {"n": n})
    pages = alice.walk("/blogs/%C3%A9%20/posts?_limit=2&_sort=n")
    assert [[post["n"] for post in page] for page in pages] == [[0, 1], [2]]


def test_permissions_are_of_the_whole_path(alice, bob):
    alice.put("/trees/1/leafs/a", {"n": 1}, permissions={"read": [bob.id]}, status=201)
    alice.put("/trees/2/leafs/a", {"n": 2}, status=201)
    assert bob.get("/trees/1/leafs/a").json["data"]["n"] == 1
    bob.get("/trees/2/leafs/a", status=403)
    assert bob.values("/trees/1/leafs") == [1]
    bob.get("/trees/2/leafs", status=403)


def test_shared_list_does_not_reach_deeper(alice, bob):
    """``*`` in a pattern of the permission backend matches slashes too.

    As in 3.1, the list is then empty, instead of refused.
    """
    alice.put("/trees/1/leafs/a", {"n": 1}, status=201)
    alice.put("/trees/1/leafs/b", {"n": 2}, status=201)
    readable = {"permissions": {"read": [bob.id]}}
    alice.put("/trees/1/leafs/a/veins/b", {"n": 3}, status=201, **readable)
    assert bob.values("/trees/1/leafs") == []
    assert bob.values("/trees/1/leafs/a/veins") == [3]
    alice.put("/trees/1/leafs/a", {"n": 1}, **readable)
    assert bob.values("/trees/1/leafs") == [1]


@pytest.mark.parametrize("star", ["*", "%2A", "1*", "%2a"])
def test_star_in_the_url_is_literal(alice, bob, star):
    alice.put("/trees/1/leafs/a", {"n": 1}, permissions={"read": [bob.id]}, status=201)
    alice.put("/trees/12/leafs/a", {"n": 1}, permissions={"write": [bob.id]}, status=201)
    alice.put(f"/trees/{star}/leafs/a", {"n": 2}, status=201)
    assert bob.values(f"/trees/{star}/leafs") == []
    assert bob.delete(f"/trees/{star}/leafs").json["data"] == []
    alice.patch("/trees/12/leafs/a", {"n": 5}, status=200)
    alice.put(f"/trees/{star}/leafs/b", {"n": 3}, permissions={"read": [bob.id]}, status=201)
    assert bob.values(f"/trees/{star}/leafs") == [3]


def test_record_whose_id_is_a_star_is_a_record_like_another(alice, bob):
    alice.put("/trees/1/leafs/a", {"n": 1}, status=201)
    alice.put("/trees/1/leafs/%2A", {"n": 2}, permissions={"read": [bob.id]}, status=201)
    bob.get("/trees/1/leafs/a", status=403)
    assert bob.values("/trees/1/leafs") == [2]
    assert alice.delete("/trees/1/leafs/%2A").json["data"]["id"] == "*"
    alice.patch("/trees/1/leafs/a", {"n": 3}, status=200)


@pytest.mark.parametrize(
    "tree", ["é", "a b", "%", "a%20b", "😀", "a'\"b", "a?b#c", "[1]", "a+b", ":x"]
)
@pytest.mark.parametrize("leaf", ["x", "%2A", "é %", "{id}"])
def test_parts_of_the_path_can_hold_any_character(alice, bob, tree, leaf):
    url = f"/trees/{quote(tree)}/leafs"
    record = f"{url}/{quote(leaf)}"
    alice.put(record, {"n": 1}, permissions={"read": [bob.id]}, status=201)
    object_id = f"/trees/{tree}/leafs/{leaf}"
    assert alice.permission.object_permissions(object_id)["read"] == {bob.id}
    assert bob.get(record).json["data"]["id"] == leaf
    assert bob.values(url) == [1]
    alice.put(record, {"n": 2}, status=200)
    alice.post(url, {"id": leaf}, status=200)
    assert alice.delete(url).json["data"][0]["id"] == leaf
    assert alice.permission.object_permissions(object_id) == {}


def test_trailing_slash_leads_to_the_same_object(alice, bob):
    alice.put("/trees/1/leafs/a", {"n": 1}, permissions={"read": [bob.id]}, status=201)
    response = bob.get("/trees/1/leafs/a/", status=307)
    assert response.headers["Location"].endswith("/v1/trees/1/leafs/a")


def test_tree_named_like_a_version_is_a_tree(build, bob):
    settings = {"leaf_create_principals": "system.Authenticated"}
    api = build((Leaf, paths("/{{tree_id}}/leafs")), settings=settings)
    alice, bob = api.user("alice"), api.user("bob")
    alice.put("/v1/leafs/a", {"n": 1}, permissions={"read": [bob.id]}, status=201)
    alice.put("/v2/leafs/a", {"n": 2}, status=201)
    assert bob.values("/v1/leafs") == [1]
    bob.get("/v2/leafs", status=403)
    bob.get("/v2/leafs/a", status=403)
    assert api.permission.object_permissions("/v1/leafs/a")["read"] == {bob.id}


def test_resource_can_be_registered_under_several_paths(build):
    class Comment(UserResource):
        mapping = AnyFields()

        def get_parent_id(self, request):
            return request.path.rsplit("/comments", 1)[0]

    api = build(
        (Comment, {"name": "post-comment", **paths("/posts/{{post_id}}/comments")}),
        (Comment, {"name": "photo-comment", **paths("/photos/{{photo_id}}/comments")}),
        Comment,
    )
    alice = api.user("alice")
    for n, path in enumerate(["/posts/1/comments", "/photos/1/comments", "/comments"]):
        record = alice.create(path, {"n": n})
        assert alice.values(path) == [n]
        alice.get(f"{path}/{record['id']}", status=200)
