"""Colander schemas as JSON Schema: what they describe is what Colander accepts, and gives back."""

import enum
import functools
import json
import re

import colander
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cliquet.http.renderers import JSONRenderer
from cliquet.openapi.schemas import pattern_of, request_schema, response_schema
from cliquet.resource.schema import (
    URL,
    PermissionsSchema,
    ResourceSchema,
    StrictBoolean,
    TimeStamp,
)
from cliquet.utils.json import plain, unstorable


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def node(typ, *children, **options):
    return colander.SchemaNode(typ, *children, name="field", **options)


def optional(typ, missing=colander.drop, **options):
    return node(typ, missing=missing, **options)


TEXT = colander.SchemaNode(colander.String(), name="text")
INTEGER = colander.SchemaNode(colander.Integer(), name="integer", missing=0)

NODES = {
    "text": node(colander.String()),
    "empty text": node(colander.String(allow_empty=True)),
    "text that may be missing": optional(colander.String(), missing=""),
    "text that is dropped": optional(colander.String()),
    "text or nothing": optional(colander.String(), missing=None),
    "text or a number": optional(colander.String(), missing=3),
    "short text": node(colander.String(), validator=colander.Length(min=2, max=4)),
    "word": node(colander.String(), validator=colander.Regex("[a-z]+$")),
    "one of": node(colander.String(), validator=colander.OneOf(["true", "12"])),
    "one of, or nothing": optional(colander.String(), None, validator=colander.OneOf(["12"])),
    "none of": node(colander.String(), validator=colander.NoneOf(["true", "12"])),
    "all of": node(
        colander.String(), validator=colander.All(colander.Length(min=2), colander.Length(max=4))
    ),
    "all of the same": node(
        colander.String(), validator=colander.All(colander.Length(max=9), colander.Length(max=4))
    ),
    "any of": node(
        colander.String(),
        validator=colander.Any(colander.Length(max=2), colander.OneOf(["true", "12"])),
    ),
    "e-mail": node(colander.String(), validator=colander.Email()),
    "UUID": node(colander.String(), validator=colander.uuid),
    "integer": node(colander.Integer()),
    "strict integer": node(colander.Integer(strict=True)),
    "integer that may be missing": optional(colander.Integer(), missing=7),
    "small integer": node(colander.Integer(), validator=colander.Range(min=-3, max=12)),
    "positive integer": node(colander.Integer(), validator=colander.Range(min=1)),
    "float": node(colander.Float()),
    "float or an integer": optional(colander.Float(), missing=0),
    "boolean": node(colander.Boolean()),
    "boolean that may be missing": optional(colander.Boolean(), missing=True),
    "boolean or nothing": optional(colander.Boolean(), missing=None),
    "strict boolean": node(StrictBoolean()),
    "strict boolean or nothing": optional(StrictBoolean(), missing=None),
    "strict boolean in words": node(StrictBoolean(true_choices=("true", "yes"))),
    "boolean in words": node(colander.Boolean(true_choices=("true", "yes"))),
    "boolean in other words": node(colander.Boolean(("no",), ("yes",))),
    "date": node(colander.Date()),
    "time of day": node(colander.Time()),
    "date and time": node(colander.DateTime()),
    "date and time without a zone": node(colander.DateTime(default_tzinfo=None)),
    "enum": node(colander.Enum(Colour)),
    "tuple": node(colander.Tuple(), INTEGER, TEXT),
    "list": node(colander.List()),
    "list of few": node(colander.List(), validator=colander.ContainsOnly([0, 1])),
    "sequence": node(colander.Sequence(), INTEGER),
    "short sequence": node(colander.Sequence(), INTEGER, validator=colander.Length(max=1)),
    "sequence or one": node(colander.Sequence(accept_scalar=True), TEXT),
    "mapping": node(colander.Mapping(), TEXT, INTEGER),
    "closed mapping": node(colander.Mapping(unknown="raise"), TEXT, INTEGER),
    "open mapping": node(colander.Mapping(unknown="preserve"), TEXT, INTEGER),
    "mapping that may be missing": colander.SchemaNode(
        colander.Mapping(), INTEGER, name="field", missing={}
    ),
    "timestamp": TimeStamp(name="field"),
    "timestamp that is given": TimeStamp(name="field", auto_now=False, missing=colander.required),
    "permissions": PermissionsSchema(name="field", permissions=("read", "write")),
    "any permissions": PermissionsSchema(name="field"),
}

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["", "true", "no", "yes", "12", "1.5", "RED", "abc", "you@example.com"]),
    st.sampled_from(["2020-01-31", "2020-01-31T10:00:00Z", "10:30", "10:30:00"]),
    st.uuids().map(str),
)
FIELDS = st.sampled_from(["text", "integer", "read", "other"])
VALUES = (
    SCALARS
    | st.lists(SCALARS, max_size=2)
    | st.dictionaries(FIELDS, SCALARS | st.lists(st.text(max_size=2), max_size=2), max_size=3)
)


@functools.cache
def request_validator(name):
    return validator_of(request_schema(NODES[name]))


@functools.cache
def response_validator(name):
    return validator_of(response_schema(NODES[name]))


def validator_of(schema):
    Draft202012Validator.check_schema(schema)
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(schema, format_checker=checker)


# One value is tried with every node, because generating it takes most of the time.


@given(value=VALUES)
def test_value_described_by_a_request_schema_is_accepted(value):
    for name, node in NODES.items():
        if request_validator(name).is_valid(value):
            node.deserialize(value)


@given(value=st.just(colander.null) | VALUES)
def test_accepted_value_is_described_by_the_response_schema(value):
    for name, node in NODES.items():
        try:
            deserialized = node.deserialize(value)
        except (colander.Invalid, OverflowError):
            continue
        # Colander reads "nan" as NaN, which resources refuse.
        if deserialized is not colander.drop and unstorable(deserialized) is None:
            rendered = json.loads(JSONRenderer(None)(plain(deserialized), {}))
            response_validator(name).validate(rendered)


@pytest.mark.parametrize(
    "name, value",
    [
        ("text", "abc"),
        ("text that may be missing", None),
        ("short text", "abc"),
        ("word", "abc"),
        ("one of", "12"),
        ("one of, or nothing", None),
        ("integer", 12),
        ("integer", "-12"),
        ("float", 1.5),
        ("float", "1.5"),
        ("boolean", "true"),
        ("strict boolean", "off"),
        ("strict boolean", True),
        ("strict boolean", -1.5),
        ("boolean in words", True),
        ("boolean in words", "yes"),
        ("boolean in other words", "no"),
        ("date", "2020-01-31"),
        ("date and time", "2020-01-31T10:00:00Z"),
        ("time of day", "10:30"),
        ("enum", "RED"),
        ("tuple", [1, "abc"]),
        ("sequence", [1, "2", None]),
        ("sequence or one", "abc"),
        ("mapping", {"text": "abc", "other": 1}),
        ("mapping that may be missing", {}),
        ("timestamp", None),
        ("permissions", {"read": ["system.Everyone"]}),
        ("any permissions", {"other": ["system.Everyone"]}),
    ],
)
def test_schema_of_requests_describes_usual_values(name, value):
    request_validator(name).validate(value)


@pytest.mark.parametrize(
    "name, value",
    [
        ("text", ""),
        ("text", None),
        ("short text", "abcde"),
        ("all of", "abcde"),
        ("all of the same", "abcde"),
        ("any of", "abcde"),
        ("none of", "12"),
        ("small integer", 13),
        ("small integer", "12"),
        ("boolean in other words", True),
        ("strict boolean", "maybe"),
        ("strict boolean", ""),
        ("strict boolean", []),
        ("strict boolean", {}),
        ("strict boolean", None),
        ("list of few", [2]),
        ("short sequence", [1, 2]),
        ("closed mapping", {"text": "abc", "other": 1}),
        ("mapping", {"integer": 1}),
        ("permissions", {"other": []}),
        ("permissions", {"read": [""]}),
        ("timestamp that is given", None),
        ("e-mail", "abc"),
        ("e-mail", "@"),
    ],
)
def test_schema_of_requests_does_not_describe_refused_values(name, value):
    assert not request_validator(name).is_valid(value)


@pytest.mark.parametrize(
    "name, default",
    [
        ("text that may be missing", ""),
        ("text or nothing", None),
        ("integer that may be missing", 7),
        ("boolean that may be missing", True),
        ("mapping that may be missing", {}),
    ],
)
def test_default_is_described(name, default):
    assert request_schema(NODES[name])["default"] == default


@pytest.mark.parametrize(
    "node",
    [
        NODES["text that is dropped"],
        NODES["text or a number"],
        NODES["boolean or nothing"],
        NODES["timestamp"],
        URL(name="field", missing=""),
        optional(colander.String(), "x", validator=colander.Function(lambda value: 1 / 0)),
    ],
)
def test_default_that_clients_cannot_send_is_omitted(node):
    assert "default" not in request_schema(node)


def test_url_is_a_text_of_limited_length():
    schema = {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2048}
    assert request_schema(URL(name="field")) == schema
    assert response_schema(URL(name="field")) == {"type": "string"}


@pytest.mark.parametrize("typ", [colander.Date(format="%d"), colander.DateTime(format="%d")])
def test_format_of_dates_is_described_unless_the_application_sets_one(typ):
    assert request_schema(node(typ)) == {"type": "string"}
    assert response_schema(node(typ))["format"] in ("date", "date-time")


def test_type_of_another_library_can_be_anything():
    class Blob(colander.SchemaType):
        def deserialize(self, node, cstruct):
            return cstruct

    assert request_schema(node(Blob())) == response_schema(node(Blob())) == {}


def test_limits_that_are_not_numbers_are_omitted():
    limited = node(colander.Date(), validator=colander.Range(min=colander.null))
    assert request_schema(limited) == {"type": "string", "format": "date"}


def test_titles_and_descriptions_are_those_of_the_schema():
    titled = node(colander.String(), title="A field", description="Which says all.")
    assert response_schema(titled) == {
        "type": "string",
        "title": "A field",
        "description": "Which says all.",
    }
    assert "title" not in response_schema(node(colander.String()))
    assert response_schema(NODES["timestamp"])["title"] == "Epoch timestamp"


def test_docstring_describes_a_schema():
    class Documented(ResourceSchema):
        """A record."""

    class Undocumented(ResourceSchema):
        pass

    assert response_schema(Documented())["description"] == "A record."
    for schema in (Undocumented(), ResourceSchema(), colander.MappingSchema()):
        assert "description" not in response_schema(schema)


@pytest.mark.parametrize(
    "source, expected",
    [
        ("^[a-z]+$", "^[a-z]+$"),
        ("[a-z]+", "^(?:[a-z]+)"),
        ("^a|b", "^(?:^a|b)"),
    ],
)
def test_expression_is_anchored_as_python_does(source, expected):
    assert pattern_of(source) == {"pattern": expected}


def test_expression_of_a_path_is_anchored_at_both_ends():
    assert pattern_of("[a-z]+", end="$") == {"pattern": "^(?:[a-z]+)$"}


@pytest.mark.parametrize(
    "source, flags", [("(?P<name>a)", 0), (r"a\Z", 0), ("(?i)a", 0), ("a", re.IGNORECASE)]
)
def test_expression_that_only_python_supports_is_omitted(source, flags):
    regex = re.compile(source, flags)
    limited = node(colander.String(), validator=colander.Regex(regex))
    assert "pattern" not in request_schema(limited)
