"""Operations on records."""

import asyncio
import importlib
import sys
from itertools import islice
from urllib.parse import unquote

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from cliquet import client as module
from cliquet.client import AsyncClient
from tests.client.conftest import BATCH, PAGE
from tests.client.fault_proxy import Response, error, success


@pytest.fixture
def spores(client):
    return client.resource("/spores")


def test_server_info_describes_the_service(client):
    assert client.server_info()["settings"]["batch_max_requests"] == BATCH


def test_record_is_created_read_changed_and_deleted(spores):
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


def test_permissions_are_sent_and_returned(client):
    articles = client.resource("/articles")
    created = articles.create({"title": "x"}, permissions={"read": ["system.Everyone"]})
    id_ = created.data["id"]
    assert created.permissions["read"] == ["system.Everyone"]
    changed = articles.patch(id_, permissions={"read": ["basicauth:bob"]})
    assert changed.permissions["read"] == ["basicauth:bob"]
    assert changed.data["title"] == "x"
    replaced = articles.update(id_, {}, permissions={"read": ["basicauth:eve"]})
    assert replaced.permissions["read"] == ["basicauth:eve"]


def test_merge_patch_merges_objects_and_removes_fields_and_principals(client):
    articles = client.resource("/articles")
    created = articles.create(
        {"title": "x", "size": {"w": 1, "h": 2}}, permissions={"read": ["basicauth:bob"]}
    )
    changes = {"title": None, "size": {"h": None, "d": 3}}
    changed = articles.patch(created.data["id"], changes, permissions={"read": None}, merge=True)
    assert changed.data == {
        "id": created.data["id"],
        "last_modified": changed.timestamp,
        "size": {"w": 1, "d": 3},
    }
    assert "read" not in changed.permissions


def test_json_patch_changes_fields_and_permissions(client, proxy):
    articles = client.resource("/articles")
    id_ = articles.create({"title": "x", "tags": ["a"]}).data["id"]
    operations = [
        {"op": "test", "path": "/data/title", "value": "x"},
        {"op": "add", "path": "/data/tags/-", "value": "b"},
        {"op": "add", "path": "/permissions/read/basicauth:bob", "value": True},
    ]
    changed = articles.patch(id_, operations)
    assert changed.data["tags"] == ["a", "b"]
    assert changed.permissions["read"] == ["basicauth:bob"]
    operations[0]["value"] = "y"
    with pytest.raises(module.ResponseError) as caught:
        articles.patch(id_, tuple(operations))
    assert (caught.value.code, caught.value.details["position"]) == (409, 0)
    for options in ({"permissions": {}}, {"merge": True}):
        with pytest.raises(ValueError, match="can't be combined with permissions or merge"):
            articles.patch(id_, operations, **options)


def test_id_comes_from_the_client_the_caller_or_the_server(client, proxy):
    id_ = module.new_id()
    assert client.resource("/spores").create({"id": id_}).data["id"] == id_
    mine = client.resource("/spores", id_factory=lambda: id_).create({})
    assert (mine.status, mine.data["id"]) == (200, id_)
    client.resource("/spores", id_factory=None).create({})
    assert b"id" not in proxy.requests[-1][3]


def test_creation_with_a_unique_value_returns_the_existing_record(client):
    bookmarks = client.resource("/bookmarks")
    first, second = (bookmarks.create({"url": "https://example.com"}) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.data == second.data


# Lists


def test_iteration_reads_one_page_at_a_time(spores, proxy):
    created = [spores.create({"n": n}).data for n in range(5)]
    proxy.script()
    records = spores.list(_sort="n", _limit=2)
    assert records.total == 5
    assert [record["n"] for record in islice(records, 3)] == [0, 1, 2]
    assert len(proxy.requests) == 2
    assert list(records) == created
    assert [len(page.data) for page in records.pages()] == [2, 2, 1]


def test_list_longer_than_a_page_is_complete(client, spores):
    ids = {spores.create({}).data["id"] for _ in range(PAGE + 1)}
    assert {record["id"] for record in spores.list()} == ids


def test_next_page_is_read_from_the_same_server(connect, proxy):
    client = connect(proxy.url, auth=None)
    proxy.script(
        success([{"id": "a"}], {"Next-Page": "https://elsewhere.example/other?_token=x%3D"}),
        success([{"id": "b"}]),
    )
    assert [record["id"] for record in client.resource("/spores").list()] == ["a", "b"]
    assert proxy.requests[1][1] == "/v1/spores?_token=x%3D"


def test_list_since_a_timestamp_includes_tombstones(spores):
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


def test_head_returns_the_timestamp_and_the_total(spores):
    created = spores.create({"name": "x"})
    response = spores.head(name="y")
    assert (response.timestamp, response.total, response.data) == (created.timestamp, 0, None)


def test_delete_all_deletes_the_matching_records(spores):
    for name in "abc":
        spores.create({"name": name})
    assert len(spores.delete_all(in_name=["a", "b"]).data) == 2
    assert [record["name"] for record in spores.list()] == ["c"]
    spores.delete_all()
    assert list(spores.list()) == []


def test_list_is_true_if_it_has_records(spores):
    assert not spores.list()
    spores.create({})
    assert spores.list()


@pytest.mark.parametrize(
    "pages",
    [
        # The same token, another token with the same records, and no records.
        [(["a"], "x"), (["b"], "y"), (["c"], "x")],
        [(["a"], "x"), (["b"], "y"), (["a"], "z")],
        [(["a"], "x"), ([], "y")],
        [([], "x")],
    ],
)
def test_pages_without_end_are_refused(spores, proxy, pages):
    proxy.script(
        *(
            success([{"id": id_} for id_ in ids], {"Next-Page": f"/v1/spores?_token={token}"})
            for ids, token in pages
        )
    )
    with pytest.raises(module.ProtocolError, match="GET /spores: Next-Page leads to the same page"):
        list(spores.list())
    assert len(proxy.requests) == len(pages)


def test_list_without_next_page_must_be_complete(spores, proxy):
    tombstone = {"id": "b", "last_modified": 2, "deleted": True}
    incomplete = success([{"id": "a"}, tombstone], {"Total-Records": "2", "ETag": '"1"'})
    for option in ("_since", "_before"):
        proxy.script(incomplete)
        with pytest.raises(module.ProtocolError, match="GET /spores: 1 of 2 records, without"):
            spores.list(**{option: 1})
    proxy.script(*[incomplete] * 2)
    # With a token, the total counts other records. Without _since, a list has no tombstones.
    for options in ({"_token": "x"}, {}):
        assert len(list(spores.list(**options))) == 2


@pytest.mark.parametrize("total", ["many", "", "-1"])
def test_list_without_valid_total_can_be_incomplete(spores, proxy, total):
    invalid = success([], {"Total-Records": total})
    proxy.script(*[invalid] * 3)
    with pytest.raises(module.ProtocolError, match="GET /spores: 0 of an unknown number of"):
        spores.list()
    assert spores.list(_count=False).total is None
    assert spores.head().total is None


# Preconditions


def test_if_match_protects_changes_of_others(spores):
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


def test_unchanged_record_is_not_sent_again(spores):
    created = spores.create({"name": "x"})
    response = spores.get(created.data["id"], if_none_match=created.timestamp)
    assert (response.status, response.data, response.timestamp) == (304, None, created.timestamp)
    assert spores.get(created.data["id"], if_none_match=created.timestamp - 1).data == created.data


def test_if_none_match_creates_only_new_records(spores):
    id_ = module.new_id()
    assert spores.update(id_, {"name": "x"}, if_none_match="*").status == 201
    with pytest.raises(module.PreconditionFailed):
        spores.update(id_, {"name": "y"}, if_none_match="*")


# Invalid arguments


@pytest.mark.parametrize("id_", ["", ".", "..", None, 3])
def test_id_that_changes_the_url_is_refused(spores, proxy, id_):
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
def test_id_is_one_segment_of_the_url(id_):
    sent = module.Operations(lambda request: request, "/spores", None).get(id_)
    url = "http://localhost/v1" + sent.path
    for prepared in (requests.Request("GET", url).prepare().url, str(httpx.URL(url))):
        head, _, last = prepared.rpartition("/")
        assert head == "http://localhost/v1/spores"
        assert unquote(last, errors="strict") == id_


@pytest.mark.parametrize("path", ["spores", "/", "/spores/", "/spores?a=b", "/spores#a"])
def test_path_of_no_collection_is_refused(client, path):
    for method in (client.resource, client.copy):
        with pytest.raises(ValueError, match="not the path of a collection"):
            method(path)


@pytest.mark.parametrize(
    "server",
    ["", "api.example.com", "ftp://example.com/v1", "http:///v1", "http://a/?b", "http://a/#b"],
)
def test_invalid_server_url_is_refused(server):
    with pytest.raises(ValueError, match="is not a server URL"):
        module.Client(server)


def test_value_that_is_not_json_is_refused(spores, proxy):
    proxy.script()
    for value, kind in ((float("nan"), ValueError), (object(), TypeError)):
        with pytest.raises(kind):
            spores.create({"x": value})
    assert proxy.requests == []


# The client


def test_server_url_works_without_version(connect, proxy):
    url = proxy.url.removesuffix("/v1")
    spores = connect(f" {url.replace('http', 'HTTP')}/ \n").resource("/spores")
    created = spores.create({"name": "x"})
    assert (created.status, list(spores.list())) == (201, [created.data])


def test_write_that_is_redirected_to_a_read_is_an_error(client, spores, proxy):
    proxy.script(Response(301, {"Location": f"{proxy.url}/spores"}, b""))
    with pytest.raises(module.ResponseError, match="PUT /spores/.*: 301 Moved Permanently"):
        spores.create({})


def test_request_with_invalid_path_is_refused(client):
    with pytest.raises(ValueError, match="'spores' is not a path: expected /bookmarks"):
        client.request("GET", "spores")


@pytest.mark.parametrize(
    ("tag", "timestamp"),
    [
        ('"12"', 12),
        ('W/"12"', 12),
        ('"12-gzip"', 12),
        ('W/"12--br"', 12),
        ('"12;gzip"', 12),
        ('"abc"', 7),
        ("", 7),
    ],
)
def test_timestamp_is_that_of_the_tag_or_the_record(spores, proxy, tag, timestamp):
    proxy.script(success({"last_modified": 7}, {"ETag": tag}))
    assert spores.get("x").timestamp == timestamp


@pytest.mark.parametrize("tag", ["", '"abc"', "12", '"12', '"1.2"'])
def test_response_without_timestamp_never_becomes_an_unconditional_request(spores, proxy, tag):
    proxy.script(success([], {"ETag": tag}), success({}, {"ETag": tag}))
    for response in (spores.list(), spores.get("x")):
        with pytest.raises(module.ProtocolError, match=rf"no timestamp \(ETag: {tag or 'missing'}"):
            response.timestamp  # noqa: B018 (a property)


@pytest.mark.parametrize("value", ["", True, 1.5, b'"12"'])
def test_precondition_that_is_not_a_timestamp_is_refused(spores, proxy, value):
    for name in ("if_match", "if_none_match"):
        with pytest.raises(ValueError, match="is not a timestamp or a tag"):
            spores.get("x", **{name: value})
    assert proxy.requests == []


def test_timestamp_of_a_copy_that_was_not_read_never_becomes_an_unconditional_request(
    client, spores, proxy
):
    unknown = client.copy("/spores").timestamp
    with client.batch() as batch:
        part = batch.resource("/spores")
        calls = [
            lambda: spores.create({}, if_match=unknown),
            lambda: spores.get("x", if_match=unknown),
            lambda: spores.get("x", if_none_match=unknown),
            lambda: spores.update("x", {}, if_match=unknown),
            lambda: spores.update("x", {}, if_none_match=unknown),
            lambda: spores.patch("x", {}, if_match=unknown),
            lambda: spores.patch("x", [], if_match=unknown),
            lambda: spores.delete("x", if_match=unknown),
            lambda: spores.delete_all(if_match=unknown),
            lambda: spores.delete_all(_before=unknown),
            lambda: spores.delete_all(_since=unknown, name="x"),
            lambda: client.request("DELETE", "/spores", headers={"If-Match": unknown}),
            lambda: part.delete_all(if_match=unknown),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="None is not a timestamp|is None"):
                call()
    assert proxy.requests == []


def test_other_requests_can_be_sent(client):
    body = {"requests": [{"path": "/spores"}]}
    response = client.request("POST", "/batch", body)
    assert response.body["responses"][0]["status"] == 200
    tag = client.request("GET", "/spores").headers["etag"]
    assert client.request("GET", "/spores", headers={"If-None-Match": tag}).status == 304


def test_session_of_the_caller_is_used(connect, proxy, session):
    session.headers["X-Mine"] = "yes"
    for _ in range(2):
        with connect(proxy.url, session=session) as client:
            client.server_info()
    assert proxy.requests[0][2]["X-Mine"] == "yes"
    assert len(set(proxy.connections)) == 1


def test_client_uses_the_proxy_of_the_environment(connect, proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
    proxy.script(success([{"id": "a"}]))
    client = connect("http://api.example.com/v1")
    assert [record["id"] for record in client.resource("/spores").list()] == ["a"]
    assert proxy.requests[0][1] == "http://api.example.com/v1/spores"


def test_client_can_be_used_in_a_block(connect, proxy):
    with connect(proxy.url) as client:
        assert client.server_info()["project_name"] == "hostile"


def test_block_closes_the_asynchronous_client(proxy):
    async def use():
        async with AsyncClient(proxy.url) as client:
            await client.server_info()
        with pytest.raises(RuntimeError, match="closed"):
            await client.server_info()

    asyncio.run(use())


def test_user_agent_names_the_client_and_its_library(connect, proxy, library):
    connect(proxy.url).server_info()
    agent = proxy.requests[0][2]["User-Agent"]
    assert agent.startswith(f"cliquet-client/{module.__version__} python-{library}/")


def test_user_agent_of_the_caller_is_kept(connect, proxy, session):
    session.headers["User-Agent"] = "mine"
    connect(proxy.url, session=session).server_info()
    assert proxy.requests[0][2]["User-Agent"] == "mine"


def test_reprs_are_short_and_show_no_secret(client, spores, proxy):
    response = spores.create({"name": "x" * 1000})
    proxy.script(error(404, 111))
    with pytest.raises(module.NotFound) as caught:
        spores.get("x")
    with client.batch() as batch:
        assert repr(batch) == "<Batch of 0 requests>"
        assert repr(batch.resource("/spores")) == "<Operations /spores>"
    shown = [client, spores, spores.list(), response, caught.value.request]
    assert [repr(value) for value in shown] == [
        f"<Client {proxy.url}>",
        "<Resource /spores>",
        "<Records /spores: 1 in total>",
        "<Response 201>",
        "<Request GET /spores/x>",
    ]


@pytest.mark.parametrize("package", ["requests", "httpx"])
def test_missing_package_is_named(monkeypatch, package):
    for name in [name for name in sys.modules if name.startswith("cliquet.client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package} is missing \(pip install {package}\)"):
        importlib.import_module("cliquet.client").AsyncClient  # noqa: B018 (imports it)


def test_module_has_no_other_attributes():
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        module.Server  # noqa: B018 (imports it)
