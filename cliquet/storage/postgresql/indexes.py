"""Indexes that an administrator created."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

#: Seconds after which the indexes are read again.
_LIFETIME = 60.0

#: Strings in the definitions of indexes of keys, trigrams and elements.
KEYS, TRIGRAMS, ELEMENTS = "cliquet_key(", "cliquet_trigrams(", "::jsonb"

_INDEXES = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index
 WHERE indrelid = 'cliquet_records'::regclass AND indisvalid"""


class Indexes:
    """The indexes of fields.

    :param read: function that returns the rows of a statement.
    """

    def __init__(self, read: Callable[[str], Sequence[tuple[str]]]) -> None:
        self._read = read
        self._definitions: list[str] = []
        self._expiry = 0.0

    def has(self, kind: str, names: Sequence[str]) -> bool:
        """Return whether an index of a kind contains the field with these names.

        :param kind: :data:`KEYS`, :data:`TRIGRAMS` or :data:`ELEMENTS`.
        """
        if time.monotonic() > self._expiry:
            self._definitions = [definition for (definition,) in self._read(_INDEXES)]
            self._expiry = time.monotonic() + _LIFETIME
        parts = [kind, *("'{}'".format(name.replace("'", "''")) for name in names)]
        return any(all(part in text for part in parts) for text in self._definitions)
