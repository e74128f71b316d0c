"""The defaults and conversions of a changed schema; ``test_guides.py`` runs ``convert_tasks``."""

import textwrap

import colander
import pytest

from tests.docs.pages import block


@pytest.fixture
def priority():
    names = {"colander": colander}
    exec(textwrap.dedent(block("howto/change-a-schema", "python", "priority = ")), names)
    return names["priority"]


@pytest.mark.parametrize(
    ("value", "stored"), [(colander.null, "normal"), ("urgent", "high"), ("low", "low")]
)
def test_old_values_are_converted(priority, value, stored):
    assert priority.deserialize(value) == stored


def test_other_values_are_refused(priority):
    with pytest.raises(colander.Invalid):
        priority.deserialize("highest")
