"""The command ``cliquet new``: a folder with a small application, to begin with."""

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

from cliquet.scripts.terminal import MISUSED, Mistake

_TEMPLATE = files(__package__) / "template"

#: What the names of the files end with: they are no modules, nor configurations.
_SUFFIX = ".template"

#: In the template, the folder that gets the name of the application.
_PACKAGE = "package"

_NAME = re.compile(r"[a-z]([a-z0-9_]*[a-z0-9])?")

_NEXT = """\
now:
  cd {name}
  pip install -e '.[test]'
  pytest
  cliquet --ini sqlite.ini migrate
  pserve sqlite.ini"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the argument of :func:`new`."""
    parser.add_argument("name", metavar="NAME", help="of the package and of its folder")


def new(options: Namespace, registry: Any) -> None:
    """Make a folder with a small application: a resource, its test, and its configurations."""
    name = options.name
    _check_name(name)
    folder = Path(name)
    try:
        folder.mkdir()
    except FileExistsError:
        raise Mistake(f"{name}: it exists already", MISUSED) from None
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
    """Refuse what can't be the name of a package that is new.

    :raises ~cliquet.scripts.terminal.Mistake: which tells why.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        expected = "the name of a Python package, in lower case, as myservice"
        raise Mistake(f"{name!r}: expected {expected}", MISUSED)
    if name in sys.stdlib_module_names or name == "tests" or importlib.util.find_spec(name):
        raise Mistake(f"{name!r}: there is a Python package of that name already", MISUSED)


def _made(name: str) -> Iterator[tuple[Path, str]]:
    """Yield the files of an application: their paths in its folder, and what is in them."""
    values = {"name": name, "underline": "=" * len(name), "secret": secrets.token_hex(32)}
    for path, file in _found(_TEMPLATE, Path()):
        parts = [name if part == _PACKAGE else part for part in path.parts]
        text = Template(file.read_text(encoding="utf-8")).substitute(values)
        yield Path(*parts), text


def _found(folder: Traversable, at: Path) -> Iterator[tuple[Path, Traversable]]:
    """Yield the files of the template, in order, and where they are in it."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _found(item, at / item.name)
        else:
            yield at / item.name.removesuffix(_SUFFIX), item
