"""Streams of the changes to a list."""

import asyncio
import datetime
import random
import re
import uuid
import weakref

import pytest
from pyramid.httpexceptions import HTTPNotFound

from cliquet.authentication import BasicAuthAuthenticationPolicy
from cliquet.client.copies import checksum
from cliquet.http.live import ListNote
from cliquet.live import streams
from cliquet.live.events import event
from cliquet.live.polls import Poll, Poller, polling_query, polling_scope
from cliquet.storage.exceptions import BackendError
from tests.live.conftest import SETTINGS, TIMEOUT, Service, running
from tests.resource import apps
from tests.resource.apps import ENGINES, SERVED, Note, Page

PAST, FUTURE = (
    (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).isoformat()
    for days in (-1, 1)
)


async def create(client, path, data, **others):
    return await asyncio.to_thread(client.create, path, data, **others)


@pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
@running
async def test_stream_contains_the_records_and_then_each_change(service, alice):
    # These end lines in Python, but not in events.
    note = alice.create("/notes", {"n": 1, "title": "\u2028\u2029\x85\r\n\v"})
    async with service.streaming("/notes") as stream:
        first = await stream.event()
        assert (first["event"], first.records) == ("change", [note])
        assert first["id"] == alice.get("/notes").headers["ETag"]
        second = await create(alice, "/notes", {"n": 2})
        change = await stream.event()
        assert change.records == [second]
        assert change["id"] == f'"{second["last_modified"]}"'
        response = await asyncio.to_thread(alice.delete, f"/notes/{note['id']}")
        assert (await stream.event()).records == [response.json["data"]]


@running
async def test_headers_describe_the_stream(service, alice):
    stream = service.stream("/notes?_limit=1", headers={"origin": "http://a.example"})
    status, headers = await stream.start()
    assert status == 200
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-store"
    assert headers["access-control-allow-origin"]
    assert {"etag", "content-length", "next-page", "total-records"} & headers.keys() == set()
    stream.disconnect()
    await stream.task


@running
async def test_stream_continues_after_a_timestamp(service, alice):
    old, new = (alice.create("/notes", {"n": n}) for n in range(2))
    since = f"_since={old['last_modified']}"
    async with service.streaming(f"/notes?{since}&_token=") as stream:
        assert (await stream.event()).records == [new]
    # A client that connects again sends the id of the latest event.
    last = {"last-event-id": f'"{new["last_modified"]}"'}
    async with service.streaming(f"/notes?{since}", headers=last) as stream:
        assert (await stream.event()).records == []
        third = await create(alice, "/notes", {"n": 3})
        assert (await stream.event()).records == [third]


@running
async def test_stream_is_filtered_like_the_list(service, alice):
    path = "/notes?min_n=2&_fields=n&title=%C3%A9"
    async with service.streaming(path) as stream:
        assert (await stream.event()).records == []
        await create(alice, "/notes", {"n": 1, "title": "é"})
        assert (await stream.event()).records == []  # the id moves on
        note = await create(alice, "/notes", {"n": 2, "title": "é"})
        expected = {name: note[name] for name in ("n", "id", "last_modified")}
        assert (await stream.event()).records == [expected]


@running
async def test_only_the_last_page_has_an_id_and_a_checksum(service, alice):
    notes = [alice.create("/notes", {"n": n}) for n in range(3)]
    async with service.streaming("/notes?_limit=1&_sort=n") as stream:
        events = [await stream.event() for _ in notes]
        assert [event.records for event in events] == [[note] for note in notes]
        assert ["id" in event for event in events] == [False, False, True]
        checksums = [event.json.get("checksum") for event in events]
        assert checksums == [None, None, checksum(note["last_modified"] for note in notes)]


@running
async def test_list_that_changes_between_its_pages_has_no_checksum_before_the_next_event(
    service, alice, monkeypatch
):
    async def poll(poller, scope, query):
        if "_token" in query and len(notes) == 2:
            notes.append(await create(alice, "/notes", {"n": 0}))
        return await original(poller, scope, query)

    notes = [alice.create("/notes", {"n": n}) for n in (1, 2)]
    original = Poller.poll
    monkeypatch.setattr(Poller, "poll", poll)
    async with service.streaming("/notes?_limit=1&_sort=n") as stream:
        events = [await stream.event() for _ in range(3)]
    assert [event.records for event in events] == [[note] for note in notes]
    checksums = [event.json.get("checksum") for event in events]
    assert checksums == [None, None, checksum(note["last_modified"] for note in notes)]


@running
async def test_changes_of_other_users_are_not_shown(service, alice):
    async with service.streaming("/notes") as stream:
        await stream.event()
        await create(service.client.user("bob"), "/notes", {"n": 1})
        note = await create(alice, "/notes", {"n": 2})
        assert (await stream.event()).records == [note]


@running
async def test_flush_is_an_event(service, alice):
    alice.create("/notes", {"n": 1})
    async with service.streaming("/notes") as stream:
        first = await stream.event()
        await asyncio.to_thread(service.client.flush)
        assert (await stream.event())["id"] != first["id"]


@running
async def test_equal_streams_share_polls(service, alice):
    async with service.streaming("/notes") as first, service.streaming("/notes") as second:
        for stream in (first, second):
            await stream.event()
        count = service.requests
        note = await create(alice, "/notes", {"n": 1})
        for stream in (first, second):
            assert (await stream.event()).records == [note]
        assert service.requests == count + 1


@running
async def test_prometheus_metrics_include_streams(tmp_path):
    settings = {**SETTINGS, "includes": "cliquet.prometheus"}
    with apps.builder("memory", tmp_path) as build:
        service = Service(build(Note, settings=settings))
        alice = service.client.user("alice")
        assert "cliquet_live" not in alice.get("/__metrics__").text
        async with service.streaming("/notes") as stream:
            await stream.event()
            await create(alice, "/notes", {"n": 1})
            await stream.event()
            assert "cliquet_live_streams 1.0" in alice.get("/__metrics__").text
        metrics = alice.get("/__metrics__").text
        assert "cliquet_live_streams 0.0" in metrics
        assert "cliquet_live_delay_seconds_count 1.0" in metrics


async def follow(stream, last_id):
    """Return a copy that contains a record, which is the last change."""
    copy = {}
    while last_id not in copy:
        event = await stream.event()
        for record in event.records:
            if record.get("deleted"):
                copy.pop(record["id"], None)
            else:
                copy[record["id"]] = record
    assert event.json["checksum"] == checksum(each["last_modified"] for each in copy.values())
    return copy


def write(alice, seed):
    """Create, change and delete records."""
    choose = random.Random(seed).choice
    notes = []
    for n in range(12):
        action = choose(["create", "create", "patch", "delete"]) if notes else "create"
        if action == "create":
            notes.append(alice.create("/notes", {"n": n})["id"])
        elif action == "patch":
            alice.patch(f"/notes/{choose(notes)}", {"n": n})
        else:
            alice.delete(f"/notes/{notes.pop()}")


@pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
@running
async def test_streams_are_exact_during_concurrent_writes(service, alice):
    last_id = str(uuid.uuid4())
    async with service.streaming("/notes") as first, service.streaming("/notes") as second:
        followers = [asyncio.create_task(follow(stream, last_id)) for stream in (first, second)]
        await asyncio.gather(*(asyncio.to_thread(write, alice, seed) for seed in range(3)))
        await create(alice, "/notes", {"id": last_id})
        copies = await asyncio.gather(*followers)
    records = {record["id"]: record for record in alice.list("/notes")}
    assert copies == [records, records]


# Ends


@running
async def test_lost_permission_ends_the_stream_with_a_reset(service, alice):
    bob = service.client.user("bob")
    page = alice.create("/pages", {"n": 1}, permissions={"read": [bob.id]})
    path = f"/pages/{page['id']}"
    async with service.streaming("/pages", user="bob") as stream:
        assert (await stream.event()).records == [page]
        await asyncio.to_thread(alice.patch, path, None, permissions={"read": []})
        while (event := await stream.event())["event"] == "change":
            assert event.records == []
        assert (event["event"], event.json["errno"]) == ("reset", 121)
        assert await stream.event() is None


class SharedList:
    """A list of two records of Alice, which Bob polls.

    The public methods share the list, or records of it, with Bob. They return a function that
    changes the responses to his polls, but not the timestamp of the collection.
    """

    def __init__(self, client, patch):
        self.user_id = client.user("bob").id
        self.patch = patch
        self.settings, self.permission = client.registry.settings, client.permission
        alice = client.user("alice")
        self.page, self.other = (alice.create("/pages", {"n": n}) for n in range(2))

    def share(self, path="/pages", principal=None):
        entry = path, "read", principal or self.user_id
        self.permission.add_principal_to_ace(*entry)
        return lambda: self.permission.remove_principal_from_ace(*entry)

    def share_record(self, record=None):
        return self.share(f"/pages/{(record or self.page)['id']}")

    def share_record_and_list(self):
        self.share_record()
        return self.share()

    def share_record_and_later_another(self):
        self.share_record()
        return lambda: self.share_record(self.other)

    def share_with_group(self):
        self.share(principal="readers")
        self.permission.add_user_principal(self.user_id, "readers")
        return lambda: self.permission.remove_user_principal(self.user_id, "readers")

    def share_by_settings(self):
        self.patch.setitem(self.settings, "page_read_principals", self.user_id)
        return lambda: self.patch.delitem(self.settings, "page_read_principals")

    def expire_credentials(self):
        return self._patch(BasicAuthAuthenticationPolicy, "unauthenticated_userid", None)

    def hide(self):
        return self._patch(Page, "get_parent_id", HTTPNotFound())

    def fail(self):
        return self._patch(Page, "get_parent_id", BackendError(message="down"))

    def end_service(self):
        return self._set("eos", PAST)

    def slow_down(self):
        return self._set("backoff", 10)

    def _patch(self, owner, name, result):
        def method(*args):
            if isinstance(result, Exception):
                raise result
            return result

        self.share()
        return lambda: self.patch.setattr(owner, name, method)

    def _set(self, key, value):
        self.share()
        return lambda: self.patch.setitem(self.settings, key, value)


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("share", "reset", 403),
        ("share_record", "reset", 403),
        ("share_record_and_list", "change", None),
        ("share_record_and_later_another", "change", None),
        ("share_with_group", "reset", 403),
        ("share_by_settings", "reset", 403),
        ("expire_credentials", "reset", 401),
        ("hide", "error", 404),
        ("fail", "error", 503),
        ("end_service", "error", 410),
        ("slow_down", "backoff", None),
    ],
)
@running
async def test_stream_reports_changes_that_keep_the_timestamp(
    service, monkeypatch, name, kind, code
):
    monkeypatch.setitem(service.client.registry.settings, "live_permissions_seconds", 0.03)
    change = getattr(SharedList(service.client, monkeypatch), name)()
    async with service.streaming("/pages", user="bob") as stream:
        first = await stream.event()
        await stream.comment()  # of a poll that found no change
        await asyncio.to_thread(change)
        event = await stream.event()
        assert (event["event"], event.json.get("code")) == (kind, code)
        if kind == "change":
            assert (event["id"], event.records) == (first["id"], [])
            assert event.json["checksum"] != first.json["checksum"]
        else:
            assert await stream.event() is None


@running
async def test_overloaded_service_only_sends_the_first_changes(service, alice, monkeypatch):
    note = alice.create("/notes", {"n": 1})
    monkeypatch.setitem(service.client.registry.settings, "backoff", 10)
    async with service.streaming("/notes") as stream:
        assert (await stream.event()).records == [note]
        assert (await stream.event())["event"] == "backoff"
        assert await stream.event() is None


@running
async def test_alert_is_an_event_once(service, alice, monkeypatch):
    monkeypatch.setitem(service.client.registry.settings, "eos", FUTURE)
    async with service.streaming("/notes") as stream:
        names = [(await stream.event())["event"] for _ in range(2)]
        await create(alice, "/notes", {"n": 1})
        await create(alice, "/notes", {"n": 2})
        names.append((await stream.event())["event"])
        assert names == ["change", "alert", "change"]


@running
async def test_stream_that_the_server_cancels_ends_without_an_error(service):
    stream = service.stream("/notes")
    await stream.start()
    await stream.event()
    stream.task.cancel()
    assert await stream.event() is None


# Connections


@running
async def test_comments_show_that_the_stream_is_alive(service, monkeypatch):
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.02)
    async with service.streaming("/notes") as stream:
        await stream.event()
        for _ in range(2):
            await stream.comment()


@running
async def test_quiet_stream_keeps_no_records_in_memory(service, alice, monkeypatch):
    def get(poller, scope):
        poll = original(poller, scope)
        polls.append(weakref.ref(poll))
        return poll

    polls, original = [], Poller._get
    monkeypatch.setattr(Poller, "_get", get)
    async with service.streaming("/notes") as stream:
        for count in (1, 2):
            await stream.event()
            async with asyncio.timeout(TIMEOUT):
                while any(poll() for poll in polls):
                    await asyncio.sleep(0.01)
            assert len(polls) == count
            await create(alice, "/notes", {"n": count})


@running
async def test_pages_for_a_client_that_has_disconnected_are_not_read(service, alice):
    for n in range(3):
        alice.create("/notes", {"n": n})
    stream = service.stream("/notes?_limit=1")
    stream.may_read.clear()
    count = service.requests
    stream.disconnect()
    async with asyncio.timeout(TIMEOUT):
        while not stream.sent.empty():
            await asyncio.sleep(0.01)
        stream.may_read.set()
        await stream.task
    assert service.requests == count + 1


@running
async def test_client_that_does_not_read_an_error_is_disconnected(service, monkeypatch):
    monkeypatch.setattr(streams, "SEND_TIMEOUT_SECONDS", 0.05)
    stream = service.stream("/unknown")
    stream.may_read.clear()
    await stream.start()
    await asyncio.wait_for(stream.task, TIMEOUT)
    assert stream.received.empty()


@running
async def test_client_that_does_not_read_is_disconnected(service, alice, monkeypatch):
    monkeypatch.setattr(streams, "SEND_TIMEOUT_SECONDS", 0.05)
    stream = service.stream("/notes")
    await stream.start()
    await stream.event()
    stream.may_read.clear()
    await create(alice, "/notes", {"n": 1})
    await asyncio.wait_for(stream.task, 20)
    assert stream.received.empty()


# Other requests


@pytest.mark.parametrize("engine", ["postgresql"])
@running
async def test_requests_send_the_same_statements_as_on_wsgi_servers(service, alice, statements):
    alice.create("/notes", {"n": 1})
    statements.clear()
    expected = alice.get("/notes").text, statements[:]
    assert expected[1]
    statements.clear()
    connection = service.request("/notes")
    await connection.start()
    assert ((await connection.body()).decode(), statements) == expected


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream, application/json", True),
        ("TEXT/Event-Stream;charset=utf-8, */*", True),
        ("application/json;q=0.5, text/event-stream;q=0.6", True),
        ("application/json, text/event-stream;q=0.9", False),
        ("text/event-stream;q=0, */*", False),
        ("*/*", False),
        ('application/json;x=", text/event-stream, "', False),
        ("text/event-stream;q=x", False),
    ],
)
@running
async def test_type_that_the_client_prefers_is_sent(service, accept, is_stream):
    stream = service.request("/notes", headers={"accept": accept})
    _, headers = await stream.start()
    assert (headers["content-type"] == "text/event-stream") == is_stream
    stream.disconnect()
    await stream.task


def test_polls_request_the_whole_body_unconditionally():
    own = (b"accept-encoding", b"range", b"if-modified-since", b"if-unmodified-since")
    headers = [*((name, b"x") for name in own), (b"host", b"a")]
    assert polling_scope({"headers": headers})["headers"] == [(b"host", b"a")]


def test_polls_request_the_changes_since_the_latest_event():
    query = "n=1&_since=5&_token=x"
    assert polling_query(query, None) == query
    assert polling_query(query, '"6"') == "n=1&_since=%226%22"


@pytest.mark.parametrize("headers", [{}, {"if-none-match": "*"}, {"if-match": "x"}], ids=str)
@running
async def test_conditions_of_the_client_are_ignored(service, alice, headers):
    note = alice.create("/notes", {"n": 1})
    since, own = note["last_modified"], checksum([note["last_modified"]])
    path = f"/notes?_since={since}&_checksum={own}"
    async with service.streaming(path, headers=headers) as stream:
        assert (await stream.event()).json == {"data": [], "checksum": own}


@pytest.mark.parametrize(
    ("path", "user", "status"),
    [
        ("/notes", None, 401),
        ("/pages", "carol", 403),
        ("/unknown", "alice", 404),
        ("/notes?_limit=x", "alice", 400),
        ("/notes?_checksum=x", "alice", 400),
        ("/notes?_since=5&_checksum=1-2", "alice", 400),
        ("/notes/{id}", "alice", 406),
    ],
)
@running
async def test_errors_are_responses_in_json(service, alice, path, user, status):
    note = alice.create("/notes", {"n": 1})
    connection = service.stream(path.format(**note), user)
    code, headers = await connection.start()
    assert code == status
    assert headers["content-type"].startswith("application/json")
    assert b'"errno"' in await connection.body()
    assert service.requests == 1


@pytest.mark.parametrize("accept", ["text/event-stream", "text/event-stream, */*;q=0.1"])
@pytest.mark.parametrize("path", ["/__heartbeat__", "/notes/{id}", "/notes/?n=1", "/unknown"])
@pytest.mark.parametrize("condition", [None, "If-Match", "If-None-Match"])
@running
async def test_response_that_is_not_a_list_is_that_of_wsgi_servers(
    service, alice, path, condition, accept
):
    note = alice.create("/notes", {"n": 1})
    tags = {"If-Match": '"1"', "If-None-Match": f'"{note["last_modified"]}"'}
    sent = {"accept": accept, **({condition: tags[condition]} if condition else {})}
    path = path.format(**note)
    expected = alice.get(path, sent, status="*")
    connection = service.request(path, headers=sent)
    status, headers = await connection.start()
    assert (status, headers.get("location")) == (expected.status_code, expected.location)
    assert await connection.body() == expected.body
    assert service.requests == 1


def test_stream_is_refused_by_wsgi_servers(alice):
    response = alice.get("/notes", {"Accept": "text/event-stream"}, status=406)
    assert "application/json" in response.json["message"]


def test_last_event_of_a_poll_contains_the_checksum_of_the_view():
    poll = Poll(200, {"checksum": "1-2-3"}, [], b'{"data": []}', ListNote())
    assert poll.change == b'event: change\ndata: {"data":[],"checksum":"1-2-3"}\n\n'
    assert poll.text() == '{"data":[]}'


def test_event_has_a_line_for_each_line_of_data():
    expected = b"event: x\nid: 1\ndata: a\ndata: b\n\n"
    for end in ("\n", "\r", "\r\n"):
        assert event("x", f"a{end}b", "1") == expected


def test_clients_whose_streams_end_together_connect_again_at_different_times():
    events = {event("x", "a", retry="2") for _ in range(100)}
    assert len(events) > 10
    times = [int(re.fullmatch(b"event: x\nretry: (.+)\ndata: a\n\n", each)[1]) for each in events]
    assert 2000 <= min(times) <= max(times) <= 3000
    assert event("x", "a", retry="soon") == b"event: x\ndata: a\n\n"
