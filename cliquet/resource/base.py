"""Endpoints of a resource whose records are private to each user."""

from __future__ import annotations

from typing import Any

import colander

from cliquet.errors import raise_invalid
from cliquet.events import ACTIONS
from cliquet.http.live import note_list
from cliquet.logs import bind_summary
from cliquet.resource import evolution
from cliquet.resource import query as querystring
from cliquet.resource.autocommit import AutocommitResource
from cliquet.resource.model import Model
from cliquet.resource.schema import ResourceSchema
from cliquet.resource.viewset import ViewSet
from cliquet.storage import Filter, Record, exceptions
from cliquet.types import Request
from cliquet.utils import COMPARISON, classname, dict_subset, field_selector, json, warn_deprecated
from cliquet.utils.http import expose_headers
from cliquet.utils.overrides import detects_overrides
from cliquet.utils.text import is_long_id


@detects_overrides
class UserResource(AutocommitResource):
    """A resource. Subclasses define a :attr:`mapping` and override methods as needed.

    Each base class handles a part of a request: writes in one statement (``autocommit.py``), PATCH
    bodies (``partial_updates.py``), checksums of lists (``checksums.py``), query strings and errors
    (``reader.py``), preconditions, headers, and responses with 304 and 412 (``responses.py``).

    :param context: the :class:`~cliquet.authorization.RouteFactory` of the request.
    """

    default_viewset: Any = ViewSet
    default_model: Any = Model
    #: The schema of the records (an instance).
    mapping: Any = ResourceSchema()

    def __init__(self, request: Request, context: Any = None) -> None:
        self.request = request
        self.context = context
        self.record_id: str | None = (request.matchdict or {}).get("id")
        #: Whether PATCH saves a record even if nothing changes.
        self.force_patch_update = False
        self._removed_fields: list[str] = []
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
        bind_summary(collection_id=self.model.collection_id)

    @property
    def collection(self) -> Any:
        """The model (deprecated name of :attr:`model`)."""
        warn_deprecated("'collection'", "'model'")
        return self.model

    @property
    def timestamp(self) -> int:
        """The timestamp of the collection, in milliseconds, read once."""
        if self._timestamp is None:
            self._timestamp = self.model.timestamp()
            bind_summary(collection_timestamp=self._timestamp)
        return self._timestamp

    @timestamp.setter
    def timestamp(self, value: int) -> None:
        self._timestamp = value

    # Methods that applications override.

    def get_parent_id(self, request: Request) -> str:
        """Return the id that isolates records from each other: that of the user."""
        userid: str = request.prefixed_userid  # None for anonymous users
        return userid

    def is_known_field(self, field: str) -> bool:
        """Return whether clients can filter and sort by a field."""
        return bool(self.mapping.get_option("preserve_unknown")) or (
            field in self._get_known_fields()
        )

    def _get_known_fields(self) -> list[str]:
        """Return the fields of the schema, the id, the timestamp and ``deleted``."""
        model = self.model
        fields = [node.name for node in self.mapping.children]
        return [*fields, model.id_field, model.modified_field, model.deleted_field]

    def process_record(self, new: Record, old: Record | None = None) -> Record:
        """Return the record to store for ``new``, which is already validated.

        A timestamp that isn't later than that of ``old`` is dropped.
        """
        modified_field = self.model.modified_field
        modified = new.get(modified_field)
        if old is not None and modified is not None and modified <= old[modified_field]:
            new = {key: value for key, value in new.items() if key != modified_field}
        return new

    def apply_changes(self, record: Record, changes: dict[str, Any]) -> Record:
        """Return ``record`` with ``changes``, validated.

        Other stored values, which an earlier schema accepted, can be invalid.

        :raises pyramid.httpexceptions.HTTPBadRequest: if a read-only field
            would change or the result isn't valid.
        """
        for field, value in changes.items():
            changed = not json.same(record.get(field, value), value)
            if changed and self.mapping.is_readonly(field):
                raise_invalid(self.request, name=field, description=f"Cannot modify {field}")
        try:
            updated = evolution.update(self.mapping, record, changes, self._removed_fields)
        except colander.Invalid as invalid:
            field, message = evolution.describe(invalid, {*changes, *self._removed_fields})
            name = f"data.{field}" if field else "data"
            raise_invalid(self.request, name=name, description=message)
        return updated

    def postprocess(self, result: Any, action: ACTIONS = ACTIONS.READ, old: Any = None) -> Any:
        """Return the body of the response, and send the event for the action.

        :param result: a record or a list of records.
        :param old: the record before the change.
        """
        latest = self._latest(result, action)
        if result != [] or action is ACTIONS.READ:
            self.request.notify_resource_event(
                timestamp=latest, data=result, action=action, old=old
            )
        bind_summary(collection_timestamp=latest)
        return {"data": result}

    def _latest(self, result: Any, action: ACTIONS) -> int | None:
        """Return the timestamp for events: the collection's or latest record's."""
        if action is ACTIONS.READ and self._timestamp is not None:
            return self._timestamp  # no record is later
        records = result if isinstance(result, list) else [result]
        times = [record.get(self.model.modified_field, 0) for record in records]
        return max([self._timestamp or 0, *times]) or None

    # Endpoints.

    def collection_get(self) -> Any:
        """List records."""
        self._request_checksum()
        self._raise_304_if_not_modified()
        self._raise_412_if_modified()
        filters = self._extract_filters()
        limit = self._extract_limit()
        sorting = self._extract_sorting(limit)
        fields = self._extract_partial_fields()
        self._raise_304_if_verified(filters)
        if not getattr(self.model, "pages_with_timestamp", False):
            self.timestamp  # noqa: B018 (read before the records to miss no change)
        records = self._read_page(filters, sorting, limit)
        note_list(self.request, self.model)
        self._add_timestamp_header(self.request.response)
        self._add_cache_header(self.request.response)
        if self._known_checksum is not None:
            self._add_checksum_header(self.request.response, self.model.known_checksum)
        if fields:
            records = list(map(field_selector(fields), records))
        return self.postprocess(records)

    def collection_post(self) -> Any:
        """Create a record.

        If a record with the same id or unique value exists, return it instead.
        """
        self.model.locking = True
        new = self.request.validated["data"]
        existing = self._find_posted(new)
        self._raise_412_if_modified(record=existing)
        record = self.process_record(new)
        if existing is not None:
            return self.postprocess(self._serialize(existing))
        try:
            with self._autocommit_if_possible():
                created = self.model.create_record(self._storable(record), **self._unique_fields())
        except exceptions.UnicityError as conflict:
            existing = self._get_record_or_404(conflict.record[self.model.id_field])
            self._raise_403_if_hidden(existing)
            return self.postprocess(self._serialize(existing))
        self.request.response.status_code = 201
        return self.postprocess(created, action=ACTIONS.CREATE)

    def collection_delete(self) -> Any:
        """Delete records.

        Deletes the records that match the filters, or one page of them.
        """
        self.model.locking = True
        self._raise_400_if_unknown_parameter()
        filters = self._extract_filters()
        self._raise_412_if_modified()
        query = self._query()
        if any(name in query for name in querystring.PAGING):
            tombstones = self._delete_page(filters)
        else:
            tombstones = self.model.delete_records(filters=filters)
        return self.postprocess(tombstones, action=ACTIONS.DELETE)

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
        """Replace or create a record."""
        self._raise_400_if_invalid_id(self.record_id)
        self.model.locking = True
        new = self.request.validated["data"]
        record, existing = self._upsert(new) or self._replace(new)
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
        changes, removed = self._requested_changes(existing)
        self._removed_fields = removed
        remaining = {key: value for key, value in existing.items() if key not in removed}
        updated = self._with_same_id(self.apply_changes(remaining, changes))
        record = self._storable(self.process_record(updated, old=existing))
        unchanged = {**self._identity(existing), **record}
        changed = [
            field
            for field in [*changes, *removed]
            if not json.same(existing.get(field), unchanged.get(field))
            or (field in removed and field not in unchanged)
        ]
        if changed or self.force_patch_update:
            record = self._save(record)
        else:
            record = {**record, **self._identity(existing)}
        self._add_timestamp_header(
            self.request.response, timestamp=record[self.model.modified_field]
        )
        body = self.postprocess(record, action=ACTIONS.UPDATE, old=existing)
        return self._in_response_behavior(body, changes, changed)

    def delete(self) -> Any:
        """Delete a record."""
        self._raise_400_if_invalid_id(self.record_id)
        self.model.locking = True
        deleted = self._delete_without_reading()
        if deleted is not None:
            return self.postprocess(deleted, action=ACTIONS.DELETE, old=deleted)
        record = self._get_record_or_404(self.record_id)
        self._raise_412_if_modified(record)
        last_modified = self._extract_deletion_time()
        if last_modified is not None and last_modified <= record[self.model.modified_field]:
            last_modified = None
        try:
            tombstone = self.model.delete_record(record, last_modified=last_modified)
        except exceptions.RecordNotFoundError:  # a flush does not wait for locks on Redis
            self._raise_404()
        return self.postprocess(tombstone, action=ACTIONS.DELETE, old={**record, **tombstone})

    # Steps of the endpoints.

    def _replace(self, new: Record) -> tuple[Record, Record | None]:
        """Replace or create a record; return it, and the previous one, if any."""
        existing = self._find_record(self.record_id)
        replaced = existing or self._find_tombstone(new)
        if replaced is None:
            self._raise_412_if_required()
        else:
            self._raise_412_if_modified(replaced)
        processed = self.process_record(self._with_same_id(new), old=replaced)
        return self._save(self._storable(processed), is_new=existing is None), existing

    def _delete_page(self, filters: list[Filter]) -> list[Record]:
        """Delete the page that a GET of the same URL lists; return its tombstones."""
        limit = self._extract_limit()
        records = self._read_page(filters, self._extract_sorting(limit), limit)
        expose_headers(self.request, "Next-Page", "Total-Records")
        id_field = self.model.id_field
        ids = [record[id_field] for record in records]
        on_page = Filter(id_field, ids, COMPARISON.IN)
        tombstones = self.model.delete_records(filters=[*filters, on_page])
        places = {record_id: place for place, record_id in enumerate(ids)}
        return sorted(tombstones, key=lambda tombstone: places[tombstone[id_field]])

    def _identity(self, record: Record) -> Record:
        model = self.model
        return {key: record[key] for key in (model.id_field, model.modified_field)}

    def _find_posted(self, new: Record) -> Record | None:
        """Return the existing record with the posted id, if any."""
        self._raise_400_if_invalid_timestamp(new)
        id_field = self.model.id_field
        posted = self._posted_data()
        if id_field not in posted:
            return None
        new[id_field] = posted[id_field]
        self._raise_400_if_invalid_id(posted[id_field])
        existing = self._find_record(posted[id_field])
        if existing is not None:
            self._raise_403_if_hidden(existing)
        return existing

    def _save(self, record: Record, is_new: bool = False) -> Record:
        """Create or update a record; respond with 409 if a unique value is taken."""
        model = self.model
        if not is_new:
            record.setdefault(model.id_field, self.record_id)
        write = model.create_record if is_new else model.update_record
        try:
            saved: Record = write(record, **self._unique_fields())
        except exceptions.UnicityError as conflict:
            if conflict.field == model.id_field:
                # The storage has no locks, or the application hides the record.
                self._get_record_or_404(conflict.record[model.id_field])
            self._raise_conflict(conflict)
        return saved

    def _in_response_behavior(
        self, body: dict[str, Any], changes: dict[str, Any], changed: list[str]
    ) -> dict[str, Any]:
        """Reduce the response to a PATCH as ``Response-Behavior`` requests."""
        behavior = self.request.headers.get("Response-Behavior", "").lower()
        data = body["data"]
        if behavior == "diff":
            changed = [field for field in changed if not json.same(changes[field], data.get(field))]
        if behavior in ("light", "diff"):
            body["data"] = {field: data[field] for field in changed if field in data}
            body.pop("permissions", None)
        return body
