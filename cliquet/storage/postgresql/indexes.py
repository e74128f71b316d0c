"""Indexes for text search that an administrator created."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

#: Seconds after which the indexes are read again.
_LIFETIME = 60.0

_TRIGRAM_INDEXES = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index
 WHERE indrelid = 'cliquet_records'::regclass AND indisvalid
 AND strpos(pg_get_indexdef(indexrelid), 'cliquet_trigrams(') > 0"""


class TrigramIndexes:
    """The indexes of the trigrams of fields.

    :param read: function that returns the rows of a statement.
    """

    def __init__(self, read: Callable[[str], Sequence[tuple[str]]]) -> None:
        self._read = read
        self._definitions: list[str] = []
        self._expiry = 0.0

    def has(self, names: Sequence[str]) -> bool:
        """Return whether an index contains the trigrams of the field with these names."""
        if time.monotonic() > self._expiry:
            self._definitions = [definition for (definition,) in self._read(_TRIGRAM_INDEXES)]
            self._expiry = time.monotonic() + _LIFETIME
        literals = ["'{}'".format(name.replace("'", "''")) for name in names]
        return any(all(each in text for each in literals) for text in self._definitions)
