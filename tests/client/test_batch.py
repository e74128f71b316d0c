"""Requests of a batch are sent together, and each is answered."""

import json

import pytest

from cliquet.client import (
    BatchError,
    NotFound,
    PreconditionFailed,
    ServiceUnavailable,
    TransportError,
    Unauthorized,
    new_id,
)
from tests.client.conftest import BATCH
from tests.client.fault_proxy import DROP, PASS, error, success


@pytest.fixture
def spores(client):
    return client.resource("/spores")


def test_requests_are_answered_when_the_block_ends(client, spores, proxy):
    kept, deleted = (spores.create({"name": "x"}).data for _ in range(2))
    proxy.script()
    with client.batch() as batch:
        part = batch.resource("/spores")
        created = part.create({"name": "é"})
        patched = part.patch(kept["id"], {"name": "y"}, if_match=kept["last_modified"])
        same = part.get(kept["id"], if_none_match=2**41)
        gone = part.delete(deleted["id"])
        assert not created.done()
        assert proxy.requests == []
    assert proxy.methods == ["GET", "POST"]
    assert created.result().status == 201
    assert patched.result().data["name"] == "y"
    assert patched.result().timestamp > kept["last_modified"]
    assert (same.result().status, same.result().data) == (304, None)
    assert gone.result().data["deleted"] is True


def test_batch_is_split_as_the_server_limits_it_which_is_asked_once(client, spores, proxy):
    for _ in range(2):
        with client.batch() as batch:
            part = batch.resource("/spores")
            futures = [part.create({"n": n}) for n in range(2 * BATCH + 1)]
        assert [future.result().data["n"] for future in futures] == list(range(2 * BATCH + 1))
    assert proxy.methods == ["GET", *["POST"] * 6]


@pytest.mark.parametrize(
    "settings", [{}, *({"batch_max_requests": unlimited} for unlimited in (None, 0, ""))]
)
def test_batch_is_one_where_there_is_no_limit(connect, proxy, settings):
    responses = [{"status": 200, "path": "/", "headers": {}, "body": {}}] * 30
    info = success(None)._replace(body=json.dumps({"settings": settings}).encode())
    response = info._replace(body=json.dumps({"responses": responses}).encode())
    proxy.script(info, response)
    with connect(proxy.url).batch() as batch:
        for _ in range(30):
            batch.resource("/spores").get(new_id())
    assert proxy.methods == ["GET", "POST"]


def test_nothing_is_sent_when_the_block_raises(client, proxy):
    with pytest.raises(ZeroDivisionError):
        with client.batch() as batch:
            future = batch.resource("/spores").create({})
            1 / 0  # noqa: B018 (what is wrong)
    assert proxy.requests == []
    assert future.cancelled()


def test_nothing_is_sent_for_an_empty_batch(client, proxy):
    with client.batch():
        pass
    assert proxy.requests == []


def test_requests_are_only_added_in_the_block(client):
    batch = client.batch()
    part = batch.resource("/spores")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="with block"):
            part.create({})
        with batch:
            pass


def test_what_is_refused_is_told_together_and_the_rest_is_done(client, spores):
    record = spores.create({"name": "x"}).data
    with pytest.raises(BatchError, match="2 of 3 requests failed") as caught:
        with client.batch() as batch:
            part = batch.resource("/spores")
            created = part.create({})
            missing = part.get(new_id())
            stale = part.patch(record["id"], {"name": "y"}, if_match=1)
    assert created.result().status == 201
    assert caught.value.exceptions == (missing.exception(), stale.exception())
    assert stale.exception().existing == record
    with pytest.raises(NotFound):
        missing.result()


def test_errors_of_a_batch_can_be_told_apart(client):
    known = client.resource("/spores").create({}).data
    caught = {}
    try:
        with client.batch() as batch:
            part = batch.resource("/spores")
            part.get(new_id())
            part.update(known["id"], {}, if_match=1)
            part.delete(new_id())
    except* NotFound as group:
        caught[NotFound] = group
    except* PreconditionFailed as group:
        caught[PreconditionFailed] = group
    assert {type(group) for group in caught.values()} == {BatchError}
    assert [len(group.exceptions) for group in caught.values()] == [2, 1]


def test_refusals_are_left_to_the_futures_where_the_caller_checks_them(client):
    with client.batch(check=False) as batch:
        missing = batch.resource("/spores").get(new_id())
    assert isinstance(missing.exception(), NotFound)


def test_batch_that_fails_answers_its_futures_and_cancels_those_after_it(connect, proxy):
    client = connect(proxy.url, retries=0)
    proxy.script(PASS, PASS, error(503, 201))
    with pytest.raises(ServiceUnavailable) as caught:
        with client.batch() as batch:
            part = batch.resource("/spores")
            futures = [part.create({}) for _ in range(3 * BATCH)]
    assert all(future.result().status == 201 for future in futures[:BATCH])
    assert all(future.exception() is caught.value for future in futures[BATCH : 2 * BATCH])
    assert all(future.cancelled() for future in futures[2 * BATCH :])


def test_nothing_is_sent_to_a_server_that_does_not_tell_its_limit(connect, proxy):
    proxy.script(error(401, 104))
    with pytest.raises(Unauthorized):
        with connect(proxy.url).batch() as batch:
            future = batch.resource("/spores").create({})
    assert future.cancelled()


def test_batch_is_sent_again_if_all_of_it_may_be(client, spores, proxy):
    with client.batch() as batch:
        created = batch.resource("/spores").create({"name": "x"})
        proxy.script(PASS, DROP)
    assert proxy.methods == ["GET", "POST", "POST"]
    assert created.result().data["name"] == "x"
    assert spores.list().total == 1


def test_batch_is_not_sent_again_if_a_part_may_not_be(client, spores, proxy):
    with pytest.raises(TransportError):
        with client.batch() as batch:
            batch.resource("/spores").create({})
            batch.resource("/spores", id_factory=None).create({})
            proxy.script(PASS, DROP)
    assert proxy.methods == ["GET", "POST"]
    assert spores.list().total == 2
