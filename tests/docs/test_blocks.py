"""Each code block in the documentation is executed by a test, or an exception is listed here."""

import os
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, blocks
from tests.docs.test_guides import PAGES as FOLLOWED

ROOT = DOCS.parent
FILES = (*DOCS.glob("**/*.rst"), *ROOT.glob("*.rst"))
PAGES = sorted(os.path.relpath(path, DOCS).removesuffix(".rst") for path in FILES)

SETTINGS = "docs/test_howto_settings.py"
DEPLOY = "docs/test_howto_deploy.py"
JAVASCRIPT = "../clients/javascript/tests/guide.test.js"
LIVE = "docs/test_howto_live.py"
MONITOR = "docs/test_howto_monitor.py"

#: Of a page, the blocks in a language that begin so; and what executes them.
EXECUTED = {
    ("tutorial/*", "*", ""): "docs/test_tutorial.py",
    ("reference/protocol", "*", ""): "docs/test_protocol.py",
    ("reference/command", "console", ""): "docs/test_command.py",
    ("reference/events", "python", ""): "docs/test_reference.py",
    ("reference/groups", "ini", ""): SETTINGS,
    ("reference/settings", "text", ""): "docs/test_reference.py",
    ("../README", "python", ""): "docs/test_readme.py",
    ("../README", "ini", ""): "docs/test_readme.py",
    ("../README", "console", "$ cliquet"): "docs/test_readme.py",
    ("../README", "console", "$ pip install"): "test_packaging.py",
    ("../README", "console", "$ curl"): "docs/test_readme.py",
    ("index", "python", ""): "docs/test_readme.py",
    ("howto/*", "ini", "cliquet."): SETTINGS,
    ("howto/*", "ini", "multiauth."): SETTINGS,
    ("howto/*", "ini", "# Ask clients"): SETTINGS,
    ("howto/authentication", "console", ""): "docs/test_howto_authentication.py",
    ("howto/backends", "console", "$ cat"): "storage/test_postgresql.py",
    ("howto/backends", "console", "$ pg_dump"): "docs/test_howto_backends.py",
    ("howto/backends", "console", "$ sqlite3"): "docs/test_howto_backends.py",
    ("howto/backends", "sql", ""): "storage/test_postgresql.py",
    ("howto/client-python", "python", ""): "docs/test_howto_client_python.py",
    ("howto/change-a-schema", "python", "priority"): "docs/test_howto_change_a_schema.py",
    ("howto/custom-backend", "python", ""): "docs/test_howto_custom_backend.py",
    ("howto/deploy", "python", "# service.py"): DEPLOY,
    ("howto/deploy", "ini", "[server:main]"): DEPLOY,
    ("howto/deploy", "console", "$ cliquet"): DEPLOY,
    ("howto/deploy", "console", "$ pserve"): DEPLOY,
    ("howto/deploy", "console", "$ gunicorn"): DEPLOY,
    ("howto/deploy", "nginx", ""): DEPLOY,
    ("howto/document-your-api", "python", ""): "docs/test_howto_document_your_api.py",
    ("howto/document-your-api", "toml", ""): "docs/test_howto_document_your_api.py",
    ("howto/index-a-field", "sql", "CREATE INDEX CONC"): "storage/test_postgresql_indexes.py",
    ("howto/index-a-field", "sql", "CREATE INDEX rec"): "storage/test_sqlite_indexes.py",
    ("howto/index-a-field", "sql", "SELECT idx_scan"): "storage/test_postgresql_indexes.py",
    ("howto/live", "python", ""): LIVE,
    ("howto/live", "console", "$ cliquet"): LIVE,
    ("howto/live", "console", "$ uvicorn"): LIVE,
    ("howto/live", "console", "$ curl"): LIVE,
    ("howto/live", "text", ""): LIVE,
    ("howto/listeners", "json", ""): "docs/test_howto_listeners.py",
    ("howto/listeners", "python", ""): "docs/test_howto_listeners.py",
    ("howto/monitor", "python", ""): MONITOR,
    ("howto/monitor", "ini", "["): MONITOR,
    ("howto/monitor", "console", "$ cliquet"): MONITOR,
    ("howto/monitor", "console", "$ rm"): MONITOR,
    ("howto/outages", "python", ""): "docs/test_howto_outages.py",
    ("howto/permissions", "python", ""): "docs/test_howto_permissions.py",
    ("howto/plugin", "text", ""): "docs/test_howto_plugin.py",
    ("howto/synchronise-javascript", "javascript", ""): JAVASCRIPT,
    ("howto/upgrade", "console", "$ cliquet"): "docs/test_howto_upgrade.py",
    ("howto/upgrade", "console", "$ python export_storage"): "docs/test_howto_upgrade.py",
    ("howto/upgrade", "console", "$ python import_dump"): "docs/test_howto_upgrade.py",
    ("howto/upgrade", "json", ""): "docs/test_howto_upgrade.py",
    ("howto/upgrade", "python", ""): "docs/test_howto_upgrade.py",
}

#: Of a page, the blocks in a language that begin so; and why no test executes them.
NOT_EXECUTED = {
    ("../README", "console", "$ python3 dev.py"): "they run the tests; tests/test_dev.py",
    ("../README", "console", "$ python3 -m venv"): "the tutorial begins with the same commands",
    ("../CONTRIBUTING", "console", ""): "as in the README",
    ("explanation/scaling", "ini", ""): "a setting that does not exist yet",
    ("howto/deploy", "ini", "[Service]"): "the tests run without systemd",
    ("howto/deploy", "ini", "[uwsgi]"): "the tests do without uWSGI",
    (
        "howto/deploy",
        "console",
        "$ docker",
    ): "the tests do without it; tests/test_deployment.py",
    ("howto/permissions", "text", ""): "one line, shortened; tests/test_refusals.py",
    ("howto/client-python", "console", ""): "they reach PyPI; tests/test_packaging.py does not",
    ("howto/limits", "text", ""): "settings of a server of Redis; tests/test_redis_eviction.py",
    ("howto/filter-operators", "html", ""): "it loads Leaflet from the network",
    ("howto/synchronise-javascript", "html", ""): "the tests of the client run in a browser",
    ("howto/logging", "text", ""): "one line, shortened; tests/docs/test_howto_logging.py",
    ("howto/monitor", "nginx", ""): "the tests do without nginx",
    ("howto/live", "nginx", ""): "the tests do without nginx",
    ("howto/monitor", "yaml", ""): "the tests do without a server of Prometheus",
    (
        "howto/monitor",
        "console",
        "$ NEW_RELIC",
    ): "it wants a network; tests/test_newrelic.py",
    ("howto/upgrade", "console", "$ python3.11"): "they reach PyPI",
    ("howto/upgrade", "console", "$ python -m pytest"): "the tests of the reader's own application",
    (
        "howto/upgrade",
        "console",
        "$ psql",
    ): "the tests do without psql; tests/docs/test_howto_upgrade.py executes the script",
}


#: What a test of the plugin runs as a whole.
OF_THE_PLUGIN = {"test_quotas"}


def entries(page, language, text):
    """The entries of the tables that a block has."""
    return [
        entry
        for entry in (*EXECUTED, *NOT_EXECUTED)
        if fnmatch(page, entry[0]) and fnmatch(language, entry[1]) and text.startswith(entry[2])
    ]


def is_followed(page, language, caption):
    """Return whether ``test_guides.py`` runs the commands of a block, or writes its file."""
    return page.removeprefix("howto/") in FOLLOWED and (language == "console" or caption != "")


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_executed_or_has_a_listed_reason(page):
    sources = {
        text: (entries(page, language, text), is_followed(page, language, caption))
        for language, caption, text in blocks(page)
    }
    wrong = {
        text: places
        for text, (places, followed) in sources.items()
        if len(places) > 1 or not (places or followed)
    }
    assert wrong == {}


def test_each_entry_has_its_block():
    existing = {
        entry
        for page in PAGES
        for language, _, text in blocks(page)
        for entry in entries(page, language, text)
    }
    assert {*EXECUTED, *NOT_EXECUTED} - existing == set()


@pytest.mark.parametrize("page, test", sorted({(key[0], test) for key, test in EXECUTED.items()}))
def test_test_that_executes_a_page_names_it(page, test):
    folder, _, name = page.rpartition("/")
    assert (folder if name == "*" else name) in ROOT.joinpath("tests", test).read_text()


def test_each_included_file_is_used_by_a_test():
    """Tests import the modules, load the settings, or load settings that name the modules."""
    shown = "\n".join(path.read_text() for path in FILES)
    names = {
        name.removesuffix(".py") for name in re.findall(r"literalinclude:: (?:.*/)?(.+)", shown)
    }
    tests = {*ROOT.glob("tests/**/*.py"), *DOCS.glob("howto/examples/*.ini")} - {Path(__file__)}
    words = {word for path in tests for word in re.findall(r"[\w.-]+", path.read_text())}
    words |= {part for word in words for part in word.split(".")}
    assert names - words == OF_THE_PLUGIN
    assert len(names) > 20
