"""The tables and the settings of the guide howto/limits."""

import re

from cliquet.drivers.postgresql.config import DEFAULT_PARAMETERS
from cliquet.http.limits import Limits
from cliquet.settings import DEFAULT_SETTINGS
from tests.docs.pages import DOCS

PAGE = DOCS.joinpath("howto", "limits.rst").read_text(encoding="utf-8")


def rows(*names):
    """The first two columns of the rows of a table that begin with these names."""
    rows = dict(re.findall(r"^``(\w+)`` {2,}(\S+) ", PAGE, re.MULTILINE))
    return {name: rows.get(name) for name in names}


def test_table_has_each_limit_with_its_default():
    expected = {key: str(DEFAULT_SETTINGS[key]) for key in Limits._fields}
    assert rows(*Limits._fields) == expected


def test_table_has_the_timeouts_of_postgresql():
    options = dict(re.findall(r"-c (\w+_timeout)=(\w+)", DEFAULT_PARAMETERS["options"]))
    assert len(options) == 3
    assert rows(*options) == options


def test_guides_link_the_page():
    assert "    limits\n" in DOCS.joinpath("howto", "index.rst").read_text(encoding="utf-8")
