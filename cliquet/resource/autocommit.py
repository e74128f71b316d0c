"""Writes in one round trip to the database, without a transaction.

A request that writes usually locks the collection, reads the record and writes it in a transaction.
One statement can do the same, but it doesn't return the old record, and can't be undone once it has
run. Resources send it if the application neither sees the old record nor runs code after the write
(:func:`is_plain` and :func:`has_observers`, called once per service), and if nothing else takes
part in the transaction.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pyramid import events, interfaces
from zope.interface import implementedBy

from cliquet.events import AfterResourceChanged, ResourceChanged
from cliquet.http.renderers import JSONRenderer
from cliquet.http.service import Service
from cliquet.resource import preconditions
from cliquet.resource.model import Model
from cliquet.resource.partial_updates import PartialUpdates
from cliquet.resource.viewset import ViewSet
from cliquet.storage import Record, StorageBase
from cliquet.transactions.autocommit import autocommit, can_autocommit
from cliquet.types import Registry
from cliquet.utils import decode_header
from cliquet.utils.http import current_service, is_subrequest
from cliquet.utils.overrides import is_inherited

_CHANGES = tuple(map(implementedBy, (ResourceChanged, AfterResourceChanged)))

#: The packages whose code can run after a write.
_PACKAGES = {"cliquet", "pyramid", "pyramid_retry", "pyramid_tm"}
#: The methods of resources and of models that can be replaced at any time, as the tests of
#: applications do.
_HOOKS = (
    *("process_record", "postprocess"),
    *("_get_record_or_404", "_raise_412_if_modified", "_add_timestamp_header"),
)
_MODEL_HOOKS = ("get_record", "create_record", "update_record", "delete_record")
#: The attributes of resources that applications can override, because only code before a write
#: depends on them.
_EARLY = {"mapping", "get_parent_id", "is_known_field"}
#: The attributes of viewsets that applications can set, because they add no code.
_VIEWSET = {"name", "collection_path", "record_path", "collection_methods", "record_methods"}
#: The events that are sent before the view is called.
_EARLY_EVENTS = {
    *(interfaces.IApplicationCreated, implementedBy(events.ApplicationCreated)),
    *(interfaces.INewRequest, implementedBy(events.NewRequest)),
    *(interfaces.IBeforeTraversal, implementedBy(events.BeforeTraversal)),
    *(interfaces.IContextFound, implementedBy(events.ContextFound)),
}


class AutocommitResource(PartialUpdates):
    """Base class of resources that writes in one statement where possible."""

    def _unique_fields(self) -> dict[str, Any]:
        """Return the keyword argument for unique fields, empty if there are none."""
        fields = self.mapping.get_option("unique_fields")
        return {"unique_fields": fields} if fields else {}

    def _with_same_id(self, new: Record) -> Record:
        """Return ``new`` with the id of the URL, which the id in the body must equal."""
        self._raise_400_if_invalid_timestamp(new)
        self._raise_400_if_id_mismatch(
            new.setdefault(self.model.id_field, self.record_id), self.record_id
        )
        return new

    def _can_autocommit(self) -> bool:
        """Return whether a write can commit itself, and the old record isn't needed."""
        storage: Any = self.model.storage
        return (
            isinstance(storage, StorageBase)
            and storage.supports_single_statements
            and can_autocommit()
            and is_inherited(self, _base_of(type(self)), *_HOOKS)
            and is_inherited(self.model, Model, *_MODEL_HOOKS)
            and is_unobserved(self.request)
            and not self._unique_fields()
        )

    def _autocommit_if_possible(self) -> AbstractContextManager[None]:
        """Return a context in which a write commits itself, if possible."""
        return autocommit() if self._can_autocommit() else nullcontext()

    def _upsert(self, new: Record) -> tuple[Record, Record | None] | None:
        """Replace or create a record in one statement, unless the old one is needed.

        :returns: the record, and an empty one if there was an old one; None if nothing was done.
        """
        model = self.model
        needs_old = self._conditions is not preconditions.ALWAYS or model.modified_field in new
        if needs_old or not self._can_autocommit():
            return None
        processed = self.process_record(self._with_same_id(new))
        record, existed = model.storage.upsert(
            model.collection_id,
            model.parent_id,
            self.record_id,
            self._storable(processed),
            model.id_field,
            model.modified_field,
        )
        return record, {} if existed else None

    def _delete_without_reading(self) -> Record | None:
        """Delete the record in one statement, and return its tombstone.

        :returns: None if the old record is needed, or nothing was deleted.
        """
        headers = self.request.headers
        try:
            tags = preconditions.parse_tags(decode_header(headers.get("If-Match", "")))
        except ValueError:
            return None  # 404 takes precedence over 400
        timestamps = [tag.timestamp for tag in tags or () if not tag.is_weak and tag.timestamp]
        needs_old = bool(tags and not timestamps) or "If-None-Match" in headers
        if needs_old or self.request.query_string or not self._can_autocommit():
            return None
        model = self.model
        timestamp = model.storage.delete_if_unmodified(
            model.collection_id, model.parent_id, self.record_id, max(timestamps, default=None)
        )
        if timestamp is None:
            return None
        return {
            model.id_field: self.record_id,
            model.modified_field: timestamp,
            model.deleted_field: True,
        }


def is_unobserved(request: Any) -> bool:
    """Return whether no code of the application sees the records of a request or runs after it."""
    service, registry = current_service(request), request.registry
    if not isinstance(service, Service) or is_subrequest(request):
        return False
    if service.is_unobserved is None:
        service.is_unobserved = is_plain(service) and not has_observers(registry)
    find = registry.adapters.subscriptions
    return service.is_unobserved and not any(find((each,), None) for each in _CHANGES)


def is_plain(service: Any) -> bool:
    """Return whether a resource runs only code of the toolkit from the write on."""
    resource_cls, viewset = getattr(service, "resource", None), getattr(service, "viewset", None)
    if resource_cls is None or type(viewset) is not ViewSet or not vars(viewset).keys() <= _VIEWSET:
        return False
    base = _base_of(resource_cls)
    names = {name for name in dir(base) if name == "__init__" or not name.startswith("__")}
    return is_inherited(resource_cls, base, *names - _EARLY)


def _base_of(resource_cls: type) -> type:
    """Return the class of the toolkit from which a resource inherits its endpoints."""
    return next(cls for cls in resource_cls.__mro__ if AutocommitResource in cls.__bases__)


def has_observers(registry: Registry) -> bool:
    """Return whether the application has code that runs between the views and the commit."""
    tweens = registry.getUtility(interfaces.ITweens)
    wrappers = [*(tweens.explicit or tweens.implicit()), *_view_derivers(registry)]
    subscribers = [
        registration.handler
        for registration in registry.registeredHandlers()
        if not _EARLY_EVENTS.issuperset(registration.required)
    ]
    renderer = registry.queryUtility(interfaces.IRendererFactory, name=Service.renderer)
    return (
        not all(_package(factory) in _PACKAGES for _, factory in wrappers)
        # Those of Pyramid are wrappers of an application's subscribers.
        or any(_package(subscriber) != "cliquet" for subscriber in subscribers)
        or renderer is not JSONRenderer
        or bool(registry.settings.get("tm.commit_veto"))
    )


def _view_derivers(registry: Registry) -> list[tuple[str, Any]]:
    derivers: list[tuple[str, Any]] = registry.getUtility(interfaces.IViewDerivers).sorted()
    return derivers


def _package(function: object) -> str:
    return str(getattr(function, "__module__", "")).partition(".")[0]
