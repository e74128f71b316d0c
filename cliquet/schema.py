"""The old name of :mod:`cliquet.resource.schema`."""

from cliquet.resource.schema import URL, PermissionsSchema, ResourceSchema, TimeStamp

__all__ = ["URL", "PermissionsSchema", "ResourceSchema", "TimeStamp"]
