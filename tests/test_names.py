"""The names of 3.1 that applications and plugins import, and the parameters of these.

``names.txt`` has one a line. A parameter may be added, at the end and with a default.
"""

import importlib
import inspect
import types
from pathlib import Path

import pytest

NAMES = Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines()
VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def resolve(dotted):
    """Return what a dotted name stands for, imported as far as it is a module."""
    value, *attributes = importlib.import_module("cliquet"), *dotted.split(".")[1:]
    path = "cliquet"
    for attribute in attributes:
        path = f"{path}.{attribute}"
        if isinstance(value, types.ModuleType) and not hasattr(value, attribute):
            importlib.import_module(path)
        value = getattr(value, attribute)
    return value


def parameters_of(value):
    """Return the names of the parameters, those of them that may be left out, without self."""
    parameters = list(inspect.signature(value).parameters.values())
    named = [each for each in parameters if each.kind not in VARIABLE]
    if named and named[0].name in ("self", "cls"):
        del named[0]
    optional = {each.name for each in named if each.default is not each.empty}
    return [each.name for each in named], optional


@pytest.mark.parametrize("line", NAMES, ids=lambda line: line.partition("(")[0])
def test_name_exists_and_takes_its_parameters(line):
    dotted, parenthesis, arguments = line.rstrip(")").partition("(")
    value = resolve(dotted)
    if parenthesis:
        given = [name for name in arguments.split(", ") if name not in ("", "self")]
        expected = [name.rstrip("=") for name in given if not name.startswith("*")]
        names, optional = parameters_of(value)
        assert names[: len(expected)] == expected
        assert "*args" in given or optional.issuperset(names[len(expected) :])
