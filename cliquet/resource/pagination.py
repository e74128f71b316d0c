"""Keyset pagination: a page starts after the last record of the previous one.

The token contains the values of that record's sorted fields.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from cliquet.storage import MISSING, Filter, Record, Sort
from cliquet.utils import COMPARISON, json
from cliquet.utils.fields import field_getter


def encode_token(record: Record, sorting: Sequence[Sort], offset: int = 0) -> str:
    """Return the token of the page that starts after ``record``.

    :param offset: the number of records on the preceding pages.
    """
    values = {field: field_getter(field, MISSING)(record) for field, _ in sorting}
    last = {field: value for field, value in values.items() if value is not MISSING}
    content = {"last_record": last, "offset": offset}
    return urlsafe_b64encode(json.dumps_bytes(content)).decode("ascii")


def decode_token(token: str, sorting: Sequence[Sort], modified_field: str) -> tuple[Record, int]:
    """Return the sorted fields of the last record of the page, and the offset.

    :raises ValueError: if the token is damaged or belongs to another order.
    """
    try:
        content = json.loads(urlsafe_b64decode(token.encode("ascii")))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base 64") from error
    last = content.get("last_record") if isinstance(content, dict) else None
    if not isinstance(last, dict) or not set(last) <= {field for field, _ in sorting}:
        raise ValueError("no record of that order")
    if type(last.get(modified_field)) is not int or json.unstorable(last) is not None:
        raise ValueError("no such record")
    offset = content.get("offset", 0)
    if type(offset) is not int:
        raise ValueError("no such offset")
    return last, offset


def pagination_rules(last: Record, sorting: Sequence[Sort]) -> list[list[Filter]]:
    """Return the rules for ``last``: records match all filters of any list.

    For an order by ``a`` then ``b``: ``a`` is after that of ``last``, or ``a`` is equal
    and ``b`` is after it.
    """
    rules = []
    same: list[Filter] = []
    for field, direction in sorting:
        value = last.get(field, MISSING)
        after = COMPARISON.GT if direction > 0 else COMPARISON.LT
        rules.append([*same, Filter(field, value, after)])
        same.append(Filter(field, value, COMPARISON.EQ))
    return rules
