"""The settings that guides and explanations name exist, with such values."""

import configparser

import pytest

from cliquet.settings import SETTINGS, KeyForms
from cliquet.settings.table import family
from cliquet.settings.validation import unknown_keys, wrong_values
from tests.docs.pages import DOCS, blocks, execute_page

NAMES = KeyForms("")
KNOWN = {setting.key for setting in SETTINGS}
PAGES = sorted([*DOCS.glob("howto/**/*.rst"), DOCS / "reference" / "groups.rst"])
#: Settings that a page sets before its own lines.
BEFORE = {"authentication": "github.ini"}
FILES = sorted(DOCS.glob("howto/examples/*.ini"))


def settings_of_text(text):
    """Return the settings of an .ini file, or of some lines of one."""
    parser = configparser.ConfigParser({"here": "/srv"}, delimiters="=", strict=False)
    parser.optionxform = str
    parser.read_string(text if text.startswith("[") else f"[app:main]\n{text}")
    settings = dict(parser["app:main"]) if "app:main" in parser else {}
    settings.pop("here", None)
    return settings


def problems(text):
    """Return what is wrong with the settings of an .ini file, or of some lines of one."""
    settings = settings_of_text(text)
    # Pages have resources of any name.
    keys = [key for key, _ in unknown_keys(settings, KNOWN, resources=[])]
    unknown = [key for key in keys if family(NAMES.bare(key)) is None]
    bare = {NAMES.bare(key): value for key, value in settings.items()}
    return [*unknown, *wrong_values(bare)] or None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_settings_of_a_page_are_known(path):
    execute_page(path, lambda language, caption, text: language == "ini" and problems(text) or None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_settings_of_an_example_are_known(path):
    assert problems(path.read_text()) is None


def test_invalid_settings_are_reported():
    assert problems("cliquet.storge_backend = x") == ["cliquet.storge_backend"]
    assert len(problems("cliquet.paginate_by = many")) == 1


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_settings_of_a_page_make_an_application(path, serve, settings_of):
    before = settings_of(BEFORE[path.stem]) if path.stem in BEFORE else {}
    for language, _, text in blocks(path.relative_to(DOCS).with_suffix("")):
        if language == "ini" and not text.startswith("["):
            serve(settings={**before, **settings_of_text(text)})
