"""Small helpers that import nothing else from the package."""

from __future__ import annotations

import ast
import hmac
import importlib
import os
import re
import time
import traceback
import warnings
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from colander import null as null

from cliquet.utils import json as json
from cliquet.utils.http import build_request as build_request
from cliquet.utils.http import build_response as build_response
from cliquet.utils.http import current_resource_name as current_resource_name
from cliquet.utils.http import current_service as current_service
from cliquet.utils.http import follow_subrequest as follow_subrequest
from cliquet.utils.http import reapply_cors as reapply_cors
from cliquet.utils.text import BOOLEANS
from cliquet.utils.text import decode_header as decode_header
from cliquet.utils.text import encode_header as encode_header
from cliquet.utils.text import setting_list as setting_list
from cliquet.utils.text import without_password as without_password


class COMPARISON(Enum):
    """The comparisons of a :class:`cliquet.storage.Filter`."""

    LT = "<"
    MIN = ">="
    MAX = "<="
    NOT = "!="
    EQ = "=="
    GT = ">"
    IN = "in"
    EXCLUDE = "exclude"
    HAS = "has"
    LIKE = "like"
    CONTAINS = "contains"
    CONTAINS_ANY = "contains_any"
    OR = "or"


def strip_whitespace(v: Any) -> Any:
    """Return ``v``, a string or Colander's null, without surrounding white space."""
    return v if v is null else v.strip(" \t\n\r")


def warn_deprecated(old: str, new: str) -> None:
    """Warn the caller of the caller that a name has a replacement."""
    message = f"{old} is deprecated and will be removed in Cliquet 4.0: use {new}"
    warnings.warn(message, DeprecationWarning, stacklevel=3)


class DeprecatedMeta(type):
    """Metaclass of deprecated aliases of classes, which warns on inheritance.

    The new name is that of the first base class.
    """

    def __init__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> None:
        super().__init__(name, bases, attrs)
        for base in bases:
            if isinstance(base, DeprecatedMeta):
                warn_deprecated(base.__name__, base.__mro__[1].__name__)


def msec_time() -> int:
    """Return the current time, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def classname(obj: object) -> str:
    """Return the lower-case name of the class of ``obj``."""
    return str(obj.__class__.__name__).lower()


def merge_dicts(a: dict[str, Any], b: Mapping[str, Any]) -> None:
    """Merge into ``a``, recursively and in place, the keys of ``b`` that it lacks."""
    for key, value in b.items():
        if isinstance(value, Mapping):
            nested = a.setdefault(key, {})
            if isinstance(nested, dict):
                merge_dicts(nested, value)
        else:
            a.setdefault(key, value)


def random_bytes_hex(bytes_length: int) -> str:
    """Return ``bytes_length`` random bytes in hexadecimal."""
    return os.urandom(bytes_length).hex()


def native_value(value: object) -> Any:
    """Return the Python value that the string ``value`` represents.

    ``true/yes/on`` and ``false/no/off``, in any case, are booleans. Python literals (numbers,
    quoted strings, lists, ``None``...) are evaluated. Other strings are returned unchanged.
    """
    if not isinstance(value, str):
        return value
    lowered = value.lower()
    if lowered in BOOLEANS:
        return BOOLEANS[lowered]
    try:
        return ast.literal_eval(value)
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        return value


def env_name(key: str) -> str:
    """Return the name of the environment variable for the setting ``key``."""
    return key.replace(".", "_").replace("-", "_").upper()


def read_env(key: str, value: object) -> Any:
    """Return the environment variable for the setting ``key``, or else ``value``.

    Dots and dashes in ``key`` become underscores. Strings from either source are
    converted by :func:`native_value`.
    """
    return native_value(os.environ.get(env_name(key), value))


def encode64(content: str, encoding: str = "utf-8") -> str:
    """Return ``content`` in base 64."""
    return b64encode(content.encode(encoding)).decode(encoding)


def decode64(encoded_content: str, encoding: str = "utf-8") -> str:
    """Decode a base 64 string.

    :raises ValueError: if it isn't base 64, or not in that encoding.
    """
    return b64decode(encoded_content.encode(encoding)).decode(encoding)


def hmac_digest(secret: str | bytes, message: str, encoding: str = "utf-8") -> str:
    """Return the hexadecimal HMAC-SHA256 of ``message`` with the key ``secret``."""
    key = secret.encode(encoding) if isinstance(secret, str) else secret
    return hmac.digest(key, message.encode(encoding), "sha256").hex()


def field_selector(keys: Iterable[str]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return a function equivalent to :func:`dict_subset`, for many dictionaries.

    Keys are grouped once, so that the cost per dictionary depends only on its own fields.
    """
    keys = list(keys)
    dotted = {key for key in keys if "." in key}
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(key.partition(".")[0], []).append(key)

    def select(d: Mapping[str, Any]) -> dict[str, Any]:
        if not dotted.isdisjoint(d):
            return dict_subset(d, keys)
        selected = {}
        for field, group in groups.items():
            if field in d:
                is_whole = len(group) == 1 and group[0] == field
                if is_whole or not isinstance(d[field], Mapping):
                    selected[field] = d[field]
                else:
                    selected.update(dict_subset(d, group))
        return selected

    return select


def dict_subset(d: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Return the part of ``d`` that ``keys`` select; dots descend into sub-objects.

    Missing keys are ignored. If a dotted key passes through a value that isn't an object, the
    whole value is taken. Of several keys that share their first two names, the last one wins.
    """
    result: dict[str, Any] = {}
    for key in keys:
        head, dot, rest = key.partition(".")
        value = d.get(head)
        if dot and isinstance(value, Mapping):
            result[head] = {**result.get(head, {}), **dict_subset(value, [rest])}
        elif head in d:
            result[head] = value
        elif key in d:
            result[key] = d[key]
    return result


def strip_uri_prefix(path: str) -> str:
    """Return ``path`` without its version prefix."""
    return re.sub(r"^/v\d+", "", str(path))


def forget_variables(error: BaseException | None) -> None:
    """Clear the local variables in the tracebacks of an exception and its causes.

    Error trackers such as Sentry would send them: request headers, database
    passwords.
    """
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def json_serializer(v: object, **kw: Any) -> str:
    """Return ``v`` as JSON, for Pyramid's renderers."""
    return json.dumps(v, kw.get("default"))


def import_optional(name: str) -> Any:
    """Return a module, or None if its package is missing.

    :param name: the dotted name of the module.
    """
    package, _, module = name.rpartition(".")
    try:
        imported = importlib.import_module(name)
    except ImportError:
        return None
    # The attribute of the package, which applications can replace.
    return getattr(importlib.import_module(package), module) if package else imported


def __getattr__(name: str) -> Any:
    """Return the module ``sqlalchemy``, or None if it isn't installed.

    It is imported lazily, because it is optional and slow to load.
    """
    if name != "sqlalchemy":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_optional(name)
