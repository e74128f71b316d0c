"""README: its service runs as printed; its figures, links and file names are correct."""

import re

import pytest

from tests.docs.pages import DOCS, block, execute_page, rows
from tests.docs.test_howto_settings import problems
from tests.scenarios import SCENARIOS

ROOT = DOCS.parent
PAGE = "../README"
DOCUMENTS = sorted(ROOT.glob("*.rst"))
#: The sentence before a block that is a file, and the name of the file.
FILE = r"^Save .* as ``(\S+)``:\n\n\.\. code-block:: (\w+)\n"


def files():
    """Return the content of each file that readers of the README save, by name."""
    text = ROOT.joinpath("README.rst").read_text(encoding="utf-8")
    return {name: block(PAGE, language) for name, language in re.findall(FILE, text, re.M)}


def test_service_of_the_readme_runs_as_printed(guide):
    for name, text in files().items():
        guide.write(name, text)
    execute_page(ROOT / "README.rst", guide.execute)
    assert guide.commands


def test_readme_shows_one_module_and_its_configuration():
    assert [*files()] == ["bookmarks.py", "bookmarks.ini"]
    assert problems(files()["bookmarks.ini"]) is None


def test_first_page_shows_the_application_of_the_readme():
    assert block("index", "python") == block(PAGE, "python")


def test_modules_named_in_the_contributing_guide_exist():
    text = ROOT.joinpath("CONTRIBUTING.rst").read_text(encoding="utf-8")
    names = re.findall(r"``(?:cliquet/)?([a-z_/1]+(?:\.py|/))``", text)
    places = (ROOT, *(ROOT / "cliquet" / name for name in ("", "resource", "settings")))
    missing = [name for name in names if not any((place / name).exists() for place in places)]
    assert missing == []
    assert len(names) > 30


def measured():
    """The rows of the last results of the benchmarks: times in microseconds, and their ratios."""
    text = DOCS.joinpath("../benchmarks/README.rst").read_text()
    return {name: cells.split() for name, cells in re.findall(r"^``(\w+)`` +(\d.*)$", text, re.M)}


def test_readme_figures_match_the_latest_benchmark_results():
    results = [measured()[operation] for operation in ("get", "list", "post")]
    figures = [[float(number) for number in re.findall(r"\d\.\d+", row[1])] for row in rows(PAGE)]
    for column, shown in ((0, figures[3]), (3, figures[4][:3])):
        milliseconds = [int(row[column]) / 1000 for row in results]
        assert shown == pytest.approx(milliseconds, abs=0.0051)  # rounded to two decimals
    assert figures[4][3:] == [float(row[4]) for row in results]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_of_top_level_documents_exist(path):
    """Sphinx checks the links in ``docs``."""
    text = path.read_text()
    links = re.findall(r"`[^`<]+ <([^>]+)>`_", text) + re.findall(r"\.\. image:: (.+)", text)
    files = [link for link in links if "://" not in link]
    assert [link for link in files if not path.parent.joinpath(link).exists()] == []


def test_readme_counts_the_races_of_the_benchmark():
    (cell,) = (row[0] for row in rows(PAGE) if "races" in row[0])
    assert int(cell.split()[0]) == len(SCENARIOS)
