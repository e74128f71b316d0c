"""Stored records that the schema of a resource refuses, because it has changed since."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import colander

from cliquet.errors import describe_invalid
from cliquet.storage import Record
from cliquet.utils.schemas import deserialize


class InvalidValue(NamedTuple):
    """A value in a record that a schema refuses.

    :param field: its dotted name, empty for the record as a whole.
    """

    field: str
    message: str


def invalid_values(invalid: colander.Invalid) -> Iterator[InvalidValue]:
    """Yield the values of a record that its schema refuses."""
    return (InvalidValue(*described) for described in describe_invalid(invalid))


def update(
    schema: colander.SchemaNode,
    record: Mapping[str, Any],
    changes: Mapping[str, Any],
    removed: Collection[str] = (),
) -> Record:
    """Return a record with changes, validated by a schema.

    Stored values that the schema refuses are kept, unless they change, or a rule of the schema
    applies to the record as a whole.

    :param removed: fields that were removed from the record.
    :raises colander.Invalid: if the record can't be kept.
    """
    updated = {**record, **changes}
    try:
        valid: Record = deserialize(schema, updated)
        return valid
    except colander.Invalid as invalid:
        refused = {child.node.name for child in invalid.children}
        is_changed = not refused.isdisjoint((*changes, *removed))
        if invalid.msg is not None or is_changed or _has_rules(schema):
            raise
    others = schema.clone()
    for field in refused:
        del others[field]
    kept = {field: updated.pop(field) for field in refused if field in updated}
    return {**deserialize(others, updated), **kept}


def _has_rules(schema: colander.SchemaNode) -> bool:
    """Return whether a schema has code that expects all of its fields in a record."""
    is_plain = type(schema).deserialize is colander.SchemaNode.deserialize
    return not is_plain or bool(schema.validator or schema.preparer)


def describe(invalid: colander.Invalid, changed: Collection[str]) -> InvalidValue:
    """Return the first invalid value, changed ones first, as an error describes it.

    :param changed: the fields that a request changes.
    """
    values = list(invalid_values(invalid))
    for value in values:
        if not value.field or value.field.split(".")[0] in changed:
            return value
    field, message = values[0]
    return InvalidValue(field, f"{message} (in the stored record)")
