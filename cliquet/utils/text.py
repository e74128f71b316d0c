"""Texts of headers, settings and ids."""

from __future__ import annotations

import math
import re
from typing import Any

from pyramid.settings import aslist

from cliquet.utils import json

#: Longest id of a record, of what records are isolated by, or of a principal, in bytes of UTF-8:
#: a database has to have them in an index, with one another (PostgreSQL: 2704 bytes).
MAX_ID_LENGTH = 1024

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}


def is_long_id(text: str) -> bool:
    """Tell whether an id is longer than :data:`MAX_ID_LENGTH`."""
    return len(text.encode("utf-8", "surrogatepass")) > MAX_ID_LENGTH


def encode_header(value: str | bytes, encoding: str = "utf-8") -> str:
    """Return ``value`` as the native string that WSGI wants in a header (PEP 3333)."""
    return decode_header(value, encoding)


def decode_header(value: str | bytes, encoding: str = "utf-8") -> str:
    """Return the text of a header's ``value``."""
    return value.decode(encoding) if isinstance(value, bytes) else value


def one_line(text: str) -> str:
    """Return a text for a log, in which clients can neither begin a line nor move a cursor.

    Characters that aren't printable are escaped as in Python; so are those that
    change the direction of the text.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def indented(text: str) -> str:
    """Return a traceback for a log: each line but the first is indented, and escaped.

    So none looks like the beginning of an entry of the log, whatever message it contains.
    """
    first, *others = map(one_line, text.split("\n"))
    return "\n".join([first, *(f"  {line}" for line in others)])


def setting_list(value: Any) -> list[str]:
    """Return the items of a setting that is a list, or a text of words."""
    return [] if value in (None, "") else aslist(value)


# Each pattern looks at a character once: what is searched may come from a client.
_URL_USER = re.compile(r"//[^:@/]*:")
_PASSWORD_PARAMETER = re.compile(r"(password=)('[^']*'|[^&\s]+)", re.IGNORECASE)


def without_password(url: str) -> str:
    """Return a URL, or a list of parameters, with its password replaced by ``***`` for logs."""
    user, end = _URL_USER.search(url), url.rfind("@")
    if user is not None and user.end() <= end:
        url = f"{url[: user.end()]}***{url[end:]}"
    return _PASSWORD_PARAMETER.sub(r"\1***", url)


def query_value(text: str) -> Any:
    """Return the boolean, number or string that a value in a query string stands for.

    Booleans are ``true/yes/on`` and ``false/no/off``. Numbers and quoted strings are JSON.
    """
    lowered = text.lower()
    if lowered in _BOOLEANS:
        return _BOOLEANS[lowered]
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
