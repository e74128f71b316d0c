"""Creation of the SQLite schemas of the backends."""

from __future__ import annotations

from importlib.resources import files

from cliquet.drivers.sqlite.client import Client


def initialize(client: Client, package: str) -> None:
    """Create the missing parts of the schema of a backend, also with running servers."""
    client.run_script(_schema(package))


def pending(client: Client, package: str) -> list[str]:
    """Return the steps that :func:`initialize` would take."""
    return client.missing(_schema(package))


def _schema(package: str) -> str:
    return files(package).joinpath("schema.sql").read_text(encoding="utf-8")
