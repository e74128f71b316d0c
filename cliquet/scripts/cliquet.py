"""The command ``cliquet``: what is done to a service from a terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from configparser import Error as IniError
from typing import Any, NamedTuple

from pyramid.exceptions import ConfigurationError, ConfigurationExecutionError
from pyramid.paster import bootstrap
from pyramid.settings import asbool

import cliquet
from cliquet.storage.exceptions import BackendError

DONE, FAILED, MISUSED = 0, 1, 2

INI_VARIABLE = "CLIQUET_INI"

#: The backends that store something, and whether they are left alone in read-only mode.
_BACKENDS = {"storage": True, "permission": True, "cache": False}

# What a file may have wrong: its syntax, a section or an option that is missing, a factory that
# can't be found or that refuses its settings.
_LOADING_ERRORS = (AttributeError, ImportError, LookupError, OSError, ValueError, IniError)

_HINT = "(--traceback shows where)"


class Mistake(Exception):
    """Something that the user can put right, told in a line.

    :param code: what the command exits with.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Command(NamedTuple):
    """A command: what it does, and its line of help.

    ``run`` gets the arguments, and what the configuration file made of the
    application: its registry; None where a command does without the file.
    """

    run: Callable[[argparse.Namespace, Any], None]
    help: str
    needs_ini: bool = True


def migrate(options: argparse.Namespace, registry: Any) -> None:
    """Create or upgrade what the backends store their data in."""
    readonly = asbool(registry.settings.get("readonly"))
    for kind, written_by_requests in _BACKENDS.items():
        backend = getattr(registry, kind, None)
        if backend is None:
            print(f"{kind}: none is configured")
        elif readonly and written_by_requests:
            _tell(f"warning: {kind} is skipped, the service is read-only")
        else:
            name = registry.settings.get(f"{kind}_backend") or type(backend).__module__
            print(f"{kind}: preparing {name}", flush=True)
            backend.initialize_schema()
            print(f"{kind}: ready", flush=True)


def init(options: argparse.Namespace, registry: Any) -> None:
    """Do as ``migrate``, of which it is the deprecated name."""
    _tell("warning: 'init' is deprecated, use 'migrate'")
    migrate(options, registry)


def version(options: argparse.Namespace, registry: Any) -> None:
    """Print the version of the distribution."""
    print(cliquet.__version__)


COMMANDS = {
    "migrate": Command(migrate, "create or upgrade what the backends store; safe to run twice"),
    "init": Command(init, "the deprecated name of migrate"),
    "version": Command(version, "print the version of the toolkit", needs_ini=False),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run the command that the arguments tell.

    :param args: those of the process by default.
    :returns: what to exit with: 0, 1 (it failed), 2 (it was called, or configured, wrongly).
    """
    parser = make_parser()
    options = parser.parse_args(args)
    try:
        run(options)
    except (Mistake, ConfigurationError, BackendError) as error:
        if options.traceback:
            raise
        _tell(f"error: {_explained(error)}")
        return error.code if isinstance(error, Mistake) else FAILED
    return DONE


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments; options may stand before or after the command."""
    parser = argparse.ArgumentParser(
        prog="cliquet",
        description="Look after a service made with Cliquet.",
        epilog="Example: cliquet --ini config/example.ini migrate",
    )
    parser.add_argument(
        "--version", action="version", version=cliquet.__version__, help="print it, and exit"
    )
    _add_options(parser, os.environ.get(INI_VARIABLE), False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.help, description=command.run.__doc__)
        # Without a default of theirs, these leave what came before the command as it is.
        _add_options(sub, argparse.SUPPRESS, argparse.SUPPRESS)
    return parser


def _add_options(parser: argparse.ArgumentParser, ini: Any, traceback: Any) -> None:
    parser.add_argument(
        "--ini",
        metavar="FILE",
        default=ini,
        help=f"the configuration file of the application (default: the variable {INI_VARIABLE})",
    )
    parser.add_argument(
        "--traceback",
        action="store_true",
        default=traceback,
        help="when something fails, show where in the code",
    )


def run(options: argparse.Namespace) -> None:
    """Run a command, in the application if it needs one.

    :raises Mistake: when the application can't be made.
    """
    command = COMMANDS[options.command]
    if not command.needs_ini:
        command.run(options, None)
        return
    env = load(options.ini)
    try:
        command.run(options, env["registry"])
    finally:
        env["closer"]()


def load(ini: str | None) -> dict[str, Any]:
    """Return the environment of scripts for the application of a configuration file.

    :param ini: the file, and ``#section`` after it unless it is ``app:main``.
    :raises Mistake: when there is none, or it can't be loaded.
    """
    if not ini:
        raise Mistake(f"which configuration? Give --ini FILE, or set {INI_VARIABLE}", MISUSED)
    path = ini.partition("#")[0]
    if ":" not in path and not os.path.isfile(path):  # else a URI, as egg:package
        raise Mistake(f"{path}: there is no such file", MISUSED)
    try:
        env: dict[str, Any] = bootstrap(ini)
    except ConfigurationExecutionError as error:  # anything that a deferred action raised
        raise Mistake(f"{_explained(error.evalue)} {_HINT}", FAILED) from error
    except ConfigurationError:
        raise
    except _LOADING_ERRORS as error:
        raise Mistake(f"{path}: {_explained(error)} {_HINT}", MISUSED) from error
    return env


def _explained(error: BaseException) -> str:
    """Return what an exception says, in one line, without where the code says it."""
    lines = [line.strip() for line in str(error).splitlines()]
    text = "; ".join(filter(None, lines)).replace(":; ", ": ")
    return f"{type(error).__name__}: {text}" if isinstance(error, KeyError) or not text else text


def _tell(line: str) -> None:
    print(f"cliquet: {line}", file=sys.stderr, flush=True)
