"""Content negotiation: the media types that clients accept and send."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from webob.acceptparse import create_accept_header

from cliquet.errors import add_error
from cliquet.types import Request
from cliquet.utils.http import JSON

#: The media type of a view, or a function of the request that returns one or several.
MediaType = str | Callable[[Any], Any]


def list_types(value: Any) -> list[MediaType]:
    """Return the list of media types in a view's argument: one, several or None."""
    types = [value] if isinstance(value, str) or callable(value) else value or []
    return list(types)


def media_type(request: Request) -> str:
    """Return the media type of a body, lower case, without parameters, or ""."""
    header: str = request.environ.get("CONTENT_TYPE") or ""
    return header.partition(";")[0].strip().lower()


def resolve_types(types: Iterable[MediaType], request: Request) -> list[str]:
    """Return the media types of a view for a request."""
    resolved: list[str] = []
    for type_ in types:
        value = type_(request) if callable(type_) else type_
        resolved.extend([value] if isinstance(value, str) else value)
    return resolved


def acceptable_types(request: Request, types: Iterable[str]) -> list[str]:
    """Return the types that the client accepts, in its order of preference.

    JSON comes first if the client has no preference. Parameters of media ranges, such as
    ``charset``, don't exclude a type (RFC 9110 12.5.1).
    """
    return preferred_types(request.accept, sorted(types, key=lambda type_: type_ != JSON))


def preferred_types(accept: Any, offers: Iterable[str]) -> list[str]:
    """Return the offered types that a client accepts, in its order of preference.

    :param accept: parsed ``Accept`` header of WebOb.
    :param offers: media types, in the order for clients without a preference.
    """
    if any(parameters for _, _, parameters, _ in accept.parsed or ()):
        ranges = [
            f"{range_.partition(';')[0]};q={quality:g}"
            for range_, quality, parameters, _ in accept.parsed
            if quality or not parameters
        ]
        accept = create_accept_header(", ".join(ranges))
    return [offer for offer, _ in accept.acceptable_offers(list(offers))]


def check_accept(types: list[MediaType], request: Request) -> None:
    """Add a 406 error if the client accepts none of the types."""
    header = request.environ.get("HTTP_ACCEPT")
    if not types or header in (None, "", "*/*") or header in types:
        return
    offers = resolve_types(types, request)
    if not acceptable_types(request, offers):
        refuse_type(request, "Accept", offers, 406)


def check_content_type(types: list[MediaType], request: Request) -> None:
    """Add a 415 error if the body has another type."""
    header = request.environ.get("CONTENT_TYPE")
    if not (types and header) or header in types:
        return
    supported = resolve_types(types, request)
    if media_type(request) not in supported:
        refuse_type(request, "Content-Type", supported, 415)


def refuse_type(request: Request, header: str, types: Iterable[str], status: int) -> None:
    """Add the error for an unsuitable ``Accept`` or ``Content-Type`` header."""
    if status == 415 and request.method == "PATCH":
        types = list(types)
        announce_patch_types(request, types)
    request.errors.status = status
    add_error(request, "header", header, f"{header} header should be one of {list(types)}")


def announce_patch_types(request: Request, types: Iterable[str]) -> None:
    """Add the header ``Accept-Patch`` to the response."""
    accept_patch = ", ".join(types)

    def add(request: Request, response: Any) -> None:
        response.headers["Accept-Patch"] = accept_patch

    request.add_response_callback(add)
