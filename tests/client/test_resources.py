"""Records are made, read, listed, changed and deleted through the client."""

import importlib
import sys
from itertools import islice
from urllib.parse import unquote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from cliquet import client as module
from tests.client.conftest import BATCH, PAGE
from tests.client.fault_proxy import Response, success


@pytest.fixture
def spores(client):
    return client.resource("/spores")


def test_service_tells_of_itself(client):
    assert client.server_info()["settings"]["batch_max_requests"] == BATCH


def test_what_was_created_can_be_read_changed_and_deleted(spores):
    created = spores.create({"name": "x", "size": 10**40})
    id_ = created.data["id"]
    assert created.status == 201
    assert created.timestamp == created.data["last_modified"]
    assert created.permissions is None
    assert spores.get(id_).data == created.data
    assert spores.patch(id_, {"name": "y"}).data["size"] == 10**40
    assert "size" not in spores.update(id_, {"name": "z"}).data
    assert spores.delete(id_).data["deleted"] is True
    with pytest.raises(module.NotFound):
        spores.get(id_)


def test_permissions_are_sent_and_told(client):
    articles = client.resource("/articles")
    created = articles.create({"title": "x"}, permissions={"read": ["system.Everyone"]})
    id_ = created.data["id"]
    assert created.permissions["read"] == ["system.Everyone"]
    changed = articles.patch(id_, permissions={"read": ["basicauth:bob"]})
    assert changed.permissions["read"] == ["basicauth:bob"]
    assert changed.data["title"] == "x"
    replaced = articles.update(id_, {}, permissions={"read": ["basicauth:eve"]})
    assert replaced.permissions["read"] == ["basicauth:eve"]


def test_id_is_the_clients_the_callers_or_the_servers(client, proxy):
    id_ = module.new_id()
    assert client.resource("/spores").create({"id": id_}).data["id"] == id_
    mine = client.resource("/spores", id_factory=lambda: id_).create({})
    assert (mine.status, mine.data["id"]) == (200, id_)
    client.resource("/spores", id_factory=None).create({})
    assert b"id" not in proxy.requests[-1][3]


def test_value_of_a_unique_field_answers_the_record_that_has_it(client):
    bookmarks = client.resource("/bookmarks")
    first, second = (bookmarks.create({"url": "https://example.com"}) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.data == second.data


# Lists


def test_list_is_read_page_by_page_as_it_is_iterated(spores, proxy):
    created = [spores.create({"n": n}).data for n in range(5)]
    proxy.script()
    found = spores.list(_sort="n", _limit=2)
    assert found.total == 5
    assert [record["n"] for record in islice(found, 3)] == [0, 1, 2]
    assert len(proxy.requests) == 2
    assert list(found) == created
    assert [len(page.data) for page in found.pages()] == [2, 2, 1]


def test_list_that_the_server_cuts_is_read_to_its_end(client, spores):
    ids = {spores.create({}).data["id"] for _ in range(PAGE + 1)}
    assert {record["id"] for record in spores.list()} == ids


def test_next_page_is_asked_of_the_same_server_whatever_the_proxy_makes_of_it(connect, proxy):
    client = connect(proxy.url, auth=None)
    proxy.script(
        success([{"id": "a"}], {"Next-Page": "https://elsewhere.example/other?_token=x%3D"}),
        success([{"id": "b"}]),
    )
    assert [record["id"] for record in client.resource("/spores").list()] == ["a", "b"]
    assert proxy.requests[1][1] == "/v1/spores?_token=x%3D"


def test_list_tells_what_has_changed_since_with_tombstones(spores):
    kept, deleted = (spores.create({}).data["id"] for _ in range(2))
    known = spores.list()
    assert list(spores.list(_since=known.timestamp)) == []
    spores.delete(deleted)
    news = spores.list(_since=known.timestamp)
    assert [(record["id"], record["deleted"]) for record in news] == [(deleted, True)]
    assert news.timestamp > known.timestamp
    assert [record["id"] for record in spores.list(_before=known.timestamp)] == [kept]


def test_filters_and_options_are_those_of_the_protocol(spores):
    for n, name in enumerate(["a", "b", "c"]):
        spores.create({"name": name, "n": n, "even": n % 2 == 0})

    def names(**params):
        return [record["name"] for record in spores.list(_sort="name", **params)]

    assert names(name="b") == ["b"]
    assert names(not_name="b", max_n=1.5) == ["a"]
    assert names(min_n=1, lt_n=2) == ["b"]
    assert names(gt_n=1) == ["c"]
    assert names(in_name=["a", "c"]) == ["a", "c"]
    assert names(exclude_n=(0, 1)) == ["c"]
    assert names(even=True) == ["a", "c"]
    assert [record["n"] for record in spores.list(_sort=["even", "-name"])] == [1, 2, 0]
    assert set(next(iter(spores.list(_fields=["n"])))) == {"id", "last_modified", "n"}


def test_head_tells_the_timestamp_and_how_many_match(spores):
    created = spores.create({"name": "x"})
    response = spores.head(name="y")
    assert (response.timestamp, response.total, response.data) == (created.timestamp, 0, None)


def test_filters_tell_which_records_are_deleted(spores):
    for name in "abc":
        spores.create({"name": name})
    assert len(spores.delete_all(in_name=["a", "b"]).data) == 2
    assert [record["name"] for record in spores.list()] == ["c"]
    spores.delete_all()
    assert list(spores.list()) == []


# Preconditions


def test_what_others_have_changed_is_not_overwritten(spores):
    seen = spores.create({"name": "x"})
    id_ = seen.data["id"]
    changed = spores.patch(id_, {"name": "y"}, if_match=seen.timestamp)
    calls = [
        lambda: spores.get(id_, if_match=seen.timestamp),
        lambda: spores.patch(id_, {"name": "z"}, if_match=seen.timestamp),
        lambda: spores.update(id_, {"name": "z"}, if_match=seen.timestamp),
        lambda: spores.delete(id_, if_match=seen.timestamp),
    ]
    for call in calls:
        with pytest.raises(module.PreconditionFailed) as caught:
            call()
        assert caught.value.existing == changed.data
    for call in (spores.delete_all, lambda **kw: spores.create({}, **kw)):
        with pytest.raises(module.PreconditionFailed) as caught:
            call(if_match=seen.timestamp)
        assert caught.value.existing is None


def test_record_that_has_not_changed_is_not_sent(spores):
    created = spores.create({"name": "x"})
    response = spores.get(created.data["id"], if_none_match=created.timestamp)
    assert (response.status, response.data, response.timestamp) == (304, None, created.timestamp)
    assert spores.get(created.data["id"], if_none_match=created.timestamp - 1).data == created.data


def test_record_is_only_created_if_there_is_none(spores):
    id_ = module.new_id()
    assert spores.update(id_, {"name": "x"}, if_none_match="*").status == 201
    with pytest.raises(module.PreconditionFailed):
        spores.update(id_, {"name": "y"}, if_none_match="*")


# What is refused before anything is sent


@pytest.mark.parametrize("id_", ["", ".", "..", None, 3])
def test_id_that_would_be_another_url_is_refused(spores, proxy, id_):
    spores.create({})
    proxy.script()
    for call in (spores.delete, spores.get, lambda id_: spores.update(id_, {})):
        with pytest.raises(ValueError, match="not the id of a record"):
            call(id_)
    assert proxy.requests == []


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from(
    ["a/b", "../mushrooms", "%2e%2e", "100%", "a?b#c", "...", "~", "/"]
)


@given(IDS.filter(lambda id_: id_ not in (".", "..")))
def test_id_stays_one_part_of_the_url(id_):
    sent = module.Operations(lambda request: request, "/spores", None).get(id_)
    url = requests.Request("GET", "http://localhost/v1" + sent.path).prepare().url
    head, _, last = url.rpartition("/")
    assert head == "http://localhost/v1/spores"
    assert unquote(last, errors="strict") == id_


@pytest.mark.parametrize("path", ["spores", "/", "/spores/", "/spores?a=b", "/spores#a"])
def test_path_that_is_not_of_a_collection_is_refused(client, path):
    with pytest.raises(ValueError, match="not the path of a collection"):
        client.resource(path)


@pytest.mark.parametrize(
    "server",
    ["", "api.example.com", "ftp://example.com/v1", "http:///v1", "http://a/?b", "http://a/#b"],
)
def test_server_that_is_none_is_refused(server):
    with pytest.raises(ValueError, match="is no server"):
        module.Client(server)


def test_value_that_is_not_json_is_refused(spores, proxy):
    proxy.script()
    for value, kind in ((float("nan"), ValueError), (object(), TypeError)):
        with pytest.raises(kind):
            spores.create({"x": value})
    assert proxy.requests == []


# The client


def test_server_can_be_given_without_its_version(connect, proxy):
    spores = connect(proxy.url.removesuffix("/v1") + "/").resource("/spores")
    created = spores.create({"name": "x"})
    assert (created.status, list(spores.list())) == (201, [created.data])


def test_write_that_is_redirected_to_a_read_is_an_error(client, spores, proxy):
    proxy.script(Response(301, {"Location": f"{proxy.url}/spores"}, b""))
    with pytest.raises(module.ResponseError, match="POST /spores: 301 Moved Permanently"):
        spores.create({})
    with pytest.raises(ValueError, match="'spores' is not a path: expected /bookmarks"):
        client.request("GET", "spores")


@pytest.mark.parametrize(
    ("tag", "timestamp"), [('"12"', 12), ('W/"12"', 12), ('"abc"', 7), ("", 7)]
)
def test_timestamp_is_the_tags_or_the_records(spores, proxy, tag, timestamp):
    proxy.script(success({"last_modified": 7}, {"ETag": tag}))
    assert spores.get("x").timestamp == timestamp


def test_any_request_can_be_sent(client):
    body = {"requests": [{"path": "/spores"}]}
    response = client.request("POST", "/batch", body)
    assert response.body["responses"][0]["status"] == 200
    tag = client.request("GET", "/spores").headers["etag"]
    assert client.request("GET", "/spores", headers={"If-None-Match": tag}).status == 304


def test_session_of_the_caller_is_used_and_the_client_can_be_closed(proxy):
    session = requests.Session()
    session.headers["X-Mine"] = "yes"
    with module.Client(proxy.url, session=session) as client:
        client.server_info()
    assert proxy.requests[0][2]["X-Mine"] == "yes"


def test_module_tells_what_to_install_without_requests(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("cliquet.client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(ImportError, match=r"pip install cliquet\[client\]"):
        importlib.import_module("cliquet.client")
