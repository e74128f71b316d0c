"""JSON documents as backends store them."""

from __future__ import annotations

from typing import Any

from cliquet.drivers.exceptions import BackendError
from cliquet.utils import json


def read_document(raw: str | bytes) -> Any:
    """Parse a stored JSON document.

    :raises ~cliquet.storage.exceptions.BackendError: if it is damaged: only valid JSON is
        ever stored.
    """
    try:
        return json.loads(raw)
    except ValueError as error:
        raise BackendError(
            original=error, message=f"damaged JSON in the backend: {error}"
        ) from error
