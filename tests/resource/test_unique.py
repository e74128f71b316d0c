"""Fields whose value no other record of the collection may have."""

from functools import partial

import pytest

from tests.resource.apps import ENGINES, Card, SharedCard
from tests.scenarios import together

pytestmark = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture
def api(build_once):
    return build_once(Card)


@pytest.fixture
def alice(api):
    return api.user("alice")


@pytest.fixture
def card(alice):
    return alice.create("/cards", {"number": 1, "shelf": "a"})


def test_post_returns_the_record_with_the_unique_value(alice, card):
    response = alice.post("/cards", {"number": 1, "other": 2}, status=200)
    assert response.json["data"] == card
    assert alice.list("/cards") == [card]
    assert alice.post("/cards", {"number": 2, "shelf": "a"}, status=200).json["data"] == card


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_value_of_another_record_is_a_conflict(alice, card, method):
    other = alice.create("/cards", {"number": 2})
    before = alice.get("/cards").headers["ETag"]
    body = {"data": {"number": 1, "new": 1}}
    error = alice.send(method, f"/cards/{other['id']}", body, status=409).json
    assert error["errno"] == 122
    assert error["details"] == {"field": "number", "existing": card}
    assert error["message"] == f"Conflict of field number on record {card['id']}"
    assert alice.get(f"/cards/{other['id']}").json["data"] == other
    assert alice.get("/cards").headers["ETag"] == before


def test_put_of_a_new_record_is_a_conflict_too(alice, card):
    path = "/cards/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"
    alice.put(path, {"number": 1}, status=409)
    alice.get(path, status=404)


def test_record_does_not_conflict_with_itself(alice, card):
    path = f"/cards/{card['id']}"
    alice.put(path, {"number": 1, "shelf": "a", "n": 1}, status=200)
    alice.patch(path, {"number": 1, "n": 2}, status=200)


@pytest.mark.parametrize("value", [None, ""])
def test_empty_values_do_not_count(alice, value):
    first = alice.create("/cards", {"number": value})
    second = alice.create("/cards", {"number": value})
    alice.put(f"/cards/{second['id']}", {"number": value}, status=200)
    assert first["id"] != second["id"]
    alice.create("/cards", {})


@pytest.mark.parametrize("value", [0, False, [], {}])
def test_other_values_count(alice, value):
    card = alice.create("/cards", {"number": value})
    assert alice.post("/cards", {"number": value}, status=200).json["data"] == card


@pytest.mark.parametrize("value", [True, "1", [1]])
def test_values_of_other_types_are_others(alice, card, value):
    alice.post("/cards", {"number": value}, status=201)


def test_tombstones_do_not_count(alice, card):
    alice.delete("/cards")
    assert alice.create("/cards", {"number": 1})["id"] != card["id"]


def test_records_of_other_users_do_not_count(api, card):
    api.user("bob").post("/cards", {"number": 1}, status=201)


def test_post_with_an_id_and_a_taken_value_returns_the_other_record(alice, card):
    body = {"id": "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10", "number": 1}
    assert alice.post("/cards", body, status=200).json["data"] == card


def test_concurrent_creations_create_one_record(alice):
    def create(n):
        return alice.post("/cards", {"number": 1, "n": n})

    responses = together([partial(create, n) for n in range(8)])
    assert sorted(response.status_code for response in responses) == [200] * 7 + [201]
    assert len({response.json["data"]["id"] for response in responses}) == 1


class TestShared:
    @pytest.fixture
    def api(self, build_once):
        settings = {"sharedcard_create_principals": "system.Authenticated"}
        return build_once(SharedCard, settings=settings)

    @pytest.fixture
    def shared(self, alice):
        return alice.create("/sharedcards", {"number": 1})

    def test_existing_record_is_returned_without_permissions(self, alice, shared):
        response = alice.post("/sharedcards", {"number": 1}, status=200)
        assert response.json == {"data": shared}
        path = "/sharedcards/{id}".format(**alice.create("/sharedcards", {"number": 2}))
        error = alice.put(path, {"number": 1}, status=409).json
        assert error["details"] == {"field": "number", "existing": shared}

    def test_readers_of_the_record_see_it_in_the_conflict(self, api, alice):
        bob = api.user("bob")
        alice.create("/sharedcards", {"number": 1}, permissions={"read": [bob.id]})
        bob.post("/sharedcards", {"number": 1}, status=200)
        path = "/sharedcards/{id}".format(**bob.create("/sharedcards", {"number": 2}))
        assert "__permissions__" not in bob.put(path, {"number": 1}, status=409).text

    def test_users_without_access_do_not_see_the_conflicting_record(self, api, shared):
        bob = api.user("bob")
        responses = [bob.post("/sharedcards", {"number": 1}, status=403)]
        mine = bob.create("/sharedcards", {"number": 2})
        path = f"/sharedcards/{mine['id']}"
        responses += [
            bob.put(path, {"number": 1}, status=403),
            bob.patch(path, {"number": 1}, status=403),
        ]
        for response in responses:
            assert response.json["errno"] == 121
            assert shared["id"] not in response.text
