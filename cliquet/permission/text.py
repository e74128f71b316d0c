"""Object ids and principals as text: patterns of ids, and what databases can't keep."""

from __future__ import annotations

import re

# SQLite and PostgreSQL stop at null characters or refuse them, and neither takes lone
# surrogates. U+001A (SUBSTITUTE) begins what stands for them, and for itself.
_ODD = re.compile("[\0\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")


def escape(text: str) -> str:
    """Return ``text`` as every database keeps it: without null characters and lone surrogates.

    It is done character by character, so what begins with a text still begins
    with it; and hardly any text is changed at all.
    """
    return _ODD.sub(lambda found: f"\x1a{ord(found[0]):04x}", text)


def unescape(text: str) -> str:
    """Return the text that was escaped."""
    if "\x1a" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


class Pattern:
    """A pattern of object ids, in which ``*`` stands for any text.

    Nothing else is special, and matching takes no longer than reading the id a
    few times, whatever the number of stars.

    :param within: another pattern, which ids must match too.
    """

    def __init__(self, pattern: str, within: Pattern | None = None) -> None:
        #: The beginning of all ids that match.
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
            found = object_id.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return position <= end


def after_prefix(prefix: str) -> str | None:
    """Return the first text, in the order of code points, after all that begin with ``prefix``.

    With it an ordered index finds them as one range. None: all texts come before.
    """
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    # No text that was escaped has surrogates.
    return stem[:-1] + ("\ue000" if stem[-1] == "\ud7ff" else chr(ord(stem[-1]) + 1))
