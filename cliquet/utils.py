"""Small pure helpers. This module imports nothing of the package."""

from __future__ import annotations

import hashlib
import hmac
import json as stdlib_json
import math
import os
import re
import time
from base64 import b64decode, b64encode
from binascii import hexlify
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import orjson
from pyramid.settings import aslist

#: Comparisons that a :class:`cliquet.storage.Filter` can make.
COMPARISON = Enum("COMPARISON", "LT MIN MAX NOT EQ GT IN EXCLUDE")

#: Deepest nesting of the JSON values that are accepted (protocol, "Limits").
MAX_DEPTH = 100

_LONG_NUMBER = re.compile(rb"\d{19}")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_TRUE = frozenset(("true", "yes", "on"))
_FALSE = frozenset(("false", "no", "off"))


def strip_whitespace(value: Any) -> Any:
    """Return ``value`` without white space around it, if it is a string."""
    return value.strip() if isinstance(value, str) else value


def msec_time() -> int:
    """Return the current time, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def classname(obj: Any) -> str:
    """Return the lower-case name of the class of ``obj``."""
    return obj.__class__.__name__.lower()


def merge_dicts(a: dict[str, Any], b: Mapping[str, Any]) -> None:
    """Add to ``a``, in place and deeply, the keys of ``b`` that it lacks."""
    for key, value in b.items():
        if isinstance(value, Mapping):
            mine = a.setdefault(key, {})
            if isinstance(mine, dict):
                merge_dicts(mine, value)
        else:
            a.setdefault(key, value)


def random_bytes_hex(bytes_length: int) -> str:
    """Return ``bytes_length`` random bytes, in hexadecimal."""
    return hexlify(os.urandom(bytes_length)).decode("ascii")


def native_value(value: Any) -> Any:
    """Return the boolean, number or text that the text ``value`` stands for.

    The protocol reads querystrings so ("Querystring"), and settings from the
    environment are read alike: ``true/yes/on`` and ``false/no/off``, JSON
    numbers, quoted strings, else the text itself.
    """
    if not isinstance(value, str):
        return value
    lowered = value.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    if _NUMBER.fullmatch(value):
        return _number(value)
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def _number(text: str) -> int | float | str:
    try:
        number: int | float = int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:  # more digits than Python agrees to convert
        return text
    return number if math.isfinite(number) else text


def read_env(key: str, value: Any) -> Any:
    """Return the environment variable for the setting ``key``, or ``value``.

    Dots and dashes of ``key`` become underscores. What the environment holds
    is read like a querystring value.
    """
    name = key.replace(".", "_").replace("-", "_").upper()
    return native_value(os.environ[name]) if name in os.environ else value


def encode64(content: str, encoding: str = "utf-8") -> str:
    """Return ``content`` in base 64."""
    return b64encode(content.encode(encoding)).decode(encoding)


def decode64(encoded_content: str, encoding: str = "utf-8") -> str:
    """Return the text that is ``encoded_content`` in base 64.

    :raises ValueError: when it is no base 64, or not of that encoding.
    """
    return b64decode(encoded_content.encode(encoding)).decode(encoding)


def hmac_digest(secret: str, message: str, encoding: str = "utf-8") -> str:
    """Return the hexadecimal HMAC-SHA256 of ``message`` with the key ``secret``."""
    return hmac.new(secret.encode(encoding), message.encode(encoding), hashlib.sha256).hexdigest()


def dict_subset(d: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Return the part of ``d`` that ``keys`` name; dots go into sub-objects.

    Keys that ``d`` lacks are left out; where a dotted key goes through a value
    that is no object, that value is taken whole.
    """
    result: dict[str, Any] = {}
    for key in keys:
        _copy_path(d, result, key)
    return result


def _copy_path(source: Mapping[str, Any], target: dict[str, Any], path: str) -> None:
    head, dot, rest = path.partition(".")
    if path in source:
        target[path] = source[path]
    elif dot and head in source:
        if isinstance(source[head], Mapping):
            inner = target.setdefault(head, {})
            if inner is not source[head]:
                _copy_path(source[head], inner, rest)
        else:
            target[head] = source[head]


def encode_header(value: str | bytes, encoding: str = "utf-8") -> str:
    """Return ``value`` as the native string that WSGI wants in a header (PEP 3333)."""
    return decode_header(value, encoding)


def decode_header(value: str | bytes, encoding: str = "utf-8") -> str:
    """Return the text of a header's ``value``."""
    return value.decode(encoding) if isinstance(value, bytes) else value


def strip_uri_prefix(path: str) -> str:
    """Return ``path`` without its version prefix and trailing slash."""
    return re.sub(r"^(/v\d+)?", "", str(path)).rstrip("/")


def setting_list(value: Any) -> list[str]:
    """Return the items of a setting that is a list, or a text of words."""
    return [] if value in (None, "") else aslist(value)


class JSON:
    """``loads`` and ``dumps``, fast, and exact for integers of any size.

    orjson does the work; it reads integers beyond 64 bits as floats and can't
    write them: these are left to the standard library.
    """

    @staticmethod
    def loads(text: str | bytes) -> Any:
        """Return the value of the JSON document ``text``, UTF-8 if it is bytes.

        :raises ValueError: when it isn't JSON, or holds lone surrogates,
            infinite numbers, or integers too long to be read.
        """
        raw = text.encode("utf-8") if isinstance(text, str) else text
        return _loads_exactly(raw) if _LONG_NUMBER.search(raw) else orjson.loads(raw)

    @staticmethod
    def dumps_bytes(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
        """Return ``value`` as compact JSON in UTF-8.

        :param default: called with what JSON doesn't know, returns what it does.
        """
        try:
            return orjson.dumps(value, default, orjson.OPT_NON_STR_KEYS)
        except TypeError:  # integers beyond 64 bits, lone surrogates
            text = stdlib_json.dumps(
                value, default=default, ensure_ascii=False, separators=(",", ":")
            )
            # A surrogate becomes its JSON escape.
            return text.encode("utf-8", "backslashreplace")

    @classmethod
    def dumps(cls, value: Any, default: Callable[[Any], Any] | None = None, **kw: Any) -> str:
        """Return ``value`` as compact JSON; other options are not looked at."""
        return cls.dumps_bytes(value, default).decode("utf-8")


json = JSON


def _loads_exactly(raw: bytes) -> Any:
    try:
        value = stdlib_json.loads(raw.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
        # Unlike orjson it reads lone surrogates: they can't be encoded.
        stdlib_json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} can't be kept exactly")
    return number


def json_serializer(value: Any, **kw: Any) -> str:
    """Return ``value`` as JSON, for Pyramid's renderers."""
    return JSON.dumps(value, kw.get("default"))


def unstorable(value: Any, max_depth: int = MAX_DEPTH) -> str | None:
    """Tell why a JSON value can't be stored, None if it can.

    Every engine must give back what it was given (guarantee 9 of the
    backends): text with ``\\u0000`` or lone surrogates, infinities and deep
    nesting are refused.

    :param max_depth: how many arrays and objects may lie in one another.
    """
    level = [value]
    for _ in range(max_depth):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, (list, tuple)):
                below.extend(item)
            elif (reason := _unstorable_scalar(item)) is not None:
                return reason
        if not below:
            return None
        level = below
    if any(isinstance(item, (dict, list, tuple)) for item in level):
        return f"nested deeper than {max_depth} levels"
    return next(filter(None, map(_unstorable_scalar, level)), None)


def _unstorable_scalar(value: Any) -> str | None:
    if isinstance(value, str):
        if "\0" in value:
            return "text with a null character"
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            return "text with a lone surrogate"
    elif isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    return None
