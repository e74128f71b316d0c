"""Ids of one's own, for all resources or for one."""

import re


def test_new_records_have_ids_of_the_generator(serve, settings_of):
    client = serve("bookmarks_resource", settings=settings_of("id-generator.ini"))
    body = {"data": {"url": "https://www.example.com"}}
    record_id = client.post_json("/bookmarks", body).json["data"]["id"]
    assert re.fullmatch("[a-z2-7]{16}", record_id)
    client.get(f"/bookmarks/{record_id}")


def test_ids_that_the_generator_does_not_make_are_refused(serve, settings_of):
    client = serve("bookmarks_resource", settings=settings_of("id-generator.ini"))
    client.get("/bookmarks/4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a11", status=400)
    client.get("/bookmarks/abcdefghijklmnop", status=404)


def test_resource_can_have_its_own_ids(serve):
    client = serve("countries", "bookmarks_resource")
    client.put_json("/countries/FR", {"data": {"name": "France"}}, status=201)
    assert client.get("/countries/FR").json["data"]["name"] == "France"
    client.put_json("/countries/france", {"data": {"name": "France"}}, status=400)
    client.post_json("/countries", {"data": {"name": "Spain"}}, status=405)
    body = {"data": {"url": "https://www.example.com"}}
    assert len(client.post_json("/bookmarks", body).json["data"]["id"]) == 36
