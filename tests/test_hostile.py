"""Hostile requests: each response follows the protocol, and its cost is proportional to its size.

:class:`tests.hostile_client.Client` checks every response; the tests check what is accepted.
"""

import contextlib
import json
import logging
import time
from base64 import urlsafe_b64encode

import pytest

from tests.hostile_client import ENGINES, Client, make_app, new_id

COLLECTIONS = ("/mushrooms", "/spores", "/bookmarks", "/articles", "/blogs/b/posts")
PRESERVING = ("/spores", "/bookmarks", "/articles")
OPEN = ("/spores", "/bookmarks", "/articles")
ORIGIN = {"Origin": "https://elsewhere.example"}
LATEST = 253402300799999
WRITES = ("POST", "PUT", "PATCH")

#: Requests that all engines refuse or read in the same way.
on_one_engine = pytest.mark.parametrize("app", ["memory"], indirect=True)

#: Each resource, but only two on an engine that computes filters in SQL.
on_each_resource = pytest.mark.parametrize(
    ("app", "path"),
    [
        *(("memory", path) for path in COLLECTIONS),
        *(("sqlite", path) for path in ("/spores", "/articles")),
    ],
    indirect=["app"],
)


@pytest.fixture(scope="module", params=ENGINES)
def app(request, tmp_path_factory):
    # The log line of the request is computed too.
    logger = logging.getLogger("cliquet")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield make_app(request.param, tmp_path_factory.mktemp("hostile"))
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def nothing_shared(app):
    """Each test has users of its own; what is shared is deleted after it."""
    yield
    app.registry.storage.delete_all("article", "")
    app.registry.permission.flush()


@pytest.fixture
def client(app):
    return Client(app)


@contextlib.contextmanager
def in_time(seconds=60):
    """Fail when the block takes so long that something is wrong: it is done within a second."""
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < seconds


def write(client, path, body, **headers):
    """Send a body to all endpoints that take one, and return the responses."""
    known = client.create(path, {"name": "known"})["id"]
    targets = {"POST": path, "PUT": f"{path}/{new_id()}", "PATCH": f"{path}/{known}"}
    return [
        client.send(method, target, body=body, headers={**ORIGIN, **headers})
        for method, target in targets.items()
    ]


def nested(levels, kind="[]"):
    opening, closing = {"[]": (b"[", b"]"), "{}": (b'{"a":', b"}")}[kind]
    return opening * levels + (b"1" if kind == "{}" else b"") + closing * levels


def data(value):
    return b'{"data": {"name": "x", "a": ' + value + b"}}"


NOT_OBJECTS = [
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"a"',
    b"\xff",
    b"\xef\xbb\xbf[]",
    b"{}{}",
    b"{'a': 1}",
]
NOT_UTF8 = [b'{"data": {"name": "\xff"}}', '{"data": {"name": "x"}}'.encode("utf-16")]


@on_one_engine
@pytest.mark.parametrize("path", COLLECTIONS)
def test_bodies_that_are_not_objects(client, path):
    for body in NOT_OBJECTS + NOT_UTF8:
        assert [response.status for response in write(client, path, body)] == [400, 400, 400]
        assert client.send("POST", "/batch", body=body, headers=ORIGIN).status == 400


@pytest.mark.parametrize("kind", ["[]", "{}"])
def test_nesting_has_a_bound(client, kind):
    # The object of the fields is the first level.
    for levels, accepted in ((99, True), (100, False), (101, False), (10_000, False)):
        with in_time():
            responses = write(client, "/spores", data(nested(levels, kind)))
        assert [response.status < 300 for response in responses] == [accepted] * 3
    for body in (b"[" * 10_000, b'{"a":' * 10_000, b'{"data":' + b'{"a":' * 200):
        assert {response.status for response in write(client, "/spores", body)} == {400}
    # Lists still work.
    (record,) = [r for r in client.walk("/spores", "") if len(json.dumps(r)) > 150][:1]
    assert client.send("GET", f"/spores/{record['id']}").data == record


@on_one_engine
def test_nesting_has_a_bound_with_long_numbers_too(client):
    number = b'"n": ' + b"1" * 30
    body = b'{"data": {' + number + b', "a": ' + nested(10_000) + b"}}"
    assert {response.status for response in write(client, "/spores", body)} == {400}


UNSTORABLE = [
    b'"\\u0000"',
    b'{"\\u0000": 1}',
    b'"\\ud800"',
    b'{"\\udfff": 1}',
    b'[["\\ud83d"]]',
    b'"\\ude00\\ud83d"',
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-1e999999999",
    b"1" * 5000,
    b"-" + b"1" * 100_000,
    b"01",
    b".5",
    b"0x10",
]


@on_one_engine
@pytest.mark.parametrize("number", [b"1", b"1" * 30], ids=["orjson", "json"])
@pytest.mark.parametrize("value", UNSTORABLE, ids=range(len(UNSTORABLE)))
def test_values_that_cannot_be_stored_exactly(client, value, number):
    # Long numbers are read by another parser.
    body = b'{"data": {"name": "x", "n": ' + number + b', "a": ' + value + b"}}"
    for path in OPEN:
        assert [each.status for each in write(client, path, body)] == [400, 400, 400]
    key = b'{"data": {"name": "x", "\\ud800": 1, "n": ' + number + b"}}"
    assert {response.status for response in write(client, "/mushrooms", key)} == {400}


KEPT = [
    b'"\\\\u0000"',
    b'"\\ud83d\\ude00"',
    b'"\\u0001\\u001f\\u007f\\uffff"',
    b"1" * 19,
    b"1" * 20,
    b"-" + b"9" * 100,
    b"1" * 1000,
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"1.7976931348623157e308",
    b"5e-324",
    b"-0.0",
    b"0.1",
    b"123456789012345680000.0",
    b"1e22",
    b'{"": {"": []}}',
    b'{"__class__": 1, "$ref": 2, "a.b": 3, "a\\"b": 4}',
]


@pytest.mark.parametrize("value", KEPT, ids=range(len(KEPT)))
def test_accepted_values_are_returned(client, value):
    expected = json.loads(value)
    for path in ("/spores", "/bookmarks"):
        for response in write(client, path, data(value)):
            assert response.status < 300
            assert repr(response.data["a"]) == repr(expected)
            read = client.send("GET", f"{path}/{response.data['id']}")
            assert repr(read.data["a"]) == repr(expected)
        assert {repr(record["a"]) for record in client.walk(path, "")} == {repr(expected)}


def test_of_duplicate_keys_the_last_counts(client):
    response = client.send("POST", "/spores", body=b'{"data": {"a": 1}, "data": {"a": 2, "a": 3}}')
    assert response.data["a"] == 3


# Almost as much as the limits of records allow.
HUGE = {
    "text": b'"' + b"x" * 250_000 + b'"',
    "text that is not ASCII": b'"' + "é".encode() * 125_000 + b'"',
    "escapes": b'"' + b"\\u0001" * 40_000 + b'"',
    "array": b"[" + b"1," * 49_000 + b"1]",
    "objects": b"[" + b"{}," * 49_000 + b"{}]",
    "keys": b"{" + b",".join(b'"%d": 1' % n for n in range(20_000)) + b"}",
    "long numbers": b"[" + (b"1" * 1000 + b",") * 200 + b"1]",
}


@on_one_engine
@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE.keys())
def test_cost_of_huge_bodies_is_proportional_to_their_size(client, value):
    with in_time(10):
        assert [response.status for response in write(client, "/spores", data(value))] == [
            201,
            201,
            200,
        ]
        assert len(client.send("GET", "/spores").data) == 3


@on_each_resource
def test_fields_of_any_type(client, path):
    values = [1, "a", "", None, {}, [], True, 1.5, 1e308, 10**400, "1" * 5000, ["a"]]
    own = {"/bookmarks": ("url", "code", "device"), "/articles": ("slug", "__permissions__")}
    for field in ("id", "deleted", *own.get(path, ("name", "size", "edible", "weight"))):
        for value in values:
            write(client, path, {"data": {"name": "x", field: value}})
    for value in values:
        for body in ({"data": value}, {"data": {"name": "x"}, "permissions": value}, {"x": value}):
            write(client, path, body)
    assert client.send("GET", path).status in (200, 403)


# Timestamps.


@pytest.mark.parametrize("value", [1, 1430222877724, LATEST])
def test_timestamps_that_are_accepted(client, value):
    response = client.send("POST", "/spores", body={"data": {"last_modified": value}})
    assert (response.status, response.data["last_modified"]) == (201, value)
    url = f"/spores/{response.data['id']}"
    for query in (
        f"_since={value}",
        f'_since="{value}"',
        f"_before={value}",
        f"in_last_modified={value}",
    ):
        assert client.send("GET", "/spores", query).status == 200
    for header in ("If-Match", "If-None-Match"):
        assert client.send("GET", url, headers={header: f'"{value}"'}).status in (200, 304)
    assert client.send("DELETE", url, f"last_modified={value}").status == 200


NOT_TIMES = [0, -1, LATEST + 1, 2**63, 10**400, 1.0, 1.5, True, "1", "", None]
NOT_TIMES += [[], {}, [1], {"a": 1}]


@on_one_engine
@pytest.mark.parametrize("value", NOT_TIMES)
def test_timestamps_that_are_refused(client, value):
    for path in PRESERVING:
        responses = write(client, path, {"data": {"name": "x", "last_modified": value}})
        assert [response.status for response in responses] == [400, 400, 400]
    known = client.create("/spores", {})["id"]
    text = str(value)
    is_integer = text.lstrip("-").isdigit()
    for query in (
        f"_since={text}",
        f"_before={text}",
        f"last_modified={text}",
        f"in_last_modified={text}",
    ):
        response = client.send("GET", "/spores", query, headers=ORIGIN)
        is_list = query.startswith("in_") and isinstance(value, list)  # a JSON array
        assert response.status == (200 if is_integer or is_list else 400)
    response = client.send("DELETE", f"/spores/{known}", "last_modified=" + text)
    is_accepted = text == "" or (is_integer and int(text) <= LATEST)
    assert response.status == (200 if is_accepted else 400)


def test_collection_at_the_maximum_timestamp_keeps_working(client):
    """Guarantee 2: a returned timestamp is accepted in requests, and timestamps never decrease."""
    known = client.create("/spores", {"last_modified": LATEST})
    previous = LATEST
    for _ in range(3):
        record = client.create("/spores", {})
        assert record["last_modified"] > previous
        previous = record["last_modified"]
    for method in ("PUT", "PATCH"):
        body = {"data": {**known, "changed by": method}}
        response = client.send(method, f"/spores/{known['id']}", body=body)
        assert response.status == 200
        assert response.data["last_modified"] > previous
        previous = response.data["last_modified"]
    response = client.send("GET", "/spores")
    tag = response.headers["ETag"]
    assert tag == f'"{previous}"'
    assert response.headers["Last-Modified"] == "Fri, 31 Dec 9999 23:59:59 GMT"
    assert client.send("GET", "/spores", headers={"If-None-Match": tag}).status == 304
    assert client.send("GET", "/spores", f"_since={tag}").data == []
    assert (
        client.send("POST", "/spores", body={"data": {}}, headers={"If-Match": tag}).status == 201
    )
    assert len(client.walk("/spores", "_limit=1")) == 5
    assert client.send("DELETE", "/spores").status == 200
    assert len(client.walk("/spores", f"_limit=2&_since={LATEST}")) == 5


def test_a_millisecond_that_many_want(client):
    times = [
        client.create("/spores", {"last_modified": 1000 + n % 2})["last_modified"]
        for n in range(200)
    ]
    assert sorted(times) == list(range(1000, 1200))
    assert len(client.walk("/spores", "_limit=7&_sort=last_modified")) == 200


# Querystrings.

QUERIES = [
    "", "&", "=", "&&==&", "_", "_=1", "%00", "%00=%00", "a", "a=", "%FF", "%FF=1", "a=%FF",
    "\xff=\xff", "a=%ED%A0%80", "a=%22%5Cud800%22", 'a="\\u0000"', "a=%00", "a=%00,b", "in_a=%00,b",
    "in_id=%00,b", "a='", 'a="', 'a=""', "a=\\", "a=%25", "like=_", "a=%25_*?[a-z]",
    "a='; DROP TABLE records; --", "a%27%22%5C%00%25*=1", "'=1", "_sort='", '_sort="', "_sort=%00",
    "_sort=%FF", "_sort=-", "_sort=+-a", "_sort=,", "_sort=a,,b", "_sort=a,a,-a",
    "_sort=id,last_modified,a", "_sort=deleted,id&_limit=1", "_limit=1", "_limit=0", "_limit=-1",
    "_limit=a", "_limit=1.0", "_limit=1e3", "_limit=", "_limit=%20", "_limit=+1", "_limit=%D9%A1",
    "_limit=1&_limit=2", "_limit=1_0", "_limit=True", "_since=", "_since=a", '_since="',
    "_since=1.0", "_since=1&_since=2", "_to=0", "_before=-1", "_since=null", "_since=[]", "_to=1",
    "last_modified=", "min_last_modified=a", "last_modified=1e400", "in_last_modified=",
    "in_last_modified=1,a", "exclude_last_modified=1,2", "_fields=", "_fields=,", "_fields=.",
    "_fields=a..b", "_fields=a.b,a,a.b.c", "_fields=%FF", "_fields=%00", "_fields=.a", "_fields=a.",
    "_fields=id.a", "_fields=last_modified.x", "_fields=deleted", "_token=", "_token=a",
    "_token=%FF", "_token=\xff", "_token=e30=", "id=", "id=1", "in_id=1", "in_id=", "in_id=a,",
    "id=%27", "min_id=a", "not_id=true", "a=" + "1" * 400, "a=1e400", "a=-0", "min_a=true",
    "gt_a=null", "lt_a=%22%22", "min_=1", "in_a=" + "1" * 400 + ",1",
    "exclude_a=" + "1" * 400 + ",1", "exclude_a=,", "not_a=", "in_=", "in_in_a=1", "deleted=true",
    "deleted=1&_since=1", "deleted=false&_since=1", "not_deleted=a&_since=1", "min_deleted=true",
    "_since=1&" * 200,
]  # fmt: skip
LONG_QUERIES = [
    "_limit=" + "9" * 5000, "_since=" + "1" * 5000, "_token=" + "A" * 100_000,
    "id=" + "a" * 100_000, "a=" + "1" * 5000, "a=" + "[" * 50_000, 'a="' + "[" * 5000,
    "_sort=" + "," * 100_000, "_fields=a" + ".a" * 50_000,
    "_sort=" + ",".join(f"a{n}" for n in range(5000)), "&".join(f"a{n}=1" for n in range(5000)),
    "in_a=" + "1," * 20_000, "&" * 100_000, "_x=1&" * 5000, "exclude_id=" + "a," * 20_000,
]  # fmt: skip


@on_each_resource
def test_querystrings(client, path):
    record = client.create(path, {"name": "x", "a": 1})
    for query in QUERIES:
        for method in ("GET", "HEAD", "DELETE"):
            client.send(method, path, query, headers=ORIGIN)
        for method in ("GET", "PATCH"):
            body = {"data": {}} if method == "PATCH" else None
            client.send(method, f"{path}/{record['id']}", query, body=body, headers=ORIGIN)
        client.send("POST", path, query, body={"data": {"name": "y"}}, headers=ORIGIN)
    assert client.send("GET", path).status in (200, 403)


@pytest.mark.parametrize("path", ["/spores", "/articles"])
@pytest.mark.parametrize("query", LONG_QUERIES, ids=range(len(LONG_QUERIES)))
def test_long_querystrings(client, path, query):
    for _ in range(3):
        client.create(path, {"a": 1})
    with in_time():
        client.send("GET", path, query, headers=ORIGIN)
        client.send("DELETE", path, query, headers=ORIGIN)


@on_one_engine
@pytest.mark.parametrize("path", ["/", "/batch", "/__heartbeat__", "/nowhere", "/nowhere/", ""])
def test_querystrings_elsewhere(client, path):
    for query in QUERIES:
        client.send("POST" if path == "/batch" else "GET", path, query, headers=ORIGIN)


def test_negative_limit_and_limit_that_is_not_an_integer(client):
    for text in ("-1", "a", "1.0", "1e3", "%D9%A1", "True", "1_0", "%20"):
        assert client.send("GET", "/spores", f"_limit={text}").status == 400, text


def test_fields_that_are_named_often_are_copied_once(client):
    for n in range(300):
        client.create("/spores", {"a": n})
    with in_time():
        response = client.send("GET", "/spores", "_fields=" + "a," * 99)
        assert client.send("GET", "/spores", "_fields=" + "a," * 100_000).status == 400
    assert {tuple(sorted(record)) for record in response.data} == {("a", "id", "last_modified")}


def test_lists_of_numbers_beyond_floats(client):
    """A number that becomes infinite is one like the others: it hides nothing."""
    client.create("/spores", {"a": 5})
    client.create("/spores", {"a": 6})
    big = "1" * 400
    assert [r["a"] for r in client.send("GET", "/spores", f"exclude_a={big},5").data] == [6]
    assert [r["a"] for r in client.send("GET", "/spores", f"in_a={big},5").data] == [5]
    client.create("/spores", {"a": int(big)})
    assert [r["a"] for r in client.send("GET", "/spores", f"in_a={big},7").data] == [int(big)]
    assert [r["a"] for r in client.send("GET", "/spores", f"exclude_a={big},6").data] == [5]


LAST = [
    None, 1, "a", [], {}, {"last_modified": 1}, {"last_modified": "1"}, {"last_modified": True},
    {"last_modified": 1.5}, {"last_modified": None}, {"last_modified": 10**400},
    {"last_modified": -(2**63)}, {"last_modified": 2**63}, {"last_modified": 1, "a": 1},
    {"last_modified": 1, "a": None}, {"last_modified": 1, "a": [1, {"b": None}]},
    {"last_modified": 1, "a": {"": 1}}, {"last_modified": 1, "a": 10**400},
    {"last_modified": 1, "a": 1e308}, {"last_modified": 1, "a": "\0"},
    {"last_modified": 1, "a": "\ud800"}, {"last_modified": 1, "a": "'\"\\%_"},
    {"last_modified": 1, "b": 1}, {"last_modified": 1, "id": 1}, {"last_modified": 1, "id": None},
    {"last_modified": 1, "deleted": "x"}, {"last_modified": LATEST + 1}, {"id": "a"}, {"a": 1},
    {"last_modified": 1, "a": ["x" * 100_000]},
]  # fmt: skip


@pytest.mark.parametrize("sort", ["", "a", "a,-id", "deleted,-a"])
def test_tokens(client, sort):
    for a in (1, "x", None, [], {}, True):
        client.create("/spores", {"a": a})
    contents = [json.dumps({"last_record": last}).encode() for last in LAST]
    contents += [json.dumps(value).encode() for value in (None, 1, [], "last_record", {}, {"x": 1})]
    contents += [b"", b"{", b"\xff", b'{"last_record": NaN}', b"[" * 10_000]
    contents += [b'{"last_record": {"last_modified": 1, "a": ' + nested(101) + b"}}"]
    for content in contents:
        token = urlsafe_b64encode(content).decode()
        for path in ("/mushrooms", "/spores"):
            for text in (token, token[:-1], token * 2):
                client.send("GET", path, f"_token={text}&_limit=1&_sort={sort}", headers=ORIGIN)


def test_values_that_look_like_a_language_are_values(client):
    values = [
        "'",
        '"',
        "\\",
        "%",
        "_",
        "*",
        "a%b",
        "a_b",
        "[a]",
        "?",
        "' OR 1=1 --",
        "$.a",
        "a.b",
        "{}",
        "é",
    ]
    for value in values:
        client.create("/spores", {"text": value, value: 1})
    for value in values:
        quoted = "".join(f"%{byte:02X}" for byte in value.encode())
        assert [r["text"] for r in client.send("GET", "/spores", f"text={quoted}").data] == [value]
        assert [r["text"] for r in client.send("GET", "/spores", f"in_text={quoted},x").data] == [
            value
        ]
        if value != "_":  # which is ignored
            records = client.send("GET", "/spores", f"{quoted}=1").data
            assert [record["text"] for record in records] == [value]
        assert client.send("GET", "/spores", f"_sort={quoted}&_limit=1").data[0]["text"] == value


# URLs and methods.

SEGMENTS = [
    "%0A",
    "%00",
    "%FF",
    ".",
    "..",
    "a.b",
    "a%2Fb",
    "%E2%80%AE",
    "*",
    "%25",
    "%",
    "{id}",
    "A" * 100_000,
]


@on_each_resource
def test_ids(client, path):
    known = client.create(path, {"name": "x"})["id"]
    for segment in (
        *SEGMENTS,
        f"{known}%0A",
        f"{known}%00",
        known.upper(),
        f"%20{known}",
        f"{known}/",
    ):
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
            body = {"data": {"name": "x"}} if method in WRITES else None
            response = client.send(method, f"{path}/{segment}", body=body, headers=ORIGIN)
            if method in ("GET", "PUT", "PATCH", "DELETE") and not segment.endswith("/"):
                assert response.status in (400, 403, 404), (method, segment)
    for value in (f"{known}\n", f" {known}", "", 1, None, [], {}, True, known.upper(), "../x"):
        response = client.send("POST", path, body={"data": {"name": "x", "id": value}})
        assert response.status == 400, value


PATHS = [
    "%FF", "%FF/", "/", "//", "/%0d%0aX:y", "/%0d%0aX:y/", "/spores/", "/spores//", "//spores",
    "/../spores", "/blogs/%00/posts", "/blogs/%0A/posts", "/blogs/%E2%82%AC/posts/", "/%2e%2e/",
    "/v1/spores", "/batch/x", "/__heartbeat__/", "/spores;a=b", "//evil.example/",
    "/\\evil.example/",
]  # fmt: skip
METHODS = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO", "get",
    "", "a b", "\xff", "X" * 10_000,
]  # fmt: skip


@on_one_engine
@pytest.mark.parametrize(
    "headers", [{}, ORIGIN, {"Access-Control-Request-Method": "PUT", **ORIGIN}]
)
def test_paths_and_methods(client, headers):
    for path in (*PATHS, *COLLECTIONS, *(f"{path}/{new_id()}" for path in COLLECTIONS)):
        for method in METHODS:
            response = client.send(method, path, headers=headers)
            location = response.headers.get("Location", "http://localhost/")
            assert location.startswith("http://localhost/"), location


@on_one_engine
def test_anonymous_requests_return_401(app):
    for path in COLLECTIONS:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            for target in (path, f"{path}/{new_id()}"):
                response = Client(app, user=None).send(method, target, headers=ORIGIN)
                assert response.status in (401, 405)


# Headers.

VALUES = [
    "", "\xff", "a/b", "*", '"', '""', '"1"', '"0"', f'"{LATEST}"', f'"{LATEST + 1}"',
    '"' + "1" * 5000 + '"', '"1', "1", "-1", '"-1"', '"1.0"', 'W/"1"', '"1", "2"',
    '"\u0661"'.encode().decode("latin-1"), "Basic", "Basic \xff", "Basic /////w==", "Basic Og==",
    "Basic YTo=", "Basic =", "Basic ====", "Basic YQ==", "Basic " + "A" * 100_000, "Bearer x",
    "x" * 100_000, ",,,,", ";" * 10_000, "null", "a, b", "\t", "{", "%FF", "application/json",
    "application/json;", "application/json; charset=latin-1", "Application/JSON",
    "application/json; charset=foo", 'application/json; charset="',
    "application/json; charset=utf-7", "application/json;q=x", "text/plain",
    "text/plain; charset=\xff", "multipart/form-data", "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded", "*/*;q=0", "application/*",
    ",".join(f"a/b;q=0.{n % 9}" for n in range(500)), "light", "diff", "http://[",
    "localhost:99999",
]  # fmt: skip
HEADERS = [
    "Accept", "Content-Type", "Authorization", "If-Match", "If-None-Match", "Origin", "Host",
    "Response-Behavior", "Content-Length",
]  # fmt: skip
IGNORED_HEADERS = [
    "User-Agent", "Accept-Language", "Accept-Charset", "Accept-Encoding", "Cookie", "Range",
    "If-Modified-Since", "X-HTTP-Method-Override", "X-Forwarded-For", "X-Forwarded-Proto",
    "Forwarded", "Access-Control-Request-Method", "Access-Control-Request-Headers",
    "Transfer-Encoding", "Content-Encoding", "Expect",
]  # fmt: skip


@on_one_engine
@pytest.mark.parametrize("name", HEADERS + IGNORED_HEADERS)
def test_headers(client, name):
    known = client.create("/articles", {"name": "x"})["id"]
    private = client.create("/spores", {})["id"]
    for value in VALUES if name in HEADERS else VALUES[::5]:
        headers = {**ORIGIN, name: value}
        if headers["Origin"] == "" or (name == "Content-Length" and not value.isdigit()):
            continue  # no origin at all; and what servers refuse, for WebOb fails on it
        for method, path in (
            ("GET", "/nowhere/"),
            ("GET", "/spores"),
            ("GET", f"/spores/{private}"),
            ("POST", "/spores"),
            ("PUT", f"/articles/{new_id()}"),
            ("PATCH", f"/articles/{known}"),
            ("OPTIONS", "/spores"),
        ):
            body = {"data": {}} if method in WRITES else None
            client.send(method, path, body=body, headers=headers)
        assert client.send("DELETE", "/spores", f"not_id={private}").status == 200


@on_one_engine
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("value", ["1", '"1', "a", '""', '"1" "2"', '*, "1"', 'w/"1"'])
def test_malformed_preconditions_return_400(client, header, value):
    record = client.create("/spores", {})
    for path in ("/spores", f"/spores/{record['id']}"):
        for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
            body = {"data": {}} if method in WRITES else None
            response = client.send(method, path, body=body, headers={header: value})
            assert response.status in (400, 405)
    assert client.send("GET", f"/spores/{record['id']}").data == record


@on_one_engine
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "a", "\xff"]
)
def test_bodies_of_another_type(client, kind):
    for response in write(client, "/spores", {"data": {}}, **{"Content-Type": kind}):
        assert response.status == 415
    for charset in ("latin-1", "utf-16", "foo", "\xff", '"'):
        for response in write(
            client,
            "/spores",
            {"data": {"name": "é"}},
            **{"Content-Type": f"application/json; charset={charset}"},
        ):
            # JSON is UTF-8 (RFC 8259, 8.1): a charset says nothing.
            assert response.status in (200, 201, 400, 415)


# Permissions.


@on_one_engine
@pytest.mark.parametrize(
    "permissions",
    [
        1, "read", [], ["read"], {"x": []}, {"": []}, {"read": None}, {"read": "a"},
        {"read": 1}, {"read": [1]}, {"read": [None]}, {"read": [["a"]]}, {"read": {"a": 1}},
        {"read": [{}]}, {"create": []}, {"read": True},
    ],
)  # fmt: skip
def test_permissions_of_another_shape(client, permissions):
    for response in write(client, "/articles", {"data": {}, "permissions": permissions}):
        assert response.status == 400


def test_principals_of_any_characters(client):
    principals = [
        " ",
        "'",
        '"',
        "\\",
        "%",
        "_",
        "*",
        "\n",
        "é",
        "😀",
        "a" * 1024,
        "system.Everyone2",
        "/",
        "\x7f",
    ]
    for method, path in (("POST", "/articles"), ("PUT", f"/articles/{new_id()}")):
        response = client.send(method, path, body={"data": {}, "permissions": {"read": principals}})
        assert response.status == 201
        assert sorted(response.json["permissions"]["read"]) == sorted(principals)
        path = f"/articles/{response.data['id']}"
        response = client.send("PATCH", path, body={"permissions": {"read": principals[3:]}})
        assert sorted(response.json["permissions"]["read"]) == sorted(principals[3:])
        assert Client(client.app).send("GET", path).status == 403
        assert client.send("DELETE", path).status == 200
    for text in ("\0", "\ud800"):
        for response in write(client, "/articles", {"data": {}, "permissions": {"read": [text]}}):
            assert response.status == 400


def test_permissions_in_the_data_are_data_at_most(client):
    other = Client(client.app)
    record = client.create(
        "/articles", {"__permissions__": {"read": ["system.Everyone"]}, "permissions": {}}
    )
    path = f"/articles/{record['id']}"
    assert other.send("GET", path).status == 403
    for method in ("PUT", "PATCH"):
        client.send(
            method, path, body={"data": {"__permissions__": {"write": ["system.Everyone"]}}}
        )
        assert other.send("GET", path).status == 403
        assert other.send("PATCH", path, body={"data": {"a": 1}}).status == 403


# Batches.

BATCHES = [
    None, 1, "a", [], {}, [1], [None], ["/"], [[]], [{}], [{"path": 1}], [{"path": None}],
    [{"path": []}], [{"path": {}}], [{"path": ""}], [{"path": "a"}], [{"path": "/", "method": 1}],
    [{"path": "/", "method": "FOO"}], [{"path": "/", "method": None}],
    [{"path": "/", "method": "OPTIONS"}], [{"path": "/", "headers": None}],
    [{"path": "/", "headers": []}], [{"path": "/", "headers": {"a": 1}}],
    [{"path": "/", "headers": {"a": {}}}], [{"path": "/", "body": 1}], [{"path": "/", "body": []}],
    [{"path": "/", "body": None}], [{"path": "/", "body": {}}],
    [{"path": "/spores", "method": "POST", "body": {}}], [{"path": "/spores", "method": "POST"}],
    [{"path": "/spores", "method": "POST", "body": {"data": {"a": 10**400}}}],
    [{"path": "/", "x": 1}],
    [{"path": "/spores", "method": "POST", "body": {"data": {"a": 1}}}, {"path": "/nowhere"}],
]  # fmt: skip
BATCH_PATHS = [
    "/a b", "//x/y", "/http://x", "http://localhost/v1/", "/é€", "/%FF", "/%00", "/\x01",
    "/\r\nX: y", "/?", "?", "/#", "/spores?é=€", "/spores?%FF", "/spores?\r\n",
    "/spores?_limit=1&_sort=%0d%0a", "/😀?😀", "/%E2%82%AC", "/%2B" * 1000, "/" + "%2B" * 300_000,
    "/" + "é" * 5000, "/v1", "/v2/", "/v1/v1/", "/%", "/blogs/%C3%A9/posts", "/blogs/é/posts",
    "/spores/%0A", "/articles/%FF", "/__heartbeat__/",
]  # fmt: skip
RECURSIVE = [
    "/batch", "/v1/batch", "/batch/", "/v1/batch?x", "/%62atch", "/v1%2Fbatch", "/%76%31/%62%61tch",
    "/batch%2F", "/batch//", "/batch?/", "/v1/batch/?",
]  # fmt: skip
ESCAPED = [
    "/%2562atch", "/v1//batch", "/./batch", "/batch;x", "/batch%3F", "/batch#", "/BATCH",
    "/batch%00", "/batch%20", "/v1/v1/batch", "//batch", "/v1/%2E/batch", "/x/../batch",
    "/batch%2F%2F",
]  # fmt: skip
BATCH_HEADERS = [
    {"é": "x"}, {"€": "€"}, {"A\nB": "a\nb"}, {"Host": "é\r\n"}, {"Host": "evil.example"},
    {"Content-Length": "-1"}, {"Content-Length": "1000000000"}, {"Content-Length": "a"},
    {"Transfer-Encoding": "chunked"}, {"": ""}, {" ": " "}, {"tran\u017ffer-encoding": "chunked"},
    {"content_length": "5"}, {"CONTENT_LENGTH": "a"}, {"Content-Length ": "a"},
    {"Content-Type": "é; charset=€"}, {"Content-Type": "text/plain"}, {"Origin": "a\r\nb"},
    {"Origin": "€"}, {"Origin": ""}, {"If-Match": "€"}, {"If-None-Match": "\r\n"},
    {"Authorization": "Basic €"}, {"Authorization": ""}, {"Accept": "€"}, {"Accept": "text/html"},
    {"Cookie": "€=€"}, {"X-HTTP-Method-Override": "DELETE"}, {"wsgi.input": "x"},
    {"REQUEST_METHOD": "DELETE"}, {"Path-Info": "/"}, {"a" * 10_000: "b" * 10_000},
    {"User-Agent": "\x1b[31m€"},
]  # fmt: skip


def batch(client, requests, **more):
    return client.send("POST", "/batch", body={"requests": requests, **more}, headers=ORIGIN)


@on_one_engine
def test_batches_of_any_shape(client):
    for requests in BATCHES:
        batch(client, requests)
        for defaults in (
            None,
            1,
            [],
            {},
            {"path": "/"},
            {"path": 1},
            {"headers": []},
            {"body": 1},
            {"method": {}},
            {"x": {}},
        ):
            batch(client, requests, defaults=defaults)
            batch(client, [{}], defaults=defaults)
            batch(client, [{"path": "/", "headers": {}, "body": {}}], defaults=defaults)
    assert batch(client, [], x=1).status in (200, 400)


@on_one_engine
def test_paths_in_a_batch(client):
    for path in (*BATCH_PATHS, *RECURSIVE, *ESCAPED):
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "TRACE"):
            with in_time():
                batch(client, [{"path": path, "method": method, "body": {"data": {}}}])
    for path in ("/" + "a" * 8191, "/" + "é" * 4095):
        assert batch(client, [{"path": path}]).status == 200
    for path in ("/" + "a" * 8192, "/" + "é" * 4096, "/" + "%2B" * 300_000):
        assert batch(client, [{"path": path}]).status == 400


@on_one_engine
def test_a_batch_cannot_call_the_batch(client):
    inner = {"requests": [{"path": "/spores", "method": "POST", "body": {"data": {}}}]}
    for path in RECURSIVE:
        response = batch(client, [{"path": path, "method": "POST", "body": inner}])
        assert response.status == 400, path
    for path in ESCAPED:
        response = batch(client, [{"path": path, "method": "POST", "body": inner}])
        assert response.status == 400 or response.json["responses"][0]["status"] in (400, 404), path
    assert client.send("GET", "/spores").data == []


@on_one_engine
def test_headers_in_a_batch(client):
    for headers in BATCH_HEADERS:
        for item in (
            {"path": "/"},
            {"path": "/nowhere/"},
            {"path": "/spores"},
            {"path": "/spores", "method": "POST", "body": {"data": {"a": 1}}},
            {"path": "/articles", "method": "POST", "body": {"data": {"a": 1}}},
        ):
            batch(client, [{**item, "headers": headers}])
            batch(client, [item], defaults={"headers": headers})


@on_one_engine
def test_a_header_cannot_change_the_body_of_another_request(client):
    headers = dict.fromkeys(
        ("Transfer-Encoding", "tranſfer-encoding", "transfer_encoding"), "chunked"
    )
    for name in ("Content-Length", "content-length", "CONTENT-LENGTH"):
        headers[name] = "3"
    item = {"path": "/spores", "method": "POST", "body": {"data": {"a": 1}}, "headers": headers}
    batch_response = batch(client, [item, item])
    assert [response["status"] for response in batch_response.json["responses"]] == [201, 201]


@on_one_engine
def test_too_many_requests_are_refused_before_they_are_looked_at(client):
    defaults = {"path": "/", "body": {str(n): n for n in range(1000)}}
    with in_time():
        response = batch(client, [{}] * 20_000, defaults=defaults)
    assert response.status == 400
    assert response.json["message"] == "Number of requests is limited to 25"
    with in_time():
        response = batch(client, [1] * 100_000)
    assert len(response.body) < 1000


# Effects on other users


def test_a_stored_record_breaks_no_list(client):
    """Guarantee 9: whatever was accepted, everyone's list is still returned."""
    other = Client(client.app)
    everybody = {"read": ["system.Everyone"]}
    values = [json.loads(value) for value in KEPT] + ["x" * 80_000, [[[[]]]], {"a": {"b": "c"}}]
    for value in values:
        body = {"data": {"a": value, "slug": value, "deleted": value}, "permissions": everybody}
        assert client.send("POST", "/articles", body=body, headers=ORIGIN).status in (200, 201)
    for query in (
        "",
        "_sort=a",
        "_sort=-a,slug",
        "_fields=a.b",
        "a=1",
        "min_a=0",
        "not_a=x",
        "_since=1",
        "deleted=true",
    ):
        assert other.send("GET", "/articles", query).status == 200, query
        other.walk("/articles", f"{query}&_limit=2")
    assert len(other.walk("/articles", "_sort=a&_limit=1")) == len(
        other.send("GET", "/articles").data
    )


def test_next_pages_bear_any_value(client):
    for value in ("\r\nX: y", "é😀", "x" * 100_000, {"\r\n": ["\x7f"]}, "%0d%0a", "&_limit=0#"):
        client.create("/spores", {"a": value})
    for sort in ("a", "-a", "%0d%0aX:y", "%C3%A9"):
        assert len(client.walk("/spores", f"_sort={sort}&_limit=1")) == 6


def test_log_entry_is_always_one_line(client, caplog):
    for query in ("a=%0aPOST+/admin", "%0d%0a=1", "a=%1b[31m", "a=%E2%80%A8"):
        client.send("GET", "/spores", query, headers={"User-Agent": "a\x85b"})
    client.send("GET", "/nowhere%0aPOST%1b[2J")
    batch(client, [{"path": "/x\ny", "headers": {"User-Agent": "a\nb"}}])
    assert all(line.isprintable() for line in caplog.messages), caplog.messages
