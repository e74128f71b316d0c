"""The command ``cliquet``: what is done to a service from a terminal."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from configparser import Error as IniError
from typing import Any, NamedTuple

from pyramid.exceptions import ConfigurationError, ConfigurationExecutionError
from pyramid.paster import bootstrap
from pyramid.settings import asbool

import cliquet
from cliquet.checks import missing_package
from cliquet.scripts import check, new, purge, schema
from cliquet.scripts.terminal import (
    DONE,
    FAILED,
    INTERRUPTED,
    MISUSED,
    Mistake,
    explained,
    tell,
)
from cliquet.storage.exceptions import BackendError

INI_VARIABLE = "CLIQUET_INI"

# What a file may have wrong: its syntax, a section or an option that is missing, a factory that
# can't be found or that refuses its settings.
_LOADING_ERRORS = (AttributeError, ImportError, LookupError, OSError, ValueError, IniError)

_HINT = "(--traceback shows where)"


class Command(NamedTuple):
    """A command: what it does, and its line of help.

    ``run`` gets the arguments, and what the configuration file made of the
    application: its registry; None where a command does without the file.
    """

    run: Callable[[argparse.Namespace, Any], None]
    help: str
    needs_ini: bool = True
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None


def version(options: argparse.Namespace, registry: Any) -> None:
    """Print the version of the distribution."""
    print(cliquet.__version__)


COMMANDS = {
    "new": Command(new.new, "make a folder with a small application", False, new.add_arguments),
    "check": Command(
        check.check, "try the configuration, and each backend", True, check.add_arguments
    ),
    "migrate": Command(
        schema.migrate,
        "create or upgrade what the backends store; safe to run twice",
        True,
        schema.add_migrate_arguments,
    ),
    "purge-deleted": Command(
        purge.purge_deleted, "forget the tombstones of old deletions", True, purge.add_arguments
    ),
    "flush-cache": Command(schema.flush_cache, "delete every entry of the cache"),
    "init": Command(
        schema.init, "the deprecated name of migrate", True, schema.add_migrate_arguments
    ),
    "version": Command(version, "print the version of the toolkit", needs_ini=False),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run the command that the arguments tell.

    :param args: those of the process by default.
    :returns: what to exit with: 0, 1 (it failed), 2 (it was called, or configured, wrongly),
        130 (it was interrupted).
    """
    try:
        code = _run_told(make_parser().parse_args(args))
    except SystemExit:  # of argparse: help, the version, or a misuse
        _flush_output()
        raise
    except KeyboardInterrupt:
        tell("interrupted")
        code = INTERRUPTED
    return code if _flush_output() else FAILED


def _run_told(options: argparse.Namespace) -> int:
    """Run the command; tell in a line what the user can put right."""
    try:
        run(options)
    except BrokenPipeError:  # who reads has had enough
        return FAILED
    except (Mistake, ConfigurationError, BackendError, OSError) as error:
        if options.traceback:
            raise
        tell(f"error: {explained(error)}")
        return error.code if isinstance(error, Mistake) else FAILED
    return DONE


def _flush_output() -> bool:
    """Write what is left of the output, and tell whether that could be done."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            tell(f"error: {explained(error)}")
        # Python must not try again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments; options may stand before or after the command."""
    parser = argparse.ArgumentParser(
        prog="cliquet",
        description="Make a service with Cliquet, and look after it.",
        epilog="Example: cliquet --ini config/example.ini migrate",
    )
    parser.add_argument(
        "-v", "--version", action="version", version=cliquet.__version__, help="print it, and exit"
    )
    _add_options(parser, os.environ.get(INI_VARIABLE), False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.help, description=command.run.__doc__)
        # Without a default of theirs, these leave what came before the command as it is.
        _add_options(sub, argparse.SUPPRESS, argparse.SUPPRESS)
        command.add_arguments(sub)
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
        reason = missing_package(error.evalue) or explained(error.evalue)
        raise Mistake(f"{reason} {_HINT}", FAILED) from error
    except ConfigurationError:
        raise
    except ModuleNotFoundError as error:
        question = f"{explained(error)}; is it installed in this environment?"
        reason = missing_package(error) or question
        raise Mistake(f"{path}: {reason} {_HINT}", MISUSED) from error
    except _LOADING_ERRORS as error:
        raise Mistake(f"{path}: {explained(error)} {_HINT}", MISUSED) from error
    return env


def init_schema(env: Mapping[str, Any]) -> None:
    """Initialize the schema of each backend; in read-only mode, of the cache only.

    :param env: the result of ``pyramid.paster.bootstrap()``.
    """
    registry = env["registry"]
    readonly = asbool(registry.settings.get("readonly"))
    for kind in ("cache", "storage", "permission"):
        if not hasattr(registry, kind):
            continue
        if readonly and kind != "cache":
            message = f"Cannot migrate the {kind} backend while in readonly mode."
            warnings.warn(message, stacklevel=2)
        else:
            getattr(registry, kind).initialize_schema()


def deprecated_init(env: Mapping[str, Any]) -> None:
    """Run :func:`init_schema`, of which this is the deprecated name."""
    message = "'init' command is deprecated, use 'migrate' instead."
    warnings.warn(message, stacklevel=2)
    init_schema(env)
