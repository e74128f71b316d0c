"""Creation of the SQLite schemas of the backends."""

from __future__ import annotations

from importlib.resources import files

from cliquet.drivers.backend import Backend
from cliquet.drivers.migrations import Migrations, read_migrations
from cliquet.drivers.sqlite.client import Client


class SQLiteBackend(Backend):
    """A backend whose data is in an SQLite file.

    :param client: the client of the file.
    """

    #: The package with the script of the schema.
    _package: str

    def __init__(self, client: Client, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._client = client

    def initialize_schema(self) -> None:
        """Create the missing parts of the schema, also with running servers."""
        self._client.run_script(self._schema(), self._migrations())

    def pending_migrations(self) -> list[str]:
        return self._client.missing(self._schema(), self._migrations())

    def verify(self) -> None:
        self._client.verify()

    def _schema(self) -> str:
        return files(self._package).joinpath("schema.sql").read_text(encoding="utf-8")

    def _migrations(self) -> Migrations:
        folder = files(self._package).joinpath("migrations")
        return read_migrations(folder) if folder.is_dir() else {}
