"""Former location of the connection pool, imported by applications of version 3.1."""

from cliquet.drivers.postgresql.pool import QueuePoolWithMaxBacklog

__all__ = ["QueuePoolWithMaxBacklog"]
