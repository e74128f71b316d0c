"""The example application, and its configuration, as ``dev.py serve`` runs them."""

import importlib.util
import re
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from pyramid.paster import get_app
from webtest import TestApp

from cliquet.scripts.cliquet import main as command

ROOT = Path(__file__).resolve().parent.parent
INI = str(ROOT / "config" / "example.ini")
KINDS = ("storage", "permission", "cache")


@pytest.fixture(autouse=True)
def example(tmp_path, monkeypatch):
    """The example's package can be imported, and its data are in a folder of the test."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    for kind in KINDS:
        monkeypatch.setenv(f"CLIQUET_{kind.upper()}_URL", f"sqlite:///{tmp_path}/bookmarks.sqlite")
    assert command(["--ini", INI, "migrate"]) == 0
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "bookmarks"]:
        del sys.modules[name]


def client_of(user):
    client = TestApp(get_app(INI))
    client.authorization = ("Basic", (user, "secret"))
    return client


@pytest.fixture
def alice():
    return client_of("alice")


@pytest.fixture
def bob():
    return client_of("bob")


def test_service_describes_itself_and_is_healthy(alice):
    hello = alice.get("/v1/").json
    assert (hello["project_name"], hello["project_version"]) == ("bookmarks", "1.0")
    assert alice.get("/v1/__heartbeat__").json == dict.fromkeys(KINDS, True)


def test_service_describes_itself(alice):
    assert "/score/{game}" in alice.get("/v1/__api__").json["paths"]
    assert "swagger-ui" in alice.get("/v1/__api__/").text


def test_bookmark_contains_the_device_that_created_it(alice):
    body = {"data": {"url": "https://www.example.com", "title": "An example", "device": "lie"}}
    made = alice.post_json("/v1/bookmarks", body, headers={"User-Agent": "phone"}, status=201)
    assert made.json["data"]["device"] == "phone"
    path = f"/v1/bookmarks/{made.json['data']['id']}"
    alice.patch_json(path, {"data": {"device": "desktop"}}, status=400)
    replaced = alice.put_json(path, body, headers={"User-Agent": "desktop"}).json["data"]
    assert replaced["device"] == "phone"


def test_url_is_kept_once(alice):
    body = {"data": {"url": "https://www.example.com"}}
    first = alice.post_json("/v1/bookmarks", body, status=201).json
    assert alice.post_json("/v1/bookmarks", body, status=200).json == first


def test_bookmarks_are_kept_when_the_service_starts_again(alice):
    alice.post_json("/v1/bookmarks", {"data": {"url": "https://www.example.com"}})
    data = alice.get("/v1/bookmarks").json["data"]
    assert len(data) == 1
    assert client_of("alice").get("/v1/bookmarks").json["data"] == data


def test_bookmarks_of_others_are_not_seen(alice, bob):
    alice.post_json("/v1/bookmarks", {"data": {"url": "https://www.example.com"}})
    assert bob.get("/v1/bookmarks").json["data"] == []


def test_article_is_shared_with_the_principals_in_its_permissions(alice, bob):
    body = {"data": {"title": "News", "status": 3}, "permissions": {"read": ["system.Everyone"]}}
    article = alice.post_json("/v1/articles", body, status=201).json["data"]
    path = f"/v1/articles/{article['id']}"
    assert bob.get("/v1/articles?status=3&_sort=-added").json["data"] == [article]
    bob.patch_json(path, {"data": {"status": 4}}, status=403)
    alice.patch_json(path, {"permissions": {"write": ["system.Authenticated"]}})
    assert bob.patch_json(path, {"data": {"status": 4}}).json["data"]["status"] == 4


def test_scores_of_a_game_are_listed_best_first(alice, bob):
    for points in (3, 12, 7):
        alice.post_json("/v1/score/chess", {"points": points})
    alice.post_json("/v1/score/go", {"points": 99})
    response = alice.get("/v1/score/chess").json
    assert [score["points"] for score in response["data"]] == [12, 7, 3]
    assert response["total"] == 3
    assert bob.get("/v1/score/chess").json == {"data": [], "total": 0}


def test_scores_need_a_user(alice):
    alice.authorization = None
    assert alice.post_json("/v1/score/chess", {"points": 1}, status=401).json["errno"] == 104


def test_demo_page_is_served_next_to_the_api(alice):
    alice.authorization = None
    assert alice.get("/demo").location == "http://localhost/demo/"
    page = alice.get("/demo/")
    assert "<title>Bookmarks</title>" in page
    files = re.findall(r'(?:src|href)="([^":]+\.\w+)"', page.text)
    assert len(files) == 2
    for file in files:
        assert alice.get(f"/demo/{file}").cache_control.max_age == 0
    assert "extends EventTarget" in alice.get("/cliquet.js").text
    assert "IndexedDBStore" in alice.get("/indexeddb.js").text
    outside = alice.get("/demo/..%2fcliquet.js", status=307)
    assert alice.get(outside.location, status=404).json["errno"] == 111


def test_example_works_without_the_demo_page(alice, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr("bookmarks.demo.CLIENT", tmp_path)
    bare = client_of("alice")
    assert f"No demo page: the folder {tmp_path}/demo does not exist" in caplog.messages
    bare.get("/demo", status=307)
    bare.get("/cliquet.js", status=307)
    assert bare.get("/v1/bookmarks").json == {"data": []}


@pytest.mark.parametrize("variable", [None, INI])
def test_wsgi_file_has_the_application(monkeypatch, variable):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("plaster_pastedeploy.fileConfig", lambda *args, **kwargs: None)
    if variable is None:
        monkeypatch.delenv("CLIQUET_INI", raising=False)
    else:
        monkeypatch.setenv("CLIQUET_INI", variable)
    loader = SourceFileLoader("app_wsgi", str(ROOT / "app.wsgi"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("app_wsgi", loader))
    loader.exec_module(module)
    assert TestApp(module.application).get("/v1/").json["project_name"] == "bookmarks"
