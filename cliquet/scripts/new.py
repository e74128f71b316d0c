"""The ``cliquet new`` command."""

from __future__ import annotations

import importlib.util
import keyword
import re
import secrets
import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any

from cliquet.scripts.cli_output import MISUSED, CommandError

_TEMPLATE = files(__package__) / "template"

#: Suffix of the template files, which are not modules or configurations yet.
_SUFFIX = ".template"

#: The folder of the template that is renamed to the name of the application.
_PACKAGE = "package"

_NAME = re.compile(r"[a-z]([a-z0-9_]*[a-z0-9])?")

_NEXT = """\
Next steps:
  cd {name}
  pip install -e '.[test]'
  pytest
  cliquet --ini sqlite.ini migrate
  pserve sqlite.ini"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the argument of :func:`new`."""
    parser.add_argument("name", metavar="NAME", help="Name of the package and of its folder.")


def new(options: Namespace, registry: Any) -> None:
    """Create a small application, with a resource, tests and configuration."""
    name = options.name
    _check_name(name)
    folder = Path(name)
    try:
        folder.mkdir()
    except FileExistsError:
        raise CommandError(f"{name!r} already exists. Choose another name.", MISUSED) from None
    try:
        for path, text in _made(name):
            target = folder / path
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
            print(target)
    except BaseException:
        shutil.rmtree(folder)
        raise
    print(_NEXT.format(name=name))


def _check_name(name: str) -> None:
    """Check that a name can be the name of a new package.

    :raises ~cliquet.scripts.cli_output.CommandError: when it can't.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        expected = "a Python package name in lower case, such as myservice"
        raise CommandError(f"Invalid name {name!r}: expected {expected}", MISUSED)
    if name in sys.stdlib_module_names or name == "tests" or importlib.util.find_spec(name):
        raise CommandError(
            f"Invalid name {name!r}: a Python package has this name already", MISUSED
        )


def _made(name: str) -> Iterator[tuple[Path, str]]:
    """Yield the path, relative to the folder, and the contents of each file of an application."""
    values = {"name": name, "underline": "=" * len(name), "secret": secrets.token_hex(32)}
    for path, file in _found(_TEMPLATE, Path()):
        parts = [name if part == _PACKAGE else part for part in path.parts]
        text = Template(file.read_text(encoding="utf-8")).substitute(values)
        yield Path(*parts), text


def _found(folder: Traversable, at: Path) -> Iterator[tuple[Path, Traversable]]:
    """Yield the path and the file of each template, sorted by name."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _found(item, at / item.name)
        else:
            yield at / item.name.removesuffix(_SUFFIX), item
