"""Requests of a batch are sent together, and each is answered."""

import json

import pytest

from cliquet.client import (
    BatchError,
    NoAnswer,
    NotFound,
    PreconditionFailed,
    ServiceUnavailable,
    Unauthenticated,
    new_id,
)
from tests.client.between import LOSE, PASS, answer_of, error
from tests.client.conftest import BATCH


@pytest.fixture
def spores(client):
    return client.resource("/spores")


def test_requests_are_answered_when_the_block_ends(client, spores, between):
    kept, deleted = (spores.create({"name": "x"}).data for _ in range(2))
    between.will()
    with client.batch() as batch:
        part = batch.resource("/spores")
        created = part.create({"name": "é"})
        patched = part.patch(kept["id"], {"name": "y"}, if_match=kept["last_modified"])
        same = part.get(kept["id"], if_none_match=2**41)
        gone = part.delete(deleted["id"])
        assert not created.done()
        assert between.seen == []
    assert between.methods == ["GET", "POST"]
    assert created.result().status == 201
    assert patched.result().data["name"] == "y"
    assert patched.result().timestamp > kept["last_modified"]
    assert (same.result().status, same.result().data) == (304, None)
    assert gone.result().data["deleted"] is True


def test_batch_is_split_as_the_server_limits_it_which_is_asked_once(client, spores, between):
    for _ in range(2):
        with client.batch() as batch:
            part = batch.resource("/spores")
            futures = [part.create({"n": n}) for n in range(2 * BATCH + 1)]
        assert [future.result().data["n"] for future in futures] == list(range(2 * BATCH + 1))
    assert between.methods == ["GET", *["POST"] * 6]


@pytest.mark.parametrize(
    "settings", [{}, *({"batch_max_requests": unlimited} for unlimited in (None, 0, ""))]
)
def test_batch_is_one_where_there_is_no_limit(connect, between, settings):
    responses = [{"status": 200, "path": "/", "headers": {}, "body": {}}] * 30
    info = answer_of(None)._replace(body=json.dumps({"settings": settings}).encode())
    answer = info._replace(body=json.dumps({"responses": responses}).encode())
    between.will(info, answer)
    with connect(between.url).batch() as batch:
        for _ in range(30):
            batch.resource("/spores").get(new_id())
    assert between.methods == ["GET", "POST"]


def test_nothing_is_sent_when_the_block_raises(client, between):
    with pytest.raises(ZeroDivisionError):
        with client.batch() as batch:
            future = batch.resource("/spores").create({})
            1 / 0  # noqa: B018 (what is wrong)
    assert between.seen == []
    assert future.cancelled()


def test_nothing_is_sent_for_an_empty_batch(client, between):
    with client.batch():
        pass
    assert between.seen == []


def test_requests_are_only_added_in_the_block(client):
    batch = client.batch()
    part = batch.resource("/spores")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="with statement"):
            part.create({})
        with batch:
            pass


def test_what_is_refused_is_told_together_and_the_rest_is_done(client, spores):
    record = spores.create({"name": "x"}).data
    with pytest.raises(BatchError, match="2 of 3 requests were refused") as caught:
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


def test_batch_that_fails_answers_its_futures_and_cancels_those_after_it(connect, between):
    client = connect(between.url, retries=0)
    between.will(PASS, PASS, error(503, 201))
    with pytest.raises(ServiceUnavailable) as caught:
        with client.batch() as batch:
            part = batch.resource("/spores")
            futures = [part.create({}) for _ in range(3 * BATCH)]
    assert all(future.result().status == 201 for future in futures[:BATCH])
    assert all(future.exception() is caught.value for future in futures[BATCH : 2 * BATCH])
    assert all(future.cancelled() for future in futures[2 * BATCH :])


def test_nothing_is_sent_to_a_server_that_does_not_tell_its_limit(connect, between):
    between.will(error(401, 104))
    with pytest.raises(Unauthenticated):
        with connect(between.url).batch() as batch:
            future = batch.resource("/spores").create({})
    assert future.cancelled()


def test_batch_is_sent_again_if_all_of_it_may_be(client, spores, between):
    with client.batch() as batch:
        created = batch.resource("/spores").create({"name": "x"})
        between.will(PASS, LOSE)
    assert between.methods == ["GET", "POST", "POST"]
    assert created.result().data["name"] == "x"
    assert spores.list().total == 1


def test_batch_is_not_sent_again_if_a_part_may_not_be(client, spores, between):
    with pytest.raises(NoAnswer):
        with client.batch() as batch:
            batch.resource("/spores").create({})
            batch.resource("/spores", new_id=None).create({})
            between.will(PASS, LOSE)
    assert between.methods == ["GET", "POST"]
    assert spores.list().total == 2
