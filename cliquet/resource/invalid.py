"""Error of a query string."""

from __future__ import annotations


class Invalid(Exception):
    """Invalid parameter.

    :param name: the name of the parameter to report, if any.
    :param limit: the setting whose limit is exceeded, if any.
    """

    def __init__(self, description: str, name: str | None = None, limit: str | None = None) -> None:
        super().__init__(description)
        self.description = description
        self.name = name
        self.limit = limit


def check_count(count: int, things: str, setting: str, limit: int) -> None:
    """Raise Invalid if a count exceeds the limit of a setting."""
    if count > limit:
        description = f"There should be at most {limit} {things} (setting {setting})"
        raise Invalid(description, limit=setting)
