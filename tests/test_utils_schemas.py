"""Schemas that meet any JSON value."""

import colander
import pytest

from cliquet.utils.schemas import deserialize


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
