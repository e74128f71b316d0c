"""Places on a map, with filters for a box (``within_``) and for a distance (``near_``)."""

import math

import colander

from cliquet import resource
from cliquet.storage import Filter
from cliquet.utils import COMPARISON

METRES_PER_DEGREE = 111_320


class Position(colander.TupleSchema):
    lon = colander.SchemaNode(colander.Float(), validator=colander.Range(-180, 180))
    lat = colander.SchemaNode(colander.Float(), validator=colander.Range(-90, 90))


class PointSchema(colander.MappingSchema):
    type = colander.SchemaNode(colander.String(), validator=colander.OneOf(["Point"]))
    coordinates = Position()


class PlaceSchema(resource.ResourceSchema):
    name = colander.SchemaNode(colander.String())
    geometry = PointSchema()


@resource.register()
class Place(resource.UserResource):
    mapping = PlaceSchema()

    def process_record(self, new, old=None):
        new = super().process_record(new, old)
        # Filters can't use the elements of an array, so store them as fields too.
        lon, lat = new["geometry"]["coordinates"]
        fields = {"coordinates": [lon, lat], "lon": lon, "lat": lat}
        return {**new, "geometry": {"type": "Point", **fields}}


def within(field, value):
    """Return the filters for a box: west, south, east and north in degrees."""
    west, south, east, north = map(float, value.split(","))
    return [
        Filter(f"{field}.lon", west, COMPARISON.MIN),
        Filter(f"{field}.lon", east, COMPARISON.MAX),
        Filter(f"{field}.lat", south, COMPARISON.MIN),
        Filter(f"{field}.lat", north, COMPARISON.MAX),
    ]


def near(field, value):
    """Return the filters for the square around a point: lon, lat, metres."""
    lon, lat, metres = map(float, value.split(","))
    height = metres / METRES_PER_DEGREE
    width = height / max(math.cos(math.radians(lat)), 0.01)
    return within(field, f"{lon - width},{lat - height},{lon + width},{lat + height}")


def includeme(config):
    config.scan(__name__)
    config.add_filter_operator("within", within, "is within the box: west, south, east, north")
    config.add_filter_operator("near", near, "is near the point: longitude, latitude, metres")
