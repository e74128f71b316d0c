"""Views of the OpenAPI document and its page, and their cost."""

import re
from importlib.resources import files

import pytest

from cliquet.openapi import document, views
from cliquet.testing import get_request_class

STATIC = files("cliquet.openapi") / "static"


@pytest.fixture
def client(serve):
    return serve({"openapi_enabled": "true"})


def test_document_is_not_found_unless_it_is_enabled(serve):
    client = serve()
    client.get("/__api__", status=404)
    assert client.get("/__api__/", status=307).headers["Location"].endswith("/v0/__api__")
    client.get("/__api__/page.js", status=404)
    assert client.get("/").json["capabilities"] == {}


def test_capability_contains_the_url_of_the_document(client):
    assert client.get("/").json["capabilities"]["openapi"]["url"] == "__api__"


def test_document_is_built_once(serve_anew, monkeypatch):
    made = []

    def make(request):
        made.append(request)
        return document.make(request)

    monkeypatch.setattr(views, "make", make)
    client = serve_anew({"openapi_enabled": "true"})
    first = client.get("/__api__")
    assert client.get("/__api__").body == first.body
    assert len(made) == 1


def test_document_is_sent_again_only_if_it_changed(client):
    first = client.get("/__api__")
    assert first.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert first.headers["Cache-Control"] == "no-cache"
    same = client.get("/__api__", headers={"If-None-Match": first.headers["ETag"]}, status=304)
    assert same.body == b""
    client.get("/__api__", headers={"If-None-Match": '"other"'}, status=200)
    assert client.head("/__api__").headers["ETag"] == first.headers["ETag"]


def test_two_applications_have_their_own_documents(client, serve):
    other = serve({"openapi_enabled": "true", "cliquet.project_name": "other"})
    assert other.get("/__api__").json["info"]["title"] == "other"
    assert client.get("/__api__").json["info"]["title"] == "testapp"


def test_document_can_be_had_in_a_batch(client):
    body = {"requests": [{"path": "/__api__"}]}
    (response,) = client.post_json("/batch", body).json["responses"]
    assert response["body"]["openapi"] == "3.1.0"


def test_url_without_version_redirects_to_the_page(client):
    client.RequestClass = get_request_class("")
    page = client.get("/__api__/", status=307)
    assert page.headers["Location"] == "http://localhost/v0/__api__/"


def test_page_references_only_files_that_are_served(client):
    page = client.get("/__api__/")
    assert page.content_type == "text/html"
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(links) == 5
    for link in links:
        assert "/" not in link
        assert client.get(f"/__api__/{link}").body == STATIC.joinpath(link).read_bytes()


def test_page_shows_the_document_at_the_relative_url(client):
    assert 'DOCUMENT = "../__api__"' in client.get("/__api__/page.js").text


def test_page_runs_only_its_own_scripts(client):
    page = client.get("/__api__/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", page.text)


def test_files_of_the_page_come_with_their_licences_and_version(client):
    assert "Apache License" in client.get("/__api__/LICENSE").text
    assert "SmartBear" in client.get("/__api__/NOTICE").text
    client.get("/__api__/swagger-ui-bundle.js.LICENSE.txt")
    assert re.search(r"swagger-ui-dist 5\.\d+\.\d+", client.get("/__api__/VERSION").text)


def test_nothing_else_is_served(client):
    for path in ("/__api__/nothing.js", "/__api__/../views.py", "/__api__/%2e%2e/views.py"):
        assert client.get(path, status=404).json["errno"] == 111
    moved = client.post("/__api__/", status=307)
    client.post(moved.location, status=404)


def test_url_of_the_server_is_that_of_the_request(client):
    def url(host=None, **environ):
        headers = {"Host": host} if host else {}
        response = client.get("/__api__", headers=headers, extra_environ=environ)
        (server,) = response.json["servers"]
        return server["url"], response.headers["ETag"]

    here, etag = url()
    assert here == "http://localhost/v0"
    other, other_etag = url("api.example.com")
    assert other == "http://api.example.com/v0"
    assert etag != other_etag
    assert url() == (here, etag)
    assert url(SCRIPT_NAME="/a%22b")[0] == "http://localhost/a%2522b/v0"


def test_url_of_the_server_follows_the_settings(serve):
    settings = {"openapi_enabled": "true", "http_host": "api.example.com", "http_scheme": "https"}
    document = serve(settings).get("/__api__").json
    assert document["servers"] == [{"url": "https://api.example.com/v0"}]


def test_servers_of_the_application_are_kept(serve):
    servers = [{"url": "https://other.example.com/v0"}, {"url": "/"}]

    def setup(config):
        config.extend_openapi({"servers": servers})

    assert serve({"openapi_enabled": "true"}, setup).get("/__api__").json["servers"] == servers
