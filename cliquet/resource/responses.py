"""Conditional requests to a resource, and the headers that they use."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from pyramid import httpexceptions
from pyramid.response import Response

from cliquet.errors import ERRORS, http_error, raise_invalid
from cliquet.http import live
from cliquet.resource import preconditions
from cliquet.resource.model import has_own_get_records
from cliquet.settings.types import NATURAL
from cliquet.storage import Filter, Record
from cliquet.storage.checksums import Checksum
from cliquet.utils import COMPARISON, decode_header
from cliquet.utils.http import expose_headers, is_mock
from cliquet.utils.overrides import is_of_toolkit


class Tombstone(dict[str, Any]):
    """The tombstone of a record that a PUT recreates."""


class ConditionalResource:
    """Base class of resources: ``If-Match``, ``If-None-Match`` and response headers."""

    request: Any
    model: Any
    record_id: str | None
    #: The timestamp of the collection, None until it is read.
    _timestamp: int | None = None
    #: The checksum that the client has, empty if it has none; None: it doesn't request one.
    _known_checksum: str | None = None

    @property
    def timestamp(self) -> int:
        """The timestamp of the collection, in milliseconds."""
        raise NotImplementedError

    def process_record(self, new: Record, old: Record | None = None) -> Record:
        """Return the record to store for ``new``."""
        raise NotImplementedError

    def _serialize(self, record: Record) -> Record:
        """Return a record as error responses show it."""
        return record

    @property
    def _conditions(self) -> preconditions.Conditions:
        """The conditional headers of the request.

        They aren't cached, because unit tests call several methods of a resource with different
        headers.
        """
        if self.record_id is None and live.is_poll(self.request):
            return preconditions.ALWAYS  # a stream needs the list, never a 304 or 412
        headers = self.request.headers
        expected = seen = None
        if "If-Match" in headers:
            explanation = ". The value should be integer between double quotes."
            expected = self._tags("If-Match", preconditions.parse_tags, explanation)
        if "If-None-Match" in headers:
            seen = self._tags("If-None-Match", preconditions.parse_seen_tags)
        is_conditional = expected is not None or seen is not None
        return preconditions.Conditions(expected, seen) if is_conditional else preconditions.ALWAYS

    def _tags(
        self,
        header: str,
        parse: Callable[[str], Collection[preconditions.Tag] | None],
        explanation: str = "",
    ) -> Collection[preconditions.Tag] | None:
        """Return the entity tags of a header; respond with 400 if they can't be read."""
        try:
            return parse(decode_header(self.request.headers[header]))
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
        is_tombstone = isinstance(record, Tombstone)
        return preconditions.State(
            kind.TOMBSTONE if is_tombstone else kind.RECORD, record[self.model.modified_field]
        )

    def _raise_304_if_not_modified(self, record: Record | None = None) -> None:
        """Respond with 304 if the client has the current state; for methods that read."""
        conditions = self._conditions
        if conditions is preconditions.ALWAYS:
            return
        if record is None and self._known_checksum is not None:
            return  # depends on the checksum too
        state = self._state(record)
        # The method of the request can be a mock.
        if preconditions.check(conditions, "GET", state) == 304:
            self._raise_304(state.timestamp)

    def _raise_304(self, timestamp: int | None, checksum: Checksum | None = None) -> NoReturn:
        response = httpexceptions.HTTPNotModified()
        self._add_timestamp_header(response, timestamp=timestamp)
        self._add_checksum_header(response, checksum)
        if self._cache_seconds():  # RFC 9110, 15.4.5; 3.1 omitted ``no-cache``
            self._add_cache_header(response)
        raise response

    def _add_checksum_header(self, response: Response, checksum: Checksum | None) -> None:
        """Add the checksum of a list, unless it is None, and expose it by CORS."""
        if checksum is not None:
            response.headers["Checksum"] = str(checksum)
            expose_headers(self.request, "Checksum")

    def _raise_412_if_modified(self, record: Record | None = None) -> None:
        """Respond with 412 if the current state isn't what the client expects."""
        conditions = self._conditions
        if conditions is preconditions.ALWAYS:
            return
        state = self._state(record)
        if preconditions.check(conditions, self.request.method, state) == 412:
            details = {"existing": self._serialize(record)} if record else {}
            self._raise_412(state.timestamp, details)

    def _raise_412_if_required(self) -> None:
        """Respond with 412 if the client expects a record, but nothing ever existed."""
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
        """Return the tombstone that a PUT replaces, if the response can depend on it.

        :param new: the record in the body.
        """
        modified_field = self.model.modified_field
        if_match = self._conditions.if_match
        if not (self._has_own_steps() or modified_field in new or if_match is not None):
            return None
        same_id = Filter(self.model.id_field, self.record_id, COMPARISON.EQ)
        records, _ = self.model.get_records(filters=[same_id], include_deleted=True)
        return Tombstone(records[0]) if records else None

    def _has_own_steps(self) -> bool:
        """Return True if an overridden step of PUT could see a tombstone."""
        own = type(self)
        steps = (own.process_record, own._raise_412_if_modified)
        return not all(map(is_of_toolkit, steps)) or has_own_get_records(self.model)

    def _add_timestamp_header(self, response: Response, timestamp: int | None = None) -> None:
        """Add ``ETag`` and ``Last-Modified``, by default those of the collection."""
        if timestamp is None:
            timestamp = self.timestamp
        response.headers["ETag"] = preconditions.etag(timestamp)
        response.headers["Last-Modified"] = preconditions.http_date(timestamp)

    def _cache_seconds(self) -> int | None:
        """Return for how many seconds an anonymous client can cache the response."""
        name = f"{self.request.current_resource_name}_cache_expires_seconds"
        seconds = NATURAL.get(self.request.registry.settings, name)
        return seconds if seconds and self.request.prefixed_userid is None else None

    def _add_cache_header(self, response: Response) -> None:
        """Add ``Cache-Control``, and ``Expires`` if the response can be cached."""
        seconds = self._cache_seconds()
        if seconds is None:
            response.headers["Cache-Control"] = "no-cache"
            return
        if is_mock(response):
            response.cache_expires(seconds=seconds)  # as in 3.1; WebOb's implementation is slow
        response.headers["Cache-Control"] = f"max-age={seconds}"
        expires = (int(time.time()) + seconds) * 1000
        response.headers["Expires"] = preconditions.http_date(expires)
