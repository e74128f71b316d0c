"""Batches: requests sent together."""

import json
from asyncio import CancelledError

import pytest

from cliquet.client import (
    BatchError,
    ClientError,
    NotFound,
    PreconditionFailed,
    ProtocolError,
    ResponseError,
    ServerError,
    ServiceUnavailable,
    TransportError,
    Unauthorized,
    new_id,
)
from tests.client.conftest import BATCH
from tests.client.fault_proxy import DROP, PASS, Response, error, success


@pytest.fixture
def spores(client):
    return client.resource("/spores")


def test_batch_is_sent_at_the_end_of_the_block(client, spores, proxy):
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


def test_batch_contains_partial_updates(client, spores):
    id_ = spores.create({"tags": ["a"], "name": "x"}).data["id"]
    with client.batch() as batch:
        part = batch.resource("/spores")
        part.patch(id_, [{"op": "add", "path": "/data/tags/-", "value": "b"}])
        merged = part.patch(id_, {"name": None}, merge=True)
    assert (merged.result().data["tags"], "name" in merged.result().data) == (["a", "b"], False)


def test_batch_is_split_at_the_limit_of_the_server_which_is_read_once(client, spores, proxy):
    for _ in range(2):
        with client.batch() as batch:
            part = batch.resource("/spores")
            futures = [part.create({"n": n}) for n in range(2 * BATCH + 1)]
        assert [future.result().data["n"] for future in futures] == list(range(2 * BATCH + 1))
    assert proxy.methods == ["GET", "POST", "POST", "PUT", "POST", "POST", "PUT"]


@pytest.mark.parametrize(
    "settings", [{}, *({"batch_max_requests": unlimited} for unlimited in (None, 0, "", -1, "2"))]
)
def test_batch_is_not_split_without_a_limit(connect, proxy, settings):
    responses = [{"status": 200, "path": "/", "headers": {}, "body": {"data": {}}}] * 30
    info = success(None)._replace(body=json.dumps({"settings": settings}).encode())
    response = info._replace(body=json.dumps({"responses": responses}).encode())
    proxy.script(info, response)
    with connect(proxy.url).batch() as batch:
        for _ in range(30):
            batch.resource("/spores").get(new_id())
    assert proxy.methods == ["GET", "POST"]


def test_block_that_raises_sends_nothing(client, proxy):
    with pytest.raises(ZeroDivisionError):
        with client.batch() as batch:
            future = batch.resource("/spores").create({})
            1 / 0  # noqa: B018 (what is wrong)
    assert proxy.requests == []
    assert future.cancelled()


def test_empty_batch_sends_nothing(client, proxy):
    with client.batch():
        pass
    assert proxy.requests == []


def test_adding_requests_outside_the_block_raises(client):
    batch = client.batch()
    part = batch.resource("/spores")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="with block"):
            part.create({})
        with batch:
            pass


def test_batch_can_be_filled_again(client, proxy):
    batch = client.batch()
    for _ in range(2):
        with batch:
            created = batch.resource("/spores").create({})
        assert created.result().status == 201
    assert proxy.methods == ["PUT", "PUT"]


def test_refused_requests_raise_together_and_the_others_are_done(client, spores):
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


def test_errors_of_a_batch_are_caught_by_class(client):
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


def test_batch_without_check_leaves_errors_to_the_futures(client):
    with client.batch(check=False) as batch:
        missing = batch.resource("/spores").get(new_id())
    assert isinstance(missing.exception(), NotFound)


def test_failed_batch_fails_its_futures_and_cancels_the_next_ones(connect, proxy):
    client = connect(proxy.url, retries=0)
    proxy.script(PASS, PASS, error(503, 201))
    with pytest.raises(ServiceUnavailable) as caught:
        with client.batch() as batch:
            part = batch.resource("/spores")
            futures = [part.create({}) for _ in range(3 * BATCH)]
    assert all(future.result().status == 201 for future in futures[:BATCH])
    assert all(future.exception() is caught.value for future in futures[BATCH : 2 * BATCH])
    assert all(future.cancelled() for future in futures[2 * BATCH :])


def test_interrupted_batch_cancels_the_futures_without_response(connect, proxy):
    def add(request):
        if proxy.requests:
            raise CancelledError
        request.headers["Authorization"] = "Basic YWxpY2U6eA=="
        return request

    client = connect(proxy.url, auth=add)
    with pytest.raises(CancelledError), client.batch(size=2) as batch:
        futures = [batch.resource("/spores").create({}) for _ in range(6)]
    assert [future.cancelled() for future in futures] == [False] * 2 + [True] * 4


def test_batch_with_a_value_that_is_not_json_cancels_its_futures(client):
    with pytest.raises(ValueError, match="not JSON compliant"), client.batch(size=2) as batch:
        futures = [batch.resource("/spores").create({"n": n}) for n in (1, 2, 3, float("nan"))]
    assert [future.cancelled() for future in futures] == [False] * 2 + [True] * 2


def test_batch_is_cancelled_if_the_limit_cannot_be_read(connect, proxy):
    proxy.script(error(401, 104))
    with pytest.raises(Unauthorized):
        with connect(proxy.url).batch() as batch:
            futures = [batch.resource("/spores").create({}) for _ in range(2)]
    assert proxy.methods == ["GET"]
    assert all(future.cancelled() for future in futures)


def test_batch_is_retried_if_all_its_requests_are_idempotent(client, spores, proxy):
    with client.batch() as batch:
        created = [batch.resource("/spores").create({"name": "x"}) for _ in range(2)]
        proxy.script(PASS, DROP)
    assert proxy.methods == ["GET", "POST", "POST"]
    assert [future.result().data["name"] for future in created] == ["x", "x"]
    assert spores.list().total == 2


def test_batch_of_one_request_sends_that_request(client, spores, proxy):
    with client.batch() as batch:
        created = batch.resource("/spores").create({"name": "x"})
    assert proxy.methods == ["PUT"]
    assert list(spores.list()) == [created.result().data]


def test_batch_is_sent_once_if_a_request_is_not_idempotent(client, spores, proxy):
    with pytest.raises(TransportError):
        with client.batch() as batch:
            batch.resource("/spores").create({})
            batch.resource("/spores", id_factory=None).create({})
            proxy.script(PASS, DROP)
    assert proxy.methods == ["GET", "POST"]
    assert spores.list().total == 2


# Batches that the server refuses


def test_requests_that_make_the_server_refuse_a_batch_are_found(client, spores):
    names = ["a", "\0", "b", "c", "\ud800", "d", "e", "f", "g"]
    with pytest.raises(BatchError, match="2 of 9 requests failed") as caught:
        with client.batch(size=len(names)) as batch:
            part = batch.resource("/spores")
            futures = [part.create({"name": name}) for name in names]
    refused = (futures[1].exception(), futures[4].exception())
    assert caught.value.exceptions == refused
    assert [error.code for error in refused] == [400, 400]
    assert {record["name"] for record in spores.list()} == set(names) - {"\0", "\ud800"}


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 414, 422, 451, 500, 501])
def test_requests_of_a_refused_batch_are_sent_apart(client, spores, proxy, status):
    with client.batch() as batch:
        futures = [batch.resource("/spores").create({}) for _ in range(2)]
        proxy.script(PASS, error(status))
    assert proxy.methods == ["GET", "POST", "PUT", "PUT"]
    assert [future.result().status for future in futures] == [201, 201]


@pytest.mark.parametrize("processed", range(BATCH))
def test_requests_beyond_the_limits_of_a_batch_are_sent_again(client, spores, proxy, processed):
    with client.batch() as batch:
        futures = [batch.resource("/spores").create({"n": n}) for n in range(BATCH)]
        proxy.script(PASS, batch_response([*[201] * processed, *[413] * (BATCH - processed)]))
    assert [future.result().status for future in futures] == [201] * BATCH
    assert {record["n"] for record in spores.list()} == set(range(processed, BATCH))


def test_request_that_is_too_large_by_itself_is_an_error(client, proxy):
    with client.batch(check=False) as batch:
        futures = [batch.resource("/spores").create({}) for _ in range(2)]
        proxy.script(PASS, batch_response([413, 413]), error(413))
    assert [getattr(future.exception(), "code", None) for future in futures] == [413, None]


def batch_response(statuses):
    items = [{"status": status, "headers": {}, "body": {"data": {}}} for status in statuses]
    return Response(200, {}, json.dumps({"responses": items}).encode())


@pytest.mark.parametrize("status", [401, 503])
def test_batch_that_fails_for_another_reason_is_not_split(connect, proxy, status):
    client = connect(proxy.url, retries=0)
    with pytest.raises(ResponseError) as caught:
        with client.batch() as batch:
            futures = [batch.resource("/spores").create({}) for _ in range(2)]
            proxy.script(PASS, error(status))
    assert [future.exception() for future in futures] == [caught.value] * 2
    assert proxy.methods == ["GET", "POST"]


def test_batch_of_one_request_can_fail_for_another_reason(client, proxy):
    proxy.script(error(401, 104))
    with pytest.raises(Unauthorized) as caught, client.batch() as batch:
        future = batch.resource("/spores").create({})
    assert future.exception() is caught.value


def test_failed_batch_is_not_split_if_a_request_is_not_idempotent(client, proxy):
    with pytest.raises(ServerError):
        with client.batch() as batch:
            part = batch.resource("/spores", id_factory=None)
            [part.create({}) for _ in range(2)]
            proxy.script(PASS, error(500, 999))
    assert proxy.methods == ["GET", "POST"]


def test_size_of_batches_can_be_chosen(client, proxy):
    with client.batch(size=2) as batch:
        part = batch.resource("/spores")
        futures = [part.create({}) for _ in range(5)]
    assert proxy.methods == ["POST", "POST", "PUT"]
    assert all(future.result().status == 201 for future in futures)


@pytest.mark.parametrize(
    "responses",
    [[], [{}, {}], ["text"] * 2, [{"status": "200", "headers": {}, "body": {}}] * 2],
)
def test_batch_response_that_does_not_follow_the_protocol_is_refused(client, proxy, responses):
    with pytest.raises(ProtocolError, match="POST /batch: "):
        with client.batch() as batch:
            futures = [batch.resource("/spores").create({}) for _ in range(2)]
            body = json.dumps({"responses": responses}).encode()
            proxy.script(PASS, Response(200, {}, body))
    assert all(isinstance(future.exception(), ProtocolError) for future in futures)


def test_request_of_a_batch_without_data_is_refused(client, proxy):
    with pytest.raises(BatchError, match="2 of 2"), client.batch() as batch:
        futures = [batch.resource("/spores").create({}) for _ in range(2)]
        item = {"status": 200, "headers": {}, "body": {}}
        proxy.script(PASS, Response(200, {}, json.dumps({"responses": [item] * 2}).encode()))
    assert all(isinstance(future.exception(), ProtocolError) for future in futures)


def test_error_of_a_retried_batch_notes_that_the_first_attempt_can_have_succeeded(
    client, spores, proxy
):
    record = spores.create({"name": "x"}).data
    with client.batch(check=False) as batch:
        part = batch.resource("/spores")
        created = part.create({})
        patched = part.patch(record["id"], {"name": "y"}, if_match=record["last_modified"])
        proxy.script(PASS, DROP)
    assert created.result().status == 200
    assert patched.exception().existing["name"] == "y"
    assert patched.exception().__notes__ == ["Sent 2 times: the server may have processed it."]


# Atomic batches


def test_atomic_batch_succeeds_as_a_whole(client, spores, proxy):
    with client.batch(atomic=True, size=2) as batch:
        futures = [batch.resource("/spores").create({}) for _ in range(BATCH)]
    assert proxy.methods == ["POST", "POST"]
    assert [future.result().status for future in futures] == [201] * BATCH


def test_atomic_batch_fails_as_a_whole(client, spores, proxy):
    with pytest.raises(BatchError, match="2 of 2 requests failed"):
        with client.batch(atomic=True) as batch:
            created = batch.resource("/spores").create({})
            missing = batch.resource("/spores").get(new_id())
    assert isinstance(missing.exception(), NotFound)
    assert created.exception().code == 424
    assert list(spores.list()) == []


def test_atomic_batch_is_neither_split_nor_retried(client, spores, proxy):
    create_atomically(client)
    for step in (DROP, error(400)):
        proxy.script(step)
        with pytest.raises(ClientError):
            create_atomically(client)
        assert proxy.methods == ["POST"]


def test_atomic_batch_beyond_the_limits_is_not_sent_in_parts(client, proxy):
    create_atomically(client)
    proxy.script(batch_response([424, 413]))
    with pytest.raises(BatchError, match="2 of 2 requests failed"):
        create_atomically(client)
    assert proxy.methods == ["POST"]


def create_atomically(client, number=2):
    with client.batch(atomic=True) as batch:
        return [batch.resource("/spores").create({}) for _ in range(number)]


def test_atomic_batch_is_not_sent_to_a_server_that_ignores_the_member(client, spores, proxy):
    proxy.script(Response(200, {}, b'{"responses": []}'))
    with pytest.raises(ProtocolError, match="the server does not support atomic batches"):
        create_atomically(client)
    assert proxy.methods == ["POST"]
    assert list(spores.list()) == []


def test_atomic_batch_of_one_request_is_sent_alone(client, proxy):
    (created,) = create_atomically(client, 1)
    assert created.result().status == 201
    assert proxy.methods == ["PUT"]
