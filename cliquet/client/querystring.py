"""The query string of a collection (protocol, "Query string")."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

#: Parameters that aren't filters.
OPTIONS = ("_sort", "_limit", "_token", "_since", "_before", "_fields", "_count", "_or")

# Strings that the server would read as something else: booleans, null, numbers, quoted strings,
# arrays.
_AMBIGUOUS = re.compile(
    r'true|yes|on|false|no|off|null|[-0-9].*|".*|\[.*', re.IGNORECASE | re.DOTALL
)


def querystring(params: Mapping[str, Any]) -> str:
    """Return the query string of filters and options, with its question mark.

    Without filters and options it is empty.

    Options that are None are left out.

    :raises TypeError: for an unknown option, or a value that isn't a filter value.
    :raises ValueError: for a number that isn't finite, or an empty list.
    """
    pairs = []
    for name, value in params.items():
        if not name.startswith("_"):
            pairs.append((name, _filter(name, value)))
        elif name not in OPTIONS:
            raise TypeError(f"Unknown option {name}: expected one of {', '.join(OPTIONS)}")
        elif value is not None:
            pairs.append((name, json.dumps(value) if name == "_or" else _option(value)))
    return f"?{urlencode(pairs)}" if pairs else ""


def _option(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int)) else ",".join(value)


def _filter(name: str, value: object) -> str:
    if not isinstance(value, (list, tuple, set, frozenset)):
        return _value(name, value)
    if not value:
        raise ValueError(f"{name} is empty: expected one value or more")
    return ",".join(_items(name, value))


def _items(name: str, values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        text = _value(name, value)
        # The server splits at commas, and parses each part as JSON.
        yield _quoted(value).replace(",", r"\u002c") if "," in text else text


def _value(name: str, value: object) -> str:
    if isinstance(value, str):
        return _quoted(value) if _AMBIGUOUS.fullmatch(value) else value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}: expected a finite number")
        return repr(value)
    raise TypeError(
        f"{name} is {value!r}: expected a string, a number, a boolean, None or a list of these"
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
