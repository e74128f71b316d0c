"""The option ``--records`` of the ``cliquet check`` command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import colander

from cliquet.resource.evolution import InvalidValue, invalid_values
from cliquet.scripts.cli_output import FAILED, MISUSED, CommandError, format_error
from cliquet.storage import Filter, Record, Sort, StorageBase
from cliquet.types import Registry
from cliquet.utils import COMPARISON
from cliquet.utils.http import resource_services
from cliquet.utils.schemas import deserialize
from cliquet.utils.text import one_line

#: Records that are read at once.
_PAGE = 1000


def resource_classes(registry: Registry) -> dict[str, Any]:
    """Return the resources of an application, keyed by name and by collection id."""
    classes: dict[str, Any] = {}
    for name, service in resource_services(registry):
        classes.setdefault(collection_id_of(service.resource), service.resource)
        classes[name] = service.resource
    return classes


def collection_id_of(resource: Any) -> str:
    """Return the collection id of a resource in the storage."""
    return str(resource.__name__.lower())


def check_records(registry: Registry, name: str) -> None:
    """List the records of a resource that its schema refuses.

    :raises CommandError: if there are any.
    """
    storage: StorageBase | None = getattr(registry, "storage", None)
    if storage is None:
        raise CommandError("No storage backend. Set storage_backend.", FAILED)
    resource = _find(registry, name)
    number = refused = 0
    for parent_id in _parents(registry, storage, collection_id_of(resource)):
        for record in _read_all(storage, resource, parent_id):
            number += 1
            problems = list(_check(resource.mapping, record))
            refused += bool(problems)
            for field, message in problems:
                name_of_field = f"data.{field}" if field else "data"
                record_id = record[resource.default_model.id_field]
                cells = (record_id, parent_id or "-", name_of_field, message)
                print("  ".join(map(one_line, cells)), flush=True)
    summary = f"{refused} of {number} records don't fit the schema of {name}"
    if refused:
        raise CommandError(summary, FAILED)
    print(summary)


def _find(registry: Registry, name: str) -> Any:
    classes = resource_classes(registry)
    if name not in classes:
        names = ", ".join(sorted(classes)) or "none"
        raise CommandError(f"Unknown resource {name!r}: expected one of {names}", MISUSED)
    return classes[name]


def _parents(registry: Registry, storage: StorageBase, collection_id: str) -> list[str]:
    try:
        return storage.get_parents(collection_id)
    except (AttributeError, NotImplementedError):
        name = registry.settings["storage_backend"]
        raise CommandError(f"{name} does not implement get_parents()", FAILED) from None


def _read_all(storage: StorageBase, resource: Any, parent_id: str) -> Iterator[Record]:
    """Yield the records of a parent, page by page, in the order of their timestamps."""
    model = resource.default_model
    names = {
        "id_field": model.id_field,
        "modified_field": model.modified_field,
        "deleted_field": model.deleted_field,
    }
    rules: list[list[Filter]] = []
    while True:
        page, _ = storage.get_all(
            collection_id_of(resource),
            parent_id,
            sorting=[Sort(model.modified_field, 1)],
            pagination_rules=rules,
            limit=_PAGE,
            **names,
        )
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1][model.modified_field]
        rules = [[Filter(model.modified_field, last, COMPARISON.GT)]]


def _check(schema: colander.SchemaNode, record: Record) -> Iterator[InvalidValue]:
    try:
        deserialize(schema, record)
    except colander.Invalid as invalid:
        yield from invalid_values(invalid)
    except Exception as error:  # of a validator that expects other records
        yield InvalidValue("", format_error(error))
