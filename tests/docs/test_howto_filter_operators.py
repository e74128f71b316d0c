"""The guide to filter operators."""

from cliquet.resource import ResourceSchema, UserResource, register_resource


class AnyFields(ResourceSchema):
    class Options:
        preserve_unknown = True


class Spot(UserResource):
    mapping = AnyFields()


def add_spots(config):
    for service in register_resource(Spot, settings=config.get_settings()):
        config.add_cornice_service(service)


def test_records_are_found_within_a_box(serve, settings_of):
    settings = {**settings_of("within.ini"), "openapi_enabled": True}
    client = serve(settings=settings, include=[add_spots])
    for lon, lat in ((2.35, 48.85), (13.4, 52.5)):
        client.post_json("/spots", {"data": {"place": {"lon": lon, "lat": lat}}})
    found = client.get("/spots?within_place=2.2,48.8,2.5,48.9").json["data"]
    assert [spot["place"]["lon"] for spot in found] == [2.35]
    client.get("/spots?within_place=2.2,48.8,2.5", status=400)
    assert "within_" in client.get("/__api__").text
