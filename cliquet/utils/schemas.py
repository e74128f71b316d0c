"""Deserialization of arbitrary JSON values with Colander schemas."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import colander
from colander import SchemaNode

_SCALARS = frozenset({str, int, float, bool, type(None)})


class JSONMapping(colander.Mapping):
    """Colander's type of objects, with less work to deserialize JSON."""

    def deserialize(self, node: SchemaNode, cstruct: Any) -> Any:
        """Return the validated object.

        :raises colander.Invalid: if it isn't valid.
        """
        if type(cstruct) is not dict:
            return super().deserialize(node, cstruct)
        unknown, result = cstruct.copy(), {}
        error = None
        for number, child in enumerate(node.children):
            value = unknown.pop(child.name, colander.null)
            if value is colander.drop or (
                value is colander.null and child.missing is colander.drop
            ):
                continue
            try:
                value = child.deserialize(value)
            except colander.Invalid as invalid:
                error = colander.Invalid(node) if error is None else error
                error.add(invalid, number)
            else:
                if value is not colander.drop:
                    result[child.name] = value
        if unknown and self.unknown == "raise":
            return super().deserialize(node, cstruct)
        if error is not None:
            raise error
        if self.unknown == "preserve":
            result.update(_copied(unknown))
        return result


def _copied(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if type(value) in _SCALARS else copy.deepcopy(value)
        for name, value in values.items()
    }


def deserialize(schema: SchemaNode, cstruct: object) -> Any:
    """Return the value that a schema deserializes from a JSON value.

    :raises colander.Invalid: if it is invalid, or if a type fails on it: types don't expect
        all JSON values, for example ``colander.Set`` fails on ``[[]]``. Exceptions of
        validators and preparers are unchanged.
    """
    try:
        return schema.deserialize(cstruct)
    except colander.Invalid:
        raise
    except Exception as error:
        invalid = _refused(schema, cstruct)
        if invalid is None:
            raise
        raise invalid from error


def _refused(node: SchemaNode, cstruct: object) -> colander.Invalid | None:
    """Return the error of the first node whose type fails on its value."""
    for position, child, value in _children(node, cstruct):
        refusal = _refused(child, value)
        if refusal is not None:
            invalid = colander.Invalid(node)
            invalid.add(refusal, position)
            return invalid
    if node.children:
        return None
    try:
        node.typ.deserialize(node, cstruct)
    except colander.Invalid:
        return None
    except Exception:
        return colander.Invalid(node, "Invalid value")
    return None


def _children(node: SchemaNode, cstruct: object) -> Iterator[tuple[int, Any, Any]]:
    """Return the position, the node and the value of each child."""
    if isinstance(node.typ, colander.Mapping) and isinstance(cstruct, dict):
        for position, child in enumerate(node.children):
            yield position, child, cstruct.get(child.name, colander.null)
    elif isinstance(cstruct, (list, tuple)) and node.children:
        several = isinstance(node.typ, colander.Tuple)
        for position, value in enumerate(cstruct[: len(node.children)] if several else cstruct):
            yield position, node.children[position if several else 0], value
