"""Strings in headers, settings, logs and ids."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from pyramid.settings import aslist

from cliquet.utils import json

#: Maximum length in bytes of UTF-8 of the id of a record or parent, and of a principal, so that a
#: database can index several of them together (PostgreSQL: 2704 bytes).
MAX_ID_LENGTH = 1024

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
#: The words for booleans, in lower case, and their values.
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}


def is_long_id(text: str) -> bool:
    """Return whether an id is longer than :data:`MAX_ID_LENGTH`."""
    return len(text.encode("utf-8", "surrogatepass")) > MAX_ID_LENGTH


def encode_header(value: str | bytes, encoding: str = "utf-8") -> str:
    """Return ``value`` as a native string, as WSGI requires in headers (PEP 3333)."""
    return decode_header(value, encoding)


def decode_header(value: str | bytes, encoding: str = "utf-8") -> str:
    """Return a header's ``value`` as a string."""
    return value.decode(encoding) if isinstance(value, bytes) else value


def one_line(text: str) -> str:
    """Return a string that can't inject lines or control sequences into a log.

    Characters that aren't printable are escaped as in Python, as are those that
    change the direction of the text.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def indented(text: str) -> str:
    """Return a traceback with each line but the first indented and escaped.

    Thus no line can pass for the beginning of a log entry, whatever message it contains.
    """
    first, *others = map(one_line, text.split("\n"))
    return "\n".join([first, *(f"  {line}" for line in others)])


def setting_list(value: object) -> list[str]:
    """Return the items of a setting: a list, or a string of words."""
    return [] if value in (None, "") else aslist(value)


# The patterns take linear time: their input can come from a client.
_URL_USER = re.compile(r"//[^:@/]*:")
_PASSWORD_PARAMETER = re.compile(r"(password=)('[^']*'|[^&\s]+)", re.IGNORECASE)


def without_password(url: str) -> str:
    """Return a URL or parameters with the password replaced by ``***``."""
    user, end = _URL_USER.search(url), url.rfind("@")
    if user is not None and user.end() <= end:
        url = f"{url[: user.end()]}***{url[end:]}"
    return _PASSWORD_PARAMETER.sub(r"\1***", url)


def query_value(text: str) -> Any:
    """Return the boolean, number or string that a value in a query string represents.

    Booleans are ``true/yes/on`` and ``false/no/off``. Numbers and quoted strings are JSON.
    """
    lowered = text.lower()
    if lowered in BOOLEANS:
        return BOOLEANS[lowered]
    if _NUMBER.fullmatch(text):
        return _number(text)
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _number(text: str) -> int | float | str:
    try:
        number: int | float = int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:  # Python limits the number of digits that it converts.
        return text
    return number if isinstance(number, int) or math.isfinite(number) else text


def pattern_test(pattern: str) -> Callable[[str], bool]:
    """Return a function that returns whether a casefolded string matches a pattern.

    ``*`` stands for any characters. A pattern without ``*`` matches anywhere in the string,
    one with ``*`` only the whole string. Case is folded as Unicode defines it.
    """
    parts = pattern.casefold().split("*")
    if len(parts) == 1:
        return lambda text: parts[0] in text
    return lambda text: consists_of(text, parts)


def matches_pattern(text: str, pattern: str) -> bool:
    """Return whether a string matches a pattern (see :func:`pattern_test`)."""
    return _cached_pattern_test(pattern)(text.casefold())


_cached_pattern_test = lru_cache(maxsize=64)(pattern_test)


def consists_of(text: str, parts: Sequence[str]) -> bool:
    """Return whether a string consists of parts, in order, with any characters between them.

    It takes linear time in the length of the string, regardless of the number of parts.
    """
    first, *others = parts
    if not others:
        return text == first
    *middle, last = others
    if not (text.startswith(first) and text.endswith(last)):
        return False
    start, end = len(first), len(text) - len(last)
    for part in middle:
        place = text.find(part, start, end)
        if place < 0:
            return False
        start = place + len(part)
    return start <= end


def after_prefix(prefix: str) -> str | None:
    """Return the first string after all those that begin with ``prefix``.

    It ends the range of an ordered index that contains them; None: the range is unbounded.
    """
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    # Escaped strings (see cliquet.drivers.escaping) contain no surrogates.
    return stem[:-1] + ("\ue000" if stem[-1] == "\ud7ff" else chr(ord(stem[-1]) + 1))
