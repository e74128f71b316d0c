"""Settings of an application: forms of the keys and sources of the values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pyramid.config import Configurator

from cliquet.settings.table import DEFAULT_SETTINGS as DEFAULT_SETTINGS
from cliquet.settings.table import SETTINGS as SETTINGS
from cliquet.settings.table import resource_in
from cliquet.settings.table import type_of as type_of
from cliquet.settings.types import WORDS, SettingType
from cliquet.state import state_of
from cliquet.types import Settings
from cliquet.utils import env_name

PREFIX = "cliquet"

# Settings that list names, and the prefix of the keys that contain these names.
_NAMED = {"multiauth.policies": "multiauth.policy", "event_listeners": "event_listeners"}


class KeyForms(NamedTuple):
    """The forms of the setting keys of an application."""

    project: str

    def bare(self, key: str) -> str:
        """Return ``key`` without the prefix of the toolkit or of the project."""
        for prefix in (f"{PREFIX}.", f"{self.project}."):
            if key.startswith(prefix) and prefix not in (".", key):
                return key[len(prefix) :]
        return key

    def bare_variable(self, name: str) -> str:
        """Return the name of an environment variable without either prefix."""
        for prefix in (PREFIX, self.project):
            head = f"{env_name(prefix)}_"
            if prefix and name.startswith(head) and name != head:
                return name[len(head) :]
        return name

    def forms(self, bare: str) -> tuple[str, ...]:
        """Return the forms of a key; variables of later ones take precedence."""
        own = (f"{self.project}.{bare}",) if self.project not in ("", PREFIX) else ()
        return (bare, *own, f"{PREFIX}.{bare}")


def load_default_settings(config: Configurator, default_settings: Mapping[str, Any]) -> None:
    """Complete and convert the settings, with defaults and the environment.

    Afterwards ``settings[key]`` contains the value for the bare name of each key. A value is read
    in the same way in the file, the defaults and the environment. Plugins declare their settings
    with this function: prefixed keys that no caller declares are logged as warnings.

    :param default_settings: bare or prefixed keys, and their values.
    :raises ValueError: if two forms of a key have different values.
    """
    settings = config.get_settings()
    key_forms = KeyForms(settings.get("project_name") or "")
    defaults = {key_forms.bare(key): value for key, value in default_settings.items()}
    state_of(config.registry).declared_settings.update(defaults)
    for bare in sorted({key_forms.bare(key) for key in settings} | set(defaults)):
        _load(settings, key_forms, bare, defaults.get(bare))
    for bare in sorted(_keys_of_environment(settings, key_forms)):
        _load(settings, key_forms, bare, None)


def _load(settings: Settings, key_forms: KeyForms, bare: str, default: object) -> None:
    value = find(settings, key_forms, bare, default)
    settings[bare] = value
    # Plugins can read the prefixed forms, which keep their original value if it is equal.
    read = type_of(bare).read
    settings.update(
        {
            form: value
            for form in key_forms.forms(bare)
            if form in settings and read(settings[form]) != value
        }
    )


def find(settings: Mapping[str, Any], key_forms: KeyForms, bare: str, default: object) -> Any:
    """Return the value of a key from the environment, or else from any of its forms.

    :raises ValueError: if two forms have different values.
    """
    setting_type = type_of(bare)
    variable = _variable(key_forms, bare)
    if variable is None:
        defined = defined_forms(settings, key_forms.forms(bare), setting_type)
        value = setting_type.read(settings[defined[0]] if defined else default)
    else:
        value = setting_type.read(os.environ[variable])
    if value in ("", None) and setting_type.empty_is_default:
        defaults = (setting_type.read(value) for value in (default, DEFAULT_SETTINGS.get(bare)))
        value = next((value for value in defaults if value not in ("", None)), None)
    return value


def find_project_name(settings: Mapping[str, Any], default: str) -> str:
    """Return the project name, which determines the forms of the other keys.

    The prefixed key takes precedence, as in 3.1: with it, applications override the name in a file.
    """
    key = "project_name"
    configured = settings.get(f"{PREFIX}.{key}") or settings.get(key)
    name: str = find({key: configured} if configured else {}, KeyForms(""), key, default)
    return name


def _variable(key_forms: KeyForms, bare: str) -> str | None:
    """Return the name of the environment variable that sets a key, or None."""
    variables = [env_name(form) for form in key_forms.forms(bare)]
    return next((name for name in reversed(variables) if name in os.environ), None)


def _keys_of_environment(settings: Mapping[str, Any], key_forms: KeyForms) -> Iterator[str]:
    """Yield the keys of the families that only the environment sets."""
    set_variables = {env_name(key) for key in settings}
    for variable in os.environ:
        bare = key_forms.bare_variable(variable)
        if variable != variable.upper() or {bare, variable} & set_variables:
            continue
        named = _named_key(settings, bare)
        keys = [named] if named else [bare.lower(), variable.lower()]
        yield from [key for key in keys if named or resource_in(key)][:1]


def _named_key(settings: Mapping[str, Any], variable: str) -> str | None:
    """Return the key of a policy or listener that the environment variable sets."""
    for list_key, prefix in _NAMED.items():
        listed = [name.rpartition(".")[2] for name in WORDS.get(settings, list_key, [])]
        for name in sorted(listed, key=len, reverse=True):
            head = f"{env_name(f'{prefix}.{name}')}_"
            if variable.startswith(head) and variable != head:
                return f"{prefix}.{name}.{variable[len(head) :].lower()}"
    return None


def add_resource_keys(settings: Settings, resource_name: str) -> None:
    """Add the keys of a resource that are spelled differently in variables."""
    written = env_name(resource_name).lower()
    pattern = re.compile(f"((?:collection_|record_)?){re.escape(written)}(_.+)")
    for key in list(settings) if written != resource_name else ():
        match = pattern.fullmatch(key)
        if match and resource_in(key):
            settings.setdefault(f"{match[1]}{resource_name}{match[2]}", settings[key])


def defined_forms(
    settings: Mapping[str, Any], forms: Iterable[str], setting_type: SettingType[Any]
) -> list[str]:
    """Return the forms of a key that are set, if they have the same value.

    :raises ValueError: if they have different values.
    """
    defined = [form for form in forms if form in settings]
    if len({str(setting_type.read(settings[form])) for form in defined}) > 1:
        raise ValueError("Settings '{}' are in conflict.".format("', '".join(defined)))
    return defined


def assign(settings: Settings, bare: str, value: object) -> None:
    """Set a key and its other existing forms."""
    forms = KeyForms(settings.get("project_name") or "").forms(bare)
    settings.update({form: value for form in forms if form in settings})
    settings[bare] = value
