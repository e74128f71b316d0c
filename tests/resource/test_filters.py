"""Filters on the fields that a schema knows: their types read the values."""

import datetime
import decimal
import itertools
from urllib.parse import quote

import colander
import pytest

from cliquet.resource import ResourceSchema, UserResource
from cliquet.resource.filters import read_value
from cliquet.resource.invalid import Invalid
from cliquet.resource.schema import StrictBoolean, TimeStamp
from cliquet.storage.generators import Generator
from tests.resource.apps import ENGINES, SERVED, Note

every_server = pytest.mark.parametrize("engine", [*ENGINES, *SERVED])


class Level(colander.Integer):
    """A type that fails on what it doesn't foresee."""

    def deserialize(self, node, cstruct):
        return cstruct if isinstance(cstruct, int) else {"low": 1, "high": 2}[cstruct]


def optional(type_):
    return colander.SchemaNode(type_, missing=colander.drop)


class ThingSchema(ResourceSchema):
    rank = colander.SchemaNode(colander.Integer())
    text = optional(colander.String())
    whole = optional(colander.Integer())
    real = optional(colander.Float())
    exact = optional(colander.Decimal())
    flag = optional(colander.Boolean())
    answer = optional(colander.Boolean(false_choices=("nope",), true_choices=("yep",)))
    moment = optional(colander.DateTime())
    day = optional(colander.Date())
    hour = optional(colander.Time())
    stamp = TimeStamp(auto_now=False, missing=colander.drop)
    level = optional(Level())
    tags = colander.SchemaNode(
        colander.Sequence(accept_scalar=True),
        colander.SchemaNode(colander.String()),
        missing=colander.drop,
    )


class Thing(UserResource):
    mapping = ThingSchema()


class Numbers(Generator):
    regexp = "^([0-9]+|NO|true)$"
    made = 0

    def __call__(self):
        Numbers.made += 1
        return str(1000 + Numbers.made)


STORED = {
    "text": ["1.1", "1.10", "NO", "false", "01", "1", "1e3", "a b", "None", "10"],
    "whole": [1, 10, -3, 0],
    "real": [1.5, 10.0, -0.25],
    "exact": ["1.50", "20"],
    "flag": [True, False],
    "answer": ["yep", "nope"],
    "moment": ["2016-01-01T00:00:00Z", "2016-01-01T10:00:00+02:00", "2017-05-06T07:08:09.5Z"],
    "day": ["2016-01-01", "2016-02-03"],
    "hour": ["10:00", "11:12:13"],
    "stamp": [1430222877724, 5],
    "level": ["low", "high"],
    "tags": [["a"], ["a", "b"]],
}


@pytest.fixture
def alice(build_once):
    return build_once(Thing, Note).user("alice")


def fill(alice, field):
    for rank, value in enumerate(STORED[field]):
        alice.create("/things", {"rank": rank, field: value})
    alice.create("/things", {"rank": -1})


def ranks(alice, query):
    return sorted(alice.values(f"/things?{query}", "rank"))


#: Each type in memory; on the other engines, one for each type of JSON that they compare.
FIELDS = [
    *(("memory", field) for field in STORED if field != "tags"),
    *itertools.product(("sqlite", *SERVED), ("text", "whole", "real", "flag")),
]
every_field = pytest.mark.parametrize("engine, field", FIELDS)


@every_field
def test_a_record_is_found_by_the_value_that_was_posted(alice, field):
    fill(alice, field)
    everything = sorted([-1, *range(len(STORED[field]))])
    texts = [quote(str(value)) for value in STORED[field]]
    for rank, text in enumerate(texts):
        others = [other for other in everything if other != rank]
        assert ranks(alice, f"{field}={text}") == [rank]
        assert ranks(alice, f"in_{field}={text}") == [rank]
        assert ranks(alice, f"not_{field}={text}") == others
        assert ranks(alice, f"exclude_{field}={text}") == others
        assert rank in ranks(alice, f"min_{field}={text}")
        assert rank in ranks(alice, f"max_{field}={text}")
        assert rank not in ranks(alice, f"gt_{field}={text}")
        assert rank not in ranks(alice, f"lt_{field}={text}")
    both = ",".join(texts[:2])
    assert ranks(alice, f"in_{field}={both}") == [0, 1]
    assert ranks(alice, f"exclude_{field}={both}") == sorted({*everything} - {0, 1})


@every_field
def test_delete_deletes_the_records_that_get_finds(alice, field):
    fill(alice, field)
    for rank, value in enumerate(STORED[field]):
        query = f"{field}={quote(str(value))}"
        (record,) = alice.list(f"/things?{query}")
        (deleted,) = alice.delete(f"/things?{query}").json["data"]
        assert (deleted["id"], record["rank"]) == (record["id"], rank)
    assert alice.values("/things", "rank") == [-1]


@every_server
@pytest.mark.parametrize(
    "query, found",
    [
        ('text="1.10"', [1]),
        ("min_text=1.10&max_text=1e3", [1, 6, 9]),
        ("gt_text=1&lt_text=2", [0, 1, 6, 9]),
        ("in_text=1.10,NO", [1, 2]),
        ("text=no", []),
        ("text=true", []),
        ("text=", []),
    ],
)
def test_strings_are_compared_as_strings(alice, query, found):
    fill(alice, "text")
    assert ranks(alice, query) == found


@every_server
@pytest.mark.parametrize(
    "field, query, found",
    [
        ("whole", "whole=1.0", [0]),
        ("whole", "whole=1e1", [1]),
        ("whole", 'whole="10"', [1]),
        ("whole", "min_whole=0.5", [0, 1]),
        ("whole", "lt_whole=0.5", [2, 3]),
        ("whole", "whole=abc", []),
        ("whole", "not_whole=abc", [-1, 0, 1, 2, 3]),
        ("whole", "min_whole=abc", []),
        ("whole", "in_whole=abc,1,true", [0]),
        ("real", "real=10", [1]),
        ("real", "gt_real=-1", [0, 1, 2]),
        ("exact", "exact=1.5", [0]),
        ("flag", "flag=YES", [0]),
        ("flag", "flag=1", [0]),
        ("flag", "flag=off", [1]),
        ("flag", "flag=0", [1]),
        ("flag", "in_flag=no,maybe", [1]),
        ("flag", "flag=maybe", []),
        ("answer", "answer=true", [0]),
        ("answer", "answer=nope", [1]),
        ("moment", "min_moment=2016-06-01", [2]),
        ("moment", "moment=2016", [0]),
        ("day", "day=2016-02-03T10:00:00", [1]),
        ("stamp", "min_stamp=6", [0]),
        ("tags", "tags=a", [0]),
        ("deleted", "deleted=false", []),
    ],
)
def test_types_parse_filter_values(alice, field, query, found):
    if field in STORED:
        fill(alice, field)
    assert ranks(alice, query) == found


@every_server
@pytest.mark.parametrize("query", ["level=medium", "in_level=low,medium", "real=nan", "exact=sNaN"])
def test_a_text_on_which_a_type_fails_is_a_400(alice, query):
    fill(alice, "level")
    for method in ("GET", "DELETE"):
        error = alice.send(method, f"/things?{query}", status=400).json
        assert error["details"][0]["name"] == query.split("=")[0]
        assert error["details"][0]["location"] == "querystring"
    assert len(alice.list("/things")) == 3


@every_server
def test_a_text_that_equals_is_found_where_no_schema_knows_the_field(alice):
    for value in ("1.1", "1.10", 1.1, "NO", "no", False, "false", "1.100"):
        alice.create("/notes", {"n": value})

    def found(query):
        return sorted(map(repr, alice.values(f"/notes?{query}")))

    assert found("n=1.10") == sorted(["'1.10'", "1.1"])
    assert found("in_n=1.1,x") == sorted(["'1.1'", "1.1"])
    assert found("n=NO") == sorted(["'NO'", "False"])
    assert len(found("not_n=NO")) == 6
    assert len(found("exclude_n=NO,1.10")) == 4
    assert found('n="1.1"') == ["'1.1'"]
    assert len(alice.delete("/notes?n=1.10").json["data"]) == 2
    assert found("min_n=0") == []
    assert "'1.1'" in found("_sort=n")


@every_server
def test_ids_are_strings(build):
    alice = build(Note, settings={"id_generator": f"{__name__}.Numbers"}).user("alice")
    alice.delete("/notes")
    for record_id in ("1", "2", "01", "NO", "true"):
        alice.put(f"/notes/{record_id}", {"n": 0}, status=201)

    def ids(query):
        return sorted(alice.values(f"/notes?{query}", "id"))

    assert ids("id=1") == ["1"]
    assert ids("id=NO") == ["NO"]
    assert ids("in_id=1,2") == ["1", "2"]
    assert ids("in_id=true,01") == ["01", "true"]
    assert ids("not_id=1") == ["01", "2", "NO", "true"]
    assert ids("exclude_id=1,2,NO") == ["01", "true"]
    assert ids('id="2"') == ["2"]
    alice.get("/notes?in_id=1.5", status=400)
    (deleted,) = alice.delete("/notes?id=1").json["data"]
    assert deleted["id"] == "1"


EVERY_TIME = ["_since=0", '_since="0"', "_since=-1", "_since=null", "gt_last_modified=0"]
EVERY_TIME += ["min_last_modified=-5", "_before={later}", 'lt_last_modified="{later}"']
EVERY_TIME += ["_before=" + "9" * 400, "_since=-" + "9" * 400, 'not_last_modified="0"']
EVERY_TIME += ['_since=W/"0"', 'last_modified=W/"{time}"', 'in_last_modified="1",W/"{time}"']


@every_server
@pytest.mark.parametrize("query", EVERY_TIME)
def test_any_integer_is_a_timestamp_to_compare_with(alice, query):
    note = alice.create("/notes", {"n": 1})
    time = note["last_modified"]
    assert alice.list("/notes?" + query.format(time=time, later=time + 1)) == [note]


class Other:
    """No value of JSON."""


class Odd(colander.String):
    def deserialize(self, node, cstruct):
        return self.value


@pytest.mark.parametrize(
    "value, expected",
    [
        (datetime.date(2016, 1, 2), "2016-01-02"),
        (decimal.Decimal("1.50"), 1.5),
        ({"b", "a"}, ["a", "b"]),
        (colander.null, 7),
        (None, None),
        (Other(), Invalid),
        (float("inf"), Invalid),
        ("a\0", Invalid),
        ("\ud800", Invalid),
    ],
)
def test_values_are_read_as_they_would_be_stored(value, expected):
    typ = Odd()
    typ.value = value
    node = colander.SchemaNode(typ, name="odd")
    if expected is Invalid:
        with pytest.raises(Invalid):
            read_value(node, "7")
    else:
        assert read_value(node, "7") == expected


def test_booleans_of_any_kind_are_read_as_the_query_string_says():
    for typ in (colander.Boolean(), StrictBoolean()):
        node = colander.SchemaNode(typ)
        assert read_value(node, "NO") is False
        assert read_value(node, "on") is True
