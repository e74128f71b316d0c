"""A Redis server that evicts single keys: what is left of a collection stays usable."""

import pytest
import webtest

from cliquet.storage import Filter, Sort
from cliquet.storage import redis as module
from cliquet.storage.checksums import Checksum
from cliquet.storage.exceptions import RecordNotFoundError, UnicityError
from cliquet.storage.redis.keys import _KINDS, LOCKS, PREFIX
from cliquet.testing import get_request_class
from cliquet.utils import COMPARISON
from tests import redis_server, testapp
from tests.configuration import backend_config

PLACE = ("articles", "alice")
UNIQUE = {"unique_fields": ["phone", "code"]}

#: The beginnings of the keys of a collection.
KINDS = {kind.removeprefix(PREFIX).rstrip(b":").decode(): kind for kind in _KINDS if kind != LOCKS}
PAIRS = [("records", "times"), ("unique.digests", "unique.same"), ("timestamp", "times")]


@pytest.fixture
def storage():
    settings = {"storage_url": redis_server.database_url(1)}
    storage = module.load_from_config(backend_config(settings))
    storage.initialize_schema()
    yield storage
    storage._client.call("FLUSHDB")


def fill(storage):
    """Three records, of which one has no known digests, and a tombstone; return the records."""
    records = [storage.create(*PLACE, {"phone": str(n), "code": n}, **UNIQUE) for n in range(3)]
    records.append(storage.create(*PLACE, {"phone": "3", "code": 3}))
    gone = storage.create(*PLACE, {"phone": "gone"}, **UNIQUE)
    storage.delete(*PLACE, gone["id"])
    return records


def evict(storage, *kinds):
    keys = [key for kind in kinds for key in storage._client.call("KEYS", KINDS[kind] + b"*")]
    assert keys
    storage._client.call("DEL", *keys)


def read(storage, records):
    for record in records:
        try:
            assert storage.get(*PLACE, record["id"]) == record
        except RecordNotFoundError:
            pass


def update_all(storage, records):
    for record in records:
        values = {"phone": record["phone"], "code": record["code"], "seen": True}
        storage.update(*PLACE, record["id"], values, **UNIQUE)


def delete_one(storage, records):
    try:
        storage.delete(*PLACE, records[0]["id"])
    except RecordNotFoundError:
        pass


OPERATIONS = {
    "nothing": lambda storage, records: None,
    "get": read,
    "list": lambda storage, records: storage.get_all(*PLACE),
    "page": lambda storage, records: storage.get_all(
        *PLACE, sorting=[Sort("last_modified", -1)], limit=2
    ),
    "list with tombstones": lambda storage, records: storage.get_all(*PLACE, include_deleted=True),
    "filter": lambda storage, records: storage.get_all(
        *PLACE, filters=[Filter("phone", "1", COMPARISON.EQ)]
    ),
    "timestamp": lambda storage, records: storage.collection_timestamp(*PLACE),
    "create": lambda storage, records: storage.create(*PLACE, {"phone": "new"}, **UNIQUE),
    "create without unique fields": lambda storage, records: storage.create(*PLACE, {}),
    "update": update_all,
    "delete": delete_one,
    "delete all": lambda storage, records: storage.delete_all(*PLACE),
    "delete some": lambda storage, records: storage.delete_all(
        *PLACE, filters=[Filter("phone", "1", COMPARISON.EQ)]
    ),
    "purge": lambda storage, records: storage.purge_deleted(*PLACE, before=2**50),
}


def checksum_of(records):
    return Checksum().add(*(record["last_modified"] for record in records))


def check(storage, timestamp_before):
    """Check that lists, reads, timestamps, checksums and unique fields agree, and go on to."""
    listed, total = storage.get_all(*PLACE)
    assert total == len(listed)
    assert storage.checksum(*PLACE) == checksum_of(listed)
    for record in listed:
        assert storage.get(*PLACE, record["id"]) == record
        if "phone" in record:
            with pytest.raises(UnicityError):
                storage.create(*PLACE, {"phone": record["phone"]}, **UNIQUE)
    stamps = [record["last_modified"] for record in listed]
    assert len(set(stamps)) == len(stamps)
    timestamp = storage.collection_timestamp(*PLACE)
    assert timestamp >= max([timestamp_before, *stamps])
    created = storage.create(*PLACE, {"phone": "another", "code": 99}, **UNIQUE)
    assert storage.checksum(*PLACE) == checksum_of([*listed, created])
    assert created["last_modified"] > timestamp
    assert storage.get_all(*PLACE)[1] == total + 1
    deleted = storage.delete_all(*PLACE)
    assert {record["id"] for record in deleted} == {record["id"] for record in [*listed, created]}
    assert storage.get_all(*PLACE) == ([], 0)
    for record in [*listed, created]:
        values = {"phone": record.get("phone", "none"), "code": record.get("code")}
        storage.update(*PLACE, record["id"], values, **UNIQUE)
    assert storage.get_all(*PLACE)[1] == total + 1


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kinds", [*((kind,) for kind in KINDS), *PAIRS], ids="+".join)
def test_collection_heals_whatever_key_is_lost_and_whatever_comes_next(storage, kinds, operation):
    records = fill(storage)
    before = storage.collection_timestamp(*PLACE)
    evict(storage, *kinds)
    OPERATIONS[operation](storage, records)
    check(storage, before)


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_only_lost_with_the_key_that_has_them(storage, kind):
    records = fill(storage)
    evict(storage, kind)
    assert storage.get_all(*PLACE, sorting=[Sort("last_modified", 1)]) == (
        ([], 0) if kind == "records" else (records, 4)
    )


@pytest.mark.parametrize("kind", ["records", "times", "timestamp"])
def test_collection_that_lost_a_key_has_another_timestamp(storage, kind):
    fill(storage)
    before = storage.collection_timestamp(*PLACE)
    evict(storage, kind)
    storage.get_all(*PLACE)
    assert storage.collection_timestamp(*PLACE) > before


def test_keys_that_do_not_fit_are_rebuilt(storage):
    """As many of either kind, but not the same ones."""
    records = fill(storage)
    client = storage._client
    times, _ = client.call("KEYS", KINDS["times"] + b"*") + [None]
    client.call("ZREM", times, records[0]["id"].encode())
    client.call("ZADD", times, 1, b"unknown")
    listed, total = storage.get_all(*PLACE, sorting=[Sort("last_modified", 1)])
    assert (listed, total) == (records, 4)
    check(storage, 0)


def test_rebuilt_collections_can_be_large(storage):
    for number in range(1500):
        storage.create(*PLACE, {"phone": str(number)})
    storage.create(*PLACE, {"phone": "x"}, **UNIQUE)
    evict(storage, "times", "unique.digests")
    with pytest.raises(UnicityError):
        storage.create(*PLACE, {"phone": "777"}, **UNIQUE)
    assert storage.get_all(*PLACE)[1] == 1501


@pytest.mark.parametrize("kind", ["timestamp", "records", "times", "tombstones"])
def test_service_keeps_working(storage, alice, kind):
    url = redis_server.database_url(1)
    settings = {"cliquet.storage_backend": "cliquet.storage.redis", "cliquet.storage_url": url}
    client = webtest.TestApp(testapp.main(settings))
    client.RequestClass = get_request_class("v0")
    ids = [
        client.post_json("/mushrooms", {"data": {"name": name}}, headers=alice).json["data"]["id"]
        for name in ("fly agaric", "chanterelle")
    ]
    client.delete(f"/mushrooms/{ids[0]}", headers=alice)
    evict(storage, kind)
    path = f"/mushrooms/{ids[1]}"
    listed = client.get("/mushrooms", headers=alice)
    client.get(path, headers=alice, status=200 if listed.json["data"] else 404)
    client.put_json(path, {"data": {"name": "again"}}, headers=alice)
    assert client.get(path, headers=alice).json["data"]["name"] == "again"
    changed = client.get("/mushrooms", headers={**alice, "If-None-Match": listed.headers["ETag"]})
    assert [record["name"] for record in changed.json["data"]] == ["again"]
    client.delete("/mushrooms", headers=alice)
    assert client.get("/mushrooms", headers=alice).json["data"] == []
