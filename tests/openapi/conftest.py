"""Applications that describe themselves."""

import copy
import sys
from pathlib import Path

import pytest
import webtest

from tests.openapi.openapi_checker import DocumentValidator

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
KINDS = ("storage", "permission", "cache")


@pytest.fixture(scope="session")
def documents():
    """The document of the unchanged test application, once it was built."""
    return []


@pytest.fixture(scope="session")
def document_validator():
    """A validator shared by all tests, because most parts of their documents are equal."""
    return DocumentValidator()


@pytest.fixture
def described(serve, documents, document_validator):
    """A function of settings and setup that returns a valid document of the test application."""

    def describe(settings=None, setup=None, **options):
        if settings or setup or options:
            return make(settings, setup, **options)
        if not documents:
            documents.append(make())
        return copy.deepcopy(documents[0])

    def make(settings=None, setup=None, **options):
        client = serve({"openapi_enabled": "true", **(settings or {})}, setup, **options)
        document = client.get("/__api__").json
        document_validator.validate(document)
        return document

    return describe


@pytest.fixture
def bookmarks(monkeypatch):
    """The example application, on the memory engines."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import bookmarks

    settings = {
        "cliquet.project_name": "bookmarks",
        "cliquet.userid_hmac_secret": "secret",
        "cliquet.openapi_enabled": "true",
        "cliquet.paginate_by": "3",
        "cliquet.article_create_principals": "system.Authenticated",
        **{f"cliquet.{kind}_backend": f"cliquet.{kind}.memory" for kind in KINDS},
    }
    yield bookmarks.main({}, **settings)
    for name in [name for name in sys.modules if name.partition(".")[0] == "bookmarks"]:
        del sys.modules[name]


@pytest.fixture
def bookmarks_document(bookmarks):
    return webtest.TestApp(bookmarks).get("/v1/__api__").json
