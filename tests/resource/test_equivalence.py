"""Requests and batches have the same responses and effects on all transactional engines.

The clock stands still and ids are consecutive, so responses are compared with their timestamps.
"""

from contextlib import suppress
from itertools import count
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyramid import httpexceptions

from cliquet.events import ResourceChanged
from cliquet.resource import UserResource
from cliquet.storage.exceptions import RecordNotFoundError
from cliquet.storage.generators import UUID4
from tests.resource import apps
from tests.resource.apps import Book, Card, Note, Page, SharedCard

NOW = 1_500_000_000_000
IDS = [str(UUID(int=n, version=4)) for n in range(3)]
RESOURCES = ["draft", "note", "book", "card", "page", "sharedcard"]
USERS = ["alice", "bob"]


class Draft(UserResource):
    """Records that write another one, before they may be refused."""

    mapping = apps.AnyFields()

    def process_record(self, new, old=None):
        if new.get("title") in ("mirrored", "refused"):
            with suppress(RecordNotFoundError):
                self.model.delete_record({"id": IDS[0]})
            self.model.create_record({"id": IDS[0], "again": True})
            self.model.update_record({"id": IDS[0], "mirrored": True})
        if new.get("title") == "refused":
            raise httpexceptions.HTTPForbidden()
        return new


def follow(event):
    """Do what a changed record asks for: refuse it with all others, or write another one."""
    storage, parent_id = event.request.registry.storage, event.payload["user_id"]
    for impact in event.impacted_records:
        record = impact.get("new", {})
        if record.get("title") == "refused in the end":
            raise httpexceptions.HTTPForbidden()
        if record.get("title") == "mirrored":
            storage.update("note", parent_id, IDS[0], {"mirror of": record["id"]})


def make_app(engine, folder):
    return apps.build(
        *(Draft, Book, Note, Card, Page, SharedCard),
        settings={
            **apps.backends(engine, folder),
            "sharedcard_create_principals": "system.Authenticated",
        },
        setup=lambda config: config.add_subscriber(follow, ResourceChanged),
    )


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """Those of an application on each of the engines."""
    folder = tmp_path_factory.mktemp("equivalence")
    return [make_app(engine, folder) for engine in ("memory", "sqlite", "postgresql")]


MOMENTS = st.integers(NOW - 2, NOW + 12)
TAGS = MOMENTS.map(lambda moment: f'"{moment}"')
HEADERS = st.fixed_dictionaries({}, optional={"If-Match": TAGS}) | st.sampled_from(
    [{}, {}, {"If-None-Match": "*"}]
)
DATA = st.fixed_dictionaries(
    {"title": st.sampled_from(["", "a", "a", "mirrored", "refused", "refused in the end"])},
    optional={
        "id": st.sampled_from(IDS),
        "last_modified": MOMENTS,
        "number": st.integers(0, 2),
        "shelf": st.sampled_from(["", "left"]),
        "code": st.sampled_from(["", "x"]),
        "pages": st.sampled_from([1, "many"]),
    },
)
PERMISSIONS = st.dictionaries(
    st.sampled_from(["read", "write"]),
    st.lists(st.sampled_from(["system.Everyone", "system.Authenticated", "x"]), max_size=2),
    max_size=2,
)
QUERIES = (
    st.just("")
    | st.sampled_from(["?title=a", "?_since=1", "?_sort=title"])
    | MOMENTS.map("?last_modified={}".format)
)
METHODS = st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "GET"])


@st.composite
def requests(draw):
    """One of a batch, of one of the users."""
    method, path = draw(METHODS), f"/{draw(st.sampled_from(RESOURCES))}s"
    if method in ("PUT", "PATCH") or (method != "POST" and draw(st.booleans())):
        path += "/" + draw(st.sampled_from(IDS))
    if method in ("GET", "DELETE"):
        path += draw(QUERIES)
    generated = {"method": method, "path": path, "headers": draw(HEADERS)}
    if method in ("POST", "PUT", "PATCH"):
        generated["body"] = {"data": draw(DATA)}
        if path.startswith(("/pages", "/sharedcards")) and draw(st.booleans()):
            generated["body"]["permissions"] = draw(PERMISSIONS)
    return draw(st.sampled_from(USERS)), generated


BATCHES = st.lists(st.lists(requests(), min_size=1, max_size=7), min_size=1, max_size=3)


def draft(title):
    body = {"data": {"title": title}}
    return "alice", {"method": "POST", "path": "/drafts", "headers": {}, "body": body}


def responses_to(client, batches):
    """Yield the responses to the batches, then the lists and records."""
    users = {name: client.user(name) for name in USERS}
    for batch in batches:
        items = [
            {**request, "headers": {**request["headers"], **users[name]._headers}}
            for name, request in batch
        ]
        response = client.send("POST", "/batch", {"requests": items}, status="*")
        yield [response.status_code, response.json]
    for name, user in users.items():
        for resource in RESOURCES:
            response = user.get(f"/{resource}s?_since=1", status="*")
            yield name, resource, response.status_code, response.json, response.headers.get("ETag")
        for resource in RESOURCES[-2:]:
            for id_ in IDS:
                yield name, id_, user.get(f"/{resource}s/{id_}", status="*").json


def freeze(monkeypatch):
    """Let the clock stand still, and the ids that are made be counted."""
    made = count(100)
    monkeypatch.setattr("cliquet.utils.msec_time", lambda: NOW)
    monkeypatch.setattr(UUID4, "__call__", lambda self: str(UUID(int=next(made), version=4)))


@given(batches=BATCHES)
@example(batches=[[draft("a"), draft("refused"), draft("mirrored")]])
def test_any_batch_has_equal_responses_and_effects_on_all_engines(clients, batches):
    results = []
    for client in clients:
        client.permission.flush()
        with pytest.MonkeyPatch.context() as monkeypatch:
            freeze(monkeypatch)
            client.storage.flush()
            results.append(list(responses_to(client, batches)))
    for others in results[1:]:
        for mine, other in zip(results[0], others, strict=True):
            assert other == mine
