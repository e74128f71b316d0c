"""SQLite files that are removed, replaced or damaged while the service runs."""

import json
import random
import sqlite3

import pytest
import webtest

from cliquet.storage.exceptions import BackendError
from cliquet.testing import get_request_class
from tests import testapp
from tests.hostile_client import new_id

KINDS = ("storage", "permission", "cache")
PAGE = 4096


@pytest.fixture
def path(tmp_path):
    return tmp_path / "service.sqlite"


@pytest.fixture
def client(path, alice):
    """A service with records in the file."""
    client = webtest.TestApp(testapp.main(settings(path)))
    client.RequestClass = get_request_class("v0")
    client.registry = client.app.registry
    migrate(client)
    client.id = client.post_json("/mushrooms", {"data": {"name": "cep"}}, headers=alice).json[
        "data"
    ]["id"]
    client.shared_id = client.post_json("/psilos", {}, headers=alice).json["data"]["id"]
    create = [{"body": {"data": {"name": f"{number}" * 40}}} for number in range(25)]
    defaults = {"method": "POST", "path": "/mushrooms"}
    for _ in range(3):
        client.post_json("/batch", {"defaults": defaults, "requests": create}, headers=alice)
    client.get("/mushrooms", headers=alice)
    return client


def settings(path):
    return {
        f"cliquet.{kind}_{key}": value
        for kind in KINDS
        for key, value in (("backend", f"cliquet.{kind}.sqlite"), ("url", f"sqlite:///{path}"))
    }


def migrate(client):
    for kind in KINDS:
        getattr(client.registry, kind).initialize_schema()


def remove(path):
    for name in path.parent.glob(f"{path.name}*"):
        name.unlink()


REQUESTS = {
    "list": ("GET", "/mushrooms"),
    "sorted list": ("GET", "/mushrooms?_sort=name"),
    "filtered list": ("GET", "/mushrooms?min_name=5"),
    "changes": ("GET", "/mushrooms?_since=5"),
    "head": ("HEAD", "/mushrooms"),
    "get": ("GET", "/mushrooms/{id}"),
    "create": ("POST", "/mushrooms", {"data": {"name": "new"}}),
    "replace": ("PUT", "/mushrooms/{id}", {"data": {"name": "other"}}),
    "put": ("PUT", f"/mushrooms/{new_id()}", {"data": {"name": "new"}}),
    "patch": ("PATCH", "/mushrooms/{id}", {"data": {"name": "changed"}}),
    "delete": ("DELETE", "/mushrooms/{id}"),
    "delete all": ("DELETE", "/mushrooms"),
    "share": ("POST", "/psilos", {"permissions": {"read": ["system.Everyone"]}}),
    "shared": ("GET", "/psilos/{shared_id}"),
    "batch": ("POST", "/batch", {"requests": [{"path": "/mushrooms"}, {"path": "/psilos"}]}),
    "heartbeat": ("GET", "/__heartbeat__"),
}


def send(client, headers, method, path, body=None):
    return client.request(
        path.format(id=client.id, shared_id=client.shared_id),
        method=method,
        body=b"" if body is None else json.dumps(body).encode(),
        headers={**headers, "Content-Type": "application/json"},
        expect_errors=True,
    )


def test_without_the_file_everything_is_503(client, alice, path):
    remove(path)
    responses = {name: send(client, alice, *each) for name, each in REQUESTS.items()}
    statuses = {name: response.status_int for name, response in responses.items()}
    assert statuses == dict.fromkeys(REQUESTS, 503)
    assert all(response.headers["Retry-After"] for response in responses.values())


def test_replaced_file_is_used_immediately(client, alice, path):
    statuses = {}
    for name, each in REQUESTS.items():
        remove(path)
        migrate(client)
        statuses[name] = send(client, alice, *each).status_int
    assert not [name for name, status in statuses.items() if status >= 500]
    assert send(client, alice, "GET", "/mushrooms").json["data"] == []


def test_write_is_503_if_the_file_is_replaced_before_it_is_committed(client, alice, path):
    storage = client.registry.storage
    create = storage.create

    def create_late(*args, **kwargs):
        created = create(*args, **kwargs)
        remove(path)
        migrate(client)
        return created

    storage.create = create_late
    try:
        assert send(client, alice, *REQUESTS["create"]).status_int == 503
    finally:
        del storage.create
    assert send(client, alice, "GET", "/mushrooms").json["data"] == []
    assert send(client, alice, *REQUESTS["create"]).status_int == 201


def zeroed(content, chance):
    for page in range(1, len(content) // PAGE):
        content[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)


def scrambled(content, chance):
    for _ in range(len(content) // 100):
        content[chance.randrange(PAGE, len(content))] = chance.randrange(256)


@pytest.fixture
def damage(client, path):
    def damage(change, seed=0):
        client.registry.storage._client.close()
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        content = bytearray(path.read_bytes())
        change(content, random.Random(seed))
        with open(path, "r+b") as file:
            file.write(content)

    return damage


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("change", [zeroed, scrambled])
def test_damaged_pages_are_503_on_every_path(client, alice, damage, change, seed):
    damage(change, seed)
    statuses = {name: send(client, alice, *each).status_int for name, each in REQUESTS.items()}
    assert not [name for name, status in statuses.items() if status == 500]
    assert 503 in statuses.values()


def test_damaged_documents_are_failures_of_the_backend(client, path):
    storage = client.registry.storage
    record = storage.create("notes", "alice", {"text": "x"})
    with sqlite3.connect(path) as db:
        db.execute("UPDATE records SET data = '{\"name\": '")
    db.close()
    with pytest.raises(BackendError, match="damaged JSON"):
        storage.get("notes", "alice", record["id"])
    with pytest.raises(BackendError, match="damaged JSON"):
        storage.get_all("notes", "alice")


@pytest.mark.parametrize("kind", KINDS)
def test_verification_finds_damaged_pages(client, damage, kind):
    backend = getattr(client.registry, kind)
    backend.verify()
    damage(zeroed)
    with pytest.raises(BackendError, match="damaged|malformed"):
        backend.verify()
