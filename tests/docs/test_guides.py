"""Guides, followed verbatim in an empty folder; the output of their commands is compared."""

import os
import sys
import sysconfig

import pytest

from tests.docs.conftest import EXAMPLES, listening
from tests.docs.guide import Guide
from tests.docs.pages import DOCS, execute_page
from tests.docs.terminal import Terminal

#: The guides that start with a generated service. Other tests cover the rest.
PAGES = [
    path.stem
    for path in sorted(DOCS.glob("howto/*.rst"))
    if "$ cliquet new" in path.read_text(encoding="utf-8")
]


@pytest.fixture
def guide(tmp_path, monkeypatch):
    """A reader in an empty folder, where only installed modules can be imported."""
    path = [entry for entry in sys.path if not entry.startswith(str(EXAMPLES))]
    monkeypatch.setattr(sys, "path", path)
    folder = tmp_path / "empty"
    folder.mkdir()
    tmp_path.joinpath("cliquet").symlink_to(DOCS.parent)  # some guides require a clone
    monkeypatch.chdir(folder)
    programs = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    environment = {"PATH": programs, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    terminal = Terminal(folder, environment)
    guide = Guide(folder, terminal, listening)
    yield guide
    guide.close()
    terminal.close()


@pytest.mark.parametrize("page", PAGES)
def test_guide_works_verbatim_in_an_empty_folder(page, guide):
    execute_page(DOCS / "howto" / f"{page}.rst", guide.execute, with_files=True)
    assert guide.commands


def test_guides_that_generate_a_service_are_found():
    assert len(PAGES) > 5
