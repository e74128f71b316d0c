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


def problem_of(line):
    """Return the mistake in a line of the file, or None."""
    dotted, parenthesis, arguments = line.rstrip(")").partition("(")
    try:
        value = resolve(dotted)
    except (ImportError, AttributeError) as error:
        return f"{line}: {error}"
    if not parenthesis:
        return None
    given = [name for name in arguments.split(", ") if name not in ("", "self")]
    expected = [name.rstrip("=") for name in given if not name.startswith("*")]
    names, optional = parameters_of(value)
    if names[: len(expected)] != expected:
        return f"{line}: its parameters are {names}"
    required = [name for name in names[len(expected) :] if name not in optional]
    return f"{line}: {required} are required" if required and "*args" not in given else None


def test_names_exist_and_accept_their_parameters():
    assert [problem for problem in map(problem_of, NAMES) if problem] == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("cliquet.missing", "No module named 'cliquet.missing'"),
        ("cliquet.storage.StorageBase.missing()", "no attribute 'missing'"),
        ("cliquet.utils.encode64(text)", "its parameters are"),
        ("cliquet.utils.hmac_digest(secret)", "['message'] are required"),
    ],
)
def test_difference_of_a_name_is_reported(line, problem):
    assert problem in problem_of(line)
