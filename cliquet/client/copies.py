"""Copies of resources, which polls keep up to date and checksums verify.

A poll reads the changes since the previous one. Some changes have no timestamp, such as those of
permissions, purged tombstones or a restored backup: then the checksum in the response differs from
that of the copy, and the poll compares the copy with the ids and timestamps of all records. It also
does so if the timestamp of the list is older than before, for services without checksums.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, TypeVar

from cliquet.client.errors import Forbidden
from cliquet.client.failures import ProtocolError
from cliquet.client.messages import Request, Response, is_tombstone
from cliquet.client.protocol import run
from cliquet.client.querystring import querystring
from cliquet.client.resources import Result, check_first_page, check_path, next_query

Outcome = TypeVar("Outcome")
Steps = Generator[Request, Response, Outcome]

_TIME_MODULUS, _CUBE_MODULUS = 67108859, 67108837
_FORBIDDEN = 121  # errno
#: Total length of the ids in a request, below the limits of servers on URLs, and their number.
_MAX_LENGTH, _MAX_IDS = 3000, 100


def checksum(timestamps: Iterable[int]) -> str:
    """Return the checksum of records (protocol, "Verify a copy"), given their timestamps."""
    number = times = cubes = 0
    for timestamp in timestamps:
        number += 1
        times += timestamp
        cubes += pow(timestamp, 3, _CUBE_MODULUS)
    return f"{number}-{times % _TIME_MODULUS}-{cubes % _CUBE_MODULUS}"


class BaseCopy(Generic[Result]):
    """Copy of a resource.

    :param send: function that sends a request.
    :param path: path of the collection.
    :param records: records of an earlier copy; ignored if any of them is damaged.
    :param timestamp: its timestamp; None: ``records`` are ignored.
    """

    def __init__(
        self,
        send: Callable[[Request], Result],
        path: str,
        records: Iterable[dict[str, Any]] = (),
        timestamp: int | None = None,
    ) -> None:
        check_path(path)
        records = list(records) if timestamp is not None else []
        if not all(map(_is_record, records)):
            records, timestamp = [], None  # the stored copy is damaged
        self._send = send
        self._path = path
        self._has_checksums = True
        #: Changes that failed polls read, but didn't return.
        self._changes: dict[str, dict[str, Any]] = {}
        #: The records by id.
        self.records = {record["id"]: record for record in records}
        #: Timestamp of the collection at the latest poll, None before the first one.
        self.timestamp = timestamp
        #: Whether the copy was exactly the list that the user could read, at the latest poll. False
        #: if it differed or the poll failed; None if the service has no checksums.
        self.verified: bool | None = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}: {len(self.records)} records>"

    def _poll(self) -> Steps[list[dict[str, Any]]]:
        try:
            return (yield from self._read_and_verify())
        except Forbidden as error:
            if error.errno == _FORBIDDEN:  # by the service, not by a proxy
                self.records.clear()
                self._changes.clear()
                self.timestamp = None
            raise

    def _read_and_verify(self) -> Steps[list[dict[str, Any]]]:
        self.verified = False
        is_equal, pages = yield from self._update()
        if is_equal is False and pages > 1:  # the records can have changed between the pages
            is_equal, _ = yield from self._update()
        if is_equal is False:
            yield from self._repair()
            is_equal, _ = yield from self._update()
        self.verified = is_equal
        self._has_checksums = is_equal is not None
        changes, self._changes = self._changes, {}
        return list(changes.values())

    def _update(self) -> Steps[tuple[bool | None, int]]:
        """Read the changes; return whether the checksums are equal, and the number of pages."""
        is_first = self.timestamp is None
        known = "" if is_first or not self._has_checksums else self._checksum()
        since = "" if is_first else f"&_since={self.timestamp}"
        pages = yield from self._read(f"?_checksum={known}{since}")
        if self.timestamp is not None and pages[0].timestamp < self.timestamp:
            # An older backup was restored. Without checksums, only this timestamp shows it, so it
            # must be kept until the copy is repaired.
            return False, 1
        for record in (record for page in pages for record in page.data or ()):
            if not is_first and is_tombstone(record):
                if self.records.pop(record["id"], None) is not None:
                    self._changes[record["id"]] = record
            else:
                self._store(record)
        self.timestamp = pages[0].timestamp
        expected = pages[-1].headers.get("Checksum")
        return None if expected is None else expected == self._checksum(), len(pages)

    def _repair(self) -> Steps[None]:
        """Compare the copy with the ids and timestamps of all records, and read what differs."""
        pages = yield from self._read("?_fields=last_modified")
        times = {record["id"]: record["last_modified"] for page in pages for record in page.data}
        for id_ in self.records.keys() - times.keys():
            del self.records[id_]
            self._changes[id_] = {"id": id_, "deleted": True}
        known = {record["id"]: record["last_modified"] for record in self.records.values()}
        missing = [id_ for id_, time in times.items() if known.get(id_) != time]
        for ids in _slices(missing):
            for page in (yield from self._read(querystring({"in_id": ids}))):
                for record in page.data:
                    self._store(record)
        self.timestamp = pages[0].timestamp

    def _read(self, query: str) -> Steps[list[Response]]:
        """Read all pages of a list."""
        page = yield self._request(query)
        pages = [page]
        if page.status == 304:
            return pages
        check_first_page(self._path, query, page)
        seen = set[object]()
        while following := next_query(self._path, page, seen):
            page = yield self._request(following)
            pages.append(page)
        if not all(_is_record(record) for page in pages for record in page.data):
            raise ProtocolError(f"GET {self._path}: a record has no valid id or last_modified")
        return pages

    def _request(self, query: str) -> Request:
        return Request("GET", self._path + query, expects=("data", list))

    def _store(self, record: dict[str, Any]) -> None:
        self.records[record["id"]] = self._changes[record["id"]] = record

    def _checksum(self) -> str:
        return checksum(record["last_modified"] for record in self.records.values())


class Copy(BaseCopy[Response]):
    """Copy of a resource, created by :meth:`cliquet.client.Client.copy`.

    .. code-block:: python

        bookmarks = client.copy("/bookmarks")
        for change in bookmarks.poll():
            print(change)
        assert bookmarks.verified

    Don't change :attr:`records`: write to the resource, and poll.
    """

    def poll(self) -> list[dict[str, Any]]:
        """Update the copy, and return the records that changed.

        A record that the user can no longer read is returned as ``{"id": …, "deleted": True}``.

        :raises Forbidden: if the user can't read the list, or any record. Then the copy is empty.
        :raises ClientError: if a request fails. The next poll continues, and also returns the
            changes of the failed one.
        """
        return run(self._poll(), self._send)


def _is_record(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("id"), str)
        and isinstance(value.get("last_modified"), int)
    )


def _slices(ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield ids in lists that fit into a URL."""
    some: list[str] = []
    length = 0
    for id_ in ids:
        length += len(id_)
        if some and (length > _MAX_LENGTH or len(some) == _MAX_IDS):
            yield some
            some, length = [], len(id_)
        some.append(id_)
    if some:
        yield some
