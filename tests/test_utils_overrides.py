"""Detection of overridden methods."""

import functools
from unittest import mock

import pytest

from cliquet.groups import GroupModel
from cliquet.resource import Model
from cliquet.utils.overrides import detects_overrides, is_inherited, is_of_toolkit


@detects_overrides
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


@pytest.mark.parametrize(
    "replacement", [lambda self: 6, mock.create_autospec(Base.read), mock.Mock(), None]
)
def test_replaced_attributes_of_the_base_class_are_not_inherited(monkeypatch, replacement):
    monkeypatch.setattr(Base, "read", replacement)
    for obj in (Child(), Child, Base(), Base):
        assert is_inherited(obj, Base, "write")
        assert not is_inherited(obj, Base, "read")
    monkeypatch.undo()
    assert is_inherited(Child(), Base, "read")


def test_functions_of_the_toolkit_are_distinguished_from_those_of_applications():
    assert is_of_toolkit(Model.get_record)
    assert is_of_toolkit(GroupModel._save)
    for function in (Reader.read, functools.wraps(Model.get_record)(Reader.read), mock.Mock()):
        assert not is_of_toolkit(function)
