"""The short guides, and that of listeners."""

import json

URL = "https://www.example.com"
ID = "4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a11"


def test_urls_and_methods_are_those_of_the_registration(serve):
    client = serve("user_bookmarks")
    client.put_json(f"/user/bookmarks/{ID}", {"data": {"url": URL}}, status=201)
    assert len(client.get("/user/bookmarks").json["data"]) == 1
    client.post_json("/user/bookmarks", {"data": {"url": URL}}, status=405)
    client.get("/bookmarks", status=404)


def test_unique_field_gives_the_record_that_has_it(serve):
    client = serve("devices")
    body = {"data": {"url": URL, "title": "Title"}}
    first = client.post_json("/links", body, status=201)
    assert client.post_json("/links", body, status=200).json == first.json


def test_readonly_field_is_set_by_the_resource_alone(serve):
    client = serve("devices")
    body = {"data": {"url": URL, "title": "Title", "device": "mine"}}
    record = client.post_json("/links", body, headers={"User-Agent": "Firefox"}).json["data"]
    assert record["device"] == "Firefox"
    path = f"/links/{record['id']}"
    client.patch_json(path, {"data": {"device": "Other"}}, status=400)
    client.patch_json(path, {"data": {"title": "Other"}}, headers={"User-Agent": "curl"})
    assert client.get(path).json["data"]["device"] == "Firefox"


def test_view_stores_validated_data(serve):
    client = serve("scores")
    assert client.post_json("/score/chess", {"points": 12}).json["points"] == 12
    client.post_json("/score/chess", {"points": "many"}, status=400)
    client.post("/score/chess", json.dumps({"points": 1}), {"Authorization": ""}, status=401)


def test_listener_is_called_after_the_change(serve, settings_of, capsys):
    client = serve("bookmarks_resource", settings=settings_of("printer.ini"))
    client.post_json("/bookmarks", {"data": {"url": URL}})
    assert capsys.readouterr().out == "Changed: create /bookmarks\n"
