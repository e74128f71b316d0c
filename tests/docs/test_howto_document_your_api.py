"""The description of a service, as the guide has applications and plugins complete it."""

import os
import re
import subprocess
import sys

import pytest
from openapi_spec_validator import validate

from tests.docs.pages import DOCS, block

#: The example application in memory.
SETTINGS = """
[app:main]
use = config:{example}
cliquet.storage_backend = cliquet.storage.memory
cliquet.permission_backend = cliquet.permission.memory
cliquet.cache_backend = cliquet.cache.memory
"""


@pytest.fixture
def document(serve):
    settings = {"cliquet.openapi_enabled": "true", "cliquet.project_docs": "https://example.com"}
    document = serve("described", settings=settings, include=("describing",)).get("/__api__").json
    validate(document)
    return document


def test_words_are_those_of_the_docstrings_and_schemas(document):
    operation = document["paths"]["/bookmarks"]["get"]
    assert operation["summary"] == "List the bookmarks"
    assert operation["description"].startswith("The latest one is first.")
    assert {"name": "bookmark", "description": "Private to each user."} in document["tags"]
    schema = document["components"]["schemas"]["bookmark"]
    assert schema["description"] == "A page worth coming back to."
    assert schema["properties"]["url"]["title"] == "Address"


def test_service_and_resource_add_to_their_description(document):
    assert document["paths"]["/bookmarks"]["delete"]["deprecated"]
    response = document["paths"]["/score/{game}"]["get"]["responses"]["200"]
    assert response["description"] == "The scores of a game, best first."


def test_plugin_changes_the_rest(document):
    assert document["info"]["contact"] == {"email": "us@example.com"}
    assert "externalDocs" not in document
    assert document["components"]["securitySchemes"]["token"]["name"] == "Token"
    assert not {"/batch", "/bookmarks/{id}"} & set(document["paths"])


def test_tests_of_the_guide_pass_on_the_example(tmp_path):
    root = DOCS.parent
    settings = SETTINGS.format(example=root / "config" / "example.ini")
    tmp_path.joinpath("sqlite.ini").write_text(settings)
    code = block("howto/document-your-api", "python")
    tmp_path.joinpath("test_api.py").write_text(code)
    shown = block("howto/document-your-api", "toml")
    quick = shown.replace("max-examples = 10", "max-examples = 1")
    assert quick != shown
    without_phase = "[phases]\ncoverage.enabled = false\n"
    tmp_path.joinpath("schemathesis.toml").write_text(f"{quick}\n{without_phase}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_api.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "examples")])},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)
