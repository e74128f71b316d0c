"""Query string parameters of a collection (protocol, "Query string").

These functions are independent of resources: they raise :class:`Invalid`, which a resource
turns into a 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cliquet.http.limits import NO_LIMITS, Limits
from cliquet.resource.filters import ALTERNATIVES, TIME_LIMITS, parse_timestamp
from cliquet.resource.invalid import Invalid, check_count
from cliquet.resource.preconditions import is_timestamp
from cliquet.storage import Sort
from cliquet.storage.checksums import parse_checksum
from cliquet.utils.text import query_value

PAGING = frozenset(("_limit", "_sort", "_token"))
#: The parameters that begin with an underscore.
RESERVED = frozenset((*TIME_LIMITS, *PAGING, ALTERNATIVES, "_fields", "_count", "_checksum"))
_SORT = re.compile(r"\s*([-+]?)(.*)", re.DOTALL)


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
    value = parse_timestamp(text)
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
    check_count(text.count(",") + 1, "sort fields", "max_sort_fields", limits.max_sort_fields)
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
    check_count(count, "fields in _fields", "max_selected_fields", limits.max_selected_fields)
    return [field for field in dict.fromkeys((text or "").split(",")) if field]


def extract_count(text: str | None) -> bool:
    """Return whether to count the records that match the filters (``_count``).

    :raises Invalid: if it isn't a boolean.
    """
    value = query_value(text) if text else True
    if not isinstance(value, bool):
        raise Invalid("_count should be true or false", "_count")
    return value


def extract_checksum(text: str) -> str:
    """Return the checksum that the client has, empty if it has none.

    :raises Invalid: if it isn't a checksum.
    """
    try:
        return str(parse_checksum(text)) if text else ""
    except ValueError:
        raise Invalid("_checksum should be empty or a checksum", "_checksum") from None
