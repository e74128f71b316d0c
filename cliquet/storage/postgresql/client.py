"""Former location of the PostgreSQL client, imported by applications of version 3.1."""

from cliquet.drivers.postgresql.client import PostgreSQLClient
from cliquet.drivers.postgresql.config import create_from_config
from cliquet.drivers.postgresql.schema import logger

__all__ = ["PostgreSQLClient", "create_from_config", "logger"]
