"""Check that the contract of a backend refuses broken backends."""

import pytest

from cliquet.storage.exceptions import IntegrityError, RecordNotFoundError

REFUSALS = (AssertionError, KeyError, RecordNotFoundError, IntegrityError, pytest.fail.Exception)


def _cases(test):
    """Return the parameters of each case of a test of a contract, in a list."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        return [()]
    (mark,) = marks
    names, values = mark.args[:2]
    return values if "," in names else [(value,) for value in values]


def check_refusal(contract, broken):
    """Run a test of a contract, which must refuse a broken backend.

    :param broken: a function that returns the backend; ``refused_by`` is the name of the test.
    """
    test = getattr(contract(), broken.refused_by)
    refused = False
    for case in _cases(test):
        try:
            test(broken(), *case)
        except REFUSALS:
            refused = True
    assert refused
