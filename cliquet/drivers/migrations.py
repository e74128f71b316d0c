"""Migration scripts of a backend: numbered SQL files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from operator import attrgetter

#: Scripts by the version of the schema that they lead to, in order.
Migrations = Mapping[int, str]


def read_migrations(folder: Traversable) -> Migrations:
    """Return the scripts in a folder, whose files are named ``001.sql``, ``002.sql``…"""
    return {
        int(file.name.removesuffix(".sql")): file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=attrgetter("name"))
    }
