"""Creation and upgrade of the PostgreSQL schemas of the backends.

The numbered ``migrations`` of a backend, run in order, create its tables and change them. Then
``functions.sql`` replaces its functions. A table records the current version of each backend.
"""

from __future__ import annotations

import logging
from importlib.resources import files

from cliquet.drivers.backend import Backend
from cliquet.drivers.exceptions import BackendError
from cliquet.drivers.migrations import Migrations, read_migrations
from cliquet.drivers.postgresql.client import Client, Run
from cliquet.drivers.postgresql.transaction import Kind

logger = logging.getLogger(__name__)

# Serialize migrations. The key is arbitrary, and unlikely to be used by other programs.
_LOCK = "SELECT pg_advisory_xact_lock(4730276195113487)"

_ENCODING = "SHOW server_encoding"

_HAS_METADATA = "SELECT to_regclass('cliquet_metadata') IS NOT NULL"

_METADATA = """
CREATE TABLE IF NOT EXISTS cliquet_metadata (part text PRIMARY KEY, version integer NOT NULL)"""

_VERSION = "SELECT version FROM cliquet_metadata WHERE part = %s"

_RECORD_VERSION = """
INSERT INTO cliquet_metadata (part, version) VALUES (%s, %s)
 ON CONFLICT (part) DO UPDATE SET version = excluded.version"""


class PostgreSQLBackend(Backend):
    """A backend whose data is in a PostgreSQL database."""

    #: The package with the scripts of the schema.
    _package: str

    def __init__(self, client: Client, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        #: For the application's own SQL: see :meth:`.client.Client.connect`.
        self.client = self._client = client

    def initialize_schema(self) -> None:
        initialize(self._client, self._package)

    def pending_migrations(self) -> list[str]:
        return pending(self._client, self._package)


def initialize(client: Client, package: str) -> None:
    """Create or upgrade the schema of a backend in one transaction, also with running servers.

    :raises ~cliquet.storage.exceptions.BackendError: also if the encoding of the
        database can't store every string, or its schema is of a later version.
    """
    if not pending(client, package):
        return  # the database role might lack the privileges
    part, scripts = package.split(".")[1], _migrations(package)
    latest = max(scripts)
    with client.grouped_writes() as run:
        run(_LOCK)
        run(_METADATA)
        version = _version(run, part, latest)
        if version == latest:
            return
        missing = [script for number, script in scripts.items() if number > version]
        run("\n".join([*missing, _functions(package)]), None, Kind.SCRIPT)
        run(_RECORD_VERSION, [part, latest])
    for step in _steps(version, latest):
        logger.info("%s: PostgreSQL, %s", part, step)


def pending(client: Client, package: str) -> list[str]:
    """Return the steps that :func:`initialize` would take.

    :raises ~cliquet.storage.exceptions.BackendError: as it does.
    """
    _check_encoding(client)
    part, latest = package.split(".")[1], max(_migrations(package))
    ((has_metadata,),) = client.execute_autocommit(_HAS_METADATA)
    return _steps(_version(client.execute_autocommit, part, latest) if has_metadata else 0, latest)


def _steps(version: int, latest: int) -> list[str]:
    if version == 0:
        return [f"from version 0 to {latest}"]
    return [f"from version {number} to {number + 1}" for number in range(version, latest)]


def _migrations(package: str) -> Migrations:
    """Return the migration scripts of a backend."""
    return read_migrations(files(package).joinpath("migrations"))


def _functions(package: str) -> str:
    file = files(package).joinpath("functions.sql")
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _check_encoding(client: Client) -> None:
    ((encoding,),) = client.execute_autocommit(_ENCODING)
    if encoding != "UTF8":
        raise BackendError(
            message=f"the encoding of the database is {encoding}: expected UTF8. Create it with"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def _version(run: Run, part: str, latest: int) -> int:
    """Return the version of the schema, 0 if it doesn't exist."""
    rows = run(_VERSION, [part])
    version: int = rows[0][0] if rows else 0
    if version > latest:
        raise BackendError(
            message=f"the {part} schema in the database has version {version}: expected at most"
            f" {latest}. Upgrade the package cliquet"
        )
    return version
