"""What the querystring of a collection asks for (protocol, "Querystring").

Plain functions: they raise :class:`Invalid`, which the resource turns into a 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cliquet.resource.preconditions import is_timestamp
from cliquet.storage import Filter, Sort
from cliquet.utils import COMPARISON, json
from cliquet.utils.text import query_value

#: More of them in one request are refused: databases limit the size of statements.
MAX_FILTERS = 100
MAX_SORTS = 20

#: What the prefixes of names of fields compare.
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
_TIME_LIMITS = {"_since": COMPARISON.GT, "_to": COMPARISON.LT, "_before": COMPARISON.LT}
_SORT = re.compile(r"\s*([-+]?)(.*)", re.DOTALL)


class Invalid(Exception):
    """A parameter can't be understood.

    :param name: the name of the parameter that the answer tells, if any.
    """

    def __init__(self, description: str, name: str | None = None) -> None:
        super().__init__(description)
        self.description = description
        self.name = name


def extract_filters(
    params: Iterable[tuple[str, str]],
    is_known_field: Callable[[str], bool],
    id_field: str,
    modified_field: str,
    is_timestamp: Callable[[Any], bool] = is_timestamp,
) -> list[Filter]:
    """Return the filters that the parameters are.

    :param is_timestamp: tells whether a value is one that filters may have.
    :raises Invalid: for an unknown field, or a value of the wrong type.
    """
    filters = []
    for name, value in params:
        name = name.strip()
        if name in _TIME_LIMITS:
            found = Filter(modified_field, query_value(value.strip('"')), _TIME_LIMITS[name])
        elif not name.startswith("_"):
            found = _filter(name, value, is_known_field, modified_field)
        else:
            continue
        _check_value(name, found, id_field, modified_field, is_timestamp)
        filters.append(found)
    if len(filters) > MAX_FILTERS:
        raise Invalid(f"There should be at most {MAX_FILTERS} filters")
    return filters


def _filter(
    name: str, text: str, is_known_field: Callable[[str], bool], modified_field: str
) -> Filter:
    field, operator = _operator(name, is_known_field)
    if field == modified_field:
        text = text.replace('"', "")
    if operator in _LISTS:
        return Filter(field, [query_value(item) for item in text.split(",")], operator)
    return Filter(field, query_value(text), operator)


def _check_value(
    name: str,
    filter_: Filter,
    id_field: str,
    modified_field: str,
    is_timestamp: Callable[[Any], bool],
) -> None:
    in_list = filter_.operator in _LISTS
    values = filter_.value if in_list else [filter_.value]
    valid = json.unstorable(values) is None
    if filter_.field == modified_field:
        valid = all(map(is_timestamp, values))
    elif filter_.field == id_field and in_list:
        valid = valid and all(isinstance(value, str) for value in values)
    if not valid:
        raise Invalid(f"Invalid value for {name}", name)


def _operator(name: str, is_known_field: Callable[[str], bool]) -> tuple[str, Any]:
    prefix, _, field = name.partition("_")
    if field and prefix in PREFIXES and is_known_field(field):
        return field, PREFIXES[prefix]
    if not name or not is_known_field(name):
        raise Invalid(f"Unknown filter field '{name}'", name)
    return name, COMPARISON.EQ


def extract_timestamp(
    text: str | None, name: str, is_timestamp: Callable[[Any], bool] = is_timestamp
) -> int | None:
    """Return the timestamp of a parameter, which may be quoted; None without it.

    :param is_timestamp: tells whether a value is one that it may have.
    :raises Invalid: when it is none.
    """
    value = None if text is None else query_value(text.strip('"'))
    if value is not None and not is_timestamp(value):
        raise Invalid(f"Invalid value for {text}", name)
    return value


def extract_sorting(
    text: str, is_known_field: Callable[[str], bool], modified_field: str
) -> list[Sort]:
    """Return the order that ``_sort`` asks for, made total.

    Timestamps are distinct: nothing after the timestamp could change the order.

    :raises Invalid: for an unknown field.
    """
    sorting: dict[str, int] = {}
    for item in text.split(","):
        sign, field = _SORT.fullmatch(item.rstrip()).groups()  # type: ignore[union-attr]
        if not field or modified_field in sorting:
            continue
        if not is_known_field(field):
            raise Invalid(f"Unknown sort field '{field}'")
        sorting.setdefault(field, -1 if sign == "-" else 1)
    if len(sorting) > MAX_SORTS:
        raise Invalid(f"There should be at most {MAX_SORTS} sort fields")
    sorting.setdefault(modified_field, -1)
    return [Sort(field, direction) for field, direction in sorting.items()]


def extract_limit(text: str | None, paginate_by: int | None) -> int | None:
    """Return the size of a page, None for no limit.

    :param text: ``_limit``; None, empty or 0: no limit of the client's.
    :param paginate_by: the greatest size that the settings allow, None or 0: any.
    :raises Invalid: when it isn't an integer, 0 or more.
    """
    sizes = [paginate_by or 0]
    if text:
        if not re.fullmatch(r"\+?[0-9]{1,4000}", text.strip()):
            raise Invalid("_limit should be an integer")
        sizes.append(int(text))
    return min(filter(None, sizes), default=None)


def extract_partial_fields(text: str | None) -> list[str]:
    """Return the fields that ``_fields`` asks for, each once; empty: all."""
    return [field for field in dict.fromkeys((text or "").split(",")) if field]
