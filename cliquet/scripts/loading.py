"""The application of a configuration file, for the commands that need it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from configparser import Error as IniError
from typing import Any

from plaster.exceptions import InvalidURI, LoaderNotFound
from pyramid.exceptions import ConfigurationError, ConfigurationExecutionError
from pyramid.paster import bootstrap
from pyramid.scripts.common import get_config_loader

from cliquet.scripts.cli_output import FAILED, MISUSED, CommandError, format_error
from cliquet.settings.validation import missing_package

INI_VARIABLE = "CLIQUET_INI"

# Errors of a configuration file: wrong syntax, a missing section or option, a factory that
# can't be found or that rejects its settings.
_LOADING_ERRORS = (AttributeError, ImportError, LookupError, OSError, ValueError, IniError)

_HINT = "(use --traceback for details)"

_LOG_FORMAT = "%(asctime)s %(message)s"


def load(
    ini: str | None,
    with_logs: bool = False,
    bootstrap: Callable[[Any], dict[str, Any]] = bootstrap,
) -> dict[str, Any]:
    """Return Pyramid's script environment for the application of a configuration file.

    :param ini: the path of the file, followed by ``#section`` unless that is ``app:main``.
    :param with_logs: set up logging first.
    :param bootstrap: loads the application, as ``pyramid.paster.bootstrap()`` does.
    :raises ~cliquet.scripts.cli_output.CommandError: when the file doesn't exist or can't be
        loaded.
    """
    path = _path_of(ini)
    try:
        _add_import_path(path)
        if with_logs:
            _setup_logging(ini)
        return bootstrap(ini)
    except ConfigurationExecutionError as error:  # wraps any error of a deferred action
        reason = missing_package(error.evalue) or format_error(error.evalue)
        raise CommandError(f"{reason} {_HINT}", FAILED) from error
    except ConfigurationError:
        raise
    except (LoaderNotFound, InvalidURI) as error:
        expected = "expected a configuration file whose name ends with .ini"
        raise CommandError(f"{check_file(ini)}: {expected} {_HINT}", MISUSED) from error
    except ModuleNotFoundError as error:
        question = f"{format_error(error)}. Is it installed in this environment?"
        reason = missing_package(error) or question
        raise CommandError(f"{path}: {reason} {_HINT}", MISUSED) from error
    except _LOADING_ERRORS as error:
        check_file(ini)  # only after an error, because mocks of bootstrap() need no file
        raise CommandError(f"{path}: {format_error(error)} {_HINT}", MISUSED) from error


def check_file(ini: str | None) -> str:
    """Return the path of a configuration file, without its section.

    :raises ~cliquet.scripts.cli_output.CommandError: when it doesn't exist.
    """
    path = _path_of(ini)
    if ":" not in path and not os.path.isfile(path):  # else a URI, such as egg:package
        raise CommandError(f"Configuration file not found: {path}", MISUSED)
    return path


def _path_of(ini: str | None) -> str:
    if not ini:
        message = f"No configuration file. Use --ini FILE or set {INI_VARIABLE}."
        raise CommandError(message, MISUSED)
    return ini.partition("#")[0]


def _add_import_path(path: str) -> None:
    """Let the application be a module next to its file, without being installed."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isfile(path) and folder not in sys.path:
        sys.path.append(folder)


def _setup_logging(ini: str | None) -> None:
    """Set up logging as the file describes; by default, write a line per request."""
    loader = get_config_loader(ini)
    if "loggers" in loader.get_sections():
        try:
            loader.setup_logging()
        except Exception as error:  # fileConfig() also evaluates expressions
            reason = f"invalid logging configuration: {format_error(error)}"
            raise CommandError(f"{_path_of(ini)}: {reason} {_HINT}", MISUSED) from error
    else:
        logging.basicConfig(format=_LOG_FORMAT, datefmt="%H:%M:%S")
        logging.getLogger("cliquet").setLevel(logging.INFO)
