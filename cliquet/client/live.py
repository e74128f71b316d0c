"""Streams of changes, without input and output (protocol, "Streams of changes")."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cliquet.client.failures import ClientError, ProtocolError
from cliquet.client.messages import Request, Response

#: Seconds without a byte after which a connection is considered lost: servers send comments.
IDLE_SECONDS = 45
#: Seconds before the next connection, unless the server sets another time.
_PAUSE_SECONDS = 1.0

_MILLISECONDS = re.compile("[0-9]{1,12}")
_TAG = re.compile(r'"([0-9]+)"')


def is_stream(headers: Mapping[str, str]) -> bool:
    """Return whether the headers of a response are those of a stream."""
    return headers.get("Content-Type", "").startswith("text/event-stream")


def check_stream(response: Response) -> None:
    """Check that a response is a stream.

    :raises ProtocolError: if it isn't.
    """
    if not is_stream(response.headers):
        raise ProtocolError("The service does not support streams of changes. Use client.copy()")


class Changes(list[dict[str, Any]]):
    """Records and tombstones of a stream.

    :param timestamp: the next value of ``since``, in milliseconds; None if more changes of the same
        time follow.
    :param checksum: checksum of the list; None if the server doesn't send it.
    """

    def __init__(
        self, records: Iterable[dict[str, Any]], timestamp: int | None, checksum: str | None
    ) -> None:
        super().__init__(records)
        self.timestamp = timestamp
        self.checksum = checksum


class ChangeStream:
    """A stream of changes over any number of connections.

    :param path: path of the collection.
    :param query: query string with the filters.
    :param since: timestamp in milliseconds; None: start with all records.
    """

    def __init__(self, path: str, query: str, since: int | None) -> None:
        self._url = path + query
        self._tag = None if since is None else f'"{since}"'
        self._fields: dict[str, str] = {}
        self._last: tuple[int | None, str | None] = (None, None)
        self._was_open = False
        #: Seconds before the next connection.
        self.pause = 0.0
        self._parts: list[bytes] = []

    def request(self) -> Request:
        """Return the request for the next connection."""
        headers = {"Accept": "text/event-stream"}
        if self._tag is not None:
            headers["Last-Event-ID"] = self._tag
        self._parts, self._fields = [], {}
        return Request("GET", self._url, headers=headers)

    def read(self, content: bytes) -> list[Changes]:
        """Parse more bytes, and return the changes that are now complete.

        :raises ProtocolError: unless the data is JSON.
        """
        self._parts.append(content)
        if b"\n" not in content:  # joining the parts of a long line each time would be slow
            return []
        *lines, rest = b"".join(self._parts).split(b"\n")
        self._parts = [rest]
        events = [self._read_line(line.decode("utf-8", "replace").rstrip("\r")) for line in lines]
        return [changes for changes in events if changes is not None]

    def begin(self) -> None:
        """Note that a connection is open."""
        self._was_open = True

    def interrupt(self, error: ClientError) -> None:
        """Handle an error: return if another connection should be opened.

        :raises ClientError: the error, if it is permanent, or if no connection was ever open,
            because the URL can be wrong.
        """
        if not (self._was_open and error.is_transient):
            raise error

    def end(self) -> None:
        """Note the end of the connection."""
        # Clients whose streams ended together must not reconnect together.
        self.pause = max(self.pause, _PAUSE_SECONDS * random.uniform(0.5, 1.5))

    def _read_line(self, line: str) -> Changes | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in self._fields:
                value = f"{self._fields['data']}\n{value}"
            self._fields[name] = value
            return None
        fields, self._fields = self._fields, {}
        # After a pause that the server sets, the connection ends.
        retry = _MILLISECONDS.fullmatch(fields.get("retry", ""))
        self.pause = int(retry[0]) / 1000 if retry else 0.0
        return self._changes(fields) if fields.get("event") == "change" else None

    def _changes(self, fields: dict[str, str]) -> Changes | None:
        try:
            body = json.loads(fields["data"])
            records, checksum = list(body["data"]), body.get("checksum")
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"GET {self._url}: an event has no data") from error
        tag = fields.get("id")
        match = _TAG.fullmatch(tag or "")
        timestamp = int(match[1]) if match else None
        self._tag = tag or self._tag
        is_known = not records and (timestamp, checksum) == self._last
        self._last = timestamp, checksum
        # The first event of each connection can be empty.
        return None if is_known else Changes(records, timestamp, checksum)
