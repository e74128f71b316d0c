"""Patterns of object ids."""

from __future__ import annotations

from cliquet.utils.text import consists_of


class Pattern:
    """A pattern of object ids, in which ``*`` matches any string.

    No other character is special.

    :param within: another pattern that ids must match too.
    """

    def __init__(self, pattern: str, within: Pattern | None = None) -> None:
        self._parts = pattern.split("*")
        #: The common prefix of all matching ids.
        self.prefix = self._parts[0]
        self._within = within

    def matches(self, object_id: str) -> bool:
        """Return whether the pattern matches the whole id."""
        if self._within is not None and not self._within.matches(object_id):
            return False
        return consists_of(object_id, self._parts)


def after_prefix(prefix: str) -> str | None:
    """Return the first string after all those that begin with ``prefix``.

    It ends the range of an ordered index that contains them; None: the range is unbounded.
    """
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    # Escaped strings (see cliquet.drivers.escaping) contain no surrogates.
    return stem[:-1] + ("\ue000" if stem[-1] == "\ud7ff" else chr(ord(stem[-1]) + 1))
