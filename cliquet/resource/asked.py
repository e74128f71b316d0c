"""What a request to a resource asks for, and how the resource refuses.

The rules themselves are plain functions, in the modules beside this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode

from pyramid import httpexceptions

from cliquet.errors import ERRORS, http_error, raise_invalid, send_alert
from cliquet.limits import budget_of, limits_of, raise_too_large, refusal
from cliquet.logs import bind_summary
from cliquet.resource import pagination, preconditions, querystring
from cliquet.resource.model import Model
from cliquet.settings import integer_or_none
from cliquet.storage import Filter, Record, Sort, exceptions
from cliquet.utils import COMPARISON, json
from cliquet.utils.http import set_header
from cliquet.utils.text import is_long_id

_TO_IS_DEPRECATED = {
    "message": "_to is now deprecated, you should use _before instead",
    "url": "http://cliquet.rtfd.org/en/2.4.0/api/resource.html#list-of-available-url-parameters",
}


class Asked:
    """Base of the resources: reads the request, and refuses what is wrong in it."""

    request: Any
    context: Any
    model: Any
    mapping: Any
    record_id: str | None
    #: The timestamp of the collection, once it is known.
    _timestamp: int | None = None
    #: The tombstone of the record of the URL, once it was looked for.
    _tombstone: Record | None = None
    _parsed_conditions: preconditions.Conditions | None = None

    @property
    def timestamp(self) -> int:
        """The timestamp of the collection, in milliseconds."""
        raise NotImplementedError

    def process_record(self, new: Record, old: Record | None = None) -> Record:
        """Return the record that is stored for ``new``."""
        raise NotImplementedError

    def is_known_field(self, field: str) -> bool:
        """Tell whether records may be filtered and sorted by a field."""
        raise NotImplementedError

    # The querystring.

    def _query(self) -> Mapping[str, str]:
        request = self.request
        if not (request.environ.get("QUERY_STRING") or "GET" in request.__dict__):
            return {}
        try:
            query: Mapping[str, str] = request.GET
            return query
        except UnicodeDecodeError:
            raise_invalid(self.request, "querystring", description="Should be encoded in UTF-8")

    def _understand(self, extract: Any, *args: Any) -> Any:
        """Return what a function of :mod:`querystring` extracts; 400 if it can't."""
        try:
            return extract(*args)
        except querystring.Invalid as invalid:
            raise_invalid(
                self.request,
                "querystring",
                name=invalid.name,
                description=invalid.description,
            )

    def _is_timestamp(self, value: Any) -> bool:
        """Tell whether clients may give a timestamp: also one that this collection has reached."""
        return preconditions.is_timestamp(value) or (
            type(value) is int and 0 < value <= self.timestamp
        )

    def _extract_filters(self, queryparams: Any = None) -> list[Filter]:
        """Return the filters of the querystring."""
        params = self._query() if queryparams is None else queryparams
        if "_to" in params:
            send_alert(self.request, **_TO_IS_DEPRECATED)
        filters: list[Filter] = self._understand(
            querystring.extract_filters,
            params.items(),
            self.is_known_field,
            self.model.id_field,
            self.model.modified_field,
            self._read_filter,
            limits_of(self.request.registry),
        )
        return filters

    def _read_filter(self, field: str, text: str) -> list[Any]:
        """Return the values that the text of a filter could stand for.

        The schema's type reads it, or it is guessed where the schema doesn't know the field.
        """
        model = self.model
        if field == model.id_field:
            return [querystring.read_id(text, model.id_generator.match)]
        if field in self.mapping:
            return [querystring.read_value(self.mapping[field], text)]
        values = querystring.guesses(field, text)
        return values[:1] if field == model.deleted_field else values

    def _raise_400_if_unknown_parameter(self) -> None:
        """Respond with 400 if a parameter that begins with an underscore is unknown."""
        self._understand(querystring.check_names, self._query())

    def _extract_limit(self) -> int | None:
        """Return the size of a page that the client or the settings ask for, None for any."""
        settings = self.request.registry.settings
        limit: int | None = self._understand(
            querystring.extract_limit,
            self._query().get("_limit"),
            integer_or_none(settings["paginate_by"]),
        )
        return limit

    def _read_page(
        self, filters: list[Filter], sorting: list[Sort], limit: int | None
    ) -> list[Record]:
        """Return the records of a page, and add the headers about the list."""
        max_fetch_size = int(self.request.registry.settings["storage_max_fetch_size"])
        size = max_fetch_size if limit is None else min(limit, max_fetch_size)
        rules, offset = self._extract_pagination_rules_from_token(limit, sorting)
        include_deleted = any(item.field == self.model.modified_field for item in filters)
        # One record more shows whether there is a next page, whatever is deleted meanwhile.
        # Models that override get_records() expect the limit of the request.
        is_plain = getattr(type(self.model), "get_records", None) is Model.get_records
        budget = budget_of(self.request)
        if is_plain:
            self.model.max_page_bytes = budget.page_bytes()
        records, total = self.model.get_records(
            filters=filters,
            sorting=sorting,
            pagination_rules=rules,
            limit=size + 1 if is_plain else limit,
            include_deleted=include_deleted,
        )
        if is_plain:
            if self._timestamp is None:
                self._timestamp = self.model.known_timestamp
            has_next = len(records) > size or self.model.page_is_cut
            budget.read(self.model.page_bytes)
            records = records[:size]
        else:
            is_last = not include_deleted and offset + len(records) >= total
            has_next = len(records) == size and not is_last
        response = self.request.response
        if has_next:
            url = self._next_page_url(sorting, size, records[-1], offset + len(records))
            set_header(response, "Next-Page", url)
        set_header(response, "Total-Records", str(total))
        bind_summary(nb_records=len(records), limit=limit)
        return records

    def _extract_sorting(self, limit: int | None) -> list[Sort]:
        """Return the order of the records, which is total."""
        sorting: list[Sort] = self._understand(
            querystring.extract_sorting,
            self._query().get("_sort", ""),
            self.is_known_field,
            self.model.modified_field,
            limits_of(self.request.registry),
        )
        return sorting

    def _extract_deletion_time(self) -> int | None:
        """Return the time that a DELETE gives, None for now."""
        name = "last_modified"
        text = self._query().get(name)
        time_: int | None = self._understand(
            querystring.extract_deletion_time, text, name, self._is_timestamp
        )
        return time_

    def _extract_pagination_rules_from_token(
        self, limit: int | None, sorting: list[Sort]
    ) -> tuple[list[list[Filter]], int]:
        """Return the rules for the page of the token, and how many records precede it."""
        token = self._query().get("_token")
        if not token:
            return [], 0
        try:
            last, offset = pagination.decode_token(token, sorting, self.model.modified_field)
        except ValueError:
            raise_invalid(self.request, "querystring", description="_token has invalid content")
        return self._build_pagination_rules(sorting, last), offset

    def _build_pagination_rules(
        self, sorting: list[Sort], last_record: Record, rules: list[list[Filter]] | None = None
    ) -> list[list[Filter]]:
        """Return the rules for the page after ``last_record``, added to ``rules``."""
        return [*(rules or []), *pagination.pagination_rules(last_record, sorting)]

    def _build_pagination_token(self, sorting: list[Sort], last_record: Record, offset: int) -> str:
        """Return the token of the page after ``last_record``."""
        return pagination.encode_token(last_record, sorting, offset)

    def _next_page_url(
        self, sorting: list[Sort], limit: int, last_record: Record, offset: int
    ) -> str:
        """Return the URL of the page after ``last_record``.

        :param offset: the number of records on the pages before it.
        """
        params = self.request.GET.copy()
        params["_limit"] = limit
        params["_token"] = self._build_pagination_token(sorting, last_record, offset)
        return f"{self.request.path_url}?{urlencode(list(params.items()))}"

    def _extract_partial_fields(self) -> list[str]:
        """Return the fields that ``_fields`` asks for, empty for all of them."""
        text = self._query().get("_fields")
        if not text:
            return []
        limits = limits_of(self.request.registry)
        fields: list[str] = self._understand(querystring.extract_partial_fields, text, limits)
        if not fields:
            return []
        unknown = [field for field in fields if not self.is_known_field(field.split(".")[0])]
        if unknown:
            raise_invalid(
                self.request,
                name="Invalid _fields parameter",
                description=f"Fields {','.join(unknown)} do not exist",
            )
        model = self.model
        return [*fields, model.id_field, model.modified_field, model.deleted_field]

    # Preconditions.

    @property
    def _conditions(self) -> preconditions.Conditions:
        """The conditional headers of the request, parsed once."""
        if self._parsed_conditions is None:
            headers = self.request.headers
            expected = seen = None
            if "If-Match" in headers:
                explanation = ". The value should be integer between double quotes."
                expected = self._tags("If-Match", preconditions.parse_tags, explanation)
            if "If-None-Match" in headers:
                seen = self._tags("If-None-Match", preconditions.parse_seen_tags)
            is_conditional = expected is not None or seen is not None
            self._parsed_conditions = (
                preconditions.Conditions(expected, seen) if is_conditional else preconditions.ALWAYS
            )
        return self._parsed_conditions

    def _tags(
        self,
        header: str,
        parse: Callable[[str], Collection[preconditions.Tag] | None],
        explanation: str = "",
    ) -> Collection[preconditions.Tag] | None:
        """Return the entity tags of a header; respond with 400 if they can't be read."""
        try:
            return parse(self.request.headers[header])
        except ValueError:
            raise_invalid(
                self.request,
                "headers",
                description=f"Invalid value for {header}{explanation}",
            )

    def _state(self, record: Record | None) -> preconditions.State:
        """Return the state of a record or tombstone, or of the collection for None."""
        kind = preconditions.Kind
        if record is None:
            return preconditions.State(kind.COLLECTION, self.timestamp)
        is_tombstone = record is self._tombstone
        return preconditions.State(
            kind.TOMBSTONE if is_tombstone else kind.RECORD, record[self.model.modified_field]
        )

    def _raise_304_if_not_modified(self, record: Record | None = None) -> None:
        """Respond with 304 if the client has seen this state of the record or collection."""
        if self._conditions is preconditions.ALWAYS:
            return
        state = self._state(record)
        if preconditions.check(self._conditions, self.request.method, state) == 304:
            response = httpexceptions.HTTPNotModified()
            self._add_timestamp_header(response, timestamp=state.timestamp)
            if self._cache_seconds():  # RFC 9110, 15.4.5; 3.1 left ``no-cache`` out
                self._add_cache_header(response)
            raise response

    def _raise_412_if_modified(self, record: Record | None = None) -> None:
        """Respond with 412 if the record or collection isn't in the state the client expects."""
        if self._conditions is preconditions.ALWAYS:
            return
        state = self._state(record)
        if preconditions.check(self._conditions, self.request.method, state) == 412:
            self._raise_412(state.timestamp, {"existing": self._shown(record)} if record else {})

    def _raise_412_if_required(self) -> None:
        """Respond with 412 if the client expects a record where there isn't even a tombstone."""
        nothing = preconditions.State(preconditions.Kind.NOTHING)
        if preconditions.check(self._conditions, self.request.method, nothing) == 412:
            self._raise_412(self.timestamp, {})

    def _raise_412(self, timestamp: int | None, details: dict[str, Any]) -> NoReturn:
        response = http_error(
            httpexceptions.HTTPPreconditionFailed(),
            errno=ERRORS.MODIFIED_MEANWHILE,
            message="Resource was modified meanwhile",
            details=details,
        )
        self._add_timestamp_header(response, timestamp=timestamp)
        raise response

    def _find_tombstone(self, new: Record) -> Record | None:
        """Return the tombstone that a PUT replaces, if anything depends on it.

        :param new: the record of the body.
        """
        modified_field = self.model.modified_field
        if_match = self._conditions.if_match
        if not (self._has_own_steps() or modified_field in new or if_match is not None):
            return None
        same_id = Filter(self.model.id_field, self.record_id, COMPARISON.EQ)
        records, _ = self.model.get_records(filters=[same_id], include_deleted=True)
        self._tombstone = records[0] if records else None
        return self._tombstone

    def _has_own_steps(self) -> bool:
        """Return True if the application overrides a step of PUT that may see a tombstone."""
        own = type(self)
        steps = (own.process_record, own._raise_412_if_modified)
        return not (
            all(step.__module__.startswith("cliquet.resource.") for step in steps)
            and getattr(type(self.model), "get_records", None) is Model.get_records
        )

    # Refusals.

    def _shown(self, record: Record) -> Record:
        """Return a record as errors tell it."""
        return record

    def _get_record_or_404(self, record_id: str | None) -> Record:
        """Return the record, or answer 404.

        Every method that looks up a record does it here. The authorization of PUT has read the
        record already, and locked it.
        """
        record = self._read_record(record_id)
        if record is None:
            raise http_error(
                httpexceptions.HTTPNotFound(),
                errno=ERRORS.MISSING_RESOURCE,
                message="The resource you are looking for could not be found.",
            )
        return record

    def _read_record(self, record_id: str | None) -> Record | None:
        if record_id == self.record_id:
            known: Any = getattr(self.context, "current_record", None)
            if isinstance(known, dict):  # the context may be a mock
                return known
            if getattr(self.context, "record_is_new", False) is True:
                return None
        try:
            record: Record = self.model.get_record(record_id)
        except exceptions.RecordNotFoundError:
            return None
        return record

    def _find_record(self, record_id: str | None) -> Record | None:
        """Return the record, or None where :meth:`_get_record_or_404` answers 404."""
        if type(self)._get_record_or_404 is Asked._get_record_or_404:
            return self._read_record(record_id)  # without creating a response
        try:
            return self._get_record_or_404(record_id)
        except httpexceptions.HTTPNotFound:
            return None

    def _raise_400_if_id_mismatch(self, new_id: Any, record_id: Any) -> None:
        """Answer 400 when a body gives another id than the URL."""
        if new_id != record_id:
            raise_invalid(
                self.request,
                name=self.model.id_field,
                description="Record id does not match existing record",
            )

    def _raise_400_if_invalid_id(self, record_id: Any) -> None:
        """Answer 400 unless the id could come from the generator."""
        match = self.model.id_generator.match
        is_text = isinstance(record_id, str) and "\0" not in record_id
        if not is_text or is_long_id(record_id) or not match(record_id):
            raise_invalid(self.request, "path", description="Invalid record id")

    def _raise_400_if_invalid_timestamp(self, data: dict[str, Any]) -> None:
        """Answer 400 when a body gives a time that isn't one."""
        field = self.model.modified_field
        if field in data and not self._is_timestamp(data[field]):
            raise_invalid(self.request, name=field, description=f"Invalid value for {field}")

    def _raise_403_if_hidden(self, record: Record) -> None:
        """Answer 403 when the user may neither read nor write the record."""

    def _raise_conflict(self, exception: exceptions.UnicityError) -> NoReturn:
        """Answer 409: another record has the value of a unique field."""
        self._raise_403_if_hidden(exception.record)
        field, record_id = exception.field, exception.record[self.model.id_field]
        raise http_error(
            httpexceptions.HTTPConflict(),
            errno=ERRORS.CONSTRAINT_VIOLATED,
            message=f"Conflict of field {field} on record {record_id}",
            details={"field": field, "existing": self._shown(exception.record)},
        )

    def _storable(self, record: Record) -> Record:
        """Return the record in values of JSON, or refuse one that can't be kept or is too large."""
        limits = limits_of(self.request.registry)
        stored: Record = json.plain(record)
        text = json.exact_text(stored)
        reason = refusal(stored, text, limits)
        if reason is not None:
            raise_invalid(self.request, name="data", description=f"data can't be kept: {reason}")
        if len(text or json.dumps_bytes(stored)) > limits.max_record_bytes:
            limit = f"{limits.max_record_bytes} bytes (setting max_record_bytes)"
            raise_too_large(f"The record is larger than {limit}")
        return stored

    # Headers of the answer.

    def _add_timestamp_header(self, response: Any, timestamp: int | None = None) -> None:
        """Tell the timestamp of the record, or of the collection: ``ETag``, ``Last-Modified``."""
        if timestamp is None:
            timestamp = self.timestamp
        set_header(response, "ETag", preconditions.etag(timestamp))
        set_header(response, "Last-Modified", preconditions.http_date(timestamp))

    def _cache_seconds(self) -> int | None:
        """Return how long the client can keep the response, which must be anonymous."""
        name = f"{self.request.current_resource_name}_cache_expires_seconds"
        seconds = integer_or_none(self.request.registry.settings.get(name))
        return seconds if seconds and self.request.prefixed_userid is None else None

    def _add_cache_header(self, response: Any) -> None:
        """Add ``Cache-Control``, and ``Expires`` for responses that the client can keep."""
        seconds = self._cache_seconds()
        if seconds is None:
            set_header(response, "Cache-Control", "no-cache")
            return
        set_header(response, "Cache-Control", f"max-age={seconds}")
        expires = (int(time.time()) + seconds) * 1000
        set_header(response, "Expires", preconditions.http_date(expires))
