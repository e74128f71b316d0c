"""The ``cliquet`` command."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pyramid.exceptions import ConfigurationError
from pyramid.paster import bootstrap

import cliquet
from cliquet.scripts import check, new, purge, schema, serve
from cliquet.scripts.cli_output import (
    DONE,
    FAILED,
    INTERRUPTED,
    CommandError,
    format_error,
    print_message,
)
from cliquet.scripts.loading import INI_VARIABLE, load
from cliquet.settings.types import BOOLEAN
from cliquet.storage.exceptions import BackendError
from cliquet.types import Registry


class Command(NamedTuple):
    """A command, with its function and its help.

    ``run`` takes the arguments and the application's registry, or None if it doesn't need one.
    """

    run: Callable[[argparse.Namespace, Any], None]
    help: str
    needs_registry: bool = True
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None


def version(options: argparse.Namespace, registry: Registry) -> None:
    """Print the version of Cliquet."""
    print(cliquet.__version__)


COMMANDS = {
    "new": Command(new.new, "Create a small application.", False, new.add_arguments),
    "check": Command(
        check.check, "Check the configuration and each backend.", True, check.add_arguments
    ),
    "serve": Command(serve.serve, "Serve the application over HTTP.", False, serve.add_arguments),
    "migrate": Command(
        schema.migrate,
        "Create the database schema or upgrade it. Safe to run twice.",
        True,
        schema.add_migrate_arguments,
    ),
    "purge-deleted": Command(
        purge.purge_deleted, "Purge old tombstones.", True, purge.add_arguments
    ),
    "flush-cache": Command(schema.flush_cache, "Delete every entry of the cache."),
    "init": Command(schema.init, "Deprecated, use migrate.", True, schema.add_migrate_arguments),
    "version": Command(version, "Print the version of Cliquet.", needs_registry=False),
}

# The commands that read no configuration file accept --ini, but don't list it in their help.
_WITHOUT_INI = ("new", "version")


def main(args: Sequence[str] | None = None) -> int:
    """Run the command given by the arguments.

    :param args: the arguments of the process by default.
    :returns: the exit code: 0, 1 (failure), 2 (wrong arguments or configuration) or
        130 (interrupted).
    """
    try:
        options = make_parser().parse_args(args)
        options.arguments = sys.argv[1:] if args is None else list(args)
        code = _run_reporting_errors(options)
    except SystemExit:  # of argparse: help, the version, or a misuse
        _flush_output()
        raise
    except KeyboardInterrupt:
        print_message("interrupted")
        code = INTERRUPTED
    return code if _flush_output() else FAILED


def _run_reporting_errors(options: argparse.Namespace) -> int:
    """Run the command and report expected errors in one line."""
    try:
        run(options)
    except BrokenPipeError:  # the reader of the output is gone
        return FAILED
    except (CommandError, ConfigurationError, BackendError, OSError) as error:
        if options.traceback:
            raise
        print_message(f"error: {format_error(error)}")
        return error.code if isinstance(error, CommandError) else FAILED
    return DONE


def _flush_output() -> bool:
    """Flush the standard output and return whether this succeeded."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print_message(f"error: {format_error(error)}")
        # Python must not try again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def make_parser() -> argparse.ArgumentParser:
    """Return the argument parser; options can come before or after the command."""
    parser = argparse.ArgumentParser(
        prog="cliquet",
        description="Create and manage Cliquet services.",
        epilog="Example: cliquet --ini config/example.ini migrate",
    )
    parser.add_argument(
        "-v",
        "--version",
        action="version",
        version=cliquet.__version__,
        help="Print the version and exit.",
    )
    _add_options(parser, os.environ.get(INI_VARIABLE), False, with_ini=True)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.help, description=command.run.__doc__)
        with_ini = name not in _WITHOUT_INI
        # Without defaults, these keep the values of options that came before the command.
        _add_options(sub, argparse.SUPPRESS, argparse.SUPPRESS, with_ini=with_ini)
        command.add_arguments(sub)
    return parser


def _add_options(
    parser: argparse.ArgumentParser, ini: object, traceback: object, *, with_ini: bool
) -> None:
    description = f"Configuration file of the application (default: the variable {INI_VARIABLE})."
    parser.add_argument(
        "--ini",
        metavar="FILE",
        default=ini,
        help=description if with_ini else argparse.SUPPRESS,
    )
    parser.add_argument(
        "--traceback",
        action="store_true",
        default=traceback,
        help="Show the Python traceback of errors.",
    )


def run(options: argparse.Namespace) -> None:
    """Run a command, after loading the application if the command needs it.

    :raises CommandError: when the application can't be loaded.
    """
    command = COMMANDS[options.command]
    if not command.needs_registry:
        command.run(options, None)
        return
    # Tests of applications replace bootstrap() in this module. Mocks can lack a closer.
    env = load(options.ini, bootstrap=bootstrap)
    try:
        command.run(options, env["registry"])
    finally:
        if "closer" in env:
            env["closer"]()


def init_schema(env: Mapping[str, Any]) -> None:
    """Initialize the schema of each backend; in read-only mode, only of the cache.

    :param env: the result of ``pyramid.paster.bootstrap()``.
    """
    registry = env["registry"]
    readonly = BOOLEAN.get(registry.settings, "readonly")
    for kind in ("cache", "storage", "permission"):
        if not hasattr(registry, kind):
            continue
        if readonly and kind != "cache":
            message = f"Cannot migrate the {kind} backend while in readonly mode."
            warnings.warn(message, stacklevel=2)
        else:
            getattr(registry, kind).initialize_schema()


def deprecated_init(env: Mapping[str, Any]) -> None:
    """Run :func:`init_schema` (deprecated)."""
    message = "'init' command is deprecated, use 'migrate' instead. Cliquet 4.0 removes it."
    warnings.warn(message, stacklevel=2)
    init_schema(env)
