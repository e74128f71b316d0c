"""Properties of any request and any value, on every engine, with fixed examples."""

import json
from base64 import urlsafe_b64encode
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.hostile_client import ENGINES, Client, make_app, new_id


@pytest.fixture(scope="module", params=ENGINES)
def app(request, tmp_path_factory):
    return make_app(request.param, tmp_path_factory.mktemp("properties"))


# Values that are accepted.

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.one_of(
    st.integers(-9, 9),
    st.integers(-(2**70), 2**70),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=False, allow_infinity=False),
    # Where the steps between floats are larger than one.
    st.integers(2**53, 2**64).map(float),
    st.integers(10**17, 10**40),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)


def containers(inside):
    return st.one_of(st.lists(inside, max_size=4), st.dictionaries(texts, inside, max_size=4))


values = st.recursive(scalars, containers, max_leaves=8)
#: A few of them, for records that have the same.
common = st.sampled_from([0, 1, 1.0, "1", "a", "", True, None, [], {}, [1], {"a": 1}, {"a": 1.0}])

# And those that are not.

wild_texts = st.text(max_size=20)
wild_scalars = st.one_of(scalars, wild_texts, st.floats())
wild_values = st.recursive(
    wild_scalars,
    lambda inside: st.one_of(
        st.lists(inside, max_size=4), st.dictionaries(wild_texts, inside, max_size=4)
    ),
    max_leaves=8,
)


def exactly(value):
    """Return a string that distinguishes 1 from 1.0 and true, and 0.0 from -0.0."""
    return json.dumps(value, sort_keys=True)


@given(first=values, second=values, key=texts)
@example(first=[10**30, 1e22, 1e-7], second={"n": 2**64, "x": 1e16}, key="é")
def test_accepted_values_are_returned(app, first, second, key):
    client = Client(app)
    record_id = client.create("/spores", {"a": first, "nested": {key: first}})["id"]
    url = f"/spores/{record_id}"

    def read(expected):
        results = [client.send("GET", url).data, *client.send("GET", "/spores").data]
        results += client.send("GET", "/spores", "_sort=a").data
        results += client.send("GET", "/spores", f"id={record_id}&_since=1").data
        assert [exactly(record["a"]) for record in results] == [exactly(expected)] * 4
        assert {exactly(record["nested"]) for record in results} == {exactly({key: first})}

    read(first)
    assert exactly(client.send("PATCH", url, body={"data": {"a": second}}).data["a"]) == exactly(
        second
    )
    read(second)
    timestamp = client.send("GET", "/spores").headers["ETag"]
    client.send("PATCH", url, body={"data": {"a": second}})
    assert client.send("GET", "/spores").headers["ETag"] == timestamp


def filter_text(value):
    """Return a string, number or boolean as in a query string."""
    return quote(json.dumps(value), safe="")


@given(value=st.one_of(st.booleans(), numbers, texts), other=scalars)
@example(value=2**63 + 1, other=1)
@example(value=123456789012345678901234567890, other=1.2345678901234568e29)
@example(value=8.41e21, other=9007199254740993)
def test_accepted_records_are_found(app, value, other):
    client = Client(app)
    record = client.create("/spores", {"a": value})
    client.create("/spores", {"a": other})
    text = filter_text(value)
    for query in (
        f"a={text}",
        f"in_a={text}" if "%2C" not in text else "",
        f"min_a={text}",
        f"max_a={text}",
    ):
        assert record in client.send("GET", "/spores", query).data, query
    for query in (f"not_a={text}", f"gt_a={text}", f"lt_a={text}"):
        assert record not in client.send("GET", "/spores", query).data, query
    total = client.send("HEAD", "/spores", f"a={text}").headers["Total-Records"]
    assert int(total) == len(client.send("GET", "/spores", f"a={text}").data)


@given(value=values)
@example(value={"n": [1e-7]})
@example(value=0.1 + 0.2)
def test_unique_values_are_unique(app, value):
    """Guarantee 5, whatever the type of the value."""
    client = Client(app)
    # The JSON of a value depends on nothing beside it.
    first = client.send("POST", "/bookmarks", body={"data": {"code": value, "n": 10**30}})
    body = {"data": {"code": value}}
    second = client.send("POST", "/bookmarks", body=body)
    replaced = client.send("PUT", f"/bookmarks/{new_id()}", body=body)
    if value is None or value == "":
        assert [first.status, second.status, replaced.status] == [201] * 3
    else:
        assert [first.status, second.status, replaced.status] == [201, 200, 409]
        assert first.data == second.data == replaced.json["details"]["existing"]


fields = st.dictionaries(st.sampled_from("ab"), common | values | numbers, max_size=2)
sorts = st.lists(
    st.tuples(
        st.sampled_from(["", "-"]), st.sampled_from(["a", "b", "id", "last_modified", "deleted"])
    ),
    max_size=3,
)


@given(
    records=st.lists(fields, min_size=2, max_size=12),
    deleted=st.sets(st.integers(0, 11)),
    sort=sorts,
    limit=st.integers(1, 4),
    since=st.booleans(),
)
@example(
    records=[{"a": value} for value in (2**63 + n for n in range(0, 10_000, 1500))],
    deleted=set(),
    sort=[("", "a")],
    limit=1,
    since=False,
)
@example(
    records=[{"a": {"x": 1e-7}, "b": 10**30}, {"a": {"x": 1e-7}}, {"a": {"x": 1e-7}, "b": 10**30}],
    deleted=set(),
    sort=[("", "a")],
    limit=1,
    since=False,
)
def test_a_walk_gives_every_record_once(app, records, deleted, sort, limit, since):
    """Guarantee 10."""
    client = Client(app)
    ids = [client.create("/spores", record)["id"] for record in records]
    for n in deleted:
        if n < len(ids):
            client.send("DELETE", f"/spores/{ids[n]}")
    query = (
        "_sort=" + ",".join(sign + field for sign, field in sort) + ("&_since=1" if since else "")
    )
    whole = client.send("GET", "/spores", query).data
    walked = client.walk("/spores", f"{query}&_limit={limit}", most=len(ids) + 1)
    assert [record["id"] for record in walked] == [record["id"] for record in whole]
    gone = set() if since else {ids[n] for n in deleted if n < len(ids)}
    assert sorted(record["id"] for record in walked) == sorted(set(ids) - gone)


# Requests.

COLLECTIONS = ["/mushrooms", "/spores", "/bookmarks", "/articles", "/blogs/b/posts"]
OPEN = ["/spores", "/bookmarks", "/articles"]
names = st.sampled_from(
    ["a", "b", "id", "last_modified", "deleted", "name", "size", "url", "slug", "a.b", ""]
) | wild_texts.map(lambda text: text.encode("utf-8", "ignore").decode())
prefixes = st.sampled_from(["", "min_", "max_", "not_", "lt_", "gt_", "in_", "exclude_"])
words = st.one_of(
    scalars.map(lambda value: value if isinstance(value, str) else json.dumps(value)),
    st.sampled_from(["true", "NO", '"1"', "1,2", ",", "1e400", "-0", "%", "'", '"', "null", "0x1"]),
)
tokens = wild_values.map(
    lambda value: urlsafe_b64encode(json.dumps({"last_record": value}).encode()).decode()
) | st.dictionaries(st.sampled_from(["a", "b", "id", "last_modified"]), wild_scalars).map(
    lambda last: urlsafe_b64encode(
        json.dumps({"last_record": {"last_modified": 5, **last}}).encode()
    ).decode()
)
parameters = st.one_of(
    st.tuples(st.builds(str.__add__, prefixes, names), words),
    st.tuples(
        st.sampled_from(["_since", "_before", "_to", "_limit", "last_modified"]),
        words | st.integers(-1, 2000000000000).map(str),
    ),
    st.tuples(st.sampled_from(["_sort", "_fields"]), st.lists(names, max_size=3).map(",".join)),
    st.tuples(st.just("_token"), tokens | words),
)
queries = st.lists(parameters, max_size=4).map(
    lambda params: urlencode(
        [tuple(item.encode("utf-8", "ignore") for item in param) for param in params]
    )
)
tags = st.sampled_from(["*", '"1"', '"0"', '"9999999999999"', '"253402300799999"', '""']) | words
headers = st.fixed_dictionaries(
    {},
    optional={
        "Origin": st.just("https://elsewhere.example"),
        "If-Match": tags,
        "If-None-Match": tags,
        "Accept": st.sampled_from(["*/*", "text/html", "application/json", "", "a;q=b"]),
        "Content-Type": st.sampled_from(["application/json; charset=x", "text/plain", ""]),
        "Response-Behavior": st.sampled_from(["light", "diff", "x"]),
        "Authorization": st.sampled_from(["Basic", "Basic YTpi", "Basic /w==", "x"]),
    },
).map(
    lambda headers: {
        name: value.encode("utf-8", "ignore").decode("latin-1") for name, value in headers.items()
    }
)
data = st.dictionaries(
    st.sampled_from(
        [
            "a",
            "b",
            "id",
            "last_modified",
            "deleted",
            "name",
            "size",
            "weight",
            "url",
            "code",
            "slug",
        ]
    )
    | wild_texts,
    wild_values | common | st.just(1500000000000),
    max_size=4,
)
permissions = st.dictionaries(
    st.sampled_from(["read", "write"]),
    st.lists(texts | st.sampled_from(["system.Everyone", "system.Authenticated"]), max_size=3),
)
bodies = st.one_of(
    st.builds(lambda data: {"data": {"name": "x", **data}}, data),
    st.builds(lambda data, granted: {"data": data, "permissions": granted}, data, permissions),
    st.builds(lambda data: {"data": data}, wild_values),
    wild_values,
    st.binary(max_size=20),
    st.none(),
)
targets = st.sampled_from(["collection", "known", "new", "strange"])
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"])
requests = st.tuples(
    methods, st.sampled_from(COLLECTIONS), targets, st.integers(0, 9), queries, bodies, headers
)


def paths(known, collection, target, number):
    if target == "known" and known:
        return f"{collection}/{known[number % len(known)]}"
    if target == "strange":
        return (
            collection
            + ["/x", "/%00", "/%FF", "/%0A", "/a/b", "/", "%20", "/..", "/*", "x"][number]
        )
    return f"{collection}/{new_id()}" if target == "new" else collection


def in_batch(method, path, query, body, headers):
    item = {"method": method, "path": f"{path}?{query}", "headers": headers, "body": body}
    return {key: value for key, value in item.items() if value is not None}


@given(script=st.lists(requests, min_size=3, max_size=12), together=st.booleans())
def test_response_to_any_request_follows_the_protocol(app, script, together):
    """The client checks it; lists are returned afterwards, whatever was stored."""
    client, known, items = Client(app), [], []
    for method, collection, target, number, query, body, extra in script:
        path = paths(known, collection, target, number)
        response = client.send(method, path, query, body=body, headers=extra)
        if response.status == 201:
            known.append(response.data["id"])
        if not isinstance(body, bytes):
            items.append(in_batch(method, path, query, body, extra))
    if together:
        client.send("POST", "/batch", body={"requests": items})
    for collection in COLLECTIONS:
        sort = "a,-b" if collection in OPEN else "name,-size"
        response = client.send("GET", collection, f"_sort={sort}&_limit=2")
        assert response.status in (200, 403)


@given(body=wild_values, requests_=wild_values, defaults=wild_values, item=wild_values)
def test_batches_of_any_shape(app, body, requests_, defaults, item):
    client = Client(app)
    known = ["method", "path", "headers", "body"]
    for payload in (
        body,
        {"requests": requests_, "defaults": defaults},
        {"requests": [item, {"path": "/"}], "defaults": defaults},
        {"requests": [{"path": "/spores", name: item} for name in known]},
        {"requests": [{}, {"path": "/spores"}], "defaults": {"path": "/", "body": item}},
    ):
        client.send("POST", "/batch", body=payload, headers={"Origin": "https://a.example"})


# Visibility

grants = st.fixed_dictionaries(
    {},
    optional={
        permission: st.sampled_from([[], ["eve"], ["bob"], ["system.Everyone"], ["eve", "bob"]])
        for permission in ("read", "write")
    },
)
attempts = st.lists(
    st.tuples(
        st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
        st.sampled_from(["collection", "known", "new"]),
        st.integers(0, 9),
        queries,
        st.sampled_from(["nothing", "id", "slug", "id and slug", "permissions"]),
        headers,
    ),
    min_size=5,
    max_size=15,
)


@given(granted=st.lists(grants, min_size=1, max_size=4), attempts=attempts)
def test_a_record_that_is_not_shared_is_not_seen(app, granted, attempts):
    """Whatever Eve sends: no response has what she may neither read nor write."""
    owner, eve = Client(app), Client(app)
    app.registry.storage.delete_all("article", "")
    app.registry.permission.flush()
    ids = {name: eve.send("GET", "/").json["user"]["id"] for name in ["eve"]}
    known, hidden = [], set()
    for n, permissions in enumerate(granted):
        secret = f"secret-{new_id()}"
        lists = {
            name: [ids.get(principal, principal) for principal in principals]
            for name, principals in permissions.items()
        }
        body = {"data": {"slug": f"slug-{n}", "a": secret}, "permissions": lists}
        known.append(owner.send("POST", "/articles", body=body).data["id"])
        if not any({"eve", "system.Everyone"} & set(names) for names in permissions.values()):
            hidden.add(secret)
    for method, target, number, query, taken, extra in attempts:
        path = paths(known, "/articles", target, number)
        data = {"b": 1}
        if "id" in taken:
            data["id"] = known[number % len(known)]
        if "slug" in taken:
            data["slug"] = f"slug-{number % len(known)}"
        body = {"data": data}
        if taken == "permissions":
            body["permissions"] = {"read": [ids["eve"]], "write": [ids["eve"]]}
        body = body if method in ("POST", "PUT", "PATCH") else None
        for item in (body, None):
            response = eve.send(method, path, query, body=item, headers=extra)
            assert not any(secret in response.body.decode() for secret in hidden)
        together = {"requests": [in_batch(method, path, query, body, extra), {"path": "/articles"}]}
        response = eve.send("POST", "/batch", body=together)
        assert not any(secret in response.body.decode() for secret in hidden)
    seen = eve.send("GET", "/articles")
    if seen.status == 200:
        assert int(seen.headers["Total-Records"]) == len(seen.data)
