"""Patterns of object ids."""

from __future__ import annotations


class Pattern:
    """A pattern of object ids, in which ``*`` matches any string.

    No other character is special. Matching takes linear time in the length of the id,
    regardless of the number of stars.

    :param within: another pattern that ids must match too.
    """

    def __init__(self, pattern: str, within: Pattern | None = None) -> None:
        #: The common prefix of all matching ids.
        self.prefix, *self._parts = pattern.split("*")
        self._within = within

    def matches(self, object_id: str) -> bool:
        """Return whether the pattern matches the whole id."""
        if self._within is not None and not self._within.matches(object_id):
            return False
        if not self._parts:
            return object_id == self.prefix
        if not object_id.startswith(self.prefix):
            return False
        if self._parts == [""]:
            return True
        *middle, last = self._parts
        end = len(object_id) - len(last)
        position = len(self.prefix)
        if not object_id.endswith(last):
            return False
        for part in middle:
            index = object_id.find(part, position, end)
            if index < 0:
                return False
            position = index + len(part)
        return position <= end


def after_prefix(prefix: str) -> str | None:
    """Return the first string after all those that begin with ``prefix``.

    It ends the range of an ordered index that contains them; None: the range is unbounded.
    """
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    # Escaped strings (see cliquet.drivers.escaping) contain no surrogates.
    return stem[:-1] + ("\ue000" if stem[-1] == "\ud7ff" else chr(ord(stem[-1]) + 1))
