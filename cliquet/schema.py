"""Deprecated alias of :mod:`cliquet.resource.schema`."""

from __future__ import annotations

from typing import Any

from cliquet.resource.schema import URL, PermissionsSchema, TimeStamp
from cliquet.resource.schema import ResourceSchema as NewResourceSchema
from cliquet.utils import warn_deprecated


class ResourceSchema(NewResourceSchema):
    """The deprecated name of :class:`cliquet.resource.ResourceSchema`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warn_deprecated("cliquet.schema.ResourceSchema", "cliquet.resource.ResourceSchema")
        super().__init__(*args, **kwargs)


__all__ = ["URL", "NewResourceSchema", "PermissionsSchema", "ResourceSchema", "TimeStamp"]
