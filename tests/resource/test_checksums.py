"""The checksum of a list (``_checksum``): of the whole list that the user can read."""

import pytest

from cliquet.resource import UserResource
from cliquet.resource.model import Model
from cliquet.storage import Filter
from cliquet.storage.checksums import Checksum
from cliquet.utils import COMPARISON
from tests.resource.apps import ENGINES, SERVED, AnyFields, Note, Page

every_engine = pytest.mark.parametrize("engine", [*ENGINES, *SERVED])
EVERYONE = {"permissions": {"read": ["system.Authenticated"]}}


def checksum_of(records):
    return str(Checksum().add(*(record["last_modified"] for record in records)))


@pytest.fixture
def client(build_once):
    return build_once(Note, Page)


@pytest.fixture
def alice(client):
    return client.user("alice")


@every_engine
def test_checksum_is_that_of_the_whole_list_whatever_is_requested(alice, client):
    assert alice.get("/notes?_checksum=").headers["Checksum"] == "0-0-0"
    records = [alice.create("/notes", {"n": n}) for n in range(4)]
    client.user("bob").create("/notes")
    alice.delete(f"/notes/{records.pop()['id']}")
    records[0] = alice.patch(f"/notes/{records[0]['id']}", {"n": 9}).json["data"]
    expected = checksum_of(records)
    assert expected.startswith("3-")
    for query in ("", "&n=9", "&_since=1&_limit=1", "&_fields=n&_sort=n", "&_count=false", "&n=77"):
        for send in (alice.get, alice.head):
            assert send(f"/notes?_checksum={query}").headers["Checksum"] == expected


@every_engine
def test_shared_list_has_the_checksum_of_the_records_that_the_user_can_read(alice, client):
    bob = client.user("bob")
    records = [alice.create("/pages", {"n": n}, **(EVERYONE if n % 2 else {})) for n in range(4)]
    records.append(alice.create("/pages", permissions={"read": [alice.id]}))
    path = "/pages?_checksum=&n=1"
    assert alice.get(path).headers["Checksum"] == checksum_of([records[n] for n in (1, 3, 4)])
    assert bob.get(path).headers["Checksum"] == checksum_of([records[1], records[3]])
    response = bob.get(path, {"If-None-Match": bob.get("/pages").headers["ETag"]}, 304)
    assert response.headers["Checksum"] == checksum_of([records[1], records[3]])
    bob.put(f"/pages/{records[4]['id']}", {}, status=403)
    alice.patch(f"/pages/{records[3]['id']}", permissions={"read": []})
    assert bob.get(path).headers["Checksum"] == checksum_of([records[1]])


@every_engine
def test_change_of_permissions_never_returns_304(alice, client):
    bob = client.user("bob")
    first, second = (alice.create("/pages", {"n": n}, **EVERYONE) for n in range(2))
    response = bob.get("/pages?_checksum=")
    tag, checksum = response.headers["ETag"], response.headers["Checksum"]
    path = f"/pages?_since={tag}&_checksum={checksum}"
    bob.get(path, status=304)
    object_id = f"/pages/{second['id']}"
    client.permission.remove_principal_from_ace(object_id, "read", "system.Authenticated")
    for url, headers in ((path, {}), (f"/pages?_checksum={checksum}", {"If-None-Match": tag})):
        response = bob.get(url, headers, 200)
        assert response.headers["Checksum"] == checksum_of([first])
        assert response.headers["ETag"] == tag
    bob.get(f"/pages?_since={tag}&_checksum={checksum_of([first])}", status=304)


def test_list_is_not_modified_if_the_checksum_is_equal_and_nothing_is_newer(alice):
    record = alice.create("/notes")
    now, old, later = (record["last_modified"] + step for step in (0, -1, 1))
    same, other = checksum_of([record]), checksum_of([])
    cases = [
        (f"_checksum={same}&_since={now}", {}, 304),
        (f'_checksum={same}&_since="{later}"', {}, 304),
        (f"_checksum={same}&gt_last_modified={now}&n=1", {}, 304),
        (f"_checksum={same}&_since={old}", {}, 200),
        (f"_checksum={same}&min_last_modified={now}&_before={later}", {}, 200),
        (f"_checksum={same}&n=1", {}, 200),
        (f"_checksum={other}&_since={now}", {}, 200),
        (f"_checksum=&_since={now}", {}, 200),
        (f"_checksum={same}", {"If-None-Match": f'"{now}"'}, 304),
        (f"_checksum={same}", {"If-None-Match": f'"{old}"'}, 200),
        (f"_checksum={same}", {"If-None-Match": "*"}, 200),
        (f"_checksum={other}", {"If-None-Match": f'"{now}"'}, 200),
        ("_checksum=", {"If-None-Match": f'"{now}"'}, 304),
        ("_checksum=", {"If-None-Match": f'"{old}"'}, 200),
        (f"_checksum={same}&_since={now}", {"If-Match": f'"{old}"'}, 412),
    ]
    for query, headers, status in cases:
        for send in (alice.get, alice.head):
            response = send(f"/notes?{query}", headers, status)
            assert response.headers["ETag"] == f'"{now}"', (query, headers)
            assert response.headers.get("Checksum") == (None if status == 412 else same)


def test_browsers_can_read_the_checksum(alice):
    origin = {"Origin": "https://there.example"}
    tag = alice.get("/notes").headers["ETag"]
    for more, status in (({}, 200), ({"If-None-Match": tag}, 304)):
        for headers in ({}, origin):
            response = alice.get("/notes?_checksum=", {**headers, **more}, status)
            without = alice.get("/notes", {**headers, **more}, status)
            assert "Checksum" not in without.headers
            name = "Access-Control-Expose-Headers"
            assert response.headers[name] == f"{without.headers[name]}, Checksum"
            assert set(response.headers) - {"Checksum"} == set(without.headers)


def test_batch_includes_checksums(alice):
    alice.create("/notes")
    (response,) = alice.batch({"path": "/notes?_checksum="})
    assert response["headers"]["Checksum"].startswith("1-")


@pytest.mark.parametrize("value", ["x", "1-2", "01-2-3", "null", "1-2-99999999"])
def test_invalid_checksum_is_refused(alice, value):
    response = alice.get(f"/notes?_checksum={value}", status=400)
    assert "_checksum should be empty or a checksum" in response.json["message"]


def test_deletion_ignores_the_parameter(alice):
    alice.create("/notes")
    assert "Checksum" not in alice.delete("/notes?_checksum=", status=200).headers


class Filtered(UserResource):
    """A resource that hides some records of the user."""

    mapping = AnyFields()

    def _extract_filters(self, queryparams=None):
        hidden = Filter("hidden", True, COMPARISON.NOT)
        return [*super()._extract_filters(queryparams), hidden]


class HidingModel(Model):
    def get_records(self, filters=None, **kwargs):
        hidden = Filter("hidden", True, COMPARISON.NOT)
        return super().get_records(filters=[*(filters or []), hidden], **kwargs)


class Hiding(UserResource):
    mapping = AnyFields()
    default_model = HidingModel


def test_lists_that_the_application_restricts_have_no_checksum(build_once):
    alice = build_once(Filtered, Hiding).user("alice")
    for path in ("/filtereds", "/hidings"):
        alice.create(path, {"hidden": True})
        response = alice.get(f"{path}?_checksum=")
        assert response.json["data"] == []
        assert "Checksum" not in response.headers
        alice.get(f"{path}?_checksum=1-2-3", {"If-None-Match": response.headers["ETag"]}, 304)


def test_checksum_of_a_storage_of_the_application_is_computed_from_its_records(build_once):
    alice = build_once(Note).user("alice")
    records = [alice.create("/notes", {"n": n}) for n in range(3)]
    storage = alice.registry.storage

    class Proxy:
        """Hides a record, and has only the methods of 3.1."""

        collection_timestamp = staticmethod(storage.collection_timestamp)

        def get_all(self, *args, **kwargs):
            listed, total = storage.get_all(*args, **kwargs)
            return [record for record in listed if record["n"]], total

    alice.registry.storage = Proxy()
    try:
        response = alice.get("/notes?_checksum=")
        assert response.headers["Checksum"] == checksum_of(records[1:])
        path = f"/notes?_checksum={checksum_of(records[1:])}"
        alice.get(path, {"If-None-Match": response.headers["ETag"]}, 304)
    finally:
        alice.registry.storage = storage
