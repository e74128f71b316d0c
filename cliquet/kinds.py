"""The types that settings have."""

from __future__ import annotations

import datetime
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pyramid.path import DottedNameResolver

from cliquet.utils import json, setting_list


class Kind(NamedTuple):
    """A type of settings: what is expected, and a function that refuses the rest."""

    expected: str
    parse: Callable[[Any], Any]


def _text(value: Any) -> Any:
    return value


def _natural(value: Any) -> int:
    number = int(value)
    if isinstance(value, (bool, float)) or number < 0:
        raise ValueError
    return number


def _positive(value: Any) -> int:
    if (number := _natural(value)) == 0:
        raise ValueError
    return number


_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y", "t", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "f", "0"), False),
}


def _boolean(value: Any) -> bool:
    return _BOOLEANS[str(value).strip().lower()]


def parse_date(value: Any) -> datetime.datetime:
    """Return a date of ISO 8601 with its time zone, UTC if it tells none.

    :raises ValueError: when it is none.
    """
    date = datetime.datetime.fromisoformat(str(value))
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)


def _version(value: Any) -> list[str]:
    if not (numbers := re.findall(r"\d+", str(value))):
        raise ValueError
    return numbers


def _duration(value: Any) -> float:
    seconds = float(value)
    if isinstance(value, bool) or not 0 < seconds <= threading.TIMEOUT_MAX:
        raise ValueError
    return seconds


def _json_object(path: Any) -> dict[str, Any]:
    content = json.loads(Path(path).read_bytes())
    if not isinstance(content, dict):
        raise ValueError
    return content


_resolve = DottedNameResolver(None).maybe_resolve


def _module(value: Any) -> Any:
    module = _resolve(value)
    if not callable(getattr(module, "load_from_config", None)):
        raise ValueError("it has no load_from_config")
    return module


def _names(value: Any) -> list[Any]:
    return [_resolve(name) for name in setting_list(value)]


def _scheme(value: Any) -> str:
    if value not in ("http", "https"):
        raise ValueError
    return str(value)


TEXT = Kind("a text", _text)
NAME = Kind("the dotted name of what can be imported", _resolve)
NAMES = Kind("a list of dotted names of what can be imported", _names)
MODULE = Kind("a module with load_from_config", _module)
NATURAL = Kind("an integer, 0 or more", _natural)
POSITIVE = Kind("an integer, 1 or more", _positive)
INTEGER = Kind("an integer", int)
BOOLEAN = Kind("true or false", _boolean)
DATE = Kind("a date (ISO 8601)", parse_date)
WORDS = Kind("a list of words", setting_list)
SCHEME = Kind("http or https", _scheme)
VERSION = Kind("a version, as 1.0", _version)
DURATION = Kind("a number of seconds, above 0", _duration)
JSON_FILE = Kind("a file that holds a JSON object", _json_object)
