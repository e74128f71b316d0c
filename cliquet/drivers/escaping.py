"""Escaping of strings that databases can't store."""

from __future__ import annotations

import re

# SQLite and PostgreSQL truncate or refuse null characters, and neither accepts lone surrogates.
# The escape sequences begin with U+001A (SUBSTITUTE), which is escaped itself.
_UNSTORABLE = re.compile("[\0\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")


def escape(text: str) -> str:
    """Escape null characters and lone surrogates, so that databases accept them.

    Characters are escaped one by one, so the order of prefixes is preserved. Most strings
    remain unchanged.
    """
    return _UNSTORABLE.sub(lambda match: f"\x1a{ord(match[0]):04x}", text)


def unescape(text: str) -> str:
    """Return the original of an escaped string."""
    if "\x1a" not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
