"""The description of a service, as the guide has applications and plugins complete it."""

import pytest
from openapi_spec_validator import validate


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


def test_service_and_resource_tell_more_of_themselves(document):
    assert document["paths"]["/bookmarks"]["delete"]["deprecated"]
    answer = document["paths"]["/score/{game}"]["get"]["responses"]["200"]
    assert answer["description"] == "The scores of a game, best first."


def test_plugin_changes_the_rest(document):
    assert document["info"]["contact"] == {"email": "us@example.com"}
    assert "externalDocs" not in document
    assert document["components"]["securitySchemes"]["token"]["name"] == "Token"
    assert not {"/batch", "/bookmarks/{id}"} & set(document["paths"])
