"""The reference names what the code has: nothing is missing, and nothing is made up."""

import re

import pytest
from pyramid.config import Configurator
from webtest import TestApp

import cliquet
from cliquet import events, resource
from cliquet.errors import ERRORS
from cliquet.testing import get_user_headers
from tests.docs.pages import DOCS


def rows(page, heading=None):
    """The rows of the tables of a page, or of one of its sections: a list of texts for each."""
    text = DOCS.joinpath(f"{page}.rst").read_text()
    if heading:
        text = re.search(rf"^{heading}\n-+\n(.*?)(?=^[^\n]+\n---|\Z)", text, re.M | re.S)[1]
    cells = [re.split(r"^ +- ", row, flags=re.M) for row in re.split(r"^ +\* - ", text, flags=re.M)]
    return [[" ".join(cell.split()).strip("`") for cell in row] for row in cells[1:]]


def test_errors_of_the_reference_are_those_of_the_code():
    shown = {name: int(errno) for errno, _, name, _ in rows("reference/errors")[1:]}
    assert shown == {error.name: error.value for error in ERRORS}


def test_actions_of_the_reference_are_those_of_the_code():
    shown = dict(rows("reference/events", "Actions"))
    assert shown == {str(action): action.value for action in events.ACTIONS}


def test_events_of_the_reference_are_those_of_the_code():
    shown = {row[0] for row in rows("reference/events")[1:5]}
    assert shown == {name for name in vars(events) if re.fullmatch("(After)?Resource[A-Z].+", name)}


@pytest.fixture
def payload():
    """That of an event which tells of a record."""

    class Spore(resource.UserResource):
        pass

    payloads = []
    config = Configurator(
        settings={"storage_backend": "cliquet.storage.memory", "userid_hmac_secret": "s"}
    )
    cliquet.initialize(config, version="1.0", project_name="reference")
    for service in resource.register_resource(Spore):
        config.add_cornice_service(service)
    config.add_subscriber(lambda event: payloads.append(event.payload), events.ResourceChanged)
    record = "8d9c3f0e-5b1a-4c7e-9f3d-2a6b8e4c1d07"
    client = TestApp(config.make_wsgi_app())
    client.put_json(f"/v1/spores/{record}", {"data": {}}, headers=get_user_headers("alice"))
    (payload,) = payloads
    return payload


def test_payload_has_what_the_reference_tells(payload):
    shown = [key.format(resource_name="spore") for key, _ in rows("reference/events", "Payload")]
    assert shown == list(payload)
