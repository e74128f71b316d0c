"""The old name of :mod:`cliquet.resource.schema`."""

from __future__ import annotations

from typing import Any

from cliquet.resource import schema
from cliquet.resource.schema import URL, PermissionsSchema, TimeStamp
from cliquet.utils import warn_deprecated


class ResourceSchema(schema.ResourceSchema):
    """The deprecated name of :class:`cliquet.resource.ResourceSchema`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warn_deprecated("cliquet.schema.ResourceSchema", "cliquet.resource.ResourceSchema")
        super().__init__(*args, **kwargs)


__all__ = ["URL", "PermissionsSchema", "ResourceSchema", "TimeStamp"]
