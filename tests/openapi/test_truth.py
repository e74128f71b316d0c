"""The document is true: no answer is other than it says."""

from itertools import chain

import pytest
import schemathesis
import webtest
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from cliquet.testing import get_user_headers
from tests.conformance import test_conformance as conformance
from tests.openapi.described import Described

#: Undocumented answers, headers, bodies and types; and failures.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)

#: A document that says nothing of a status: the tests would be worthless if nobody noticed.
FORGOTTEN = [("/bookmarks", "post", "201"), ("/score/{game}", "get", "200"), ("/", "get", "200")]


def problems(app, document, max_examples):
    """What schemathesis finds wrong; it ends after a bounded number of requests."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "base-url": "http://localhost/v1",
            "headers": get_user_headers("alice"),
            "generation": {"max-examples": max_examples, "deterministic": True, "database": "none"},
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
        }
    )
    schema = schemathesis.openapi.from_dict(document, config=config)
    # Or else WebOb copies large bodies to files, which nobody closes.
    schema.app = lambda environ, start: app({**environ, "webob.is_body_seekable": True}, start)
    found, phases = [], {}
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.FatalError), event.exception
        if isinstance(event, events.PhaseFinished):
            phases[event.phase.name.name] = event.status
        if isinstance(event, events.NonFatalError):
            found.append(f"{event.label}: {event.value}")
        if isinstance(event, events.ScenarioFinished):
            checks = chain.from_iterable(event.recorder.checks.values())
            found += [
                f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
                for check in checks
                if check.failure_info
            ]
    assert {"COVERAGE", "FUZZING", "STATEFUL_TESTING"} <= set(phases)
    assert found or phases["COVERAGE"] == phases["STATEFUL_TESTING"] == Status.SUCCESS
    return found


def test_example_answers_what_its_document_describes(bookmarks, bookmarks_document):
    assert problems(bookmarks, bookmarks_document, max_examples=10) == []


@pytest.mark.parametrize("path, method, status", FORGOTTEN)
def test_what_a_document_forgets_is_found(bookmarks, bookmarks_document, path, method, status):
    responses = bookmarks_document["paths"][path][method]["responses"]
    del responses[status]
    item = {method: bookmarks_document["paths"][path][method]}
    alone = {**bookmarks_document, "paths": {path: item}}
    found = problems(bookmarks, alone, max_examples=1)
    assert any("status_code_conformance" in problem for problem in found)


SCENARIOS = {title: scenario for title, scenario, _ in conformance.pairs()}

#: What subscribers of the application of the recordings raise.
OF_THE_APPLICATION = 507


def play(scenario, forgotten=None):
    """Judge the answers to a scenario; of the document, some status may be left out."""
    settings = {"cliquet.openapi_enabled": "true", **conformance.settings_of(scenario)}
    for kind in conformance.KINDS:
        settings[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.memory"
    app = conformance.application.make_app(settings)
    answer = webtest.TestApp(app).get("/v1/__api__", status=[200, 410])
    if answer.status_int == 410:  # the service has ended
        return
    document = answer.json
    for item in document["paths"].values():
        for method in set(item) - {"parameters"}:
            item[method]["responses"].pop(forgotten, None)
    judged = Described(app, document, "/v1", {OF_THE_APPLICATION})
    conformance.transcript.play(judged, scenario)


@pytest.mark.parametrize("title", SCENARIOS)
def test_recorded_requests_are_answered_as_documents_describe(title):
    """What each feature of the protocol answers, as the scenarios that were recorded use them."""
    play(SCENARIOS[title])


@pytest.mark.parametrize("status", ["200", "201", "304", "400", "401", "403", "404", "412"])
def test_answer_that_no_document_describes_is_noticed(status):
    with pytest.raises(AssertionError, match=status):
        for scenario in SCENARIOS.values():
            play(scenario, forgotten=status)
