"""Table of the settings: keys, defaults, types and descriptions."""

from __future__ import annotations

import re
from typing import Any

from cliquet.settings import backends, limits, service
from cliquet.settings.types import ANY, BOOLEAN, NATURAL, TEXT, WORDS, Setting, SettingType

#: The settings by group, in the order of the documentation.
GROUPS: dict[str, tuple[Setting, ...]] = {**service.GROUPS, **limits.GROUPS, **backends.GROUPS}

#: All the settings, in the order of the documentation.
SETTINGS = tuple(setting for group in GROUPS.values() for setting in group)

DEFAULT_SETTINGS: dict[str, Any] = {setting.key: setting.default for setting in SETTINGS}

_TABLE = {setting.key: setting.type for setting in SETTINGS}

#: Keys that contain the name of a resource, and their types.
RESOURCE_FAMILIES = (
    (
        re.compile(r"(collection|record)_.+_(get|head|options|post|put|patch|delete)_enabled"),
        BOOLEAN,
    ),
    (re.compile(r".+_cache_expires_seconds"), NATURAL),
    (re.compile(r".+_.+_principals"), WORDS),
)

#: Those, and keys that contain the name of a policy or a listener; the first match counts. Dots
#: can be underscores, as they are in the names of environment variables.
FAMILIES = (
    *RESOURCE_FAMILIES,
    (re.compile(r"(multiauth|event_listeners)[._].*[._]([a-z_]*(url|secret|password))"), TEXT),
    (re.compile(r"event_listeners[._].*[._](actions|resources)"), WORDS),
    (re.compile(r"(multiauth|event_listeners)[._].+"), ANY),
)


def family(bare: str) -> SettingType[Any] | None:
    """Return the type of a key that contains a name, None if it matches no pattern."""
    return next((type_ for pattern, type_ in FAMILIES if pattern.fullmatch(bare)), None)


def type_of(bare: str) -> SettingType[Any]:
    """Return the type of the setting ``bare``."""
    return _TABLE.get(bare) or family(bare) or ANY
