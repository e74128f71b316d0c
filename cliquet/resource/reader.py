"""Parsing and validation of requests to a resource.

The rules themselves are functions in the sibling modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, ParamSpec, TypeVar
from urllib.parse import urlencode

from pyramid import httpexceptions
from webob.multidict import MultiDict

from cliquet.errors import ERRORS, http_error, raise_invalid, send_alert
from cliquet.http.limits import budget_of, limits_of, refusal, too_large
from cliquet.logs import bind_summary
from cliquet.resource import pagination, preconditions
from cliquet.resource import query as querystring
from cliquet.resource.custom_operators import operators_of
from cliquet.resource.filters import (
    Fields,
    FilterReader,
    element_node,
    find_node,
    guesses,
    is_known_path,
    read_id,
    read_value,
)
from cliquet.resource.invalid import Invalid
from cliquet.resource.model import has_own_get_records
from cliquet.resource.responses import ConditionalResource
from cliquet.settings import DEFAULT_SETTINGS
from cliquet.settings.types import LIMIT, POSITIVE
from cliquet.storage import Filter, Record, Sort, exceptions
from cliquet.utils import json
from cliquet.utils.text import is_long_id

P = ParamSpec("P")
T = TypeVar("T")

_TO_IS_DEPRECATED = {
    "message": "_to is now deprecated, you should use _before instead",
    "url": "http://cliquet.rtfd.org/en/2.4.0/api/resource.html#list-of-available-url-parameters",
}


class RequestReader(ConditionalResource):
    """Base class of resources that parses and validates requests."""

    context: Any
    mapping: Any
    record_id: str | None

    def is_known_field(self, field: str) -> bool:
        """Return whether clients can filter and sort by a field."""
        raise NotImplementedError

    # Query string.

    def _query(self) -> Any:
        request = self.request
        if "GET" in request.__dict__:  # set by a unit test, possibly to native values
            values = request.GET.items()
            return MultiDict((key, v if isinstance(v, str) else json.dumps(v)) for key, v in values)
        if not request.environ.get("QUERY_STRING"):
            return {}
        try:
            return request.GET
        except UnicodeDecodeError:
            raise_invalid(self.request, "querystring", description="Should be encoded in UTF-8")

    def _parameter(self, name: str, default: str | None = None) -> Any:
        """Return the last value of a query parameter."""
        query = self._query()
        # WebOb's get() is slower, because it raises an exception for a missing name.
        return query[name] if name in query else default

    def _parse_or_400(self, extract: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that parses a query; respond with 400 if it raises Invalid."""
        try:
            return extract(*args, **kwargs)
        except Invalid as invalid:
            raise_invalid(
                self.request,
                "querystring",
                name=invalid.name,
                description=invalid.description,
            )

    def _is_timestamp(self, value: object) -> bool:
        """Return whether clients can send a timestamp, or the collection reached it."""
        return preconditions.is_timestamp(value) or (
            type(value) is int and 0 < value <= self.timestamp
        )

    def _extract_filters(self, queryparams: Any = None) -> list[Filter]:
        """Return the filters in the query string."""
        params = self._query() if queryparams is None else queryparams
        if "_to" in params:
            send_alert(self.request, **_TO_IS_DEPRECATED)
        model = self.model
        fields = Fields(
            self._is_known,
            model.id_field,
            model.modified_field,
            self._read_filter,
            self._read_element,
            lambda name: name in self.mapping,
        )
        registry = self.request.registry
        reader = FilterReader(fields, limits_of(registry), operators_of(registry))
        return self._parse_or_400(reader.read_all, params.items())

    def _is_known(self, field: str) -> bool:
        """Return whether clients can filter and sort by a field, which can be nested."""
        return is_known_path(self.mapping, field, self.is_known_field)

    def _read_filter(self, field: str, text: str) -> list[Any]:
        """Return the values that the string of a filter can represent.

        The schema's type reads it; for fields without a schema, the value is guessed.
        """
        model = self.model
        if field == model.id_field:
            return [read_id(text, model.id_generator.match)]
        node = find_node(self.mapping, field)
        if node is not None:
            return [read_value(node, text)]
        values = guesses(field, text)
        return values[:1] if field == model.deleted_field else values

    def _read_element(self, field: str, text: str) -> list[Any]:
        """Return the values that the string of an array's element can represent."""
        node = element_node(self.mapping, field)
        return guesses(field, text) if node is None else [read_value(node, text)]

    def _raise_400_if_unknown_parameter(self) -> None:
        """Respond with 400 if a parameter that begins with an underscore is unknown."""
        self._parse_or_400(querystring.check_names, self._query())

    def _extract_limit(self) -> int | None:
        """Return the page size from the client and the settings, None for no limit."""
        settings = self.request.registry.settings
        paginate_by = LIMIT.get(settings, "paginate_by")
        return self._parse_or_400(querystring.extract_limit, self._parameter("_limit"), paginate_by)

    def _read_page(
        self, filters: list[Filter], sorting: list[Sort], limit: int | None
    ) -> list[Record]:
        """Return the records of a page, and add the headers of the list."""
        settings = self.request.registry.settings
        key = "storage_max_fetch_size"
        max_fetch_size = POSITIVE.get(settings, key, DEFAULT_SETTINGS[key])
        size = max_fetch_size if limit is None else min(limit, max_fetch_size)
        rules, offset = self._extract_pagination_rules_from_token(limit, sorting)
        include_deleted = any(item.field == self.model.modified_field for item in filters)
        counting = self._parse_or_400(querystring.extract_count, self._parameter("_count"))
        query = {
            "filters": filters,
            "sorting": sorting,
            "pagination_rules": rules,
            "include_deleted": include_deleted,
        }
        records: list[Record]
        if has_own_get_records(self.model):
            records, total = self.model.get_records(limit=limit, **query)
            is_last = not include_deleted and offset + len(records) >= total
            has_next = len(records) == size and not is_last
        else:
            records, total, has_next = self._read_plain_page(size, counting, query)
        response = self.request.response
        if has_next:
            url = self._next_page_url(sorting, size, records[-1], offset + len(records))
            response.headers["Next-Page"] = url
        if counting:
            response.headers["Total-Records"] = str(total)
        bind_summary(nb_records=len(records), limit=limit)
        return records

    def _read_plain_page(
        self, size: int, counting: bool, query: Mapping[str, Any]
    ) -> tuple[list[Record], int, bool]:
        """Return the records of a page, their total number, and whether another page follows."""
        model, budget = self.model, budget_of(self.request)
        model.counting, model.max_page_bytes = counting, budget.page_bytes()
        # One more record shows whether there is a next page, despite concurrent deletions.
        records, total = model.get_records(limit=size + 1, **query)
        if self._timestamp is None:
            self._timestamp = model.known_timestamp
        budget.read(model.page_bytes)
        return records[:size], total, len(records) > size or model.page_is_cut

    def _extract_sorting(self, limit: int | None) -> list[Sort]:
        """Return the total order of the records."""
        return self._parse_or_400(
            querystring.extract_sorting,
            self._parameter("_sort", ""),
            self._is_known,
            self.model.modified_field,
            limits_of(self.request.registry),
        )

    def _extract_deletion_time(self) -> int | None:
        """Return the time of a DELETE, None for the current time."""
        name = "last_modified"
        text = self._parameter(name)
        return self._parse_or_400(querystring.extract_deletion_time, text, name, self._is_timestamp)

    def _extract_pagination_rules_from_token(
        self, limit: int | None, sorting: list[Sort]
    ) -> tuple[list[list[Filter]], int]:
        """Return the pagination rules in the token, and the number of preceding records."""
        token = self._parameter("_token")
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

        :param offset: the number of records on the preceding pages.
        """
        params = [item for item in self._query().items() if item[0] not in ("_limit", "_token")]
        token = self._build_pagination_token(sorting, last_record, offset)
        params += [("_limit", limit), ("_token", token)]
        return f"{self.request.path_url}?{urlencode(params)}"

    def _extract_partial_fields(self) -> list[str] | None:
        """Return the fields that ``_fields`` selects; None: all."""
        text = self._parameter("_fields")
        if not text:
            return None
        limits = limits_of(self.request.registry)
        fields = self._parse_or_400(querystring.extract_partial_fields, text, limits)
        if not fields:
            return None
        unknown = [field for field in fields if not self.is_known_field(field.split(".")[0])]
        if unknown:
            raise_invalid(
                self.request,
                name="Invalid _fields parameter",
                description=f"Fields {','.join(unknown)} do not exist",
            )
        model = self.model
        return [*fields, model.id_field, model.modified_field, model.deleted_field]

    # Error responses.

    def _get_record_or_404(self, record_id: str | None) -> Record:
        """Return the record, or respond with 404.

        Every method that looks up a record does it here. For PUT, authorization has already
        read and locked the record.
        """
        record = self._read_record(record_id)
        if record is None:
            self._raise_404()
        return record

    def _raise_404(self) -> NoReturn:
        raise http_error(
            httpexceptions.HTTPNotFound(),
            errno=ERRORS.MISSING_RESOURCE,
            message="The resource you are looking for could not be found.",
        )

    def _read_record(self, record_id: str | None) -> Record | None:
        if record_id == self.record_id:
            current: Any = getattr(self.context, "current_record", None)
            if isinstance(current, dict):  # the context can be a mock
                return current
            if getattr(self.context, "record_is_new", False) is True:
                return None
        try:
            record: Record = self.model.get_record(record_id)
        except exceptions.RecordNotFoundError:
            return None
        return record

    def _find_record(self, record_id: str | None) -> Record | None:
        """Return the record, or None where :meth:`_get_record_or_404` responds with 404."""
        try:
            return self._get_record_or_404(record_id)
        except httpexceptions.HTTPNotFound:
            return None

    def _raise_400_if_id_mismatch(self, new_id: object, record_id: object) -> None:
        """Respond with 400 if the id in the body differs from the id in the URL."""
        if new_id != record_id:
            raise_invalid(
                self.request,
                name=self.model.id_field,
                description="Record id does not match existing record",
            )

    def _raise_400_if_invalid_id(self, record_id: Any) -> None:
        """Respond with 400 unless the id matches the generator."""
        match = self.model.id_generator.match
        is_text = isinstance(record_id, str) and "\0" not in record_id
        if not is_text or is_long_id(record_id) or not match(record_id):
            raise_invalid(self.request, "path", description="Invalid record id")

    def _raise_400_if_invalid_timestamp(self, data: dict[str, Any]) -> None:
        """Respond with 400 if the body contains an invalid timestamp."""
        field = self.model.modified_field
        if field in data and not self._is_timestamp(data[field]):
            raise_invalid(self.request, name=field, description=f"Invalid value for {field}")

    def _raise_403_if_hidden(self, record: Record) -> None:
        """Respond with 403 if the user can neither read nor write the record."""

    def _raise_conflict(self, exception: exceptions.UnicityError) -> NoReturn:
        """Respond with 409: another record has the value of a unique field."""
        self._raise_403_if_hidden(exception.record)
        field, record_id = exception.field, exception.record[self.model.id_field]
        raise http_error(
            httpexceptions.HTTPConflict(),
            errno=ERRORS.CONSTRAINT_VIOLATED,
            message=f"Conflict of field {field} on record {record_id}",
            details={"field": field, "existing": self._serialize(exception.record)},
        )

    def _storable(self, record: Record) -> Record:
        """Return the record as plain JSON; refuse it if it isn't storable."""
        limits = limits_of(self.request.registry)
        stored: Record = json.plain(record)
        text = json.exact_text(stored)
        reason = refusal(stored, text, limits)
        if reason is not None:
            raise_invalid(self.request, name="data", description=f"data cannot be stored: {reason}")
        if len(text or json.dumps_bytes(stored)) > limits.max_record_bytes:
            limit = f"{limits.max_record_bytes} bytes (setting max_record_bytes)"
            raise too_large(f"The record is larger than {limit}")
        return stored
