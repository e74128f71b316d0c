"""Bodies of PATCH requests: changed fields, JSON Merge Patch or JSON Patch."""

from __future__ import annotations

from typing import Any

from pyramid import httpexceptions

from cliquet.errors import ERRORS, http_error, raise_invalid
from cliquet.http.limits import limits_of
from cliquet.http.negotiation import media_type
from cliquet.resource.checksums import ChecksumResource
from cliquet.resource.patches import FailedTest, InvalidPatch, apply_operations, merge_document
from cliquet.storage import Record
from cliquet.utils import json
from cliquet.utils.http import MERGE_PATCH, PARTIAL_TYPES


class PartialUpdates(ChecksumResource):
    """Base class of resources that reads the changes of a record."""

    def _posted_data(self) -> Record:
        """Return the ``data`` of the body before validation, empty if there is none."""
        try:
            posted = self.request.json["data"]
        except (ValueError, LookupError, TypeError):
            return {}
        return posted if isinstance(posted, dict) else {}

    def _requested_changes(self, existing: Record) -> tuple[Record, list[str]]:
        """Return the fields that a PATCH changes, with their values, and those that it removes."""
        if media_type(self.request) not in PARTIAL_TYPES:
            return self._posted_data(), []
        current = self._serialize(existing)
        data = self._apply_patch({"data": current}, existing)["data"]
        removed = [field for field in current if field not in data]
        for field in removed:
            if self.mapping.is_readonly(field):
                raise_invalid(self.request, name=field, description=f"Cannot modify {field}")
        changes = {
            field: value
            for field, value in data.items()
            if field not in current or not json.same(current[field], value)
        }
        return changes, removed

    def _apply_patch(self, document: dict[str, Any], existing: Record) -> dict[str, Any]:
        """Return the document after a partial update.

        :param document: the ``data``, and what else the body can change.
        :param existing: the record.
        """
        request = self.request
        body = request.json if request.body else None
        try:
            if media_type(request) == MERGE_PATCH:
                return merge_document(document, body)
            limits = limits_of(request.registry)
            return apply_operations(document, body, limits.max_values)
        except FailedTest as failure:
            raise http_error(
                httpexceptions.HTTPConflict(),
                errno=ERRORS.CONSTRAINT_VIOLATED,
                message=str(failure),
                details={"operation": failure.operation, "position": failure.position},
            ) from failure
        except InvalidPatch as invalid:
            raise_invalid(request, description=str(invalid))
