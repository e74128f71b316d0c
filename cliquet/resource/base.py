"""The endpoints of a resource whose records each user has alone."""

from __future__ import annotations

import warnings
from typing import Any

import colander

from cliquet.errors import raise_invalid
from cliquet.events import ACTIONS
from cliquet.logs import bind_summary
from cliquet.resource.asked import Asked
from cliquet.resource.model import Model
from cliquet.resource.schema import ResourceSchema
from cliquet.resource.viewset import ViewSet
from cliquet.storage import Record, exceptions
from cliquet.utils import classname, dict_subset, json
from cliquet.utils.http import set_header
from cliquet.utils.text import is_long_id


def _differs(field: str, old: Record, new: Record) -> bool:
    """Tell whether ``new`` gives the field another value; what it lacks isn't given."""
    return field in new and not (field in old and json.same(old[field], new[field]))


class UserResource(Asked):
    """A resource: subclasses give a :attr:`mapping`, and override what differs.

    :param context: the :class:`~cliquet.authorization.RouteFactory` of the request.
    """

    default_viewset: Any = ViewSet
    default_model: Any = Model
    #: The schema of the records, an instance.
    mapping: Any = ResourceSchema()

    def __init__(self, request: Any, context: Any = None) -> None:
        self.request = request
        self.context = context
        self.record_id: str | None = (request.matchdict or {}).get("id")
        #: Whether PATCH writes even if nothing changes.
        self.force_patch_update = False
        self._timestamp: int | None = None
        parent_id = self.get_parent_id(request) or ""
        if is_long_id(parent_id):
            raise_invalid(request, "path", description="Invalid parent id")
        registry = request.registry
        self.model = self.default_model(
            storage=registry.storage,
            id_generator=registry.id_generator,
            collection_id=classname(self),
            parent_id=parent_id,
            auth=request.headers.get("Authorization"),
        )

    @property
    def collection(self) -> Any:
        """The deprecated name of :attr:`model`."""
        warnings.warn("'collection' is deprecated: use 'model'", DeprecationWarning, stacklevel=2)
        return self.model

    @property
    def timestamp(self) -> int:
        """The timestamp of the collection, in milliseconds, read once."""
        if self._timestamp is None:
            self._timestamp = self.model.timestamp()
        return self._timestamp

    # What applications override.

    def get_parent_id(self, request: Any) -> str:
        """Return what records are isolated by: the user."""
        userid: str = request.prefixed_userid
        return userid

    def is_known_field(self, field: str) -> bool:
        """Tell whether records may be filtered and sorted by a field."""
        known = (self.model.id_field, self.model.modified_field, self.model.deleted_field)
        return (
            field in known
            or field in self.mapping
            or bool(self.mapping.get_option("preserve_unknown"))
        )

    def process_record(self, new: Record, old: Record | None = None) -> Record:
        """Return the record that is stored for ``new``, which the schema has validated.

        A timestamp that isn't later than the one of ``old`` is dropped.
        """
        modified_field = self.model.modified_field
        modified = new.get(modified_field)
        if old is not None and modified is not None and modified <= old[modified_field]:
            new = {key: value for key, value in new.items() if key != modified_field}
        return new

    def apply_changes(self, record: Record, changes: dict[str, Any]) -> Record:
        """Return ``record`` with ``changes``, validated.

        :raises pyramid.httpexceptions.HTTPBadRequest: when a read-only field
            would change, or the result isn't valid.
        """
        for field, value in changes.items():
            changed = not json.same(record.get(field, value), value)
            if changed and self.mapping.is_readonly(field):
                raise_invalid(self.request, name=field, description=f"Cannot modify {field}")
        try:
            updated: Record = self.mapping.deserialize({**record, **changes})
        except colander.Invalid as invalid:
            name, description = next(iter(invalid.asdict().items()))
            raise_invalid(self.request, name=f"data.{name}", description=description)
        return updated

    def postprocess(self, result: Any, action: ACTIONS = ACTIONS.READ, old: Any = None) -> Any:
        """Return the body of the answer, and notify what was done.

        :param result: a record, or a list of them.
        :param old: the record as it was before.
        """
        latest = self._latest(result, action)
        if result != [] or action is ACTIONS.READ:
            self.request.notify_resource_event(
                timestamp=latest, data=result, action=action, old=old
            )
        bind_summary(collection_id=self.model.collection_id, collection_timestamp=latest)
        return {"data": result}

    def _latest(self, result: Any, action: ACTIONS) -> int | None:
        """Return the time that events tell: the collection's, or that of the latest record."""
        if action is ACTIONS.READ and self._timestamp is not None:
            return self._timestamp  # no record of it is later
        records = result if isinstance(result, list) else [result]
        times = [record.get(self.model.modified_field, 0) for record in records]
        return max([self._timestamp or 0, *times]) or None

    # Endpoints.

    def collection_get(self) -> Any:
        """List the records."""
        self._raise_304_if_not_modified()
        self._raise_412_if_modified()
        limit = self._page_size()
        sorting = self._extract_sorting(limit)
        filters = self._extract_filters()
        fields = self._extract_partial_fields()
        if not getattr(self.model, "pages_with_timestamp", False):
            self.timestamp  # noqa: B018 (read before the records, not to miss a change)
        records, total = self.model.get_records(
            filters=filters,
            sorting=sorting,
            pagination_rules=self._extract_pagination_rules(sorting),
            limit=limit + 1,
            include_deleted=any(item.field == self.model.modified_field for item in filters),
        )
        if self._timestamp is None:
            self._timestamp = self.model.known_timestamp
        response = self.request.response
        if len(records) > limit:
            records = records[:limit]
            set_header(response, "Next-Page", self._next_page_url(records[-1], sorting, limit))
        set_header(response, "Total-Records", str(total))
        self._add_timestamp_header(response)
        self._add_cache_header(response)
        bind_summary(nb_records=len(records), limit=limit)
        if fields:
            records = [dict_subset(record, fields) for record in records]
        return self.postprocess(records)

    def collection_post(self) -> Any:
        """Create a record, or tell the one that has its id or the value of a unique field."""
        self.model.locking = True
        new = self.request.validated["data"]
        existing = self._find_posted(new)
        self._raise_412_if_modified(record=existing)
        action = ACTIONS.READ
        if existing is None:
            record = self._storable(self.process_record(new))
            try:
                existing = self.model.create_record(record, **self._unique_fields())
                self.request.response.status_code = 201
                action = ACTIONS.CREATE
            except exceptions.UnicityError as conflict:
                existing = self.model.get_record(conflict.record[self.model.id_field])
                self._raise_403_if_hidden(existing)
        return self.postprocess(existing, action=action)

    def collection_delete(self) -> Any:
        """Delete the records that the filters match."""
        self.model.locking = True
        filters = self._extract_filters()
        self._raise_412_if_modified()
        return self.postprocess(self.model.delete_records(filters=filters), action=ACTIONS.DELETE)

    def get(self) -> Any:
        """Return a record."""
        self._raise_400_if_invalid_id(self.record_id)
        record = self._get_record_or_404(self.record_id)
        self._raise_304_if_not_modified(record)
        self._raise_412_if_modified(record)
        response = self.request.response
        self._add_timestamp_header(response, timestamp=record[self.model.modified_field])
        self._add_cache_header(response)
        fields = self._extract_partial_fields()
        return self.postprocess(dict_subset(record, fields) if fields else record)

    def put(self) -> Any:
        """Create or replace a record."""
        self._raise_400_if_invalid_id(self.record_id)
        self.model.locking = True
        existing = self._find_current()
        current = existing or self._find_tombstone()
        if current is None:
            self._raise_412_if_required()
        else:
            self._raise_412_if_modified(current)
        new = self._with_same_id(self.request.validated["data"])
        record = self._update(self._storable(self.process_record(new, old=existing)))
        self._add_timestamp_header(
            self.request.response, timestamp=record[self.model.modified_field]
        )
        if existing is None:
            self.request.response.status_code = 201
        action = ACTIONS.CREATE if existing is None else ACTIONS.UPDATE
        return self.postprocess(record, action=action, old=existing)

    def patch(self) -> Any:
        """Modify some fields of a record."""
        self._raise_400_if_invalid_id(self.record_id)
        self.model.locking = True
        existing = self._get_record_or_404(self.record_id)
        self._raise_412_if_modified(existing)
        changes = self.request.validated.get("data", {})
        updated = self._with_same_id(self.apply_changes(existing, changes))
        record = self._storable(self.process_record(updated, old=existing))
        changed = [field for field in changes if _differs(field, existing, record)]
        action = ACTIONS.READ
        if changed or self.force_patch_update:
            record = self._update(record)
            action = ACTIONS.UPDATE
        else:
            record = {**record, **self._identity(existing)}
        self._add_timestamp_header(
            self.request.response, timestamp=record[self.model.modified_field]
        )
        answer = self.postprocess(record, action=action, old=existing)
        return self._in_response_behavior(answer, changes, changed)

    def delete(self) -> Any:
        """Delete a record."""
        self._raise_400_if_invalid_id(self.record_id)
        self.model.locking = True
        record = self._get_record_or_404(self.record_id)
        self._raise_412_if_modified(record)
        last_modified = self._extract_deletion_time()
        tombstone = self.model.delete_record(record, last_modified=last_modified)
        return self.postprocess(tombstone, action=ACTIONS.DELETE, old={**record, **tombstone})

    # The steps of the endpoints.

    def _unique_fields(self) -> dict[str, Any]:
        """Return the argument that tells the model of unique fields, if there are any."""
        fields = self.mapping.get_option("unique_fields")
        return {"unique_fields": fields} if fields else {}

    def _identity(self, record: Record) -> Record:
        model = self.model
        return {key: record[key] for key in (model.id_field, model.modified_field)}

    def _find_posted(self, new: Record) -> Record | None:
        """Return the record that exists with the id that is posted, if one is."""
        self._raise_400_if_invalid_timestamp(new)
        id_field = self.model.id_field
        posted = self._posted_data()
        if id_field not in posted:
            return None
        new[id_field] = posted[id_field]
        self._raise_400_if_invalid_id(posted[id_field])
        try:
            existing: Record = self.model.get_record(posted[id_field])
        except exceptions.RecordNotFoundError:
            return None
        self._raise_403_if_hidden(existing)
        return existing

    def _posted_data(self) -> Record:
        """Return the ``data`` of the body before validation, empty if there are none."""
        try:
            posted = self.request.json_body["data"]
        except (ValueError, LookupError, TypeError):
            return {}
        return posted if isinstance(posted, dict) else {}

    def _find_current(self) -> Record | None:
        """Return the record that a PUT replaces, None if it creates one."""
        known: Record | None = getattr(self.context, "current_record", None)
        if known is not None or getattr(self.context, "record_is_new", False) is True:
            return known
        try:
            found: Record = self.model.get_record(self.record_id)
        except exceptions.RecordNotFoundError:
            return None
        return found

    def _with_same_id(self, new: Record) -> Record:
        """Return ``new`` with the id of the URL; the body may not tell another one."""
        id_field = self.model.id_field
        self._raise_400_if_invalid_timestamp(new)
        if new.setdefault(id_field, self.record_id) != self.record_id:
            raise_invalid(
                self.request,
                name=id_field,
                description="Record id does not match existing record",
            )
        return new

    def _update(self, record: Record) -> Record:
        try:
            updated: Record = self.model.update_record(record, **self._unique_fields())
        except exceptions.UnicityError as conflict:
            self._raise_conflict(conflict)
        return updated

    def _in_response_behavior(
        self, answer: dict[str, Any], changes: dict[str, Any], changed: list[str]
    ) -> dict[str, Any]:
        """Leave in the answer to a PATCH what the ``Response-Behavior`` header asks for."""
        behavior = self.request.headers.get("Response-Behavior", "").lower()
        data = answer["data"]
        if behavior == "diff":
            changed = [field for field in changed if not json.same(changes[field], data.get(field))]
        if behavior in ("light", "diff"):
            answer["data"] = {field: data[field] for field in changed if field in data}
        return answer
