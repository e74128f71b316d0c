"""A filter for records within a box: ``?within_place=2.2,48.8,2.5,48.9``."""

from cliquet.storage import Filter
from cliquet.utils import COMPARISON


def within(field, text):
    """Return the filters for a box: west, south, east and north in degrees."""
    west, south, east, north = map(float, text.split(","))
    return [
        Filter(f"{field}.lon", west, COMPARISON.MIN),
        Filter(f"{field}.lon", east, COMPARISON.MAX),
        Filter(f"{field}.lat", south, COMPARISON.MIN),
        Filter(f"{field}.lat", north, COMPARISON.MAX),
    ]


def includeme(config):
    config.add_filter_operator("within", within, "is within the box: west, south, east, north")
