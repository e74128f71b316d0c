"""JSON renderer of responses."""

from __future__ import annotations

import calendar
import datetime
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from cliquet.errors import JSON_TYPE
from cliquet.http.negotiation import acceptable_types
from cliquet.types import Request
from cliquet.utils import json
from cliquet.utils.http import JSON, is_subrequest

# The media types of JSON responses.
_TYPES = (JSON, "text/json", "text/plain")
# RFC 9110, 15.3.5 and 15.4.5.
_WITHOUT_BODY = (204, 304)


class JSONRenderer:
    """Renders JSON in UTF-8, with the protocol's ``Content-Type``.

    Dates are seconds since the epoch. Iterables become arrays. Objects can have a method
    ``toDict()``, ``__json__(request)`` that returns a value, or ``__json__()`` that returns
    serialized JSON.

    :param info: Pyramid's description of the renderer.
    """

    def __init__(self, info: Any) -> None:
        pass

    def __call__(self, value: Any, system: dict[str, Any]) -> bytes | None:
        request = system.get("request")
        if request is not None and _must_be_empty(request):
            for name in ("Content-Type", "Content-Length"):
                request.response.headers.pop(name, None)
            return None
        body = json.dumps_bytes(value, default=_adapter(request), iso_dates=False)
        if request is not None:
            request.response.headers["Content-Type"] = _content_type(request)
            request.response.rendered = body  # for cliquet.utils.http.describe_response
        return body


def _must_be_empty(request: Request) -> bool:
    """Return whether the status of the response doesn't allow a body.

    In a batch, such a response has the value of the view as its ``body``, as in 3.1.
    """
    return request.response.status_code in _WITHOUT_BODY and not is_subrequest(request)


def _content_type(request: Request) -> str:
    """Return the media type, plain text for clients that prefer it to JSON."""
    if "text/" not in request.environ.get("HTTP_ACCEPT", ""):
        return JSON_TYPE
    accepted = acceptable_types(request, _TYPES)
    return f"{accepted[0]}; charset=UTF-8" if accepted else JSON_TYPE


def _adapter(request: Request | None) -> Callable[[Any], Any]:
    """Return a function that converts other objects to JSON values."""
    # A value can be converted repeatedly, but an iterator yields its items only once.
    lists: dict[int, tuple[Any, list[Any]]] = {}

    def adapt(value: Any) -> Any:
        if hasattr(value, "toDict"):
            return value.toDict()
        if not hasattr(value, "__json__"):
            if isinstance(value, Iterator):
                return lists.setdefault(id(value), (value, list(value)))[1]
            return _plain(value)
        class_: Any = type(value)
        if _takes_request(class_):
            return value.__json__(request)
        text = value.__json__()
        return json.fragment(text) if isinstance(text, (str, bytes)) else text

    return adapt


@functools.lru_cache(maxsize=256)
def _takes_request(class_: object) -> bool:
    """Return True for ``__json__(request)``, False for ``__json__()``."""
    attribute = inspect.getattr_static(class_, "__json__")
    return bool(inspect.signature(attribute.__get__(object(), class_)).parameters)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return calendar.timegm(value.utctimetuple())
    if isinstance(value, datetime.date):
        return calendar.timegm(value.timetuple())
    if isinstance(value, datetime.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if hasattr(value, "keys"):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{value!r} is not JSON serializable")
