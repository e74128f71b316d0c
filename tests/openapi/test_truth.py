"""The document is true: every response is one that it describes."""

from functools import partial
from itertools import chain

import pytest
import schemathesis
import webtest
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from cliquet.testing import get_user_headers
from tests.conformance import test_conformance as conformance
from tests.openapi.openapi_checker import OpenAPIChecker

#: Undocumented responses, headers, bodies and types; and failures.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)

#: Of the operations that respond alike, one gets every combination of parameters, of which lists
#: have many; the others get a few random ones.
SIMILAR = (
    *("HEAD /bookmarks", "DELETE /bookmarks"),
    *("GET /articles", "HEAD /articles", "DELETE /articles"),
    *("HEAD /bookmarks/{id}", "HEAD /articles/{id}"),
    *("POST /bookmarks", "PUT /bookmarks/{id}", "PATCH /bookmarks/{id}"),
    *("OPTIONS /", "OPTIONS /__api__", "OPTIONS /__heartbeat__", "OPTIONS /__lbheartbeat__"),
    *("OPTIONS /articles", "OPTIONS /articles/{id}", "OPTIONS /batch", "OPTIONS /score/{game}"),
)

#: A document that omits a status: tests that accept it would be worthless.
FORGOTTEN = [("/bookmarks", "post", "201"), ("/score/{game}", "get", "200"), ("/", "get", "200")]


def problems(app, document, max_examples):
    """Return the failures that schemathesis finds in a bounded number of requests."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "base-url": "http://localhost/v1",
            "headers": get_user_headers("alice"),
            "generation": {"max-examples": max_examples, "deterministic": True, "database": "none"},
            "operations": [
                {
                    "include-name": name,
                    "generation": {"max-examples": min(max_examples, 3)},
                    "phases": {"coverage": {"enabled": False}},
                }
                for name in SIMILAR
            ],
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
        }
    )
    schema = schemathesis.openapi.from_dict(document, config=config)
    # Or else WebOb copies large bodies to files, which stay open.
    schema.app = lambda environ, start: app({**environ, "webob.is_body_seekable": True}, start)
    failures, phases = [], {}
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.FatalError), event.exception
        if isinstance(event, events.PhaseFinished):
            phases[event.phase.name.name] = event.status
        if isinstance(event, events.NonFatalError):
            failures.append(f"{event.label}: {event.value}")
        if isinstance(event, events.ScenarioFinished):
            checks = chain.from_iterable(event.recorder.checks.values())
            failures += [
                f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
                for check in checks
                if check.failure_info
            ]
    assert {"COVERAGE", "FUZZING", "STATEFUL_TESTING"} <= set(phases)
    assert failures or phases["COVERAGE"] == phases["STATEFUL_TESTING"] == Status.SUCCESS
    return failures


def test_example_responds_as_its_document_describes(bookmarks, bookmarks_document):
    assert problems(bookmarks, bookmarks_document, max_examples=5) == []


@pytest.mark.parametrize("path, method, status", FORGOTTEN)
def test_status_missing_from_a_document_is_found(
    bookmarks, bookmarks_document, path, method, status
):
    responses = bookmarks_document["paths"][path][method]["responses"]
    del responses[status]
    item = {method: bookmarks_document["paths"][path][method]}
    alone = {**bookmarks_document, "paths": {path: item}}
    failures = problems(bookmarks, alone, max_examples=1)
    assert any("status_code_conformance" in problem for problem in failures)


PAIRS = {title: (scenario, recorded) for title, scenario, recorded in conformance.pairs()}

#: Status of the errors that subscribers of the recorded application raise.
OF_THE_APPLICATION = 507


@pytest.fixture
def play(applications):
    return partial(_play, applications)


def _play(applications, scenario, forgotten=None):
    """Check the responses to a scenario; a status may be removed from the document."""
    settings = {"cliquet.openapi_enabled": "true", **conformance.settings_of(scenario)}
    for kind in conformance.KINDS:
        settings[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.memory"
    app = conformance.shared(applications, settings)
    response = webtest.TestApp(app).get("/v1/__api__", status=[200, 410])
    if response.status_int == 410:  # the service has ended
        return
    document = response.json
    for item in document["paths"].values():
        for method in set(item) - {"parameters"}:
            item[method]["responses"].pop(forgotten, None)
    checked = OpenAPIChecker(app, document, "/v1", {OF_THE_APPLICATION})
    conformance.transcript.play(checked, scenario)


@pytest.mark.parametrize("title", PAIRS)
def test_responses_to_recorded_requests_are_as_documented(play, title):
    """Each scenario that was recorded uses a feature of the protocol."""
    scenario, _ = PAIRS[title]
    play(scenario)


@pytest.mark.parametrize("status", [200, 201, 304, 400, 401, 403, 404, 412])
def test_undocumented_status_is_noticed(play, status):
    with pytest.raises(AssertionError, match=str(status)):
        for scenario, recorded in PAIRS.values():
            if any(step["status"] == status for step in recorded["steps"]):
                play(scenario, forgotten=str(status))
