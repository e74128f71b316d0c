"""The ``cliquet new`` command."""

from __future__ import annotations

import importlib.util
import json
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

from cliquet.scripts.cli_output import MISUSED, CommandError
from cliquet.types import Registry
from cliquet.utils.installation import local_path, requirement

_TEMPLATES = files(__package__) / "template"

#: Suffix of the template files, which are not modules or configurations yet.
_SUFFIX = ".template"

#: The name in the template that is replaced by the name of the application.
_PACKAGE = "package"

#: Prefix of the names that begin with a dot, which packages of Python leave out.
_DOT = "dot_"

_NAME = re.compile(r"[a-z]([a-z0-9_]*[a-z0-9])?")

_NEXT = """\
Next steps:
  cd {name}
  pip install -e '.[test]'
  pytest
  cliquet --ini sqlite.ini migrate
  cliquet --ini sqlite.ini serve --reload"""

_NEXT_MINIMAL = """\
Next steps:
  cd {name}
  pip install -r requirements.txt
  cliquet --ini sqlite.ini migrate
  cliquet --ini sqlite.ini serve --reload"""

_LOCAL_NOTE = """
Before you share this project
-----------------------------

Cliquet was installed from ``{path}``, so ``pyproject.toml``, ``Dockerfile`` and ``compose.yaml``
contain this path. Replace it by a Git URL for other machines.
"""

# Git is needed to install from a Git URL.
_COPY_GIT = """\
RUN apt-get update && apt-get install --yes --no-install-recommends git \\
    && rm -rf /var/lib/apt/lists/*
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of :func:`new`."""
    parser.add_argument("name", metavar="NAME", help="Name of the package and of its folder.")
    parser.add_argument(
        "--minimal",
        action="store_true",
        help="Create three files only: a module and what it needs.",
    )


def new(options: Namespace, registry: Registry) -> None:
    """Create an application, with resources, tests, configurations and containers."""
    name = options.name
    _check_name(name)
    folder = Path(name)
    try:
        folder.mkdir()
    except FileExistsError:
        raise CommandError(f"{name!r} already exists. Choose another name.", MISUSED) from None
    try:
        for path, text in _contents(name, options.minimal):
            target = folder / path
            target.parent.mkdir(exist_ok=True, parents=True)
            target.write_text(text, encoding="utf-8")
            print(target)
    except BaseException:
        shutil.rmtree(folder)
        raise
    print((_NEXT_MINIMAL if options.minimal else _NEXT).format(name=name))


def _check_name(name: str) -> None:
    """Check that a name can be the name of a new package.

    :raises ~cliquet.scripts.cli_output.CommandError: when it can't.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        expected = "a Python package name in lower case, such as myservice"
        raise CommandError(f"Invalid name {name!r}: expected {expected}", MISUSED)
    if name in sys.stdlib_module_names or name == "tests" or importlib.util.find_spec(name):
        reason = "a Python package has this name already"
        raise CommandError(f"Invalid name {name!r}: {reason}", MISUSED)


def _contents(name: str, minimal: bool) -> Iterator[tuple[Path, str]]:
    """Yield the path, relative to the folder, and the contents of each file of an application."""
    values = {
        "name": name,
        "underline": "=" * len(name),
        "secret": secrets.token_hex(32),
        "password": secrets.token_hex(32),
        "requirement": requirement("serve"),
        "requirement_postgresql": requirement("postgresql"),
        "requirement_redis": requirement("redis"),
        **_container_values(),
    }
    for path, file in _templates(_TEMPLATES / ("minimal" if minimal else "full"), Path()):
        text = Template(file.read_text(encoding="utf-8")).substitute(values)
        yield Path(*(_renamed(part, name) for part in path.parts)), text


def _container_values() -> dict[str, str]:
    """Return what the container files need to install Cliquet from where it came."""
    path = local_path()
    if path is None:
        needs_git = "git+" in requirement()
        return {
            "build_option": "",
            "build_contexts": "",
            "copy": _COPY_GIT if needs_git else "",
            "local_note": "",
        }
    # A file is copied with its folder: a build context is a folder.
    folder = path if path.is_dir() else path.parent
    return {
        "build_option": f" --build-context cliquet={folder}",
        "build_contexts": f"\n    additional_contexts:\n      cliquet: {json.dumps(str(folder))}",
        "copy": f"COPY --from=cliquet {json.dumps(['.', f'{folder}/'])}\n",
        "local_note": _LOCAL_NOTE.format(path=path),
    }


def _renamed(part: str, name: str) -> str:
    """Return the name of a file or folder of the application."""
    part = part.removesuffix(_SUFFIX)
    if part.startswith(_DOT):
        return f".{part.removeprefix(_DOT)}"
    stem, dot, suffix = part.partition(".")
    return f"{name}{dot}{suffix}" if stem == _PACKAGE else part


def _templates(folder: Traversable, at: Path) -> Iterator[tuple[Path, Traversable]]:
    """Yield the path and the file of each template, sorted by name."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _templates(item, at / item.name)
        else:
            yield at / item.name, item
