"""Operators of filters: one object for each comparison.

An operator defines how it reads the value of a filter in a query string, and how a filter
evaluates the values of records, in Python and in SQL. ``CONTRIBUTING.rst`` lists the steps to add
one.

Filters compare within a type. Only ``None`` equals null, no value equals a missing one, and
neither is in any range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from cliquet.storage.ordering import ABSENT, COMPARE, RANGED, Key, order_key
from cliquet.storage.sql_fragments import FALSE, Column, Sql, negated
from cliquet.storage.types import Filter
from cliquet.utils import COMPARISON, json
from cliquet.utils.arrays import element_keys
from cliquet.utils.text import pattern_test

#: Returns whether the comparable part of a value matches a filter.
Test = Callable[[Any], bool]

JSONSchema = dict[str, Any]


class Operand(Protocol):
    """The value of a filter in a query string.

    Its methods raise ``ValueError`` if it isn't a value of that kind.
    """

    #: The name of the field.
    field: str

    def candidates(self) -> list[Any]:
        """Return the values that it can stand for, the most likely first."""

    def items(self) -> list[list[Any]]:
        """Return the values that each item of a list can stand for."""

    def elements(self) -> list[list[Any]]:
        """Return the values that each item can stand for in an array."""

    def text(self) -> str:
        """Return it as a string, whatever the type of the field."""

    def boolean(self) -> bool:
        """Return the boolean that it stands for."""


class Operator:
    """An operator of filters.

    :param comparison: the operator of the :class:`~cliquet.storage.Filter`.
    :param prefix: what the name of a parameter begins with, empty for equality.
    :param meaning: which records match, for the documentation.
    """

    #: Whether parameters have a list of values.
    takes_list = False
    #: A value, for the documentation.
    example = "v"
    #: Whether ``max_filter_values`` limits the length of a value.
    limits_length = False
    #: Whether filters in ``_or`` count as much as others.
    counts_in_alternatives = False
    #: The JSON type of the fields for which it is described; None: any.
    described_type: str | None = None
    #: Returns the part of a record's value, which can be ``MISSING``, that tests compare. It is
    #: computed once for all filters on a field.
    comparable: Callable[[Any], Any] = staticmethod(order_key)

    def __init__(self, comparison: COMPARISON, prefix: str, meaning: str) -> None:
        self.comparison, self.prefix, self.meaning = comparison, prefix, meaning

    def parameter(self, field: str) -> str:
        """Return the name of the parameter for a field."""
        return f"{self.prefix}_{field}" if self.prefix else field

    def schema(self, field: JSONSchema) -> JSONSchema:
        """Return the JSON schema of a value, given that of the field."""
        return field

    def cost_of(self, value: Any) -> int:
        """Return as how many filters one counts, in relation to equality."""
        return 1

    def read(self, operand: Operand) -> list[Filter]:
        """Return the filters that a parameter stands for; records must match all of them.

        :raises ValueError: if its value is invalid.
        """
        raise NotImplementedError

    def test(self, value: Any) -> Test:
        """Return the test of :attr:`comparable` parts, given the value of a filter."""
        raise NotImplementedError

    def sql(self, column: Column, value: Any) -> Sql:
        """Return the condition on a column, given the value of a filter."""
        raise NotImplementedError


class Equality(Operator):
    """Equality with a value, or with any value of a list.

    :param is_negative: whether the other records match.
    """

    def __init__(
        self,
        comparison: COMPARISON,
        prefix: str,
        meaning: str,
        takes_list: bool = False,
        is_negative: bool = False,
    ) -> None:
        super().__init__(comparison, prefix, meaning)
        self.takes_list, self._is_negative = takes_list, is_negative
        self.example = "a,b" if takes_list else "v"

    def read(self, operand: Operand) -> list[Filter]:
        if self.takes_list:
            values = [value for item in operand.items() for value in item]
            return [Filter(operand.field, values, self.comparison)]
        values = operand.candidates()
        if len(values) == 1:
            return [Filter(operand.field, values[0], self.comparison)]
        any_of_them = COMPARISON.EXCLUDE if self._is_negative else COMPARISON.IN
        return [Filter(operand.field, values, any_of_them)]

    def test(self, value: Any) -> Test:
        keys = self._keys(value)
        if self._is_negative:
            return lambda key: key not in keys
        return keys.__contains__

    def sql(self, column: Column, value: Any) -> Sql:
        condition = column.is_any_of(self._keys(value))
        return negated(condition) if self._is_negative else condition

    def _keys(self, value: Any) -> set[Key]:
        return set(map(order_key, value if self.takes_list else [value]))


class Range(Operator):
    """A range that a value bounds."""

    def read(self, operand: Operand) -> list[Filter]:
        values = operand.candidates()
        bound = next((value for value in values if value is not None), None)
        return [Filter(operand.field, bound, self.comparison)]

    def test(self, value: Any) -> Test:
        bound, compare = _bound(value), COMPARE[self.comparison]
        if bound is None:
            return lambda key: False
        rank, limit = bound
        return lambda key: key[0] == rank and compare(key[1], limit)

    def sql(self, column: Column, value: Any) -> Sql:
        bound = _bound(value)
        return FALSE if bound is None else column.compares(self.comparison, bound)


def _bound(value: object) -> Key | None:
    """Return the key of a bound, None if no value is in the range."""
    key = order_key(value)
    is_nan = isinstance(key[1], float) and math.isnan(key[1])
    return key if key[0] in RANGED and not is_nan else None


class Presence(Operator):
    """Presence or absence of a field."""

    example = "true"

    def schema(self, field: JSONSchema) -> JSONSchema:
        return {"type": "boolean"}

    def read(self, operand: Operand) -> list[Filter]:
        return [Filter(operand.field, operand.boolean(), self.comparison)]

    def test(self, value: Any) -> Test:
        is_present = bool(value)
        return lambda key: (key[0] != ABSENT) is is_present

    def sql(self, column: Column, value: Any) -> Sql:
        return column.exists() if value else negated(column.exists())


def folded(value: object) -> str | None:
    """Return a string with its case folded, None for other values."""
    return value.casefold() if isinstance(value, str) else None


class Pattern(Operator):
    """Strings that contain a string or match a pattern (see :func:`pattern_test`)."""

    limits_length = True
    described_type = "string"
    comparable = staticmethod(folded)

    def schema(self, field: JSONSchema) -> JSONSchema:
        return {"type": "string"}

    def cost_of(self, value: Any) -> int:
        return 4 + int(value.count("*"))

    def read(self, operand: Operand) -> list[Filter]:
        return [Filter(operand.field, operand.text(), self.comparison)]

    def test(self, value: Any) -> Test:
        matches = pattern_test(value)
        return lambda text: text is not None and matches(text)

    def sql(self, column: Column, value: Any) -> Sql:
        return column.is_like(value)


class Elements(Operator):
    """Arrays that contain values.

    :param every: whether they must contain all of the values.
    """

    described_type = "array"
    takes_list = True
    example = "a,b"
    counts_in_alternatives = True
    comparable = staticmethod(element_keys)

    def __init__(self, comparison: COMPARISON, prefix: str, meaning: str, every: bool) -> None:
        super().__init__(comparison, prefix, meaning)
        self._every = every

    def schema(self, field: JSONSchema) -> JSONSchema:
        return dict(field.get("items") or {})

    def cost_of(self, value: Any) -> int:
        return max(1, len(value))

    def read(self, operand: Operand) -> list[Filter]:
        elements = operand.elements()
        if self._every and all(len(values) == 1 for values in elements):
            return [Filter(operand.field, [value for (value,) in elements], self.comparison)]
        # An item that can stand for several values must be one of them.
        groups = elements if self._every else [[value for item in elements for value in item]]
        return [Filter(operand.field, values, COMPARISON.CONTAINS_ANY) for values in groups]

    def test(self, value: Any) -> Test:
        keys = element_keys(list(value)) or frozenset()
        if self._every:
            return lambda elements: elements is not None and keys <= elements
        return lambda elements: elements is not None and not keys.isdisjoint(elements)

    def sql(self, column: Column, value: Any) -> Sql:
        storable = [item for item in value if json.unstorable(item) is None]
        if self._every and len(storable) < len(value):
            return FALSE
        return column.has_elements(storable, self._every)


#: The operators that the query string has had since 3.1.
_OF_3_1: Sequence[Operator] = (
    Equality(COMPARISON.EQ, "", "equals the value"),
    Equality(COMPARISON.NOT, "not", "differs from the value", is_negative=True),
    Range(COMPARISON.MIN, "min", "is the value or greater"),
    Range(COMPARISON.MAX, "max", "is the value or less"),
    Range(COMPARISON.GT, "gt", "is greater than the value"),
    Range(COMPARISON.LT, "lt", "is less than the value"),
    Equality(COMPARISON.IN, "in", "equals one of the values", takes_list=True),
    Equality(
        COMPARISON.EXCLUDE,
        "exclude",
        "equals none of the values",
        takes_list=True,
        is_negative=True,
    ),
)

# On schemas that accept unknown fields, a new prefix changes the meaning of parameters: see
# docs/differences.rst.
_LATER: Sequence[Operator] = (
    Presence(COMPARISON.HAS, "has", "exists, also if it is null (`true`), or doesn't (`false`)"),
    Pattern(
        COMPARISON.LIKE,
        "like",
        "is a string that contains the value, without regard to case. `*` stands for any "
        "characters; a value with `*` must match the whole string",
    ),
    Elements(COMPARISON.CONTAINS, "contains", "is an array with all of the values", every=True),
    Elements(
        COMPARISON.CONTAINS_ANY, "contains_any", "is an array with any of the values", every=False
    ),
)

#: The operators by comparison. ``OR`` isn't one: its value is alternative lists of filters.
OPERATORS: dict[Any, Operator] = {operator.comparison: operator for operator in (*_OF_3_1, *_LATER)}

#: The prefixes that win over a field whose own name begins with them, as in 3.1.
PREFIXES_OF_3_1 = frozenset(operator.prefix for operator in _OF_3_1)


def cost_of(filter_: Filter) -> int:
    """Return the number of filters that a filter counts as."""
    if filter_.operator is COMPARISON.OR:
        return sum(map(cost_of, in_alternatives(filter_)))
    return OPERATORS[filter_.operator].cost_of(filter_.value)


def in_alternatives(filter_: Filter) -> Iterator[Filter]:
    """Yield the filters in all alternatives of one with the operator ``OR``."""
    for filters in filter_.value:
        for each in filters:
            if each.operator is COMPARISON.OR:
                yield from in_alternatives(each)
            else:
                yield each
