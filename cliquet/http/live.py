"""Collections of the lists that ``cliquet.asgi`` polls for streams of changes."""

from __future__ import annotations

from typing import Any

from cliquet.types import Registry, Request

#: The media type of streams.
STREAM_TYPE = "text/event-stream"

#: The WSGI variable that contains the :class:`ListNote`; missing on WSGI servers.
ENVIRON_KEY = "cliquet.live"

#: The capability that the hello view shows on ASGI servers.
CAPABILITY = {
    "description": "Lists with Accept: text/event-stream are streams of changes.",
    "url": "https://cliquet.readthedocs.io/",
}


class ListNote:
    """The collection that a request has listed, if any.

    :param is_poll: whether the request is a poll for a stream.
    """

    registry: Registry
    #: The ``collection_id`` and ``parent_id``, None until the collection is listed.
    collection: tuple[str, str] | None = None

    def __init__(self, is_poll: bool = False) -> None:
        self.is_poll = is_poll


def is_served(request: Request) -> bool:
    """Return whether the server can stream changes."""
    return ENVIRON_KEY in request.environ


def is_poll(request: Request) -> bool:
    """Return whether the request is a poll for a stream."""
    note = request.environ.get(ENVIRON_KEY)
    return isinstance(note, ListNote) and note.is_poll  # requests of unit tests can be mocks


def stream_types(request: Request) -> list[str]:
    """Return the media types that polls can request besides JSON. The response is JSON."""
    return [STREAM_TYPE] if is_poll(request) else []


def note_list(request: Request, model: Any) -> None:
    """Note that the request has listed the collection of a model."""
    note = request.environ.get(ENVIRON_KEY)
    if note is not None:
        note.registry = request.registry
        note.collection = model.collection_id, model.parent_id
