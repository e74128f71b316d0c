"""Operators of filters that an application adds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

from cliquet.state import state_of
from cliquet.storage import Filter
from cliquet.storage.operators import OPERATORS, JSONSchema, Operand, Operator
from cliquet.types import Registry
from cliquet.utils import COMPARISON

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

#: Returns filters for the name of a field and the value of a parameter.
Expand = Callable[[str, str], Iterable[Filter]]


class CustomOperator(Operator):
    """An operator that stands for several filters of the built-in operators."""

    def __init__(self, prefix: str, expand: Expand, meaning: str, schema: JSONSchema) -> None:
        super().__init__(COMPARISON.OR, prefix, meaning)
        self._expand, self._schema = expand, schema

    def schema(self, field: JSONSchema) -> JSONSchema:
        return self._schema

    def read(self, operand: Operand) -> list[Filter]:
        return list(self._expand(operand.field, operand.text()))


def add_filter_operator(
    config: Configurator,
    name: str,
    expand: Expand,
    description: str,
    schema: JSONSchema | None = None,
) -> None:
    """Add an operator of filters (directive ``config.add_filter_operator``).

    :param name: what the names of parameters begin with: ``near`` for ``near_location=…``.
    :param expand: returns the filters for the name of a field and the value of a parameter.
        Records must match all of them. It raises ``ValueError`` for an invalid value.
    :param description: which records match, such as "is within the box", for ``__api__``.
    :param schema: the JSON schema of a value; None: any string.
    :raises pyramid.exceptions.ConfigurationError: if the name is invalid or taken.
    """
    operators = operators_of(config.registry)
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"Invalid filter operator {name!r}: expected lower-case letters and digits"
        )
    if any(operator.prefix == name for operator in operators):
        raise ConfigurationError(f"The filter operator {name!r} already exists")
    operator = CustomOperator(name, expand, description, schema or {"type": "string"})
    state_of(config.registry).filter_operators += (operator,)


def operators_of(registry: Registry) -> tuple[Operator, ...]:
    """Return the operators of an application."""
    return (*OPERATORS.values(), *state_of(registry).filter_operators)
