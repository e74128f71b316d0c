"""Detection of overridden methods."""

import functools

import pytest

from cliquet.groups import GroupModel
from cliquet.resource import Model
from cliquet.utils.overrides import is_inherited, is_of_toolkit


class Base:
    kind = "base"

    def read(self):
        return 1

    def write(self):
        return 2


class Child(Base):
    pass


class Reader(Base):
    def read(self):
        return 3


class Other:
    pass


def replaced():
    child = Child()
    child.read = lambda: 4
    return child


def measured():
    child = Child()
    read = child.read
    child.read = functools.wraps(read)(lambda: read())
    return child


@pytest.mark.parametrize(
    "make, expected",
    [(Child, True), (measured, True), (Reader, False), (replaced, False), (Other, False)],
    ids=["inherited", "measured", "overridden", "replaced", "missing"],
)
def test_methods_of_a_base_class_are_inherited(make, expected):
    assert is_inherited(make(), Base, "read") is expected
    assert is_inherited(make(), Base, "write", "read") is expected


def decorated():
    return type("Decorated", (Base,), {"read": functools.wraps(Base.read)(lambda self: 5)})


@pytest.mark.parametrize(
    "cls, expected",
    [(Child, True), (Reader, False), (decorated(), False), (Other, False)],
    ids=["inherited", "overridden", "decorated", "missing"],
)
def test_attributes_of_classes_are_inherited(cls, expected):
    assert is_inherited(cls, Base, "write", "read", "kind") is expected


def test_class_attributes_can_be_overridden():
    assert not is_inherited(type("Other", (Base,), {"kind": "other"}), Base, "kind")


def test_functions_of_the_toolkit_are_distinguished_from_those_of_applications():
    assert is_of_toolkit(Model.get_record)
    assert is_of_toolkit(GroupModel._save)
    assert not is_of_toolkit(Reader.read)
