"""Types of settings."""

from __future__ import annotations

import datetime
import inspect
import math
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, overload

from pyramid.path import DottedNameResolver

from cliquet.utils import json, native_value, setting_list

T = TypeVar("T")


class SettingType(NamedTuple, Generic[T]):
    """A type of settings.

    :param expected: a description of valid values, for error messages.
    :param parse: converts a value, or raises an exception if it is invalid.
    :param read: converts a value as it was written, and accepts any value.
    :param empty_is_default: whether an empty value means the default value.
    """

    expected: str
    parse: Callable[[Any], T]
    read: Callable[[Any], Any] = native_value
    empty_is_default: bool = False

    @overload
    def get(self, settings: Mapping[str, Any], key: str) -> T | None: ...

    @overload
    def get(self, settings: Mapping[str, Any], key: str, default: T) -> T: ...

    def get(self, settings: Mapping[str, Any], key: str, default: T | None = None) -> T | None:
        """Return the current value of a setting; ``default`` if it is empty.

        Start-up validates the settings. Applications can change some while they run; invalid
        values count as empty then.
        """
        value = settings.get(key)
        if value is None or value == "":
            return default
        try:
            return self.parse(value)
        except (KeyError, TypeError, ValueError):
            return default


class Setting(NamedTuple):
    """A row of the table. An empty or missing value is always valid.

    :param example: a value as it is written in the configuration file; empty: none.
    """

    key: str
    default: Any
    type: SettingType[Any]
    example: str
    description: str


def _reads_false_as_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let code pass False instead of None to switch off a setting that isn't a boolean."""
    return lambda value: None if value is False else read(value)


@_reads_false_as_none
def _text(value: object) -> Any:
    return str(value) if isinstance(value, (int, float)) else value


def _plain_text(value: object) -> Any:
    if not isinstance(value, (str, int, float)):
        raise TypeError(value)
    return _text(value)


@_reads_false_as_none
def _name(value: object) -> Any:
    return None if value == "None" else value


@_reads_false_as_none
def _words(value: object) -> Any:
    native = native_value(value)
    return native if native is None or isinstance(native, (list, tuple)) else _text(value)


def _numeric(
    expected: str, parse: Callable[[Any], T], empty_is_default: bool = True
) -> SettingType[T]:
    """Return a type of settings with numeric values."""

    def parse_number(value: Any) -> T:
        try:
            return parse(value)
        except OverflowError as error:
            raise ValueError(str(error)) from error

    @_reads_false_as_none
    def read(value: Any) -> Any:
        if native_value(value) in (None, ""):
            return None
        try:
            return parse_number(value)
        except (TypeError, ValueError):
            return value

    return SettingType(expected, parse_number, read, empty_is_default)


def _integer(minimum: int, maximum: float = math.inf) -> Callable[[Any], int]:
    """Return a function that parses integers from ``minimum`` to ``maximum``."""

    def parse(value: Any) -> int:
        number = int(value)
        if isinstance(value, (bool, float)) or not minimum <= number <= maximum:
            raise ValueError(value)
        return number

    return parse


_natural = _integer(0)


def _limit(value: object) -> int | None:
    return _natural(value) or None


_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y", "t", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "f", "0"), False),
}


def _boolean(value: object) -> bool:
    return _BOOLEANS[str(value).strip().lower()]


def parse_date(value: object) -> datetime.datetime:
    """Parse an ISO 8601 date; the default time zone is UTC.

    :raises ValueError: if it isn't a date.
    """
    date = datetime.datetime.fromisoformat(str(value))
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)


def _version(value: object) -> list[str]:
    if not (numbers := re.findall(r"\d+", _plain_text(value))):
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


_RESOLVER = DottedNameResolver(None)
# A token of RFC 9110 5.6.2.
_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


def _resolve(value: object) -> Any:
    """Return the object with a dotted name.

    :raises ImportError: also for other errors that the code of the module raises.
    """
    try:
        return _RESOLVER.maybe_resolve(value)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ImportError(f"{type(error).__name__}: {error}") from error


def _class_or_function(value: object) -> Any:
    target = _resolve(value)
    if not callable(target):
        raise ValueError(f"{target!r} isn't callable")
    return target


def called_with(*args: object, **kwargs: object) -> Callable[[object], Any]:
    """Return a parser for the name of a class or function that accepts these arguments.

    The parser raises ImportError for any other. It accepts an object without a signature, such as a
    function written in C.
    """

    def parse(value: object) -> Any:
        target = _class_or_function(value)
        try:
            # The signature of the function itself, not of one that it wraps.
            signature = inspect.signature(target, follow_wrapped=False)
        except (TypeError, ValueError):
            return target
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ImportError(f"it has the wrong parameters: {error}") from error
        return target

    return parse


def _module(value: object) -> Any:
    module = _resolve(value)
    if not callable(getattr(module, "load_from_config", None)):
        raise ValueError("it has no load_from_config")
    return module


def _word_list(value: object) -> list[str]:
    words = setting_list(value)
    if not all(isinstance(word, str) for word in words):
        raise TypeError(words)
    return words


def _packages(value: object) -> list[Any]:
    packages = {name: _resolve(name) for name in setting_list(value)}
    for name, package in packages.items():
        if not (callable(package) or hasattr(package, "includeme")):
            raise ImportError(f"{name!r} has no function includeme")
    return list(packages.values())


def _steps(value: object) -> list[Any]:
    return list(map(called_with(None), setting_list(value)))


def _header_names(value: object) -> list[str]:
    names = setting_list(value if not isinstance(value, str) else value.replace(",", " "))
    if not all(map(_HEADER_NAME.fullmatch, names)):
        raise ValueError
    return names


def _scheme(value: object) -> str:
    if value not in ("http", "https"):
        raise ValueError
    return str(value)


TEXT = SettingType("a string", _plain_text, _text)
VERSION = SettingType("a version such as 1.0", _version, _text)
NAME = SettingType(
    "the dotted name of a class or function", _class_or_function, _name, empty_is_default=True
)
#: Called without arguments, with one and with two.
NAME_0, NAME_1, NAME_2 = (NAME._replace(parse=called_with(*[None] * count)) for count in range(3))
PACKAGES = SettingType("a list of dotted names of importable objects", _packages, _words)
FUNCTIONS = SettingType("a list of dotted names of functions", _steps, _words)
MODULE = SettingType("a module with load_from_config", _module, _name)
NATURAL = _numeric("an integer, 0 or more", _natural)
POSITIVE = _numeric("an integer, 1 or more", _integer(1))
#: Deeper values would exceed Python's recursion limit.
NESTING = _numeric("an integer from 1 to 500", _integer(1, 500))
#: Python doesn't convert longer integers.
DIGITS = _numeric("an integer from 1 to 4300", _integer(1, 4300))
#: The value -1 means that there is no limit.
FROM_MINUS_ONE = _numeric("an integer, -1 or more", _integer(-1))
#: Empty and 0 mean that there is no limit.
LIMIT = _numeric("an integer, 0 or more", _limit, empty_is_default=False)
#: Empty means that there is no limit.
TIME_LIMIT = _numeric("a number of seconds above 0", _duration, empty_is_default=False)
DURATION = _numeric("a number of seconds above 0", _duration)
BOOLEAN = SettingType("true or false", _boolean)
DATE = SettingType("a date (ISO 8601)", parse_date, _name)
WORDS = SettingType("a list of words", _word_list, _words)
HEADER_NAMES = SettingType("a list of header names", _header_names, _words)
SCHEME = SettingType("http or https", _scheme, _name)
JSON_FILE = SettingType("a file that contains a JSON object", _json_object, _name)
#: For keys that aren't in the table: settings of applications and plugins.
ANY = SettingType("any value", native_value)
