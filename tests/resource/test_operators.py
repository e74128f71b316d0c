"""Operators of filters in the query string, on every engine."""

import json
from types import SimpleNamespace
from urllib.parse import quote

import colander
import pytest
from pyramid.exceptions import ConfigurationError

from cliquet.resource import ResourceSchema, UserResource
from cliquet.resource.custom_operators import add_filter_operator
from cliquet.storage import Filter
from cliquet.storage.operators import OPERATORS
from cliquet.utils import COMPARISON
from tests.resource.apps import ENGINES, SERVED, Book, Note

every_server = pytest.mark.parametrize("engine", [*ENGINES, *SERVED])


def optional(type_, *children, **options):
    return colander.SchemaNode(type_, *children, missing=colander.drop, **options)


class PersonSchema(colander.MappingSchema):
    name = optional(colander.String())
    born = optional(colander.Integer())


class ArticleSchema(ResourceSchema):
    title = optional(colander.String())
    size = optional(colander.Integer())
    author = PersonSchema(missing=colander.drop)
    extra = optional(colander.Mapping(unknown="preserve"))
    tags = optional(colander.Sequence(), colander.SchemaNode(colander.String()))
    numbers = optional(colander.Sequence(), colander.SchemaNode(colander.Integer()))
    has_title = optional(colander.Boolean())
    box = optional(colander.GlobalObject(package=None))


class Article(UserResource):
    mapping = ArticleSchema()


@pytest.fixture
def alice(build_once):
    return build_once(Article, Note, Book).user("alice")


NOTES = [
    {"n": 0, "title": "Hello World", "tags": ["a", "b"], "author": {"name": "Ann", "born": 1990}},
    {"n": 1, "title": "wörld", "tags": ["a,b", 1], "author": {"name": "Bob", "born": 1980}},
    {"n": 2, "title": None, "tags": [], "author": {"name": "1"}, "author.born": 2000},
    {"n": 3, "title": "null", "tags": "a", "author": "Ann", "size": 7},
    {"n": 4, "size": "7"},
]


def values(query):
    """The query string, with its values quoted."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return "&".join(f"{name}={quote(value)}" for name, _, value in pairs)


@every_server
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("like_title=WORLD", [0]),
        ("like_title=wor*ld", []),
        ("like_title=*WÖRLD", [1]),
        ("like_title=*", [0, 1, 3]),
        ("like_author.name=b", [1]),
        ("like_size=7", [4]),
        ('like_size="7"', [4]),
        ('like_title="hello"', [0]),
        ("like_title=true", []),
        ("has_title=true", [0, 1, 2, 3]),
        ("has_title=no", [4]),
        ("has_author.born=yes", [0, 1, 2]),
        ("title=null", [2, 3]),
        ('title="null"', [3]),
        ("not_title=null", [0, 1, 4]),
        ("in_title=null,wörld", [1, 2, 3]),
        ("min_title=null", [1, 3]),
        ("contains_tags=a", [0]),
        ("contains_tags=a,b", [0]),
        ('contains_tags=["a,b"]', [1]),
        ("contains_tags=1", [1]),
        ('contains_tags=["1"]', []),
        ("contains_tags=[1]", [1]),
        ("contains_any_tags=b,1", [0, 1]),
        ("author.name=Ann", [0]),
        ("author.name=1", [2]),
        ("min_author.born=1985", [0, 2]),
        ("in_author.born=1980,2000", [1, 2]),
        ("not_author.born=1980", [0, 2, 3, 4]),
        ('in_title=["wörld",null]', [1, 2]),
        ('exclude_title=["wörld",null]', [0, 3, 4]),
        ("in_size=[7]", [3]),
        ('in_size=["7"]', [4]),
        ('in_author=[{"name":"1"}]', [2]),
        ("in_title=[wörld", []),
        ("in_title=[}", []),
        ('_or=[{"title":"wörld"},{"min_size":3}]', [1, 3]),
        ('_or=[{"title":null},{"author.name":"Ann","has_title":true}]', [0, 2]),
        ('_or=[{"like_title":"W"},{"in_n":[3,4]}]&has_size=true', [3, 4]),
        ('_or=[{"contains_tags":["a","b"]},{"contains_any_tags":[1]}]', [0, 1]),
        ('_or=[{"size":"7"},{"like_size":7}]', [4]),
        ('_or=[{"in_n":1}]', [1]),
        # Many alternatives on one field, one of them negated, with another field.
        (
            "_or="
            + json.dumps([{"n": n} for n in range(10, 19)] + [{"exclude_n": [0, 1, 2]}, {"n": 0}])
            + "&has_title=true",
            [0, 3],
        ),
    ],
)
def test_operators_find(alice, query, expected):
    alice.fill("note", NOTES)
    url = f"/notes?{values(query)}"
    assert sorted(alice.values(url)) == expected
    assert alice.get(url).headers["Total-Records"] == str(len(expected))
    if expected:
        deleted = alice.delete(url)
        assert len(deleted.json["data"]) == len(expected)


@every_server
@pytest.mark.parametrize("order", ["author.born", "-author.born", "author.name,-n", "-author"])
def test_pages_in_the_order_of_nested_fields(alice, order):
    alice.fill("note", NOTES)
    expected = alice.values(f"/notes?_sort={order}")
    if order == "author.born":
        assert expected == [1, 0, 2, 4, 3]
    url, records = f"/notes?_sort={order}&_limit=2", []
    while url:
        response = alice.get(url)
        records += [record["n"] for record in response.json["data"]]
        url = response.headers.get("Next-Page")
    assert records == expected


@every_server
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("title=null", ["a"]),
        ("title=1.10", ["b"]),
        ("in_title=[1.10]", []),
        ('in_title=["1.10"]', ["b"]),
        ('_or=[{"title":"1.10"},{"size":3}]', ["b", "c"]),
        ("contains_tags=1.10,2", ["b"]),
        ('contains_tags=["1.10"]', ["b"]),
        ("contains_numbers=1,2", ["c"]),
        ("author.name=5", ["c"]),
        ("min_author.born=1999", ["c"]),
        ("extra.any.thing=1", ["c"]),
        ("box.lat=1", []),
        ("has_title=true", ["a"]),
        ("size=null", []),
    ],
)
def test_types_of_the_schema_read_the_values(alice, query, expected):
    records = [
        {"title": "null", "has_title": True},
        {"title": "1.10", "tags": ["1.10", "2"]},
        {
            "size": 3,
            "numbers": [1, 2, 3],
            "author": {"name": "5", "born": 2000},
            "extra": {"any": {"thing": 1}},
        },
    ]
    names = {}
    for name, record in zip("abc", records, strict=True):
        names[alice.create("/articles", record)["id"]] = name
    ids = alice.values(f"/articles?{values(query)}", "id")
    assert sorted(names[record_id] for record_id in ids) == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/notes?has_n=maybe", "Invalid value for has_n"),
        ("/notes?has_n=1", "Invalid value for has_n"),
        ("/notes?_or=", "_or should be a JSON array of objects, none of them empty"),
        ("/notes?_or=[]", "_or should be a JSON array of objects, none of them empty"),
        ("/notes?_or=[{}]", "_or should be a JSON array of objects, none of them empty"),
        ("/notes?_or=[1]", "_or should be a JSON array of objects, none of them empty"),
        ("/notes?_or={}", "_or should be a JSON array of objects, none of them empty"),
        ('/notes?_or=[{"_since":1}]', "Unknown filter '_since'"),
        ('/books?_or=[{"colour":1}]', "Unknown filter field 'colour'"),
        ('/notes?_or=[{"has_n":1}]', "Invalid value for has_n"),
        ('/notes?_or=[{"in_id":[1.5]}]', "Invalid value for in_id"),
        ('/notes?in_last_modified=["x"]', "Invalid value for in_last_modified"),
        ("/books?title.first=1", "Unknown filter field 'title.first'"),
        ("/books?has_colour=1", "Unknown filter field 'has_colour'"),
        ("/articles?author.first=1", "Unknown filter field 'author.first'"),
        ("/articles?tags.0=1", "Unknown filter field 'tags.0'"),
        ("/notes?" + ".".join("a" * 40) + "=1", "Unknown filter field"),
        ("/books?_sort=-title.first", "Unknown sort field 'title.first'"),
        ("/notes?_count=maybe", "_count should be true or false"),
        ("/notes?like_n=%00", "Invalid value for like_n"),
    ],
)
def test_invalid_values_are_refused(alice, path, message):
    assert message in alice.get(path, status=400).json["message"]


LIMITS = {"max_filters": 4, "max_filter_values": 5}


@pytest.mark.parametrize(
    ("accepted", "refused", "setting"),
    [
        ("like_a=x", "like_a=x&b=1", "max_filters"),
        ("like_a=xxxxx", "like_a=xxxxxx", "max_filter_values"),
        ("like_a=x", "like_a=x*", "max_filters"),
        (
            '_or=[{"like_a":"x****"},{"like_a":"x****"}]&_or=[{"like_a":"x"}]',
            '_or=[{"like_a":"x****"},{"like_a":"x****"}]&_or=[{"like_a":"*x"}]',
            "max_filters",
        ),
        (
            '_or=[{"a":1},{"b":1}]&_or=[{"a":2},{"b":2}]',
            '_or=[{"a":1},{"b":1}]&_or=[{"a":2},{"b":2},{"c":2}]',
            "max_filters",
        ),
        ("contains_a=w,x,y,z", "contains_a=v,w,x,y,z", "max_filters"),
        ("contains_any_a=x", "contains_any_a=1,2,3", "max_filters"),
        (
            'contains_a=v&_or=[{"contains_a":["w","x"]},{"contains_any_b":["y"],"c":1}]',
            'contains_a=v&_or=[{"contains_a":["w","x"]},{"contains_any_b":["y","z"]}]',
            "max_filters",
        ),
        ('in_a=["1","2","3","4","5"]', "in_a=[1,2,3,4,5,6]", "max_filter_values"),
        ("in_a=[[1,2]]", "in_a=[[1,2,3,4,5,6]]", "max_filter_values"),
        ("_or=" + json.dumps([{"a": 1}] * 4), "_or=" + json.dumps([{"a": 1}] * 5), "max_filters"),
        (
            "_or=" + json.dumps([dict.fromkeys("abcde", 1)] * 4),
            "_or=" + json.dumps([dict.fromkeys("abcde", 1)] * 3 + [dict.fromkeys("abcdef", 1)]),
            "max_filters",
        ),
        ('_or=[{"in_a":[1,2]}]', '_or=[{"in_a":[1,2,3,4,5,6]}]', "max_filter_values"),
    ],
)
def test_limits(build_once, accepted, refused, setting):
    alice = build_once(Note, settings=LIMITS).user("alice")
    alice.get(f"/notes?{values(accepted)}")
    for method in ("GET", "DELETE"):
        response = alice.send(method, f"/notes?{values(refused)}", status=400)
        assert setting in response.json["message"]


@every_server
def test_lists_without_a_total(alice):
    alice.fill("note", NOTES)
    for query in ("_count=false", "_count=no&has_title=true", "_count=false&_limit=2&min_n=1"):
        response = alice.get(f"/notes?{query}")
        assert "Total-Records" not in response.headers
        counted = alice.get(f"/notes?{query.replace('no', 'yes').replace('false', 'true')}")
        assert response.json == counted.json
        assert ("Next-Page" in response.headers) == ("Next-Page" in counted.headers)
    assert alice.get("/notes?_count=").headers["Total-Records"] == "5"


def within(field, text):
    """Return the filters of a box, whose corners are four numbers."""
    west, south, east, north = map(float, text.split(","))
    return [
        Filter(f"{field}.lon", west, COMPARISON.MIN),
        Filter(f"{field}.lon", east, COMPARISON.MAX),
        Filter("_or", [[Filter(f"{field}.lat", south, COMPARISON.MIN)]], COMPARISON.OR),
        Filter(f"{field}.lat", north, COMPARISON.MAX),
    ]


@every_server
def test_an_application_adds_an_operator(build):
    app = build(
        Note, setup=lambda config: config.add_filter_operator("within", within, "is in a box")
    )
    alice = app.user("alice")
    places = [{"n": 0, "at": {"lon": 2.3, "lat": 48.8}}, {"n": 1, "at": {"lon": 13.4, "lat": 52.5}}]
    alice.fill("note", places)
    assert alice.values("/notes?within_at=2,48,3,49") == [0]
    assert alice.values('/notes?_or=[{"within_at":"2,48,3,49"},{"n":1}]&_sort=n') == [0, 1]
    (listed,) = alice.batch({"path": "/notes?within_at=13,52,14,53"})
    assert [record["n"] for record in listed["body"]["data"]] == [1]
    error = alice.get("/notes?within_at=2,48", status=400)
    assert "Invalid value for within_at" in error.json["message"]


@pytest.mark.parametrize("name", ["min", "contains_any", "", "Near", "a__b", "_a"])
def test_names_of_operators_are_checked(name):
    class Config:
        registry = SimpleNamespace()

    with pytest.raises(ConfigurationError, match="operator"):
        add_filter_operator(Config, name, within, "is in a box")


def test_an_operator_is_one_entry():
    for comparison, operator in OPERATORS.items():
        assert operator.comparison is comparison
        assert operator.meaning
