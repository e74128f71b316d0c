"""Validation of settings: all errors are reported together at start-up."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

from cliquet.settings import DEFAULT_SETTINGS, PREFIX, KeyForms, type_of
from cliquet.settings.table import family, resource_in
from cliquet.settings.types import SettingType
from cliquet.utils import env_name, setting_list, without_password
from cliquet.utils.installation import install_command

T = TypeVar("T")

#: The extra of the distribution that installs an optional package. Version 3.1 required those in
#: the extra ``legacy``, so applications import them without requiring them.
EXTRAS = {
    "psycopg2": "postgresql",
    "sqlalchemy": "postgresql",
    "redis": "redis",
    "prometheus_client": "monitoring",
    **dict.fromkeys(("dateutil", "requests", "six"), "legacy"),
}

# The extra installs psycopg2-binary, which is the same package, prebuilt.
_ALTERNATIVES = {"psycopg2": ", or psycopg2 to build it"}

# Minimum similarity of the suggestion for an unknown key, and of that for an environment variable,
# which can belong to another program.
_LIKE, _VERY_LIKE = 0.6, 0.85


class InvalidSettings(ConfigurationError):
    """Error in settings.

    :param problems: one line per setting.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        title = ["Invalid settings:"] if len(problems) > 1 else []
        super().__init__("\n  ".join([*title, *problems]))


class ErrorCollector:
    """Collector of errors, so that an application reports all of them."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, error: ConfigurationError) -> None:
        """Add the lines of an error."""
        self._lines += error.problems if isinstance(error, InvalidSettings) else [str(error)]

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Collect a configuration error of the block instead of raising it."""
        try:
            yield
        except ConfigurationError as error:
            self.add(error)
        except Exception:
            # Probably caused by an error already recorded; don't report it twice.
            if not self._lines:
                raise

    def raise_if_any(self) -> None:
        """Raise the collected errors, if any.

        :raises InvalidSettings: with one line for each error.
        """
        if self._lines:
            raise InvalidSettings(*self._lines)


def invalid(settings: Mapping[str, Any], key: str, expected: str) -> InvalidSettings:
    """Return the error that names a setting, its value, source and expectation.

    :param key: a bare key. Passwords in its value are masked.
    :param expected: a description of valid values.
    """
    form, source = _source(settings, key)
    value = settings.get(key) if settings.get(key) is not None else ""
    shown = without_password(value) if isinstance(value, str) else value
    return InvalidSettings(f"{form} = {shown!r} (from {source}): expected {expected}")


def _source(settings: Mapping[str, Any], bare: str) -> tuple[str, str]:
    """Return the key as it was written, and a description of its source."""
    forms = KeyForms(settings.get("project_name") or "").forms(bare)
    for form in reversed(forms):
        if env_name(form) in os.environ:
            return bare, f"the environment variable {env_name(form)}"
    written = next((form for form in reversed(forms) if form in settings), bare)
    return written, "the configuration"


def wrong_values(settings: Mapping[str, Any]) -> Iterator[tuple[str, InvalidSettings]]:
    """Yield the bare keys whose values have the wrong type, and the errors.

    Empty values and the defaults are accepted.
    """
    key_forms = KeyForms(settings.get("project_name") or "")
    for key in dict.fromkeys([*DEFAULT_SETTINGS, *map(key_forms.bare, settings)]):
        setting_type, value = type_of(key), settings.get(key)
        if value in (None, "", DEFAULT_SETTINGS.get(key)):
            continue
        try:
            parse(settings, key, setting_type)
        except InvalidSettings as error:
            yield key, error


def parse(
    settings: Mapping[str, Any], key: str, setting_type: SettingType[T], value: object = None
) -> T:
    """Return the parsed value of the setting ``key``.

    :param value: the value to parse; by default, that of the setting.
    :raises InvalidSettings: if it is invalid.
    """
    try:
        return setting_type.parse(settings[key] if value is None else value)
    except ImportError as error:
        expected = f"{setting_type.expected}: {_reason(error)}"
        raise invalid(settings, key, expected) from error
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        raise invalid(settings, key, setting_type.expected) from None


def missing_package(error: BaseException) -> str | None:
    """Return advice to install the extra of a missing package, if it has one."""
    package = str(getattr(error, "name", None)).partition(".")[0]
    if not isinstance(error, ImportError) or package not in EXTRAS:
        return None
    hint = f"{install_command(EXTRAS[package])}{_ALTERNATIVES.get(package, '')}"
    return f"the package {package} is missing ({hint})"


def _reason(error: Exception) -> str:
    """Return why a dotted name can't be imported."""
    if advice := missing_package(error):
        return advice
    parent, _, attribute = str(getattr(error, "name", None)).rpartition(".")
    module = sys.modules.get(parent)
    if module and not hasattr(module, "__path__"):  # it isn't a package
        return f"module {parent!r} has no attribute {attribute!r}"
    return str(error)


def include_packages(config: Configurator, key: str) -> None:
    """Include the packages in the setting ``key``.

    :raises InvalidSettings: if one of them imports an optional package that is missing.
    """
    settings = config.get_settings()
    for package in setting_list(settings[key]):
        try:
            config.include(package)
        except ImportError as error:
            reason = missing_package(error)
            if reason is None:
                raise
            raise invalid(settings, key, f"{type_of(key).expected}: {reason}") from error


def unknown_keys(
    settings: Mapping[str, Any], declared: Iterable[str], resources: Iterable[str]
) -> Iterator[tuple[str, str | None]]:
    """Return the unknown prefixed keys, each with the most similar known one.

    Known keys with misspelled prefixes are included too. Environment variables are only included if
    they are very similar to a known key.

    :param declared: the known bare keys.
    :param resources: the names of the resources.
    """
    valid_keys = set(declared)
    names = {form for name in resources for form in (name, env_name(name).lower())}
    key_forms = KeyForms(settings.get("project_name") or "")
    for key in settings:
        bare = key_forms.bare(key)
        if bare == key or {bare, key} & valid_keys:
            continue
        name = resource_in(bare)
        if name is None:
            is_known = family(bare) is not None
            suggestion = None if is_known else _nearest(bare, valid_keys, _LIKE)
        else:
            is_known = any(f"{name}_".startswith(f"{known}_") for known in names)
            nearest = _nearest(name, names, _LIKE)
            suggestion = nearest and bare.replace(name, nearest, 1)
        if not is_known:
            yield key, suggestion and key.removesuffix(bare) + suggestion
    yield from _misspelled_prefixes(settings, valid_keys, key_forms)
    variables = {env_name(key) for key in valid_keys}
    for variable in os.environ:
        bare = key_forms.bare_variable(variable)
        if bare != variable and bare not in variables and not family(bare.lower()):
            suggestion = _nearest(bare, variables, _VERY_LIKE)
            if suggestion:
                yield variable, variable.removesuffix(bare) + suggestion


def _misspelled_prefixes(
    settings: Mapping[str, Any], valid_keys: Collection[str], key_forms: KeyForms
) -> Iterator[tuple[str, str]]:
    """Yield the known keys with a prefix that is very similar to a valid one, and their correction.

    Keys with other prefixes belong to other packages.
    """
    prefixes = (PREFIX, key_forms.project)
    for key in settings:
        prefix, _, bare = key.partition(".")
        is_known = bare in valid_keys or family(bare)
        if is_known and prefix not in prefixes and key not in valid_keys:
            nearest = _nearest(prefix, prefixes, _VERY_LIKE)
            if nearest:
                yield key, f"{nearest}.{bare}"


def _nearest(name: str, candidates: Iterable[str], cutoff: float) -> str | None:
    return next(iter(difflib.get_close_matches(name, candidates, n=1, cutoff=cutoff)), None)
