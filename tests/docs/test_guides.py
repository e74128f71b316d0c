"""Guides, followed verbatim in an empty folder; the output of their commands is compared."""

import pytest

from tests.docs.pages import DOCS, execute_page

#: Guides whose own tests follow them, with the servers that they start.
WITH_SERVERS = {"live", "monitor"}

#: The guides that start with a generated service. Other tests cover the rest.
PAGES = [
    path.stem
    for path in sorted(DOCS.glob("howto/*.rst"))
    if "$ cliquet new" in path.read_text(encoding="utf-8") and path.stem not in WITH_SERVERS
]


@pytest.mark.parametrize("page", PAGES)
def test_guide_works_verbatim_in_an_empty_folder(page, guide):
    execute_page(DOCS / "howto" / f"{page}.rst", guide.execute, with_files=True)
    assert guide.commands


def test_guides_that_generate_a_service_are_found():
    assert len(PAGES) > 5
