"""Partial updates: JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jsonpatch
import jsonpointer

from cliquet.utils import json

_MAX_OPERATIONS = 100
#: Parts of a path: records are at most 100 levels deep.
_MAX_PARTS = 102
_OPERATIONS = ("add", "copy", "move", "remove", "replace", "test")


class InvalidPatch(Exception):
    """A patch that can't be applied; its message is the reason."""


class FailedTest(InvalidPatch):
    """A ``test`` operation whose value differs.

    :param operation: the operation.
    :param position: its position in the patch, from 0.
    """

    def __init__(self, operation: Any, position: int) -> None:
        super().__init__(f"The test of {operation['path']} failed")
        self.operation, self.position = operation, position


def merge(target: object, patch: object) -> Any:
    """Return the result of a merge patch, whose nulls remove fields."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def merge_document(document: Mapping[str, Any], patch: object) -> dict[str, Any]:
    """Return a document of ``data`` and ``permissions`` after a merge patch.

    Permissions are lists of principals; null removes all of them.

    :raises InvalidPatch: if the patch isn't an object of such objects.
    """
    if not isinstance(patch, dict) or not patch:
        raise InvalidPatch("A merge patch should be an object that is not empty")
    for name, value in patch.items():
        if name not in document:
            raise InvalidPatch(f"{name} is not allowed")
        if not isinstance(value, dict):
            raise InvalidPatch(f"{name} should be an object")
    return {name: merge(document[name], patch.get(name, {})) for name in document}


def apply_operations(
    document: Mapping[str, Any], operations: object, max_values: int
) -> dict[str, Any]:
    """Return a document of ``data`` and ``permissions`` after a JSON Patch.

    :param document: its permissions are objects whose names are the principals.
    :param max_values: how many values ``copy`` can add in all.
    :raises FailedTest: if a ``test`` operation fails.
    :raises InvalidPatch: if the patch is invalid, or a path doesn't exist.
    """
    if not isinstance(operations, list) or not operations:
        raise InvalidPatch("A JSON Patch should be an array that is not empty")
    if len(operations) > _MAX_OPERATIONS:
        raise InvalidPatch(f"There should be at most {_MAX_OPERATIONS} operations")
    # Operations change the document in place.
    patched: dict[str, Any] = json.loads(json.dumps_bytes(document))
    for position, operation in enumerate(operations):
        _check(operation, position, document)
        try:
            if operation["op"] == "copy":
                max_values -= _count_values(patched, operation["from"])
                if max_values < 0:
                    raise InvalidPatch("The operations copy too many values")
            jsonpatch.JsonPatch([operation]).apply(patched, in_place=True)
        except jsonpatch.JsonPatchTestFailed as error:
            raise FailedTest(operation, position) from error
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
            raise InvalidPatch(f"Operation {position}: {str(error)[:200]}") from error
    return patched


def _check(operation: object, position: int, names: Collection[str]) -> None:
    """Check the form of an operation.

    :param names: what paths can begin with.
    :raises InvalidPatch: if it is invalid.
    """
    where = f"Operation {position}"
    if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
        raise InvalidPatch(f"{where}: op should be one of {', '.join(_OPERATIONS)}")
    if operation["op"] in ("add", "replace", "test") and "value" not in operation:
        raise InvalidPatch(f"{where}: value is missing")
    fields = ("path", "from") if operation["op"] in ("move", "copy") else ("path",)
    for field in fields:
        path = operation.get(field)
        parts = path.split("/") if isinstance(path, str) else []
        if not 2 < len(parts) <= _MAX_PARTS or parts[0] or parts[1] not in names:
            expected = " or ".join(f"/{name}/" for name in names)
            raise InvalidPatch(f"{where}: {field} should begin with {expected}")
        if parts[1] == "permissions" and len(parts) != 4:
            raise InvalidPatch(f"{where}: {field} should be /permissions/{{name}}/{{principal}}")


def _count_values(document: object, path: str) -> int:
    value = jsonpointer.resolve_pointer(document, path, None)
    return json.most_values(json.dumps_bytes(value))
