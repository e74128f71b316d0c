"""Query string parameters of a collection (protocol, "Query string").

These functions are independent of resources: they raise :class:`Invalid`, which a resource
turns into a 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import colander

from cliquet.http.limits import NO_LIMITS, Limits
from cliquet.resource.preconditions import is_timestamp
from cliquet.storage import Filter, Sort
from cliquet.utils import COMPARISON, json
from cliquet.utils.text import query_value

#: The operators by prefix of a field name.
PREFIXES = {
    "min": COMPARISON.MIN,
    "max": COMPARISON.MAX,
    "not": COMPARISON.NOT,
    "lt": COMPARISON.LT,
    "gt": COMPARISON.GT,
    "in": COMPARISON.IN,
    "exclude": COMPARISON.EXCLUDE,
}
_LISTS = (COMPARISON.IN, COMPARISON.EXCLUDE)
#: The equivalent operators for a value with several possible types.
_SEVERAL = {COMPARISON.EQ: COMPARISON.IN, COMPARISON.NOT: COMPARISON.EXCLUDE}
_TIME_LIMITS = {"_since": COMPARISON.GT, "_to": COMPARISON.LT, "_before": COMPARISON.LT}
PAGING = frozenset(("_limit", "_sort", "_token"))
#: The parameters that begin with an underscore.
RESERVED = frozenset((*_TIME_LIMITS, *PAGING, "_fields"))
_TIMESTAMP = re.compile(r'(?:W/)?"?(-?[0-9]{1,4000})"?')
_SORT = re.compile(r"\s*([-+]?)(.*)", re.DOTALL)


class Invalid(Exception):
    """Invalid parameter.

    :param name: the name of the parameter to report, if any.
    """

    def __init__(self, description: str, name: str | None = None) -> None:
        super().__init__(description)
        self.description = description
        self.name = name


def guesses(field: str, text: str) -> list[Any]:
    """Return the values that a string can represent, for a field without a schema.

    First the number or boolean, in any notation, then the string itself.
    """
    value = query_value(text)
    return [value] if isinstance(value, str) else [value, text]


def read_id(text: str, match: Callable[[str], Any]) -> Any:
    """Return the id that a string represents.

    :param match: returns whether a string is a possible id.
    """
    value = query_value(text)
    return text if not isinstance(value, str) and match(text) else value


def read_value(node: colander.SchemaNode, text: str) -> Any:
    """Return the stored value that a string represents, by the schema's type.

    If the type refuses the string, its value is guessed: it equals no stored value, but
    ``min_size=0.5`` finds integers.

    :raises Invalid: if the type fails.
    """
    guess = query_value(text)
    if isinstance(node.typ, colander.Boolean) and isinstance(guess, bool):
        return guess
    is_quoted = isinstance(guess, str) and guess != text
    try:
        value = json.plain(node.typ.deserialize(node, guess if is_quoted else text))
        if value is colander.null:
            return guess
        if json.unstorable(value) is not None:
            raise Invalid(f"Invalid value for {node.name}")
        return json.loads(json.dumps_bytes(value))
    except colander.Invalid:
        return guess
    except Exception as error:  # types aren't written for arbitrary strings
        raise Invalid(f"Invalid value for {node.name}") from error


def extract_filters(
    params: Iterable[tuple[str, str]],
    is_known_field: Callable[[str], bool],
    id_field: str,
    modified_field: str,
    read: Callable[[str, str], list[Any]] = guesses,
    limits: Limits = NO_LIMITS,
) -> list[Filter]:
    """Return the filters in the query parameters.

    :param read: returns the values that the string of a filter on a field can represent,
        the most likely first.
    :raises Invalid: for an unknown field, a value of the wrong type, or too many filters.
    """
    params = list(params)
    if len(params) > limits.max_filters:
        count = sum(not name.strip().startswith("_") or name in _TIME_LIMITS for name, _ in params)
        _check_count(count, "filters", "max_filters", limits)
    filters = []
    listed = 0
    for name, text in params:
        name = name.strip()
        if name in _TIME_LIMITS:
            is_start = name == "_since" and text.strip('"') == "null"
            time = 0 if is_start else _timestamp(name, text)
            filters.append(Filter(modified_field, time, _TIME_LIMITS[name]))
        elif not name.startswith("_"):
            field, operator = _operator(name, is_known_field)
            if operator in _LISTS:
                listed += text.count(",") + 1
                _check_count(listed, "values in lists", "max_filter_values", limits)
            texts = text.split(",") if operator in _LISTS else [text]
            if field == modified_field:
                values = [_timestamp(name, item) for item in texts]
            else:
                values = _values(name, field, texts, read)
                _check_values(name, values, field == id_field and operator in _LISTS)
            filters.append(_filter(field, values, operator))
    return filters


def _check_count(count: int, things: str, setting: str, limits: Limits) -> None:
    """Raise Invalid if a count exceeds the limit of a setting."""
    limit = getattr(limits, setting)
    if count > limit:
        raise Invalid(f"There should be at most {limit} {things} (setting {setting})")


def _values(
    name: str, field: str, texts: list[str], read: Callable[[str, str], list[Any]]
) -> list[Any]:
    try:
        return [value for text in texts for value in read(field, text)]
    except Invalid as invalid:
        raise Invalid(f"Invalid value for {name}", name) from invalid


def _filter(field: str, values: list[Any], operator: Any) -> Filter:
    if operator in _LISTS:
        return Filter(field, values, operator)
    if len(values) > 1 and operator in _SEVERAL:
        return Filter(field, values, _SEVERAL[operator])
    return Filter(field, values[0], operator)


def _check_values(name: str, values: list[Any], must_be_text: bool) -> None:
    is_valid = json.unstorable(values) is None
    if must_be_text:
        is_valid = is_valid and all(isinstance(value, str) for value in values)
    if not is_valid:
        raise Invalid(f"Invalid value for {name}", name)


def _operator(name: str, is_known_field: Callable[[str], bool]) -> tuple[str, Any]:
    prefix, _, field = name.partition("_")
    if field and prefix in PREFIXES and is_known_field(field):
        return field, PREFIXES[prefix]
    if not name or not is_known_field(name):
        raise Invalid(f"Unknown filter field '{name}'", name)
    return name, COMPARISON.EQ


def _timestamp(name: str, text: str) -> int:
    """Return the timestamp in a parameter: an integer or an entity tag."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise Invalid(f"Invalid value for {name}", name)
    return int(match.group(1))


def extract_deletion_time(
    text: str | None, name: str, is_timestamp: Callable[[Any], bool] = is_timestamp
) -> int | None:
    """Return the timestamp of a deletion, or None for the current time.

    :param text: the parameter; None, an empty string or a time before 1970, which no record
        precedes, means the current time.
    :param is_timestamp: returns whether clients can store a timestamp.
    :raises Invalid: if it isn't an integer or is too large.
    """
    if not text:
        return None
    match = _TIMESTAMP.fullmatch(text)
    value = int(match.group(1)) if match else None
    if value is None or (value > 0 and not is_timestamp(value)):
        raise Invalid(f"Invalid value for {text}", name)
    return value if value > 0 else None


def check_names(names: Iterable[str]) -> None:
    """Check that the parameters that begin with an underscore are known.

    :raises Invalid: for the first unknown one.
    """
    for name in names:
        if name.strip().startswith("_") and name not in RESERVED:
            raise Invalid(f"Unknown parameter '{name}'", name)


def extract_sorting(
    text: str,
    is_known_field: Callable[[str], bool],
    modified_field: str,
    limits: Limits = NO_LIMITS,
) -> list[Sort]:
    """Return the total order that ``_sort`` requests.

    Timestamps are distinct, so fields after the timestamp are dropped.

    :raises Invalid: for an unknown field or too many fields.
    """
    if not text:
        return [Sort(modified_field, -1)]
    _check_count(text.count(",") + 1, "sort fields", "max_sort_fields", limits)
    sorting: dict[str, int] = {}
    for item in text.split(","):
        sign, field = _SORT.fullmatch(item.rstrip()).groups()  # type: ignore[union-attr]
        if not field or modified_field in sorting:
            continue
        if not is_known_field(field):
            raise Invalid(f"Unknown sort field '{field}'")
        sorting.setdefault(field, -1 if sign == "-" else 1)
    sorting.setdefault(modified_field, -1)
    return [Sort(field, direction) for field, direction in sorting.items()]


def extract_limit(text: str | None, paginate_by: int | None) -> int | None:
    """Return the size of a page, None for no limit.

    :param text: ``_limit``; None, an empty string or 0: no limit by the client.
    :param paginate_by: the greatest size that the settings allow; None or 0: any.
    :raises Invalid: if it isn't an integer of at least 0.
    """
    sizes = [paginate_by or 0]
    if text:
        if not re.fullmatch(r"\+?[0-9]{1,4000}", text.strip()):
            raise Invalid("_limit should be an integer")
        sizes.append(int(text))
    return min(filter(None, sizes), default=None)


def extract_partial_fields(text: str | None, limits: Limits = NO_LIMITS) -> list[str]:
    """Return the distinct fields that ``_fields`` selects; empty: all.

    :raises Invalid: for too many fields.
    """
    count = (text or "").count(",") + 1
    _check_count(count, "fields in _fields", "max_selected_fields", limits)
    return [field for field in dict.fromkeys((text or "").split(",")) if field]
