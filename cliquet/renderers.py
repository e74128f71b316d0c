"""The renderer of answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cliquet.errors import JSON_TYPE
from cliquet.utils import json
from cliquet.utils.http import set_header


class JSONRenderer:
    """Renders JSON in UTF-8, with the protocol's ``Content-Type``.

    :param info: what Pyramid tells of the renderer.
    """

    def __init__(self, info: Any) -> None:
        pass

    def respond(self, request: Any, value: Any) -> Any:
        """Return the response of the request, with the value as its body."""
        response = request.response
        body = json.dumps_bytes(value, default=_adapter(request))
        set_header(response, "Content-Type", JSON_TYPE)
        response.body = body
        return response

    def __call__(self, value: Any, system: dict[str, Any]) -> bytes:
        request = system.get("request")
        if request is not None:
            request.response.headers["Content-Type"] = JSON_TYPE
        return json.dumps_bytes(value, default=_adapter(request))


def _adapter(request: Any) -> Callable[[Any], Any]:
    """Return the function that tells what stands in JSON for a value that it doesn't know."""
    return lambda value: value.__json__(request) if hasattr(value, "__json__") else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset, range)):
        return list(value)
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if hasattr(value, "keys"):
        return dict(value)
    raise TypeError(f"{value!r} is not JSON")
