"""Creation and upgrade of the PostgreSQL schemas of the backends.

``schema.sql`` creates a backend's current schema, and the numbered ``migrations``, run in
order, lead to the same one. A table records the current version of each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.resources import files

from cliquet.drivers.exceptions import BackendError
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

_NOTE_VERSION = """
INSERT INTO cliquet_metadata (part, version) VALUES (%s, %s)
 ON CONFLICT (part) DO UPDATE SET version = excluded.version"""


def initialize(client: Client, package: str) -> None:
    """Create or upgrade the schema of a backend, also with running servers.

    Each step is one transaction.

    :raises ~cliquet.storage.exceptions.BackendError: also if the encoding of the
        database can't store every string, or its schema is of a later version.
    """
    if not pending(client, package):
        return  # the database role might lack the privileges
    part, scripts = package.split(".")[1], migrations(package)
    while _step(client, part, package, scripts):
        pass


def pending(client: Client, package: str) -> list[str]:
    """Return the steps that :func:`initialize` would take.

    :raises ~cliquet.storage.exceptions.BackendError: as it does.
    """
    _check_encoding(client)
    part, latest = package.split(".")[1], max(migrations(package))
    ((has_metadata,),) = client.execute_autocommit(_HAS_METADATA)
    version = _version(client.execute_autocommit, part, latest) if has_metadata else 0
    steps = []
    while version != latest:
        steps.append(f"from version {version} to {_next(version, latest)}")
        version = _next(version, latest)
    return steps


def migrations(package: str) -> dict[int, str]:
    """Return the migration scripts of a backend by the version that they lead to."""
    return dict(sorted(_migrations(package)))


def _migrations(package: str) -> Iterator[tuple[int, str]]:
    for file in files(package).joinpath("migrations").iterdir():
        yield int(file.name.removesuffix(".sql")), file.read_text(encoding="utf-8")


def _check_encoding(client: Client) -> None:
    ((encoding,),) = client.execute_autocommit(_ENCODING)
    if encoding != "UTF8":
        raise BackendError(
            message=f"the encoding of the database is {encoding}: expected UTF8. Create it with"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def _version(run: Run, part: str, latest: int) -> int:
    """Return the version of the schema, 0 if it doesn't exist."""
    found = run(_VERSION, [part])
    version: int = found[0][0] if found else 0
    if version > latest:
        raise BackendError(
            message=f"the {part} schema in the database has version {version}: expected at most"
            f" {latest}. Upgrade the package cliquet"
        )
    return version


def _next(version: int, latest: int) -> int:
    """Return the version after one step; the first step creates the latest schema."""
    return version + 1 if version else latest


def _step(client: Client, part: str, package: str, scripts: dict[int, str]) -> bool:
    """Run one step, and return whether another one can follow."""
    latest = max(scripts)
    with client.grouped_writes() as run:
        run(_LOCK)
        run(_METADATA)
        version = _version(run, part, latest)
        if version == latest:
            return False
        to = _next(version, latest)
        if version == 0:
            run(
                files(package).joinpath("schema.sql").read_text(encoding="utf-8"), None, Kind.SCRIPT
            )
        else:
            run(scripts[to], None, Kind.SCRIPT)
        run(_NOTE_VERSION, [part, to])
    logger.info("%s: PostgreSQL, from version %s to %s", part, version, to)
    return True
