"""The operators of the guide to map data."""

import pytest

PARIS, BERLIN = [2.3376, 48.8606], [13.3947, 52.5219]


@pytest.fixture
def client(serve):
    client = serve(settings={"cliquet.includes": "places", "openapi_enabled": True})
    for name, coordinates in (("Paris", PARIS), ("Berlin", BERLIN)):
        geometry = {"type": "Point", "coordinates": coordinates}
        client.post_json("/places", {"data": {"name": name, "geometry": geometry}})
    return client


@pytest.mark.parametrize(
    "query, names",
    [
        ("within_geometry=2.2,48.8,2.5,48.9", ["Paris"]),
        ("within_geometry=-180,-90,180,90", ["Berlin", "Paris"]),
        ("near_geometry=13.4,52.52,3000", ["Berlin"]),
        ("near_geometry=13.4,52.52,100", []),
        ("near_geometry=13.4,52.52,1000000", ["Berlin", "Paris"]),
        ("near_geometry=0,90,1000", []),
    ],
)
def test_places_are_found_in_a_box_and_near_a_point(client, query, names):
    records = client.get(f"/places?{query}&_sort=name").json["data"]
    assert [place["name"] for place in records] == names


@pytest.mark.parametrize("query", ["within_geometry=2.2,48.8,2.5", "near_geometry=here"])
def test_invalid_box_or_distance_returns_400(client, query):
    client.get(f"/places?{query}", status=400)


@pytest.mark.parametrize("point", [[], [1], [1, 2, 3], [181, 0], [0, 91], ["east", 0]])
def test_point_outside_the_earth_returns_400(client, point):
    data = {"name": "Nowhere", "geometry": {"type": "Point", "coordinates": point}}
    client.post_json("/places", {"data": data}, status=400)


def test_moved_place_is_found_at_its_new_position(client):
    place = client.get("/places?name=Paris").json["data"][0]
    geometry = {**place["geometry"], "coordinates": BERLIN}
    client.patch_json(f"/places/{place['id']}", {"data": {"geometry": geometry}})
    assert len(client.get("/places?near_geometry=13.4,52.52,3000").json["data"]) == 2


def test_operators_are_in_the_openapi_document(client):
    document = client.get("/__api__").text
    assert "within_geometry" in document and "near_geometry" in document
