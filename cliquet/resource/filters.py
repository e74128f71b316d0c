"""Filters in the query string of a collection (protocol, "Query string")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import colander

from cliquet.http.limits import NO_LIMITS, Limits
from cliquet.resource.invalid import Invalid, check_count
from cliquet.storage import Filter
from cliquet.storage.operators import OPERATORS, PREFIXES_OF_3_1, Operator, cost_of, in_alternatives
from cliquet.utils import COMPARISON, json
from cliquet.utils.text import query_value

#: The parameters with the bounds of the timestamp.
TIME_LIMITS = {"_since": COMPARISON.GT, "_to": COMPARISON.LT, "_before": COMPARISON.LT}
#: The parameter with alternative filters.
ALTERNATIVES = "_or"
_FILTERS = frozenset((*TIME_LIMITS, ALTERNATIVES))
#: Pairs in all alternatives, for each of the ``max_filters``.
_PAIRS_PER_FILTER = 5
#: Names of nested fields have fewer parts, because SQLite limits the tables of a query.
_MAX_PARTS = 32
#: Operators on lists, which 3.1 refuses for ids that aren't strings.
_LISTS = (COMPARISON.IN, COMPARISON.EXCLUDE)

_TIMESTAMP = re.compile(r'(?:W/)?"?(-?[0-9]{1,4000})"?')

#: Types whose values have no nested fields.
_WITHOUT_FIELDS = (
    colander.String,
    colander.Number,
    colander.Boolean,
    colander.DateTime,
    colander.Date,
    colander.Time,
    colander.Enum,
    colander.Sequence,
    colander.Set,
    colander.Tuple,
)

#: Returns the values that the string of a filter on a field can represent, the likeliest first.
Read = Callable[[str, str], list[Any]]


def guesses(field: str, text: str) -> list[Any]:
    """Return the values that a string can represent, for a field without a schema.

    First null, the number or the boolean, in any notation, then the string itself.
    """
    value = None if text == "null" else query_value(text)
    return [value] if isinstance(value, str) else [value, text]


def read_id(text: str, match: Callable[[str], Any]) -> Any:
    """Return the id that a string represents.

    :param match: returns whether a string is a possible id.
    """
    value = query_value(text)
    return text if not isinstance(value, str) and match(text) else value


def read_value(node: colander.SchemaNode, text: str) -> Any:
    """Return the stored value that a string represents, by the schema's type.

    If the type refuses the string, it is null or its value is guessed: it equals no stored
    value, but ``min_size=0.5`` finds integers.

    :raises Invalid: if the type fails.
    """
    guess = None if text == "null" else query_value(text)
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


def find_node(schema: colander.SchemaNode, field: str) -> colander.SchemaNode | None:
    """Return the node of a field, which can be nested, or None."""
    if field in schema:
        return schema[field]
    node = schema
    for name in field.split("."):
        if not isinstance(node.typ, colander.Mapping) or name not in node:
            return None
        node = node[name]
    return node


def element_node(schema: colander.SchemaNode, field: str) -> colander.SchemaNode | None:
    """Return the node of the elements of an array, or None."""
    node = find_node(schema, field)
    if node is None or not isinstance(node.typ, colander.Sequence) or not node.children:
        return None
    return node.children[0]


def is_known_path(
    schema: colander.SchemaNode, field: str, is_known_field: Callable[[str], bool]
) -> bool:
    """Return whether a field is known: by its own name, or as part of a known field."""
    if is_known_field(field):
        return field.count(".") < _MAX_PARTS
    head, *names = field.split(".")
    if not 0 < len(names) < _MAX_PARTS or not is_known_field(head):
        return False
    node = schema[head] if head in schema else None
    for name in names:
        if node is None or isinstance(node.typ, _WITHOUT_FIELDS):
            return node is None
        if not isinstance(node.typ, colander.Mapping):
            return True
        if name not in node:
            return bool(node.typ.unknown == "preserve")
        node = node[name]
    return True


def read_timestamp(name: str, text: str) -> int:
    """Return the timestamp in a parameter: an integer or an entity tag.

    :raises Invalid: if it is neither.
    """
    timestamp = parse_timestamp(text)
    if timestamp is None:
        raise Invalid(f"Invalid value for {name}", name)
    return timestamp


def parse_timestamp(text: str) -> int | None:
    """Return the timestamp in an integer or an entity tag, None for other strings."""
    match = _TIMESTAMP.fullmatch(text)
    return None if match is None else int(match.group(1))


class Fields(NamedTuple):
    """The fields of a resource, for its filters.

    :param is_known: returns whether clients can filter by a field.
    :param id: the name of the id.
    :param modified: the name of the timestamp.
    :param read: reads values of a field.
    :param read_element: reads elements of a field whose values are arrays.
    :param is_declared: returns whether the schema has a field of that name.
    """

    is_known: Callable[[str], bool]
    id: str
    modified: str
    read: Read = guesses
    read_element: Read = guesses
    is_declared: Callable[[str], bool] = lambda name: False


class _Text(str):
    """The value of a parameter; other strings are from JSON."""

    __slots__ = ()


class _Operand:
    """The value of a filter (see :class:`cliquet.storage.operators.Operand`)."""

    def __init__(
        self, field: str, value: Any, read: Read, read_element: Read, count: Callable[[int], None]
    ) -> None:
        self.field = field
        self._value, self._read, self._read_element = value, read, read_element
        self._count = count

    def candidates(self) -> list[Any]:
        return self._candidates(self._value, self._read)

    def items(self) -> list[list[Any]]:
        return [self._candidates(item, self._read) for item in self._items()]

    def elements(self) -> list[list[Any]]:
        return [self._candidates(item, self._read_element) for item in self._items()]

    def text(self) -> str:
        if isinstance(self._value, _Text):
            value = query_value(self._value)  # without the quotes, if any
            return value if isinstance(value, str) else str(self._value)
        return str(self._value if isinstance(self._value, str) else json.dumps(self._value))

    def boolean(self) -> bool:
        value = query_value(self._value) if isinstance(self._value, str) else self._value
        if not isinstance(value, bool):
            raise ValueError("not a boolean")
        return value

    def _candidates(self, item: object, read: Read) -> list[Any]:
        if isinstance(item, _Text):
            return read(self.field, item)
        if item is None or isinstance(item, (dict, list)):
            return [item]
        values = read(self.field, json.dumps(item))
        # A number in JSON isn't a string, unless the type of the field is.
        typed = [value for value in values if not isinstance(value, str)]
        return values if isinstance(item, str) else typed or values

    def _items(self) -> Sequence[Any]:
        value = self._value
        if isinstance(value, _Text):
            parsed = _json_array(value)
            if parsed is None:
                self._count(value.count(",") + 1)
                return [_Text(item) for item in value.split(",")]
            value = parsed
        items = value if isinstance(value, list) else [value]
        self._count(json.most_values(json.dumps_bytes(items)) - 1)
        return items


def _json_array(text: str) -> list[Any] | None:
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, list) else None


class FilterReader:
    """Reads the filters of a request.

    :param operators: the operators, in any order.
    """

    def __init__(
        self,
        fields: Fields,
        limits: Limits = NO_LIMITS,
        operators: Iterable[Operator] = OPERATORS.values(),
    ) -> None:
        self._fields = fields
        self._limits = limits
        self._operators = sorted(operators, key=lambda each: len(each.prefix), reverse=True)
        self._cost = self._values = 0
        self._alternatives = self._pairs = self._pairs_cost = 0

    def read_all(self, params: Iterable[tuple[str, str]]) -> list[Filter]:
        """Return the filters in the parameters.

        :raises Invalid: for an unknown field, a value of the wrong type, or too many filters.
        """
        params = list(params)
        if len(params) > self._limits.max_filters:
            names = [name.strip() for name, _ in params]
            self._check_cost(sum(not name.startswith("_") or name in _FILTERS for name in names))
        return [filter_ for name, text in params for filter_ in self._read(name.strip(), text)]

    def _read(self, name: str, text: str) -> Iterator[Filter]:
        if name in TIME_LIMITS:
            is_start = name == "_since" and text.strip('"') == "null"
            time = 0 if is_start else read_timestamp(name, text)
            yield Filter(self._fields.modified, time, TIME_LIMITS[name])
        elif name == ALTERNATIVES:
            yield self._read_alternatives(text)
        elif not name.startswith("_"):
            for filter_ in self._read_filter(name, _Text(text)):
                self._cost += cost_of(filter_)
                yield filter_
        self._check_cost(self._cost)

    def _count_values(self, count: int) -> None:
        self._values += count
        limit = self._limits.max_filter_values
        check_count(self._values, "values in lists", "max_filter_values", limit)

    def _check_cost(self, cost: int) -> None:
        limit = self._limits.max_filters
        check_count(cost, "filters", "max_filters", limit)

    def _read_filter(self, name: str, value: object) -> list[Filter]:
        operator, field = self._operator(name)
        modified = self._fields.modified

        def read(field: str, text: str) -> list[Any]:
            if field == modified:
                return [read_timestamp(name, text)]
            return self._fields.read(field, text)

        operand = _Operand(field, value, read, self._fields.read_element, self._count_values)
        try:
            filters = operator.read(operand)
        except ValueError as error:
            raise Invalid(f"Invalid value for {name}", name) from error
        except Invalid as invalid:
            if invalid.limit is not None or invalid.name is not None:
                raise
            raise Invalid(f"Invalid value for {name}", name) from invalid
        for filter_ in filters:
            self._check_value(name, filter_)
        return filters

    def _check_value(self, name: str, filter_: Filter) -> None:
        values = filter_.value
        is_valid = json.unstorable(values) is None
        if filter_.field == self._fields.id and filter_.operator in _LISTS:
            is_valid = is_valid and all(isinstance(value, str) for value in values)
        if not is_valid:
            raise Invalid(f"Invalid value for {name}", name)
        operator = OPERATORS.get(filter_.operator)
        if operator is not None and operator.limits_length:
            limit = self._limits.max_filter_values
            check_count(len(values), "characters in a pattern", "max_filter_values", limit)

    def _operator(self, name: str) -> tuple[Operator, str]:
        """Return the operator and the field of a parameter."""
        if name.startswith("_"):
            raise Invalid(f"Unknown filter '{name}'", name)
        for operator in self._operators:
            prefix = operator.parameter("")
            field = name[len(prefix) :]
            if not (name.startswith(prefix) and field and self._fields.is_known(field)):
                continue
            # New operators don't change the meaning of the names of declared fields.
            if operator.prefix in PREFIXES_OF_3_1 or not self._fields.is_declared(name):
                return operator, field
        raise Invalid(f"Unknown filter field '{name}'", name)

    def _read_alternatives(self, text: str) -> Filter:
        """Return the filter of ``_or``: records must match all pairs of any of its objects."""
        try:
            objects = json.loads(text)
        except ValueError:
            objects = None
        is_valid = isinstance(objects, list) and objects
        if not is_valid or not all(isinstance(each, dict) and each for each in objects):
            description = "_or should be a JSON array of objects, none of them empty"
            raise Invalid(description, ALTERNATIVES)
        self._alternatives += len(objects)
        self._pairs += sum(map(len, objects))
        limit = self._limits.max_filters
        check_count(self._alternatives, "objects in _or", "max_filters", limit)
        self._check_pairs(self._pairs)
        alternatives = [self._read_object(pairs) for pairs in objects]
        filter_ = Filter(ALTERNATIVES, alternatives, COMPARISON.OR)
        self._pairs_cost += cost_of(filter_)
        self._check_pairs(self._pairs_cost)
        self._cost += sum(
            cost_of(each)
            for each in in_alternatives(filter_)
            if OPERATORS[each.operator].counts_in_alternatives
        )
        return filter_

    def _check_pairs(self, count: int) -> None:
        limit = self._limits.max_filters * _PAIRS_PER_FILTER
        check_count(count, "pairs in _or", "max_filters", limit)

    def _read_object(self, pairs: Mapping[str, Any]) -> list[Filter]:
        return [
            filter_ for name, value in pairs.items() for filter_ in self._read_filter(name, value)
        ]
