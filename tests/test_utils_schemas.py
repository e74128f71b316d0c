"""Schemas that meet any JSON value."""

from collections import OrderedDict

import colander
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cliquet.utils.schemas import JSONMapping, deserialize


class Fragile(colander.SchemaType):
    def deserialize(self, node, cstruct):
        return 1 / cstruct


def node(typ, *children, **kwargs):
    return colander.SchemaNode(typ, *children, **kwargs)


def mapping(*children):
    return node(colander.Mapping(), *children)


FRAGILE = node(Fragile(), name="fragile")
WHOLE = node(colander.Integer(), name="whole")


@pytest.mark.parametrize(
    "schema, value, name",
    [
        (FRAGILE, "a", "fragile"),
        (mapping(WHOLE, FRAGILE), {"whole": 1, "fragile": 0}, "fragile"),
        (mapping(WHOLE, FRAGILE), {"whole": 1}, "fragile"),
        (mapping(node(colander.Set(), name="set")), {"set": [[]]}, "set"),
        (mapping(node(colander.Set(), name="set")), {"set": [{"a": 1}]}, "set"),
        (node(colander.Sequence(), FRAGILE, name="s"), [1, 0], "s.1"),
        (mapping(node(colander.Sequence(), WHOLE, name="s"), FRAGILE), {"s": [1]}, "fragile"),
        (node(colander.Tuple(), WHOLE, FRAGILE, name="t"), [1, 0], "t.1"),
        (mapping(node(colander.Mapping(), FRAGILE, name="m")), {"m": {"fragile": []}}, "m.fragile"),
    ],
)
def test_a_value_on_which_a_type_fails_is_invalid(schema, value, name):
    with pytest.raises(colander.Invalid) as caught:
        deserialize(schema, value)
    assert caught.value.asdict() == {name: "Invalid value"}


def test_valid_and_invalid_values_are_as_colander_says():
    assert deserialize(mapping(WHOLE), {"whole": "1"}) == {"whole": 1}
    with pytest.raises(colander.Invalid) as caught:
        deserialize(mapping(WHOLE, FRAGILE), {"whole": "x", "fragile": 1})
    assert "whole" in caught.value.asdict()


def fail(*args):
    raise ZeroDivisionError


@pytest.mark.parametrize("part", ["validator", "preparer"])
@pytest.mark.parametrize("value", [{"whole": 1, "set": []}, {"whole": 1, "set": 5}])
def test_exceptions_of_validators_and_preparers_are_not_hidden(part, value):
    whole = node(colander.Integer(), name="whole", **{part: fail})
    schema = mapping(whole, node(colander.Set(), name="set"))
    with pytest.raises(ZeroDivisionError):
        deserialize(schema, value)


class Dropping(colander.SchemaType):
    """A type that drops a value."""

    def deserialize(self, node, cstruct):
        return colander.drop if cstruct == 0 else cstruct


def fields(typ):
    """Return a schema of objects with fields of all kinds."""
    return node(
        typ,
        node(colander.Integer(), name="required"),
        node(colander.Integer(), name="optional", missing=7),
        node(colander.Integer(), name="droppable", missing=colander.drop),
        node(Dropping(), name="dropping", missing=None),
        node(colander.String(), name="checked", validator=colander.Length(max=1), missing="z"),
        node(type(typ)(typ.unknown), WHOLE.clone(), name="nested", missing=colander.drop),
    )


NAMES = st.sampled_from(
    ["required", "optional", "droppable", "dropping", "checked", "nested", "whole", "other", "more"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | st.sampled_from(["", "5", "text"]),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(NAMES, values, max_size=4),
    max_leaves=6,
)


def outcome(schema, value):
    """Return the value that a schema deserializes, or its error."""
    try:
        return schema.deserialize(value)
    except colander.Invalid as invalid:
        return type(invalid), str(invalid.msg), invalid.asdict(), getattr(invalid, "fields", None)


@pytest.mark.parametrize("unknown", ["ignore", "raise", "preserve"])
@given(value=st.dictionaries(NAMES, JSON) | JSON | st.sampled_from([colander.null, colander.drop]))
@example(value={"required": 1, "optional": colander.drop, "nested": {"whole": 2, "other": []}})
@example(value={"required": 1, "droppable": colander.null, "dropping": 0})
@example(value=OrderedDict(required=1))
def test_objects_are_deserialized_as_by_colander(unknown, value):
    ours, theirs = (outcome(fields(typ(unknown)), value) for typ in (JSONMapping, colander.Mapping))
    assert ours == theirs
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)


def test_unknown_values_are_copied():
    value = {"list": [1], "object": {"a": []}, "text": "a"}
    copied = node(JSONMapping("preserve")).deserialize(value)
    assert copied == value
    copied["list"].append(2)
    copied["object"]["a"].append(2)
    assert value == {"list": [1], "object": {"a": []}, "text": "a"}
