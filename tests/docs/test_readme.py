"""The application of the README, made from its blocks."""

import importlib
import re
import sys

import pytest
from webtest import TestApp

from cliquet.testing import get_user_headers
from tests.docs.pages import DOCS, block, rows
from tests.docs.test_howto_settings import settings_of_text
from tests.scenarios import SCENARIOS

PAGE = "../README"
TEXTS = sorted(DOCS.parent.glob("*.rst"))
SCAN = "    config.scan('myproject.views')\n"


@pytest.fixture
def make_app(tmp_path, monkeypatch):
    """The ``main`` of the package that the README makes; its folder is the current one."""
    package = tmp_path / "myproject"
    package.mkdir()
    application = block(PAGE, "python", "import cliquet\n")
    before, initialization, after = application.partition("version='1.0')\n")
    package.joinpath("__init__.py").write_text(before + initialization + SCAN + after)
    package.joinpath("views.py").write_text(block(PAGE, "python", "from cliquet import resource"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("myproject").main
    for name in ("myproject", "myproject.views"):
        sys.modules.pop(name, None)


def test_application_of_the_readme_keeps_bookmarks(make_app, tmp_path):
    settings = settings_of_text(block(PAGE, "ini"))
    app = make_app({}, **settings)
    app.registry.storage.initialize_schema()
    client = TestApp(app)
    headers = get_user_headers("alice")
    body = {"data": {"url": "https://www.example.com"}}
    made = client.post_json("/v1/bookmarks", body, headers=headers, status=201).json
    assert client.get("/v1/bookmarks", headers=headers).json["data"] == [made["data"]]
    assert tmp_path.joinpath("bookmarks.sqlite").exists()


def test_application_of_the_first_page_is_that_of_the_readme():
    assert block("index", "python") == block(PAGE, "python", "import cliquet\n")


def measured():
    """The rows of the last results of the benchmarks: times in microseconds, and their ratios."""
    text = DOCS.joinpath("../benchmarks/README.rst").read_text()
    return {name: cells.split() for name, cells in re.findall(r"^``(\w+)`` +(\d.*)$", text, re.M)}


def test_figures_of_the_readme_are_the_last_results():
    results = [measured()[operation] for operation in ("get", "list", "post")]
    told = [[float(number) for number in re.findall(r"\d\.\d+", row[1])] for row in rows(PAGE)]
    for column, figures in ((0, told[3]), (3, told[4][:3])):
        milliseconds = [int(row[column]) / 1000 for row in results]
        assert figures == pytest.approx(milliseconds, abs=0.0051)  # they have two digits
    assert told[4][3:] == [float(row[4]) for row in results]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_of_the_texts_beside_the_readme_lead_to_files(path):
    """Sphinx checks the others."""
    text = path.read_text()
    links = re.findall(r"`[^`<]+ <([^>]+)>`_", text) + re.findall(r"\.\. image:: (.+)", text)
    files = [link for link in links if "://" not in link]
    assert [link for link in files if not path.parent.joinpath(link).exists()] == []


def test_races_of_the_readme_are_those_of_the_benchmark():
    (told,) = (row[0] for row in rows(PAGE) if "races" in row[0])
    assert int(told.split()[0]) == len(SCENARIOS)
