"""Checksums of lists, for clients that keep a copy of them (protocol, "Verify a copy")."""

from __future__ import annotations

from cliquet.http import live
from cliquet.resource import preconditions
from cliquet.resource import query as querystring
from cliquet.resource.model import has_own_get_records
from cliquet.resource.reader import RequestReader
from cliquet.storage import Filter
from cliquet.utils import COMPARISON
from cliquet.utils.overrides import is_of_toolkit


class ChecksumResource(RequestReader):
    """Base class of resources whose lists can include a checksum.

    It is the checksum of all records that the user can read, whatever the request filters.
    """

    def _readable_ids(self) -> list[str] | None:
        """Return the ids of the records that the user can read, None for all of them."""
        return None

    def _request_checksum(self) -> None:
        """Have the response include the checksum, if the client requests it.

        Ignore the parameter if application code restricts the list, because the storage then
        doesn't know which records the user can read.
        """
        is_poll = live.is_poll(self.request)
        text = self._parameter("_checksum", "" if is_poll else None)
        if text is None or self._has_own_lists():
            return
        checksum = self._parse_or_400(querystring.extract_checksum, text)
        self._known_checksum = "" if is_poll else checksum  # a stream needs the list, never a 304
        self.model.with_checksum, self.model.checksum_ids = True, self._readable_ids()

    def _has_own_lists(self) -> bool:
        is_own = not is_of_toolkit(type(self)._extract_filters)
        return is_own or has_own_get_records(self.model)

    def _raise_304_if_verified(self, filters: list[Filter]) -> None:
        """Respond with 304 if nothing changed, unless the checksum of the client differs.

        :param filters: those of the request: with a checksum, ``_since`` is a condition like
            ``If-None-Match``.
        """
        known = self._known_checksum
        if known is None or not (known or self._conditions.if_none_match):
            return
        state = self._state(None)
        if preconditions.check(self._conditions, self.request.method, state) != 304 and not (
            known and self._is_later(filters, state.timestamp or 0)
        ):
            return
        checksum = self.model.checksum()
        if known in ("", str(checksum)):
            self._raise_304(state.timestamp, checksum)

    def _is_later(self, filters: list[Filter], timestamp: int) -> bool:
        """Return whether the filters only match records later than a timestamp."""
        modified = self.model.modified_field
        return any(
            field == modified and operator is COMPARISON.GT and value >= timestamp
            for field, value, operator in filters
        )
