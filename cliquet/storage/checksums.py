"""Checksums of sets of records.

Timestamps of a collection are distinct, so the timestamp of a record identifies one version of one
record. A checksum is the number of records, the sum of their timestamps, and the sum of the cubes
of these, each sum modulo a prime. Adding and removing a version takes constant time. The primes are
below 2 ** 26, so that products are exact in JavaScript and Lua numbers too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

#: The moduli of both sums.
TIME_MODULUS, CUBE_MODULUS = 67108859, 67108837

_CHECKSUM = re.compile(r"(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,7})-(0|[1-9][0-9]{0,7})")


class Checksum(NamedTuple):
    """The checksum of a set of records."""

    number: int = 0
    time_sum: int = 0
    cube_sum: int = 0

    def __str__(self) -> str:
        return f"{self.number}-{self.time_sum}-{self.cube_sum}"

    def add(self, *timestamps: int) -> Checksum:
        """Return the checksum with more records, given their timestamps in milliseconds."""
        return self._combine(1, timestamps)

    def subtract(self, *timestamps: int) -> Checksum:
        """Return the checksum without some records, given their timestamps."""
        return self._combine(-1, timestamps)

    def _combine(self, sign: int, timestamps: Sequence[int]) -> Checksum:
        cubes = sum([timestamp * timestamp * timestamp for timestamp in timestamps])
        return Checksum(
            self.number + sign * len(timestamps),
            (self.time_sum + sign * sum(timestamps)) % TIME_MODULUS,
            (self.cube_sum + sign * cubes) % CUBE_MODULUS,
        )


def difference(added: int | None, removed: int | None) -> tuple[int, int, int]:
    """Return the amounts by which a change of one record changes the parts of a checksum.

    It is faster than :meth:`Checksum.add` and :meth:`Checksum.subtract`.

    :param added: the timestamp of the new version, None if there is none.
    :param removed: the timestamp of the old version, None if there was none.
    """
    new, old = added or 0, removed or 0
    return (
        (added is not None) - (removed is not None),
        (new - old) % TIME_MODULUS,
        (new * new * new - old * old * old) % CUBE_MODULUS,
    )


def parse_checksum(text: str) -> Checksum:
    """Return the checksum that a string represents.

    :raises ValueError: if it isn't a checksum.
    """
    match = _CHECKSUM.fullmatch(text)
    checksum = Checksum(*map(int, match.groups())) if match else None
    if checksum is None or checksum[1] >= TIME_MODULUS or checksum[2] >= CUBE_MODULUS:
        raise ValueError(f"{text!r} is not a checksum: expected COUNT-A-B")
    return checksum
