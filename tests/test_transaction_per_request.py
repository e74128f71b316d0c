"""``transaction_per_request = false``: each operation is saved, or not, by itself."""

import threading

import pytest
import transaction
from pyramid.httpexceptions import HTTPConflict
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet.events import AfterResourceChanged, ResourceChanged
from tests.processes import START_TIMEOUT
from tests.resource import apps
from tests.resource.apps import ENGINES, Card, Note, Page
from tests.scenarios import at_once

ID = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f1{}"


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def build(engine, tmp_path):
    def build(per_request=False, setup=None):
        settings = {
            **apps.backends(engine, tmp_path),
            "transaction_per_request": str(per_request).lower(),
        }
        return apps.build(Note, Page, Card, settings=settings, setup=setup)

    return build


@pytest.fixture
def alice(build):
    return build().user("alice")


def refuse(event):
    raise HTTPConflict()


def refusing(config):
    config.add_subscriber(refuse, ResourceChanged)


def put(n, **headers):
    path = "/notes/" + ID.format(n)
    return {"method": "PUT", "path": path, "body": {"data": {"n": n}}, "headers": headers}


@pytest.mark.parametrize("per_request, kept", [(False, 1), (True, 0)])
def test_writes_before_a_failure_are_kept(build, per_request, kept):
    alice = build(per_request, refusing).user("alice")
    alice.post("/notes", {"n": 1}, status=409)
    assert alice.storage.get_all("note", alice.id)[1] == kept
    alice.post("/pages", {"n": 1}, status=409)
    records, total = alice.storage.get_all("page", "")
    assert total == kept
    for record in records:
        object_id = f"/pages/{record['id']}"
        assert alice.permission.object_permissions(object_id) == {"write": {alice.id}}


def fail_service(config):
    service = cliquet.Service(name="fail", path="/fail")

    @service.post(permission=NO_PERMISSION_REQUIRED)
    def post_fail(request):
        request.registry.storage.create("note", request.prefixed_userid, {"n": "failed"})
        request.registry.permission.add_user_principal("x", "y")
        raise HTTPConflict() if "refuse" in request.GET else ValueError("bug")

    config.add_cornice_service(service)


@pytest.mark.parametrize("query, status", [("", 500), ("?refuse=1", 409)])
@pytest.mark.parametrize("per_request, kept", [(False, 1), (True, 0)])
def test_writes_of_a_view_are_kept(build, query, status, per_request, kept):
    api = build(per_request, fail_service)
    alice = api.user("alice")
    alice.send("POST", f"/fail{query}", {}, status=status)
    assert alice.storage.get_all("note", alice.id)[1] == kept
    assert len(api.permission.user_principals("x")) == kept


def test_failing_batch_keeps_its_writes(build):
    alice = build(setup=fail_service).user("alice")
    alice.batch(put(1), {"method": "POST", "path": "/fail"}, put(2), status=500)
    assert sorted(map(str, alice.values("/notes"))) == ["1", "failed"]


def test_refused_request_of_a_batch_keeps_its_writes(build):
    alice = build(setup=fail_service).user("alice")
    responses = alice.batch(put(1), {"method": "POST", "path": "/fail?refuse=1"}, put(2))
    assert [item["status"] for item in responses] == [201, 409, 201]
    assert sorted(map(str, alice.values("/notes"))) == ["1", "2", "failed"]


def test_transaction_that_is_doomed_undoes_nothing(build):
    def doom(config):
        config.add_subscriber(lambda event: transaction.doom(), ResourceChanged)

    alice = build(setup=doom).user("alice")
    alice.post("/notes", {"n": 1}, status="*")
    assert alice.storage.get_all("note", alice.id)[1] == 1


def test_endpoints_respond_equally(alice):
    note = alice.create("/notes", {"n": 1})
    path = f"/notes/{note['id']}"
    assert alice.list("/notes") == [note]
    assert alice.put(path, {"n": 2}, status=200).json["data"]["n"] == 2
    assert alice.patch(path, {"n": 3}, status=200).json["data"]["n"] == 3
    alice.put(path, {"n": 4}, {"If-Match": '"1"'}, status=412)
    alice.put(path, {"n": 4}, {"If-None-Match": "*"}, status=412)
    assert alice.delete(path).json["data"]["deleted"] is True
    assert len(alice.delete("/notes").json["data"]) == 0
    assert len(alice.list("/notes?_since=1")) == 1
    page = alice.create("/pages", {}, permissions={"read": [alice.id]})
    assert alice.list("/pages") == [page]


def test_operation_that_is_refused_leaves_nothing_of_itself(alice):
    card = alice.create("/cards", {"number": 1})
    other = alice.create("/cards", {"number": 2})
    alice.put(f"/cards/{other['id']}", {"number": 1}, status=409)
    assert alice.post("/cards", {"number": 1}, status=200).json["data"] == card
    assert sorted(alice.values("/cards", "number")) == [1, 2]


def test_events_are_sent_without_transactions(build):
    heard = []

    def hear(config):
        config.add_subscriber(heard.append, ResourceChanged)
        config.add_subscriber(heard.append, AfterResourceChanged)

    build(setup=hear).user("alice").create("/notes")
    assert [type(event) for event in heard] == [ResourceChanged, AfterResourceChanged]


def test_writes_are_visible_to_others_immediately(build):
    seen = []

    def look(event):
        storage, user_id = event.request.registry.storage, event.payload["user_id"]

        def read():
            seen.append(storage.get_all("note", user_id)[1])

        thread = threading.Thread(target=read)
        thread.start()
        thread.join(START_TIMEOUT)

    def setup(config):
        config.add_subscriber(look, ResourceChanged)

    build(setup=setup).user("alice").create("/notes")
    assert seen == [1]


class TestPreconditionsAreAtomic:
    """Check and write are one step all the same."""

    @pytest.mark.parametrize("path", ["/notes", "/pages"])
    def test_of_many_writers_with_one_etag_one_succeeds(self, alice, path):
        for _ in range(5):
            record = alice.create(path, {"n": 1})
            url = f"{path}/{record['id']}"
            condition = {"If-Match": f'"{record["last_modified"]}"'}
            statuses = at_once(6, lambda n: alice.put(url, {"n": n}, condition, status="*"))  # noqa: B023 (called at once)
            assert statuses == [200] + [412] * 5

    @pytest.mark.parametrize("path", ["/notes", "/pages"])
    def test_of_many_writers_of_a_new_record_one_succeeds(self, alice, path):
        star = {"If-None-Match": "*"}
        for i in range(5):
            url = f"{path}/{ID.format(i)}"
            statuses = at_once(6, lambda n: alice.put(url, {"n": n}, star, status="*"))  # noqa: B023 (called at once)
            assert statuses[0] == 201
            # Between the record and its permissions, others can't write it yet.
            assert set(statuses[1:]) <= ({412} if path == "/notes" else {412, 403})

    def test_of_many_patches_none_is_lost(self, alice):
        url = "/notes/{id}".format(**alice.create("/notes"))
        assert at_once(8, lambda n: alice.patch(url, {f"f{n}": n}, status="*")) == [200] * 8
        assert {f"f{n}" for n in range(8)} <= set(alice.get(url).json["data"])

    def test_of_many_deletions_one_succeeds(self, alice):
        url = "/notes/{id}".format(**alice.create("/notes"))
        assert at_once(8, lambda n: alice.delete(url, status="*")) == [200] + [404] * 7

    def test_of_many_creations_with_one_unique_value_one_is_made(self, alice):
        statuses = at_once(8, lambda n: alice.post("/cards", {"number": 1}, status="*"))
        assert statuses == [200] * 7 + [201]
