"""Fast JSON that is exact for numbers of any size.

orjson does most of the work. It reads integers beyond 64 bits as floats and can't
write them, so the standard library handles those.
"""

from __future__ import annotations

import datetime
import json as stdlib_json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

#: Maximum nesting of accepted JSON values (protocol, "Limits").
MAX_DEPTH = 100

# Turns digits into zeros, and all other bytes into ones.
_DIGITS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord("1") for byte in range(256))
_LONG_NUMBER = b"0" * 19

_NOT_ASCII = re.compile("[^\x00-\x7f]+")

_ISO_DATES = orjson.OPT_NON_STR_KEYS
_OWN_DATES = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME

# The maximum length of the integers that Python converts by default.
_MAX_DIGITS = 4300

# The range of the integers that orjson writes.
_LEAST, _GREATEST = -(1 << 63), (1 << 64) - 1


def loads(text: str | bytes, max_digits: int | None = None) -> Any:
    """Parse the JSON document ``text``, which is UTF-8 if it is bytes.

    :param max_digits: maximum number of digits of an integer; None: that of Python.
    :raises ValueError: if it isn't JSON, or contains lone surrogates, infinite
        numbers, or integers that are too long.
    :raises TypeError: if it is neither a string nor bytes.
    """
    raw = text.encode("utf-8") if isinstance(text, str) else text
    try:
        long_number = _LONG_NUMBER in raw.translate(_DIGITS)
    except AttributeError:
        raise TypeError(f"expected a string or bytes, not {type(text).__name__}") from None
    return _loads_exactly(raw, max_digits) if long_number else orjson.loads(raw)


def dumps_bytes(
    value: object, default: Callable[[Any], Any] | None = None, iso_dates: bool = True
) -> bytes:
    """Return ``value`` as compact JSON in UTF-8.

    :param default: converts values of other types into JSON values.
    :param iso_dates: whether dates and times become ISO 8601 strings; otherwise ``default``
        converts them.
    """
    options = _ISO_DATES if iso_dates else _OWN_DATES
    try:
        return orjson.dumps(value, default, options)
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return _dumps_exactly(value, default, options)


def exact_text(value: object) -> bytes | None:
    """Return a value as JSON, or None if the JSON can stand for another value.

    orjson writes infinite numbers and NaN as null.
    """
    try:
        text = orjson.dumps(value, None, _ISO_DATES)
    except TypeError:
        return None
    return None if b"null" in text else text


def fragment(text: str | bytes) -> Any:
    """Return serialized JSON as a value that :func:`dumps_bytes` includes unchanged."""
    return orjson.Fragment(text)


def _dumps_exactly(value: object, default: Callable[[Any], Any] | None, options: int) -> bytes:
    try:
        return orjson.dumps(_with_fragments(value), default, options)
    except TypeError:
        text = stdlib_json.dumps(value, default=default, ensure_ascii=False, separators=(",", ":"))
        # Surrogates become JSON escapes.
        return text.encode("utf-8", "backslashreplace")


def _with_fragments(value: object) -> Any:
    """Return ``value`` with its long integers as fragments, for orjson.

    The standard library formats some floats differently, and engines compare
    arrays and objects as JSON.
    """
    if isinstance(value, dict):
        return {key: _with_fragments(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_fragments(item) for item in value]
    if isinstance(value, int) and not _LEAST <= value <= _GREATEST:
        return orjson.Fragment(str(value))
    return value


def dumps(value: object, default: Callable[[Any], Any] | None = None, **kw: Any) -> str:
    """Return ``value`` as compact JSON; further options are those of ``json.dumps``.

    :param default: converts values of other types; by default, decimals become numbers.
    :raises TypeError: for a value that can't be converted.
    """
    default = default or _convert
    if kw:
        return stdlib_json.dumps(value, default=default, **kw)
    return dumps_bytes(value, default).decode("utf-8")


def _convert(value: object) -> int | float:
    """Return the number that equals a decimal."""
    number = _number(value) if isinstance(value, Decimal) else value
    if isinstance(number, (int, float)):
        return number
    raise TypeError(f"{value!r} is not JSON serializable")


def dumps_ascii(value: object, default: Callable[[Any], Any] | None = None) -> str:
    """Return ``value`` as compact JSON in ASCII, with escaped slashes."""
    text = dumps(value, default).replace("/", "\\/")
    return text if text.isascii() else _NOT_ASCII.sub(lambda match: escape(match[0]), text)


def escape(text: str) -> str:
    """Return a string as it appears within an ASCII JSON string."""
    return stdlib_json.dumps(text)[1:-1]


def same(one: object, other: object) -> bool:
    """Return whether two JSON values are identical: ``1`` isn't ``true`` or ``1.0``."""
    return one == other and _canonical(one) == _canonical(other)


def _canonical(value: object) -> str:
    return stdlib_json.dumps(value, sort_keys=True)


def plain(value: object) -> Any:
    """Return deserialized data as a plain JSON value.

    Decimals become numbers, sets become arrays, dates and times become ISO 8601 strings. A
    decimal that no JSON number equals is kept, and is then refused as not storable.
    """
    if isinstance(value, dict):
        return {
            key: item if item.__class__ in _SCALARS else plain(item) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [item if item.__class__ in _SCALARS else plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(plain, value), key=dumps)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return _number(value) if isinstance(value, Decimal) else value


_SCALARS = frozenset({str, int, float, bool, type(None)})


def _number(value: Decimal) -> int | float | Decimal:
    """Return the JSON number that equals a decimal, or the decimal itself.

    It is a float, or an integer if no float equals the decimal.
    """
    if not value.is_finite():
        return value
    number = float(value)
    if Decimal(repr(number)) == value:
        return number
    is_integer = value.adjusted() < _MAX_DIGITS and value == value.to_integral_value()
    return int(value) if is_integer else value


def _loads_exactly(raw: bytes, max_digits: int | None) -> Any:
    def parse_int(text: str) -> int:
        if max_digits is not None and len(text) > max_digits + text.startswith("-"):
            raise ValueError(f"an integer has more than {max_digits} digits")
        return int(text)

    try:
        value = stdlib_json.loads(
            raw.decode("utf-8"), parse_int=parse_int, parse_float=_finite, parse_constant=_finite
        )
        # Unlike orjson, it accepts lone surrogates: encoding detects them.
        stdlib_json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def syntax_error(raw: bytes) -> str | None:
    """Return the first syntax error in JSON in the words of 3.1, or None if unknown.

    3.1 used simplejson, whose messages the standard library has, apart from two.

    :param raw: the document. It is parsed slowly: it should be short.
    """
    try:
        stdlib_json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return str(error)
    except stdlib_json.JSONDecodeError as error:
        text, position, message = error.doc, error.pos, error.msg
        if message == "Extra data":
            end = stdlib_json.JSONDecodeError("", text, len(text))
            return f"{message}: {_place(error)} - {_place(end)} (char {position} - {end.pos})"
        if message.startswith("Expecting property name") and text[:position].rstrip()[-1] == "{":
            message += " or '}'"
        return f"{message}: {_place(error)} (char {position})"
    except (RecursionError, ValueError):
        pass
    return None


def _place(error: stdlib_json.JSONDecodeError) -> str:
    return f"line {error.lineno} column {error.colno}"


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:50]} cannot be stored exactly")
    return number


def most_values(text: bytes) -> int:
    """Return an upper bound of the number of values in JSON."""
    return 1 + text.count(b"[") + text.count(b"{") + text.count(b",")


def has_more_values(value: object, limit: int) -> bool:
    """Return whether a JSON value contains more than ``limit`` values."""
    count = 1
    containers = [value] if isinstance(value, (dict, list, tuple)) else []
    while containers:
        container = containers.pop()
        items = container.values() if isinstance(container, dict) else container
        count += len(items)
        if count > limit:
            return True
        containers.extend(item for item in items if isinstance(item, (dict, list, tuple)))
    return False


def unstorable(value: object, max_depth: int = MAX_DEPTH, outer: int = 0) -> str | None:
    """Return why a JSON value can't be stored, or None.

    Engines must return stored values unchanged (guarantee 9 of the backends), so
    strings with ``\\u0000`` or lone surrogates, infinities and deep nesting are
    refused.

    :param max_depth: maximum number of nested arrays and objects.
    :param outer: number of arrays and objects around the stored ones.
    """
    level = [value]
    for _ in range(max_depth + outer):
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


def _unstorable_scalar(value: object) -> str | None:
    if isinstance(value, str):
        if "\0" in value:
            return "a string with a null character"
        if not _is_encodable(value):
            return "a string with a lone surrogate"
    elif isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    elif isinstance(value, Decimal):
        return "a decimal that no JSON number equals"
    return None


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
