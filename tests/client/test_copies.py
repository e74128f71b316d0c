"""Copies of resources, kept up to date by polls and verified by checksums."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliquet.client import Forbidden, ProtocolError, ServerError, copies
from cliquet.client.copies import checksum
from cliquet.errors import ERRORS
from cliquet.storage.checksums import Checksum
from tests.client.conftest import PAGE
from tests.client.fault_proxy import DROP, PASS, Response, error, success

FORBIDDEN = ERRORS.FORBIDDEN.value


@pytest.fixture
def spores(client):
    return client.resource("/spores")


@pytest.fixture
def copy(client):
    return client.copy("/spores")


def by_id(records):
    return {record["id"]: record for record in records}


def contents(resource):
    return by_id(resource.list())


def page(times, tag, verified=True, following=None, fields=None):
    """Return a page of records whose ids are their timestamps."""
    records = [{"id": str(time), "last_modified": time, **(fields or {})} for time in times]
    headers = {"ETag": f'"{tag}"', "Total-Records": str(len(records))}
    if verified is not None:
        headers["Checksum"] = checksum(times) if verified is True else verified
    if following:
        headers["Next-Page"] = f"http://elsewhere/v1/spores?_token={following}"
    return success(records, headers)


def not_modified(tag, verified):
    return Response(304, {"ETag": f'"{tag}"', "Checksum": verified}, b"")


@given(st.lists(st.integers(0, 2**53), unique=True))
def test_checksum_is_that_of_the_server(times):
    assert checksum(times) == str(Checksum().add(*times))


def test_copy_follows_the_changes(spores, copy, proxy):
    assert (copy.records, copy.timestamp, copy.verified) == ({}, None, False)
    assert copy.poll() == []
    assert copy.verified is True
    first = spores.create({"name": "a"}).data
    second = spores.create({"name": "b"}).data
    assert by_id(copy.poll()) == by_id([first, second])
    changed = spores.patch(first["id"], {"name": "c"}).data
    spores.delete(spores.create({"name": "d"}).data["id"])
    gone = spores.delete(second["id"]).data
    assert by_id(copy.poll()) == by_id([changed, gone])
    assert copy.records == {first["id"]: changed}
    assert copy.verified is True
    proxy.script()
    assert copy.poll() == []
    assert copy.verified is True
    ((method, path, _, _),) = proxy.requests
    time = gone["last_modified"]
    assert path == f"/v1/spores?_checksum={checksum([changed['last_modified']])}&_since={time}"
    assert repr(copy) == "<Copy /spores: 1 records>"


def test_copy_of_several_pages_is_verified(spores, copy, proxy):
    for n in range(2 * PAGE + 1):
        spores.create({"n": n})
    proxy.script()
    assert len(copy.poll()) == 2 * PAGE + 1
    assert (copy.verified, len(proxy.requests)) == (True, 3)
    assert copy.records == contents(spores)


def test_earlier_copy_is_continued(spores, client, copy, proxy):
    spores.create({"n": 1})
    copy.poll()
    created = spores.create({"n": 2}).data
    continued = client.copy("/spores", copy.records.values(), copy.timestamp)
    assert continued.poll() == [created]
    assert continued.verified is True
    assert client.copy("/spores", copy.records.values()).records == {}


def test_differences_without_timestamp_are_repaired(spores, copy, proxy):
    records = [spores.create({"n": n}).data for n in range(PAGE + 3)]
    copy.poll()
    ghost = {"id": "ghost", "last_modified": 1}
    copy.records["ghost"] = ghost
    del copy.records[records[0]["id"]]
    copy.records[records[1]["id"]] = {**records[1], "last_modified": 2, "n": "old"}
    changes = copy.poll()
    assert {"id": "ghost", "deleted": True} in changes
    assert [change for change in changes if change["id"] != "ghost"] == [records[1], records[0]]
    assert copy.verified is True
    assert copy.records == by_id(records)


def test_revoked_permission_removes_the_record_from_the_copy(client, connect, proxy):
    articles = client.resource("/articles")
    bob = connect(proxy.url, auth=(str(uuid.uuid4()), "secret"))
    readable = {"read": [bob.server_info()["user"]["id"]]}
    ids = [articles.create({}, permissions=readable).data["id"] for _ in range(3)]
    copy = bob.copy("/articles")
    copy.poll()
    assert copy.records.keys() == set(ids)
    articles.patch(ids[0], permissions={"read": []})
    assert copy.poll() == [{"id": ids[0], "deleted": True}]
    assert (copy.verified, ids[1] in copy.records) == (True, True)
    articles.delete(ids[1])
    assert copy.poll() == [{"id": ids[1], "deleted": True}]
    assert copy.verified is True
    articles.patch(ids[2], permissions={"read": []})
    with pytest.raises(Forbidden):
        copy.poll()
    assert (copy.records, copy.timestamp, copy.verified) == ({}, None, False)
    shared = articles.patch(ids[0], permissions=readable).data
    assert copy.poll() == [shared]
    assert copy.verified is True
    proxy.script(error(403))  # of a proxy, for example
    with pytest.raises(Forbidden):
        copy.poll()
    assert (copy.records, copy.verified) == ({ids[0]: shared}, False)


def test_service_without_checksums_costs_nothing(copy, proxy):
    proxy.script(page([5], 5, None), page([6], 6, None))
    assert len(copy.poll()) == len(copy.poll()) == 1
    assert copy.verified is None
    paths = [path for _, path, *_ in proxy.requests]
    assert paths == ["/v1/spores?_checksum=", "/v1/spores?_checksum=&_since=5"]


def test_difference_that_remains_is_reported_after_one_repair(copy, proxy):
    proxy.script(*[page([5], 5, "9-9-9")] * 3)
    assert len(copy.poll()) == 1
    assert copy.verified is False
    assert [path for _, path, *_ in proxy.requests] == [
        "/v1/spores?_checksum=",
        "/v1/spores?_fields=last_modified",
        f"/v1/spores?_checksum={checksum([5])}&_since=5",
    ]


def test_list_that_changes_between_its_pages_is_completed(copy, proxy):
    proxy.script(
        page([5], 5, following="x"), page([4], 6, "3-0-0"), page([6], 6, checksum([4, 5, 6]))
    )
    assert len(copy.poll()) == 3
    assert (copy.verified, copy.timestamp, len(proxy.requests)) == (True, 6, 3)


def test_timestamp_of_a_restored_backup_is_adopted(copy, proxy):
    proxy.script(page([7], 9))
    copy.poll()
    proxy.script(
        page([], 4, checksum([3])), page([3], 4), page([3], 4), not_modified(4, checksum([3]))
    )
    assert [change["id"] for change in copy.poll()] == ["7", "3"]
    assert (copy.verified, copy.timestamp) == (True, 4)
    assert "in_id=%223%22" in proxy.requests[2][1]


def test_restored_backup_is_noticed_without_checksums(copy, proxy):
    proxy.script(page([3, 7], 9, None))
    copy.poll()
    proxy.script(page([], 6, None), error(500))
    with pytest.raises(ServerError):
        copy.poll()
    proxy.script(page([], 6, None), page([3, 5], 6, None), page([5], 6, None), page([], 6, None))
    assert [change["id"] for change in copy.poll()] == ["7", "5"]
    assert (copy.records.keys(), copy.verified, copy.timestamp) == ({"3", "5"}, None, 6)
    paths = [path for _, path, *_ in proxy.requests]
    assert paths[1] == "/v1/spores?_fields=last_modified"
    assert paths[3].endswith("&_since=6")


def test_response_of_a_cache_without_the_checksum_proves_nothing(copy, proxy):
    proxy.script(page([5], 5), Response(304, {"ETag": '"5"'}, b""))
    copy.poll()
    copy.poll()
    assert copy.verified is None


def test_failed_poll_is_continued_by_the_next_one(spores, copy, proxy, clock):
    for n in range(PAGE + 1):
        spores.create({"n": n})
    proxy.script(PASS, error(500))
    with pytest.raises(ServerError):
        copy.poll()
    assert (copy.verified, copy.timestamp) == (False, None)
    proxy.script(DROP, PASS)
    copy.poll()
    assert copy.verified is True
    assert copy.records == contents(spores)


def test_next_poll_returns_the_changes_of_a_failed_one(copy, proxy):
    proxy.script(page([5, 6], 6), page([7], 7, "9-9-9"), error(500), page([7], 7, checksum([5, 7])))
    copy.poll()
    with pytest.raises(ServerError):
        copy.poll()
    proxy.steps += [page([5, 7], 7), not_modified(7, checksum([5, 7]))]
    assert [change["id"] for change in copy.poll()] == ["7", "6"]
    assert copy.verified is True
    proxy.steps += [page([8], 8, "9-9-9"), error(500), error(403, FORBIDDEN), page([9], 9)]
    for kind in (ServerError, Forbidden):
        with pytest.raises(kind):
            copy.poll()
    assert [change["id"] for change in copy.poll()] == ["9"]


def test_record_with_a_field_named_deleted_is_kept(copy, proxy):
    fields = [{"deleted": True}, {"name": "x", "deleted": True}, {"deleted": False}]
    proxy.script(*(page([n], n, None, fields=each) for n, each in enumerate(fields)))
    for _ in fields:
        copy.poll()
    assert copy.records.keys() == {"0", "1", "2"}


@pytest.mark.parametrize(
    "damaged", [None, "text", {}, {"id": "a"}, {"id": 1, "last_modified": 1}, {"last_modified": 1}]
)
def test_damaged_copy_is_read_again(spores, client, damaged):
    created = spores.create({}).data
    copy = client.copy("/spores", [created, damaged], created["last_modified"])
    assert copy.poll() == [created]
    assert copy.verified is True


@pytest.mark.parametrize("record", [None, {"uuid": "a"}])
def test_list_of_other_objects_is_refused(copy, proxy, record):
    invalid = success([record], {"ETag": '"1"'})
    proxy.script(page([5], 5), invalid, invalid)
    copy.poll()
    with pytest.raises(ProtocolError, match="/spores: a record has no valid id or last_modified"):
        copy.poll()


def test_incomplete_list_is_refused(copy, proxy):
    incomplete = page([5], 5)
    proxy.script(incomplete._replace(headers={**incomplete.headers, "Total-Records": "2"}))
    with pytest.raises(ProtocolError, match="1 of 2 records"):
        copy.poll()


def test_ids_are_requested_in_parts_that_fit_into_a_url():
    short, long = [str(uuid.uuid4()) for _ in range(250)], ["x" * 2000] * 3
    slices = list(copies._slices([*short, *long]))
    assert sum(slices, []) == [*short, *long]
    assert all(len(ids) == 1 or sum(map(len, ids)) <= 3000 for ids in slices)
    assert max(map(len, slices)) <= 100
    assert list(copies._slices([])) == []
