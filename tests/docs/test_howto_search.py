"""An index that follows the records, whatever it missed."""

import pytest


@pytest.fixture
def client(serve, settings_of, tmp_path):
    return serve("bookmarks_resource", settings=search_settings(settings_of, tmp_path))


def search_settings(settings_of, folder, resources="bookmark note"):
    path = str(folder / "search.sqlite")
    return {**settings_of("search.ini"), "search.path": path, "search.resources": resources}


def bookmark(client, url):
    return client.post_json("/bookmarks", {"data": {"url": url}}).json["data"]


def found(client, words):
    return [record["url"] for record in client.get(f"/search/bookmark?q={words}").json["data"]]


def test_records_are_found_by_their_words(client):
    for name in ("cliquet", "pyramid"):
        bookmark(client, f"https://{name}.example/docs")
    assert found(client, "cliquet") == ["https://cliquet.example/docs"]
    assert len(found(client, "docs")) == 2
    assert found(client, "docs%20pyramid") == ["https://pyramid.example/docs"]


def test_index_follows_changes_and_deletions(client):
    path = f"/bookmarks/{bookmark(client, 'https://old.example/')['id']}"
    client.patch_json(path, {"data": {"url": "https://new.example/"}})
    assert found(client, "old") == []
    assert found(client, "new") == ["https://new.example/"]
    client.delete(path)
    assert found(client, "new") == []


def test_users_find_their_own_records_alone(client, become):
    bookmark(client, "https://secret.example/")
    become(client, "bob")
    assert found(client, "secret") == []


def test_refused_records_are_not_indexed(client):
    body = {"requests": [{"method": "POST", "path": "/bookmarks", "body": {"data": {"url": 1}}}]}
    client.post_json("/batch", body)
    assert found(client, "1") == []


def test_next_change_indexes_missed_records(client, monkeypatch):
    def fail(*args):
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(client.registry.search_index, "follow", fail)
        bookmark(client, "https://missed.example/")
    assert found(client, "missed") == []
    bookmark(client, "https://next.example/")
    assert found(client, "missed") == ["https://missed.example/"]


@pytest.mark.parametrize("query", ["", "?q=", "?q=%20"])
def test_search_for_nothing_is_refused(client, query):
    client.get(f"/search/bookmark{query}", status=400)


def test_words_are_not_parsed_as_syntax(client):
    assert found(client, '%22+OR+*+"') == []


def test_search_is_a_capability_and_needs_a_user(client):
    capability = client.get("/").json["capabilities"]["search"]
    assert capability["resources"] == ["bookmark", "note"]
    client.extra_environ = {}
    client.get("/search/bookmark?q=x", status=401)


def test_without_resources_nothing_is_indexed(serve, settings_of, tmp_path):
    settings = search_settings(settings_of, tmp_path, resources="")
    client = serve("bookmarks_resource", settings=settings)
    bookmark(client, "https://cliquet.example/")
    assert found(client, "cliquet") == []
